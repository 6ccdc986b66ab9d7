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
 * version 254 on and our units for those before, is a number above 0. Before
 * there is a second thread: LISTEN_FDS and the like are taken out of the
 * environment. Descriptors that have no names, or are not for this process, are
 * closed or left alone. 0 or -errno.
 */
int mspd_store_open(struct mspd_store **out);
/* Closes what it has; what is kept stays kept. */
void mspd_store_free(struct mspd_store *store);

/* Does somebody keep descriptors when we end? */
bool mspd_store_keeps(const struct mspd_store *store);

/**
 * mspd_store_listener - the listening socket that was kept
 * @ip:   only one at this address will do
 * @port: 0: any; network namespace and kind are looked at in any case
 *
 * Its descriptor, which is the caller's from then on, or -1.
 */
int mspd_store_listener(struct mspd_store *store, uint32_t ip, uint16_t port,
			struct msp_address *out);

/* All others, borrowed, for msp_redirect_open(); how many. */
size_t mspd_store_parts(const struct mspd_store *store,
			const struct msp_redirect_part **out);

/**
 * mspd_store_settle - the manager keeps this redirector and listener from now
 * on, and nothing else
 *
 * Says nothing if it has exactly them. Closes what came at the start.
 * May wait for the manager, a second each time. 0 or -errno.
 */
int mspd_store_settle(struct mspd_store *store,
		      const struct msp_redirect *redirect, int listen_fd);

/* Nothing is kept any more: what came is not used, and detached. */
void mspd_store_drop(struct mspd_store *store);

#endif
