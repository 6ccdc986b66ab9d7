/* SPDX-License-Identifier: MIT */
/*
 * timers.h - what has to happen when, the earliest first.
 */
#ifndef HOST_TIMERS_H
#define HOST_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct timer - part of whatever waits
 * @due:  loop_now_ms() at which it is over
 * @slot: place in the heap, from 1; 0: not set
 */
struct timer {
	uint64_t due;
	size_t slot;
};

/**
 * struct timers - a heap: every parent is due no later than its children
 * @heap: from 1 on; owned
 * @n:    set timers
 * @max:  as many fit
 */
struct timers {
	struct timer **heap;
	size_t n;
	size_t max;
};

/* Room for max timers, so that setting one cannot fail. */
bool timers_init(struct timers *timers, size_t max);
void timers_clear(struct timers *timers);
/* Also moves one that is set. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t due);
void timer_stop(struct timers *timers, struct timer *timer);
/* One that is over, no longer set; NULL: none. */
struct timer *timers_next(struct timers *timers, uint64_t now);
/* Milliseconds until the first is over, -1: none is set. */
int timers_wait(const struct timers *timers, uint64_t now);

#endif
