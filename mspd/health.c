/* SPDX-License-Identifier: MIT */
/*
 * In: redirector, listener, sweeper. Out: their `states` in the status. Must
 * never show as working what does not.
 */
#include "mspd/health.h"

#include <stdio.h>

static const struct {
	enum msp_redirect_counter counter;
	const char *name;
} counters[] = {
	{ MSP_COUNT_REDIRECTED, "redirected" },
	{ MSP_COUNT_DIRECT, "direct" },
	{ MSP_COUNT_FOREIGN_DENIED, "foreignDenied" },
	{ MSP_COUNT_FOREIGN_PASSED, "foreignPassed" },
	{ MSP_COUNT_NO_STORAGE, "noStorage" },
	{ MSP_COUNT_BIND_DENIED, "bindDenied" },
	{ MSP_COUNT_DEVICE_DENIED, "deviceDenied" },
	{ MSP_COUNT_FOUND, "identified" },
	{ MSP_COUNT_CLOSED, "unidentifiedClosed" },
	{ MSP_COUNT_NOT_CONNECTED, "unidentifiedNotConnected" },
	{ MSP_COUNT_NOT_OURS, "unidentifiedNotOurs" },
	{ MSP_COUNT_NOT_PEERS, "unidentifiedNotPeers" },
	{ MSP_COUNT_NO_FACTS, "unidentifiedNoFacts" },
	{ MSP_COUNT_OTHER_PIDS, "unidentifiedOtherPids" },
	{ MSP_COUNT_FAILED, "unidentifiedFailed" },
};

void mspd_health_root(struct mspd_health *health, const char *fault)
{
	if (fault)
		snprintf(health->root_fault, sizeof(health->root_fault), "%s",
			 fault);
	atomic_store(&health->root, fault ? MSPD_ROOT_FAILED : MSPD_ROOT_OPEN);
}

const char *mspd_health_no_paths(const struct mspd_health *health)
{
	if (!(msp_redirect_limits(health->redirect) &
	      MSP_REDIRECT_LIMIT_NO_PATH))
		return NULL;
	if (health->config->executable_paths == MSPD_EXECUTABLE_PATHS_OFF)
		return "switched off";
	return "kernel lockdown";
}

static void put_paths(const struct mspd_health *health, struct mspd_states *out)
{
	static const char name[] = "executablePaths";
	const char *fault = mspd_health_no_paths(health);

	if (fault)
		mspd_states_put(out, name, "unavailable: %s", fault);
	else if (atomic_load(&health->root) == MSPD_ROOT_OPEN)
		mspd_states_put(out, name, "verified");
	else
		mspd_states_put(out, name, "unavailable: identity root: %s",
				atomic_load(&health->root) == MSPD_ROOT_FAILED
					? health->root_fault
					: "not opened yet");
	mspd_states_put(out, "identityRoot", "%s",
			health->config->identity_root);
}

static void put_number(struct mspd_states *out, const char *name,
		       uint64_t number)
{
	mspd_states_put(out, name, "%llu", (unsigned long long)number);
}

static void put_sweeps(const struct mspd_sweeper *sweeper,
		       struct mspd_states *out)
{
	struct mspd_sweeper_counts n;

	mspd_sweeper_count(sweeper, &n);
	put_number(out, "sweepFound", n.found);
	put_number(out, "sweepDestroyed", n.destroyed);
	put_number(out, "sweepLeft", n.left);
	if (n.failing)
		mspd_states_put(out, "sweep", "unavailable");
}

void mspd_health_redirector(void *arg, struct mspd_states *out)
{
	const struct mspd_health *health = arg;
	size_t i;

	put_paths(health, out);
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		put_number(out, counters[i].name,
			   msp_redirect_count(health->redirect,
					      counters[i].counter));
	put_number(out, "attachedAgain", atomic_load(&health->mended));
	put_sweeps(health->sweeper, out);
}

void mspd_health_listener(void *arg, struct mspd_states *out)
{
	const struct mspd_health *health = arg;
	const struct mspd_listener *l = health->listener;
	char text[MSPD_LISTENER_TEXT];

	mspd_listener_text(&l->address, text);
	mspd_states_put(out, "address", "%s", text);
	if (!l->taken)
		return;
	if (!l->holder.inode) {
		mspd_states_put(out, "portTakenByUid", "unknown");
		return;
	}
	put_number(out, "portTakenByUid", l->holder.uid);
	put_number(out, "portTakenByPid", l->holder.pid);
	mspd_states_put(out, "portTakenByName", "%s", l->holder.comm);
}
