/* SPDX-License-Identifier: MIT */
/*
 * In: a request and perhaps a signer. Out: the bytes to send. The header list
 * is built once, signed and sent: the two must never differ, and no header of
 * the caller may ever end a line, frame the body or bring its own signature.
 */
#include "libmsp/http_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/ascii_wide.h"
#include "libmsp/http_parse.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

/* What is allocated at least, and what is kept at most. */
#define FIRST_SIZE 1024
#define KEPT_SIZE  8192
/* Frame of one chunk of up to 16^8 bytes, and "0" CR LF CR LF. */
#define CHUNK_FRAME (8 + 2 + 2)
#define LAST_CHUNK  "0\r\n\r\n"

/* All header lines as they will be sent: the caller's, then ours. */
struct lines {
	struct msp_header header[MSP_MAX_HEADERS + 1];
	size_t n;
	char length[24];
	char authorization[MSP_AUTHORIZATION_LEN + 1];
};

static int inval(struct msp_error_info *info, const char *what)
{
	return msp_fail(info, MSP_ERR_INVAL, "request not sent: %s", what);
}

/* ---- may it be sent at all? -------------------------------------------- */

static bool text_is(const char *text, size_t len, const char *other)
{
	return len == strlen(other) && memcmp(text, other, len) == 0;
}

static bool target_ok(const struct msp_message *m)
{
	size_t i;

	if (text_is(m->target, m->target_len, "*"))
		return text_is(m->method, m->method_len, "OPTIONS");
	if (m->target_len == 0 || m->target[0] != '/')
		return false;
	for (i = 0; i < m->target_len; i++) {
		unsigned char c = (unsigned char)m->target[i];

		if (c <= ' ' || c >= 0x7f || c == '#')
			return false;
	}
	return true;
}

/* Headers that are about one connection: ours says what is true of ours. */
static bool is_framing(const struct msp_header *h)
{
	switch (h->name_len) {
	case 2:
		return msp_http_named(h, "te");
	case 7:
		return msp_http_named(h, "trailer") ||
		       msp_http_named(h, "upgrade");
	case 10:
		return msp_http_named(h, "connection") ||
		       msp_http_named(h, "keep-alive");
	case 14:
		return msp_http_named(h, "content-length");
	case 16:
		return msp_http_named(h, "proxy-connection");
	case 17:
		return msp_http_named(h, "transfer-encoding");
	default:
		return false;
	}
}

static int check_header(const struct msp_header *h, struct msp_error_info *info)
{
	if (!h->name || (h->value_len && !h->value))
		return inval(info, "a header without name or value");
	if (!msp_ascii_token(h->name, h->name_len))
		return inval(info, "a header name is no token");
	if (!msp_http_is_value(h->value, h->value_len))
		return inval(info, "a control character in a header value");
	if (is_framing(h))
		return inval(info, "a header about framing or connection");
	if (msp_http_named(h, MSP_HEADER_AUTHORIZATION))
		return inval(info, "it brings its own authorization");
	return 0;
}

static int check_headers(const struct msp_message *m,
			 struct msp_error_info *info)
{
	unsigned int hosts = 0;
	size_t i;
	int rc;

	if (m->n_headers > MSP_MAX_HEADERS)
		return msp_fail(info, MSP_ERR_LIMIT,
				"request not sent: more than %d headers",
				MSP_MAX_HEADERS);
	for (i = 0; i < m->n_headers; i++) {
		rc = check_header(&m->headers[i], info);
		if (rc < 0)
			return rc;
		if (msp_http_named(&m->headers[i], "host"))
			hosts++;
	}
	return hosts == 1 ? 0 : inval(info, "it needs exactly one host");
}

static int check_body(const struct msp_message *m, uint64_t body_len,
		      const struct msp_signer *signer,
		      struct msp_error_info *info)
{
	bool complete = body_len == m->body_len ||
			(body_len == MSP_BODY_EMPTY && !m->body_len);

