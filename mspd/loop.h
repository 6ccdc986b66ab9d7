/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the one event loop: descriptors, timers, and work to do once
 * after each turn. Everything here belongs to the loop's thread.
 */
#ifndef MSPD_LOOP_H
#define MSPD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <msp/msp.h>

struct mspd_loop;

/* Embedded in its owner; zero it and set fd, call and arg before use. */
struct mspd_watch {
	int fd;
	uint32_t events; /* what is asked for now, 0: not watched */
	void (*call)(void *arg, uint32_t events);
	void *arg;
	bool added;
	bool told; /* something is there that call has not been told of yet */
};

struct mspd_timer {
	uint64_t at;  /* CLOCK_BOOTTIME milliseconds: its place in the heap */
	uint64_t due; /* not before; later than at if it was postponed */
	void (*call)(void *arg);
	void *arg;
	size_t slot;		 /* place in the heap + 1, 0: not there */
	struct mspd_timer *next; /* of those the heap has no room for */
	bool early;		 /* is one of them */
};

static inline bool mspd_timer_set(const struct mspd_timer *timer)
{
	return timer->slot || timer->early;
}

/* 0 or -errno */
int mspd_loop_new(struct mspd_loop **out);
void mspd_loop_free(struct mspd_loop *loop);

/* EPOLL* events; 0 keeps the descriptor for EPOLLERR and EPOLLHUP only.
 * 0 or -errno. */
int mspd_loop_watch(struct mspd_loop *loop, struct mspd_watch *watch,
		    uint32_t events);
/* Safe inside any callback; call it before the descriptor is closed. */
void mspd_loop_unwatch(struct mspd_loop *loop, struct mspd_watch *watch);

/* The same for a descriptor that is closed before the turn ends, by its only
 * owner: the kernel forgets it by itself. */
void mspd_loop_forget(struct mspd_loop *loop, struct mspd_watch *watch);

/* MSP_NEVER stops it. A timer that cannot be stored for lack of memory fires
 * when this turn ends, never in this call: its owner then fails closed. */
void mspd_loop_timer(struct mspd_loop *loop, struct mspd_timer *timer,
		     uint64_t at);

/* The same for a time that is moved with every request: it is not taken out of
 * the heap to be put off or stopped, but looked at again when its old time
 * comes. Stop it with mspd_loop_timer() before its memory goes. */
void mspd_loop_postpone(struct mspd_loop *loop, struct mspd_timer *timer,
			uint64_t at);

/* Called once at the end of every turn. */
void mspd_loop_after(struct mspd_loop *loop, void (*call)(void *arg),
		     void *arg);

/* The clock, read once per turn. */
struct msp_time mspd_loop_now(const struct mspd_loop *loop);

/* Its number. */
uint64_t mspd_loop_turn(const struct mspd_loop *loop);
/* Has whoever watches since that turn been told of all that came before this
 * one, or has mspd_watch.told set? Not if it is the same turn, nor if more came
 * than is told in one. */
bool mspd_loop_has_told(const struct mspd_loop *loop, uint64_t since);

/* Until mspd_loop_stop() is called in it, then it may run again; 0 or
 * -errno. */
int mspd_loop_run(struct mspd_loop *loop);
void mspd_loop_stop(struct mspd_loop *loop);

#endif
