/* SPDX-License-Identifier: MIT */
/*
 * In: what is wanted of each endpoint. Out: the kernel's switches. Must never
 * take a switch that failed for one that was made.
 */
#include "mspd/switches.h"

#include <string.h>

#include "mspd/log.h"

#define FIRST_MS 250

static int set_redirect(void *arg, enum msp_endpoint endpoint,
			enum msp_redirect_state state)
{
	int rc = msp_redirect_set(arg, endpoint, state);

	if (rc == 0 && msp_redirect_get(arg, endpoint) != state)
		rc = MSP_ERR_BUG;
	return rc;
}

void mspd_switches_init(struct mspd_switches *s, mspd_switch *set, void *arg,
			uint64_t most_ms)
{
	memset(s, 0, sizeof(*s));
	s->set = set ? set : set_redirect;
	s->arg = arg;
	s->most_ms = most_ms;
	s->wait_ms = FIRST_MS;
	s->due_ms = MSP_NEVER;
}

void mspd_switches_found(struct mspd_switches *s, enum msp_endpoint endpoint,
			 enum msp_redirect_state state)
{
	s->endpoint[endpoint].wanted = state;
	s->endpoint[endpoint].is = state;
}

void mspd_switches_want(struct mspd_switches *s, enum msp_endpoint endpoint,
			enum msp_redirect_state state, uint64_t now_ms)
{
	if (s->endpoint[endpoint].wanted == state)
		return;
	s->endpoint[endpoint].wanted = state;
	s->due_ms = now_ms;
}

static bool try_one(struct mspd_switches *s, size_t i)
{
	enum msp_redirect_state wanted = s->endpoint[i].wanted;
	int rc;

	if (s->endpoint[i].is == wanted)
		return false;
	rc = s->set(s->arg, (enum msp_endpoint)i, wanted);
	if (rc == 0) {
		s->endpoint[i].is = wanted;
		return true;
	}
	if (!s->failing) /* once is enough */
		mspd_log(MSPD_ERROR, "cannot switch redirection of %s: %s",
			 msp_endpoint_name((enum msp_endpoint)i),
			 msp_error_text(rc));
	return false;
}

bool mspd_switches_run(struct mspd_switches *s, uint64_t now_ms)
{
	bool failed = s->failing;
	bool news = false;
	size_t i;

	if (now_ms < s->due_ms)
		return false;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		news |= try_one(s, i);
	s->failing = mspd_switches_failing(s, NULL);
	if (!s->failing) {
		s->wait_ms = FIRST_MS;
		s->due_ms = MSP_NEVER;
		return news || failed;
	}
	if (s->wait_ms > s->most_ms)
		s->wait_ms = s->most_ms;
	s->due_ms = now_ms + s->wait_ms;
	s->wait_ms *= 2;
	return news || !failed;
}

enum msp_redirect_state mspd_switches_is(const struct mspd_switches *s,
					 size_t endpoint)
{
	return s->endpoint[endpoint].is;
}

bool mspd_switches_failing(const struct mspd_switches *s,
			   enum msp_endpoint *endpoint)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (s->endpoint[i].is == s->endpoint[i].wanted)
			continue;
		if (endpoint)
			*endpoint = (enum msp_endpoint)i;
		return true;
	}
	return false;
}

uint64_t mspd_switches_deadline(const struct mspd_switches *s)
{
	return s->due_ms;
}
