/* SPDX-License-Identifier: MIT */
/*
 * worker.h - a few threads for whatever may block: /proc, NSS, files.
 */
#ifndef MSPD_WORKER_H
#define MSPD_WORKER_H

#include <pthread.h>
#include <stddef.h>
#include <time.h>

/** Most jobs that are queued, running or not reaped yet. */
#define MSPD_WORKERS_QUEUE 1024

struct mspd_workers;

/**
 * mspd_workers_new - start @n threads, 1 to 64
 * @out: the pool, or NULL on error; end with mspd_workers_free()
 * Signals are blocked in the threads. Returns 0 or -errno.
 */
int mspd_workers_new(struct mspd_workers **out, size_t n);

/**
 * mspd_workers_submit - have work(arg) called in a worker, then done(arg) by
 * mspd_workers_reap() in the loop
 *
 * Returns 0, -EBUSY (queue is full), -ENOMEM, -ESHUTDOWN; then neither is
 * called. Threads: any.
 */
int mspd_workers_submit(struct mspd_workers *workers, void (*work)(void *arg),
			void (*done)(void *arg), void *arg);

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
