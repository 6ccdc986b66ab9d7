/* SPDX-License-Identifier: MIT */
/*
 * In: an allowed request. Out: the same request, signed, to its endpoint, and
 * the answer streamed back (spec 6.8-6.10, design D5). Must never send what
 * was not authorized, nor unsigned what must be signed.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/call_log.h"
#include "mspd/http_check.h"
#include "mspd/log.h"

#define HOST_TEXT 32
#define HTTP_PORT 80

/* The request as it goes out. */
struct outgoing {
	struct msp_header headers[MSP_MAX_HEADERS];
	size_t n;
	bool has_host;
	bool overflow;
	char date[MSP_DATE_SIZE];
	char host[HOST_TEXT];
};

static void begin(struct mspd_call *call, bool fresh);

/* ---- what is sent ------------------------------------------------------ */

static void add(struct outgoing *out, const char *name, size_t name_len,
		const char *value, size_t value_len)
{
	if (out->n == MSP_MAX_HEADERS) {
		out->overflow = true;
		return;
	}
	out->headers[out->n++] =
		(struct msp_header){ name, name_len, value, value_len };
}

/* Framing is ours, and nobody but us speaks for the agent. */
static bool dropped(const struct msp_header *h)
{
	return mspd_http_hop_by_hop(h) || mspd_http_is(h, "content-length") ||
	       mspd_http_is(h, MSP_HEADER_AUTHORIZATION) ||
	       mspd_http_is(h, MSP_HEADER_CLAIMS) ||
	       mspd_http_is(h, MSP_HEADER_DATE);
}

static void add_host(struct outgoing *out, const struct mspd_call *call)
{
	const struct msp_address *to =
		&call->proxy->opts.endpoints[call->endpoint];
	struct in_addr ip = { to->ip };
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &ip, text, sizeof(text));
	if (to->port == HTTP_PORT)
		snprintf(out->host, sizeof(out->host), "%s", text);
	else
		snprintf(out->host, sizeof(out->host), "%s:%u", text, to->port);
	add(out, "host", 4, out->host, strlen(out->host));
}

static void add_client_headers(struct outgoing *out,
			       const struct mspd_call *call)
{
	struct msp_authority named;
	bool absolute = msp_request_authority(call->request, &named);
	size_t i;

	for (i = 0; i < call->head.n_headers; i++) {
		const struct msp_header *h = &call->head.headers[i];

		if (dropped(h))
			continue;
		if (!mspd_http_is(h, "host")) {
			add(out, h->name, h->name_len, h->value, h->value_len);
			continue;
		}
		out->has_host = true;
		/* RFC 9112 3.2.2: the target's authority replaces it */
		if (absolute)
			add(out, "host", 4, named.text, named.text_len);
		else
			add(out, "host", 4, h->value, h->value_len);
	}
	if (!out->has_host)
		add_host(out, call);
}

static int compose(struct outgoing *out, const struct mspd_call *call)
{
	bool root = msp_caller_elevated(&call->identity.caller);
	const char *claims = root ? MSP_CLAIMS_ROOT : MSP_CLAIMS_USER;
	struct msp_time now = mspd_loop_now(call->proxy->opts.loop);

	out->n = 0;
	out->has_host = false;
	out->overflow = false;
	msp_date_format(out->date,
			mspd_policy_date(call->proxy->opts.policies, now));
	add_client_headers(out, call);
	add(out, MSP_HEADER_CLAIMS, sizeof(MSP_HEADER_CLAIMS) - 1, claims,
	    strlen(claims));
	add(out, MSP_HEADER_DATE, sizeof(MSP_HEADER_DATE) - 1, out->date,
	    MSP_DATE_SIZE - 1);
	return out->overflow ? -1 : 0;
}

/* A signer for the newest key: NULL if there is no key, or on error. */
static struct msp_signer *current_signer(struct mspd_proxy *p)
{
	mspd_policy_refresh(p->opts.policies, &p->held);
	if (p->signer_generation == p->held->generation)
		return p->signer;
	msp_signer_free(p->signer);
	p->signer = NULL;
	p->signer_generation = 0;
	if (p->held->key && msp_signer_new(&p->signer, p->held->key) < 0)
		return NULL;
	p->signer_generation = p->held->generation;
	return p->signer;
}

