/* SPDX-License-Identifier: MIT */
/*
 * server_priv.h - a connection and the server, as server_mhd.c and
 * server_reply.c know them.
 */
#ifndef MSPD_SERVER_PRIV_H
#define MSPD_SERVER_PRIV_H

#include <stdarg.h>
#include <sys/epoll.h>

#include <microhttpd.h>

#include "mspd/door.h"
#include "mspd/limits.h"
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
	bool begun;		    /* libmicrohttpd was given it, */
	struct MHD_Connection *mhd; /* and has started it */
	void *app;
	struct mspd_place place;
	struct sockaddr_in from;
	int fd;
	enum stage stage;
	bool waiting;	/* for a place */
	bool taken;	/* the application has seen the head */
	bool accepted;	/* the application wants the body */
	bool suspended; /* libmicrohttpd does not look at it */
	bool ended;	/* the client will send no more */
	bool broken;	/* nor read */
	bool aborted;
	struct MHD_Response *reply; /* given by the application, not sent yet */
	bool close;		    /* the connection after it */
	bool huge;		    /* and is counted as that */
	unsigned int status;
	bool hasty;   /* no reply waits for this body, */
	bool lengthy; /* and no refusal for this one */
	uint64_t discarded, patience;
	const char *received; /* target, in libmicrohttpd's memory */
	uint64_t total_at;    /* when the exchange is given up */
	uint64_t body_bytes;  /* that have come since the timer was set */
	bool has_body;
	bool held_up; /* since then by the application */
	bool late;    /* given up */
	bool served;  /* an exchange has ended on it */
	char *target;
	size_t target_len, target_room;
	struct msp_header *headers;
	size_t used; /* of libmicrohttpd's pool by the head, at most */
	struct mspd_watch watch;
	struct mspd_timer timer;
	/* server_rest.c */
	bool slept;  /* has been suspended since it was idle */
	bool rests;  /* is to be suspended when libmicrohttpd has run */
	bool listed; /* is to be looked at then */
	struct mspd_exchange *next_listed;
	struct mspd_line *line; /* it is in, or NULL */
	struct mspd_exchange *newer, *older;
	uint64_t since_ms;
};

/* Connections in one state, and what is done when it has lasted too long. */
struct mspd_line {
	struct mspd_server *server;
	struct mspd_exchange *newest, *oldest;
	unsigned int n;
	uint64_t ms;
	void (*over)(struct mspd_exchange *x);
	struct mspd_timer timer;
};

/* What the loop watches one for that is not parked: its end, told once. */
#define MSPD_WATCH_BUSY (EPOLLRDHUP | EPOLLET)

struct mspd_server {
	struct mspd_loop *loop;
	struct MHD_Daemon *mhd;
	const struct mspd_server_ops *ops;
	void *arg;
	struct mspd_server_opts opts;
	struct mspd_exchange *connections;
	unsigned int n_connections;
	unsigned int most;   /* since memory was given back */
	unsigned int n_huge; /* answers that are read in large blocks */
	struct mspd_exchange *arriving; /* inside MHD_add_connection() */
	bool draining;
	bool in_place; /* heads stay where libmicrohttpd received them */
	bool dirty;    /* libmicrohttpd must run before the turn ends */
	struct mspd_exchange *listed;
	struct mspd_line parked;    /* suspended, between two requests */
	struct mspd_line unwatched; /* being answered, with a new connection */
	struct mspd_door *door;	    /* owned */
	struct mspd_watch inner;    /* libmicrohttpd's own epoll */
	struct mspd_timer timer;    /* libmicrohttpd's next timeout */
	struct mspd_timer tidy;	    /* server_tidy.c */
	uint64_t tidy_by_ms;	    /* at the latest; 0: nothing to do */
	bool crumbs;		    /* it is the second time for a crowd */
	struct msp_header collected[MSP_MAX_HEADERS + 1];
	struct mspd_limits limits;
	unsigned int own_status; /* libmicrohttpd's last refusal, 0: told */
	uint64_t own_status_ms;	 /* and when that was, by the loop's clock */
	char scratch[MSP_CLIENT_HEAD_MAX + 4];
};

