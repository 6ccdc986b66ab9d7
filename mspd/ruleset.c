/* SPDX-License-Identifier: MIT */
/*
 * In: a status document, and the local files. Out: compiled rules for the
 * endpoints whose item in force has changed. Must never let a bad item, or a
 * bad file, open an endpoint.
 */
#include "mspd/ruleset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/log.h"

static bool same(const struct msp_profile *a, const struct msp_profile *b)
{
	if (!a || !b)
		return a == b;
	return msp_profile_equal(a, b);
}

static void replace(struct mspd_ruleset *set, size_t i, struct msp_rules *rules,
		    const struct msp_profile *profile)
{
	msp_rules_free(set->rules[i]);
	msp_profile_free(set->profile[i]);
	set->rules[i] = rules;
	set->profile[i] = profile ? msp_profile_ref(profile) : NULL;
	set->replaced = true;
}

static void log_findings(enum msp_endpoint endpoint,
			 const struct msp_profile *profile)
{
	const struct msp_findings *list = msp_profile_findings(profile);
	const struct msp_finding *finding;
	size_t i;

	for (i = 0; (finding = msp_findings_get(list, i)); i++)
		mspd_log(MSPD_WARN, "%s rules: %s: %s",
			 msp_endpoint_name(endpoint), finding->pointer,
			 finding->text);
	if (msp_findings_cut(list))
		mspd_log(MSPD_WARN, "%s rules: more remarks are left out",
			 msp_endpoint_name(endpoint));
}

static void note_fault(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		       const struct msp_error_info *fault)
{
	size_t n = strlen(set->fault);

	snprintf(set->fault + n, sizeof(set->fault) - n,
		 "%s%s rules are not valid at line %u column %u, %s: %s; %s.",
		 n ? " " : "", msp_endpoint_name(endpoint), fault->line,
		 fault->column, fault->pointer, fault->text,
		 set->rules[endpoint] ? "the last good ones stay"
				      : "the endpoint is closed");
}

/* Deny everything: the endpoint never had a good item, or no memory. */
static bool close_endpoint(struct mspd_ruleset *set, size_t i, const char *id)
{
	struct msp_rules *closed = NULL;

	if (msp_rules_closed(&closed, id, strlen(id), set->epoch + 1) < 0) {
		mspd_log(MSPD_ERROR, "no memory for rules: the old stay");
		return false;
	}
	set->epoch++;
	replace(set, i, closed, NULL);
	set->mode[i] = MSP_MODE_ENFORCE;
	return true;
}

static bool take_profile(struct mspd_ruleset *set, enum msp_endpoint endpoint,
			 const struct msp_profile *profile)
{
	struct msp_rules *rules = NULL;

	if (set->rules[endpoint] && same(set->profile[endpoint], profile))
		return false;
	if (msp_rules_compile(&rules, profile, set->epoch + 1) < 0) {
		mspd_log(MSPD_ERROR, "no memory for the rules of %s",
			 msp_endpoint_name(endpoint));
		if (set->rules[endpoint])
			return false;
		return close_endpoint(set, endpoint, msp_profile_id(profile));
	}
	set->epoch++;
	replace(set, endpoint, rules, profile);
	mspd_log(MSPD_INFO, "%s: rules '%s' in force, mode %s, epoch %llu",
		 msp_endpoint_name(endpoint), msp_profile_id(profile),
		 msp_mode_name(msp_profile_mode(profile)),
		 (unsigned long long)set->epoch);
	log_findings(endpoint, set->host[endpoint]);
	return true;
}

