/* SPDX-License-Identifier: MIT */
/*
 * In: jobs that may block. Out: their completion, in the loop's thread.
 * Must never block the loop, nor touch an argument after giving up on it.
 */
#include "mspd/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_THREADS 64
#define IDLE_MS	    10000

struct job {
	struct job *next;
	struct mspd_work work; /* its arg belongs to the submitter */
};

struct queue {
	struct job *first;
	struct job **last; /* where the next one goes */
};

/* Freed by whoever leaves last: the owner, or a thread that hung. */
struct mspd_workers {
	struct mspd_workers_opts opts;
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job that may run, or stop */
	pthread_cond_t left; /* a thread has ended */
	struct queue waiting;
	struct queue finished;
	struct job *running[MAX_THREADS];
	size_t jobs;	/* not reaped yet */
	size_t threads; /* alive */
	size_t idle;	/* of these, waiting for a job */
	bool stop;
	bool owned; /* until mspd_workers_free() gives up */
	int event;  /* eventfd, readable while something is finished */
};

/* ---- queues ------------------------------------------------------------ */

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

/* Take out the job that *at points to. */
static struct job *queue_remove(struct queue *queue, struct job **at)
{
	struct job *job = *at;

	*at = job->next;
	if (queue->last == &job->next)
		queue->last = at;
	return job;
}

/* Take all; the chain ends with NULL. */
static struct job *queue_take(struct queue *queue)
{
	struct job *first = queue->first;

	queue_init(queue);
	return first;
}

/* ---- tags -------------------------------------------------------------- */

static bool has_tag(const struct job *job, uint64_t tag)
{
	size_t i;

	for (i = 0; i < MSPD_WORK_TAGS; i++)
		if (job->work.tags[i] == tag)
			return true;
	return false;
}

static size_t running_with(const struct mspd_workers *workers, uint64_t tag)
{
	size_t i, n = 0;

	for (i = 0; i < workers->opts.threads; i++)
		n += workers->running[i] && has_tag(workers->running[i], tag);
	return n;
}

static size_t chained_with(const struct job *job, uint64_t tag)
{
	size_t n = 0;

	for (; job; job = job->next)
		n += has_tag(job, tag);
	return n;
}

static bool may_run(const struct mspd_workers *workers, const struct job *job)
{
	size_t i;

	for (i = 0; workers->opts.per_tag && i < MSPD_WORK_TAGS; i++)
		if (job->work.tags[i] &&
		    running_with(workers, job->work.tags[i]) >=
			    workers->opts.per_tag)
			return false;
	return true;
}

/* One user must not fill the queue of all others. */
static bool too_many(const struct mspd_workers *workers,
		     const struct mspd_work *work)
{
	size_t i;

	if (workers->jobs >= MSPD_WORKERS_QUEUE)
		return true;
	for (i = 0; workers->opts.per_tag && i < MSPD_WORK_TAGS; i++) {
		uint64_t tag = work->tags[i];

		if (tag &&
		    running_with(workers, tag) +
				    chained_with(workers->waiting.first, tag) +
				    chained_with(workers->finished.first,
						 tag) >=
			    MSPD_WORKERS_TAG_QUEUE)
			return true;
	}
	return false;
}

/* The first that may run now, taken out; NULL: none. */
static struct job *next_job(struct mspd_workers *workers)
{
	struct job **at;

	for (at = &workers->waiting.first; *at; at = &(*at)->next)
		if (may_run(workers, *at))
			return queue_remove(&workers->waiting, at);
	return NULL;
}

/* ---- threads ----------------------------------------------------------- */

int mspd_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int rc;

	/* A signal must reach the loop, which waits for it; but this one is of
	 * a call that the thread itself makes, and would end the process. */
	sigfillset(&all);
	sigdelset(&all, SIGSYS);
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

static struct job **free_place(struct mspd_workers *workers)
{
	size_t i = 0;

	while (workers->running[i]) /* there are as many as threads */
		i++;
	return &workers->running[i];
}

static int grow(struct mspd_workers *workers);

/* With the lock held, which is given up while the job runs. */
static void run_job(struct mspd_workers *workers, struct job *job)
{
	struct job **place = free_place(workers);

	*place = job;
	/* what was waiting beside it must not wait for its end; the end of the
	 * last one may have let two run */
	grow(workers);
	pthread_mutex_unlock(&workers->lock);
	job->work.work(job->work.arg);
	pthread_mutex_lock(&workers->lock);
	*place = NULL;
	finish(workers, job);
}

