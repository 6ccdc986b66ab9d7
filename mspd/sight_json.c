/* SPDX-License-Identifier: MIT */
/*
 * In: the rooms of the agent. Out: the answer to `status` of the control
 * socket. Must never show a key, nor a value that a caller sent in a query.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mspd/grants.h"
#include "mspd/json_put.h"
#include "mspd/json_text.h"
#include "mspd/process.h"
#include "mspd/seccomp.h"
#include "mspd/sight.h"
#include "mspd/text.h"

#define FINDINGS 10
/* Of a finding, in bytes. */
#define FINDING_TEXT 256
#define TIME_TEXT    32
/* Whose names are long cannot make the whole too long: so much of it may there
 * be before one more of them is told of, who takes less than the rest. */
#define CALLERS_TEXT (52 * 1024)

static void put_text(yajl_gen gen, const char *name, const char *value)
{
	mspd_json_put(gen, name);
	mspd_json_put(gen, value);
}

/* NULL: absent. */
static void put_known(yajl_gen gen, const char *name, const char *value)
{
	if (value && *value)
		put_text(gen, name, value);
}

static void put_number(yajl_gen gen, const char *name, uint64_t value)
{
	mspd_json_put(gen, name);
	yajl_gen_integer(gen, (long long)value);
}

static void put_bool(yajl_gen gen, const char *name, bool value)
{
	mspd_json_put(gen, name);
	yajl_gen_bool(gen, value);
}

static void put_time(yajl_gen gen, const char *name, int64_t wall_s)
{
	time_t at = (time_t)wall_s;
	char text[TIME_TEXT];
	struct tm tm;

	if (gmtime_r(&at, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		put_text(gen, name, text);
}

static void open_map(yajl_gen gen, const char *name)
{
	mspd_json_put(gen, name);
	yajl_gen_map_open(gen);
}

/* ---- the agent --------------------------------------------------------- */

static void put_agent(yajl_gen gen, const struct mspd_sight *s,
		      const struct mspd_contact *contact)
{
	uint64_t up = mspd_status_elapsed_ms(s->status) / 1000;
	char message[512] = "";

	put_text(gen, "version", msp_version());
	put_number(gen, "pid", (uint64_t)getpid());
	put_time(gen, "startedAt", mspd_sight_started(s));
	put_number(gen, "uptimeSeconds", up);
	put_text(gen, "state",
		 mspd_status_success(s->status) ? "SUCCESS" : "ERROR");
	s->describe(s->describe_arg, message, sizeof(message));
	put_text(gen, "message", message);
	put_bool(gen, "healthy", mspd_sight_healthy(s, contact));
}

/* ---- endpoints --------------------------------------------------------- */

static const char *mode_name(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_ENFORCE:
		return "enforce";
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_DISABLED:
		break;
	}
	return "disabled";
}

static const char *redirection_name(enum msp_redirect_state state)
{
	switch (state) {
	case MSP_REDIRECT_ENFORCE:
		return "enforce";
	case MSP_REDIRECT_AUDIT:
		return "audit";
	case MSP_REDIRECT_OFF:
		break;
	}
	return "off";
}

static void put_finding(yajl_gen gen, const struct msp_finding *f)
{
	char text[FINDING_TEXT];
	struct mspd_text out;

	mspd_text_init(&out, text, sizeof(text));
	mspd_text_clean(&out, f->pointer, strlen(f->pointer));
	mspd_text_put(&out, ": ");
	mspd_text_clean(&out, f->text, strlen(f->text));
	mspd_json_put(gen, text);
}

static void put_findings(yajl_gen gen, const struct mspd_policy *p, size_t i)
{
	const struct msp_findings *list =
		p->host[i] ? msp_profile_findings(p->host[i]) : NULL;
	size_t errors = msp_findings_errors(list) + (p->fault[i] != NULL);
	const struct msp_finding *f;
	size_t warnings = 0, k;

	for (k = 0; (f = msp_findings_get(list, k)); k++)
		warnings += f->severity == MSP_SEVERITY_WARNING;
	open_map(gen, "findings");
	put_number(gen, "errors", errors);
	put_number(gen, "warnings", warnings);
	mspd_json_put(gen, "texts");
	yajl_gen_array_open(gen);
	if (p->fault[i])
		mspd_json_put(gen, p->fault[i]);
	for (k = p->fault[i] != NULL; k < FINDINGS; k++) {
		f = msp_findings_get(list, k - (p->fault[i] != NULL));
		if (!f)
			break;
		put_finding(gen, f);
	}
	yajl_gen_array_close(gen);
	yajl_gen_map_close(gen);
}

static void put_rules(yajl_gen gen, const struct mspd_policy *p, size_t i)
{
	const struct msp_rules *rules = p->rules[i];

	open_map(gen, "rules");
	if (rules)
		put_text(gen, "id", msp_rules_id(rules));
	put_number(gen, "epoch", rules ? msp_rules_epoch(rules) : 0);
	put_text(gen, "source", mspd_rules_source_name(p->source[i]));
	put_findings(gen, p, i);
	yajl_gen_map_close(gen);
}

static void put_endpoints(yajl_gen gen, const struct mspd_sight *s,
			  const struct mspd_policy *p)
{
	unsigned int i;

	mspd_json_put(gen, "endpoints");
	yajl_gen_array_open(gen);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		yajl_gen_map_open(gen);
		put_text(gen, "name", mspd_meter_endpoint_name(i));
		if (p)
			put_text(gen, "mode", mode_name(p->mode[i]));
		put_text(gen, "redirection",
			 redirection_name(
				 msp_redirect_get(s->identities->redirect,
						  (enum msp_endpoint)i)));
		if (p)
			put_rules(gen, p, i);
		yajl_gen_map_close(gen);
	}
	yajl_gen_array_close(gen);
}

