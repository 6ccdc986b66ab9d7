/* SPDX-License-Identifier: MIT */
/*
 * In: a request, the time, a socket's bytes. Out: the answer, piece by piece.
 * Must never block, never read a clock, never hold more than one head and one
 * buffer in each direction, and never carry a second request on a connection
 * that is not known to be in step.
 */
#include <msp/client.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libmsp/http_parse.h"
#include "libmsp/http_write.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#define CONNECT_MS    5000
#define FIRST_BYTE_MS 60000
#define IDLE_MS	      60000
#define IN_SIZE	      16384
#define IN_LEAST      512
#define IN_KEPT	      4096
#define OUT_ROOM      65536
/* Smaller pieces of a streamed body wait for room instead. */
#define OUT_LEAST 512

enum phase {
	PHASE_IDLE = 0,	  /* no request yet */
	PHASE_CONNECTING, /* connect() is under way */
	PHASE_HEAD,	  /* connected; the answer's head is not complete */
	PHASE_BODY,	  /* msp_client_read() has more to give */
	PHASE_DONE,	  /* the answer has ended */
	PHASE_FAILED
};

struct msp_client {
	struct msp_client_opts opts;
	int fd; /* -1: none; owned */
	enum phase phase;
	int failure; /* in PHASE_FAILED: why */

	/* request */
	struct msp_http_out out;
	uint64_t body_left; /* bytes the caller has yet to write */
	bool chunked;	    /* body in chunks, */
	bool finished;	    /* and the last one was written */
	bool deaf;	    /* the host has stopped reading */

	/* answer */
	struct msp_http http;
	struct msp_response response;
	char *in;      /* what came after what was taken; owned */
	size_t in_cap; /* bytes allocated */
	size_t in_start;
	size_t in_end;
	size_t in_dirty; /* bytes ever written: to be wiped */
	bool touched;	 /* at least one byte of it came */
	bool excess;	 /* bytes came after its end */
	bool drained;	 /* the last read took all there was */

	/* times in ms on the caller's boot clock */
	uint64_t last; /* last progress, or when waiting began */
	bool waiting;  /* in PHASE_BODY: the caller waits for the host */
	bool rearm;    /* waiting begins at the next run */
};

/* ---- life -------------------------------------------------------------- */

int msp_client_new(struct msp_client **out, const struct msp_client_opts *opts)
{
	struct msp_client *c;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!opts || !msp_opts_ok(opts, opts->size, sizeof(*opts)) ||
	    opts->flags & ~MSP_CLIENT_WATCHED || opts->address.reserved ||
	    !opts->address.port || !opts->address.ip)
		return MSP_ERR_INVAL;

	c = msp_mem_zalloc(sizeof(*c));
	if (!c)
		return MSP_ERR_NOMEM;
	c->opts = *opts;
	if (!c->opts.connect_ms)
		c->opts.connect_ms = CONNECT_MS;
	if (!c->opts.first_byte_ms)
		c->opts.first_byte_ms = FIRST_BYTE_MS;
	if (!c->opts.idle_ms)
		c->opts.idle_ms = IDLE_MS;
	c->fd = -1;
	*out = c;
	return 0;
}