/* ---- the answer -------------------------------------------------------- */

static uint64_t content_length(const struct msp_response *r)
{
	size_t i;

	for (i = 0; i < r->n_headers; i++)
		if (mspd_http_is(&r->headers[i], "content-length"))
			/* the client has checked that it is a number */
			return strtoull(r->headers[i].value, NULL, 10);
	return MSPD_LENGTH_UNKNOWN;
}

/* Its length is that of another answer. */
static bool is_bodiless(const struct mspd_call *call,
			const struct msp_response *r)
{
	return strcmp(call->head.method, "HEAD") == 0 || r->status == 304;
}

static uint64_t answer_length(const struct mspd_call *call,
			      const struct msp_response *r)
{
	if (is_bodiless(call, r))
		return content_length(r);
	if (r->length == MSP_BODY_CHUNKED)
		return MSPD_LENGTH_UNKNOWN;
	return r->length;
}

/* What came of a body that is not complete yet is handed on first. */
static int set_aside(struct mspd_call *call, const uint8_t *data, size_t len)
{
	uint8_t *copy;

	if (!len)
		return 0;
	copy = malloc(len);
	if (!copy)
		return MSP_ERR_NOMEM;
	memcpy(copy, data, len);
	call->body = copy;
	call->body_len = len;
	call->body_room = len;
	call->body_at = 0;
	explicit_bzero(call->proxy->ahead, len); /* it may be a token's */
	return 0;
}

/* A small answer is nearly always there as a whole. 0 or an error. */
static int read_ahead(struct mspd_call *call, struct mspd_reply *reply,
		      struct msp_error_info *info)
{
	struct msp_time now = mspd_loop_now(call->proxy->opts.loop);
	uint8_t *ahead = call->proxy->ahead;
	size_t len = 0, got = 0;
	int rc = 0;

	if (reply->length > MSPD_READ_AHEAD)
		return 0;
	while (len < reply->length && rc == 0) {
		rc = msp_client_read(call->up->client, now, ahead + len,
				     (size_t)reply->length - len, &got, info);
		len += got;
	}
	if (rc < 0 && rc != MSP_ERR_AGAIN)
		return rc;
	if (len < reply->length)
		return set_aside(call, ahead, len);
	reply->body = ahead;
	return 0;
}

static void compose_reply(struct mspd_call *call, struct mspd_reply *reply,
			  struct msp_header headers[MSP_MAX_HEADERS + 1])
{
	/* literally "value": clients see by it that the agent was there */
	static const struct msp_header seen = {
		MSP_HEADER_AUTHORIZATION, sizeof(MSP_HEADER_AUTHORIZATION) - 1,
		"value", 5
	};
	const struct msp_response *r = msp_client_response(call->up->client);
	size_t i;

	reply->status = r->status;
	reply->headers = headers;
	for (i = 0; i < r->n_headers && reply->n_headers < MSP_MAX_HEADERS;
	     i++) {
		const struct msp_header *h = &r->headers[i];

		if (mspd_http_hop_by_hop(h) ||
		    mspd_http_is(h, "content-length") ||
		    mspd_http_is(h, MSP_HEADER_AUTHORIZATION))
			continue;
		headers[reply->n_headers++] = *h;
	}
	headers[reply->n_headers++] = seen;
	reply->length = answer_length(call, r);
	reply->bodiless = is_bodiless(call, r);
}

static void upstream_error(struct mspd_call *call, int rc,
			   const struct msp_error_info *info);

/* Whatever its head says. */
static bool has_no_body(const struct mspd_call *call)
{
	return msp_client_response(call->up->client)->length == 0;
}