/* ---- key, identity channel, host --------------------------------------- */

static void put_key(yajl_gen gen, const struct mspd_sight *s,
		    const struct mspd_policy *p)
{
	struct mspd_sight_key key;

	mspd_sight_key(s, p, &key);
	open_map(gen, "key");
	put_bool(gen, "present", key.present);
	put_known(gen, "guid", key.guid);
	if (key.has_age)
		put_number(gen, "ageSeconds", key.age_s);
	if (key.has_incarnation)
		put_number(gen, "incarnation", key.incarnation);
	put_known(gen, "stored", key.stored);
	yajl_gen_map_close(gen);
}

static void put_identity(yajl_gen gen, const struct mspd_sight *s)
{
	size_t i;

	open_map(gen, "identity");
	for (i = 0; i < MSP_COUNTERS; i++)
		put_number(gen, mspd_sight_counters[i].name,
			   msp_redirect_count(s->identities->redirect,
					      mspd_sight_counters[i].counter));
	yajl_gen_map_close(gen);
}

static void put_host(yajl_gen gen, const struct mspd_sight *s,
		     const struct mspd_contact *contact)
{
	struct msp_time now = mspd_loop_now(s->loop);
	uint64_t age;
	int64_t skew;

	open_map(gen, "host");
	if (mspd_sight_contact_age(contact, now, &age)) {
		put_time(gen, "lastContact", contact->wall_s);
		put_number(gen, "ageSeconds", age);
	}
	put_known(gen, "failure", contact->failure);
	if (mspd_sight_skew(s, &skew)) {
		mspd_json_put(gen, "clockSkewSeconds");
		yajl_gen_integer(gen, skew);
	}
	yajl_gen_map_close(gen);
}

/* ---- requests ---------------------------------------------------------- */

static void put_counts(yajl_gen gen, const char *name,
		       const struct mspd_meter_counts *counts)
{
	open_map(gen, name);
	put_number(gen, "allowed", counts->n[MSPD_METER_ALLOW]);
	put_number(gen, "audited", counts->n[MSPD_METER_AUDIT]);
	put_number(gen, "denied", counts->n[MSPD_METER_DENY]);
	put_number(gen, "failed", counts->n[MSPD_METER_ERROR]);
	yajl_gen_map_close(gen);
}

static void put_requests(yajl_gen gen, const struct mspd_sight *s)
{
	uint64_t now = mspd_loop_now(s->loop).boot_ms;
	struct mspd_meter_counts counts;

	open_map(gen, "requests");
	mspd_meter_minute(s->meter, now, &counts);
	put_counts(gen, "minute", &counts);
	mspd_meter_hour(s->meter, now, &counts);
	put_counts(gen, "hour", &counts);
	mspd_meter_total(s->meter, &counts);
	put_counts(gen, "total", &counts);
	yajl_gen_map_close(gen);
}

/* To go through the rules takes too long for here. */
static const char *allow_of(const struct mspd_refused_entry *e,
			    const struct msp_rules *rules,
			    char out[MSPD_REFUSED_ALLOW])
{
	if (rules && mspd_refused_by_rules(e))
		return mspd_refused_kept(e, rules);
	mspd_refused_allow(e, NULL, out);
	return out;
}

