/* SPDX-License-Identifier: MIT */
/*
 * server.h - the HTTP server side, so narrow that another HTTP core can take
 * its place: head, body, end; reply head, reply body; pause and resume.
 *
 * One exchange at a time on a connection. Everything runs in the loop's
 * thread. The server only lets well-formed, unambiguous requests through: a
 * request that could be read in two ways is answered with 400 here.
 */
#ifndef MSPD_SERVER_H
#define MSPD_SERVER_H

#include <sys/types.h>

#include <msp/msp.h>

#include "mspd/door.h"

struct mspd_server;
struct mspd_exchange;

/* Length of a body that is not known before its end. */
#define MSPD_LENGTH_UNKNOWN UINT64_MAX

/* A request's head; borrowed until the exchange is done. */
struct mspd_head {
	const char *method;
	const char *target; /* raw, as received */
	size_t target_len;
	const struct msp_header *headers; /* framing included */
	size_t n_headers;
	uint64_t length; /* of the body; 0 none, MSPD_LENGTH_UNKNOWN chunked */
	bool http_1_0;
};

struct mspd_reply {
	unsigned int status;
	const struct msp_header
		*headers; /* copied; no framing, no Connection */
	size_t n_headers;
	uint64_t length;  /* of the body to be read, MSPD_LENGTH_UNKNOWN */
	const void *body; /* the whole body, copied; NULL: ask read() */
	bool close;	  /* close the connection after it */
	bool bodiless;	  /* length is only said: HEAD, 304 */
	/* of the request's body, dropped before it; 0: as for a refusal */
	uint64_t patience;
};

/* What the application does. arg is the one given to mspd_server_new(). */
struct mspd_server_ops {
	/* A connection: its own state, or NULL to close it. owner: set to the
	 * key its place is counted under, mspd_fair_key(). */
	void *(*open)(void *arg, int fd, const struct sockaddr_in *from,
		      uint64_t *owner);
	void (*close)(void *connection);
	/* A head: reply at once, or accept the body, or do so later. */
	void (*head)(void *connection, struct mspd_exchange *x,
		     const struct mspd_head *head);
	/* A head that was answered with status here: neither head() nor
	 * done() is called for it. Method and target are empty, and there are
	 * no headers, as far as nobody knows them. */
	void (*malformed)(void *connection, const struct mspd_head *head,
			  unsigned int status);
	/* The exchange is given up: what it could have been answered with.
	 * done() follows. */
	void (*late)(void *connection, unsigned int status);
	/* A piece of body: how much was taken; less pauses the exchange. */
	size_t (*body)(void *connection, const void *data, size_t len);
	/* The body is complete. */
	void (*end)(void *connection);
	/* All that had come from connections was given to head(), body() and
	 * end(), of any number of them; arg as for open(). */
	void (*pass)(void *arg);
	/* Next piece of the reply's body: bytes, 0 pauses, MSPD_READ_*. */
	ssize_t (*read)(void *connection, void *out, size_t size);
	/* The exchange is over; complete is false if it was cut short. */
	void (*done)(void *connection, bool complete);
};

#define MSPD_READ_END	 (-1)
#define MSPD_READ_FAILED (-2)

struct mspd_server_opts {
	unsigned int max_connections;
	unsigned int max_user_connections; /* of one owner; 0: a quarter */
	size_t max_line_bytes;		   /* 0: no limit of these three */
	size_t max_headers;
	uint32_t min_body_rate; /* bytes per second, over each */
	uint32_t body_timeout_ms;
	uint32_t total_timeout_ms; /* of an exchange; 0: one day */
	uint32_t header_timeout_ms;
	uint32_t idle_timeout_ms; /* within a body, rounded up to seconds */
	/* for the head of a request and of its reply, with 64 bytes more for
	 * each header; a connection holds them from its first to its last
	 * byte, and they are cleared between requests */
	size_t head_bytes;
};

/* 0 or -errno */
int mspd_server_new(struct mspd_server **out, struct mspd_loop *loop,
		    const struct mspd_server_ops *ops, void *arg,
		    const struct mspd_server_opts *opts);
void mspd_server_free(struct mspd_server *server);

/* Start accepting from a listening, non-blocking socket; borrowed. */
int mspd_server_listen(struct mspd_server *server, int listen_fd);
/* A connection that somebody else accepted there: it is the server's now. */
void mspd_server_take(struct mspd_server *server, int fd);
/* Accept nobody until it listens again. */
void mspd_server_rest(struct mspd_server *server);
/* Accept no more; idle connections are closed, busy ones finish. spare: not
 * yet those that have not asked for anything, or have just done so: a client
 * that was let in is not cut off before its first request is read. */
void mspd_server_drain(struct mspd_server *server, bool spare);
/* Connections that are open now. */
unsigned int mspd_server_connections(const struct mspd_server *server);
/* What happened at the door since the start. Threads: any. */
void mspd_server_counts(const struct mspd_server *server,
			struct mspd_door_counts *out);

/* The head is fine: go on with the body. */
void mspd_exchange_accept(struct mspd_exchange *x);
/* Is there room for these headers? There always is for none. */
bool mspd_exchange_has_room(const struct mspd_exchange *x,
			    const struct mspd_reply *r);
/* Answer, once. 0 or -errno; on error the connection is closed. */
int mspd_exchange_reply(struct mspd_exchange *x, const struct mspd_reply *r);
/* body() or read() can go on. */
void mspd_exchange_resume(struct mspd_exchange *x);
/* Close the connection without an answer. */
void mspd_exchange_abort(struct mspd_exchange *x);

#endif
