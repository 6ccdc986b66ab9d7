/* SPDX-License-Identifier: MIT */
/*
 * In: one byte of options, then an answer as a host might send it. Out:
 * nothing; aborts when the result depends on how the bytes were cut, or when
 * a pointer leaves the bytes it belongs to.
 */
#include <stdlib.h>
#include <string.h>

#include "libmsp/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TO_HEAD	    1 /* option: the request was HEAD */
#define STREAM_ENDS 2 /* option: the host closes after the last byte */

/* All that must be the same for each way to cut the bytes. */
struct outcome {
	int rc;
	size_t used; /* bytes up to the end of the answer or the fault */
	unsigned int status;
	size_t n_headers;
	bool done;
	bool keeps;
	size_t content;
	uint32_t sum; /* of the content */
};

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_head(const struct msp_http *http)
{
	const char *end = http->head + http->head_len;
	size_t i;

	must(http->status >= 200 && http->status <= 999);
	must(http->head_len <= MSP_CLIENT_HEAD_MAX);
	must(http->reason + strlen(http->reason) < end);
	must(http->n_headers <= MSP_MAX_HEADERS);
	for (i = 0; i < http->n_headers; i++) {
		const struct msp_header *h = &http->headers[i];

		must(h->name > http->head && h->name_len > 0);
		must(h->value > h->name + h->name_len);
		must(h->value + h->value_len <= end - 4);
		must(msp_http_is_value(h->value, h->value_len));
	}
}

/* Feed from *at on, in pieces of at most cut bytes; the head first. */
static int feed_head(struct msp_http *http, const char *data, size_t size,
		     size_t cut, size_t *at)
{
	int rc = MSP_ERR_AGAIN;

	while (rc == MSP_ERR_AGAIN && *at < size) {
		size_t n = size - *at < cut ? size - *at : cut;
		size_t used;

		rc = msp_http_head(http, data + *at, n, &used, NULL);
		must(used <= n && (used == n || rc != MSP_ERR_AGAIN));
		*at += used;
	}
	return rc;
}

static int feed_body(struct msp_http *http, const char *data, size_t size,
		     size_t cut, size_t *at, struct outcome *o)
{
	while (!http->done && *at < size) {
		size_t n = size - *at < cut ? size - *at : cut;
		const char *piece;
		size_t used, len, i;
		int rc;

		rc = msp_http_body(http, data + *at, n, cut, &used, &piece,
				   &len, NULL);
		must(used <= n && len <= used);
		must(!len || piece + len == data + *at + used);
		for (i = 0; i < len; i++)
			o->sum = o->sum * 31 + (unsigned char)piece[i];
		o->content += len;
		*at += used;
		if (rc < 0)
			return rc;
		must(used > 0 || http->done);
	}
	return http->done ? 0 : MSP_ERR_AGAIN;
}

static void parse(struct outcome *o, const char *data, size_t size, size_t cut,
		  unsigned int options)
{
	struct msp_http http;

	memset(o, 0, sizeof(*o));
	memset(&http, 0, sizeof(http));
	msp_http_begin(&http, options & TO_HEAD);
	o->rc = feed_head(&http, data, size, cut, &o->used);
	if (o->rc == 0) {
		check_head(&http);
		o->status = http.status;
		o->n_headers = http.n_headers;
		o->rc = feed_body(&http, data, size, cut, &o->used, o);
	}
	if (o->rc == MSP_ERR_AGAIN && o->status && (options & STREAM_ENDS))
		o->rc = msp_http_eof(&http, NULL);
	must((o->rc == 0) == http.done || o->rc == MSP_ERR_PROTOCOL);
	o->done = http.done;
	o->keeps = msp_http_keeps(&http);
	must(!o->keeps || o->done);
	msp_http_free(&http);
}

static void compare(const struct outcome *a, const struct outcome *b)
{
	must(a->rc == b->rc && a->used == b->used);
	must(a->status == b->status && a->n_headers == b->n_headers);
	must(a->done == b->done && a->keeps == b->keeps);
	must(a->content == b->content && a->sum == b->sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;
	const char *text;
	unsigned int options;

	if (size == 0)
		return 0;
	options = data[0];
	text = (const char *)data + 1;
	size--;
	parse(&whole, text, size, size ? size : 1, options);
	parse(&cut, text, size, 1, options);
	compare(&whole, &cut);
	parse(&cut, text, size, 2 + (options >> 4), options);
	compare(&whole, &cut);
	return 0;
}
