/* SPDX-License-Identifier: MIT */
/*
 * heir.h - how an agent goes on with what the one before it left: listener,
 * programs, states, and clients that wait.
 */
#ifndef MSPD_HEIR_H
#define MSPD_HEIR_H

#include "mspd/early.h"
#include "mspd/listener.h"
#include "mspd/store.h"
#include "mspd/sweeper.h"
#include "mspd/switches.h"

/**
 * struct mspd_heir - belongs to the key keeper; zero it and set store
 * @store:      borrowed; NULL: nobody keeps anything
 * @wanted:     where the listener is to be
 * @inherits:   clients are redirected already, and the channel is not proved
 * @holding:    it is, but clients wait until there is a key to serve them with
 * @hold_until: no longer than that
 * @taken_over: there was something to go on with
 * @failing:    the service manager could not be told what to keep
 * @keep_at:    when it is told again
 * @early:      clients that were accepted before the loop may have them
 */
struct mspd_heir {
	struct mspd_store *store;
	struct msp_address wanted;
	bool inherits;
	bool holding;
	bool taken_over;
	bool failing;
	uint64_t hold_until;
	uint64_t keep_at;
	struct mspd_early early;
};

/* As mspd_listener_open(), unless one was kept that is where it is wanted, or
 * beside, while somebody else has that port. */
int mspd_heir_listener(struct mspd_heir *heir, struct mspd_listener *out,
		       const struct msp_address *wanted, char *error,
		       size_t error_size);

/* As msp_redirect_prove_among(): whoever comes is kept. */
int mspd_heir_prove(struct mspd_heir *heir, struct msp_redirect *redirect,
		    int listen_fd, struct msp_error_info *info);

/* It does not work: all of it is off, and nothing is kept. redirect may be
 * NULL. */
void mspd_heir_give_up(struct mspd_heir *heir, struct msp_redirect *redirect);

/* It works, and is kept from now on. Switches and sweeper learn the states that
 * were found; true: an endpoint was on, so that clients wait. */
bool mspd_heir_settle(struct mspd_heir *heir, struct msp_redirect *redirect,
		      int listen_fd, struct mspd_switches *switches,
		      struct mspd_sweeper *sweeper, uint64_t now_ms);

/* Parts are others now: bits as of msp_redirect_repair(). */
void mspd_heir_changed(struct mspd_heir *heir,
		       const struct msp_redirect *redirect, int listen_fd,
		       unsigned int bits, uint64_t now_ms);

/* Where the service manager could not be told, try again when it is time; cheap
 * if it was. */
void mspd_heir_keep(struct mspd_heir *heir, const struct msp_redirect *redirect,
		    int listen_fd, uint64_t now_ms);

/* When there is something to do by itself; MSP_NEVER: nothing. */
uint64_t mspd_heir_deadline(const struct mspd_heir *heir);

/* Are clients to be let in now? Once. served: there is an answer of the host,
 * and it was published. */
bool mspd_heir_lets_in(struct mspd_heir *heir, bool served, uint64_t now_ms);

void mspd_heir_switch_off(struct msp_redirect *redirect);

#endif