/* What libmicrohttpd keeps for each header beside its text: 56 bytes, rounded
 * up. */
#define MSPD_POOL_PER_HEADER 64
/* Half of all is for reading at first: 4 KiB of body come with a short head in
 * one piece where 8 KiB are for heads. It is memory of each connection. */
#define MSPD_POOL_SPARE 320
/* Status line, date and framing of a reply. */
#define MSPD_POOL_REPLY 320

/* ---- server_limit.c: what a client may take of memory and time --------- */

/* Of a head: status to refuse with, or 0. */
unsigned int mspd_limit_head(struct mspd_exchange *x, const char *method,
			     const char *version, size_t n_headers);
/* Times of an exchange whose head is there. */
void mspd_limit_start(struct mspd_exchange *x);
/* Its body is waited for from now on. */
void mspd_limit_body(struct mspd_exchange *x);
/* Its timer has come: is it in time? If so the timer is set again. */
bool mspd_limit_in_time(struct mspd_exchange *x);
/* libmicrohttpd says something; arg is the server. */
void mspd_limit_message(void *arg, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/* The request ends before it was one, or the connection without one: tell the
 * application if it was refused. */
void mspd_limit_not_taken(struct mspd_exchange *x);

/* ---- server_rest.c: suspended when libmicrohttpd has run --------------- */

void mspd_rest_init(struct mspd_server *s);
/* The server ends. */
void mspd_rest_stop(struct mspd_server *s);
/* It is new, and will be watched if need be. */
void mspd_rest_arrive(struct mspd_exchange *x);
/* The whole request is there, and is being answered. */
void mspd_rest_sleep(struct mspd_exchange *x);
/* A request has ended; if it is still idle then. */
void mspd_rest_park(struct mspd_exchange *x);
bool mspd_rest_is_parked(const struct mspd_exchange *x);
/* It is resumed. */
void mspd_rest_wake(struct mspd_exchange *x);
/* It ends. */
void mspd_rest_forget(struct mspd_exchange *x);
/* libmicrohttpd has run. */
void mspd_rest_all(struct mspd_server *s);

/* ---- server_tidy.c: memory goes back ----------------------------------- */

/* Has a crowd left? Cheap. */
void mspd_tidy_look(struct mspd_server *s);
void mspd_tidy_stop(struct mspd_server *s);

/* ---- server_arrive.c: before libmicrohttpd, and after ------------------ */

extern const struct mspd_door_ops mspd_arrive_ops; /* arg: the server */
/* libmicrohttpd's: arg is the server. */
void mspd_arrive_notify(void *arg, struct MHD_Connection *mhd, void **context,
			enum MHD_ConnectionNotificationCode what);
/* Something has come, or its end, on one that libmicrohttpd does not know. */
void mspd_arrive_speaks(struct mspd_exchange *x);
/* Is there a byte to be read? */
bool mspd_arrive_has_spoken(const struct mspd_exchange *x);
/* libmicrohttpd had no room for it, and has closed it. */
void mspd_arrive_lost(struct mspd_exchange *x);
/* Close one that libmicrohttpd does not know. */
void mspd_arrive_end(struct mspd_exchange *x);

/* ---- server_mhd.c ------------------------------------------------------- */

/* libmicrohttpd leaves the connection alone until mspd_exchange_resume(). */
void mspd_exchange_suspend(struct mspd_exchange *x);
/* Its request has been answered, or never will be. */
void mspd_exchange_over(struct mspd_exchange *x, bool complete);
/* Nothing is asked on it from now on. */
void mspd_exchange_idle(struct mspd_exchange *x);
/* The loop's: arg is the exchange. */
void mspd_exchange_event(void *arg, uint32_t events);
void mspd_exchange_late(void *arg);

#endif
