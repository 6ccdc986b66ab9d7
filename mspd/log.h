/* SPDX-License-Identifier: MIT */
/*
 * log.h - what the daemon has to say: ProxyAgent.log and the service manager
 * (spec 3.3, 9.4).
 *
 * One log per process. Threads: any, except open and close.
 */
#ifndef MSPD_LOG_H
#define MSPD_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct mspd_text;

enum mspd_level {
	MSPD_NO_LEVEL = -1, /* not even errors */
	MSPD_ERROR = 0,
	MSPD_WARN = 1,
	MSPD_INFO = 2,
	MSPD_DEBUG = 3,
	MSPD_TRACE = 4
};

/** A place in the source; all constants. */
struct mspd_code {
	const char *file;
	const char *function;
	int line;
};
#define MSPD_HERE (&(const struct mspd_code){ __FILE__, __func__, __LINE__ })

/**
 * mspd_log_open - where lines go from now on
 * @dir:          directory of ProxyAgent.log (0640, 10 MiB, 5 files); "" or
 *                NULL: no file
 * @file_level:   least severe level written to the file
 * @system_level: least severe level written to stdout; errors go to stderr.
 *                Where one of these is the journal, it gets them as messages
 *                with level and place instead
 *
 * Before it, errors and warnings go to the system output and nothing else
 * does. Returns 0 or -errno: then only the system output is written.
 */
int mspd_log_open(const char *dir, enum mspd_level file_level,
		  enum mspd_level system_level);

/* Back to the state before open. */
void mspd_log_close(void);

/**
 * mspd_log - one line
 *
 * Control characters and bytes that are not UTF-8 are escaped, so that a
 * caller's text cannot forge a line; cut at 4,096 bytes. Never pass it a key,
 * a signature or a token. errno is left alone.
 */
#define mspd_log(level, ...) mspd_log_at(MSPD_HERE, level, __VA_ARGS__)
void mspd_log_at(const struct mspd_code *place, enum mspd_level level,
		 const char *format, ...) __attribute__((format(printf, 3, 4)));

/**
 * mspd_log_system - several lines at once, to the system output only
 * @text: lines with LF between them; of what is in a line, control characters
 *        have been escaped
 */
void mspd_log_system(enum mspd_level level, const char *text, size_t len);

/**
 * mspd_log_events - lines of at least this level become telemetry, too
 *
 * MSPD_NO_LEVEL, as at first: none. Nothing does while no telemetry is
 * collected.
 */
void mspd_log_events(enum mspd_level level);

/**
 * mspd_log_event - a line that is an event of its own, whatever its level
 * @task:   what was done; a constant
 * @module: by whom; a constant
 */
void mspd_log_event(enum mspd_level level, const char *task, const char *module,
		    const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Does a line of this level become telemetry? */
bool mspd_log_is_event(enum mspd_level level);

/* Would a line of this level be written anywhere? */
bool mspd_log_wants(enum mspd_level level);

/** Column of a line's message (spec 9.4). */
#define MSPD_LOG_HEADER 34
/* Append time and level, up to that column. */
void mspd_log_header(struct mspd_text *line, enum mspd_level level);

/* "ERROR", "WARN", "INFO", "DEBUG", "TRACE". */
const char *mspd_level_name(enum mspd_level level);

/**
 * mspd_level_parse - name in any letter case -> level
 * Returns false for an unknown word, which counts as INFO (spec 2.2).
 */
bool mspd_level_parse(const char *word, enum mspd_level *out);

#endif
