/* SPDX-License-Identifier: MIT */
/*
 * fakehost.h - the other end of a TCP connection, driven by the test: it says
 * exactly the bytes it is told to, when it is told to.
 */
#ifndef MSP_TEST_FAKEHOST_H
#define MSP_TEST_FAKEHOST_H

#include <msp/endpoint.h>

struct fakehost {
	int listener;
	int conn; /* -1: none */
	struct msp_address address;
	unsigned int accepted; /* connections so far */
	size_t len;	       /* bytes received on this connection */
	char in[256 * 1024];   /* the bytes, NUL behind them */
};

/* All of them fail the test when something cannot be done. */
void fakehost_open(struct fakehost *host);
void fakehost_close(struct fakehost *host);
/* take the next connection if there is one; the one before is closed */
bool fakehost_accept(struct fakehost *host);
/* receive what has arrived; false at the end of the stream */
bool fakehost_hear(struct fakehost *host);
/* is a whole request there, its body by content-length included? */
bool fakehost_has_request(const struct fakehost *host);
void fakehost_forget(struct fakehost *host);
void fakehost_say(struct fakehost *host, const char *data, size_t len);
void fakehost_hang_up(struct fakehost *host);
/* with a reset instead of an orderly end */
void fakehost_slam(struct fakehost *host);

#endif
