/* SPDX-License-Identifier: MIT */
/*
 * In: messages, some with text from callers. Out: one line each (spec 9.4).
 * Must never write two lines for one message, nor stop the daemon.
 */
#include "mspd/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mspd/event.h"
#include "mspd/journal.h"
#include "mspd/rotate.h"
#include "mspd/text.h"

#define MESSAGE	   4096 /* bytes of a message, before escaping */
#define LINE_BYTES (MSPD_LOG_HEADER + 4 * MESSAGE + 8)
#define NOWHERE	   (-1)

static struct {
	pthread_mutex_t lock; /* of the file and of what was lost */
	struct mspd_rotate file;
	uint64_t lost; /* lines the file did not take */
	atomic_int file_level;
	atomic_int system_level;
	atomic_int event_level;
	atomic_int journal; /* socket, NOWHERE: none */
	atomic_uint behind; /* bits: output descriptors that are the journal */
	atomic_uint_least64_t late; /* messages it did not take */
} the_log = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.file_level = NOWHERE,
	.system_level = MSPD_WARN,
	.event_level = NOWHERE,
	.journal = NOWHERE,
};

/* Which of our outputs are the journal, and the way to it that takes more than
 * lines. Without one they are lines there, too. */
static void find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned int behind = 0;
	int fd;

	if (mspd_journal_behind(STDOUT_FILENO, stream))
		behind |= 1u << STDOUT_FILENO;
	if (mspd_journal_behind(STDERR_FILENO, stream))
		behind |= 1u << STDERR_FILENO;
	if (!behind)
		return;
	fd = mspd_journal_open(NULL);
	if (fd < 0)
		return;
	atomic_store(&the_log.journal, fd);
	atomic_store(&the_log.behind, behind);
}

static void forget_journal(void)
{
	int fd;

	atomic_store(&the_log.behind, 0);
	fd = atomic_exchange(&the_log.journal, NOWHERE);
	if (fd >= 0)
		close(fd);
}

int mspd_log_open(const char *dir, enum mspd_level file_level,
		  enum mspd_level system_level)
{
	int rc;

	forget_journal();
	find_journal();
	atomic_store(&the_log.system_level, (int)system_level);
	if (!dir || !*dir)
		return 0;
	pthread_mutex_lock(&the_log.lock);
	rc = mspd_rotate_open(&the_log.file, dir, "ProxyAgent.log");
	if (rc == 0)
		atomic_store(&the_log.file_level, (int)file_level);
	pthread_mutex_unlock(&the_log.lock);
	return rc;
}

void mspd_log_close(void)
{
	pthread_mutex_lock(&the_log.lock);
	if (atomic_load(&the_log.file_level) != NOWHERE)
		mspd_rotate_close(&the_log.file);
	atomic_store(&the_log.file_level, NOWHERE);
	atomic_store(&the_log.system_level, MSPD_WARN);
	the_log.lost = 0;
	forget_journal();
	pthread_mutex_unlock(&the_log.lock);
}

void mspd_log_events(enum mspd_level level)
{
	atomic_store(&the_log.event_level, (int)level);
}

bool mspd_log_is_event(enum mspd_level level)
{
	return (int)level <= atomic_load(&the_log.event_level);
}

static bool is_line(enum mspd_level level)
{
	return (int)level <= atomic_load(&the_log.file_level) ||
	       (int)level <= atomic_load(&the_log.system_level);
}

bool mspd_log_wants(enum mspd_level level)
{
	return is_line(level) || mspd_log_is_event(level);
}

void mspd_log_header(struct mspd_text *line, enum mspd_level level)
{
	char stamp[MSPD_TEXT_TIME];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	mspd_text_time(stamp, now, ':');
	mspd_text_put(line, stamp);
	mspd_text_put(line, " [");
	mspd_text_put(line, mspd_level_name(level));
	mspd_text_put(line, "]");
	while (line->len < MSPD_LOG_HEADER)
		mspd_text_put(line, " ");
}

/* Say first how many lines are missing, so that a gap cannot look like
 * silence. */
static int note_lost(void)
{
	char buffer[160];
	struct mspd_text line;
	int rc;

	if (!the_log.lost)
		return 0;
	mspd_text_init(&line, buffer, sizeof(buffer));
	mspd_log_header(&line, MSPD_WARN);
	mspd_text_number(&line, the_log.lost);
	mspd_text_put(&line, " lines could not be written here.\n");
	rc = mspd_rotate_append(&the_log.file, line.at, line.len);
	if (rc == 0)
		the_log.lost = 0;
	return rc;
}

