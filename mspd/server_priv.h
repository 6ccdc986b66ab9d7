/* SPDX-License-Identifier: MIT */
/*
 * server_priv.h - a connection and the server, as server_mhd.c and
 * server_reply.c know them.
 */
#ifndef MSPD_SERVER_PRIV_H
#define MSPD_SERVER_PRIV_H

#include <microhttpd.h>

#include "mspd/door.h"
#include "mspd/server.h"

enum stage {
	STAGE_IDLE, /* between requests */
	STAGE_HEAD, /* a request line has come */
	STAGE_WAIT, /* the application has the head */
	STAGE_BODY, /* it wants the body */
	STAGE_END,  /* it has the whole request */
	STAGE_REPLY /* the reply is being sent */
};

/* A connection and its one exchange. */
struct mspd_exchange {
	struct mspd_server *server;
	struct mspd_exchange *next, *prev;
	struct MHD_Connection *mhd;
	void *app;
	struct mspd_place place;
	struct sockaddr_in from;
	int fd;
	enum stage stage;
	bool waiting;	/* for a place: libmicrohttpd does not know it */
	bool taken;	/* the application has seen the head */
	bool accepted;	/* the application wants the body */
	bool suspended; /* libmicrohttpd does not look at it */
	bool ended;	/* the client will send no more */
	bool broken;	/* nor read */
	bool aborted;
	struct MHD_Response *reply; /* given by the application, not sent yet */
	bool close;		    /* the connection after it */
	unsigned int status;
	bool hasty; /* no reply of ours waits for this body */
	uint64_t discarded, patience;
	const char *received; /* target, in libmicrohttpd's memory */
	char *target;
	size_t target_len, target_room;
	struct msp_header *headers;
	size_t used; /* of libmicrohttpd's pool by the head, at most */
	struct mspd_watch watch;
	struct mspd_timer timer;
};

struct mspd_server {
	struct mspd_loop *loop;
	struct MHD_Daemon *mhd;
	const struct mspd_server_ops *ops;
	void *arg;
	struct mspd_server_opts opts;
	struct mspd_exchange *connections;
	unsigned int n_connections;
	struct mspd_exchange *arriving; /* inside MHD_add_connection() */
	bool draining;
	bool in_place; /* heads stay where libmicrohttpd received them */
	bool dirty; /* libmicrohttpd must run before the turn ends */
	struct mspd_door *door;	 /* owned */
	struct mspd_watch inner; /* libmicrohttpd's own epoll */
	struct mspd_timer timer; /* libmicrohttpd's next timeout */
	struct msp_header collected[MSP_MAX_HEADERS + 1];
	char scratch[MSP_CLIENT_HEAD_MAX + 4];
};

/* What libmicrohttpd keeps for each header and each parameter of the query,
 * beside their text: 56 bytes, rounded up. */
#define MSPD_POOL_PER_HEADER 64
/* Status line, date and framing of a reply. */
#define MSPD_POOL_REPLY 320

/* libmicrohttpd leaves the connection alone until mspd_exchange_resume(). */
void mspd_exchange_suspend(struct mspd_exchange *x);

#endif
