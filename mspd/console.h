/* SPDX-License-Identifier: MIT */
/*
 * console.h - short lines for whoever watches the machine's serial console
 * come up (spec 9.5).
 */
#ifndef MSPD_CONSOLE_H
#define MSPD_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Longest line, with its end. */
#define MSPD_CONSOLE_LINE 2048

struct mspd_console {
	const char *path; /* borrowed; "": no console */
	pthread_mutex_t lock;
	bool told; /* in the log, that it cannot be written */
};

void mspd_console_init(struct mspd_console *console, const char *path);
void mspd_console_close(struct mspd_console *console);

/**
 * mspd_console_say - one line, or one for each line of @text
 *
 * Opened for each message, for writing only and never created. Never waits:
 * what a console that does not drain has no room for is lost. Control
 * characters are escaped, so that nobody's text can move its cursor. Never
 * pass it a key, a signature or a token. Threads: any.
 */
void mspd_console_say(struct mspd_console *console, const char *text);

/* The start of the agent, in the words of spec 1.5; in the log, too. */
void mspd_console_start(struct mspd_console *console);
/* "TEXT - MS": something that was achieved so long after the start. In the
 * log it is an object {"elapsed":MS, "message":TEXT} (spec 9.4). */
void mspd_console_event(struct mspd_console *console, const char *text,
			uint64_t ms);

#endif
