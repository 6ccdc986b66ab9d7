/* SPDX-License-Identifier: MIT */
/*
 * sessionpoll.h - poll() as a session sees it: the hosts get their turn, and
 * when nothing comes the time is over. Included by a test program of sessions,
 * which it makes one with such a poll().
 */
#ifndef MSP_TEST_SESSIONPOLL_H
#define MSP_TEST_SESSIONPOLL_H

#include <errno.h>
#include <poll.h>

#include "tests/lib/sessionhost.h"

/* Real milliseconds that bytes on the loopback may take. */
#define SLACK 30

static int poll_now(struct pollfd *fds, nfds_t n)
{
	struct timespec none = { 0, 0 };

	return ppoll(fds, n, &none, NULL);
}

static int poll_hosts(struct pollfd *fds, nfds_t n)
{
	struct timespec ms = { 0, 1000000 };
	int i, rc;

	for (i = 0; i < SLACK; i++) {
		bool done = scripthost_look(&hosts);

		rc = poll_now(fds, n);
		if (rc != 0)
			return rc;
		if (fds->fd < 0)
			return 0; /* it only sleeps */
		if (!done)
			ppoll(NULL, 0, &ms, NULL);
	}
	return 0;
}

/* The name by which it is linked: the other may be an inline one already. */
int session_poll(struct pollfd *fds, nfds_t n, int timeout) __asm__("poll");

int session_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int rc;

	if (timeout == 0)
		return poll_now(fds, n);
	if (session_poll_errno) {
		errno = session_poll_errno;
		session_poll_errno = 0;
		return -1;
	}
	if (session_signals) {
		session_signals--;
		session_ms++;
		errno = EINTR;
		return -1;
	}
	rc = poll_hosts(fds, n);
	if (rc == 0)
		session_ms += (uint64_t)timeout;
	return rc;
}

#endif
