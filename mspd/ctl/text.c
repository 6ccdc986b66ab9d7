/* SPDX-License-Identifier: MIT */
/*
 * In: texts of files and of the command line. Out: what a terminal or a JSON
 * parser can be given. Must never pass a control character on.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/ctl.h"

/* ---- memory ------------------------------------------------------------ */

void *ctl_alloc(size_t count, size_t size)
{
	void *at = calloc(count ? count : 1, size);

	if (!at)
		ctl_no_memory();
	return at;
}

void *ctl_grow(void *at, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room : 16;

	if (need <= *room)
		return at;
	while (more < need) {
		if (more > SIZE_MAX / 2 / size)
			ctl_no_memory();
		more *= 2;
	}
	at = realloc(at, more * size);
	if (!at)
		ctl_no_memory();
	*room = more;
	return at;
}

char *ctl_copy(const char *text, size_t len)
{
	char *copy = ctl_alloc(len + 1, 1);

	memcpy(copy, text, len);
	return copy;
}

/* ---- plain ------------------------------------------------------------- */

void ctl_put_bytes(struct ctl_text *text, const char *at, size_t len)
{
	text->at = ctl_grow(text->at, &text->room, text->len + len + 1, 1);
	memcpy(text->at + text->len, at, len);
	text->len += len;
	text->at[text->len] = '\0';
}

void ctl_put(struct ctl_text *text, const char *words)
{
	ctl_put_bytes(text, words, strlen(words));
}

void ctl_put_number(struct ctl_text *text, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	ctl_put(text, digits);
}

void ctl_text_free(struct ctl_text *text)
{
	free(text->at);
	memset(text, 0, sizeof(*text));
}

/* ---- UTF-8 ------------------------------------------------------------- */

/* Bytes of the character at the front of a NUL-terminated text, and the
 * character; 0: there is none (RFC 3629). */
static size_t take_char(const unsigned char *p, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc0 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf8 ? 4
				 : 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	size_t i;

	for (i = 1; i < n; i++) {
		/* the NUL at the end is not one of these */
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (!n || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

/* Moves no cursor, ends no line, turns no direction. */
static bool harmless(uint32_t c)
{
	return c >= 0x20 && (c < 0x7f || c > 0x9f) &&
	       (c < 0x200b || c > 0x200f) && (c < 0x2028 || c > 0x202e) &&
	       (c < 0x2066 || c > 0x2069) && c != 0x061c && c != 0xfeff;
}

void ctl_put_shown(struct ctl_text *text, const char *words)
{
	const unsigned char *p = (const unsigned char *)words;
	char escape[8];
	uint32_t c = 0;
	size_t i, n;

	while (*p) {
		n = take_char(p, &c);
		if (n && harmless(c)) {
			ctl_put_bytes(text, (const char *)p, n);
			p += n;
			continue;
		}
		for (i = 0; i < (n ? n : 1); i++) {
			snprintf(escape, sizeof(escape), "\\x%02x", p[i]);
			ctl_put(text, escape);
		}
		p += n ? n : 1;
	}
}

/* ---- JSON -------------------------------------------------------------- */

static void put_json_char(struct ctl_text *text, uint32_t c)
{
	const char plain = (char)c;
	char escape[16];

	if (c >= 0x10000)
		snprintf(escape, sizeof(escape), "\\u%04x\\u%04x",
			 (unsigned int)(0xd800 + ((c - 0x10000) >> 10)),
			 (unsigned int)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	else if (c < 0x20 || c >= 0x7f)
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned int)c);
	else if (c == '"' || c == '\\')
		snprintf(escape, sizeof(escape), "\\%c", plain);
	else {
		ctl_put_bytes(text, &plain, 1);
		return;
	}
	ctl_put(text, escape);
}

void ctl_put_json(struct ctl_text *text, const char *words)
{
	const unsigned char *p = (const unsigned char *)words;
	uint32_t c = 0;
	size_t n;

	if (!words) {
		ctl_put(text, "null");
		return;
	}
	ctl_put(text, "\"");
	while (*p) {
		n = take_char(p, &c);
		put_json_char(text, n ? c : 0xfffd);
		p += n ? n : 1;
	}
	ctl_put(text, "\"");
}

void ctl_put_json_text(struct ctl_text *text, const char *json)
{
	const unsigned char *p = (const unsigned char *)json;
	uint32_t c = 0;
	size_t n;

	while (*p) {
		n = take_char(p, &c);
		/* strings have no raw C0 characters: these are between them */
		if (n && (c < 0x20 || harmless(c)))
			ctl_put_bytes(text, (const char *)p, n);
		else
			put_json_char(text, n ? c : 0xfffd);
		p += n ? n : 1;
	}
}

void ctl_put_member(struct ctl_text *text, const char *name)
{
	if (text->len && text->at[text->len - 1] != '{')
		ctl_put(text, ",");
	ctl_put_json(text, name);
	ctl_put(text, ":");
}
