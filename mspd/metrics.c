/* SPDX-License-Identifier: MIT */
/*
 * In: the rooms of the agent. Out: its metrics as text. Must never show a name
 * that a caller or the host has chosen.
 */
#include "mspd/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mspd/process.h"
#include "mspd/seccomp.h"

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One without labels. */
static void put(FILE *f, const char *name, const char *type, const char *help,
		int64_t value)
{
	head(f, name, type, help);
	fprintf(f, "%s %" PRId64 "\n", name, value);
}

/* ---- requests ---------------------------------------------------------- */

static void put_requests(FILE *f, const struct mspd_meter *m)
{
	unsigned int e, v, r;

	head(f, "mspd_requests_total", "counter",
	     "Requests that were answered, or given up.");
	for (e = 0; e < MSPD_METER_ENDPOINTS; e++)
		for (v = 0; v < MSPD_METER_VERDICTS; v++)
			for (r = 0; r < MSPD_METER_REASONS; r++)
				if (m->requests[e][v][r])
					fprintf(f,
						"mspd_requests_total{"
						"endpoint=\"%s\",verdict="
						"\"%s\",reason=\"%s\"} %" PRIu64
						"\n",
						mspd_meter_endpoint_name(e),
						mspd_meter_verdict_name(v),
						mspd_meter_reason_name(r),
						m->requests[e][v][r]);
}

