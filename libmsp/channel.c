/* SPDX-License-Identifier: MIT */
/*
 * In: which of the three calls to make (spec 5.1), and the host's answer.
 * Out: a key status, a key, or the reason why not. Must never keep a key's
 * text, let a host take longer than the deadline, or buffer without a bound.
 */
#include <msp/channel.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/buffer.h"
#include "libmsp/date_priv.h"
#include "libmsp/http_parse.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#define CALL_MS	      10000
#define KEY_MAX_BYTES 65536
#define DATE_MAX      64

#define PATH_STATUS "/secure-channel/status"
#define PATH_KEY    "/secure-channel/key"
#define PATH_ATTEST "/key-attestation"

enum call { CALL_NONE = 0, CALL_STATUS, CALL_ACQUIRE, CALL_ATTEST };

struct msp_channel {
	struct msp_channel_opts opts;
	char host[INET_ADDRSTRLEN]; /* for the host header, without port */
	enum call call;		    /* under way */
	uint64_t deadline;	    /* of the whole call, boot ms */
	struct msp_client *client;  /* of this call only; owned */
	bool accepted;		    /* the head was looked at */

	struct msp_buffer body; /* of the answer */

	struct msp_keystatus *status; /* owned until taken */
	struct msp_key *key;	      /* owned until taken */
	bool head_has_time;	      /* of the answer being read */
	int64_t head_time;
	bool has_time; /* of the last complete answer */
	int64_t time;
};

/* ---- life -------------------------------------------------------------- */

static int take_opts(struct msp_channel *ch,
		     const struct msp_channel_opts *opts)
{
	struct msp_client_opts *client = &ch->opts.client;
	struct in_addr in;

	if (opts) {
		if (!msp_opts_ok(opts, opts->size, sizeof(*opts)) ||
		    opts->reserved)
			return MSP_ERR_INVAL;
		ch->opts = *opts;
	}
	if (!ch->opts.call_ms)
		ch->opts.call_ms = CALL_MS;
	if (!client->size)
		memset(client, 0, sizeof(*client));
	else if (client->size != sizeof(*client))
		return MSP_ERR_INVAL; /* embedded: it cannot be longer */
	client->size = sizeof(*client);
	if (!client->address.ip && !client->address.port &&
	    msp_endpoint_address(&client->address, MSP_ENDPOINT_WIRESERVER) < 0)
		return MSP_ERR_INVAL;

	in.s_addr = client->address.ip;
	if (!inet_ntop(AF_INET, &in, ch->host, sizeof(ch->host)))
		return MSP_ERR_INVAL;
	return 0;
}

int msp_channel_new(struct msp_channel **out,
		    const struct msp_channel_opts *opts)
{
	struct msp_client *probe = NULL;
	struct msp_channel *ch;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	ch = msp_mem_zalloc(sizeof(*ch));
	if (!ch)
		return MSP_ERR_NOMEM;
	rc = take_opts(ch, opts);
	if (rc < 0)
		goto out;
	/* each call makes a client: find out now that its options are good */
	rc = msp_client_new(&probe, &ch->opts.client);
	if (rc < 0)
		goto out;

	*out = ch;
	ch = NULL;
out:
	msp_client_free(probe);
	msp_channel_free(ch);
	return rc;
}

/* One connection per call: an answer that is still to come to a call that was
 * given up must not be taken for the next one's. */
static void end_call(struct msp_channel *ch)
{
	msp_client_free(ch->client);
	ch->client = NULL;
	ch->call = CALL_NONE;
	msp_buffer_drop(&ch->body);
}

static void drop_results(struct msp_channel *ch)
{
	msp_keystatus_free(ch->status);
	ch->status = NULL;
	msp_key_free(ch->key);
	ch->key = NULL;
}

void msp_channel_free(struct msp_channel *channel)
{
	if (!channel)
		return;
	end_call(channel);
	drop_results(channel);
	msp_mem_free(channel);
}

/* ---- starting a call (spec 5.1) ---------------------------------------- */

/* What differs between the calls. */
struct request {
	enum call call;
	const char *method;
	const char *target;
	const char *content_type; /* or NULL */
	const char *body;	  /* or NULL */
	struct msp_signer *signer;
};

static struct msp_header header(const char *name, const char *value)
{
	struct msp_header h = { name, strlen(name), value, strlen(value) };

	return h;
}

