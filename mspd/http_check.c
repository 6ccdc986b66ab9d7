/* SPDX-License-Identifier: MIT */
/*
 * In: a head as the HTTP library parsed it. Out: a verdict on its form. Must
 * never repair anything: what is doubtful is refused (spec 6.1, Appendix C).
 */
#include "mspd/http_check.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define BAD_REQUEST 400

/* Counts of the headers that decide about framing and routing. */
struct framing {
	unsigned int lengths;
	unsigned int codings;
	unsigned int hosts;
};

static bool is_tchar(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
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

bool mspd_http_is(const struct msp_header *header, const char *name)
{
	return strlen(name) == header->name_len &&
	       strncasecmp(header->name, name, header->name_len) == 0;
}

bool mspd_http_hop_by_hop(const struct msp_header *header)
{
	static const char *const names[] = {
		"connection",
		"keep-alive",
		"proxy-connection",
		"proxy-authenticate",
		"proxy-authorization",
		"te",
		"trailer",
		"transfer-encoding",
		"upgrade",
		"http2-settings",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mspd_http_is(header, names[i]))
			return true;
	return false;
}

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
	if (mspd_http_is(h, "host"))
		f->hosts++;
	return true;
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
	return 0;
}
