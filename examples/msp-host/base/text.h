/* SPDX-License-Identifier: MIT */
/*
 * text.h - growing byte buffers and the few text forms the host speaks:
 * JSON strings, base64, hex, query parameters, HTTP dates.
 */
#ifndef HOST_TEXT_H
#define HOST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for "Wed, 23 Apr 2025 12:00:00 GMT" and for "2025-04-23T..." */
#define TEXT_DATE_SIZE 32

/**
 * struct buf - bytes under construction
 * @data:   owned; NULL while empty
 * @len:    bytes used
 * @room:   bytes allocated
 * @failed: an addition did not fit in memory; it and all later ones are lost
 *
 * Zeroed memory is an empty buffer. The builder checks @failed once, at the
 * end. Growing wipes the old bytes, because some buffers hold a key.
 */
struct buf {
	char *data;
	size_t len;
	size_t room;
	bool failed;
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_text(struct buf *b, const char *text);
void buf_format(struct buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* a JSON string with its quotes; bytes >= 0x80 go out as \u00XX */
void buf_json(struct buf *b, const char *text, size_t len);
/* the same for text that is known to be UTF-8 */
void buf_json_utf8(struct buf *b, const char *text);
void buf_base64(struct buf *b, const void *data, size_t len);
/* base64url without padding (RFC 7515 section 2) */
void buf_base64url(struct buf *b, const void *data, size_t len);
/* whole file; false and errno on error, EFBIG if over limit */
bool buf_read_file(struct buf *b, const char *path, size_t limit);
/* the same of a regular file only: a pipe would be waited for */
bool buf_read_regular(struct buf *b, const char *path, size_t limit);
/* wipe, free and make empty */
void buf_clear(struct buf *b);

/* out gets 2 * len digits and a NUL */
void text_hex(char *out, const void *data, size_t len, bool upper);
bool text_equal(const char *a, size_t len, const char *b);
/* letter case ignored, ASCII only */
bool text_equal_nocase(const char *a, size_t len, const char *b);
/* decimal digits only, no sign, no overflow */
bool text_uint(const char *text, size_t len, uint64_t *out);

/* First parameter of that name, percent-decoded and NUL-terminated; false if
 * there is none or memory is short. Names: any letter case. */
bool text_query(const char *query, const char *name, struct buf *out);

/* Percent-decoded, a '+' as a blank, and NUL-terminated. */
void text_decode(struct buf *out, const char *text, size_t len);

/* RFC 1123 form, e.g. "Wed, 23 Apr 2025 12:00:00 GMT" */
void text_http_date(char *out, size_t size, int64_t seconds);
/* the same form and nothing else */
bool text_parse_http_date(const char *text, size_t len, int64_t *out);

#endif
