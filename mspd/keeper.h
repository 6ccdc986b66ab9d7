/* SPDX-License-Identifier: MIT */
/*
 * keeper.h - the thread that keeps everything in place: listener, eBPF, key,
 * rules and status.json. It publishes snapshots; the loop only reads them.
 */
#ifndef MSPD_KEEPER_H
#define MSPD_KEEPER_H

#include "mspd/config.h"
#include "mspd/heir.h"
#include "mspd/policy.h"
#include "mspd/provision.h"
#include "mspd/stage.h"
#include "mspd/status.h"

struct mspd_keeper;

/* Everything borrowed; must outlive the keeper. */
struct mspd_keeper_opts {
	const struct mspd_config *config;
	struct mspd_policy_slot *policies;
	struct mspd_status *status;
	struct mspd_summary *summary;
	struct mspd_provision *provision;
	struct mspd_console *console;
	struct mspd_store *store; /* NULL: there is none */
};

/* Start the thread. 0 or -errno. */
int mspd_keeper_start(struct mspd_keeper **out,
		      const struct mspd_keeper_opts *opts);

/* How far it has come; borrowed. */
struct mspd_stages *mspd_keeper_stages(struct mspd_keeper *keeper);

/* From stage UP on; borrowed. */
struct msp_redirect *mspd_keeper_redirect(const struct mspd_keeper *keeper);
/* From stage LISTENING on; borrowed. */
int mspd_keeper_listen_fd(const struct mspd_keeper *keeper);

/* From stage UP on, the loop's: what the agent before left. Borrowed. */
struct mspd_heir *mspd_keeper_heir(struct mspd_keeper *keeper);

/* Is its thread where it should be, or late by no more than this? Also once it
 * has been stopped. Threads: any, except during stop. */
bool mspd_keeper_alive(const struct mspd_keeper *keeper, uint64_t slack_ms);

/* Of the loop, every few seconds, once stage UP is reached: are the programs
 * still attached? If not, the keeper's thread attaches them again. Cheap. */
void mspd_keeper_look(struct mspd_keeper *keeper);

/* Programs that were attached again so far. Any thread. */
uint64_t mspd_keeper_mended(const struct mspd_keeper *keeper);

/* How it went to open the tree that executables are verified in, for the
 * status; fault NULL: well. Once. */
void mspd_keeper_root(struct mspd_keeper *keeper, const char *fault);

/* The thread ended; and all endpoints off, so that no new connection is sent
 * here, unless a service manager keeps the listener and the programs: then they
 * wait for the next agent, or end when it closes them. The programs stay
 * attached until free. */
void mspd_keeper_stop(struct mspd_keeper *keeper);

/* Detach, close the listener, wipe the key; NULL is fine. */
void mspd_keeper_free(struct mspd_keeper *keeper);

#endif
