/* SPDX-License-Identifier: MIT */
/*
 * loop.h - one epoll set; everything in the program happens in its thread.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct a watch is part of. */
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/**
 * struct loop_watch - interest in one descriptor
 * @fd:     borrowed
 * @events: what is asked for now, EPOLLIN | EPOLLOUT; 0: not in the set
 * @ready:  called with what happened
 */
struct loop_watch {
	int fd;
	uint32_t events;
	void (*ready)(struct loop_watch *watch, uint32_t events);
};

struct loop {
	int epoll; /* owned */
	bool stop;
};

/* 0, or -1 and errno */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);
/* Change what is asked for. Out of the set with 0: a descriptor in it reports
 * a hang-up for ever, also when nobody asked. */
int loop_want(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Wait once and call what is ready; a watch must live until this returns. */
int loop_turn(struct loop *loop, int timeout_ms);
/* CLOCK_MONOTONIC milliseconds, and seconds since 1970 */
uint64_t loop_now_ms(void);
int64_t loop_wall_s(void);

#endif
