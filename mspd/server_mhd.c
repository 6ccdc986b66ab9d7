/* SPDX-License-Identifier: MIT */
/*
 * In: client connections. Out: heads, bodies and replies through server.h,
 * by libmicrohttpd in external epoll mode inside our loop. Must never let a
 * request through that two parsers could read differently, and never leave
 * a connection suspended that nobody will resume.
 *
 * libmicrohttpd does not look at a connection while it is suspended, and does
 * not notice a resume by itself: hence the watch on suspended clients, and
 * the run at the end of each turn.
 */
#include "mspd/server_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/http_check.h"
#include "mspd/log.h"
#include "mspd/server_probe.h"

#define RUNS_PER_TURN 32
/* Body thrown away before a refusal, so that the connection can go on. */
#define DISCARD_MAX (1024 * 1024)
/* A client that has said its last byte is waited for no longer than this. */
#define GRACE_MS 250

/* ---- suspend and resume ------------------------------------------------ */

static void arm_ms(struct mspd_exchange *x, uint64_t ms)
{
	uint64_t now = mspd_loop_now(x->server->loop).boot_ms;

	mspd_loop_postpone(x->server->loop, &x->timer, now + ms);
}

static void arm(struct mspd_exchange *x, uint32_t ms)
{
	arm_ms(x, x->ended ? GRACE_MS : ms);
}

/* The timer stands at the shorter of two times that take turns with each
 * request, so that moving between them moves nothing in the loop's heap. */
void mspd_exchange_idle(struct mspd_exchange *x)
{
	const struct mspd_server *s = x->server;
	/* who was let in and has asked for nothing yet may still do so */
	bool over = s->draining && x->served;
	uint32_t idle = over ? 0 : s->opts.idle_timeout_ms;
	uint32_t least = s->opts.header_timeout_ms;

	if (!mspd_timer_set(&x->timer) && least < idle)
		arm(x, least);
	arm(x, idle);
}

/* Is there anything the client has yet to send, or we to read? */
static bool wants_more(const struct mspd_exchange *x)
{
	return x->stage == STAGE_IDLE || x->stage == STAGE_HEAD ||
	       x->stage == STAGE_BODY;
}

void mspd_exchange_suspend(struct mspd_exchange *x)
{
	x->suspended = true;
	x->slept = true;
	MHD_suspend_connection(x->mhd);
	if (x->broken) /* nobody would tell us a second time */
		mspd_exchange_abort(x);
}

void mspd_exchange_resume(struct mspd_exchange *x)
{
	mspd_rest_wake(x);
	if (!x->suspended)
		return;
	x->suspended = false;
	if (x->ended && wants_more(x))
		arm_ms(x, GRACE_MS);
	MHD_resume_connection(x->mhd);
	x->server->dirty = true;
}

void mspd_exchange_abort(struct mspd_exchange *x)
{
	x->aborted = true;
	/* with a request at hand libmicrohttpd asks us, and hears of it */
	if (!x->suspended || mspd_rest_is_parked(x))
		shutdown(x->fd, SHUT_RDWR);
	mspd_exchange_resume(x);
}

void mspd_exchange_accept(struct mspd_exchange *x)
{
	x->accepted = true;
	mspd_exchange_resume(x);
}

/* libmicrohttpd asks for edges and takes a short read for "nothing more", so
 * it misses an end that came together with the last bytes, and would keep
 * the connection until a timeout. A half-closed client still wants its answer.
 */
void mspd_exchange_event(void *arg, uint32_t events)
{
	struct mspd_exchange *x = arg;

	x->broken |= events & (EPOLLERR | EPOLLHUP);
	x->ended |= x->broken || events & EPOLLRDHUP;
	if (!x->begun) {
		mspd_arrive_speaks(x);
		return;
	}
	if (mspd_rest_is_parked(
		    x)) { /* whatever it is, libmicrohttpd reads it */
		mspd_exchange_resume(x);
		return;
	}
	/* it is not parked any more: from now on only its end matters, once */
	if (mspd_loop_watch(x->server->loop, &x->watch, MSPD_WATCH_BUSY) < 0 ||
	    (x->suspended && x->broken)) {
		mspd_exchange_abort(x);
		return;
	}
	if (x->ended && wants_more(x) && !x->suspended)
		arm_ms(x, GRACE_MS);
}

