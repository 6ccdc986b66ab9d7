/* SPDX-License-Identifier: MIT */
/*
 * In: requests for a connection to an endpoint. Out: an idle one that is
 * clean, or a new one. Must never hand out a connection on which a byte has
 * arrived that nobody asked for, nor one that another caller has used: what
 * arrives late would be another caller's answer.
 */
#include "mspd/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define IDLE_MAX 32 /* per endpoint */
#define IDLE_MS	 4000

struct mspd_upstreams {
	struct mspd_loop *loop;
	struct mspd_upstreams_opts opts;
	struct mspd_upstream *idle[MSP_ENDPOINTS]; /* newest first */
	unsigned int n_idle[MSP_ENDPOINTS];
};

int mspd_upstreams_new(struct mspd_upstreams **out, struct mspd_loop *loop,
		       const struct mspd_upstreams_opts *opts)
{
	struct mspd_upstreams *pool = calloc(1, sizeof(*pool));

	*out = pool;
	if (!pool)
		return -ENOMEM;
	pool->loop = loop;
	pool->opts = *opts;
	return 0;
}

static void leave_idle(struct mspd_upstream *up)
{
	struct mspd_upstreams *pool = up->pool;

	if (!up->idle)
		return;
	if (up->prev)
		up->prev->next = up->next;
	else
		pool->idle[up->endpoint] = up->next;
	if (up->next)
		up->next->prev = up->prev;
	up->next = NULL;
	up->prev = NULL;
	up->idle = false;
	pool->n_idle[up->endpoint]--;
}

static void upstream_free(struct mspd_upstream *up)
{
	leave_idle(up);
	mspd_upstream_rest(up);
	msp_client_free(up->client);
	free(up);
}

void mspd_upstreams_free(struct mspd_upstreams *pool)
{
	size_t i;

	if (!pool)
		return;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		while (pool->idle[i])
			upstream_free(pool->idle[i]);
	free(pool);
}

/* On an idle connection any event, and the deadline, mean the end of it. */
static void on_ready(struct mspd_upstream *up)
{
	if (up->idle)
		upstream_free(up);
	else
		up->ready(up->arg);
}

static void on_event(void *arg, uint32_t events)
{
	(void)events;
	on_ready(arg);
}

static void on_deadline(void *arg)
{
	on_ready(arg);
}

static struct mspd_upstream *upstream_new(struct mspd_upstreams *pool,
					  enum msp_endpoint endpoint)
{
	struct msp_client_opts opts = { .size = sizeof(opts) };
	struct mspd_upstream *up = calloc(1, sizeof(*up));

	if (!up)
		return NULL;
	opts.address = pool->opts.endpoints[endpoint];
	opts.connect_ms = pool->opts.connect_ms;
	opts.first_byte_ms = pool->opts.timeout_ms;
	opts.idle_ms = pool->opts.timeout_ms;
	opts.on_socket = pool->opts.on_socket;
	opts.on_socket_arg = pool->opts.on_socket_arg;
	if (msp_client_new(&up->client, &opts) < 0) {
		free(up);
		return NULL;
	}
	up->pool = pool;
	up->endpoint = endpoint;
	up->watch.fd = -1;
	up->watch.call = on_event;
	up->watch.arg = up;
	up->timer.call = on_deadline;
	up->timer.arg = up;
	return up;
}

/* An answer that comes too late cannot be told from the next one: at least it
 * must not change hands, whatever made the host lose step. */
static struct mspd_upstream *find_idle(const struct mspd_upstreams *pool,
				       enum msp_endpoint endpoint,
				       const struct msp_caller *caller)
{
	struct mspd_upstream *up = pool->idle[endpoint];

	while (up &&
	       (up->uid != caller->uid || up->cgroup_id != caller->cgroup_id))
		up = up->next;
	return up;
}

struct mspd_upstream *mspd_upstream_get(struct mspd_upstreams *pool,
					enum msp_endpoint endpoint,
					const struct msp_caller *caller,
					bool fresh, void (*ready)(void *arg),
					void *arg)
{
	struct mspd_upstream *up =
		fresh ? NULL : find_idle(pool, endpoint, caller);

	if (up) {
		leave_idle(up);
		mspd_upstream_rest(up);
		up->reused = true;
	} else {
		up = upstream_new(pool, endpoint);
	}
	if (up) {
		up->uid = caller->uid;
		up->cgroup_id = caller->cgroup_id;
		up->ready = ready;
		up->arg = arg;
	}
	return up;
}

static void keep(struct mspd_upstream *up)
{
	struct mspd_upstreams *pool = up->pool;
	uint64_t now = mspd_loop_now(pool->loop).boot_ms;

	up->watch.fd = msp_client_fd(up->client);
	if (mspd_loop_watch(pool->loop, &up->watch, EPOLLIN) < 0) {
		upstream_free(up);
		return;
	}
	mspd_loop_timer(pool->loop, &up->timer, now + IDLE_MS);
	up->idle = true;
	up->next = pool->idle[up->endpoint];
	if (up->next)
		up->next->prev = up;
	pool->idle[up->endpoint] = up;
	pool->n_idle[up->endpoint]++;
}

void mspd_upstream_put(struct mspd_upstream *up)
{
	mspd_upstream_rest(up);
	if (msp_client_reusable(up->client) &&
	    up->pool->n_idle[up->endpoint] < IDLE_MAX)
		keep(up);
	else
		upstream_free(up);
}

void mspd_upstream_wait(struct mspd_upstream *up)
{
	struct mspd_loop *loop = up->pool->loop;
	int fd = msp_client_fd(up->client);

	if (fd != up->watch.fd)
		mspd_loop_unwatch(loop, &up->watch);
	up->watch.fd = fd;
	/* POLLIN and POLLOUT have the values of EPOLLIN and EPOLLOUT */
	if (fd < 0 ||
	    mspd_loop_watch(loop, &up->watch,
			    (uint32_t)msp_client_events(up->client)) < 0) {
		/* nothing will ever come: let the client find out now */
		mspd_loop_timer(loop, &up->timer, mspd_loop_now(loop).boot_ms);
		return;
	}
	mspd_loop_timer(loop, &up->timer, msp_client_deadline(up->client));
}

void mspd_upstream_rest(struct mspd_upstream *up)
{
	mspd_loop_unwatch(up->pool->loop, &up->watch);
	mspd_loop_timer(up->pool->loop, &up->timer, MSP_NEVER);
}
