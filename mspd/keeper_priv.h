/* SPDX-License-Identifier: MIT */
/*
 * keeper_priv.h - the keeper's state, shared by keeper.c, which looks after key
 * and rules, keeper_up.c, which brings up what clients are redirected by, and
 * keeper_mend.c, which looks after that.
 */
#ifndef MSPD_KEEPER_PRIV_H
#define MSPD_KEEPER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "mspd/health.h"
#include "mspd/heir.h"
#include "mspd/keeper.h"
#include "mspd/latched.h"
#include "mspd/listener.h"
#include "mspd/ruleset.h"
#include "mspd/sweeper.h"
#include "mspd/switches.h"

#define MSPD_KEEPER_RETRY_MS 250 /* the first time */

struct mspd_keeper {
	struct mspd_keeper_opts opts;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint_fast64_t due_ms; /* of the next turn, steady_ms() */
	atomic_bool detached;	     /* the loop has seen that programs are */
	bool joined;
	int wake_fd;
	struct mspd_stages stages;
	/* set before stage LISTENING, then constant */
	struct mspd_listener listener;
	/* set before stage UP, then constant */
	struct msp_redirect *redirect;
	struct mspd_health health;

	/* the thread's own */
	struct msp_keystore *store;
	struct msp_channel *channel;
	struct msp_latch *latch; /* NULL: there is no key folder yet */
	uint64_t folder_at;	 /* boot_ms of the next look for it */
	uint64_t folder_ms;	 /* between looks */
	struct mspd_ruleset rules;
	struct mspd_switches switches;
	struct mspd_sweeper sweeper;
	bool up;
	bool unpublished;  /* rules or key that the loop has not seen */
	bool latched_once; /* nothing is redirected before (design D5) */
	struct mspd_latched latched;
	uint64_t look_at; /* boot_ms of the next look at what is attached */
	uint64_t mend_at; /* boot_ms of the next attempt, MSP_NEVER: none */
	uint64_t mend_ms; /* until the one after it, 0: none has failed */
	uint64_t retry_at;
	uint64_t retry_ms;
	unsigned long long up_ms; /* since the start, when it was up */
	uint64_t status_at;
	uint64_t memory_at;
	struct mspd_heir heir; /* taken_over: constant from stage UP on */
};

struct msp_time mspd_keeper_clock(void);

/* ---- keeper_up.c: all of the keeper's thread --------------------------- */

/* Listener, programs, proof, in this order; again later if one fails. */
void mspd_keeper_bring_up(struct mspd_keeper *keeper, uint64_t now_ms);
/* In the status, that it works. */
void mspd_keeper_report_redirector(struct mspd_keeper *keeper);

/* ---- keeper_mend.c: likewise, once it is up ---------------------------- */

/* If programs were detached, attach them again; again later if that fails. */
void mspd_keeper_mend(struct mspd_keeper *keeper, uint64_t now_ms);

#endif