void mspd_exchange_late(void *arg)
{
	struct mspd_exchange *x = arg;
	int unread = 0;

	if (!x->begun) {
		mspd_arrive_end(x);
		return;
	}
	/* what it sent before its end may still be on the way through us */
	if (x->ended && x->stage == STAGE_BODY &&
	    (x->suspended ||
	     (ioctl(x->fd, FIONREAD, &unread) == 0 && unread > 0))) {
		arm_ms(x, GRACE_MS);
		return;
	}
	if (mspd_limit_in_time(x))
		return;
	x->late = true;
	mspd_exchange_abort(x);
	x->server->dirty = true;
}

/* ---- requests ---------------------------------------------------------- */

static enum MHD_Result send_reply(struct mspd_exchange *x)
{
	enum MHD_Result ok = MHD_queue_response(x->mhd, x->status, x->reply);

	MHD_destroy_response(x->reply);
	x->reply = NULL;
	x->stage = STAGE_REPLY;
	return ok;
}

static enum MHD_Result refuse(struct mspd_exchange *x, unsigned int status)
{
	struct mspd_reply r = { .status = status, .close = true };

	if (mspd_exchange_reply(x, &r) < 0)
		return MHD_NO;
	return send_reply(x);
}

struct collector {
	struct msp_header *out;
	size_t room;
	size_t n;
};

static enum MHD_Result collect(void *arg, enum MHD_ValueKind kind,
			       const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	struct collector *c = arg;

	(void)kind;
	if (c->n == c->room)
		return MHD_NO;
	c->out[c->n].name = name;
	c->out[c->n].name_len = name_len;
	c->out[c->n].value = value ? value : "";
	c->out[c->n].value_len = value ? value_len : 0;
	c->n++;
	return MHD_YES;
}

/* What the head takes of libmicrohttpd's memory, at most. */
static size_t pool_used(const struct mspd_head *head)
{
	size_t used = head->target_len + MSPD_POOL_REPLY;
	size_t i;

	for (i = 0; i < head->n_headers; i++)
		used += head->headers[i].name_len + head->headers[i].value_len +
			MSPD_POOL_PER_HEADER + 4;
	return used;
}

/* Status to refuse with, or 0. */
static unsigned int take_head(struct mspd_exchange *x, struct mspd_head *head,
			      const char *method, const char *version)
{
	struct collector c = { x->server->collected, MSP_MAX_HEADERS + 1, 0 };
	size_t method_size = strlen(method) + 1;
	unsigned int status;

	head->method = method;
	head->target = x->target;
	head->target_len = x->target_len;
	MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, collect, &c);
	status = mspd_limit_head(x, method, version, c.n);
	if (status)
		return status;
	x->headers = malloc((c.n + 1) * sizeof(*x->headers) + method_size);
	if (!x->headers)
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	memcpy(x->headers, c.out, c.n * sizeof(*x->headers));
	head->headers = x->headers;
	head->n_headers = c.n;
	x->used = pool_used(head);
	if (x->server->in_place &&
	    !mspd_server_is_whole(x->mhd, head, x->received, version))
		return MHD_HTTP_BAD_REQUEST;
	/* where a request just ends libmicrohttpd's is gone when that is told,
	 * and recorded */
	head->method = memcpy(x->headers + c.n + 1, method, method_size);
	return mspd_http_check(head, x->headers, version);
}

/* A reply before the end of the request closes the connection, as
 * libmicrohttpd sees it, even if nothing is to come any more. */