static int send_request(struct msp_channel *ch, struct msp_time now,
			const char *date, const struct request *r,
			struct msp_error_info *info)
{
	struct msp_header headers[5] = {
		header(MSP_HEADER_DATE, date),
		header("host", ch->host),
		header(MSP_HEADER_CLAIMS, MSP_CLAIMS_ROOT),
		header("metadata", "True"),
	};
	struct msp_message m = {
		.size = sizeof(m),
		.method = r->method,
		.method_len = strlen(r->method),
		.target = r->target,
		.target_len = strlen(r->target),
		.headers = headers,
		.n_headers = 4,
		.body = r->body,
		.body_len = r->body ? strlen(r->body) : 0,
	};

	if (r->content_type)
		headers[m.n_headers++] =
			header("content-type", r->content_type);
	return msp_client_send(ch->client, now, &m,
			       r->body ? m.body_len : MSP_BODY_EMPTY, r->signer,
			       info);
}

/* "Key error: Failed to send <what> key with error: <e>" (spec 5.10). */
static int send_failed(enum call call, int rc, struct msp_error_info *info)
{
	struct msp_error_info cause;

	if (call == CALL_STATUS || !info || info->size < sizeof(*info))
		return rc;
	cause = *info;
	msp_fail(info, rc, "Key error: Failed to send %s key with error: %s",
		 call == CALL_ACQUIRE ? "acquire" : "attest", cause.text);
	info->sys_errno = cause.sys_errno;
	return rc;
}

static int check_start(const struct msp_channel *ch, const char *date,
		       struct msp_error_info *info)
{
	if (!ch || !date || strnlen(date, DATE_MAX + 1) > DATE_MAX)
		return msp_fail(info, MSP_ERR_INVAL, "no channel or date");
	if (ch->call != CALL_NONE)
		return msp_fail(info, MSP_ERR_STATE,
				"another call is under way");
	return 0;
}

static int start(struct msp_channel *ch, struct msp_time now, const char *date,
		 const struct request *r, struct msp_error_info *info)
{
	int rc;

	drop_results(ch);
	ch->accepted = false;
	rc = msp_client_new(&ch->client, &ch->opts.client);
	if (rc < 0)
		return msp_fail(info, rc, "%s", msp_error_text(rc));
	rc = send_request(ch, now, date, r, info);
	if (rc < 0) {
		end_call(ch);
		send_failed(r->call, rc, info);
		msp_info_endpoint(info, MSP_ENDPOINT_WIRESERVER);
		return rc;
	}
	ch->call = r->call;
	ch->deadline = now.boot_ms > MSP_NEVER - ch->opts.call_ms
			       ? MSP_NEVER
			       : now.boot_ms + ch->opts.call_ms;
	return 0;
}

int msp_channel_status(struct msp_channel *channel, struct msp_time now,
		       const char *date, struct msp_error_info *info)
{
	static const struct request r = {
		.call = CALL_STATUS,
		.method = "GET",
		.target = PATH_STATUS,
	};
	int rc = check_start(channel, date, info);

	return rc < 0 ? rc : start(channel, now, date, &r, info);
}

int msp_channel_acquire(struct msp_channel *channel, struct msp_time now,
			const char *date, struct msp_error_info *info)
{
	static const struct request r = {
		.call = CALL_ACQUIRE,
		.method = "POST",
		.target = PATH_KEY,
		.content_type = "application/json",
		.body = "{\"authorizationScheme\": \"" MSP_SCHEME "\"}",
	};
	int rc = check_start(channel, date, info);

	return rc < 0 ? rc : start(channel, now, date, &r, info);
}

int msp_channel_attest(struct msp_channel *channel, struct msp_time now,
		       const char *date, struct msp_key *key,
		       struct msp_error_info *info)
{
	char target[sizeof(PATH_KEY "/" PATH_ATTEST) + MSP_GUID_LEN];
	struct request r = {
		.call = CALL_ATTEST,
		.method = "POST",
		.target = target,
	};
	int rc = check_start(channel, date, info);

	if (rc < 0)
		return rc;
	if (!key)
		return msp_fail(info, MSP_ERR_INVAL, "no key to attest");
	rc = msp_signer_new(&r.signer, key);
	if (rc < 0)
		return msp_fail(info, rc, "%s", msp_error_text(rc));
	snprintf(target, sizeof(target), PATH_KEY "/%s" PATH_ATTEST,
		 msp_key_guid(key));
	rc = start(channel, now, date, &r, info);
	msp_signer_free(r.signer);
	return rc;
}

/* ---- the answer's head ------------------------------------------------- */

