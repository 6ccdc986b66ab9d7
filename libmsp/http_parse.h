/* SPDX-License-Identifier: MIT */
/*
 * http_parse.h - strict incremental parser of one HTTP/1.1 answer.
 *
 * Fed with whatever pieces the socket gave; the result does not depend on how
 * the bytes were cut. What two readers of HTTP could understand differently
 * is refused, because a connection that is out of step hands one caller's
 * answer to another.
 */
#ifndef MSP_HTTP_PARSE_H
#define MSP_HTTP_PARSE_H

#include <msp/client.h>

#include "libmsp/ascii.h"

/* Most 1xx answers skipped before the real one. */
#define MSP_HTTP_MAX_INTERIM 8
/* Most bytes of one chunk's extension, and of all trailers. */
#define MSP_HTTP_MAX_EXTENSION 1024
#define MSP_HTTP_MAX_TRAILERS  8192

enum msp_http_framing {
	MSP_HTTP_NO_BODY = 0,
	MSP_HTTP_BY_LENGTH,
	MSP_HTTP_BY_CHUNKS,
	MSP_HTTP_BY_CLOSE
};

struct msp_http {
	char *head;	      /* owned: the head as received, for headers[] */
	size_t head_len;      /* bytes */
	size_t head_cap;      /* bytes allocated */
	unsigned int crlf;    /* bytes of CR LF CR LF seen just now, 0-4 */
	unsigned int interim; /* 1xx answers skipped */
	bool to_head; /* the request was HEAD: no body whatever it says */
	bool http10;
	bool close; /* Connection: close */
	bool done;  /* head and body are complete */

	unsigned int status;
	const char *reason; /* into head, NUL-terminated */
	struct msp_header headers[MSP_MAX_HEADERS]; /* into head */
	size_t n_headers;

	enum msp_http_framing framing;
	uint64_t left;	     /* bytes of the body, or of this chunk, to come */
	unsigned int chunk;  /* enum chunk_state */
	unsigned int digits; /* of the chunk size */
	size_t skipped;	     /* bytes of this extension, or of all trailers */
};

/* Start anew for the answer to one request; a zeroed struct is fine. */
void msp_http_begin(struct msp_http *http, bool to_head);
void msp_http_free(struct msp_http *http);

/*
 * Take bytes of the head; *used says how many. Returns 0 when the head is
 * complete, MSP_ERR_AGAIN when more is needed, MSP_ERR_PROTOCOL,
 * MSP_ERR_LIMIT, MSP_ERR_NOMEM.
 */
int msp_http_head(struct msp_http *http, const char *data, size_t len,
		  size_t *used, struct msp_error_info *info);

/*
 * Take bytes of the body up to the end of one piece of content of at most max
 * bytes; *used counts framing and content. *piece points into data; with
 * *piece_len 0, the body is at its end (http->done) or more is needed.
 * Returns 0 or MSP_ERR_PROTOCOL.
 */
int msp_http_body(struct msp_http *http, const char *data, size_t len,
		  size_t max, size_t *used, const char **piece,
		  size_t *piece_len, struct msp_error_info *info);

/* How many of the next bytes are content and nothing else, 0 if unknown; and
 * that n of them were taken past msp_http_body(). */
uint64_t msp_http_content(const struct msp_http *http);
void msp_http_advance(struct msp_http *http, size_t n);

/* The other side closed: 0 if that ends the body, else MSP_ERR_CLOSED. */
int msp_http_eof(struct msp_http *http, struct msp_error_info *info);

/* May another answer follow on the same connection? */
bool msp_http_keeps(const struct msp_http *http);

/* visible characters, blanks, tabs and bytes from 0x80 */
bool msp_http_is_value(const char *text, size_t len);
/* is this header's name, ASCII case ignored, that one? */
static inline bool msp_http_named(const struct msp_header *header,
				  const char *name)
{
	return msp_ascii_equal(header->name, header->name_len, name,
			       strlen(name));
}

#endif