static bool may_reply(const struct mspd_exchange *x)
{
	return x->reply && (x->stage != STAGE_WAIT || x->close);
}

static enum MHD_Result settle(struct mspd_exchange *x)
{
	if (may_reply(x))
		return send_reply(x);
	if (x->stage == STAGE_WAIT && (x->accepted || x->reply)) {
		x->stage = STAGE_BODY;
		if (x->ended)
			arm_ms(x, GRACE_MS);
		else
			mspd_limit_body(x);
		return MHD_YES;
	}
	/* if nothing is to come, libmicrohttpd must not read before the answer:
	 * a client that has said so wants it all the same */
	if (x->stage == STAGE_END || !x->has_body)
		mspd_rest_sleep(x);
	else
		mspd_exchange_suspend(x);
	return MHD_YES;
}

static enum MHD_Result on_whole(struct mspd_exchange *x)
{
	x->stage = STAGE_END;
	if (!x->reply)
		x->server->ops->end(x->app);
	return x->aborted ? MHD_NO : settle(x);
}

static enum MHD_Result on_head(struct mspd_exchange *x, const char *method,
			       const char *version)
{
	struct mspd_head head = { 0 };
	unsigned int status;

	mspd_loop_postpone(x->server->loop, &x->timer, MSP_NEVER);
	status = take_head(x, &head, method, version);
	if (status) {
		x->server->ops->malformed(x->app, &head, status);
		return refuse(x, status);
	}
	x->stage = STAGE_WAIT;
	x->taken = true;
	/* after a refusal it may not send the body at all */
	x->hasty = head.length > 0 && mspd_http_expects_continue(&head);
	x->lengthy =
		head.length != MSPD_LENGTH_UNKNOWN && head.length > DISCARD_MAX;
	x->has_body = head.length != 0;
	mspd_limit_start(x);
	mspd_door_busy(x->server->door, &x->place, true);
	x->server->ops->head(x->app, x, &head);
	if (x->aborted)
		return MHD_NO;
	return settle(x);
}

/* libmicrohttpd cannot reply within a body: at least the status is said
 * before the end. An answer of the host would not be whole. */
