/* SPDX-License-Identifier: MIT */
/*
 * latched.h - the key's part in provisioning: when it is ready, when it is
 * not any more, and what a notification makes of it (spec 5.7, 5.8).
 *
 * Belongs to the keeper's thread.
 */
#ifndef MSPD_LATCHED_H
#define MSPD_LATCHED_H

#include "mspd/provision.h"

/* Everything borrowed; zeroed, then set once. */
struct mspd_latched {
	struct msp_latch *latch;
	struct mspd_provision *provision;
	struct mspd_status *status;
	struct mspd_console *console;
	enum msp_latch_state reported; /* as far as provisioning knows */
	char said[256];		       /* of the host's last answer */
};

/* The host has answered: a warning if it says something else than before, as
 * an event, too; else a line for who wants to see everything (spec 5.5). */
void mspd_latched_answer(struct mspd_latched *latched);

/* The latch has changed, and requests are judged accordingly by now.
 * new_key: it holds another one than before. */
void mspd_latched_report(struct mspd_latched *latched, bool new_key,
			 uint64_t now_ms);

/* Notifications, if there are any. True: the latch has been reset. */
bool mspd_latched_notices(struct mspd_latched *latched, uint64_t now_ms);

/* The secure channel state of spec 5.4; borrowed until the latch runs. */
const char *mspd_latched_channel(const struct mspd_latched *latched);

/* Key, rules and channel, in the status. */
void mspd_latched_show(struct mspd_latched *latched);

#endif
