/* SPDX-License-Identifier: MIT */
/*
 * In:  the head of a request as libmicrohttpd understood it.
 * Out: leave to go on, or a 4xx answer.
 * Never: lets a request through whose framing or names have two readings;
 *        the library accepts many of them.
 */
#include "net/http.h"

#include <ctype.h>
#include <string.h>

static bool is_token(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isalnum(c) && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return len;
}

static bool is_value(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_target(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p; p++) {
		if (*p <= 0x20 || *p >= 0x7f || *p == '#')
			return false;
	}
	return true;
}

static const char *fault_in_headers(const struct call *call)
{
	size_t i;

	for (i = 0; i < call->n_headers; i++) {
		const struct msp_header *h = &call->headers[i];

		if (!is_token(h->name, h->name_len))
			return "header name";
		if (!is_value(h->value, h->value_len))
			return "header value";
	}
	if (call_header(call, "host", NULL) > 1)
		return "more than one Host";
	return NULL;
}

/* Two lengths, or a length and chunks, are two requests to two readers. */
static const char *fault_in_framing(const struct call *call)
{
	const struct msp_header *h;
	size_t coding = call_header(call, "transfer-encoding", &h);

	if (coding > 1 ||
	    (coding && !text_equal_nocase(h->value, h->value_len, "chunked")))
		return "Transfer-Encoding";
	if (call_header(call, "content-length", NULL) + coding > 1)
		return "more than one length";
	return NULL;
}

/* Content-Length within what this request may bring? */
static bool length_fits(const struct call *call)
{
	const struct msp_header *h;
	size_t len;
	uint64_t n;

	if (!call_header(call, "content-length", &h))
		return true;
	len = h->value_len;
	while (len && (h->value[len - 1] == ' ' || h->value[len - 1] == '\t'))
		len--;
	return text_uint(h->value, len, &n) && n <= call->body_max;
}

static uint64_t body_max(const struct call *call)
{
	if (call->peer->port == PORT_CONTROL)
		return BODY_CONTROL_MAX;
	return call->exempt ? BODY_EXEMPT_MAX : BODY_SIGNED_MAX;
}

bool admit_head(struct call *call, const char *version)
{
	const char *fault = NULL;

	call->reply.close = true;
	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0")) {
		call_error(call, 505, "version", "HTTP version");
		return false;
	}
	if (!is_token(call->method, strlen(call->method)))
		fault = "method";
	else if (!is_target(call->target))
		fault = "request target";
	if (!fault)
		fault = fault_in_headers(call);
	if (!fault)
		fault = fault_in_framing(call);
	if (!fault && !strcmp(version, "HTTP/1.1") &&
	    !call_header(call, "host", NULL))
		fault = "no Host";
	if (!fault && strlen(call->target) > MSP_TARGET_MAX) {
		call_error(call, 414, "target", "request target too long");
		return false;
	}
	if (!fault && !call_split(call))
		fault = "request target";
	if (fault) {
		call_error(call, 400, "malformed", fault);
		return false;
	}
	call->body_max = body_max(call);
	if (!length_fits(call)) {
		call_error(call, 413, "length", "length limit exceeded");
		return false;
	}
	call->reply.close = false;
	return true;
}
