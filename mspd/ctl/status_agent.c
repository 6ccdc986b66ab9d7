/* SPDX-License-Identifier: MIT */
/*
 * In: what the agent says of itself. Out: is it healthy, and if not, why. Must
 * never call one sick without a reason.
 */
#include "mspd/ctl/status.h"

#include <inttypes.h>
#include <string.h>

static bool fault(struct ctl_screen *s, const char *text, size_t lines)
{
	ctl_screen_wrap(s, CTL_BAD, text, 2, lines);
	return true;
}

static bool show_detached(struct ctl_screen *s, yajl_val d)
{
	const int64_t n =
		ctl_status_number(ctl_json_get(d, "programs"), "detached");
	char text[96];

	if (n <= 0)
		return false;
	snprintf(text, sizeof(text),
		 "somebody has detached %" PRId64 " of the agent's programs",
		 n);
	return fault(s, text, 1);
}

/* All that the agent itself calls unhealthy; there is something always. */
static void show_faults(struct ctl_screen *s, yajl_val d)
{
	const char *state = ctl_json_text(d, "state");
	const char *message = ctl_json_text(d, "message");
	yajl_val host = ctl_json_get(d, "host");
	bool told = false;

	if (state && strcmp(state, "SUCCESS") != 0 && message)
		told = fault(s, message, 2);
	if (ctl_json_text(host, "failure"))
		told = fault(s, ctl_json_text(host, "failure"), 2);
	if (!ctl_json_text(host, "lastContact"))
		told = fault(s, "the host has not answered yet", 1);
	if (ctl_json_true(ctl_json_get(d, "audit"), "failed"))
		told = fault(s, "the audit trail cannot be written", 1);
	if (show_detached(s, d))
		told = true;
	if (!told && message)
		fault(s, message, 2);
}

void ctl_status_show_agent(struct ctl_screen *s, yajl_val d)
{
	const bool healthy = ctl_json_true(d, "healthy");
	char age[CTL_AGE];
	int64_t up;

	ctl_screen_put(s, CTL_HEAD, "mspd ");
	ctl_screen_put(s, CTL_PLAIN, ctl_json_text(d, "version"));
	ctl_screen_put(s, CTL_PLAIN, ": ");
	ctl_screen_put(s, healthy ? CTL_GOOD : CTL_BAD,
		       healthy ? "healthy" : "not healthy");
	if (ctl_json_number(d, "uptimeSeconds", &up)) {
		ctl_status_age(age, up);
		ctl_screen_say(s, CTL_PLAIN, ", up %s", age);
	}
	ctl_screen_say(s, CTL_PLAIN, ", pid %" PRId64,
		       ctl_status_number(d, "pid"));
	if (ctl_json_true(ctl_json_get(d, "restart"), "takenOver"))
		ctl_screen_put(s, CTL_PLAIN, ", took over the channel");
	ctl_screen_end(s);
	if (!healthy)
		show_faults(s, d);
}
