/* SPDX-License-Identifier: MIT */
/*
 * In: requests for a connection to an endpoint. Out: an idle one that is
 * clean, or a new one. Must never hand out a connection on which a byte has
 * arrived that nobody asked for, nor one that another caller has used: what
 * arrives late would be another caller's answer.
 *
 * A descriptor stays watched from its connection to its end, so that an
 * exchange on a kept one costs no call of epoll_ctl(2).
 */
#include "mspd/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define IDLE_MAX 1024 /* of all endpoints together */
#define IDLE_MS	 4000
#define SLOTS	 256 /* a power of two */

struct mspd_upstreams {
	struct mspd_loop *loop;
	struct mspd_upstreams_opts opts;
	struct mspd_upstream *slots[SLOTS];    /* idle ones, newest first */
	struct mspd_upstream *newest, *oldest; /* idle ones */
	size_t n_idle;
	size_t n; /* all */
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

/* ---- idle ones --------------------------------------------------------- */

static struct mspd_upstream **slot_of(struct mspd_upstreams *pool,
				      enum msp_endpoint endpoint, uint32_t uid,
				      uint64_t cgroup_id)
{
	uint64_t hash = ((uint64_t)uid << 2 | (uint64_t)endpoint) ^
			cgroup_id * 0x9e3779b97f4a7c15u;

	hash *= 0x9e3779b97f4a7c15u;
	return &pool->slots[hash >> 56 & (SLOTS - 1)];
}

static struct mspd_upstream **slot(struct mspd_upstream *up)
{
	return slot_of(up->pool, up->endpoint, up->uid, up->cgroup_id);
}

static void enter_idle(struct mspd_upstream *up)
{
	struct mspd_upstreams *pool = up->pool;
	struct mspd_upstream **first = slot(up);

	up->next = *first;
	if (up->next)
		up->next->prev = up;
	*first = up;
	up->older = pool->newest;
	if (up->older)
		up->older->newer = up;
	else
		pool->oldest = up;
	pool->newest = up;
	up->idle = true;
	pool->n_idle++;
}

static void leave_idle(struct mspd_upstream *up)
{
	struct mspd_upstreams *pool = up->pool;

	if (!up->idle)
		return;
	if (up->prev)
		up->prev->next = up->next;
	else
		*slot(up) = up->next;
	if (up->next)
		up->next->prev = up->prev;
	if (up->newer)
		up->newer->older = up->older;
	else
		pool->newest = up->older;
	if (up->older)
		up->older->newer = up->newer;
	else
		pool->oldest = up->newer;
	up->next = up->prev = up->newer = up->older = NULL;
	up->idle = false;
	pool->n_idle--;
}

static void upstream_free(struct mspd_upstream *up)
{
	leave_idle(up);
	mspd_loop_unwatch(up->pool->loop, &up->watch);
	mspd_loop_timer(up->pool->loop, &up->timer, MSP_NEVER);
	msp_client_free(up->client);
	up->pool->n--;
	free(up);
}

void mspd_upstreams_free(struct mspd_upstreams *pool)
{
	if (!pool)
		return;
	while (pool->oldest)
		upstream_free(pool->oldest);
	free(pool);
}

/* ---- new ones ---------------------------------------------------------- */

static void on_event(void *arg, uint32_t events)
{
	struct mspd_upstream *up = arg;

	(void)events;
	if (up->idle) /* the end of it, or what nobody asked for */
		upstream_free(up);
	else if (up->resting) /* it would be told in every turn */
		mspd_loop_unwatch(up->pool->loop, &up->watch);
	else
		up->ready(up->arg);
}

static void on_deadline(void *arg)
{
	struct mspd_upstream *up = arg;

	if (up->idle)
		upstream_free(up);
	else if (!up->resting)
		up->ready(up->arg);
}

/* The client has closed the socket it had before, if it had one. */
static int on_socket(void *arg, int fd)
{
	struct mspd_upstream *up = arg;
	const struct mspd_upstreams_opts *opts = &up->pool->opts;

	mspd_loop_unwatch(up->pool->loop, &up->watch);
	up->watch.fd = fd;
	return opts->on_socket ? opts->on_socket(opts->on_socket_arg, fd) : 0;
}

static int open_client(struct mspd_upstream *up)
{
	const struct mspd_upstreams_opts *from = &up->pool->opts;
	struct msp_client_opts opts = { .size = sizeof(opts) };

	opts.address = from->endpoints[up->endpoint];
	opts.connect_ms = from->connect_ms;
	opts.first_byte_ms = from->timeout_ms;
	opts.idle_ms = from->timeout_ms;
	opts.flags = MSP_CLIENT_WATCHED;
	opts.on_socket = on_socket;
	opts.on_socket_arg = up;
	return msp_client_new(&up->client, &opts);
}

static struct mspd_upstream *upstream_new(struct mspd_upstreams *pool,
					  enum msp_endpoint endpoint)
{
	struct mspd_upstream *up;

