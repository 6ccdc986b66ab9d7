/* SPDX-License-Identifier: MIT */
/*
 * notify.h - tells the service manager how we are: sd_notify(3)'s protocol,
 * one datagram per message to the socket that NOTIFY_SOCKET names. Without
 * that variable all of it does nothing.
 *
 * Belongs to the loop's thread.
 */
#ifndef MSPD_NOTIFY_H
#define MSPD_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "mspd/loop.h"

struct mspd_notify;

/** Longest text of STATUS=, with the NUL. */
#define MSPD_NOTIFY_TEXT 512

/**
 * struct mspd_notify_opts - borrowed functions, and times in milliseconds
 * @alive:       has everything beside the loop made progress within
 *               @slack_ms? While it has not, the watchdog is not told that all
 *               is well, and the service manager ends us when its time is up
 * @describe:    how we are, one line; control characters become blanks
 * @tick:        called with each look at what is to be told, every few seconds,
 *               less than 5, so that what else is to be looked at wakes nobody
 *               up for itself; NULL: nothing is
 * @arg:         of all three
 * @patience_ms: READY=1 is sent after this even if mspd_notify_ready() has
 *               not been called: what is ordered after us, the network among
 *               it, must not wait for an agent that cannot work. 0: 10 s
 */
struct mspd_notify_opts {
	bool (*alive)(void *arg, uint64_t slack_ms);
	void (*describe)(void *arg, char *out, size_t size);
	void (*tick)(void *arg);
	void *arg;
	uint32_t patience_ms;
};

/**
 * mspd_notify_new - from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID
 * @out: free with mspd_notify_free(); NULL on error
 *
 * A path or an abstract name ('@'); anything else is -EINVAL. Returns 0 or
 * -errno.
 */
int mspd_notify_new(struct mspd_notify **out, struct mspd_loop *loop,
		    const struct mspd_notify_opts *opts);

/* Of the service manager's socket; 0 or -EINVAL. */
int mspd_notify_address(const char *name, struct sockaddr_un *out,
			socklen_t *out_len);

/* Clients can be served. What cannot be sent now is sent later. Here and
 * below, NULL is fine. */
void mspd_notify_ready(struct mspd_notify *notify);

/* We are on our way out. */
void mspd_notify_stopping(struct mspd_notify *notify);

void mspd_notify_free(struct mspd_notify *notify);

#endif
