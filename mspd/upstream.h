/* SPDX-License-Identifier: MIT */
/*
 * upstream.h - connections to the endpoints, a few idle ones kept for the
 * next request. Belongs to the loop's thread.
 */
#ifndef MSPD_UPSTREAM_H
#define MSPD_UPSTREAM_H

#include <msp/msp.h>

#include "mspd/loop.h"

struct mspd_upstreams;

/* One connection to an endpoint, in use by one exchange or idle. */
struct mspd_upstream {
	struct mspd_upstreams *pool;
	struct msp_client *client; /* owned */
	enum msp_endpoint endpoint;
	/* for whom it was opened; nobody else's request goes out on it */
	uint32_t uid;
	uint64_t cgroup_id;
	bool reused; /* an earlier request has been answered on it */
	bool idle;
	uint64_t idle_since; /* turn of the loop */
	bool resting;	     /* in use, and nothing is waited for: */
	uint64_t rested;     /* since this turn, or was until it was put away */
	struct mspd_upstream *next, *prev;   /* idle ones of the same slot */
	struct mspd_upstream *newer, *older; /* all idle ones */
	struct mspd_watch watch;
	struct mspd_timer timer;
	void (*ready)(void *arg); /* something can be done */
	void *arg;
};

struct mspd_upstreams_opts {
	struct msp_address endpoints[MSP_ENDPOINTS];
	uint32_t connect_ms; /* for the connection */
	uint32_t timeout_ms; /* for the first byte, and between two */
	size_t max;	     /* connections, idle ones included; 0: no bound */
	/* called with each new socket before it connects */
	int (*on_socket)(void *arg, int fd);
	void *on_socket_arg;
};

/* 0 or -errno; opts are copied. */
int mspd_upstreams_new(struct mspd_upstreams **out, struct mspd_loop *loop,
		       const struct mspd_upstreams_opts *opts);
void mspd_upstreams_free(struct mspd_upstreams *pool);

/* An idle connection of the same user in the same cgroup, or a new one that
 * connects at the first request; NULL when out of memory. fresh: never an idle
 * one. */
struct mspd_upstream *mspd_upstream_get(struct mspd_upstreams *pool,
					enum msp_endpoint endpoint,
					const struct msp_caller *caller,
					bool fresh, void (*ready)(void *arg),
					void *arg);

/* whole: the request has been sent and the answer has ended; then it is kept
 * for another one. Else it is closed. If it cannot carry that, as far as the
 * answer tells, msp_client_send() opens another socket then; what comes on it
 * meanwhile is looked for here. */
void mspd_upstream_put(struct mspd_upstream *up, bool whole);

/* Call ready() when the client can go on, or at its deadline. */
void mspd_upstream_wait(struct mspd_upstream *up);
/* Do not call ready(). */
void mspd_upstream_rest(struct mspd_upstream *up);

#endif