static void answer(struct mspd_call *call)
{
	struct msp_header headers[MSP_MAX_HEADERS + 1];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct mspd_reply reply = { 0 };
	int rc = 0;

	mspd_call_stage(call, "host answers");
	mspd_call_lap(call, MSPD_METER_HOST);
	mspd_call_drop_body(call);
	compose_reply(call, &reply, headers);
	if (!reply.bodiless)
		rc = read_ahead(call, &reply, &info);
	if (rc < 0) {
		upstream_error(call, rc, &info);
		return;
	}
	/* it may have come before the end of a body that is streamed */
	if (call->exempt)
		reply.patience = MSPD_EXEMPT_BODY_MAX;
	mspd_upstream_rest(call->up);
	call->came_whole = reply.body || has_no_body(call);
	call->from_host = true;
	mspd_call_reply(call, &reply);
	if (reply.body || reply.length == 0) {
		/* it was copied: the next request can have the connection */
		mspd_forward_close(call);
		explicit_bzero(call->proxy->ahead, (size_t)reply.length);
	}
}

/* ---- upstream ---------------------------------------------------------- */

static bool idempotent(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	       strcmp(method, "OPTIONS") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "DELETE") == 0;
}

/* Does it no harm, and is it still there? */
static bool repeatable(const struct mspd_call *call)
{
	return !call->exempt && idempotent(call->head.method);
}

/* An idle connection may have been closed by the host just now: once more,
 * on a new one, if nothing of an answer came. A host that is silent has the
 * request: it is not asked again. */
static bool may_retry(const struct mspd_call *call, int rc)
{
	return rc == MSP_ERR_CLOSED && call->up->reused && !call->retried &&
	       !call->replied && repeatable(call) &&
	       msp_client_untouched(call->up->client);
}

/* Once for each request, and nothing that is not its fault. */
static void count_host_error(struct mspd_call *call, int rc)
{
	if (!call->upstream_failed && rc != MSP_ERR_NOMEM)
		call->proxy->opts.meter->host_errors[call->endpoint]++;
	call->upstream_failed = call->replied;
}

static void upstream_error(struct mspd_call *call, int rc,
			   const struct msp_error_info *info)
{
	if (!call->replied)
		mspd_call_lap(call, MSPD_METER_HOST);
	if (may_retry(call, rc)) {
		call->retried = true;
		mspd_forward_close(call);
		begin(call, true);
		return;
	}
	count_host_error(call, rc);
	mspd_log(MSPD_WARN, "request %llu to %s failed: %s",
		 (unsigned long long)call->id,
		 msp_endpoint_name((enum msp_endpoint)call->endpoint),
		 info->text[0] ? info->text : msp_error_text(rc));
	call->details = info->text[0] ? info->text : msp_error_text(rc);
	mspd_upstream_rest(call->up);
	if (call->replied) {
		/* in mid-body: the client sees a truncated answer */
		mspd_exchange_resume(call->x);
		return;
	}
	mspd_call_refuse(call,
			 rc == MSP_ERR_SYS || rc == MSP_ERR_CLOSED ? 502 : 503);
	call->details = NULL; /* they end with this call */
}

static void on_upstream(void *arg)
{
	struct mspd_call *call = arg;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_time now = mspd_loop_now(call->proxy->opts.loop);
	int rc = msp_client_run(call->up->client, now, &info);

	if (rc < 0 && rc != MSP_ERR_AGAIN) {
		upstream_error(call, rc, &info);
		return;
	}
	if (rc == 0 && !call->replied) {
		answer(call);
		return;
	}
	if (rc == 0) {
		/* the reader asks again, and waits again if it must */
		mspd_upstream_rest(call->up);
	} else {
		mspd_upstream_wait(call->up);
		if (!call->exempt || call->body_finished)
			return;
	}
	mspd_exchange_resume(call->x);
}

static int send_request(struct mspd_call *call, struct msp_signer *signer,
			struct msp_error_info *info)
{
	struct msp_time now = mspd_loop_now(call->proxy->opts.loop);
	struct msp_message message = { .size = sizeof(message) };
	struct outgoing out;
	uint64_t length;

	if (compose(&out, call) < 0)
		return MSP_ERR_LIMIT;
	message.method = call->head.method;
	message.method_len = strlen(call->head.method);
	message.target = msp_request_origin(call->request, &message.target_len);
	message.headers = out.headers;
	message.n_headers = out.n;
	length = call->head.length;
	if (!call->exempt) {
		message.body = call->body;
		message.body_len = call->body_len;
		length = call->body_len;
	} else if (length == MSPD_LENGTH_UNKNOWN) {
		length = MSP_BODY_CHUNKED;
	}
	return msp_client_send(call->up->client, now, &message, length, signer,
			       info);
}

