/* SPDX-License-Identifier: MIT */
/*
 * In: a status document. Out: compiled rules for the endpoints whose item has
 * changed. Must never let a bad item open an endpoint.
 */
#include "mspd/ruleset.h"

#include <stdio.h>
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
}

static void log_findings(enum msp_endpoint endpoint,
			 const struct msp_profile *profile)
{
	const struct msp_finding *finding;
	size_t i;

	for (i = 0; (finding = msp_profile_finding(profile, i)); i++)
		mspd_log(MSPD_WARN, "%s rules: %s: %s",
			 msp_endpoint_name(endpoint), finding->pointer,
			 finding->text);
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

static bool take_fault(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		       const struct msp_keystatus *status,
		       const struct msp_error_info *fault)
{
	enum msp_mode before = set->mode[endpoint];

	note_fault(set, endpoint, fault);
	if (!set->rules[endpoint])
		return close_endpoint(set, endpoint,
				      msp_keystatus_rule_id(status, endpoint));
	/* the channel may have been off meanwhile: back to what was good */
	set->mode[endpoint] = msp_rules_mode(set->rules[endpoint]);
	return set->mode[endpoint] != before;
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
	log_findings(endpoint, profile);
	return true;
}

static bool take_item(struct mspd_ruleset *set, enum msp_endpoint endpoint,
		      const struct msp_keystatus *status)
{
	const struct msp_error_info *fault =
		msp_keystatus_fault(status, endpoint);
	const struct msp_profile *profile =
		msp_keystatus_profile(status, endpoint);
	enum msp_mode mode = msp_keystatus_mode(status, endpoint);
	bool changed = mode != set->mode[endpoint];

	if (fault && msp_keystatus_enabled(status))
		return take_fault(set, endpoint, status, fault);
	set->mode[endpoint] = mode;
	if (profile)
		return take_profile(set, endpoint, profile) || changed;
	if (set->rules[endpoint]) {
		mspd_log(MSPD_INFO, "%s: no rules any more",
			 msp_endpoint_name(endpoint));
		replace(set, endpoint, NULL, NULL);
		changed = true;
	}
	return changed;
}

bool mspd_ruleset_update(struct mspd_ruleset *set,
			 const struct msp_keystatus *status)
{
	char before[sizeof(set->fault)];
	bool changed = false;
	size_t i;

	memcpy(before, set->fault, sizeof(before));
	set->fault[0] = '\0';
	for (i = 0; i < MSP_ENDPOINTS; i++)
		changed |= take_item(set, (enum msp_endpoint)i, status);
	if (strcmp(before, set->fault) == 0)
		return changed;
	if (set->fault[0])
		mspd_log(MSPD_ERROR, "%s", set->fault);
	return true;
}

void mspd_ruleset_close(struct mspd_ruleset *set)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		replace(set, i, NULL, NULL);
}
