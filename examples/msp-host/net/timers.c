/* SPDX-License-Identifier: MIT */
/*
 * In:  timers of whoever waits.
 * Out: those that are over, in the order they were due.
 * Never: looks at all of them.
 */
#include "net/timers.h"

#include <stdlib.h>

bool timers_init(struct timers *timers, size_t max)
{
	timers->heap = calloc(max + 1, sizeof(struct timer *));
	timers->n = 0;
	timers->max = max;
	return timers->heap;
}

void timers_clear(struct timers *timers)
{
	free(timers->heap);
	timers->heap = NULL;
	timers->n = 0;
}

static void place(struct timers *timers, struct timer *timer, size_t slot)
{
	timers->heap[slot] = timer;
	timer->slot = slot;
}

static void rise(struct timers *timers, struct timer *timer)
{
	size_t slot = timer->slot;

	while (slot > 1 && timers->heap[slot / 2]->due > timer->due) {
		place(timers, timers->heap[slot / 2], slot);
		slot /= 2;
	}
	place(timers, timer, slot);
}

static void sink(struct timers *timers, struct timer *timer)
{
	size_t slot = timer->slot;

	while (2 * slot <= timers->n) {
		size_t child = 2 * slot;

		if (child < timers->n &&
		    timers->heap[child + 1]->due < timers->heap[child]->due)
			child++;
		if (timers->heap[child]->due >= timer->due)
			break;
		place(timers, timers->heap[child], slot);
		slot = child;
	}
	place(timers, timer, slot);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	struct timer *last;
	size_t slot = timer->slot;

	if (!slot)
		return;
	timer->slot = 0;
	last = timers->heap[timers->n--];
	if (last == timer)
		return;
	place(timers, last, slot);
	rise(timers, last);
	sink(timers, last);
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t due)
{
	timer_stop(timers, timer);
	if (timers->n == timers->max)
		return;
	timer->due = due;
	place(timers, timer, ++timers->n);
	rise(timers, timer);
}

struct timer *timers_next(struct timers *timers, uint64_t now)
{
	struct timer *first = timers->n ? timers->heap[1] : NULL;

	if (!first || first->due > now)
		return NULL;
	timer_stop(timers, first);
	return first;
}

int timers_wait(const struct timers *timers, uint64_t now)
{
	uint64_t ms;

	if (!timers->n)
		return -1;
	if (timers->heap[1]->due <= now)
		return 0;
	ms = timers->heap[1]->due - now;
	return ms > 60000 ? 60000 : (int)ms;
}