/* To send it on. One that is kept may have ended a moment ago: what cannot be
 * repeated then goes out on one that was looked at. */
static struct mspd_upstream *connection(struct mspd_call *call, bool fresh)
{
	struct mspd_upstreams *pool = call->proxy->opts.upstreams;
	enum msp_endpoint endpoint = (enum msp_endpoint)call->endpoint;
	const struct msp_caller *caller = &call->identity.caller;
	struct mspd_upstream *up = mspd_upstream_get(pool, endpoint, caller,
						     fresh, on_upstream, call);

	if (!up || !up->reused || repeatable(call) ||
	    msp_client_reusable(up->client))
		return up;
	mspd_upstream_put(up, false);
	return mspd_upstream_get(pool, endpoint, caller, true, on_upstream,
				 call);
}

/* Composed and signed, on its connection? If not, it has been answered. */
static bool prepare(struct mspd_call *call, bool fresh)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct mspd_proxy *p = call->proxy;
	struct msp_signer *signer = NULL;
	int rc;

	if (!call->exempt) {
		signer = current_signer(p);
		/* unsigned only where rules are not enforced, neither when
		 * the request came nor now, and only if there is no key at
		 * all: a failure to sign is 503 */
		if (!signer &&
		    (p->held->key ||
		     call->policy->mode[call->endpoint] == MSP_MODE_ENFORCE ||
		     p->held->mode[call->endpoint] == MSP_MODE_ENFORCE)) {
			mspd_call_refuse(call, 503);
			return false;
		}
	}
	call->up = connection(call, fresh);
	if (!call->up) {
		mspd_call_refuse(call, 503);
		return false;
	}
	rc = send_request(call, signer, &info);
	if (rc == MSP_ERR_LIMIT) {
		mspd_call_refuse(call, 431);
		return false;
	}
	if (rc < 0) {
		upstream_error(call, rc, &info);
		return false;
	}
	if (!repeatable(call))
		mspd_call_drop_body(call); /* it was copied */
	mspd_call_stage(call, "sent to the host");
	mspd_call_lap(call, MSPD_METER_SIGN);
	return true;
}

static void set_out(struct mspd_call *call)
{
	/* on a connection that is there it goes out at once */
	if (msp_client_events(call->up->client) & POLLIN)
		on_upstream(call);
	else
		mspd_upstream_wait(call->up);
}

static void begin(struct mspd_call *call, bool fresh)
{
	if (prepare(call, fresh))
		set_out(call);
}

/* Together with the others of this pass: each that goes out alone may find the
 * host asleep, and to wake it costs more than to send. */
static void begin_with_others(struct mspd_call *call)
{
	if (!prepare(call, false))
		return;
	call->is_ready = true;
	TAILQ_INSERT_TAIL(&call->proxy->ready, call, next_ready);
}

static void leave_ready(struct mspd_call *call)
{
	if (call->is_ready)
		TAILQ_REMOVE(&call->proxy->ready, call, next_ready);
	call->is_ready = false;
}

void mspd_forward_ready(struct mspd_proxy *proxy)
{
	struct mspd_call *call;

	while ((call = TAILQ_FIRST(&proxy->ready))) {
		leave_ready(call);
		set_out(call);
	}
}

/* ---- called by the pipeline -------------------------------------------- */

void mspd_forward_start(struct mspd_call *call)
{
	/* what is signed must be known whole; the rest is streamed */
	if (call->exempt)
		begin(call, false);
	if (!call->replied)
		mspd_exchange_accept(call->x);
}

static bool take_spare(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;

	if (call->body || !p->spare_body)
		return false;
	call->body = p->spare_body;
	call->body_room = MSPD_SPARE_BODY;
	p->spare_body = NULL;
	return true;
}

/* Room for a piece: at first for all that is announced, which has been found
 * to be no more than may be. */