/* The reason phrase may hold any byte; texts for people are UTF-8. */
static void copy_reason(char *out, size_t size, const char *reason)
{
	size_t i;

	for (i = 0; i + 1 < size && reason[i]; i++) {
		unsigned char c = (unsigned char)reason[i];

		out[i] = c < ' ' || c >= 0x7f ? '?' : (char)c;
	}
	out[i] = '\0';
}

static int refused(const struct msp_channel *ch, const struct msp_response *r,
		   struct msp_error_info *info)
{
	char reason[64];
	int rc;

	copy_reason(reason, sizeof(reason), r->reason);
	if (ch->call == CALL_STATUS)
		rc = msp_fail(
			info, MSP_ERR_STATUS,
			"Failed to get response from http://%s:%u" PATH_STATUS
			", status code: %u %s",
			ch->host, (unsigned int)ch->opts.client.address.port,
			r->status, reason);
	else
		rc = msp_fail(info, MSP_ERR_STATUS,
			      "Key error: Failed to %s key with status code: "
			      "%u %s",
			      ch->call == CALL_ACQUIRE ? "acquire" : "attest",
			      r->status, reason);
	if (info && info->size >= sizeof(*info))
		info->http_status = r->status;
	return rc;
}

static bool contains(const struct msp_header *h, const char *word)
{
	size_t len = strlen(word);
	size_t i;

	for (i = 0; i + len <= h->value_len; i++) {
		if (msp_ascii_equal(h->value + i, len, word, len))
			return true;
	}
	return false;
}

/* JSON whatever the type says (spec 5.1), unless it is known to be wrong. */
static int check_type(const struct msp_response *r, struct msp_error_info *info)
{
	size_t i;

	for (i = 0; i < r->n_headers; i++) {
		const struct msp_header *h = &r->headers[i];

		if (!msp_http_named(h, "content-type"))
			continue;
		if (contains(h, "xml"))
			return msp_fail(info, MSP_ERR_PROTOCOL,
					"Deserialization failed: the host "
					"answered in XML, JSON is needed");
		if (contains(h, "utf-16") || contains(h, "utf-32"))
			return msp_fail(info, MSP_ERR_PROTOCOL,
					"Deserialization failed: the host "
					"answered in UTF-16 or UTF-32, UTF-8 "
					"is needed");
	}
	return 0;
}

/* A malformed x-ms-azure-host-date is not replaced by Date (spec 5.9), and
 * one given twice is no better than a malformed one. */
static void note_time(struct msp_channel *ch, const struct msp_response *r)
{
	const struct msp_header *ours = NULL, *date = NULL;
	unsigned int n_ours = 0, n_dates = 0;
	size_t i;

	for (i = 0; i < r->n_headers; i++) {
		if (msp_http_named(&r->headers[i], MSP_HEADER_DATE)) {
			ours = &r->headers[i];
			n_ours++;
		} else if (msp_http_named(&r->headers[i], "date")) {
			date = &r->headers[i];
			n_dates++;
		}
	}
	if (ours) {
		date = ours;
		n_dates = n_ours;
	}
	ch->head_has_time =
		date && n_dates == 1 &&
		msp_date_parse(date->value, date->value_len, &ch->head_time);
}

static size_t body_max(const struct msp_channel *ch)
{
	return ch->call == CALL_STATUS ? MSP_KEYSTATUS_MAX_BYTES
				       : KEY_MAX_BYTES;
}

static int too_large(const struct msp_channel *ch, struct msp_error_info *info)
{
	return msp_fail(info, MSP_ERR_LIMIT,
			"the host's answer is larger than %zu bytes",
			body_max(ch));
}

static int accept_head(struct msp_channel *ch, struct msp_error_info *info)
{
	const struct msp_response *r = msp_client_response(ch->client);
	bool ok;

	if (!r)
		return msp_fail(info, MSP_ERR_PROTOCOL, "no answer");
	ok = ch->call == CALL_STATUS ? r->status >= 200 && r->status < 300
				     : r->status == 200;
	if (!ok)
		return refused(ch, r, info);
	note_time(ch, r);
	ch->accepted = true;
	if (ch->call == CALL_ATTEST)
		return 0; /* its body says nothing */
	if (r->length != MSP_BODY_CHUNKED && r->length > body_max(ch))
		return too_large(ch, info);
	return check_type(r, info);
}

/* ---- the answer's body ------------------------------------------------- */

static int read_body(struct msp_channel *ch, struct msp_time now,
		     struct msp_error_info *info)
{
	struct msp_buffer *body = &ch->body;
	size_t got;
	int rc;

