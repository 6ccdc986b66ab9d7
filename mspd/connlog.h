/* SPDX-License-Identifier: MIT */
/*
 * connlog.h - ProxyAgent.Connection.log: what became of requests, for people
 * (spec 9.4). audit.jsonl is the record; this is what Azure's tools collect.
 *
 * Written by a thread of its own: a disk that is slow delays nobody. What
 * does not fit into memory until then is left out, and counted in the file.
 */
#ifndef MSPD_CONNLOG_H
#define MSPD_CONNLOG_H

#include <stdint.h>

#include "mspd/log.h"

/** Bytes of lines that wait. */
#define MSPD_CONNLOG_WAITING (256 * 1024)
/** Most bytes of a text, before it is escaped; the rest is cut. */
#define MSPD_CONNLOG_TEXT (32 * 1024)

struct mspd_connlog;

/**
 * mspd_connlog_open - start the log and its thread
 * @out:   the log, or NULL on error, or if there is to be none
 * @dir:   of the file (0640, 10 MiB, 5 files); "": none
 * @level: least severe level that is written
 * Returns 0 or -errno.
 */
int mspd_connlog_open(struct mspd_connlog **out, const char *dir,
		      enum mspd_level level);

/* Writes what waits. NULL is fine, here and below. */
void mspd_connlog_close(struct mspd_connlog *log);

/* Would a line of this level be written? */
bool mspd_connlog_wants(const struct mspd_connlog *log, enum mspd_level level);

/* Are there lines that the writer has not tried yet? */
bool mspd_connlog_waits(struct mspd_connlog *log);

/**
 * mspd_connlog_add - one line, "REQUEST[CONNECTION] - TEXT"
 * @text: any bytes; control characters are escaped
 *
 * Never waits. Threads: any.
 */
void mspd_connlog_add(struct mspd_connlog *log, enum mspd_level level,
		      uint64_t request, uint64_t connection, const char *text);

#endif
