/* SPDX-License-Identifier: MIT */
/*
 * In:  an aggregate status as the agent gave it, the time.
 * Out: is the agent well, and if not, what is the matter.
 * Never: calls good what it could not read.
 */
#include "report/judge.h"

#include <string.h>
#include <time.h>

#define TIMESTAMP "0000-00-00T00:00:00.000"

/* The modules that all have to run (spec 4.2). */
static const char *const modules[] = { "keyLatchStatus", "ebpfProgramStatus",
				       "proxyListenerStatus" };

static int number(const char *text, size_t len)
{
	uint64_t n = 0;

	text_uint(text, len, &n); /* its digits have been looked at */
	return (int)n;
}

/* Exactly this form, UTC (spec 4.2). */
static bool parse_timestamp(const char *text, int64_t *out)
{
	struct tm tm = { 0 }, back;
	time_t seconds;
	size_t i;

	if (!text || strlen(text) != sizeof(TIMESTAMP) - 1)
		return false;
	for (i = 0; TIMESTAMP[i]; i++) {
		if (TIMESTAMP[i] != '0' ? text[i] != TIMESTAMP[i]
					: text[i] < '0' || text[i] > '9')
			return false;
	}
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 5, 2) - 1;
	tm.tm_mday = number(text + 8, 2);
	tm.tm_hour = number(text + 11, 2);
	tm.tm_min = number(text + 14, 2);
	tm.tm_sec = number(text + 17, 2);
	back = tm;
	seconds = timegm(&back);
	*out = seconds;
	/* there is no 31st of February */
	return back.tm_mon == tm.tm_mon && back.tm_mday == tm.tm_mday &&
	       back.tm_hour == tm.tm_hour && back.tm_min == tm.tm_min &&
	       back.tm_sec == tm.tm_sec;
}

static bool is_fresh(struct judgement *j, int64_t now)
{
	const char *text = json_string(json_member(j->tree, "timestamp"));
	int64_t then;

	if (!parse_timestamp(text, &then)) {
		buf_text(&j->why, "timestamp of the aggregate status is none");
		return false;
	}
	if (then >= now - JUDGE_STALE_SECONDS &&
	    then <= now + JUDGE_STALE_SECONDS)
		return true;
	buf_format(&j->why, "the aggregate status is stale: it is of %s UTC",
		   text);
	return false;
}

static bool is_version(struct judgement *j, yajl_val agent, const char *version)
{
	const char *text = json_string(json_member(agent, "version"));

	if (!text || !*text) {
		buf_text(&j->why, "the aggregate status has no version");
		return false;
	}
	if (!version || !strcmp(text, version))
		return true;
	buf_format(&j->why, "the agent's version is %s instead of %s", text,
		   version);
	return false;
}

/* The parts that are shown have the form they must have. */
static bool is_whole(struct judgement *j)
{
	static const char *const lists[] = { "proxyConnectionSummary",
					     "failedAuthenticateSummary" };
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (YAJL_IS_ARRAY(json_member(j->tree, lists[i])))
			continue;
		buf_format(&j->why, "%s of the aggregate status is no array",
			   lists[i]);
		return false;
	}
	return true;
}

static bool all_run(struct judgement *j, yajl_val agent)
{
	const char *word;
	size_t i;

	for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		yajl_val module = json_member(agent, modules[i]);
		const char *message;

		word = json_string(json_member(module, "status"));
		if (word && !strcmp(word, "RUNNING"))
			continue;
		message = json_string(json_member(module, "message"));
		buf_format(&j->why, "%s is %s: %s", modules[i],
			   word ? word : "missing", message ? message : "");
		return false;
	}
	word = json_string(json_member(agent, "status"));
	if (word && !strcmp(word, "SUCCESS"))
		return true;
	buf_format(&j->why, "the agent's status is %s",
		   word ? word : "missing");
	return false;
}

void judge_status(struct judgement *j, const struct buf *text,
		  const char *version, int64_t now)
{
	struct buf error = { 0 };
	yajl_val agent;

	j->tree = json_tree(text->data ? text->data : "", text->len, &error);
	agent = json_member(j->tree, "proxyAgentStatus");
	if (!j->tree)
		buf_format(&j->why, "the aggregate status cannot be read: %s",
			   error.data ? error.data : "");
	else if (!YAJL_IS_OBJECT(agent))
		buf_text(&j->why,
			 "the aggregate status has no proxyAgentStatus");
	else
		j->usable = is_fresh(j, now) && is_version(j, agent, version) &&
			    is_whole(j);
	buf_clear(&error);
	j->good = j->usable && all_run(j, agent);
}

void judge_clear(struct judgement *j)
{
	yajl_tree_free(j->tree);
	buf_clear(&j->why);
	memset(j, 0, sizeof(*j));
}
