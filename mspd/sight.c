/* SPDX-License-Identifier: MIT */
/*
 * In: the rooms of the agent. Out: single facts about how it is. Must never
 * wait, nor show a key.
 */
#include "mspd/sight.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const struct mspd_sight_counter mspd_sight_counters[MSP_COUNTERS] = {
	{ MSP_COUNT_REDIRECTED, "redirected" },
	{ MSP_COUNT_DIRECT, "direct" },
	{ MSP_COUNT_SKIPPED, "skipped" },
	{ MSP_COUNT_FOREIGN_DENIED, "foreignDenied" },
	{ MSP_COUNT_FOREIGN_PASSED, "foreignPassed" },
	{ MSP_COUNT_NO_STORAGE, "noStorage" },
	{ MSP_COUNT_BIND_DENIED, "bindDenied" },
	{ MSP_COUNT_DEVICE_DENIED, "deviceDenied" },
	{ MSP_COUNT_FOUND, "found" },
	{ MSP_COUNT_CLOSED, "closed" },
	{ MSP_COUNT_NOT_CONNECTED, "notConnected" },
	{ MSP_COUNT_NOT_OURS, "notOurs" },
	{ MSP_COUNT_NOT_PEERS, "notPeers" },
	{ MSP_COUNT_NO_FACTS, "noFacts" },
	{ MSP_COUNT_OTHER_PIDS, "otherPids" },
	{ MSP_COUNT_FAILED, "failed" },
};

/* ---- clocks ------------------------------------------------------------- */

/* To a second: the two clocks do not turn at the same time. */
static int64_t ahead(const struct mspd_sight *sight)
{
	struct msp_time now = mspd_loop_now(sight->loop);

	return now.wall_s - (int64_t)(now.boot_ms / 1000);
}

void mspd_sight_begin(struct mspd_sight *sight)
{
	uint64_t up = mspd_status_elapsed_ms(sight->status) / 1000;

	sight->started_s = mspd_loop_now(sight->loop).wall_s - (int64_t)up;
	sight->ahead_s = ahead(sight);
}

int64_t mspd_sight_started(const struct mspd_sight *sight)
{
	int64_t moved = ahead(sight) - sight->ahead_s;

	return sight->started_s + (moved < -1 || moved > 1 ? moved : 0);
}

/* ---- key and host ------------------------------------------------------- */

void mspd_sight_key(const struct mspd_sight *sight,
		    const struct mspd_policy *policy,
		    struct mspd_sight_key *out)
{
	int64_t now = mspd_loop_now(sight->loop).wall_s;
	struct stat st;
	int n;

	memset(out, 0, sizeof(*out));
	if (!policy || !policy->key)
		return;
	out->present = true;
	snprintf(out->guid, sizeof(out->guid), "%s", msp_key_guid(policy->key));
	out->has_incarnation =
		msp_key_incarnation(policy->key, &out->incarnation);
	n = snprintf(out->stored, sizeof(out->stored), "%s/%s.key",
		     sight->config->key_dir, out->guid);
	if (n < 0 || (size_t)n >= sizeof(out->stored) ||
	    lstat(out->stored, &st) < 0) {
		out->stored[0] = '\0';
		return;
	}
	out->has_age = true;
	if (now > st.st_mtim.tv_sec)
		out->age_s = (uint64_t)(now - st.st_mtim.tv_sec);
}

bool mspd_sight_contact_age(const struct mspd_contact *contact,
			    struct msp_time now, uint64_t *out)
{
	if (!contact->boot_ms)
		return false;
	*out = now.boot_ms > contact->boot_ms
		       ? (now.boot_ms - contact->boot_ms) / 1000
		       : 0;
	return true;
}

bool mspd_sight_skew(const struct mspd_sight *sight, int64_t *out)
{
	struct msp_time now = mspd_loop_now(sight->loop);

	if (!atomic_load(&sight->policies->clock_known))
		return false;
	*out = mspd_policy_date(sight->policies, now) - now.wall_s;
	return true;
}

bool mspd_sight_healthy(const struct mspd_sight *sight,
			const struct mspd_contact *contact)
{
	return mspd_status_success(sight->status) && contact->boot_ms &&
	       !contact->failure[0] && !mspd_audit_failed(sight->audit) &&
	       !msp_redirect_detached(sight->identities->redirect);
}
