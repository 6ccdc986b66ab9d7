/* SPDX-License-Identifier: MIT */
/*
 * In: a head as the HTTP library parsed it. Out: a verdict on its form. Must
 * never repair anything: what is doubtful is refused (spec 6.1, Appendix C).
 */
#include "mspd/http_check.h"

#include <stddef.h>

#define BAD_REQUEST 400

/* Counts of the headers that decide about framing and routing. */
struct framing {
	unsigned int lengths;
	unsigned int codings;
	unsigned int hosts;
};

/* RFC 9110 5.6.2: visible, and none of the delimiters. */
static bool is_tchar(unsigned char c)
{
	switch (c) {
	case '"':
	case '(':
	case ')':
	case ',':
	case '/':
	case ':':
	case ';':
	case '<':
	case '=':
	case '>':
	case '?':
	case '@':
	case '[':
	case '\\':
	case ']':
	case '{':
	case '}':
		return false;
	default:
		return c > 0x20 && c < 0x7f;
	}
}

static bool is_token(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!is_tchar((unsigned char)text[i]))
			return false;
	return len > 0;
}

/* Visible characters, blank, tab, and bytes from 0x80: no control bytes. */
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

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(struct msp_header *h)
{
	while (h->value_len && is_blank(h->value[0])) {
		h->value++;
		h->value_len--;
	}
	while (h->value_len && is_blank(h->value[h->value_len - 1]))
		h->value_len--;
}

static bool named(const struct msp_header *h, const char *name, size_t len)
{
	return h->name_len == len && strncasecmp(h->name, name, len) == 0;
}

bool mspd_http_hop_by_hop(const struct msp_header *header)
{
	return mspd_http_is(header, "connection") ||
	       mspd_http_is(header, "keep-alive") ||
	       mspd_http_is(header, "proxy-connection") ||
	       mspd_http_is(header, "proxy-authenticate") ||
	       mspd_http_is(header, "proxy-authorization") ||
	       mspd_http_is(header, "te") || mspd_http_is(header, "trailer") ||
	       mspd_http_is(header, "transfer-encoding") ||
	       mspd_http_is(header, "upgrade") ||
	       mspd_http_is(header, "http2-settings");
}

/* ---- options of the connection ----------------------------------------- */

/* Those of the agent are in each request that is forwarded. */
static bool is_agents(const char *name, size_t len)
{
	static const char prefix[] = "x-ms-azure-host-";

	return len >= sizeof(prefix) - 1 &&
	       strncasecmp(name, prefix, sizeof(prefix) - 1) == 0;
}

/* Would a header be dropped that the host is to see? */
static bool drops_header(const struct mspd_head *head, const char *option,
			 size_t len)
{
	size_t i;

	for (i = 0; i < head->n_headers; i++)
		if (named(&head->headers[i], option, len) &&
		    !mspd_http_hop_by_hop(&head->headers[i]))
			return true;
	return is_agents(option, len);
}

/* The next of a list that is separated by commas; false: there is none. */
static bool next_option(const char **at, const char *end,
			struct msp_header *out)
{
	const char *comma;

	if (*at >= end)
		return false;
	comma = memchr(*at, ',', (size_t)(end - *at));
	out->value = *at;
	out->value_len = (size_t)((comma ? comma : end) - *at);
	trim(out);
	*at = comma ? comma + 1 : end;
	return true;
}

/* A client that has a header dropped on the way can take away what the host
 * tells a forwarded request by: X-Forwarded-For against requests that were
 * forged. All headers are trimmed. */
static bool check_options(const struct mspd_head *head)
{
	struct msp_header option;
	const char *at, *end;
	size_t i;

	for (i = 0; i < head->n_headers; i++) {
		if (!mspd_http_is(&head->headers[i], "connection"))
			continue;
		at = head->headers[i].value;
		end = at + head->headers[i].value_len;
		while (next_option(&at, end, &option))
			if (drops_header(head, option.value, option.value_len))
				return false;
	}
	return true;
}

/* ---- framing and routing ----------------------------------------------- */

