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

enum mspd_level {
	MSPD_NO_LEVEL = -1, /* not even errors */
	MSPD_ERROR = 0,
	MSPD_WARN = 1,
	MSPD_INFO = 2,
	MSPD_DEBUG = 3,
	MSPD_TRACE = 4
};

/**
 * mspd_log_open - where lines go from now on
 * @dir:          directory of ProxyAgent.log (0640, 10 MiB, 5 files); "" or
 *                NULL: no file
 * @file_level:   least severe level written to the file
 * @system_level: least severe level written to stdout; errors go to stderr
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
void mspd_log(enum mspd_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

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

/* Would a line of this level be written anywhere? */
bool mspd_log_wants(enum mspd_level level);

/* "ERROR", "WARN", "INFO", "DEBUG", "TRACE". */
const char *mspd_level_name(enum mspd_level level);

/**
 * mspd_level_parse - name in any letter case -> level
 * Returns false for an unknown word, which counts as INFO (spec 2.2).
 */
bool mspd_level_parse(const char *word, enum mspd_level *out);

#endif
