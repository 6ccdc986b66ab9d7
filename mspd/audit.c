/* SPDX-License-Identifier: MIT */
/*
 * In: decisions and what became of them. Out: JSON lines on file, in order.
 * Must never lose a record while it runs, nor write half a line, nor make the
 * loop wait for a disk.
 */
#include "mspd/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mspd/audit_chain.h"
#include "mspd/audit_merge.h"
#include "mspd/audit_text.h"
#include "mspd/log.h"
#include "mspd/rotate.h"
#include "mspd/worker.h"

#define HALF ((size_t)MSPD_AUDIT_MEMORY / 2)
/* Requests are taken in while so much is free: what those need that are under
 * way is kept for them. */
#define KEPT (HALF / 2)
/* Gathering ends early with this much. */
#define ENOUGH ((size_t)96 * 1024)
/* What a half holds on to when it has been written. */
#define TOUCHED	 ((size_t)192 * 1024)
#define RETRY_MS 250
/* Room for a line that tells of a torn one. */
#define TORN_LINE 256
/* At the end a full disk is given this many chances more. */
#define LAST_TRIES    10
#define LAST_RETRY_MS 100

struct half {
	char *at;
	size_t used; /* whole lines */
};

struct mspd_audit {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* the writer waits here */
	pthread_cond_t fewer; /* lines went to the file */
	pthread_t writer;
	struct mspd_rotate file; /* the writer's, not locked */
	struct mspd_chain chain; /* likewise */
	struct half halves[2];
	size_t filled; /* the half that takes lines; the other is written */
	struct mspd_merge *merge;
	struct mspd_audit_stamp stamp;
	bool idle;   /* the writer waits for a line */
	bool hurry;  /* and is not to gather any more */
	bool wanted; /* somebody waits for room */
	bool stop;
	int lost;  /* errno of the last attempt before giving up */
	bool late; /* the file is not open yet */
	char *dir; /* owned */
	atomic_bool failed;
	int room_fd;
	void (*on_fault)(void *arg, int err);
	void *on_fault_arg;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- memory; all of it with the lock held ------------------------------- */

static struct half *filled(struct mspd_audit *audit)
{
	return &audit->halves[audit->filled];
}

static bool has_room(const struct mspd_audit *audit, size_t bytes)
{
	return HALF - audit->halves[audit->filled].used >= bytes;
}

/* For one line; there must be room. */
static struct mspd_text line_start(struct mspd_audit *audit)
{
	struct half *half = filled(audit);
	struct mspd_text line;