/* Digits only, no sign, no list, no overflow, not our word for "unknown". */
static bool parse_length(const struct msp_header *h, uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < h->value_len; i++) {
		unsigned int digit = (unsigned int)(h->value[i] - '0');

		if (digit > 9 || n > (UINT64_MAX - 1 - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return h->value_len > 0;
}

/* Blanks, control and 8-bit bytes never; and the characters the reference
 * agent refuses (Appendix C2), for clients must not depend on either. */
static bool is_target(const char *target, size_t len)
{
	bool query = false;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)target[i];

		if (c <= 0x20 || c >= 0x7f || c == '<' || c == '>')
			return false;
		if (c == '?')
			query = true;
		if (c == (query ? '"' : '`'))
			return false;
	}
	return len > 0;
}

static bool is_host_char(unsigned char c)
{
	switch (c) {
	case '"':
	case '#':
	case ',':
	case '/':
	case '<':
	case '>':
	case '?':
	case '@':
	case '\\':
	case '^':
	case '`':
	case '{':
	case '|':
	case '}':
		return false;
	default:
		return c > 0x20 && c < 0x7f;
	}
}

/* A name or an address, perhaps with a port (RFC 9110 7.2), or nothing: no
 * blanks, no list, no user, no path. */
static bool is_host(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!is_host_char((unsigned char)text[i]))
			return false;
	return true;
}

static bool check_framing_header(struct mspd_head *head, struct framing *f,
				 const struct msp_header *h)
{
	if (mspd_http_is(h, "content-length")) {
		f->lengths++;
		return parse_length(h, &head->length);
	}
	if (mspd_http_is(h, "transfer-encoding")) {
		f->codings++;
		head->length = MSPD_LENGTH_UNKNOWN;
		return h->value_len == 7 &&
		       strncasecmp(h->value, "chunked", 7) == 0;
	}
	if (!mspd_http_is(h, "host"))
		return true;
	f->hosts++;
	return is_host(h->value, h->value_len);
}

static bool check_version(struct mspd_head *head, const char *version)
{
	head->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
	return head->http_1_0 || strcmp(version, "HTTP/1.1") == 0;
}

unsigned int mspd_http_check(struct mspd_head *head, struct msp_header *headers,
			     const char *version)
{
	struct framing f = { 0, 0, 0 };
	size_t i;

	head->length = 0;
	if (!check_version(head, version) ||
	    !is_token(head->method, strlen(head->method)) ||
	    !is_target(head->target, head->target_len))
		return BAD_REQUEST;
	for (i = 0; i < head->n_headers; i++) {
		trim(&headers[i]);
		if (!is_token(headers[i].name, headers[i].name_len) ||
		    !is_value(headers[i].value, headers[i].value_len) ||
		    !check_framing_header(head, &f, &headers[i]))
			return BAD_REQUEST;
	}
	if (f.lengths + f.codings > 1 || f.hosts > 1)
		return BAD_REQUEST;
	if (head->http_1_0 ? f.codings > 0 : f.hosts == 0)
		return BAD_REQUEST;
	return check_options(head) ? 0 : BAD_REQUEST;
}

bool mspd_http_is_whole(const struct mspd_head *head, const char *target,
			const char *version, size_t size)
{
	const char *at = head->method + strlen(head->method) + 1;
	size_t i;

	if (target != at)
		return false;
	at += head->target_len + 1;
	if (version != at)
		return false;
	at += strlen(version) + 2;
	for (i = 0; i < head->n_headers; i++) {
		const struct msp_header *h = &head->headers[i];

		if (h->name != at)
			return false;
		at += h->name_len + 1;
		while (at < h->value && is_blank(*at))
			at++;
		if (h->value != at)
			return false;
		at += h->value_len + 2;
	}
	/* a line without a name leaves its text */
	return (size_t)(at + 2 - head->method) == size &&
	       memcmp(at - 2, "\0\0\0", 4) == 0;
}

bool mspd_http_expects_continue(const struct mspd_head *head)
{
	size_t i;

	for (i = 0; i < head->n_headers; i++) {
		const struct msp_header *h = &head->headers[i];

		if (mspd_http_is(h, "expect") && h->value_len == 12 &&
		    strncasecmp(h->value, "100-continue", 12) == 0)
			return true;
	}
	return false;
}
