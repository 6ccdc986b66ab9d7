/* SPDX-License-Identifier: MIT */
/*
 * In: what the agent says of itself, any of which may be absent. Out: one
 * screen of it. Must never make something of what is absent.
 */
#include "mspd/ctl/status.h"

#include <inttypes.h>
#include <string.h>

/* Of the rules of one endpoint. */
#define FINDINGS 3

void ctl_status_age(char out[CTL_AGE], int64_t seconds)
{
	const int64_t minutes = seconds / 60;
	const int64_t hours = minutes / 60;

	if (seconds < 0)
		snprintf(out, CTL_AGE, "-");
	else if (minutes < 1)
		snprintf(out, CTL_AGE, "%" PRId64 " s", seconds);
	else if (hours < 1)
		snprintf(out, CTL_AGE, "%" PRId64 " min", minutes);
	else if (hours < 48)
		snprintf(out, CTL_AGE, "%" PRId64 " h %" PRId64 " min", hours,
			 minutes % 60);
	else
		snprintf(out, CTL_AGE, "%" PRId64 " d %" PRId64 " h",
			 hours / 24, hours % 24);
}

int64_t ctl_status_number(yajl_val from, const char *name)
{
	int64_t value = 0;

	ctl_json_number(from, name, &value);
	return value;
}

static void begin(struct ctl_screen *s, const char *name)
{
	ctl_screen_put(s, CTL_HEAD, name);
	ctl_screen_to(s, CTL_STATUS_BODY);
}

static void blank(struct ctl_screen *s)
{
	ctl_screen_end(s);
}

/* "3 failed": in a colour if there are any. */
static void count(struct ctl_screen *s, enum ctl_ink ink, int64_t n,
		  const char *words)
{
	ctl_screen_say(s, n ? ink : CTL_PLAIN, "%" PRId64 "%s", n, words);
}

/* ---- endpoints --------------------------------------------------------- */

static enum ctl_ink ink_of_source(const char *source)
{
	if (!source || !strcmp(source, "none"))
		return CTL_PLAIN;
	if (!strcmp(source, "closed"))
		return CTL_BAD;
	return strcmp(source, "last good") ? CTL_PLAIN : CTL_DOUBTFUL;
}

static void show_findings(struct ctl_screen *s, yajl_val findings)
{
	const int64_t errors = ctl_status_number(findings, "errors");
	const int64_t warnings = ctl_status_number(findings, "warnings");
	yajl_val texts = ctl_json_get(findings, "texts");
	size_t i;

	if (!errors && !warnings)
		return;
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_say(s, errors ? CTL_BAD : CTL_DOUBTFUL,
		       "rules: %" PRId64 " %s, %" PRId64 " %s", errors,
		       errors == 1 ? "error" : "errors", warnings,
		       warnings == 1 ? "warning" : "warnings");
	ctl_screen_end(s);
	for (i = 0; i < ctl_json_length(texts) && i < FINDINGS; i++) {
		yajl_val text = ctl_json_at(texts, i);

		ctl_screen_to(s, CTL_STATUS_BODY + 2);
		ctl_screen_put(s, CTL_PLAIN, YAJL_GET_STRING(text));
		ctl_screen_end(s);
	}
}

static void show_endpoint(struct ctl_screen *s, yajl_val e)
{
	yajl_val rules = ctl_json_get(e, "rules");
	const char *source = ctl_json_text(rules, "source");
	const char *id = ctl_json_text(rules, "id");
	char epoch[24];
	int64_t n;

	snprintf(epoch, sizeof(epoch), "-");
	if (ctl_json_number(rules, "epoch", &n) && n)
		snprintf(epoch, sizeof(epoch), "%" PRId64, n);
	ctl_screen_cell(s, CTL_PLAIN, 10, ctl_json_text(e, "name"));
	ctl_screen_cell(s, CTL_PLAIN, 8, ctl_json_text(e, "mode"));
	ctl_screen_cell(s, CTL_PLAIN, 11, ctl_json_text(e, "redirection"));
	ctl_screen_cell(s, ink_of_source(source), 10, source);
	ctl_screen_cell(s, CTL_PLAIN, 5, epoch);
	if (ctl_screen_fits(s, id)) {
		ctl_screen_put(s, CTL_PLAIN, id);
		ctl_screen_end(s);
	} else { /* a resource's is longer than any terminal is wide */
		ctl_screen_end(s);
		ctl_screen_wrap(s, CTL_PLAIN, id, CTL_STATUS_BODY, 3);
	}
	show_findings(s, ctl_json_get(rules, "findings"));
}

