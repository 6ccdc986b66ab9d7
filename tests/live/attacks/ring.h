/* SPDX-License-Identifier: MIT */
/*
 * ring.h - io_uring, one request at a time, by system calls alone.
 */
#ifndef TESTS_LIVE_RING_H
#define TESTS_LIVE_RING_H

#include <linux/io_uring.h>

struct ring {
	int fd;
	unsigned int flags;
	_Atomic unsigned int *sq_tail, *sq_flags;
	_Atomic unsigned int *cq_head, *cq_tail;
	unsigned int *sq_array;
	unsigned int sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* With flags of IORING_SETUP_. 0 or -errno. */
int ring_open(struct ring *r, unsigned int flags);

/* Those of the caller, for sqe.personality; a number or -errno. */
int ring_register_credentials(const struct ring *r);

/* One request and its result. */
int ring_do(struct ring *r, const struct io_uring_sqe *sqe);

#endif
