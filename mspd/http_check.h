/* SPDX-License-Identifier: MIT */
/*
 * http_check.h - is a parsed head free of everything that another parser
 * could read differently?
 */
#ifndef MSPD_HTTP_CHECK_H
#define MSPD_HTTP_CHECK_H

#include <string.h>
#include <strings.h>

#include "mspd/server.h"

/*
 * Fills in length and http_1_0 of head and trims the header values; headers
 * is head->headers, writable. Returns 0, or the status to refuse with.
 *
 * Refused is what has two readings or none: names that are no tokens, control
 * bytes, anything but visible ASCII in the target, more or other framing than
 * one length or "chunked", not exactly one Host, or one that is no host, and
 * options of the connection that name a header which is not about it.
 */
unsigned int mspd_http_check(struct mspd_head *head, struct msp_header *headers,
			     const char *version);

/*
 * Is this all of the head that came? The texts are where the HTTP library
 * received them, values untrimmed; size is that of the head as received. It
 * reads lines in place and puts NUL for what ended them; then nothing is
 * between the pieces but one blank in the request line, a colon and blanks in
 * a header, and CR LF. This finds folded lines, whose text it puts elsewhere,
 * what follows a NUL, lines without a name, and lines ended by LF alone. It
 * cannot find what it puts NUL for as well, in the place of CR LF: NUL LF, and
 * at the end of the head also colon LF, or NUL, CR LF, LF; nor a line that
 * begins with NUL before the request, which is as good as empty there.
 */
bool mspd_http_is_whole(const struct mspd_head *head, const char *target,
			const char *version, size_t size);

/* Does the client wait for 100 before it sends the body? */
bool mspd_http_expects_continue(const struct mspd_head *head);

/* Does this header belong to the connection and not to the request? Neither
 * forwarded nor signed as received, in either direction. */
bool mspd_http_hop_by_hop(const struct msp_header *header);

/* Is this its name, in any letter case? Here, so that the length of a constant
 * is one: nearly always it tells. */
static inline bool mspd_http_is(const struct msp_header *header,
				const char *name)
{
	size_t len = strlen(name);

	return header->name_len == len &&
	       strncasecmp(header->name, name, len) == 0;
}

#endif