	if (m->body_len && !m->body)
		return inval(info, "its body is missing");
	if (complete)
		return 0;
	if (m->body_len)
		return inval(info, "a body in part");
	return signer ? inval(info, "signed before its body is there") : 0;
}

static int check_message(const struct msp_message *m, uint64_t body_len,
			 const struct msp_signer *signer,
			 struct msp_error_info *info)
{
	int rc;

	if (!m || !msp_opts_ok(m, m->size, sizeof(*m)) || !m->method ||
	    !m->target || (m->n_headers && !m->headers))
		return inval(info, "an argument is missing");
	if (!msp_ascii_token(m->method, m->method_len))
		return inval(info, "its method is no token");
	/* after CONNECT, bytes are no longer HTTP */
	if (text_is(m->method, m->method_len, "CONNECT"))
		return inval(info, "CONNECT is not for endpoints");
	if (!target_ok(m))
		return inval(info, "its target is not in origin form");
	rc = check_headers(m, info);
	if (rc < 0)
		return rc;
	return check_body(m, body_len, signer, info);
}

/* ---- header list ------------------------------------------------------- */

static void add_line(struct lines *l, const char *name, const char *value)
{
	struct msp_header *h = &l->header[l->n++];

	h->name = name;
	h->name_len = strlen(name);
	h->value = value;
	h->value_len = strlen(value);
}

static bool says_length(const struct msp_message *m, uint64_t body_len)
{
	return body_len > 0 || text_is(m->method, m->method_len, "POST") ||
	       text_is(m->method, m->method_len, "PUT") ||
	       text_is(m->method, m->method_len, "PATCH");
}

static int build_lines(struct lines *l, const struct msp_message *m,
		       uint64_t body_len, struct msp_error_info *info)
{
	bool framed = says_length(m, body_len);

	if (m->n_headers + framed > MSP_MAX_HEADERS)
		return msp_fail(info, MSP_ERR_LIMIT,
				"request not sent: more than %d headers",
				MSP_MAX_HEADERS);
	l->n = m->n_headers;
	if (l->n)
		memcpy(l->header, m->headers, l->n * sizeof(l->header[0]));
	if (!framed)
		return 0;
	if (body_len == MSP_BODY_CHUNKED) {
		add_line(l, "transfer-encoding", "chunked");
		return 0;
	}
	snprintf(l->length, sizeof(l->length), "%" PRIu64,
		 body_len == MSP_BODY_EMPTY ? 0 : body_len);
	add_line(l, "content-length", l->length);
	return 0;
}

/* What is signed is the list itself; the signature then ends it. */
static int sign_lines(struct lines *l, const struct msp_message *m,
		      struct msp_signer *signer, struct msp_error_info *info)
{
	struct msp_message signed_message = *m;
	int rc;

	signed_message.size = sizeof(signed_message);
	signed_message.headers = l->header;
	signed_message.n_headers = l->n;
	rc = msp_signer_sign(signer, l->authorization, sizeof(l->authorization),
			     &signed_message);
	if (rc < 0)
		return msp_fail(info, rc, "the request cannot be signed: %s",
				msp_error_text(rc));
	add_line(l, MSP_HEADER_AUTHORIZATION, l->authorization);
	return 0;
}

/* ---- bytes ------------------------------------------------------------- */

static bool add_size(size_t *sum, size_t n)
{
	if (n > MSP_CLIENT_REQUEST_MAX - *sum)
		return false;
	*sum += n;
	return true;
}

static bool measure(size_t *size, const struct lines *l,
		    const struct msp_message *m)
{
	size_t i;

	*size = sizeof("  HTTP/1.1\r\n\r\n") - 1;
	if (!add_size(size, m->method_len) || !add_size(size, m->target_len) ||
	    !add_size(size, m->body_len))
		return false;
	for (i = 0; i < l->n; i++) {
		if (!add_size(size, l->header[i].name_len) ||
		    !add_size(size, l->header[i].value_len) ||
		    !add_size(size, sizeof(": \r\n") - 1))
			return false;
	}
	return true;
}

