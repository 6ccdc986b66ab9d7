/* SPDX-License-Identifier: MIT */
/*
 * In: descriptors and deadlines. Out: calls in one thread. Must never call
 * into an owner that has unwatched itself earlier in the same turn.
 */
#include "mspd/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define TURN_EVENTS 128

struct mspd_loop {
	int epoll_fd;
	bool stop;
	struct msp_time now;
	struct mspd_timer **heap; /* earliest first */
	size_t timers;
	size_t room;
	struct mspd_timer *early; /* oldest first */
	size_t n_early;
	struct epoll_event ready[TURN_EVENTS];
	int n_ready;
	uint64_t turn;
	bool has_told; /* all that there was when this turn began */
	void (*after)(void *arg);
	void *after_arg;
};

static void read_clock(struct mspd_loop *loop)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	loop->now.boot_ms =
		(uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	loop->now.wall_s = t.tv_sec;
}

int mspd_loop_new(struct mspd_loop **out)
{
	struct mspd_loop *loop = calloc(1, sizeof(*loop));
	int err;

	*out = NULL;
	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		err = -errno;
		free(loop);
		return err;
	}
	read_clock(loop);
	*out = loop;
	return 0;
}

void mspd_loop_free(struct mspd_loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

int mspd_loop_watch(struct mspd_loop *loop, struct mspd_watch *watch,
		    uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	int op = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (watch->added && watch->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, op, watch->fd, &event) < 0)
		return -errno;
	watch->added = true;
	watch->events = events;
	return 0;
}

void mspd_loop_forget(struct mspd_loop *loop, struct mspd_watch *watch)
{
	int i;

	if (!watch->added)
		return;
	watch->added = false;
	watch->events = 0;
	if (!watch->told)
		return;
	watch->told = false;
	for (i = 0; i < loop->n_ready; i++)
		if (loop->ready[i].data.ptr == watch)
			loop->ready[i].data.ptr = NULL;
}

void mspd_loop_unwatch(struct mspd_loop *loop, struct mspd_watch *watch)
{
	if (watch->added)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	mspd_loop_forget(loop, watch);
}

/* ---- timers: a binary heap --------------------------------------------- */

static void place(struct mspd_loop *loop, size_t i, struct mspd_timer *timer)
{
	loop->heap[i] = timer;
	timer->slot = i + 1;
}

static void sift_up(struct mspd_loop *loop, size_t i)
{
	struct mspd_timer *moving = loop->heap[i];

	while (i > 0 && loop->heap[(i - 1) / 2]->at > moving->at) {
		place(loop, i, loop->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(loop, i, moving);
}

static void sift_down(struct mspd_loop *loop, size_t i)
{
	struct mspd_timer *moving = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->timers)
			break;
		if (child + 1 < loop->timers &&
		    loop->heap[child + 1]->at < loop->heap[child]->at)
			child++;
		if (loop->heap[child]->at >= moving->at)
			break;
		place(loop, i, loop->heap[child]);
		i = child;
	}
	place(loop, i, moving);
}

static void take_out(struct mspd_loop *loop, struct mspd_timer *timer)
{
	size_t i = timer->slot - 1;
	struct mspd_timer *last = loop->heap[--loop->timers];

	timer->slot = 0;
	if (last == timer)
		return;
	place(loop, i, last);
	sift_up(loop, i);
	sift_down(loop, last->slot - 1);
}

static bool make_room(struct mspd_loop *loop)
{
	size_t room = loop->room ? loop->room * 2 : 64;
	struct mspd_timer **heap;

	if (loop->timers < loop->room)
		return true;
	heap = realloc(loop->heap, room * sizeof(struct mspd_timer *));
	if (!heap)
		return false;
	loop->heap = heap;
	loop->room = room;
	return true;
}

static struct mspd_timer **find_early(struct mspd_loop *loop,
				      const struct mspd_timer *timer)
{
	struct mspd_timer **link = &loop->early;

	while (*link && *link != timer)
		link = &(*link)->next;
	return link;
}