static void to_file(const struct mspd_text *line)
{
	pthread_mutex_lock(&the_log.lock);
	if (atomic_load(&the_log.file_level) != NOWHERE &&
	    (note_lost() < 0 ||
	     mspd_rotate_append(&the_log.file, line->at, line->len) < 0))
		the_log.lost++;
	pthread_mutex_unlock(&the_log.lock);
}

/* Say first how many are missing, as in the file. Returns 0 or -errno. */
static int to_journal(enum mspd_level level, const struct mspd_code *place,
		      const char *at, size_t len)
{
	int fd = atomic_load(&the_log.journal);
	uint64_t late = atomic_exchange(&the_log.late, 0);
	char text[80];
	int rc = 0;

	if (late) {
		snprintf(text, sizeof(text),
			 "%" PRIu64 " lines could not be written here.", late);
		rc = mspd_journal_send(fd, MSPD_WARN, NULL, text, strlen(text));
	}
	if (rc == 0) {
		late = 0;
		rc = mspd_journal_send(fd, level, place, at, len);
	}
	if (rc == -EAGAIN)
		late++;
	if (late)
		atomic_fetch_add(&the_log.late, late);
	return rc == -EAGAIN ? 0 : rc;
}

/* With an LF behind it, which is no part of the message. One write per line,
 * so that lines of several threads do not mix. */
static void to_system(enum mspd_level level, const struct mspd_code *place,
		      const char *at, size_t len)
{
	int fd = level == MSPD_ERROR ? STDERR_FILENO : STDOUT_FILENO;
	ssize_t n;

	if (atomic_load(&the_log.behind) & (1u << fd) &&
	    to_journal(level, place, at, len - 1) == 0)
		return;
	do {
		n = write(fd, at, len);
	} while (n < 0 && errno == EINTR);
}

void mspd_log_system(enum mspd_level level, const char *text, size_t len)
{
	int saved = errno;
	char *line;

	if ((int)level > atomic_load(&the_log.system_level))
		return;
	line = malloc(len + 1);
	if (line) {
		memcpy(line, text, len);
		line[len] = '\n';
		to_system(level, NULL, line, len + 1);
	}
	free(line);
	errno = saved;
}

static void write_line(enum mspd_level level, const struct mspd_code *place,
		       const char *message, size_t len, bool whole)
{
	char buffer[LINE_BYTES];
	struct mspd_text line;

	mspd_text_init(&line, buffer, sizeof(buffer));
	mspd_log_header(&line, level);
	mspd_text_line(&line, message, len);
	mspd_text_put(&line, whole ? "\n" : "...\n");
	if ((int)level <= atomic_load(&the_log.file_level))
		to_file(&line);
	if ((int)level <= atomic_load(&the_log.system_level))
		to_system(level, place, line.at + MSPD_LOG_HEADER,
			  line.len - MSPD_LOG_HEADER);
}

/* Without @task it is an event only if its level makes it one. */
__attribute__((format(printf, 5, 0))) static void
say(const struct mspd_code *place, enum mspd_level level, const char *task,
    const char *module, const char *format, va_list args)
{
	char message[MESSAGE];
	int saved = errno;
	size_t len;
	int n = vsnprintf(message, sizeof(message), format, args);

	if (n < 0)
		return;
	/* The last byte kept tells whether the one before it ends there. */
	len = mspd_utf8_cut(message, (size_t)n, sizeof(message) - 2);
	if (is_line(level))
		write_line(level, place, message, len, len == (size_t)n);
	if (task)
		mspd_event_add(level, task, module, message, len);
	else if (mspd_log_is_event(level))
		mspd_event_add(level, "CommonLogger", "ProxyAgent", message,
			       len);
	errno = saved;
}

void mspd_log_at(const struct mspd_code *place, enum mspd_level level,
		 const char *format, ...)
{
	va_list args;

	if (!mspd_log_wants(level))
		return;
	va_start(args, format);
	say(place, level, NULL, NULL, format, args);
	va_end(args);
}

void mspd_log_event(enum mspd_level level, const char *task, const char *module,
		    const char *format, ...)
{
	va_list args;

	if (!is_line(level) && !mspd_events_wanted())
		return;
	va_start(args, format);
	say(NULL, level, task, module, format, args);
	va_end(args);
}