static bool make_room(struct mspd_call *call, size_t len)
{
	size_t room = call->body_room * 2;
	size_t least = call->body_len + len;
	uint8_t *grown;

	if (call->head.length != MSPD_LENGTH_UNKNOWN &&
	    call->head.length > least)
		least = (size_t)call->head.length;
	if (least <= call->body_room ||
	    (least <= MSPD_SPARE_BODY && take_spare(call)))
		return true;
	if (room < least)
		room = least;
	if (room < MSPD_SPARE_BODY)
		room = MSPD_SPARE_BODY;
	grown = realloc(call->body, room);
	if (!grown)
		return false;
	call->body = grown;
	call->body_room = room;
	return true;
}

static size_t keep_body(struct mspd_call *call, const void *data, size_t len)
{
	if (len > MSPD_SIGNED_BODY_MAX - call->body_len) {
		mspd_call_refuse(call, 413);
		return len;
	}
	if (!make_room(call, len)) {
		mspd_call_refuse(call, 503);
		return len;
	}
	memcpy(call->body + call->body_len, data, len);
	call->body_len += len;
	return len;
}

static size_t stream_body(struct mspd_call *call, const void *data, size_t len)
{
	size_t taken = 0;
	int rc;

	if (len > MSPD_EXEMPT_BODY_MAX - call->streamed) {
		mspd_call_refuse(call, 413);
		return len;
	}
	rc = msp_client_write(call->up->client, data, len, &taken);
	if (rc < 0) {
		count_host_error(call, rc);
		mspd_call_refuse(call, 503);
		return len;
	}
	call->streamed += taken;
	mspd_upstream_wait(call->up);
	return taken;
}

size_t mspd_forward_body(struct mspd_call *call, const void *data, size_t len)
{
	if (call->replied)
		return len;
	if (!call->exempt)
		return keep_body(call, data, len);
	return stream_body(call, data, len);
}

void mspd_forward_end(struct mspd_call *call)
{
	if (call->replied)
		return;
	if (!call->exempt) {
		if (call->body_len)
			mspd_call_lap(call, MSPD_METER_BODY);
		begin_with_others(call);
		return;
	}
	call->body_finished = true;
	if (call->head.length == MSPD_LENGTH_UNKNOWN &&
	    msp_client_finish(call->up->client) < 0)
		mspd_call_refuse(call, 503);
	else
		mspd_upstream_wait(call->up);
}

/* What was set aside. */
static ssize_t hand_on(struct mspd_call *call, void *out, size_t size)
{
	size_t left = call->body_len - call->body_at;

	if (size > left)
		size = left;
	memcpy(out, call->body + call->body_at, size);
	call->body_at += size;
	return (ssize_t)size;
}

ssize_t mspd_forward_read(struct mspd_call *call, void *out, size_t size)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_time now = mspd_loop_now(call->proxy->opts.loop);
	size_t got = 0;
	int rc;

	if (call->upstream_failed || !call->up)
		return MSPD_READ_FAILED;
	if (call->body_at < call->body_len)
		return hand_on(call, out, size);
	rc = msp_client_read(call->up->client, now, out, size, &got, &info);
	if (rc == MSP_ERR_AGAIN) {
		mspd_upstream_wait(call->up);
		return 0;
	}
	if (rc < 0) {
		count_host_error(call, rc);
		mspd_upstream_rest(call->up);
		mspd_log(MSPD_WARN, "request %llu: answer cut short: %s",
			 (unsigned long long)call->id, info.text);
		return MSPD_READ_FAILED;
	}
	call->came_whole = !got;
	return got ? (ssize_t)got : MSPD_READ_END;
}

/* Has the request gone out whole? */
static bool is_sent(const struct mspd_call *call)
{
	return !call->exempt || !call->head.length || call->body_finished;
}

/* Of a length that is known nobody asks for what is behind the last byte. */
static bool came_whole(const struct mspd_call *call)
{
	return call->came_whole || msp_client_reusable(call->up->client);
}

void mspd_forward_close(struct mspd_call *call)
{
	leave_ready(call);
	if (call->up)
		mspd_upstream_put(call->up, came_whole(call) && is_sent(call));
	call->up = NULL;
}
