/* SPDX-License-Identifier: MIT */
/*
 * In: what to ask an endpoint. Out: its whole answer, to a request signed with
 * the key the host wants. Must never wait past its time, nor send a request
 * unsigned that the host wants signed.
 */
#include <msp/session.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <msp/clock.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/latch_priv.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#define FLAGS	   ((uint32_t)(MSP_SESSION_UNSIGNED | MSP_SESSION_IN_MEMORY))
#define TIMEOUT_MS 30000
#define SAID_SIZE  512
#define HOST	   "host"
/* "255.255.255.255:65535" */
#define HOST_SIZE 22

struct msp_session {
	struct msp_session_opts opts; /* its directory is not kept */
	struct msp_keystore *store;
	struct msp_channel *channel;
	struct msp_latch *latch;		   /* NULL: unsigned */
	struct msp_client *clients[MSP_ENDPOINTS]; /* NULL until one is used */
	bool used[MSP_ENDPOINTS]; /* the client's connection, before */
	char said[SAID_SIZE];	  /* the last message that was told */
	uint64_t deadline;	  /* of the call, boot ms */
	struct msp_time now;
};

/* ---- life -------------------------------------------------------------- */

static struct msp_client_opts client_opts(const struct msp_session *s,
					  enum msp_endpoint endpoint)
{
	struct msp_client_opts o = {
		.size = sizeof(o),
		.address = s->opts.endpoints[endpoint],
		.on_socket = s->opts.on_socket,
		.on_socket_arg = s->opts.arg,
	};

	return o;
}

/* Half an address is found out now, not at the first request. */
static int take_address(struct msp_address *address, enum msp_endpoint endpoint)
{
	if (address->reserved || !address->ip != !address->port)
		return MSP_ERR_INVAL;
	return address->ip ? 0 : msp_endpoint_address(address, endpoint);
}

static int take_opts(struct msp_session *s, const struct msp_session_opts *opts)
{
	int i, rc;

	if (opts) {
		if (!msp_opts_ok(opts, opts->size, sizeof(*opts)) ||
		    opts->flags & ~FLAGS || opts->document_max >= SIZE_MAX ||
		    (opts->directory && opts->flags & MSP_SESSION_IN_MEMORY))
			return MSP_ERR_INVAL;
		s->opts = *opts;
		s->opts.directory = NULL;
	}
	if (!s->opts.timeout_ms)
		s->opts.timeout_ms = TIMEOUT_MS;
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		rc = take_address(&s->opts.endpoints[i], (enum msp_endpoint)i);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int open_latch(struct msp_session *s,
		      const struct msp_session_opts *opts,
		      struct msp_error_info *info)
{
	struct msp_channel_opts channel = {
		.size = sizeof(channel),
		.client = client_opts(s, MSP_ENDPOINT_WIRESERVER),
	};
	const char *directory = MSP_KEY_DIRECTORY;
	size_t len = strlen(MSP_KEY_DIRECTORY);
	int rc;

	if (opts && opts->directory) {
		directory = opts->directory;
		len = opts->directory_len;
	}
	if (!(s->opts.flags & MSP_SESSION_IN_MEMORY)) {
		rc = msp_keystore_open(&s->store, directory, len, info);
		if (rc < 0)
			return rc;
	}
	rc = msp_channel_new(&s->channel, &channel);
	if (rc == 0)
		rc = msp_latch_new(&s->latch, s->channel, s->store, NULL);
	return rc < 0 ? msp_fail(info, rc, "%s", msp_error_text(rc)) : 0;
}

int msp_session_new(struct msp_session **out,
		    const struct msp_session_opts *opts,
		    struct msp_error_info *info)
{
	struct msp_session *s;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	s = msp_mem_zalloc(sizeof(*s));
	if (!s)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	rc = take_opts(s, opts);
	if (rc < 0)
		msp_fail(info, rc, "these options are not valid");
	else if (!(s->opts.flags & MSP_SESSION_UNSIGNED))
		rc = open_latch(s, opts, info);
	if (rc < 0)
		goto out;

	*out = s;
	s = NULL;
out:
	msp_session_free(s);
	return rc;
}

void msp_session_free(struct msp_session *session)
{
	int i;

	if (!session)
		return;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		msp_client_free(session->clients[i]);
	msp_latch_free(session->latch);
	msp_channel_free(session->channel);
	msp_keystore_free(session->store);
	msp_mem_free(session);
}

/* ---- waiting ----------------------------------------------------------- */

static void look_at_clock(struct msp_session *s)
{
	if (s->opts.on_time)
		s->opts.on_time(s->opts.arg, &s->now);
	else
		msp_clock_read(&s->now);
}

static void begin(struct msp_session *s)
{
	look_at_clock(s);
	s->deadline = s->now.boot_ms > MSP_NEVER - s->opts.timeout_ms
			      ? MSP_NEVER
			      : s->now.boot_ms + s->opts.timeout_ms;
}

static bool time_is_up(const struct msp_session *s)
{
	return s->now.boot_ms >= s->deadline;
}

/* A signal ends the wait and nothing else: the time is looked at again. */
static int wait_for(struct msp_session *s, int fd, short events, uint64_t until,
		    struct msp_error_info *info)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t ms = 0;

	if (until > s->deadline)
		until = s->deadline;
	if (until > s->now.boot_ms)
		ms = until - s->now.boot_ms;
	if (poll(&p, 1, ms > INT_MAX ? INT_MAX : (int)ms) < 0 && errno != EINTR)
		return msp_fail_sys(info, errno, "poll");
	look_at_clock(s);
	return 0;
}