static void close_socket(struct msp_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* An answer may have held a key or a token. */
static void wipe_in(struct msp_client *c)
{
	msp_mem_wipe(c->in, c->in_dirty);
	c->in_start = 0;
	c->in_end = 0;
	c->in_dirty = 0;
}

static void release_in(struct msp_client *c)
{
	wipe_in(c);
	msp_mem_free(c->in);
	c->in = NULL;
	c->in_cap = 0;
}

/* Over what is there, which was used. */
static int make_in(struct msp_client *c, size_t size,
		   struct msp_error_info *info)
{
	size_t cap = IN_LEAST;

	if (size <= c->in_cap)
		return 0;
	while (cap < size)
		cap *= 2;
	release_in(c);
	c->in = msp_mem_alloc(cap);
	if (!c->in)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	c->in_cap = cap;
	return 0;
}

void msp_client_free(struct msp_client *client)
{
	if (!client)
		return;
	close_socket(client);
	release_in(client);
	msp_http_out_free(&client->out);
	msp_http_free(&client->http);
	msp_mem_free(client);
}

static int fail(struct msp_client *c, int rc)
{
	close_socket(c);
	release_in(c);
	msp_http_out_free(&c->out);
	c->phase = PHASE_FAILED;
	c->failure = rc;
	return rc;
}

/* ---- what is open ------------------------------------------------------ */

static bool under_way(const struct msp_client *c)
{
	return c->phase == PHASE_CONNECTING || c->phase == PHASE_HEAD ||
	       c->phase == PHASE_BODY;
}

static bool unsent(const struct msp_client *c)
{
	return c->out.end > c->out.start;
}

/* Will the caller bring more of the request's body? */
static bool owed(const struct msp_client *c)
{
	if (c->deaf)
		return false;
	return c->chunked ? !c->finished : c->body_left > 0;
}

static uint64_t after(uint64_t start, uint32_t ms)
{
	return start > MSP_NEVER - ms ? MSP_NEVER : start + ms;
}

uint64_t msp_client_deadline(const struct msp_client *client)
{
	const struct msp_client *c = client;

	if (!c)
		return MSP_NEVER;
	switch (c->phase) {
	case PHASE_CONNECTING:
		return after(c->last, c->opts.connect_ms);
	case PHASE_HEAD:
		if (unsent(c) || c->http.head_len)
			return after(c->last, c->opts.idle_ms);
		if (owed(c))
			return MSP_NEVER;
		return after(c->last, c->opts.first_byte_ms);
	case PHASE_BODY:
		return c->waiting ? after(c->last, c->opts.idle_ms) : MSP_NEVER;
	case PHASE_IDLE:
	case PHASE_DONE:
	case PHASE_FAILED:
		break;
	}
	return MSP_NEVER;
}

int msp_client_fd(const struct msp_client *client)
{
	return client ? client->fd : -1;
}

short msp_client_events(const struct msp_client *client)
{
	short events = 0;

	if (!client || client->fd < 0)
		return 0;
	if (client->phase == PHASE_CONNECTING)
		return POLLOUT;
	if (unsent(client))
		events |= POLLOUT;
	if (client->phase == PHASE_HEAD ||
	    (client->phase == PHASE_BODY && client->in_start == client->in_end))
		events |= POLLIN;
	return events;
}

const struct msp_response *msp_client_response(const struct msp_client *client)
{
	if (!client ||
	    (client->phase != PHASE_BODY && client->phase != PHASE_DONE))
		return NULL;
	return &client->response;
}

bool msp_client_untouched(const struct msp_client *client)
{
	return client && !client->touched;
}

/* Nothing to read: neither excess of the last answer nor its end. */
static bool is_quiet(int fd)
{
	ssize_t n;
	char c;

	do {
		n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* By all that was seen of it. */
static bool may_reuse(const struct msp_client *c)
{
	return c->phase == PHASE_DONE && c->fd >= 0 && !c->deaf && !c->excess &&
	       !owed(c) && !unsent(c) && msp_http_keeps(&c->http);
}

bool msp_client_reusable(const struct msp_client *client)
{
	return client && may_reuse(client) && is_quiet(client->fd);
}

bool msp_client_in_step(const struct msp_client *client)
{
	return client && may_reuse(client) && client->drained;
}

/* ---- connecting -------------------------------------------------------- */

static int fail_address(struct msp_client *c, int err,
			struct msp_error_info *info)
{
	struct in_addr in = { .s_addr = c->opts.address.ip };
	char text[INET_ADDRSTRLEN] = "?";

	inet_ntop(AF_INET, &in, text, sizeof(text));
	return msp_fail_sys(info, err, "cannot connect to %s:%u", text,
			    (unsigned int)c->opts.address.port);
}

/* *connected tells whether the connection is there already. */
static int open_socket(struct msp_client *c, bool *connected,
		       struct msp_error_info *info)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(c->opts.address.port),
		.sin_addr = { .s_addr = c->opts.address.ip },
	};
	int one = 1;

	*connected = false;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return msp_fail_sys(info, errno, "no socket");
	if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		return msp_fail_sys(info, errno, "TCP_NODELAY");
	if (c->opts.on_socket &&
	    c->opts.on_socket(c->opts.on_socket_arg, c->fd) != 0)
		return msp_fail(info, MSP_ERR_SYS,
				"socket refused by its owner");
	if (connect(c->fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0) {
		*connected = true;
		return 0;
	}
	/* after EINTR it goes on in the background as well (connect(2)) */
	if (errno == EINPROGRESS || errno == EINTR)
		return 0;
	return fail_address(c, errno, info);
}

/* 0 when connected, MSP_ERR_AGAIN, or MSP_ERR_SYS. */
static int finish_connect(struct msp_client *c, struct msp_time now,
			  struct msp_error_info *info)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&pfd, 1, 0) <= 0)
		return MSP_ERR_AGAIN;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err)
		return fail_address(c, err, info);
	c->phase = PHASE_HEAD;
	c->last = now.boot_ms;
	return 0;
}

