/* SPDX-License-Identifier: MIT */
/*
 * In: bytes of an answer, cut anywhere. Out: status, headers, framing and the
 * content of the body. Must never accept what can be read in two ways, never
 * hold more than one head, and never look past the bytes it was given.
 */
#include "libmsp/http_parse.h"

#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"

#define HEAD_FIRST_SIZE 1024

static const char version[] = "HTTP/1.";

enum chunk_state {
	CHUNK_SIZE = 0,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START,
	TRAILER_LINE,
	TRAILER_LF,
	TRAILER_END_LF
};

static int bad(struct msp_error_info *info, const char *what)
{
	return msp_fail(info, MSP_ERR_PROTOCOL, "the host's answer has %s",
			what);
}

/* ---- characters (RFC 9110 5.5) ----------------------------------------- */

bool msp_http_is_value(const char *text, size_t len)
{
	return msp_ascii_value(text, len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- head -------------------------------------------------------------- */

static void next_head(struct msp_http *http)
{
	http->head_len = 0;
	http->crlf = 0;
	http->http10 = false;
	http->close = false;
	http->done = false;
	http->status = 0;
	http->reason = "";
	http->n_headers = 0;
	http->framing = MSP_HTTP_NO_BODY;
	http->left = 0;
	http->chunk = CHUNK_SIZE;
	http->digits = 0;
	http->skipped = 0;
}

void msp_http_begin(struct msp_http *http, bool to_head)
{
	next_head(http);
	http->interim = 0;
	http->to_head = to_head;
}

/* All of it: a head that came before may have been longer. */
static void drop_head(struct msp_http *http)
{
	msp_mem_wipe(http->head, http->head_cap);
	msp_mem_free(http->head);
	http->head = NULL;
	http->head_cap = 0;
}

void msp_http_free(struct msp_http *http)
{
	drop_head(http);
	next_head(http);
}

/* Not realloc(): that leaves an unwiped copy behind. */
MSP_MEM_NO_TRACE static int grow_head(struct msp_http *http,
				      struct msp_error_info *info)
{
	size_t cap = http->head_cap ? http->head_cap * 2 : HEAD_FIRST_SIZE;
	char *head;

	if (http->head_len >= MSP_CLIENT_HEAD_MAX)
		return msp_fail(info, MSP_ERR_LIMIT,
				"the head of the host's answer is larger than "
				"%d bytes",
				MSP_CLIENT_HEAD_MAX);
	if (cap > MSP_CLIENT_HEAD_MAX)
		cap = MSP_CLIENT_HEAD_MAX;
	head = msp_mem_alloc(cap);
	if (!head)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	if (http->head_len)
		memcpy(head, http->head, http->head_len);
	drop_head(http);
	http->head = head;
	http->head_cap = cap;
	return 0;
}

/* CR and LF only as a pair: other readers end lines at one of them. */
static int head_byte(struct msp_http *http, char c, struct msp_error_info *info)
{
	bool after_cr = http->crlf == 1 || http->crlf == 3;

	if (http->head_len < sizeof(version) - 1 &&
	    c != version[http->head_len])
		return bad(info, "no HTTP/1 status line");
	if (after_cr != (c == '\n'))
		return bad(info, after_cr ? "a carriage return alone"
					  : "a line feed alone");
	if (c == '\r' || c == '\n')
		http->crlf++;
	else
		http->crlf = 0;
	return 0;
}

/* "HTTP/1.1 200 OK"; a missing reason may take its blank along. */
static int parse_status_line(struct msp_http *http, char *line, size_t len,
			     struct msp_error_info *info)
{
	size_t i;

	if (len < 12 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
		return bad(info, "a malformed status line");
	http->http10 = line[7] == '0';
	http->status = 0;
	for (i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return bad(info, "a status code that is no number");
		http->status =
			http->status * 10 + (unsigned int)(line[i] - '0');
	}
	if (http->status < 100)
		return bad(info, "a status code below 100");
	if (len > 12 && line[12] != ' ')
		return bad(info, "a malformed status line");
	if (!msp_http_is_value(line + 12, len - 12))
		return bad(info, "a control character in its reason phrase");
	line[len] = '\0'; /* was CR */
	http->reason = len > 12 ? line + 13 : line + len;
	return 0;
}

static int parse_header(struct msp_http *http, const char *line, size_t len,
			struct msp_error_info *info)
{
	const char *colon = memchr(line, ':', len);
	const char *end = line + len;
	struct msp_header *h;

	if (http->n_headers == MSP_MAX_HEADERS)
		return msp_fail(info, MSP_ERR_LIMIT,
				"the host's answer has more than %d headers",
				MSP_MAX_HEADERS);
	/* a folded line starts with a blank, which is no token either */
	if (!colon || !msp_ascii_token(line, (size_t)(colon - line)))
		return bad(info, "a malformed header name");
	if (!msp_http_is_value(colon + 1, (size_t)(end - colon - 1)))
		return bad(info, "a control character in a header value");

	h = &http->headers[http->n_headers++];
	h->name = line;
	h->name_len = (size_t)(colon - line);
	h->value = colon + 1;
	while (h->value < end && is_blank(*h->value))
		h->value++;
	while (end > h->value && is_blank(end[-1]))
		end--;
	h->value_len = (size_t)(end - h->value);
	return 0;
}

/* Lines end in CR LF and the last is empty: head_byte() saw to that. */
static int parse_lines(struct msp_http *http, struct msp_error_info *info)
{
	char *line = http->head;
	char *cr = memchr(line, '\r', http->head_len);
	int rc;

	rc = parse_status_line(http, line, (size_t)(cr - line), info);
	if (rc < 0)
		return rc;
	for (;;) {
		line = cr + 2;
		cr = memchr(line, '\r',
			    http->head_len - (size_t)(line - http->head));
		if (cr == line)
			return 0;
		rc = parse_header(http, line, (size_t)(cr - line), info);
		if (rc < 0)
			return rc;
	}
}

/* ---- framing (RFC 9112 6.3) -------------------------------------------- */

static int parse_length(struct msp_http *http, const struct msp_header *h,
			struct msp_error_info *info)
{
	uint64_t n = 0;
	size_t i;

	if (h->value_len == 0)
		return bad(info, "an empty Content-Length");
	for (i = 0; i < h->value_len; i++) {
		unsigned int digit = (unsigned char)h->value[i] - (unsigned)'0';

		if (digit > 9)
			return bad(info, "a Content-Length that is no number");
		if (n > ((uint64_t)INT64_MAX - digit) / 10)
			return bad(info, "a Content-Length that is too large");
		n = n * 10 + digit;
	}
	http->left = n;
	return 0;
}

static bool lists_close(const struct msp_header *h)
{
	const char *p = h->value;
	const char *end = h->value + h->value_len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;
		const char *last = stop;

		while (p < last && is_blank(*p))
			p++;
		while (last > p && is_blank(last[-1]))
			last--;
		if (msp_ascii_equal(p, (size_t)(last - p), "close", 5))
			return true;
		p = stop + 1;
	}
	return false;
}

static int parse_framing(struct msp_http *http, struct msp_error_info *info)
{
	unsigned int lengths = 0, codings = 0;
	size_t i;
	int rc;

	for (i = 0; i < http->n_headers; i++) {
		const struct msp_header *h = &http->headers[i];

		if (h->name_len < sizeof("connection") - 1)
			continue; /* the shortest of them */
		if (msp_http_named(h, "connection")) {
			http->close |= lists_close(h);
		} else if (msp_http_named(h, "content-length")) {
			lengths++;
			rc = parse_length(http, h, info);
			if (rc < 0)
				return rc;
		} else if (msp_http_named(h, "transfer-encoding")) {
			codings++;
			if (!msp_ascii_equal(h->value, h->value_len, "chunked",
					     7))
				return bad(info, "a Transfer-Encoding other "
						 "than chunked");
		}
	}
	/* the classic way to get two readers out of step */
	if (lengths + codings > 1)
		return bad(info, "more than one Content-Length or "
				 "Transfer-Encoding");
	if (codings && http->http10)
		return bad(info, "a Transfer-Encoding in HTTP/1.0");
	http->framing = codings	  ? MSP_HTTP_BY_CHUNKS
			: lengths ? MSP_HTTP_BY_LENGTH
				  : MSP_HTTP_BY_CLOSE;
	return 0;
}

static void start_body(struct msp_http *http)
{
	if (http->to_head || http->status == 204 || http->status == 304)
		http->framing = MSP_HTTP_NO_BODY;
	if (http->framing != MSP_HTTP_BY_LENGTH)
		http->left = 0;
	http->done = http->framing == MSP_HTTP_NO_BODY ||
		     (http->framing == MSP_HTTP_BY_LENGTH && !http->left);
}

/* 0, or MSP_ERR_AGAIN after an interim answer, which has no body whatever
 * its headers say (RFC 9112 6.3 item 1). */
static int finish_head(struct msp_http *http, struct msp_error_info *info)
{
	int rc = parse_lines(http, info);

	if (rc < 0)
		return rc;
	if (http->status == 101)
		return bad(info, "switched protocols, which nobody asked for");
	if (http->status >= 200) {
		rc = parse_framing(http, info);
		if (rc < 0)
			return rc;
		start_body(http);
		return 0;
	}
	if (++http->interim > MSP_HTTP_MAX_INTERIM)
		return msp_fail(info, MSP_ERR_LIMIT,
				"the host sent more than %d interim answers",
				MSP_HTTP_MAX_INTERIM);
	next_head(http);
	return MSP_ERR_AGAIN;
}

/* How many bytes from here are neither CR nor LF; 0 where the version or the
 * second half of a line's end is due, which is looked at byte by byte. */
static size_t plain_bytes(const struct msp_http *http, const char *data,
			  size_t len)
{
	const char *cr, *lf;

	if (http->head_len < sizeof(version) - 1 || http->crlf == 1 ||
	    http->crlf == 3)
		return 0;
	cr = memchr(data, '\r', len);
	if (cr)
		len = (size_t)(cr - data);
	lf = memchr(data, '\n', len);
	return lf ? (size_t)(lf - data) : len;
}

/* Of one line, or one byte; *n says how many. */
static int head_bytes(struct msp_http *http, const char *data, size_t len,
		      size_t *n, struct msp_error_info *info)
{
	int rc = 0;

	*n = plain_bytes(http, data, len);
	if (*n)
		http->crlf = 0;
	else
		rc = head_byte(http, *data, info);
	if (rc == 0 && http->head_len == http->head_cap)
		rc = grow_head(http, info);
	if (rc < 0)
		return rc;
	if (!*n)
		*n = 1;
	if (*n > http->head_cap - http->head_len)
		*n = http->head_cap - http->head_len;
	memcpy(http->head + http->head_len, data, *n);
	http->head_len += *n;
	return 0;
}

MSP_MEM_NO_TRACE int msp_http_head(struct msp_http *http, const char *data,
				   size_t len, size_t *used,
				   struct msp_error_info *info)
{
	size_t n;
	int rc;

	for (*used = 0; *used < len;) {
		rc = head_bytes(http, data + *used, len - *used, &n, info);
		if (rc < 0)
			return rc;
		*used += n;
		if (http->crlf < 4)
			continue;
		rc = finish_head(http, info);
		if (rc != MSP_ERR_AGAIN)
			return rc;
	}
	return MSP_ERR_AGAIN;
}

/* ---- body -------------------------------------------------------------- */

uint64_t msp_http_content(const struct msp_http *http)
{
	if (http->done)
		return 0;
	switch (http->framing) {
	case MSP_HTTP_BY_LENGTH:
		return http->left;
	case MSP_HTTP_BY_CHUNKS:
		return http->chunk == CHUNK_DATA ? http->left : 0;
	case MSP_HTTP_BY_CLOSE:
		return UINT64_MAX;
	case MSP_HTTP_NO_BODY:
		break;
	}
	return 0;
}

void msp_http_advance(struct msp_http *http, size_t n)
{
	if (http->framing == MSP_HTTP_BY_CLOSE)
		return;
	http->left -= n;
	if (http->left)
		return;
	if (http->framing == MSP_HTTP_BY_CHUNKS)
		http->chunk = CHUNK_DATA_CR;
	else
		http->done = true;
}

static int size_byte(struct msp_http *http, unsigned char c,
		     struct msp_error_info *info)
{
	int digit = msp_ascii_hex(c);

	if (digit >= 0) {
		if (++http->digits > 16)
			return bad(info, "a chunk size that is too large");
		http->left = http->left << 4 | (unsigned int)digit;
		return 0;
	}
	if (!http->digits)
		return bad(info, "a chunk without a size");
	if (c == '\r')
		http->chunk = CHUNK_SIZE_LF;
	else if (c == ';' || is_blank((char)c))
		http->chunk = CHUNK_EXTENSION;
	else
		return bad(info, "a malformed chunk size");
	http->skipped = 0;
	return 0;
}

/* One byte of an extension or a trailer, which nobody reads: bounded all the
 * same, so that a host cannot keep us busy for ever with neither data nor
 * end. */
static int skip_byte(struct msp_http *http, unsigned char c, size_t limit,
		     struct msp_error_info *info)
{
	if (!msp_ascii_value_char(c))
		return bad(info, "a control character between its chunks");
	if (++http->skipped > limit)
		return bad(info, "too much text between its chunks");
	return 0;
}

static int need_lf(struct msp_http *http, unsigned char c,
		   enum chunk_state next, struct msp_error_info *info)
{
	if (c != '\n')
		return bad(info, "a carriage return alone");
	http->chunk = next;
	return 0;
}

static int trailer_byte(struct msp_http *http, unsigned char c,
			struct msp_error_info *info)
{
	if (c == '\r') {
		http->chunk = http->chunk == TRAILER_START ? TRAILER_END_LF
							   : TRAILER_LF;
		return 0;
	}
	http->chunk = TRAILER_LINE;
	return skip_byte(http, c, MSP_HTTP_MAX_TRAILERS, info);
}

static int chunk_byte(struct msp_http *http, unsigned char c,
		      struct msp_error_info *info)
{
	switch ((enum chunk_state)http->chunk) {
	case CHUNK_SIZE:
		return size_byte(http, c, info);
	case CHUNK_EXTENSION:
		if (c != '\r')
			return skip_byte(http, c, MSP_HTTP_MAX_EXTENSION, info);
		http->chunk = CHUNK_SIZE_LF;
		return 0;
	case CHUNK_SIZE_LF:
		http->digits = 0;
		http->skipped = 0;
		return need_lf(http, c, http->left ? CHUNK_DATA : TRAILER_START,
			       info);
	case CHUNK_DATA_CR:
		if (c != '\r')
			return bad(info, "a chunk longer than its size");
		http->chunk = CHUNK_DATA_LF;
		return 0;
	case CHUNK_DATA_LF:
		return need_lf(http, c, CHUNK_SIZE, info);
	case TRAILER_START:
	case TRAILER_LINE:
		return trailer_byte(http, c, info);
	case TRAILER_LF:
		return need_lf(http, c, TRAILER_START, info);
	case TRAILER_END_LF:
		http->done = c == '\n';
		return need_lf(http, c, TRAILER_END_LF, info);
	case CHUNK_DATA:
		break;
	}
	return bad(info, "a chunk out of place");
}

int msp_http_body(struct msp_http *http, const char *data, size_t len,
		  size_t max, size_t *used, const char **piece,
		  size_t *piece_len, struct msp_error_info *info)
{
	*piece = NULL;
	*piece_len = 0;
	for (*used = 0; *used < len && !http->done; (*used)++) {
		uint64_t content = msp_http_content(http);
		size_t n = len - *used < max ? len - *used : max;
		int rc;

		if (content) {
			if (content < n)
				n = (size_t)content;
			*piece = data + *used;
			*piece_len = n;
			*used += n;
			msp_http_advance(http, n);
			return 0;
		}
		rc = chunk_byte(http, (unsigned char)data[*used], info);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int msp_http_eof(struct msp_http *http, struct msp_error_info *info)
{
	if (http->done)
		return 0;
	if (http->framing != MSP_HTTP_BY_CLOSE)
		return msp_fail(info, MSP_ERR_CLOSED,
				"the host closed the connection before the "
				"end of its answer");
	http->done = true;
	return 0;
}

bool msp_http_keeps(const struct msp_http *http)
{
	return http->done && !http->http10 && !http->close &&
	       http->framing != MSP_HTTP_BY_CLOSE;
}
