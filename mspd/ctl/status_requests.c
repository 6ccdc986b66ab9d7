/* SPDX-License-Identifier: MIT */
/*
 * In: what the agent says of requests and of whom it refused. Out: that, for a
 * screen. Must never let what a refused caller is called begin a line.
 */
#include "mspd/ctl/status.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Refused callers, and the lines of what would allow one. */
#define CALLERS 5
#define ADVICE	3

/* ---- requests ---------------------------------------------------------- */

static void show_window(struct ctl_screen *s, const char *name, yajl_val counts)
{
	static const struct {
		const char *name;
		enum ctl_ink ink;
	} columns[] = { { "allowed", CTL_PLAIN },
			{ "audited", CTL_PLAIN },
			{ "denied", CTL_DOUBTFUL },
			{ "failed", CTL_BAD } };
	size_t i;

	ctl_screen_cell(s, CTL_PLAIN, CTL_STATUS_BODY - 1, name);
	for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const int64_t n = ctl_status_number(counts, columns[i].name);

		ctl_screen_say(s, n ? columns[i].ink : CTL_PLAIN, "%12" PRId64,
			       n);
	}
	ctl_screen_end(s);
}

static void show_requests(struct ctl_screen *s, yajl_val d)
{
	yajl_val requests = ctl_json_get(d, "requests");

	ctl_screen_cell(s, CTL_HEAD, CTL_STATUS_BODY - 1, "requests");
	ctl_screen_say(s, CTL_HEAD, "%12s%12s%12s%12s", "allowed", "audited",
		       "denied", "failed");
	ctl_screen_end(s);
	show_window(s, "last minute", ctl_json_get(requests, "minute"));
	show_window(s, "last hour", ctl_json_get(requests, "hour"));
	show_window(s, "in all", ctl_json_get(requests, "total"));
}

/* ---- who is refused ---------------------------------------------------- */

static bool parse_time(const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	const char *end =
		text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	if (!end || strcmp(end, "Z") != 0)
		return false;
	*out = timegm(&tm);
	return true;
}

/* When it was that the agent said this. */
static bool time_of(yajl_val d, int64_t *out)
{
	int64_t up;

	if (!parse_time(ctl_json_text(d, "startedAt"), out) ||
	    !ctl_json_number(d, "uptimeSeconds", &up))
		return false;
	*out += up;
	return true;
}

static void show_when(struct ctl_screen *s, yajl_val d, yajl_val caller)
{
	const char *last = ctl_json_text(caller, "last");
	char text[CTL_AGE + sizeof(" ago")];
	char age[CTL_AGE];
	int64_t now, at;

	if (!time_of(d, &now) || !parse_time(last, &at)) {
		ctl_screen_cell(s, CTL_PLAIN, 14, last);
		return;
	}
	ctl_status_age(age, now > at ? now - at : 0);
	snprintf(text, sizeof(text), "%s ago", age);
	ctl_screen_cell(s, CTL_PLAIN, 14, text);
}

static void show_caller(struct ctl_screen *s, yajl_val d, yajl_val caller)
{
	const char *user = ctl_json_text(caller, "user");
	const char *exe = ctl_json_text(caller, "exe");
	int64_t uid;

	ctl_screen_say(s, CTL_PLAIN, "%11" PRId64 " ",
		       ctl_status_number(caller, "count"));
	show_when(s, d, caller);
	if (ctl_json_number(caller, "uid", &uid)) {
		ctl_screen_say(s, CTL_PLAIN, "%s(%" PRId64 ") ",
			       user ? user : "-", uid);
		ctl_screen_path(s, CTL_PLAIN, exe);
	} else {
		ctl_screen_put(s, CTL_PLAIN, "nobody known");
	}
	ctl_screen_end(s);
	ctl_screen_to(s, CTL_STATUS_BODY);
	ctl_screen_put(s, CTL_DOUBTFUL, ctl_json_text(caller, "reason"));
	ctl_screen_put(s, CTL_PLAIN, ": ");
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(caller, "endpoint"));
	ctl_screen_put(s, CTL_PLAIN, " ");
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(caller, "method"));
	ctl_screen_put(s, CTL_PLAIN, " ");
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(caller, "path"));
	ctl_screen_end(s);
	ctl_screen_wrap(s, CTL_PLAIN, ctl_json_text(caller, "allow"),
			CTL_STATUS_BODY, ADVICE);
}

static void show_refused(struct ctl_screen *s, yajl_val d)
{
	yajl_val list = ctl_json_get(d, "refused");
	const size_t n = ctl_json_length(list);
	size_t i;

	if (!n)
		return;
	ctl_screen_end(s);
	ctl_screen_cell(s, CTL_HEAD, CTL_STATUS_BODY - 1, "    refused");
	ctl_screen_cell(s, CTL_HEAD, 14, "last");
	ctl_screen_put(s, CTL_HEAD, "who, why, what, and what would allow it");
	ctl_screen_end(s);
	for (i = 0; i < n && i < CALLERS; i++)
		show_caller(s, d, ctl_json_at(list, i));
	if (n > CALLERS) {
		ctl_screen_to(s, CTL_STATUS_BODY);
		ctl_screen_say(s, CTL_PLAIN, "and %zu more: see --json",
			       n - CALLERS);
		ctl_screen_end(s);
	}
}

void ctl_status_show_requests(struct ctl_screen *s, yajl_val d)
{
	show_requests(s, d);
	show_refused(s, d);
}