	for (;;) {
		rc = msp_buffer_grow(body, body_max(ch));
		if (rc == MSP_ERR_LIMIT)
			return too_large(ch, info);
		if (rc < 0)
			return msp_fail(info, rc, "%s", msp_error_text(rc));
		rc = msp_client_read(ch->client, now, body->data + body->len,
				     body->cap - body->len, &got, info);
		if (rc < 0)
			return rc;
		if (!got)
			return 0;
		body->len += got;
	}
}

/* The body itself is left out of the text, unlike spec 5.10: it may hold a
 * key (Q12). */
static int unreadable(int rc, struct msp_error_info *info)
{
	struct msp_error_info cause;

	if (!info || info->size < sizeof(*info) || rc == MSP_ERR_NOMEM)
		return rc;
	/* it could be read, and what it says is not valid (spec 5.3) */
	if (strncmp(info->text, "Key error: ", 11) == 0)
		return rc;
	cause = *info;
	msp_fail(info, rc,
		 "Deserialization failed: Failed to json deserialize response "
		 "body with error %s",
		 cause.text);
	info->offset = cause.offset;
	info->line = cause.line;
	info->column = cause.column;
	memcpy(info->pointer, cause.pointer, sizeof(info->pointer));
	return rc;
}

static int parse_body(struct msp_channel *ch, struct msp_error_info *info)
{
	int rc = 0;

	if (ch->call == CALL_STATUS)
		rc = msp_keystatus_parse(&ch->status, ch->body.data,
					 ch->body.len, info);
	else if (ch->call == CALL_ACQUIRE)
		rc = msp_key_parse(&ch->key, ch->body.data, ch->body.len, info);
	return rc < 0 ? unreadable(rc, info) : 0;
}

/* ---- driving ----------------------------------------------------------- */

static int step(struct msp_channel *ch, struct msp_time now,
		struct msp_error_info *info)
{
	int rc = msp_client_run(ch->client, now, info);

	if (rc < 0)
		return rc == MSP_ERR_AGAIN ? rc
					   : send_failed(ch->call, rc, info);
	if (!ch->accepted) {
		rc = accept_head(ch, info);
		if (rc < 0)
			return rc;
	}
	if (ch->call == CALL_ATTEST)
		return 0;
	rc = read_body(ch, now, info);
	return rc < 0 ? rc : parse_body(ch, info);
}

int msp_channel_run(struct msp_channel *channel, struct msp_time now,
		    struct msp_error_info *info)
{
	struct msp_channel *ch = channel;
	int rc;

	if (!ch)
		return MSP_ERR_INVAL;
	if (ch->call == CALL_NONE)
		return msp_fail(info, MSP_ERR_STATE, "no call is under way");
	rc = step(ch, now, info);
	if (rc == MSP_ERR_AGAIN) {
		if (now.boot_ms < ch->deadline)
			return rc;
		rc = msp_fail(info, MSP_ERR_TIMEOUT,
			      "timed out: the host took longer than %u ms",
			      ch->opts.call_ms);
		send_failed(ch->call, rc, info);
	}
	if (rc == 0) {
		ch->has_time = ch->head_has_time;
		ch->time = ch->head_time;
	}
	if (rc < 0)
		msp_info_endpoint(info, MSP_ENDPOINT_WIRESERVER);
	end_call(ch);
	return rc;
}

int msp_channel_fd(const struct msp_channel *channel)
{
	return channel ? msp_client_fd(channel->client) : -1;
}

short msp_channel_events(const struct msp_channel *channel)
{
	return channel ? msp_client_events(channel->client) : 0;
}

uint64_t msp_channel_deadline(const struct msp_channel *channel)
{
	uint64_t deadline;

	if (!channel || channel->call == CALL_NONE)
		return MSP_NEVER;
	deadline = msp_client_deadline(channel->client);
	return deadline < channel->deadline ? deadline : channel->deadline;
}

/* ---- results ----------------------------------------------------------- */

struct msp_keystatus *msp_channel_take_status(struct msp_channel *channel)
{
	struct msp_keystatus *status;

	if (!channel)
		return NULL;
	status = channel->status;
	channel->status = NULL;
	return status;
}

struct msp_key *msp_channel_take_key(struct msp_channel *channel)
{
	struct msp_key *key;

	if (!channel)
		return NULL;
	key = channel->key;
	channel->key = NULL;
	return key;
}

bool msp_channel_host_time(const struct msp_channel *channel, int64_t *out)
{
	if (!channel || !out || !channel->has_time)
		return false;
	*out = channel->time;
	return true;
}