/* With the lock held: wait for a job; false: it has been long enough. */
static bool wait_for_more(struct mspd_workers *workers)
{
	struct timespec until = mspd_deadline(workers->opts.idle_ms);
	int rc;

	workers->idle++;
	rc = pthread_cond_timedwait(&workers->more, &workers->lock, &until);
	workers->idle--;
	return rc != ETIMEDOUT;
}

static void *run(void *arg)
{
	struct mspd_workers *workers = arg;
	struct job *job;
	bool stay = true;
	bool last;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		job = next_job(workers);
		if (job)
			run_job(workers, job);
		else if (workers->stop || !stay)
			break;
		else
			stay = wait_for_more(workers);
		stay |= job != NULL;
	}
	workers->threads--;
	pthread_cond_signal(&workers->left);
	last = !workers->owned && !workers->threads;
	pthread_mutex_unlock(&workers->lock);
	if (last)
		destroy(workers);
	return NULL;
}

static size_t waiting_to_run(const struct mspd_workers *workers)
{
	const struct job *job;
	size_t n = 0;

	for (job = workers->waiting.first; job && n <= workers->idle;
	     job = job->next)
		n += may_run(workers, job);
	return n;
}

/* With the lock held: wake or start a thread if there is work for one more. A
 * thread that was woken counts as idle until it runs. */
static int grow(struct mspd_workers *workers)
{
	pthread_t thread;
	int rc;

	pthread_cond_signal(&workers->more);
	if (workers->stop || workers->threads >= workers->opts.threads ||
	    waiting_to_run(workers) <= workers->idle)
		return 0;
	rc = mspd_thread_start(&thread, run, workers);
	if (rc < 0)
		return workers->threads ? 0 : rc;
	pthread_detach(thread);
	workers->threads++;
	return 0;
}

/* ---- public ------------------------------------------------------------ */

int mspd_workers_new(struct mspd_workers **out,
		     const struct mspd_workers_opts *opts)
{
	struct mspd_workers *workers;
	pthread_condattr_t attr;
	int err;

	*out = NULL;
	if (!opts->threads || opts->threads > MAX_THREADS)
		return -EINVAL;
	workers = calloc(1, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	workers->opts = *opts;
	if (!workers->opts.idle_ms)
		workers->opts.idle_ms = IDLE_MS;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&workers->more, &attr);
	pthread_cond_init(&workers->left, &attr);
	pthread_condattr_destroy(&attr);
	queue_init(&workers->waiting);
	queue_init(&workers->finished);
	workers->owned = true;
	workers->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers->event < 0) {
		err = -errno;
		destroy(workers);
		return err;
	}
	*out = workers;
	return 0;
}

/* With the lock held. */
static int enqueue(struct mspd_workers *workers, struct job *job)
{
	struct job **at = workers->waiting.last;
	int rc;

	if (workers->stop)
		return -ESHUTDOWN;
	if (too_many(workers, &job->work))
		return -EBUSY;
	queue_push(&workers->waiting, job);
	rc = grow(workers);
	if (rc < 0)
		queue_remove(&workers->waiting, at);
	else
		workers->jobs++;
	return rc;
}

int mspd_workers_submit(struct mspd_workers *workers,
			const struct mspd_work *work)
{
	struct job *job = malloc(sizeof(*job));
	int rc;

	if (!job)
		return -ENOMEM;
	*job = (struct job){ NULL, *work };
	pthread_mutex_lock(&workers->lock);
	rc = enqueue(workers, job);
	pthread_mutex_unlock(&workers->lock);
	if (rc < 0)
		free(job);
	return rc;
}

bool mspd_workers_cancel(struct mspd_workers *workers, const void *arg)
{
	struct job *job = NULL;
	struct job **at;

	pthread_mutex_lock(&workers->lock);
	at = &workers->waiting.first;
	while (*at && (*at)->work.arg != arg)
		at = &(*at)->next;
	if (*at) {
		job = queue_remove(&workers->waiting, at);
		workers->jobs--;
	}
	pthread_mutex_unlock(&workers->lock);
	free(job);
	return job != NULL;
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

		job->work.done(job->work.arg);
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