/* ---- sending ----------------------------------------------------------- */

static bool is_streamed(const struct msp_message *message, uint64_t body_len)
{
	return message && body_len != message->body_len &&
	       body_len != MSP_BODY_EMPTY;
}

static void begin(struct msp_client *c, const struct msp_message *message,
		  uint64_t body_len)
{
	c->chunked = body_len == MSP_BODY_CHUNKED;
	c->body_left =
		!c->chunked && is_streamed(message, body_len) ? body_len : 0;
	c->finished = false;
	c->deaf = false;
	c->touched = false;
	c->excess = false;
	c->waiting = false;
	c->rearm = false;
	msp_http_begin(&c->http,
		       message->method_len == 4 &&
			       memcmp(message->method, "HEAD", 4) == 0);
}

int msp_client_send(struct msp_client *client, struct msp_time now,
		    const struct msp_message *message, uint64_t body_len,
		    struct msp_signer *signer, struct msp_error_info *info)
{
	struct msp_client *c = client;
	bool connected = true, reusable;
	int rc;

	if (!c)
		return MSP_ERR_INVAL;
	if (under_way(c))
		return msp_fail(info, MSP_ERR_STATE,
				"the last answer has not ended yet");
	reusable = may_reuse(c) &&
		   (c->opts.flags & MSP_CLIENT_WATCHED || is_quiet(c->fd));
	/* over the last one, of which the rest is lost with its connection */
	rc = msp_http_write(&c->out, message, body_len, signer,
			    is_streamed(message, body_len) ? OUT_ROOM : 0,
			    info);
	if (rc < 0)
		return rc;

	if (!reusable) {
		close_socket(c);
		rc = open_socket(c, &connected, info);
	}
	wipe_in(c);
	begin(c, message, body_len);
	if (rc < 0)
		return fail(c, rc);
	c->last = now.boot_ms;
	c->phase = connected ? PHASE_HEAD : PHASE_CONNECTING;
	return 0;
}

/* The host reads no more; it may have answered before that (e.g. 413). */
static void stop_sending(struct msp_client *c)
{
	c->deaf = true;
	msp_http_out_free(&c->out);
}

