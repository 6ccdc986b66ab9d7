/* SPDX-License-Identifier: MIT */
/*
 * grants.h - what would allow those who are refused most. To find that out
 * takes time in proportion to the rules, so a worker does; what it found stays
 * with the entry until the rules of its endpoint are others.
 *
 * Belongs to the loop's thread.
 */
#ifndef MSPD_GRANTS_H
#define MSPD_GRANTS_H

#include "mspd/loop.h"
#include "mspd/policy.h"
#include "mspd/refused.h"

/** Of those who are refused, so many are told of. */
#define MSPD_GRANTS_CALLERS 10

struct mspd_grants;

/**
 * struct mspd_grants_opts - everything borrowed
 * @loop:     calls @known
 * @refused:  callers
 * @policies: the rules of now
 * @known:    called when what mspd_grants_ask() has begun is over
 * @arg:      its argument
 */
struct mspd_grants_opts {
	struct mspd_loop *loop;
	struct mspd_refused *refused;
	struct mspd_policy_slot *policies;
	void (*known)(void *arg);
	void *arg;
};

/* No thread, and little memory, before somebody asks. 0 or -errno. */
int mspd_grants_new(struct mspd_grants **out,
		    const struct mspd_grants_opts *opts);

/**
 * mspd_grants_ask - find out what is not known yet of those refused most
 *
 * True: there is nothing to wait for, all that can be known is. False: @known
 * will be called.
 */
bool mspd_grants_ask(struct mspd_grants *grants);

/* NULL is fine. A worker that is not done yet is left alone. */
void mspd_grants_free(struct mspd_grants *grants);

#endif
