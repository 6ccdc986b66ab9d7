/* SPDX-License-Identifier: MIT */
/*
 * listener.h - the listening socket of the proxy.
 */
#ifndef MSPD_LISTENER_H
#define MSPD_LISTENER_H

#include <msp/msp.h>

/**
 * struct mspd_listener - where clients are sent
 * @fd:      bound, listening, non-blocking; owned; -1: none
 * @address: where it is
 * @taken:   the port that was asked for belongs to somebody else
 * @holder:  who that was; inode 0: could not be found
 */
struct mspd_listener {
	int fd;
	struct msp_address address;
	bool taken;
	struct msp_port_holder holder;
};

/**
 * mspd_listener_open - listen at @address, or at a free port beside it
 *
 * A port that is taken is not worth waiting for: whoever has it need not let
 * it go, and would answer in our place. Returns 0, or -1 with a sentence in
 * error and @out->fd -1.
 */
int mspd_listener_open(struct mspd_listener *out,
		       const struct msp_address *address, char *error,
		       size_t error_size);

/* Of one that listens beside @wanted: has somebody else that port still? Then
 * @listener says who. */
bool mspd_listener_is_beside(struct mspd_listener *listener,
			     const struct msp_address *wanted);

/** In the runtime directory. */
#define MSPD_LISTENER_FILE "listener"

/* "127.0.0.1:3080" */
#define MSPD_LISTENER_TEXT sizeof("255.255.255.255:65535")
void mspd_listener_text(const struct msp_address *address,
			char out[MSPD_LISTENER_TEXT]);

/* The other way round; false: it is no IPv4 address, or no port. */
bool mspd_listener_parse(const char *text, size_t len, struct msp_address *out);

/* DIR/listener says where it is, for whoever asks this agent for its status;
 * DIR is made if it is missing. 0 or -errno. */
int mspd_listener_tell(const struct msp_address *address, const char *dir);
/* What it says. 0, or -errno: -EINVAL for what is no loopback address. */
int mspd_listener_ask(const char *dir, struct msp_address *out);
/* The file is gone. 0 or -errno. */
int mspd_listener_untell(const char *dir);

#endif
