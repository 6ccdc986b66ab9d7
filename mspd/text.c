/* SPDX-License-Identifier: MIT */
/*
 * In: bytes of unknown origin. Out: UTF-8 that fits a line or a JSON string.
 * Must never write past the buffer, nor half a character or half an escape.
 */
#include "mspd/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void mspd_text_init(struct mspd_text *text, char *buffer, size_t size)
{
	text->at = buffer;
	text->size = size;
	text->len = 0;
	buffer[0] = '\0';
}

static bool append(struct mspd_text *text, const char *in, size_t len)
{
	if (len >= text->size - text->len)
		return false;
	memcpy(text->at + text->len, in, len);
	text->len += len;
	text->at[text->len] = '\0';
	return true;
}

void mspd_text_put(struct mspd_text *text, const char *constant)
{
	append(text, constant, strlen(constant));
}

void mspd_text_bytes(struct mspd_text *text, const char *at, size_t len)
{
	append(text, at, len);
}

/* By hand: with printf, numbers were half of what an audit line costs. */
void mspd_text_number(struct mspd_text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	append(text, digits + at, sizeof(digits) - at);
}

/* ---- UTF-8 ------------------------------------------------------------- */

/* The second byte is where overlong forms, surrogates and what is beyond
 * U+10FFFF are told from the rest (RFC 3629 section 4). */
static bool second_byte_ok(unsigned char first, unsigned char second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	}
	return second >= 0x80 && second <= 0xbf;
}