	/* what only waits must not keep a request from its connection */
	if (pool->opts.max && pool->n >= pool->opts.max && pool->oldest)
		upstream_free(pool->oldest);
	up = calloc(1, sizeof(*up));
	if (!up)
		return NULL;
	up->pool = pool;
	up->endpoint = endpoint;
	up->watch.fd = -1;
	up->watch.call = on_event;
	up->watch.arg = up;
	up->timer.call = on_deadline;
	up->timer.arg = up;
	if (open_client(up) < 0) {
		free(up);
		return NULL;
	}
	pool->n++;
	return up;
}

/* ---- public ------------------------------------------------------------ */

/* Can it carry another request? What came before this turn is known by now, or
 * will be at its end: then it is freed. Of one that was put away in this turn
 * that says as much which was read in this turn, with nothing behind it. */
static bool is_clean(const struct mspd_upstream *up)
{
	const struct mspd_loop *loop = up->pool->loop;

	if (up->watch.told)
		return false;
	if (mspd_loop_has_told(loop, up->idle_since) ||
	    (up->rested == mspd_loop_turn(loop) &&
	     msp_client_in_step(up->client)))
		return true;
	return msp_client_reusable(up->client);
}

/* An answer that comes too late cannot be told from the next one: at least it
 * must not change hands, whatever made the host lose step. */
static struct mspd_upstream *find_idle(struct mspd_upstreams *pool,
				       enum msp_endpoint endpoint,
				       const struct msp_caller *caller)
{
	struct mspd_upstream *up =
		*slot_of(pool, endpoint, caller->uid, caller->cgroup_id);

	while (up && (up->endpoint != endpoint || up->uid != caller->uid ||
		      up->cgroup_id != caller->cgroup_id || !is_clean(up)))
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
		up->reused = true;
	} else {
		up = upstream_new(pool, endpoint);
	}
	if (up) {
		up->uid = caller->uid;
		up->cgroup_id = caller->cgroup_id;
		up->resting = true;
		up->ready = ready;
		up->arg = arg;
	}
	return up;
}

/* 0, or it cannot be kept */
static int keep(struct mspd_upstream *up)
{
	struct mspd_upstreams *pool = up->pool;
	uint64_t now = mspd_loop_now(pool->loop).boot_ms;

	if (msp_client_fd(up->client) < 0 ||
	    mspd_loop_watch(pool->loop, &up->watch, EPOLLIN) < 0)
		return -1;
	mspd_loop_postpone(pool->loop, &up->timer, now + IDLE_MS);
	up->idle_since = mspd_loop_turn(pool->loop);
	enter_idle(up);
	if (pool->n_idle > IDLE_MAX)
		upstream_free(pool->oldest);
	return 0;
}

void mspd_upstream_put(struct mspd_upstream *up, bool whole)
{
	if (!whole || keep(up) < 0)
		upstream_free(up);
}

void mspd_upstream_wait(struct mspd_upstream *up)
{
	struct mspd_loop *loop = up->pool->loop;

	up->resting = false;
	/* POLLIN and POLLOUT have the values of EPOLLIN and EPOLLOUT */
	if (msp_client_fd(up->client) < 0 ||
	    mspd_loop_watch(loop, &up->watch,
			    (uint32_t)msp_client_events(up->client)) < 0) {
		/* nothing will ever come: let the client find out now */
		mspd_loop_timer(loop, &up->timer, mspd_loop_now(loop).boot_ms);
		return;
	}
	mspd_loop_postpone(loop, &up->timer, msp_client_deadline(up->client));
}

void mspd_upstream_rest(struct mspd_upstream *up)
{
	up->resting = true;
	up->rested = mspd_loop_turn(up->pool->loop);
	/* the client closes it when it fails: the number may soon be another's
	 */
	if (msp_client_fd(up->client) != up->watch.fd)
		mspd_loop_unwatch(up->pool->loop, &up->watch);
}
