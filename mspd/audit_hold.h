/* SPDX-License-Identifier: MIT */
/*
 * audit_hold.h - requests that wait until they can be recorded, first come,
 * first served. Belongs to the loop's thread.
 */
#ifndef MSPD_AUDIT_HOLD_H
#define MSPD_AUDIT_HOLD_H

#include <stdbool.h>

#include "mspd/loop.h"

struct mspd_audit;
struct mspd_call;

/** How long one waits. */
#define MSPD_HOLD_MS 1000

/* A request's place in the line; zeroed before use. */
struct mspd_held {
	struct mspd_call *next, *prev;
	bool waits;
	uint64_t until; /* mspd_loop_now() */
};

/**
 * struct mspd_hold - the line
 * @audit:  borrowed, like the loop
 * @go:     it can be recorded now
 * @expire: it has waited too long
 * @slow:   they begin to expire although the file takes what is written, or
 *          it is over
 * @arg:    of slow
 *
 * The rest is set by mspd_hold_open().
 */
struct mspd_hold {
	struct mspd_loop *loop;
	struct mspd_audit *audit;
	void (*go)(struct mspd_call *call);
	void (*expire)(struct mspd_call *call);
	void (*slow)(void *arg, bool yes);
	void *arg;
	bool is_slow;
	struct mspd_call *first, *last;
	struct mspd_watch room;
	struct mspd_timer timer;
};

/* 0 or -errno */
int mspd_hold_open(struct mspd_hold *hold);
/* Nobody may wait any more. */
void mspd_hold_close(struct mspd_hold *hold);

/* False: it can be recorded. True: go() or expire() is called later, unless it
 * leaves before. */
bool mspd_hold(struct mspd_hold *hold, struct mspd_call *call);

/* It is over; also if it does not wait. */
void mspd_hold_leave(struct mspd_hold *hold, struct mspd_call *call);

#endif