size_t mspd_utf8_step(const char *in, size_t len)
{
	const unsigned char *b = (const unsigned char *)in;
	size_t need, i;

	if (!len)
		return 0;
	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	need = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (len < need || !second_byte_ok(b[0], b[1]))
		return 0;
	for (i = 2; i < need; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

size_t mspd_utf8_cut(const char *in, size_t len, size_t max)
{
	size_t n = max;
	int back;

	if (len <= max)
		return len;
	/* in[n] is the first byte left out: it must not be a continuation. */
	for (back = 0; back < 3 && n; back++, n--)
		if (((unsigned char)in[n] & 0xc0) != 0x80)
			return n;
	return n && ((unsigned char)in[n] & 0xc0) == 0x80 ? max : n;
}

/* One character or one bad byte: what is written for it. */
struct piece {
	const char *at;
	size_t len;  /* bytes to write */
	size_t step; /* bytes taken from the input */
};

static struct piece next_piece(const char *in, size_t len)
{
	struct piece p = { in, mspd_utf8_step(in, len), 0 };

	p.step = p.len;
	if (!p.step) {
		p.at = REPLACEMENT;
		p.len = sizeof(REPLACEMENT) - 1;
		p.step = 1;
	}
	return p;
}

bool mspd_text_clean(struct mspd_text *text, const char *in, size_t len)
{
	while (len) {
		struct piece p = next_piece(in, len);

		if (!append(text, p.at, p.len))
			return false;
		in += p.step;
		len -= p.step;
	}
	return true;
}

/* ---- one line of a log ------------------------------------------------- */

/* Code point if it may move a cursor or end a line, else 0 for "harmless";
 * NUL is harmful and comes back as 1 << 21. */
static uint32_t harmful(const char *in, size_t len)
{
	const unsigned char *b = (const unsigned char *)in;
	const uint32_t nul = 1u << 21;

	if (len == 1 && (b[0] < 0x20 || b[0] == 0x7f))
		return b[0] ? b[0] : nul;
	if (len == 2 && b[0] == 0xc2 && b[1] < 0xa0) /* C1: 0x9b is CSI */
		return b[1];
	if (len == 3 && b[0] == 0xe2 && b[1] == 0x80 &&
	    (b[2] == 0xa8 || b[2] == 0xa9)) /* LINE, PARAGRAPH SEPARATOR */
		return 0x2000u | (b[2] & 0x3fu);
	return 0;
}

bool mspd_text_line(struct mspd_text *text, const char *in, size_t len)
{
	char escape[12];

	while (len) {
		struct piece p = next_piece(in, len);
		uint32_t code = harmful(p.at, p.len);

		if (code == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (code == '\t')
			snprintf(escape, sizeof(escape), "\\t");
		else if (code)
			snprintf(escape, sizeof(escape),
				 (code & 0x1fffff) < 0x80 ? "\\x%02x"
							  : "\\u%04x",
				 (unsigned int)(code & 0x1fffff));
		if (code) {
			p.at = escape;
			p.len = strlen(escape);
		}
		if (!append(text, p.at, p.len))
			return false;
		in += p.step;
		len -= p.step;
	}
	return true;
}

/* ---- JSON -------------------------------------------------------------- */

bool mspd_text_is_tame(const char *in, size_t len)
{
	while (len) {
		size_t step = mspd_utf8_step(in, len);
		uint32_t code = harmful(in, step);

		if (!step || (code && code >= 0x7f))
			return false;
		in += step;
		len -= step;
	}
	return true;
}

static struct piece json_piece(const char *in, size_t len, char escape[12])
{
	struct piece p = next_piece(in, len);
	unsigned char c = (unsigned char)p.at[0];
	uint32_t code = harmful(p.at, p.len);

	if (c == '"' || c == '\\') {
		escape[0] = '\\';
		escape[1] = (char)c;
		p.at = escape;
		p.len = 2;
	} else if (code) {
		snprintf(escape, 12, "\\u%04x",
			 (unsigned int)(code & 0x1fffff));
		p.at = escape;
		p.len = 6;
	}
	return p;
}

/* Bytes that stand for themselves: nearly all there are. */
static size_t plain_run(const char *in, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)in[i];

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			break;
	}
	return i;
}

/* As much of a run as there is room for, in the text and below @max. */
static size_t put_run(struct mspd_text *text, const char *in, size_t len,
		      size_t max)
{
	size_t room = text->size - text->len;

	len = plain_run(in, len < max ? len : max);
	if (room < 3)
		return 0;
	if (len > room - 2)
		len = room - 2;
	append(text, in, len);
	return len;
}

void mspd_text_json(struct mspd_text *text, const char *in, size_t max)
{
	mspd_text_json_bytes(text, in, in ? strlen(in) : 0, max);
}

void mspd_text_json_bytes(struct mspd_text *text, const char *in, size_t len,
			  size_t max)
{
	size_t used = 0;
	size_t wide;
	char escape[12];

	if (!in) {
		mspd_text_put(text, "null");
		return;
	}
	mspd_text_put(text, "\"");
	for (;;) {
		struct piece p;
		size_t run = put_run(text, in, len, max - used);

		used += run;
		in += run;
		len -= run;
		if (!len)
			break;
		p = json_piece(in, len, escape);

		/* An escape counts as the bytes it stands for. */
		wide = p.at == escape ? p.step : p.len;
		if (wide > max - used || text->size - text->len < p.len + 2)
			break;
		append(text, p.at, p.len);
		used += wide;
		in += p.step;
		len -= p.step;
	}
	mspd_text_put(text, "\"");
}

/* ---- time -------------------------------------------------------------- */

void mspd_text_time(char out[MSPD_TEXT_TIME], struct timespec when, char colon)
{
	struct tm tm;

	if (!gmtime_r(&when.tv_sec, &tm) || tm.tm_year < -1900 ||
	    tm.tm_year > 9999 - 1900)
		memset(&tm, 0, sizeof(tm));
	/* The remainders change nothing; they show the compiler the width. */
	snprintf(out, MSPD_TEXT_TIME, "%04u-%02u-%02uT%02u%c%02u%c%02u.%03u",
		 (unsigned int)(tm.tm_year + 1900) % 10000,
		 (unsigned int)(tm.tm_mon + 1) % 100,
		 (unsigned int)tm.tm_mday % 100, (unsigned int)tm.tm_hour % 100,
		 colon, (unsigned int)tm.tm_min % 100, colon,
		 (unsigned int)tm.tm_sec % 100,
		 (unsigned int)(when.tv_nsec / 1000000) % 1000);
}

const char *mspd_xml_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '\'':
		return "&apos;";
	case '"':
		return "&quot;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	}
	return NULL;
}