static void show_endpoints(struct ctl_screen *s, yajl_val d)
{
	yajl_val list = ctl_json_get(d, "endpoints");
	size_t i;

	ctl_screen_cell(s, CTL_HEAD, 10, "endpoint");
	ctl_screen_cell(s, CTL_HEAD, 8, "mode");
	ctl_screen_cell(s, CTL_HEAD, 11, "redirection");
	ctl_screen_cell(s, CTL_HEAD, 10, "rules of");
	ctl_screen_cell(s, CTL_HEAD, 5, "epoch");
	ctl_screen_put(s, CTL_HEAD, "id");
	ctl_screen_end(s);
	for (i = 0; i < ctl_json_length(list); i++)
		show_endpoint(s, ctl_json_at(list, i));
}

/* ---- key, host, identity channel --------------------------------------- */

static void show_key(struct ctl_screen *s, yajl_val d)
{
	yajl_val key = ctl_json_get(d, "key");
	char age[CTL_AGE];
	int64_t n;

	begin(s, "key");
	if (!ctl_json_true(key, "present")) {
		ctl_screen_put(s, CTL_DOUBTFUL, "none");
		ctl_screen_end(s);
		return;
	}
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(key, "guid"));
	if (ctl_json_number(key, "incarnation", &n))
		ctl_screen_say(s, CTL_PLAIN, ", incarnation %" PRId64, n);
	if (ctl_json_number(key, "ageSeconds", &n)) {
		ctl_status_age(age, n);
		ctl_screen_say(s, CTL_PLAIN, ", %s old", age);
	}
	ctl_screen_end(s);
	ctl_screen_to(s, CTL_STATUS_BODY);
	if (ctl_json_text(key, "stored"))
		ctl_screen_path(s, CTL_PLAIN, ctl_json_text(key, "stored"));
	else
		ctl_screen_put(s, CTL_BAD, "in memory only");
	ctl_screen_end(s);
}

static void show_host(struct ctl_screen *s, yajl_val d)
{
	yajl_val host = ctl_json_get(d, "host");
	const char *failure = ctl_json_text(host, "failure");
	char age[CTL_AGE];
	int64_t n;

	begin(s, "host");
	if (ctl_json_number(host, "ageSeconds", &n)) {
		ctl_status_age(age, n);
		ctl_screen_say(s, failure ? CTL_BAD : CTL_PLAIN,
			       "answered %s ago", age);
	} else {
		ctl_screen_put(s, CTL_BAD, "has not answered");
	}
	if (ctl_json_number(host, "clockSkewSeconds", &n))
		ctl_screen_say(s, n > 60 || n < -60 ? CTL_DOUBTFUL : CTL_PLAIN,
			       ", its clock is %" PRId64 " s %s",
			       n < 0 ? -n : n, n < 0 ? "behind" : "ahead");
	ctl_screen_end(s);
}

/* Some of the counters: how many, and which of them have any. */
struct tally {
	int64_t sum;
	struct ctl_text of;
};

static void add_up(struct tally *out, yajl_val from, const char *const *names)
{
	int64_t n;

	for (; *names; names++) {
		n = ctl_status_number(from, *names);
		if (!n)
			continue;
		out->sum += n;
		ctl_put(&out->of, out->of.len ? ", " : " (");
		ctl_put_number(&out->of, (uint64_t)n);
		ctl_put(&out->of, " ");
		ctl_put(&out->of, *names);
	}
	if (out->of.len)
		ctl_put(&out->of, ")");
}

static void show_tally(struct ctl_screen *s, yajl_val from, enum ctl_ink ink,
		       const char *words, const char *const *names)
{
	struct tally tally = { 0 };

	add_up(&tally, from, names);
	count(s, ink, tally.sum, words);
	if (tally.of.at)
		ctl_screen_put(s, CTL_PLAIN, tally.of.at);
	ctl_text_free(&tally.of);
}

