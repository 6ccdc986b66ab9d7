/* SPDX-License-Identifier: MIT */
/*
 * journal.h - messages for systemd's journal, with their level and place, by
 * its native protocol: of what a service writes to its output, the journal
 * knows neither, and takes every line for a message.
 */
#ifndef MSPD_JOURNAL_H
#define MSPD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "mspd/log.h"

/** Where it listens. */
#define MSPD_JOURNAL_SOCKET "/run/systemd/journal/socket"
/** Most bytes of a message; the rest is cut, between characters. */
#define MSPD_JOURNAL_MESSAGE 32768

/**
 * mspd_journal_behind - does what is written to @fd go to the journal?
 * @stream: value of JOURNAL_STREAM, "DEVICE:INODE"; NULL: no
 */
bool mspd_journal_behind(int fd, const char *stream);

/* Descriptor of a socket to it, or -errno. NULL: MSPD_JOURNAL_SOCKET. */
int mspd_journal_open(const char *path);

/**
 * mspd_journal_send - one message, whatever is in it
 * @place: of the source, or NULL
 *
 * Never waits. Returns 0, -EAGAIN if the journal does not keep up, or another
 * -errno if there is none. Threads: any.
 */
int mspd_journal_send(int fd, enum mspd_level level,
		      const struct mspd_code *place, const char *text,
		      size_t len);

#endif
