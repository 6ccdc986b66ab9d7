/* SPDX-License-Identifier: MIT */
/*
 * In:  descriptors and what is wanted of them.
 * Out: calls of their owners when they are ready.
 * Never: frees a watch, or waits with another thread's data.
 */
#include "base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64

int loop_open(struct loop *loop)
{
	loop->stop = false;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? -1 : 0;
}

void loop_close(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

int loop_want(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = watch } };
	int op = EPOLL_CTL_MOD;

	if (watch->events == events)
		return 0;
	if (!watch->events)
		op = EPOLL_CTL_ADD;
	else if (!events)
		op = EPOLL_CTL_DEL;
	if (epoll_ctl(loop->epoll, op, watch->fd, &ev) < 0)
		return -1;
	watch->events = events;
	return 0;
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	int i, n;

	n = epoll_wait(loop->epoll, ev, EVENTS_PER_TURN, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -1;
	for (i = 0; i < n; i++) {
		struct loop_watch *watch = ev[i].data.ptr;

		/* an earlier one of this turn may have taken it out */
		if (watch->events)
			watch->ready(watch, ev[i].events);
	}
	return 0;
}

uint64_t loop_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t loop_wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}