/* Of the ids as received: those in force say more (spec 5.5). */
static void note_rule_id(struct mspd_ruleset *set, enum msp_endpoint endpoint,
			 const struct msp_keystatus *status)
{
	static const char *const names[MSP_ENDPOINTS] = {
		[MSP_ENDPOINT_WIRESERVER] = "Wireserver",
		[MSP_ENDPOINT_IMDS] = "IMDS",
		[MSP_ENDPOINT_HOSTGA] = "HostGA",
	};
	const char *id = msp_keystatus_rule_id(status, endpoint);
	const char *old = set->rule_id[endpoint];
	char *copy;

	if (strcmp(old ? old : "", id) == 0)
		return;
	copy = strdup(id);
	if (!copy)
		return; /* said with the next status */
	mspd_log(MSPD_WARN, "%s rule id changed from '%s' to '%s'.",
		 names[endpoint], old ? old : "", id);
	free(set->rule_id[endpoint]);
	set->rule_id[endpoint] = copy;
}

/* What is wrong with an item counts while the channel is on. */
static const struct msp_error_info *
item_fault(const struct msp_keystatus *status, enum msp_endpoint endpoint)
{
	return msp_keystatus_enabled(status)
		       ? msp_keystatus_fault(status, endpoint)
		       : NULL;
}

/* The host's item, or its last good one. */
static void take_host(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		      const struct msp_keystatus *status)
{
	const struct msp_error_info *fault = item_fault(status, endpoint);
	const struct msp_profile *profile =
		msp_keystatus_profile(status, endpoint);

	if (fault) {
		note_fault(set, endpoint, fault);
		snprintf(set->bad[endpoint], sizeof(set->bad[endpoint]),
			 "line %u column %u, %.80s: %.128s", fault->line,
			 fault->column, fault->pointer, fault->text);
		return;
	}
	set->bad[endpoint][0] = '\0';
	msp_profile_free(set->host[endpoint]);
	set->host[endpoint] = profile ? msp_profile_ref(profile) : NULL;
}

/* The item in force could not be made (now): what is in force stays, and what
 * is not yet open does not open. */
static bool keep_or_close(struct mspd_ruleset *set, enum msp_endpoint endpoint)
{
	const struct msp_profile *host = set->host[endpoint];
	struct msp_profile *closed;
	bool changed;

	if (set->rules[endpoint])
		return false;
	if (msp_profile_closed(&closed, host) < 0)
		return close_endpoint(set, endpoint, msp_profile_id(host));
	changed = take_profile(set, endpoint, closed);
	msp_profile_free(closed);
	return changed;
}

/* The endpoint's item is bad, and never was good. The channel may have been
 * off meanwhile: back to the mode of what stays. */
static bool take_bad(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		     const struct msp_keystatus *status)
{
	enum msp_mode before = set->mode[endpoint];

	if (!set->rules[endpoint])
		return close_endpoint(set, endpoint,
				      msp_keystatus_rule_id(status, endpoint));
	set->mode[endpoint] = msp_rules_mode(set->rules[endpoint]);
	return set->mode[endpoint] != before;
}

/* What is in force of an item: 0 or -errno of mspd_localrules_take(). */
struct item {
	int rc;
	struct msp_profile *profile; /* owned; NULL: none */
};

static bool take_item(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		      const struct msp_keystatus *status,
		      const struct item *item)
{
	bool bad = item_fault(status, endpoint);
	const struct msp_profile *host = set->host[endpoint];
	enum msp_mode before = set->mode[endpoint];
	bool changed;

	if (bad && !host)
		return take_bad(set, endpoint, status);
	set->mode[endpoint] = bad ? msp_profile_mode(host)
				  : msp_keystatus_mode(status, endpoint);
	changed = set->mode[endpoint] != before;
	if (item->rc < 0)
		return keep_or_close(set, endpoint) || changed;
	if (item->profile)
		return take_profile(set, endpoint, item->profile) || changed;
	if (!set->rules[endpoint])
		return changed;
	mspd_log(MSPD_INFO, "%s: no rules any more",
		 msp_endpoint_name(endpoint));
	replace(set, endpoint, NULL, NULL);
	return true;
}

static struct item make_item(struct mspd_ruleset *set,
			     enum msp_endpoint endpoint, struct msp_time now)
{
	struct item item;

	item.rc = mspd_localrules_take(set->local, endpoint,
				       set->host[endpoint], now, &item.profile);
	return item;
}

/* HostGAPlugin is governed by what WireServer is, local file included (fix
 * Q19); the file is looked at once. */
