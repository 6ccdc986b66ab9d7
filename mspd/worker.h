/* SPDX-License-Identifier: MIT */
/*
 * worker.h - threads for whatever may block: NSS, files. A pool has none
 * until it has work, and none again some time after its last.
 */
#ifndef MSPD_WORKER_H
#define MSPD_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/** Most jobs of a pool that are queued, running or not reaped yet. */
#define MSPD_WORKERS_QUEUE 1024
/** Most of these that bear the same tag. */
#define MSPD_WORKERS_TAG_QUEUE 128
/** On whose account a job can be. */
#define MSPD_WORK_TAGS 2

struct mspd_workers;

/**
 * struct mspd_workers_opts - of a pool
 * @threads: at most, 1 to 64
 * @per_tag: at most this many jobs with the same tag run at a time, the
 *           others wait and let the next ones pass; 0: no such bound
 * @idle_ms: a thread without work ends after this; 0: 10 seconds
 */
struct mspd_workers_opts {
	size_t threads;
	size_t per_tag;
	unsigned int idle_ms;
};

/**
 * struct mspd_work - a job
 * @work: called in a worker
 * @done: called later, by mspd_workers_reap() in the loop
 * @arg:  of both; the submitter's
 * @tags: on whose account, 0: nobody's. Bounds what one user, or one file
 *        system that hangs, can take of a pool
 */
struct mspd_work {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	uint64_t tags[MSPD_WORK_TAGS];
};

/**
 * mspd_workers_new - a pool without threads
 * @out: the pool, or NULL on error; end with mspd_workers_free()
 * Signals are blocked in the threads. Returns 0 or -errno.
 */
int mspd_workers_new(struct mspd_workers **out,
		     const struct mspd_workers_opts *opts);

/**
 * mspd_workers_submit - have a job done
 *
 * Returns 0, -EBUSY (too many jobs, or too many with one of its tags),
 * -EAGAIN (there is no thread, and none can be started), -ENOMEM,
 * -ESHUTDOWN; then neither function is called. Threads: any.
 */
int mspd_workers_submit(struct mspd_workers *workers,
			const struct mspd_work *work);

/**
 * mspd_workers_cancel - take a job back that has not begun
 * Returns true if it has not: neither function is called. False: too late.
 */
bool mspd_workers_cancel(struct mspd_workers *workers, const void *arg);

/* Descriptor that is readable while finished jobs wait. Borrowed. */
int mspd_workers_fd(const struct mspd_workers *workers);

/* Call done() for every job finished so far; returns how many. Loop thread
 * only; done() may submit. */
size_t mspd_workers_reap(struct mspd_workers *workers);

/**
 * mspd_workers_free - stop; NULL is fine
 * @wait_ms: how long to wait for jobs that are running
 *
 * Calls done() for every finished job, and for those that never ran: an arg
 * must from the start hold "no result". A job that still hangs after the time
 * is left to its detached thread; its done() is never called, its arg is
 * never freed. Loop thread only. Returns the number of such jobs.
 */
size_t mspd_workers_free(struct mspd_workers *workers, unsigned int wait_ms);

/**
 * mspd_thread_start - a joinable thread that takes no signals
 * Returns 0 or -errno.
 */
int mspd_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg);

/* CLOCK_MONOTONIC in @ms, for condition variables set to that clock. */
struct timespec mspd_deadline(unsigned int ms);

#endif