static void put_caller(yajl_gen gen, const struct mspd_refused_entry *e,
		       const struct mspd_policy *p)
{
	char allow[MSPD_REFUSED_ALLOW];
	unsigned int endpoint =
		e->endpoint < 0 ? MSP_ENDPOINTS : (unsigned int)e->endpoint;
	const struct msp_rules *rules =
		p && e->endpoint >= 0 ? p->rules[endpoint] : NULL;

	yajl_gen_map_open(gen);
	put_known(gen, "user", mspd_refused_user(e));
	if (e->known)
		put_number(gen, "uid", e->caller.uid);
	put_known(gen, "exe", e->caller.exe_path);
	put_text(gen, "endpoint", mspd_meter_endpoint_name(endpoint));
	put_text(gen, "method", e->method);
	put_text(gen, "path", e->path);
	put_text(gen, "reason", mspd_meter_reason_name(e->reason));
	put_number(gen, "count", e->count);
	put_time(gen, "last", e->last);
	put_known(gen, "allow", allow_of(e, rules, allow));
	yajl_gen_map_close(gen);
}

static void put_refused(struct mspd_json_text *text, const struct mspd_sight *s,
			const struct mspd_policy *p)
{
	const struct mspd_refused_entry *top[MSPD_GRANTS_CALLERS];
	size_t n = mspd_refused_top(s->refused, top, MSPD_GRANTS_CALLERS);
	size_t i;

	mspd_json_put(text->gen, "refused");
	yajl_gen_array_open(text->gen);
	for (i = 0; i < n && text->len <= CALLERS_TEXT; i++)
		put_caller(text->gen, top[i], p);
	yajl_gen_array_close(text->gen);
}

/* ---- the rest ---------------------------------------------------------- */

static void put_connections(yajl_gen gen, const struct mspd_sight *s)
{
	struct mspd_door_counts n;

	if (!s->server)
		return;
	mspd_server_counts(s->server, &n);
	open_map(gen, "connections");
	put_number(gen, "open", mspd_server_connections(s->server));
	put_number(gen, "refusedOverShare", n.refused_share);
	put_number(gen, "refusedFull", n.refused_full);
	put_number(gen, "evicted", n.evicted);
	yajl_gen_map_close(gen);
}

static void put_audit(yajl_gen gen, const struct mspd_sight *s)
{
	int err = atomic_load(&s->audit_error);

	open_map(gen, "audit");
	put_number(gen, "queueBytes", mspd_audit_queue(s->audit));
	put_bool(gen, "failed", mspd_audit_failed(s->audit));
	if (err)
		put_text(gen, "lastError", strerrordesc_np(err));
	yajl_gen_map_close(gen);
}

static void put_process(yajl_gen gen, const struct mspd_sight *s)
{
	uint64_t pss = mspd_process_pss();

	open_map(gen, "memory");
	if (pss)
		put_number(gen, "pssBytes", pss);
	yajl_gen_map_close(gen);
	open_map(gen, "privileges");
	put_number(gen, "forbiddenSyscalls", mspd_seccomp_forbidden());
	put_bool(gen, "confined", !s->unconfined[0]);
	put_known(gen, "cause", s->unconfined);
	yajl_gen_map_close(gen);
	open_map(gen, "programs");
	put_number(gen, "detached",
		   (uint64_t)__builtin_popcount(
			   msp_redirect_detached(s->identities->redirect)));
	put_number(gen, "attachedAgain",
		   s->keeper ? mspd_keeper_mended(s->keeper) : 0);
	yajl_gen_map_close(gen);
	open_map(gen, "restart");
	put_bool(gen, "takenOver", s->taken_over);
	yajl_gen_map_close(gen);
}

static void put_all(struct mspd_json_text *text, const struct mspd_sight *s,
		    const struct mspd_policy *p)
{
	struct mspd_contact contact;
	yajl_gen gen = text->gen;

	mspd_policy_get_contact(s->policies, &contact);
	yajl_gen_map_open(gen);
	put_agent(gen, s, &contact);
	put_endpoints(gen, s, p);
	put_key(gen, s, p);
	put_identity(gen, s);
	put_host(gen, s, &contact);
	put_requests(gen, s);
	put_connections(gen, s);
	put_audit(gen, s);
	put_process(gen, s);
	put_refused(text, s, p);
	yajl_gen_map_close(gen);
}

int mspd_sight_json(const struct mspd_sight *sight, char **text, size_t *len)
{
	struct mspd_policy *policy = NULL;
	struct mspd_json_text json;
	int rc = mspd_json_text_open(&json);

	*text = NULL;
	*len = 0;
	if (rc == 0) {
		mspd_policy_refresh(sight->policies, &policy);
		put_all(&json, sight, policy);
		mspd_policy_free(policy);
		rc = mspd_json_text_take(&json, "\n", text, len);
	}
	mspd_json_text_close(&json);
	return rc;
}