static void show_identity(struct ctl_screen *s, yajl_val d)
{
	/* a client that has closed already is nothing out of the ordinary */
	static const char *const misses[] = { "closed",	 "notConnected",
					      "notOurs", "notPeers",
					      "noFacts", "otherPids",
					      "failed",	 NULL };
	static const char *const refused[] = { "noStorage", "bindDenied",
					       "deviceDenied", NULL };
	yajl_val c = ctl_json_get(d, "identity");

	begin(s, "identity");
	ctl_screen_say(s, CTL_PLAIN, "%" PRId64 " hits, ",
		       ctl_status_number(c, "found"));
	show_tally(s, c, CTL_DOUBTFUL, " misses", misses);
	ctl_screen_put(s, CTL_PLAIN, ", ");
	show_tally(s, c, CTL_DOUBTFUL, " refused", refused);
	ctl_screen_end(s);
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_say(s, CTL_PLAIN,
		       "%" PRId64 " redirected, %" PRId64
		       " direct; other namespaces: ",
		       ctl_status_number(c, "redirected"),
		       ctl_status_number(c, "direct"));
	count(s, CTL_DOUBTFUL, ctl_status_number(c, "foreignDenied"),
	      " refused, ");
	count(s, CTL_DOUBTFUL, ctl_status_number(c, "foreignPassed"),
	      " passed");
	ctl_screen_end(s);
}

/* ---- the rest of the agent --------------------------------------------- */

static void show_connections(struct ctl_screen *s, yajl_val d)
{
	yajl_val c = ctl_json_get(d, "connections");

	begin(s, "clients");
	ctl_screen_say(s, CTL_PLAIN, "%" PRId64 " connected, ",
		       ctl_status_number(c, "open"));
	count(s, CTL_DOUBTFUL, ctl_status_number(c, "refusedOverShare"),
	      " over their share, ");
	count(s, CTL_DOUBTFUL, ctl_status_number(c, "refusedFull"),
	      " too many, ");
	count(s, CTL_DOUBTFUL, ctl_status_number(c, "evicted"), " evicted");
	ctl_screen_end(s);
}

static void show_audit(struct ctl_screen *s, yajl_val d)
{
	yajl_val audit = ctl_json_get(d, "audit");
	const char *error = ctl_json_text(audit, "lastError");

	begin(s, "audit");
	if (ctl_json_true(audit, "failed"))
		ctl_screen_put(s, CTL_BAD, "cannot be written");
	else
		ctl_screen_put(s, CTL_PLAIN, "written");
	ctl_screen_say(s, CTL_PLAIN, ", %" PRId64 " bytes to go",
		       ctl_status_number(audit, "queueBytes"));
	if (error)
		ctl_screen_say(s, CTL_DOUBTFUL, ", last error: %s", error);
	ctl_screen_end(s);
}

static void show_process(struct ctl_screen *s, yajl_val d)
{
	yajl_val privileges = ctl_json_get(d, "privileges");
	const char *cause = ctl_json_text(privileges, "cause");
	int64_t n;

	begin(s, "process");
	if (ctl_json_number(ctl_json_get(d, "memory"), "pssBytes", &n))
		ctl_screen_say(s, CTL_PLAIN,
			       "%" PRId64 ".%" PRId64 " MB of memory, ",
			       n / 1000000, n / 100000 % 10);
	count(s, CTL_BAD, ctl_status_number(privileges, "forbiddenSyscalls"),
	      " forbidden system calls");
	ctl_screen_end(s);
	if (cause) {
		ctl_screen_to(s, CTL_STATUS_BODY);
		ctl_screen_put(s, CTL_BAD, "not confined:");
		ctl_screen_end(s);
		ctl_screen_wrap(s, CTL_BAD, cause, CTL_STATUS_BODY + 2, 2);
	}
	if (ctl_json_number(ctl_json_get(d, "programs"), "attachedAgain", &n) &&
	    n > 0) {
		ctl_screen_to(s, CTL_STATUS_BODY);
		ctl_screen_say(s, CTL_DOUBTFUL,
			       "%" PRId64 " programs attached again, which "
			       "somebody had detached",
			       n);
		ctl_screen_end(s);
	}
}

/* ---- the screen --------------------------------------------------------- */

void ctl_status_show(struct ctl_screen *s, yajl_val d)
{
	ctl_status_show_agent(s, d);
	blank(s);
	show_endpoints(s, d);
	blank(s);
	show_key(s, d);
	show_host(s, d);
	show_identity(s, d);
	show_connections(s, d);
	show_audit(s, d);
	show_process(s, d);
	blank(s);
	ctl_status_show_requests(s, d);
}