/* Send what there is; MSP_ERR_SYS if that cannot go on at all. */
static int flush(struct msp_client *c, struct msp_time now,
		 struct msp_error_info *info)
{
	while (unsent(c)) {
		ssize_t n = send(c->fd, c->out.data + c->out.start,
				 c->out.end - c->out.start, MSG_NOSIGNAL);

		if (n >= 0) {
			c->out.start += (size_t)n;
			if (c->phase == PHASE_HEAD)
				c->last = now.boot_ms;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		if (errno != EPIPE && errno != ECONNRESET &&
		    c->phase == PHASE_HEAD)
			return msp_fail_sys(info, errno, "cannot send");
		stop_sending(c);
	}
	if (!owed(c))
		msp_http_out_rest(&c->out);
	return 0;
}

static bool may_write(const struct msp_client *c)
{
	return under_way(c) || c->phase == PHASE_DONE;
}

int msp_client_write(struct msp_client *client, const void *data, size_t len,
		     size_t *taken)
{
	struct msp_client *c = client;
	size_t room = len;

	if (taken)
		*taken = 0;
	if (!c || !taken || (len && !data))
		return MSP_ERR_INVAL;
	if (!may_write(c) || (c->chunked && c->finished) ||
	    (!c->chunked && len > c->body_left))
		return MSP_ERR_STATE;
	if (!c->deaf) {
		c->rearm |= !unsent(c);
		room = msp_http_out_room(&c->out, c->chunked);
		if (room < len && room < OUT_LEAST)
			return 0;
		room = room < len ? room : len;
		msp_http_out_append(&c->out, data, room, c->chunked);
	}
	if (!c->chunked)
		c->body_left -= room;
	*taken = room;
	return 0;
}

int msp_client_finish(struct msp_client *client)
{
	struct msp_client *c = client;

	if (!c)
		return MSP_ERR_INVAL;
	if (!may_write(c) || !c->chunked || c->finished)
		return MSP_ERR_STATE;
	c->finished = true;
	if (c->deaf)
		return 0;
	c->rearm |= !unsent(c);
	msp_http_out_last_chunk(&c->out);
	return 0;
}

/* ---- receiving --------------------------------------------------------- */

/* *got is 0 at the end of the stream. */
static int receive(struct msp_client *c, struct msp_time now, void *data,
		   size_t size, size_t *got, struct msp_error_info *info)
{
	ssize_t n;

	do {
		n = recv(c->fd, data, size, 0);
	} while (n < 0 && errno == EINTR);

	c->drained = n < 0 || (size_t)n < size;
	if (n >= 0) {
		*got = (size_t)n;
		c->touched |= n > 0;
		c->waiting = false;
		c->last = now.boot_ms;
		return 0;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return MSP_ERR_AGAIN;
	if (errno == ECONNRESET || errno == EPIPE)
		return msp_fail(info, MSP_ERR_CLOSED,
				"the host reset the connection");
	return msp_fail_sys(info, errno, "cannot receive");
}

static void in_holds(struct msp_client *c, size_t n)
{
	c->in_start = 0;
	c->in_end = n;
	if (n > c->in_dirty)
		c->in_dirty = n;
}

/* Only when everything received before was used. */
static int refill(struct msp_client *c, struct msp_time now, size_t *got,
		  struct msp_error_info *info)
{
	int rc = make_in(c, IN_SIZE, info);

	if (rc == 0)
		rc = receive(c, now, c->in, IN_SIZE, got, info);
	if (rc == 0)
		in_holds(c, *got);
	return rc;
}

static void fill_response(struct msp_client *c)
{
	const struct msp_http *h = &c->http;
	struct msp_response *r = &c->response;

	r->size = sizeof(*r);
	r->status = h->status;
	r->reason = h->reason;
	r->headers = h->headers;
	r->n_headers = h->n_headers;
	r->length = h->done || h->framing == MSP_HTTP_BY_LENGTH
			    ? h->left
			    : MSP_BODY_CHUNKED;
}

static void end_answer(struct msp_client *c)
{
	if (!c->http.done)
		return;
	c->phase = PHASE_DONE;
	c->waiting = false;
	c->excess = c->in_start < c->in_end;
	if (msp_http_keeps(&c->http) && c->in_cap <= IN_KEPT)
		wipe_in(c);
	else
		release_in(c);
}

/* A piece of the answer with its head, or the end of it; what is behind that
 * stays. */
static int take_head(struct msp_client *c, const char *data, size_t len,
		     struct msp_error_info *info)
{
	size_t used;
	int rc;

	if (!len)
		return msp_fail(
			info, MSP_ERR_CLOSED,
			c->touched ? "the host closed the connection within "
				     "the head of its answer"
				   : "the host closed the connection without "
				     "an answer");
	rc = msp_http_head(&c->http, data, len, &used, info);
	if (rc < 0 || used == len)
		return rc;
	rc = make_in(c, len - used, info);
	if (rc < 0)
		return rc;
	memcpy(c->in, data + used, len - used);
	in_holds(c, len - used);
	return 0;
}

/* By way of the stack: a buffer of its own for each of many connections would
 * be memory, and out of the CPU's caches whenever it is needed. */
static int receive_head(struct msp_client *c, struct msp_time now,
			struct msp_error_info *info)
{
	char piece[IN_SIZE];
	size_t got, most = 0;
	int rc;

	do {
		rc = receive(c, now, piece, sizeof(piece), &got, info);
		if (rc < 0)
			break;
		most = got > most ? got : most;
		rc = take_head(c, piece, got, info);
	} while (rc == MSP_ERR_AGAIN);
	msp_mem_wipe(piece, most);
	return rc;
}

static int timed_out(struct msp_client *c, struct msp_error_info *info)
{
	const char *what = "the host's answer stopped";

	if (c->phase == PHASE_CONNECTING)
		what = "no connection to the host";
	else if (c->phase == PHASE_HEAD && unsent(c))
		what = "the host takes no more of the request";
	else if (c->phase == PHASE_HEAD && !c->http.head_len)
		what = "no answer from the host";
	return msp_fail(info, MSP_ERR_TIMEOUT, "timed out: %s", what);
}

static int run_to_head(struct msp_client *c, struct msp_time now,
		       struct msp_error_info *info)
{
	bool whole;
	int rc = 0;

	if (c->phase == PHASE_CONNECTING)
		rc = finish_connect(c, now, info);
	whole = unsent(c);
	if (rc == 0)
		rc = flush(c, now, info);
	/* what the host has only now got in whole it has not answered yet */
	whole = whole && !unsent(c) && !owed(c) && !c->deaf;
	if (rc == 0)
		rc = whole ? MSP_ERR_AGAIN : receive_head(c, now, info);
	if (rc == MSP_ERR_AGAIN && now.boot_ms >= msp_client_deadline(c))
		rc = timed_out(c, info);
	return rc;
}

MSP_MEM_NO_TRACE int msp_client_run(struct msp_client *client,
				    struct msp_time now,
				    struct msp_error_info *info)
{
	struct msp_client *c = client;
	int rc;

	if (!c)
		return MSP_ERR_INVAL;
	if (c->phase == PHASE_IDLE)
		return msp_fail(info, MSP_ERR_STATE, "there is no request");
	if (c->phase == PHASE_FAILED)
		return msp_fail(info, c->failure,
				"the connection failed before");
	if (c->phase == PHASE_BODY || c->phase == PHASE_DONE)
		return flush(c, now, info);

	if (c->rearm && c->phase == PHASE_HEAD) {
		c->last = now.boot_ms;
		c->rearm = false;
	}
	rc = run_to_head(c, now, info);
	if (rc == MSP_ERR_AGAIN)
		return rc;
	if (rc < 0)
		return fail(c, rc);
	fill_response(c);
	c->phase = PHASE_BODY;
	end_answer(c);
	return 0;
}

/* ---- body -------------------------------------------------------------- */

/* From the buffer; *got stays 0 when it held framing only. */
static int read_buffered(struct msp_client *c, void *out, size_t size,
			 size_t *got, struct msp_error_info *info)
{
	const char *piece;
	size_t used;
	int rc;

	rc = msp_http_body(&c->http, c->in + c->in_start,
			   c->in_end - c->in_start, size, &used, &piece, got,
			   info);
	c->in_start += used;
	if (rc == 0 && *got)
		memcpy(out, piece, *got);
	return rc;
}

/* Past the buffer, but never past the end of the content. */
static int read_straight(struct msp_client *c, struct msp_time now, void *out,
			 size_t size, size_t *got, struct msp_error_info *info)
{
	uint64_t content = msp_http_content(&c->http);
	int rc;

	rc = receive(c, now, out, content < size ? (size_t)content : size, got,
		     info);
	if (rc < 0)
		return rc;
	if (!*got)
		return msp_http_eof(&c->http, info);
	msp_http_advance(&c->http, *got);
	return 0;
}

static int read_step(struct msp_client *c, struct msp_time now, void *out,
		     size_t size, size_t *got, struct msp_error_info *info)
{
	size_t filled;
	int rc;

	if (c->in_start < c->in_end)
		return read_buffered(c, out, size, got, info);
	if (msp_http_content(&c->http))
		return read_straight(c, now, out, size, got, info);
	rc = refill(c, now, &filled, info);
	if (rc < 0)
		return rc;
	return filled ? 0 : msp_http_eof(&c->http, info);
}

/* The clock runs from the first time that the caller had to wait. */
static int wait_for_more(struct msp_client *c, struct msp_time now,
			 struct msp_error_info *info)
{
	if (!c->waiting) {
		c->waiting = true;
		c->last = now.boot_ms;
	}
	if (now.boot_ms < msp_client_deadline(c))
		return MSP_ERR_AGAIN;
	return fail(c, timed_out(c, info));
}

MSP_MEM_NO_TRACE int msp_client_read(struct msp_client *client,
				     struct msp_time now, void *out,
				     size_t size, size_t *got,
				     struct msp_error_info *info)
{
	struct msp_client *c = client;
	int rc;

	if (got)
		*got = 0;
	if (!c || !out || !size || !got)
		return MSP_ERR_INVAL;
	if (c->phase == PHASE_FAILED)
		return msp_fail(info, c->failure,
				"the connection failed before");
	if (c->phase != PHASE_BODY && c->phase != PHASE_DONE)
		return msp_fail(info, MSP_ERR_STATE, "there is no answer yet");

	while (c->phase == PHASE_BODY && !*got) {
		rc = read_step(c, now, out, size, got, info);
		if (rc == MSP_ERR_AGAIN)
			return wait_for_more(c, now, info);
		if (rc < 0)
			return fail(c, rc);
		end_answer(c);
	}
	return 0;
}