static bool take_items(struct mspd_ruleset *set,
		       const struct msp_keystatus *status, struct msp_time now)
{
	struct item wireserver = make_item(set, MSP_ENDPOINT_WIRESERVER, now);
	struct item imds = make_item(set, MSP_ENDPOINT_IMDS, now);
	bool changed = false;
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		changed |=
			take_item(set, (enum msp_endpoint)i, status,
				  i == MSP_ENDPOINT_IMDS ? &imds : &wireserver);
	msp_profile_free(wireserver.profile);
	msp_profile_free(imds.profile);
	return changed;
}

static void note_local_faults(struct mspd_ruleset *set)
{
	const char *wireserver =
		mspd_localrules_fault(set->local, MSP_ENDPOINT_WIRESERVER);
	const char *imds = mspd_localrules_fault(set->local, MSP_ENDPOINT_IMDS);

	snprintf(set->local_fault, sizeof(set->local_fault), "%s%s%s",
		 wireserver, *wireserver && *imds ? " " : "", imds);
}

bool mspd_ruleset_update(struct mspd_ruleset *set,
			 const struct msp_keystatus *status,
			 struct msp_time now)
{
	char local_before[sizeof(set->local_fault)];
	char before[sizeof(set->fault)];
	bool changed;
	size_t i;

	memcpy(before, set->fault, sizeof(before));
	memcpy(local_before, set->local_fault, sizeof(local_before));
	set->fault[0] = '\0';
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		note_rule_id(set, (enum msp_endpoint)i, status);
		take_host(set, (enum msp_endpoint)i, status);
	}
	changed = take_items(set, status, now);
	note_local_faults(set);
	changed |= strcmp(local_before, set->local_fault) != 0;
	if (strcmp(before, set->fault) == 0)
		return changed;
	if (set->fault[0])
		mspd_log(MSPD_ERROR, "%s", set->fault);
	return true;
}

static enum mspd_rules_source source_of(const struct mspd_ruleset *set,
					enum msp_endpoint endpoint)
{
	const struct msp_profile *host = set->host[endpoint];
	bool local = false;

	if (!set->rules[endpoint])
		return MSPD_RULES_NONE;
	if (!set->profile[endpoint])
		return MSPD_RULES_CLOSED;
	if (set->bad[endpoint][0])
		return MSPD_RULES_LAST_GOOD;
	if (host && msp_profile_uses_local(&local, host) < 0)
		local = false;
	return local ? MSPD_RULES_LOCAL : MSPD_RULES_HOST;
}

static const char *fault_of(const struct mspd_ruleset *set,
			    enum msp_endpoint endpoint)
{
	/* HostGAPlugin is governed by what WireServer is */
	enum msp_endpoint file = endpoint == MSP_ENDPOINT_IMDS
					 ? endpoint
					 : MSP_ENDPOINT_WIRESERVER;

	if (set->bad[endpoint][0])
		return set->bad[endpoint];
	return set->local ? mspd_localrules_fault(set->local, file) : "";
}

void mspd_ruleset_describe(const struct mspd_ruleset *set,
			   struct mspd_policy *policy,
			   enum msp_endpoint endpoint)
{
	const struct msp_profile *host = set->host[endpoint];
	const char *fault = fault_of(set, endpoint);

	policy->source[endpoint] = source_of(set, endpoint);
	policy->host[endpoint] = host ? msp_profile_ref(host) : NULL;
	policy->fault[endpoint] = *fault ? strdup(fault) : NULL;
}

uint64_t mspd_ruleset_deadline(const struct mspd_ruleset *set)
{
	return mspd_localrules_deadline(set->local);
}

void mspd_ruleset_close(struct mspd_ruleset *set)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		replace(set, i, NULL, NULL);
		msp_profile_free(set->host[i]);
		set->host[i] = NULL;
		free(set->rule_id[i]);
		set->rule_id[i] = NULL;
	}
	mspd_localrules_free(set->local);
	set->local = NULL;
}
