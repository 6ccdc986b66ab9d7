/* SPDX-License-Identifier: MIT */
/*
 * sweeper.h - connections to an endpoint that bypass us: when to look for
 * them, and how many there were.
 *
 * One thread looks; counts may be read by any.
 */
#ifndef MSPD_SWEEPER_H
#define MSPD_SWEEPER_H

#include <stdatomic.h>

#include <msp/msp.h>

/* msp_redirect_sweep_all(), or what a test puts in its place. */
typedef int mspd_sweep(void *arg, const unsigned int *flags,
		       struct msp_redirect_swept *const *out, size_t count,
		       struct msp_error_info *info);

struct mspd_sweeper {
	mspd_sweep *sweep;
	void *arg;
	uint32_t steady_ms; /* between two looks at a steady endpoint */
	struct {
		enum msp_redirect_state state;
		unsigned int looks; /* since it was switched */
		uint64_t switched_ms;
		uint64_t due_ms; /* MSP_NEVER: not */
		uint32_t left;	 /* at the last look */
	} endpoint[MSP_ENDPOINTS];
	atomic_uint_fast64_t found;	/* so far */
	atomic_uint_fast64_t destroyed; /* so far */
	atomic_uint_fast64_t left;	/* at the last look, of all */
	atomic_bool failing;		/* the last look did */
};

/* How many there were so far, reset and left. */
struct mspd_sweeper_counts {
	uint64_t found;
	uint64_t destroyed;
	uint64_t left;
	bool failing;
};

/* sweep NULL: msp_redirect_sweep_all() of the redirector that arg is. */
void mspd_sweeper_init(struct mspd_sweeper *sweeper, mspd_sweep *sweep,
		       void *arg, uint32_t steady_ms);

/* An endpoint has this state now; looks are due if it is another one. */
void mspd_sweeper_set(struct mspd_sweeper *sweeper, enum msp_endpoint endpoint,
		      enum msp_redirect_state state, uint64_t now_ms);

/* For a while connections could bypass us, whatever the states: look as if all
 * had been switched on now. */
void mspd_sweeper_again(struct mspd_sweeper *sweeper, uint64_t now_ms);

/* When a look is due, look at all endpoints that are on, which costs no more
 * than one: audit counts, enforce also destroys. Was there any that was not
 * known? */
bool mspd_sweeper_run(struct mspd_sweeper *sweeper, uint64_t now_ms);

/* When the next look is due, MSP_NEVER: none is. */
uint64_t mspd_sweeper_deadline(const struct mspd_sweeper *sweeper);

/* Threads: any. */
void mspd_sweeper_count(const struct mspd_sweeper *sweeper,
			struct mspd_sweeper_counts *out);

#endif
