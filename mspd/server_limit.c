/* SPDX-License-Identifier: MIT */
/*
 * In: heads, and times that have come. Out: whether a client keeps to what it
 * may take of memory and time, and word of those that do not. Must never hold
 * against a client what the application or the host made it wait for.
 */
#include "mspd/server_priv.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define DAY_MS ((uint32_t)24 * 60 * 60 * 1000)

static uint64_t now_ms(const struct mspd_exchange *x)
{
	return mspd_loop_now(x->server->loop).boot_ms;
}

static void hit(struct mspd_exchange *x, enum mspd_limit which)
{
	uint64_t owner = x->place.owner ? mspd_fair_owner(&x->place) : 0;

	mspd_limits_hit(&x->server->limits, which, owner, now_ms(x));
}

static bool over(size_t value, size_t limit)
{
	return limit && value > limit;
}

unsigned int mspd_limit_head(struct mspd_exchange *x, const char *method,
			     const char *version, size_t n_headers)
{
	const struct mspd_server_opts *opts = &x->server->opts;
	size_t line = strlen(method) + x->target_len + strlen(version) + 2;
	unsigned int status = 0;

	if (over(line, opts->max_line_bytes))
		status = MHD_HTTP_URI_TOO_LONG;
	else if (n_headers > MSP_MAX_HEADERS ||
		 over(n_headers, opts->max_headers))
		status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (status)
		hit(x, MSPD_LIMIT_HEAD);
	return status;
}

/* ---- time -------------------------------------------------------------- */

static void wait_until(struct mspd_exchange *x, uint64_t at)
{
	mspd_loop_postpone(x->server->loop, &x->timer,
			   at < x->total_at ? at : x->total_at);
}

void mspd_limit_start(struct mspd_exchange *x)
{
	uint32_t ms = x->server->opts.total_timeout_ms;

	x->total_at = now_ms(x) + (ms ? ms : DAY_MS);
	wait_until(x, x->total_at);
}

void mspd_limit_body(struct mspd_exchange *x)
{
	if (!x->has_body || !x->server->opts.min_body_rate)
		return;
	x->body_bytes = 0;
	x->held_up = x->suspended;
	wait_until(x, now_ms(x) + x->server->opts.body_timeout_ms);
}

/* Whoever was kept waiting starts anew. */
static bool body_in_time(const struct mspd_exchange *x)
{
	const struct mspd_server_opts *opts = &x->server->opts;
	uint64_t wanted =
		(uint64_t)opts->min_body_rate * opts->body_timeout_ms / 1000;

	return x->held_up || x->suspended || x->body_bytes >= wanted;
}

bool mspd_limit_in_time(struct mspd_exchange *x)
{
	switch (x->stage) {
	case STAGE_IDLE:
		return false;
	case STAGE_HEAD:
		hit(x, MSPD_LIMIT_HEAD_TIME);
		return false;
	case STAGE_BODY:
		if (x->ended) /* the rest will never come */
			return false;
		break;
	case STAGE_WAIT:
	case STAGE_END:
	case STAGE_REPLY:
		break;
	}
	if (now_ms(x) >= x->total_at) {
		hit(x, MSPD_LIMIT_TOTAL_TIME);
		return false;
	}
	if (x->stage != STAGE_BODY) {
		wait_until(x, x->total_at);
		return true;
	}
	if (body_in_time(x)) {
		mspd_limit_body(x);
		return true;
	}
	hit(x, MSPD_LIMIT_BODY_TIME);
	x->server->ops->late(x->app, MHD_HTTP_REQUEST_TIMEOUT);
	return false;
}

/* ---- what libmicrohttpd refuses ---------------------------------------- */

/* It says so in no other way. Which connection it is about shows when that
 * ends, which in most cases is the next thing that happens: in the same turn,
 * or it is not known. */
void mspd_limit_message(void *arg, const char *format, va_list args)
{
	static const char refusal[] =
		"Error processing request (HTTP response code is %u";
	struct mspd_server *s = arg;

	if (strncmp(format, refusal, sizeof(refusal) - 1) != 0)
		return;
	s->own_status = va_arg(args, unsigned int);
	s->own_status_ms = mspd_loop_now(s->loop).boot_ms;
}

/* Has a byte been sent on it? */
static bool answered(const struct mspd_exchange *x)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(x->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_data_segs_out > 0;
}

/* Status of what ends here, 0: it was not refused. */
static unsigned int refusal_of(struct mspd_exchange *x)
{
	unsigned int status = x->server->own_status;

	if (x->late)
		return x->stage == STAGE_HEAD ? MHD_HTTP_REQUEST_TIMEOUT : 0;
	if (!status || x->aborted || x->server->own_status_ms != now_ms(x))
		return 0;
	/* whoever leaves within a head looks like one who was refused */
	if (x->stage == STAGE_HEAD && (x->served ? x->ended : !answered(x)))
		return 0;
	/* A first line that was refused leaves no other trace. Of a later one
	 * there is none at all: whoever just leaves looks the same, and must
	 * not be told to have sent what somebody else did. */
	if (x->stage == STAGE_IDLE && (x->served || !answered(x)))
		return 0;
	x->server->own_status = 0;
	return status;
}

void mspd_limit_not_taken(struct mspd_exchange *x)
{
	unsigned int status = refusal_of(x);
	struct mspd_head head = { .method = "", .target = "" };

	if (!status)
		return;
	if (status == MHD_HTTP_URI_TOO_LONG ||
	    status == MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE)
		hit(x, MSPD_LIMIT_HEAD);
	if (x->stage == STAGE_HEAD) {
		head.target = x->target;
		head.target_len = x->target_len;
	}
	x->server->ops->malformed(x->app, &head, status);
}