/* ---- the key ----------------------------------------------------------- */

/* A state can change without a message, which nobody wants to hear twice. */
static void tell(struct msp_session *s)
{
	unsigned int changes = msp_latch_changes(s->latch);
	const char *message = msp_latch_message(s->latch);

	if (!s->opts.on_event)
		return;
	if (message[0] && strcmp(message, s->said) != 0) {
		snprintf(s->said, sizeof(s->said), "%s", message);
		s->opts.on_event(s->opts.arg, message);
	}
	if (changes & MSP_LATCH_CHANGED_WARNING)
		s->opts.on_event(s->opts.arg, msp_latch_warning(s->latch));
}

/* No call is under way, and what the host wants is known. */
static bool is_settled(const struct msp_session *s)
{
	enum msp_latch_state state = msp_latch_state(s->latch);

	return (state == MSP_LATCH_LATCHED || state == MSP_LATCH_DISABLED) &&
	       msp_latch_fd(s->latch) < 0 &&
	       msp_latch_deadline(s->latch) > s->now.boot_ms;
}

/* What the host said last holds until it says something else. */
static bool can_go_on(const struct msp_session *s, uint64_t patience)
{
	enum msp_latch_state state = msp_latch_state(s->latch);

	return (state == MSP_LATCH_LATCHED || state == MSP_LATCH_DISABLED) &&
	       s->now.boot_ms >= patience;
}

static int gave_up(const struct msp_session *s, struct msp_error_info *info)
{
	int rc = msp_latch_failure(s->latch, info);

	if (rc < 0)
		return rc;
	rc = msp_fail(info, MSP_ERR_TIMEOUT, "no key within %u ms",
		      s->opts.timeout_ms);
	msp_info_endpoint(info, MSP_ENDPOINT_WIRESERVER);
	return rc;
}

static bool is_busy(const struct msp_session *s)
{
	return msp_latch_failure(s->latch, NULL) == MSP_ERR_BUSY;
}

static uint64_t next_look(const struct msp_session *s, uint64_t patience)
{
	uint64_t due = msp_latch_deadline(s->latch);

	return patience > s->now.boot_ms && patience < due ? patience : due;
}