	mspd_text_init(&line, half->at + half->used, HALF - half->used);
	return line;
}

static void line_end(struct mspd_audit *audit, const struct mspd_text *line)
{
	filled(audit)->used += line->len;
}

/* Is the writer to be woken? By the first line, and by a lot of them; not by
 * each. */
static bool wakes(struct mspd_audit *audit)
{
	if (audit->idle) {
		audit->idle = false;
		return true;
	}
	if (audit->hurry || filled(audit)->used < ENOUGH)
		return false;
	audit->hurry = true;
	return true;
}

/* ---- writer: all of it with the lock held, but for the file -------------- */

static void wait_until(struct mspd_audit *audit, bool *flag, bool value,
		       unsigned int ms)
{
	struct timespec at = mspd_deadline(ms);
	int rc = 0;

	while (*flag == value && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&audit->work, &audit->lock, &at);
}

/* For a line, or until what is counted is due. */
static void wait_for_lines(struct mspd_audit *audit)
{
	uint64_t due = mspd_merge_due(audit->merge);
	uint64_t now = now_ms();

	audit->idle = true;
	if (due == MSP_NEVER)
		while (audit->idle)
			pthread_cond_wait(&audit->work, &audit->lock);
	else if (due > now)
		wait_until(audit, &audit->idle, true,
			   (unsigned int)(due - now));
	audit->idle = false;
}

static void gather(struct mspd_audit *audit)
{
	if (filled(audit)->used >= ENOUGH)
		audit->hurry = true;
	if (!audit->stop)
		wait_until(audit, &audit->hurry, false, MSPD_AUDIT_GATHER_MS);
	audit->hurry = false;
}

/* Lines of what is counted, as far as there is room. */
static void put_merged(struct mspd_audit *audit, bool all)
{
	struct mspd_text line;

	while (has_room(audit, MSPD_AUDIT_LINE)) {
		line = line_start(audit);
		if (!mspd_merge_next(audit->merge, now_ms(), all, &line))
			return;
		line_end(audit, &line);
	}
}

/* Told once when it begins to fail, and once when it is over. */
static void note_result(struct mspd_audit *audit, int rc)
{
	char buffer[128];
	bool failed = rc < 0;

	if (atomic_exchange(&audit->failed, failed) == failed)
		return;
	if (failed)
		mspd_log(MSPD_ERROR, "audit.jsonl cannot be written: %s",
			 strerror_r(-rc, buffer, sizeof(buffer)));
	else
		mspd_log(MSPD_WARN, "audit.jsonl is being written again");
	if (audit->on_fault)
		audit->on_fault(audit->on_fault_arg, -rc);
}

static bool may_take(const struct mspd_audit *audit)
{
	return !atomic_load(&audit->failed) && has_room(audit, KEPT);
}

static void tell_room(struct mspd_audit *audit)
{
	const uint64_t one = 1;

	if (!audit->wanted || !may_take(audit))
		return;
	audit->wanted = false;
	if (write(audit->room_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		mspd_log(MSPD_ERROR, "cannot tell of room in the audit trail");
}

/* A burst is no reason to be large from then on. */
static void shrink(const struct half *half)
{
	if (half->used > TOUCHED)
		madvise(half->at + TOUCHED, HALF - TOUCHED, MADV_DONTNEED);
}

/* Wait before the next attempt, or less if it is time to stop. */
static void pause_writer(struct mspd_audit *audit)
{
	wait_until(audit, &audit->stop, audit->stop,
		   audit->stop ? LAST_RETRY_MS : RETRY_MS);
}

/* All that has been gathered, with one call. False: it was given up. */
static bool write_half(struct mspd_audit *audit)
{
	struct half *half = filled(audit);
	int tries = LAST_TRIES;
	bool chained = false;
	int rc;

	audit->filled = !audit->filled;
	tell_room(audit);
	for (;;) {
		pthread_mutex_unlock(&audit->lock);
		rc = chained ? 0
			     : mspd_chain_fill(&audit->chain, half->at,
					       half->used);
		chained = rc == 0;
		if (chained)
			rc = mspd_rotate_append(&audit->file, half->at,
						half->used);
		note_result(audit, rc);
		if (rc == 0)
			shrink(half);
		pthread_mutex_lock(&audit->lock);
		if (rc == 0 || (audit->stop && tries-- == 0))
			break;
		pause_writer(audit);
	}
	half->used = 0;
	audit->lost = -rc;
	tell_room(audit);
	pthread_cond_broadcast(&audit->fewer);
	return rc == 0;
}

/* What is counted belongs to the file in which the first one is. */
static bool last_of_file(struct mspd_audit *audit)
{
	const struct mspd_rotate *file = &audit->file;

	return file->size < file->limit &&
	       file->size + filled(audit)->used >= file->limit;
}

/* ---- the file ---------------------------------------------------------- */

/* Of the line before, left by a crash. */
static int write_torn(struct mspd_audit *audit, uint64_t torn)
{
	struct mspd_audit_stamp stamp = { 0 };
	struct mspd_text line;
	struct timespec now;
	char text[TORN_LINE];
	int rc;

	clock_gettime(CLOCK_REALTIME, &now);
	mspd_text_init(&line, text, sizeof(text));
	mspd_audit_text_torn(&line, now, torn, &stamp);
	rc = mspd_chain_fill(&audit->chain, text, line.len);
	return rc < 0 ? rc : mspd_rotate_append(&audit->file, text, line.len);
}

/* Where the last one ended, be it in the middle of a line. */
static int resume(struct mspd_audit *audit)
{
	const struct mspd_chain before = audit->chain;
	uint64_t torn = 0;
	int rc = mspd_rotate_open(&audit->file, audit->dir, "audit.jsonl");

	if (rc < 0)
		return rc;
	mspd_rotate_keep(&audit->file);
	rc = mspd_chain_resume(&audit->chain, &audit->file, &torn);
	if (rc == 0 && torn)
		rc = write_torn(audit, torn);
	if (rc == 0)
		return 0;
	mspd_rotate_close(&audit->file);
	audit->chain = before;
	return rc;
}

/* What may be over in a while; anything else is for somebody to put right. */
static bool may_pass(int rc)
{
	return rc == -EROFS || rc == -ENOSPC || rc == -EDQUOT || rc == -EIO ||
	       rc == -EFBIG || rc == -EMFILE || rc == -ENFILE;
}

/* With the lock held. What is decided meanwhile waits in memory. */
static void resume_late(struct mspd_audit *audit)
{
	bool last = false;
	int rc;

	while (audit->late && !last) {
		pause_writer(audit);
		last = audit->stop;
		pthread_mutex_unlock(&audit->lock);
		rc = resume(audit);
		note_result(audit, rc);
		pthread_mutex_lock(&audit->lock);
		audit->late = rc < 0;
	}
	tell_room(audit);
}

static void *run(void *arg)
{
	struct mspd_audit *audit = arg;
	bool fine = true;

	pthread_mutex_lock(&audit->lock);
	resume_late(audit);
	while (fine) {
		put_merged(audit, audit->stop);
		if (filled(audit)->used) {
			gather(audit);
			if (last_of_file(audit))
				put_merged(audit, true);
			fine = write_half(audit);
		} else if (audit->stop) {
			break;
		} else {
			wait_for_lines(audit);
		}
	}
	pthread_mutex_unlock(&audit->lock);
	return NULL;
}

/* ---- start and end ------------------------------------------------------ */

static int init(struct mspd_audit *audit, const struct mspd_audit_opts *opts)
{
	pthread_condattr_t attr;
	char *at;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&audit->lock, NULL);
	pthread_cond_init(&audit->work, &attr);
	pthread_cond_init(&audit->fewer, &attr);
	pthread_condattr_destroy(&attr);
	audit->on_fault = opts->on_fault;
	audit->on_fault_arg = opts->arg;
	audit->file.fd = -1;
	audit->file.dir_fd = -1;
	audit->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (audit->room_fd < 0)
		return -errno;
	audit->dir = strdup(opts->dir);
	if (!audit->dir)
		return -ENOMEM;
	if (mspd_chain_init(&audit->chain) < 0)
		return -ENOMEM;
	/* mapped, so that what was never used costs nothing */
	at = mmap(NULL, MSPD_AUDIT_MEMORY, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	audit->halves[0].at = at;
	audit->halves[1].at = at + HALF;
	return mspd_merge_new(&audit->merge, opts);
}

static void destroy(struct mspd_audit *audit)
{
	mspd_rotate_close(&audit->file);
	mspd_chain_free(&audit->chain);
	mspd_merge_free(audit->merge);
	if (audit->halves[0].at)
		munmap(audit->halves[0].at, MSPD_AUDIT_MEMORY);
	if (audit->room_fd >= 0)
		close(audit->room_fd);
	pthread_cond_destroy(&audit->fewer);
	pthread_cond_destroy(&audit->work);
	pthread_mutex_destroy(&audit->lock);
	free(audit->dir);
	free(audit);
}

int mspd_audit_open(struct mspd_audit **out, const struct mspd_audit_opts *opts)
{
	struct mspd_audit *audit;
	int rc;

	*out = NULL;
	if (!opts->dir || !*opts->dir)
		return -EINVAL;
	audit = calloc(1, sizeof(*audit));
	if (!audit)
		return -ENOMEM;
	rc = init(audit, opts);
	if (rc == 0)
		rc = resume(audit);
	if (may_pass(rc)) {
		audit->late = true;
		note_result(audit, rc);
		rc = 0;
	}
	if (rc == 0)
		rc = mspd_thread_start(&audit->writer, run, audit);
	if (rc < 0) {
		destroy(audit);
		return rc;
	}
	/* for who looks at the process with top(1), and wonders */
	pthread_setname_np(audit->writer, "audit writer");
	*out = audit;
	return 0;
}

int mspd_audit_close(struct mspd_audit *audit)
{
	int rc;

	if (!audit)
		return 0;
	pthread_mutex_lock(&audit->lock);
	audit->stop = true;
	audit->idle = false;
	audit->hurry = true;
	pthread_cond_signal(&audit->work);
	pthread_mutex_unlock(&audit->lock);
	pthread_join(audit->writer, NULL);
	rc = -audit->lost;
	if (audit->file.fd >= 0 && fdatasync(audit->file.fd) < 0 && rc == 0)
		rc = -errno;
	destroy(audit);
	return rc;
}

/* ---- records ------------------------------------------------------------ */

static void put_line(struct mspd_audit *audit,
		     const struct mspd_audit_record *record)
{
	struct mspd_text line = line_start(audit);

	mspd_audit_text(&line, record, &audit->stamp);
	mspd_audit_text_end(&line, 0, record->time, &audit->stamp);
	line_end(audit, &line);
	mspd_merge_charge(audit->merge, line.len);
}

void mspd_audit_write(struct mspd_audit *audit,
		      const struct mspd_audit_record *record)
{
	bool was_none, wake = false;

	pthread_mutex_lock(&audit->lock);
	was_none = mspd_merge_due(audit->merge) == MSP_NEVER;
	if (mspd_merge_take(audit->merge, record, now_ms(),
			    has_room(audit, MSPD_AUDIT_LINE))) {
		put_line(audit, record);
		wake = wakes(audit);
	} else if (was_none) {
		wake = wakes(audit); /* it has a time to wait for now */
	}
	pthread_mutex_unlock(&audit->lock);
	/* now, so that it does not wait for the lock at once */
	if (wake)
		pthread_cond_signal(&audit->work);
}

bool mspd_audit_ready(struct mspd_audit *audit)
{
	bool ready;

	pthread_mutex_lock(&audit->lock);
	ready = may_take(audit);
	audit->wanted |= !ready;
	pthread_mutex_unlock(&audit->lock);
	return ready;
}

int mspd_audit_room_fd(const struct mspd_audit *audit)
{
	return audit->room_fd;
}

bool mspd_audit_failed(const struct mspd_audit *audit)
{
	return atomic_load(&audit->failed);
}

size_t mspd_audit_queue(struct mspd_audit *audit)
{
	size_t bytes;

	pthread_mutex_lock(&audit->lock);
	bytes = audit->halves[0].used + audit->halves[1].used;
	pthread_mutex_unlock(&audit->lock);
	return bytes;
}

int mspd_audit_flush(struct mspd_audit *audit, unsigned int ms)
{
	struct timespec at = mspd_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&audit->lock);
	audit->hurry = true;
	pthread_cond_signal(&audit->work);
	while ((audit->halves[0].used || audit->halves[1].used) &&
	       rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&audit->fewer, &audit->lock, &at);
	rc = audit->halves[0].used || audit->halves[1].used ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&audit->lock);
	return rc;
}