static void put(struct msp_http_out *out, const void *data, size_t len)
{
	if (len)
		memcpy(out->data + out->end, data, len);
	out->end += len;
}

/* A name: check_header() has seen that it is a token. */
static void put_lower(struct msp_http_out *out, const char *text, size_t len)
{
	msp_wide_copy_token(out->data + out->end, text, len);
	out->end += len;
}

static void put_request(struct msp_http_out *out, const struct lines *l,
			const struct msp_message *m)
{
	size_t i;

	put(out, m->method, m->method_len);
	put(out, " ", 1);
	put(out, m->target, m->target_len);
	put(out, " HTTP/1.1\r\n", 11);
	for (i = 0; i < l->n; i++) {
		put_lower(out, l->header[i].name, l->header[i].name_len);
		put(out, ": ", 2);
		put(out, l->header[i].value, l->header[i].value_len);
		put(out, "\r\n", 2);
	}
	put(out, "\r\n", 2);
	put(out, m->body, m->body_len);
}

static int make_room(struct msp_http_out *out, size_t size,
		     struct msp_error_info *info)
{
	char *data = out->data;

	if (size < FIRST_SIZE)
		size = FIRST_SIZE;
	if (size > out->cap) {
		data = msp_mem_alloc(size);
		if (!data)
			return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
		msp_http_out_free(out);
		out->data = data;
		out->cap = size;
	}
	msp_mem_wipe(data, out->end);
	out->start = 0;
	out->end = 0;
	return 0;
}

int msp_http_write(struct msp_http_out *out, const struct msp_message *message,
		   uint64_t body_len, struct msp_signer *signer, size_t room,
		   struct msp_error_info *info)
{
	struct lines l;
	size_t size;
	int rc;

	rc = check_message(message, body_len, signer, info);
	if (rc < 0)
		return rc;
	rc = build_lines(&l, message, body_len, info);
	if (rc < 0)
		return rc;
	if (signer) {
		rc = sign_lines(&l, message, signer, info);
		if (rc < 0)
			return rc;
	}
	if (!measure(&size, &l, message))
		return msp_fail(info, MSP_ERR_LIMIT,
				"request not sent: larger than %d bytes",
				MSP_CLIENT_REQUEST_MAX);
	rc = make_room(out, size + room, info);
	if (rc < 0)
		return rc;
	put_request(out, &l, message);
	return 0;
}

void msp_http_out_free(struct msp_http_out *out)
{
	msp_mem_wipe(out->data, out->end);
	msp_mem_free(out->data);
	memset(out, 0, sizeof(*out));
}

void msp_http_out_rest(struct msp_http_out *out)
{
	if (out->cap > KEPT_SIZE) {
		msp_http_out_free(out);
		return;
	}
	msp_mem_wipe(out->data, out->end);
	out->start = 0;
	out->end = 0;
}

size_t msp_http_out_room(struct msp_http_out *out, bool chunked)
{
	size_t frame = chunked ? CHUNK_FRAME + sizeof(LAST_CHUNK) - 1 : 0;
	size_t n = out->end - out->start;

	if (out->start && out->cap - out->end < out->cap / 2) {
		memmove(out->data, out->data + out->start, n);
		/* only up to its end is it wiped when it is freed */
		msp_mem_wipe(out->data + n, out->start);
		out->start = 0;
		out->end = n;
	}
	n = out->cap - out->end;
	return n > frame ? n - frame : 0;
}

void msp_http_out_append(struct msp_http_out *out, const void *data, size_t len,
			 bool chunked)
{
	char size[CHUNK_FRAME];
	int n;

	if (len == 0)
		return; /* an empty chunk would end the body */
	if (chunked) {
		n = snprintf(size, sizeof(size), "%zx\r\n", len);
		put(out, size, (size_t)n);
	}
	put(out, data, len);
	if (chunked)
		put(out, "\r\n", 2);
}

void msp_http_out_last_chunk(struct msp_http_out *out)
{
	put(out, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
}