/* A host that hangs gets half of the time; the request has the other. */
static int latch(struct msp_session *s, struct msp_error_info *info)
{
	uint64_t patience = s->now.boot_ms;
	int rc;

	if (!time_is_up(s))
		patience += (s->deadline - patience) / 2;
	/* the other one may have gone: that costs the host nothing */
	if (is_busy(s))
		msp_latch_poll_now(s->latch);
	while (!is_settled(s) && !can_go_on(s, patience)) {
		if (time_is_up(s))
			return gave_up(s, info);
		rc = msp_latch_run(s->latch, s->now);
		tell(s);
		if (rc < 0)
			return msp_fail(info, rc, "%s", msp_error_text(rc));
		if (is_busy(s))
			return gave_up(s, info);
		if (is_settled(s))
			break;
		rc = wait_for(s, msp_latch_fd(s->latch),
			      msp_latch_events(s->latch),
			      next_look(s, patience), info);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int msp_session_latch(struct msp_session *session, struct msp_error_info *info)
{
	if (!session)
		return MSP_ERR_INVAL;
	if (!session->latch)
		return msp_fail(info, MSP_ERR_STATE,
				"this session does not sign");
	begin(session);
	return latch(session, info);
}

struct msp_key *msp_session_key(const struct msp_session *session)
{
	return session ? msp_latch_key(session->latch) : NULL;
}

/* ---- a request --------------------------------------------------------- */

/* Port 80 goes without saying (RFC 9110 7.2). */
static void put_host(char out[HOST_SIZE], struct msp_address address)
{
	char ip[INET_ADDRSTRLEN] = "";
	struct in_addr in = { .s_addr = address.ip };

	inet_ntop(AF_INET, &in, ip, sizeof(ip));
	if (address.port == 80)
		snprintf(out, HOST_SIZE, "%s", ip);
	else
		snprintf(out, HOST_SIZE, "%s:%u", ip, address.port);
}

static int start(struct msp_session *s, enum msp_endpoint endpoint,
		 const struct msp_message *message, struct msp_error_info *info)
{
	struct msp_header headers[MSP_SESSION_HEADERS + 1];
	struct msp_message m = *message;
	char host[HOST_SIZE];

	put_host(host, s->opts.endpoints[endpoint]);
	headers[0].name = HOST;
	headers[0].name_len = strlen(HOST);
	headers[0].value = host;
	headers[0].value_len = strlen(host);
	if (m.n_headers)
		memcpy(headers + 1, m.headers,
		       m.n_headers * sizeof(headers[0]));
	m.headers = headers;
	m.n_headers++;
	s->used[endpoint] = msp_client_reusable(s->clients[endpoint]);
	return msp_latch_put(s->latch, s->clients[endpoint], s->now, &m, info);
}

static int finish(struct msp_session *s, struct msp_document *document,
		  struct msp_client *client, struct msp_error_info *info)
{
	int rc;

	for (;;) {
		rc = msp_document_fill(document, client, s->now, info);
		if (rc != MSP_ERR_AGAIN)
			return rc;
		if (time_is_up(s))
			return msp_fail(info, MSP_ERR_TIMEOUT,
					"no answer within %u ms",
					s->opts.timeout_ms);
		rc = wait_for(s, msp_client_fd(client),
			      msp_client_events(client),
			      msp_client_deadline(client), info);
		if (rc < 0)
			return rc;
	}
}

/* A client in the middle of something cannot take another request. */
static void hang_up(struct msp_session *s, enum msp_endpoint endpoint)
{
	msp_client_free(s->clients[endpoint]);
	s->clients[endpoint] = NULL;
}

static bool is_idempotent(const struct msp_message *m)
{
	return (m->method_len == 3 && memcmp(m->method, "GET", 3) == 0) ||
	       (m->method_len == 4 && memcmp(m->method, "HEAD", 4) == 0);
}

static int ask(struct msp_session *s, struct msp_document **out,
	       enum msp_endpoint endpoint, const struct msp_message *message,
	       struct msp_error_info *info)
{
	struct msp_client_opts opts = client_opts(s, endpoint);
	struct msp_document *document = NULL;
	int rc = 0;

	s->used[endpoint] = false;
	if (!s->clients[endpoint])
		rc = msp_client_new(&s->clients[endpoint], &opts);
	if (rc == 0)
		rc = msp_document_new(&document, s->opts.document_max);
	if (rc < 0)
		return msp_fail(info, rc, "%s", msp_error_text(rc));
	rc = start(s, endpoint, message, info);
	if (rc == 0)
		rc = finish(s, document, s->clients[endpoint], info);
	if (rc < 0)
		goto out;

	*out = document;
	document = NULL;
out:
	msp_document_free(document);
	return rc;
}

/* The host may close a connection while it is idle: one that was used before
 * proves nothing (RFC 9112 9.3.1). */
static int ask_on_any(struct msp_session *s, struct msp_document **out,
		      enum msp_endpoint endpoint,
		      const struct msp_message *message,
		      struct msp_error_info *info)
{
	int rc = ask(s, out, endpoint, message, info);
	bool again;

	if (rc == 0)
		return 0;
	again = rc != MSP_ERR_TIMEOUT && s->used[endpoint] &&
		msp_client_untouched(s->clients[endpoint]) &&
		is_idempotent(message);
	hang_up(s, endpoint);
	if (!again)
		return rc;
	rc = ask(s, out, endpoint, message, info);
	if (rc < 0)
		hang_up(s, endpoint);
	return rc;
}

/* Another guid, or other bytes under the same one. */
static bool is_another(const struct msp_key *key, const struct msp_key *before)
{
	return key && !(before && msp_key_equal(key, before));
}

/* The host may have another key by now: is there reason to ask once more?
 * What is not made twice leaves the question to the next call. */
static bool has_new_key(struct msp_session *s,
			const struct msp_document *document, bool idempotent)
{
	unsigned int status = msp_document_status(document);
	struct msp_key *before;
	bool another;

	if (!s->latch || (status != 401 && status != 403))
		return false;
	msp_latch_poll_now(s->latch);
	if (!idempotent)
		return false;
	before = msp_session_key(s);
	if (before)
		msp_key_ref(before);
	another = latch(s, NULL) == 0 && is_another(msp_session_key(s), before);
	msp_key_free(before);
	return another;
}

static int check_message(const struct msp_message *m,
			 struct msp_error_info *info)
{
	size_t i;

	if (!m->method || !m->target || (m->n_headers && !m->headers) ||
	    (m->body_len && !m->body))
		return msp_fail(info, MSP_ERR_INVAL,
				"the request is not complete");
	if (m->n_headers > MSP_SESSION_HEADERS)
		return msp_fail(info, MSP_ERR_LIMIT, "too many headers");
	for (i = 0; i < m->n_headers; i++) {
		if (!m->headers[i].name ||
		    (m->headers[i].value_len && !m->headers[i].value))
			return msp_fail(info, MSP_ERR_INVAL,
					"a header is not complete");
		if (msp_ascii_equal(m->headers[i].name, m->headers[i].name_len,
				    HOST, strlen(HOST)))
			return msp_fail(info, MSP_ERR_INVAL,
					"a header is given that is added");
	}
	return 0;
}

static int request(struct msp_session *s, struct msp_document **out,
		   enum msp_endpoint endpoint,
		   const struct msp_message *message,
		   struct msp_error_info *info)
{
	int rc;

	begin(s);
	rc = s->latch ? latch(s, info) : 0;
	if (rc < 0)
		return rc; /* says its own endpoint */
	rc = ask_on_any(s, out, endpoint, message, info);
	if (rc == 0 && has_new_key(s, *out, is_idempotent(message))) {
		msp_document_free(*out);
		*out = NULL;
		rc = ask_on_any(s, out, endpoint, message, info);
	}
	if (rc < 0)
		msp_info_endpoint(info, endpoint);
	return rc;
}

int msp_session_request(struct msp_session *session, struct msp_document **out,
			enum msp_endpoint endpoint,
			const struct msp_message *message,
			struct msp_error_info *info)
{
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!session || (unsigned int)endpoint >= MSP_ENDPOINTS || !message ||
	    !msp_opts_ok(message, message->size, sizeof(*message)))
		return msp_fail(info, MSP_ERR_INVAL,
				"no session, no such endpoint or no request");
	rc = check_message(message, info);
	return rc < 0 ? rc : request(session, out, endpoint, message, info);
}

int msp_session_get(struct msp_session *session, struct msp_document **out,
		    enum msp_endpoint endpoint, const char *target,
		    size_t target_len, struct msp_error_info *info)
{
	struct msp_message m = {
		.size = sizeof(m),
		.method = "GET",
		.method_len = 3,
		.target = target,
		.target_len = target_len,
	};
	unsigned int status;
	int rc;

	rc = msp_session_request(session, out, endpoint, &m, info);
	if (rc < 0)
		return rc;
	status = msp_document_status(*out);
	if (status >= 200 && status < 300)
		return 0;
	rc = msp_fail(info, MSP_ERR_STATUS, "%s answered with status %u",
		      msp_endpoint_name(endpoint), status);
	msp_info_endpoint(info, endpoint);
	if (info && info->size >= sizeof(*info))
		info->http_status = status;
	msp_document_free(*out);
	*out = NULL;
	return rc;
}