static enum MHD_Result cut_short(struct mspd_exchange *x)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %u %s\r\nContent-Length: 0\r\n"
			 "Connection: close\r\n\r\n",
			 x->status, MHD_get_reason_phrase_for(x->status));

	if (!x->patience && n > 0 &&
	    send(x->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		mspd_log(MSPD_DEBUG, "a refusal was not taken");
	return MHD_NO;
}

static enum MHD_Result on_body(struct mspd_exchange *x, const char *data,
			       size_t *size)
{
	size_t taken = 0;

	x->body_bytes += *size;
	/* a reply cannot be sent before the body ends: swallow the rest */
	if (x->reply) {
		x->discarded += *size;
		*size = 0;
		if (x->discarded <= DISCARD_MAX || x->discarded <= x->patience)
			return MHD_YES;
		return cut_short(x);
	}
	taken = x->server->ops->body(x->app, data, *size);
	if (x->aborted)
		return MHD_NO;
	/* it asks again only when more has come, and this was perhaps all */
	if (taken < *size && !x->reply) {
		x->held_up = true;
		mspd_exchange_suspend(x);
	}
	*size -= taken;
	x->body_bytes -= *size; /* it comes again */
	return MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *mhd,
			      const char *url, const char *method,
			      const char *version, const char *data,
			      size_t *size, void **context)
{
	struct mspd_exchange *x = *context;

	(void)arg;
	(void)mhd;
	(void)url;
	if (!x || x->aborted)
		return MHD_NO;
	switch (x->stage) {
	case STAGE_HEAD:
		return on_head(x, method, version);
	case STAGE_BODY:
		return *size ? on_body(x, data, size) : on_whole(x);
	case STAGE_WAIT:
		/* a request without a body has ended, and is not asked about
		 * once more */
		if (!x->has_body && !may_reply(x) && (x->accepted || x->reply))
			return on_whole(x);
		return settle(x);
	case STAGE_END:
		return settle(x);
	case STAGE_IDLE:
	case STAGE_REPLY:
		break;
	}
	return MHD_NO;
}

static struct mspd_exchange *exchange_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* libmicrohttpd would put each parameter of the query into its pool, and
 * where they do not fit it leaves the client without an answer. It has yet to
 * look for them in this text, which is in its own buffer: it finds none. */
static void hide_query(const char *target)
{
	char *query = strchr((char *)(uintptr_t)target, '?');

	if (query && query[1])
		query[1] = '\0';
}

/* The only place where the target is seen undecoded and with its query. */
static void *on_target(void *arg, const char *target,
		       struct MHD_Connection *mhd)
{
	struct mspd_exchange *x = exchange_of(mhd);
	size_t len = strlen(target);
	char *copy;

	(void)arg;
	if (!x)
		return NULL;
	if (len + 1 > x->target_room) {
		copy = realloc(x->target, len + 1);
		if (!copy)
			return NULL;
		x->target = copy;
		x->target_room = len + 1;
	}
	memcpy(x->target, target, len + 1);
	x->target_len = len;
	x->received = target;
	hide_query(target);
	x->stage = STAGE_HEAD;
	arm(x, x->server->opts.header_timeout_ms);
	return x;
}

void mspd_exchange_over(struct mspd_exchange *x, bool complete)
{
	if (x->reply)
		MHD_destroy_response(x->reply);
	x->reply = NULL;
	x->server->n_huge -= x->huge;
	x->huge = false;
	if (x->taken)
		x->server->ops->done(x->app, complete);
	else if (x->stage == STAGE_HEAD)
		mspd_limit_not_taken(x);
	free(x->headers);
	x->headers = NULL;
	x->stage = STAGE_IDLE;
	x->taken = false;
	mspd_door_busy(x->server->door, &x->place, false);
	x->accepted = false;
	x->hasty = false;
	x->served = true;
	x->discarded = 0;
	x->patience = 0;
	mspd_exchange_idle(x);
	mspd_rest_park(x);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct mspd_exchange *x = *context;

	(void)arg;
	(void)mhd;
	if (!x)
		return;
	*context = NULL;
	mspd_exchange_over(x, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

/* ---- running ----------------------------------------------------------- */

static void on_inner(void *arg, uint32_t events)
{
	struct mspd_server *s = arg;

	(void)events;
	s->dirty = true;
}

static void on_timer(void *arg)
{
	((struct mspd_server *)arg)->dirty = true;
}

/* Is there more that it can do at once? *ms: if not, until when it need not be
 * asked. */
static bool has_more(struct mspd_server *s, MHD_UNSIGNED_LONG_LONG *ms)
{
	*ms = 0;
	if (s->dirty)
		return true;
	if (MHD_get_timeout(s->mhd, ms) != MHD_YES)
		*ms = MSP_NEVER;
	return *ms == 0;
}

static void run(void *arg)
{
	struct mspd_server *s = arg;
	MHD_UNSIGNED_LONG_LONG ms = 0;
	int i;

	if (!s->dirty)
		return;
	/* an answer takes two runs: one to take it, one to send it */
	for (i = 0; has_more(s, &ms) && i < RUNS_PER_TURN; i++) {
		s->dirty = false;
		MHD_run(s->mhd);
		s->ops->pass(s->arg);
		mspd_rest_all(s);
	}
	mspd_tidy_look(s);
	/* what is left waits until others have had a turn */
	mspd_loop_postpone(s->loop, &s->timer,
			   ms == MSP_NEVER
				   ? MSP_NEVER
				   : mspd_loop_now(s->loop).boot_ms + ms);
}

static struct MHD_Daemon *start_daemon(struct mspd_server *s)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO |
			MHD_USE_ERROR_LOG,
		0, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER,
		mspd_limit_message, s, MHD_OPTION_URI_LOG_CALLBACK, on_target,
		s, MHD_OPTION_UNESCAPE_CALLBACK, mspd_server_keep_escapes, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_NOTIFY_CONNECTION, mspd_arrive_notify, s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		s->opts.head_bytes + MSPD_POOL_SPARE,
		/* those that are evicted in this turn still count there */
		MHD_OPTION_CONNECTION_LIMIT,
		s->opts.max_connections + MSPD_DOOR_TURN + 1,
		MHD_OPTION_CONNECTION_TIMEOUT,
		s->opts.idle_timeout_ms / 1000 +
			(s->opts.idle_timeout_ms % 1000 != 0),
		MHD_OPTION_END);
}

int mspd_server_new(struct mspd_server **out, struct mspd_loop *loop,
		    const struct mspd_server_ops *ops, void *arg,
		    const struct mspd_server_opts *opts)
{
	struct mspd_server *s = calloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;
	int err = -ENOMEM;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->ops = ops;
	s->arg = arg;
	s->opts = *opts;
	s->timer.call = on_timer;
	s->timer.arg = s;
	mspd_rest_init(s);
	err = mspd_door_new(&s->door, loop, opts->max_connections,
			    opts->max_user_connections, &mspd_arrive_ops, s);
	if (err < 0)
		goto out;
	s->in_place = mspd_server_probe();
	if (!s->in_place)
		mspd_log(MSPD_WARN,
			 "libmicrohttpd %s keeps heads where they cannot be "
			 "compared with what came: what it reads as a line "
			 "passes for one",
			 MHD_get_version());
	err = -ENOMEM;
	s->mhd = start_daemon(s);
	if (!s->mhd)
		goto out;
	info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		goto out;
	s->inner.fd = info->epoll_fd;
	s->inner.call = on_inner;
	s->inner.arg = s;
	err = mspd_loop_watch(loop, &s->inner, EPOLLIN);
	if (err < 0)
		goto out;
	mspd_loop_after(loop, run, s);
	*out = s;
	s = NULL;
	err = 0;
out:
	mspd_server_free(s);
	return err;
}

void mspd_server_free(struct mspd_server *server)
{
	struct mspd_exchange *x, *next;

	if (!server)
		return;
	if (server->door)
		mspd_door_shut(server->door);
	/* stopping with a suspended connection would abort the process */
	for (x = server->connections; x; x = next) {
		next = x->next;
		if (x->begun)
			mspd_exchange_abort(x);
		else
			mspd_arrive_end(x);
	}
	if (server->mhd) {
		MHD_run(server->mhd);
		mspd_loop_unwatch(server->loop, &server->inner);
		MHD_stop_daemon(server->mhd);
	}
	mspd_loop_timer(server->loop, &server->timer, MSP_NEVER);
	mspd_tidy_stop(server);
	mspd_rest_stop(server);
	mspd_loop_after(server->loop, NULL, NULL);
	mspd_door_free(server->door);
	free(server);
}

int mspd_server_listen(struct mspd_server *server, int listen_fd)
{
	return mspd_door_open(server->door, listen_fd);
}

void mspd_server_rest(struct mspd_server *server)
{
	mspd_door_rest(server->door);
}

void mspd_server_drain(struct mspd_server *server, bool spare)
{
	struct mspd_exchange *x;

	server->draining = true;
	mspd_door_shut(server->door); /* ends those that wait */
	for (x = server->connections; x; x = x->next)
		if (x->stage == STAGE_IDLE &&
		    !(spare && (!x->begun || mspd_arrive_has_spoken(x))))
			shutdown(x->fd, SHUT_RDWR);
	server->dirty = true;
}

unsigned int mspd_server_connections(const struct mspd_server *server)
{
	return server->n_connections;
}

void mspd_server_counts(const struct mspd_server *server,
			struct mspd_door_counts *out)
{
	mspd_door_count(server->door, out);
}