static void put_seconds(FILE *f, uint64_t us)
{
	fprintf(f, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

static void put_stage(FILE *f, const struct mspd_histogram *h,
		      const char *stage)
{
	uint64_t count = 0;
	unsigned int i;

	for (i = 0; i <= MSPD_METER_BOUNDS; i++) {
		count += h->bucket[i];
		fprintf(f, "mspd_request_seconds_bucket{stage=\"%s\",le=\"",
			stage);
		if (i < MSPD_METER_BOUNDS)
			put_seconds(f, mspd_meter_bound(i));
		else
			fputs("+Inf", f);
		fprintf(f, "\"} %" PRIu64 "\n", count);
	}
	fprintf(f, "mspd_request_seconds_sum{stage=\"%s\"} ", stage);
	put_seconds(f, h->sum_us);
	fprintf(f, "\nmspd_request_seconds_count{stage=\"%s\"} %" PRIu64 "\n",
		stage, count);
}

static void put_stages(FILE *f, const struct mspd_meter *m)
{
	unsigned int i;

	head(f, "mspd_request_seconds", "histogram",
	     "How long requests took, by stage.");
	for (i = 0; i < MSPD_METER_STAGES; i++)
		put_stage(f, &m->stages[i], mspd_meter_stage_name(i));
}

/* ---- connections, identity channel ------------------------------------- */

static void put_connections(FILE *f, const struct mspd_sight *s)
{
	struct mspd_door_counts n;

	if (!s->server)
		return;
	mspd_server_counts(s->server, &n);
	put(f, "mspd_connections", "gauge", "Connections of clients now.",
	    mspd_server_connections(s->server));
	put(f, "mspd_connections_admitted_total", "counter",
	    "Connections that were taken in.", (int64_t)n.admitted);
	head(f, "mspd_connections_refused_total", "counter",
	     "Connections that were closed for want of a place.");
	fprintf(f,
		"mspd_connections_refused_total{cause=\"share\"} %" PRIu64
		"\nmspd_connections_refused_total{cause=\"full\"} %" PRIu64
		"\n",
		n.refused_share, n.refused_full);
	put(f, "mspd_connections_evicted_total", "counter",
	    "Connections that were closed for others.", (int64_t)n.evicted);
}

static void put_identity(FILE *f, const struct mspd_sight *s)
{
	size_t i;

	head(f, "mspd_identity_total", "counter",
	     "What the identity channel in the kernel did.");
	for (i = 0; i < MSP_COUNTERS; i++)
		fprintf(f, "mspd_identity_total{result=\"%s\"} %" PRIu64 "\n",
			mspd_sight_counters[i].name,
			msp_redirect_count(s->identities->redirect,
					   mspd_sight_counters[i].counter));
}

static void put_programs(FILE *f, const struct mspd_sight *s)
{
	unsigned int bits = msp_redirect_detached(s->identities->redirect);

	put(f, "mspd_programs_detached", "gauge",
	    "Programs that somebody has detached.", __builtin_popcount(bits));
	put(f, "mspd_programs_attached_again_total", "counter",
	    "Programs that were attached again.",
	    s->keeper ? (int64_t)mspd_keeper_mended(s->keeper) : 0);
}

/* ---- key, rules, host -------------------------------------------------- */

static void put_key(FILE *f, const struct mspd_sight *s,
		    const struct mspd_policy *p)
{
	struct mspd_sight_key key;

	mspd_sight_key(s, p, &key);
	put(f, "mspd_key_present", "gauge", "Is there a key to sign with?",
	    key.present);
	if (key.has_age)
		put(f, "mspd_key_age_seconds", "gauge",
		    "Since the key was stored.", (int64_t)key.age_s);
}

static void put_rules(FILE *f, const struct mspd_policy *p)
{
	unsigned int i;

	head(f, "mspd_rules_epoch", "gauge",
	     "Number of the rules in force, 0 without rules.");
	for (i = 0; p && i < MSP_ENDPOINTS; i++)
		fprintf(f, "mspd_rules_epoch{endpoint=\"%s\"} %" PRIu64 "\n",
			mspd_meter_endpoint_name(i),
			p->rules[i] ? msp_rules_epoch(p->rules[i]) : 0);
	head(f, "mspd_rules_fault", "gauge",
	     "Are the newest rules not valid, so that others are in force?");
	for (i = 0; p && i < MSP_ENDPOINTS; i++)
		fprintf(f, "mspd_rules_fault{endpoint=\"%s\"} %d\n",
			mspd_meter_endpoint_name(i), p->fault[i] != NULL);
}

static void put_host(FILE *f, const struct mspd_sight *s,
		     const struct mspd_contact *contact)
{
	uint64_t age;
	int64_t skew;
	unsigned int i;

	if (mspd_sight_contact_age(contact, mspd_loop_now(s->loop), &age))
		put(f, "mspd_host_contact_age_seconds", "gauge",
		    "Since the key channel was last answered.", (int64_t)age);
	put(f, "mspd_host_failing", "gauge",
	    "Did the last call of the key channel fail?",
	    contact->failure[0] != '\0');
	put(f, "mspd_key_channel_errors_total", "counter",
	    "Calls of the key channel that failed.",
	    (int64_t)contact->failures);
	if (mspd_sight_skew(s, &skew))
		put(f, "mspd_host_clock_skew_seconds", "gauge",
		    "How far the host's clock is ahead.", skew);
	head(f, "mspd_host_errors_total", "counter",
	     "Requests that the host did not answer properly.");
	for (i = 0; i < MSP_ENDPOINTS; i++)
		fprintf(f,
			"mspd_host_errors_total{endpoint=\"%s\"} %" PRIu64 "\n",
			mspd_meter_endpoint_name(i), s->meter->host_errors[i]);
}

/* ---- the agent --------------------------------------------------------- */

static void put_agent(FILE *f, const struct mspd_sight *s,
		      const struct mspd_contact *contact)
{
	uint64_t pss = mspd_process_pss();

	head(f, "mspd_info", "gauge", "Always 1.");
	fprintf(f, "mspd_info{version=\"%s\"} 1\n", msp_version());
	put(f, "mspd_healthy", "gauge", "Does everything work that has to?",
	    mspd_sight_healthy(s, contact));
	put(f, "mspd_start_time_seconds", "gauge",
	    "When it was started, since 1970.",
	    mspd_sight_started(s));
	put(f, "mspd_audit_queue_bytes", "gauge",
	    "Records that are not on file yet.",
	    (int64_t)mspd_audit_queue(s->audit));
	put(f, "mspd_audit_failed", "gauge",
	    "Did the last attempt to write the audit trail fail?",
	    mspd_audit_failed(s->audit));
	put(f, "mspd_confined", "gauge",
	    "Is all that is not needed given away, and refused?",
	    !s->unconfined[0]);
	put(f, "mspd_forbidden_syscalls_total", "counter",
	    "System calls that are none of the agent's, and were refused.",
	    (int64_t)mspd_seccomp_forbidden());
	if (pss)
		put(f, "mspd_memory_pss_bytes", "gauge",
		    "Memory, with its share of what others use, too.",
		    (int64_t)pss);
}

int mspd_metrics_text(const struct mspd_sight *sight, char **text, size_t *len)
{
	struct mspd_policy *policy = NULL;
	struct mspd_contact contact;
	FILE *f = open_memstream(text, len);

	if (!f)
		return -ENOMEM;
	mspd_policy_refresh(sight->policies, &policy);
	mspd_policy_get_contact(sight->policies, &contact);
	put_agent(f, sight, &contact);
	put_requests(f, sight->meter);
	put_stages(f, sight->meter);
	put_connections(f, sight);
	put_identity(f, sight);
	put_programs(f, sight);
	put_key(f, sight, policy);
	put_rules(f, policy);
	put_host(f, sight, &contact);
	mspd_policy_free(policy);
	if (fclose(f) == 0)
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}
