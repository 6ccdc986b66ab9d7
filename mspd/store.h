/* SPDX-License-Identifier: MIT */
/*
 * store.h - descriptors that the service manager keeps while this agent is
 * restarted, or killed: sd_notify(3)'s FDSTORE=1 one way, LISTEN_FDS the other.
 *
 * Belongs to one thread at a time. NULL is fine everywhere: nobody keeps
 * anything.
 */
#ifndef MSPD_STORE_H
#define MSPD_STORE_H

#include <stdbool.h>

#include <msp/msp.h>

struct mspd_store;

/**
 * mspd_store_open - what the environment says, and what came with it
 * @out: free with mspd_store_free(); NULL on error
 *
 * There is a store if NOTIFY_SOCKET is set and FDSTORE, which systemd sets from
 * version 254 on and our units for those before, is a number that all we have
 * fit into. Before anything else is opened: a number of descriptors that is too
 * large would name ours. LISTEN_FDS and the like are taken out of the
 * environment. What is for another process is left alone; what has no name, or
 * is more than we look at, is closed. 0 or -errno.
 */
int mspd_store_open(struct mspd_store **out);
/* Closes what it has; what is kept stays kept. */
void mspd_store_free(struct mspd_store *store);

/* Does somebody keep what a successor needs? As far as we were told: the
 * manager does not answer. */
bool mspd_store_keeps(const struct mspd_store *store);

/**
 * mspd_store_listener - the listening socket that was kept
 * @wanted: where it is to be, or, @beside, where it was to be: another one had
 *          the port, and that of ours can be any
 * @out:    where it is
 *
 * Network namespace and kind are looked at in any case, and not of which layout
 * its name is: a socket is as good. Its descriptor, which is the caller's from
 * then on, or -1.
 */
int mspd_store_listener(struct mspd_store *store,
			const struct msp_address *wanted, bool beside,
			struct msp_address *out);

/* All others, borrowed until the store is asked for something else, for
 * msp_redirect_open(); how many. */
size_t mspd_store_parts(struct mspd_store *store,
			const struct msp_redirect_part **out);

/**
 * mspd_store_settle - the manager keeps this redirector and listener from now
 * on, and nothing else
 * @listen_fd: the listener
 * @wanted:    where it was to be, the same each time
 * @changed:   bit i for element i of msp_redirect_parts() that is another than
 *             the last time
 *
 * Says nothing of what it has already. Closes what came at the start. What it
 * could not be told it is told the next time; until then it keeps what it has.
 * May wait for the manager, a second each time. 0 or -errno.
 */
int mspd_store_settle(struct mspd_store *store,
		      const struct msp_redirect *redirect, int listen_fd,
		      const struct msp_address *wanted, unsigned int changed);

/* Nothing is kept any more: what came is not used, and detached. */
void mspd_store_drop(struct mspd_store *store);

#endif