static void add_early(struct mspd_loop *loop, struct mspd_timer *timer)
{
	timer->early = true;
	timer->next = NULL;
	*find_early(loop, NULL) = timer;
	loop->n_early++;
}

static void take_early(struct mspd_loop *loop, struct mspd_timer *timer)
{
	*find_early(loop, timer) = timer->next;
	timer->early = false;
	loop->n_early--;
}

void mspd_loop_timer(struct mspd_loop *loop, struct mspd_timer *timer,
		     uint64_t at)
{
	if (timer->slot)
		take_out(loop, timer);
	if (timer->early)
		take_early(loop, timer);
	if (at == MSP_NEVER)
		return;
	timer->at = at;
	timer->due = at;
	if (!make_room(loop)) {
		add_early(loop, timer);
		return;
	}
	place(loop, loop->timers++, timer);
	sift_up(loop, loop->timers - 1);
}

void mspd_loop_postpone(struct mspd_loop *loop, struct mspd_timer *timer,
			uint64_t at)
{
	if (timer->slot && at >= timer->at)
		timer->due = at;
	else if (at != MSP_NEVER || timer->early)
		mspd_loop_timer(loop, timer, at);
}

static void fire_first(struct mspd_loop *loop)
{
	struct mspd_timer *due = loop->heap[0];

	if (due->due > loop->now.boot_ms) {
		mspd_loop_timer(loop, due, due->due);
		return;
	}
	take_out(loop, due);
	due->call(due->arg);
}

static void fire_timers(struct mspd_loop *loop)
{
	size_t n = loop->n_early; /* set again: not in this turn */

	while (n-- > 0 && loop->early) {
		struct mspd_timer *due = loop->early;

		take_early(loop, due);
		due->call(due->arg);
	}
	while (loop->timers && loop->heap[0]->at <= loop->now.boot_ms)
		fire_first(loop);
}

static int wait_ms(const struct mspd_loop *loop)
{
	uint64_t left;

	if (loop->early)
		return 0;
	if (!loop->timers)
		return -1;
	if (loop->heap[0]->at <= loop->now.boot_ms)
		return 0;
	left = loop->heap[0]->at - loop->now.boot_ms;
	return left > 60000 ? 60000 : (int)left;
}

/* ---- turning ----------------------------------------------------------- */

void mspd_loop_after(struct mspd_loop *loop, void (*call)(void *arg), void *arg)
{
	loop->after = call;
	loop->after_arg = arg;
}

struct msp_time mspd_loop_now(const struct mspd_loop *loop)
{
	return loop->now;
}

uint64_t mspd_loop_turn(const struct mspd_loop *loop)
{
	return loop->turn;
}

bool mspd_loop_has_told(const struct mspd_loop *loop, uint64_t since)
{
	return loop->has_told && since != loop->turn;
}

static void dispatch(struct mspd_loop *loop)
{
	struct mspd_watch *watch;
	int i;

	for (i = 0; i < loop->n_ready; i++) {
		watch = loop->ready[i].data.ptr;
		watch->told = true;
	}
	for (i = 0; i < loop->n_ready; i++) {
		watch = loop->ready[i].data.ptr;
		if (!watch)
			continue;
		watch->told = false;
		watch->call(watch->arg, loop->ready[i].events);
	}
	loop->n_ready = 0;
}

int mspd_loop_run(struct mspd_loop *loop)
{
	loop->stop = false;
	while (!loop->stop) {
		int n = epoll_wait(loop->epoll_fd, loop->ready, TURN_EVENTS,
				   wait_ms(loop));

		if (n < 0 && errno != EINTR)
			return -errno;
		loop->n_ready = n > 0 ? n : 0;
		loop->has_told = n >= 0 && n < TURN_EVENTS;
		loop->turn++;
		read_clock(loop);
		dispatch(loop);
		fire_timers(loop);
		if (loop->after)
			loop->after(loop->after_arg);
	}
	return 0;
}

void mspd_loop_stop(struct mspd_loop *loop)
{
	loop->stop = true;
}
