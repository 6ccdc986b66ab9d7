/* SPDX-License-Identifier: MIT */
/*
 * In: texts about requests. Out: lines of ProxyAgent.Connection.log. Must
 * never make the loop wait, nor leave lines out without saying so.
 */
#include "mspd/connlog.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/rotate.h"
#include "mspd/text.h"
#include "mspd/worker.h"

#define NAME "ProxyAgent.Connection.log"

struct mspd_connlog {
	pthread_mutex_t lock;
	pthread_cond_t more; /* lines, or stop */
	pthread_t writer;
	struct mspd_rotate file; /* the writer's, not locked */
	enum mspd_level level;
	bool stop;
	bool busy;     /* the writer has lines in hand */
	uint64_t lost; /* lines left out since the last that was written */
	size_t used;   /* bytes in waiting */
	size_t n;      /* lines in waiting */
	char *waiting; /* one of the halves of buffer; the other one is */
	char *written; /* the writer's, not locked */
	char line[4 * MSPD_CONNLOG_TEXT];
	char buffer[2][MSPD_CONNLOG_WAITING];
};

/* ---- writer ------------------------------------------------------------ */

static int write_lost(struct mspd_connlog *log, uint64_t lost)
{
	char buffer[128];
	struct mspd_text line;

	mspd_text_init(&line, buffer, sizeof(buffer));
	mspd_log_header(&line, MSPD_WARN);
	mspd_text_number(&line, lost);
	mspd_text_put(&line, " lines could not be written here.\n");
	return mspd_rotate_append(&log->file, line.at, line.len);
}

/* With the lock held, which is given up while writing. */
static void write_waiting(struct mspd_connlog *log)
{
	uint64_t lost = log->lost;
	char *taken = log->waiting;
	size_t used = log->used;
	size_t n = log->n;
	int rc = 0;

	log->waiting = log->written;
	log->written = taken;
	log->used = 0;
	log->n = 0;
	log->lost = 0;
	log->busy = true;
	pthread_mutex_unlock(&log->lock);
	if (lost)
		rc = write_lost(log, lost);
	if (rc == 0) {
		lost = 0;
		rc = mspd_rotate_append(&log->file, taken, used);
	}
	pthread_mutex_lock(&log->lock);
	log->busy = false;
	log->lost += rc < 0 ? lost + n : lost;
}

static void *run(void *arg)
{
	struct mspd_connlog *log = arg;

	pthread_mutex_lock(&log->lock);
	while (!log->stop || log->used) {
		if (log->used)
			write_waiting(log);
		else
			pthread_cond_wait(&log->more, &log->lock);
	}
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* ---- public ------------------------------------------------------------ */

int mspd_connlog_open(struct mspd_connlog **out, const char *dir,
		      enum mspd_level level)
{
	struct mspd_connlog *log;
	int rc;

	*out = NULL;
	if (!dir[0] || level == MSPD_NO_LEVEL)
		return 0;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->level = level;
	log->waiting = log->buffer[0];
	log->written = log->buffer[1];
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->more, NULL);
	rc = mspd_rotate_open(&log->file, dir, NAME);
	if (rc == 0)
		rc = mspd_thread_start(&log->writer, run, log);
	if (rc < 0) {
		mspd_rotate_close(&log->file);
		free(log);
		return rc;
	}
	*out = log;
	return 0;
}

void mspd_connlog_close(struct mspd_connlog *log)
{
	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	log->stop = true;
	pthread_cond_signal(&log->more);
	pthread_mutex_unlock(&log->lock);
	pthread_join(log->writer, NULL);
	mspd_rotate_close(&log->file);
	pthread_cond_destroy(&log->more);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

bool mspd_connlog_wants(const struct mspd_connlog *log, enum mspd_level level)
{
	return log && level <= log->level;
}

bool mspd_connlog_waits(struct mspd_connlog *log)
{
	bool waits;

	pthread_mutex_lock(&log->lock);
	waits = log->used || log->busy;
	pthread_mutex_unlock(&log->lock);
	return waits;
}

/* With the lock held: the line, or that one is missing. */
static void put_line(struct mspd_connlog *log, enum mspd_level level,
		     const char *from, const char *text)
{
	size_t len = mspd_utf8_cut(text, strlen(text), MSPD_CONNLOG_TEXT - 1);
	struct mspd_text line;
	bool whole;

	mspd_text_init(&line, log->line, sizeof(log->line) - 1);
	mspd_log_header(&line, level);
	mspd_text_put(&line, from);
	whole = mspd_text_line(&line, text, len);
	/* the last byte is left for it */
	log->line[line.len++] = '\n';
	if (!whole || line.len > MSPD_CONNLOG_WAITING - log->used) {
		log->lost++;
		return;
	}
	memcpy(log->waiting + log->used, log->line, line.len);
	log->used += line.len;
	log->n++;
}

void mspd_connlog_add(struct mspd_connlog *log, enum mspd_level level,
		      uint64_t request, uint64_t connection, const char *text)
{
	char from[64];

	if (!mspd_connlog_wants(log, level))
		return;
	snprintf(from, sizeof(from), "%" PRIu64 "[%" PRIu64 "] - ", request,
		 connection);
	pthread_mutex_lock(&log->lock);
	put_line(log, level, from, text);
	pthread_cond_signal(&log->more);
	pthread_mutex_unlock(&log->lock);
}
