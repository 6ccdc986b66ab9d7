/* SPDX-License-Identifier: MIT */
/*
 * In: jobs that may block. Out: their completion, in the loop's thread.
 * Must never block the loop, nor touch an argument after giving up on it.
 */
#include "mspd/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64

struct job {
	struct job *next;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg; /* belongs to the submitter */
};

struct queue {
	struct job *first;
	struct job **last; /* where the next one goes */
};

/* Freed by whoever leaves last: the owner, or a thread that hung. */
struct mspd_workers {
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job, or stop */
	pthread_cond_t left; /* a thread has ended */
	struct queue waiting;
	struct queue finished;
	size_t jobs;	/* not reaped yet */
	size_t threads; /* alive */
	bool stop;
	bool owned; /* until mspd_workers_free() gives up */
	int event;  /* eventfd, readable while something is finished */
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_pop(struct queue *queue)
{
	struct job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	return job;
}

/* Take all; the chain ends with NULL. */
static struct job *queue_take(struct queue *queue)
{
	struct job *first = queue->first;

	queue_init(queue);
	return first;
}

/* ---- threads ----------------------------------------------------------- */

int mspd_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int rc;

	/* A signal must reach the loop, which waits for it. */
	sigfillset(&all);
	rc = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc)
		return -rc;
	rc = pthread_create(out, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

struct timespec mspd_deadline(unsigned int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

static void destroy(struct mspd_workers *workers)
{
	pthread_cond_destroy(&workers->left);
	pthread_cond_destroy(&workers->more);
	pthread_mutex_destroy(&workers->lock);
	if (workers->event >= 0)
		close(workers->event);
	free(workers);
}

/* With the lock held; drops a job whose owner has given up on it. */
static void finish(struct mspd_workers *workers, struct job *job)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!workers->owned) {
		free(job);
		return;
	}
	queue_push(&workers->finished, job);
	do {
		n = write(workers->event, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

static void *run(void *arg)
{
	struct mspd_workers *workers = arg;
	struct job *job;
	bool last;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		job = queue_pop(&workers->waiting);
		if (job) {
			pthread_mutex_unlock(&workers->lock);
			job->work(job->arg);
			pthread_mutex_lock(&workers->lock);
			finish(workers, job);
			continue;
		}
		if (workers->stop)
			break;
		pthread_cond_wait(&workers->more, &workers->lock);
	}
	workers->threads--;
	pthread_cond_signal(&workers->left);
	last = !workers->owned && !workers->threads;
	pthread_mutex_unlock(&workers->lock);
	if (last)
		destroy(workers);
	return NULL;
}

static int start_one(struct mspd_workers *workers)
{
	pthread_t thread;
	int rc;

	pthread_mutex_lock(&workers->lock);
	workers->threads++;
	pthread_mutex_unlock(&workers->lock);
	rc = mspd_thread_start(&thread, run, workers);
	if (rc == 0) {
		pthread_detach(thread);
		return 0;
	}
	pthread_mutex_lock(&workers->lock);
	workers->threads--;
	pthread_mutex_unlock(&workers->lock);
	return rc;
}

/* ---- public ------------------------------------------------------------ */

static int init(struct mspd_workers *workers)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->more, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&workers->left, &attr);
	pthread_condattr_destroy(&attr);
	queue_init(&workers->waiting);
	queue_init(&workers->finished);
	workers->owned = true;
	workers->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return workers->event < 0 ? -errno : 0;
}

int mspd_workers_new(struct mspd_workers **out, size_t n)
{
	struct mspd_workers *workers;
	size_t i;
	int rc;

	*out = NULL;
	if (!n || n > MAX_THREADS)
		return -EINVAL;
	workers = calloc(1, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	rc = init(workers);
	for (i = 0; rc == 0 && i < n; i++)
		rc = start_one(workers);
	if (rc < 0) {
		mspd_workers_free(workers, 1000);
		return rc;
	}
	*out = workers;
	return 0;
}

int mspd_workers_submit(struct mspd_workers *workers, void (*work)(void *arg),
			void (*done)(void *arg), void *arg)
{
	struct job *job = malloc(sizeof(*job));
	int rc = 0;

	if (!job)
		return -ENOMEM;
	*job = (struct job){ NULL, work, done, arg };
	pthread_mutex_lock(&workers->lock);
	if (workers->stop) {
		rc = -ESHUTDOWN;
	} else if (workers->jobs >= MSPD_WORKERS_QUEUE) {
		rc = -EBUSY;
	} else {
		workers->jobs++;
		queue_push(&workers->waiting, job);
		pthread_cond_signal(&workers->more);
	}
	pthread_mutex_unlock(&workers->lock);
	if (rc < 0)
		free(job);
	return rc;
}

int mspd_workers_fd(const struct mspd_workers *workers)
{
	return workers->event;
}

/* Without the lock, for done() may submit. */
static size_t call_done(struct job *job)
{
	size_t n = 0;

	while (job) {
		struct job *next = job->next;

		job->done(job->arg);
		free(job);
		job = next;
		n++;
	}
	return n;
}

size_t mspd_workers_reap(struct mspd_workers *workers)
{
	struct job *first, *job;
	uint64_t count;
	ssize_t n;

	do {
		n = read(workers->event, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	pthread_mutex_lock(&workers->lock);
	first = queue_take(&workers->finished);
	for (job = first; job; job = job->next)
		workers->jobs--;
	pthread_mutex_unlock(&workers->lock);
	return call_done(first);
}

size_t mspd_workers_free(struct mspd_workers *workers, unsigned int wait_ms)
{
	struct timespec deadline = mspd_deadline(wait_ms);
	struct job *never_ran, *finished;
	size_t hung;
	int rc = 0;

	if (!workers)
		return 0;
	pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	never_ran = queue_take(&workers->waiting);
	pthread_cond_broadcast(&workers->more);
	while (workers->threads && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&workers->left, &workers->lock,
					    &deadline);
	hung = workers->threads;
	finished = queue_take(&workers->finished);
	workers->owned = false;
	pthread_mutex_unlock(&workers->lock);
	if (!hung)
		destroy(workers);
	call_done(finished);
	call_done(never_ran);
	return hung;
}
