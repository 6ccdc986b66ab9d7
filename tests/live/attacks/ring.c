/* SPDX-License-Identifier: MIT */
/*
 * In: a request for io_uring. Out: its result. Must never have two under way:
 * that is all an attack needs.
 */
#include "tests/live/attacks/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

static void *map(const struct ring *r, size_t size, off_t at)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, r->fd, at);
}

/* Any kernel that has IORING_OP_CONNECT maps both queues at once. */
static int map_queues(struct ring *r, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned int);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(*r->cqes);
	char *base = map(r, sq > cq ? sq : cq, IORING_OFF_SQ_RING);

	if (base == MAP_FAILED)
		return -errno;
	r->sq_tail = (void *)(base + p->sq_off.tail);
	r->sq_flags = (void *)(base + p->sq_off.flags);
	r->sq_array = (void *)(base + p->sq_off.array);
	r->sq_mask = *(unsigned int *)(void *)(base + p->sq_off.ring_mask);
	r->cq_head = (void *)(base + p->cq_off.head);
	r->cq_tail = (void *)(base + p->cq_off.tail);
	r->cqes = (void *)(base + p->cq_off.cqes);
	r->cq_mask = *(unsigned int *)(void *)(base + p->cq_off.ring_mask);
	r->sqes = map(r, p->sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	return r->sqes == MAP_FAILED ? -errno : 0;
}

int ring_open(struct ring *r, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 1 };

	memset(r, 0, sizeof(*r));
	r->flags = flags;
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	return r->fd < 0 ? -errno : map_queues(r, &p);
}

int ring_register_credentials(const struct ring *r)
{
	int n = (int)syscall(SYS_io_uring_register, r->fd,
			     IORING_REGISTER_PERSONALITY, NULL, 0);

	return n < 0 ? -errno : n;
}

static int enter(struct ring *r)
{
	unsigned int flags = IORING_ENTER_GETEVENTS;
	unsigned int submit = 1;

	if (r->flags & IORING_SETUP_SQPOLL) {
		submit = 0;
		if (atomic_load(r->sq_flags) & IORING_SQ_NEED_WAKEUP)
			flags |= IORING_ENTER_SQ_WAKEUP;
	}
	while (atomic_load(r->cq_tail) == atomic_load(r->cq_head)) {
		if (syscall(SYS_io_uring_enter, r->fd, submit, 1, flags, NULL,
			    0) >= 0)
			submit = 0;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int tail = atomic_load(r->sq_tail);
	unsigned int head = atomic_load(r->cq_head);
	int rc;

	r->sqes[tail & r->sq_mask] = *sqe;
	r->sq_array[tail & r->sq_mask] = tail & r->sq_mask;
	atomic_store(r->sq_tail, tail + 1);
	rc = enter(r);
	if (rc < 0)
		return rc;
	rc = r->cqes[head & r->cq_mask].res;
	atomic_store(r->cq_head, head + 1);
	return rc;
}
