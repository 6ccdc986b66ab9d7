/* SPDX-License-Identifier: MIT */
/*
 * In: JSON text. Out: how many tokens there are, or the first fault
 * that yajl 2.1 lets pass: overlong and other invalid UTF-8, lone surrogates,
 * NUL, form feeds as blanks. Must never read past the text.
 */
#include "libmsp/json_scan.h"

#include "libmsp/ascii.h"
#include "libmsp/info.h"

struct scan {
	const char *text;
	size_t len;
	size_t at;
	struct msp_error_info *info;
};

static int fail(const struct scan *s, size_t at, const char *cause)
{
	msp_fail(s->info, MSP_ERR_SYNTAX, "is not JSON: %s", cause);
	msp_info_place(s->info, s->text, s->len, at);
	return MSP_ERR_SYNTAX;
}

static unsigned char byte_at(const struct scan *s, size_t at)
{
	return at < s->len ? (unsigned char)s->text[at] : 0;
}

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the sequence at s->at (Unicode table 3-7), 0 if ill-formed: no
 * overlong forms, no surrogates, nothing past U+10FFFF. */
static size_t utf8_length(const struct scan *s)
{
	unsigned char c = byte_at(s, s->at);
	unsigned char second = byte_at(s, s->at + 1);
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4;
	else
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	if (c == 0xed)
		high = 0x9f;
	if (c == 0xf0)
		low = 0x90;
	if (c == 0xf4)
		high = 0x8f;
	if (second < low || second > high)
		return 0;
	if (n > 2 && !is_tail(byte_at(s, s->at + 2)))
		return 0;
	if (n > 3 && !is_tail(byte_at(s, s->at + 3)))
		return 0;
	return n;
}

/* the four digits after \u at s->at, or -1 */
static long unit_at(const struct scan *s, size_t at)
{
	long unit = 0;
	size_t i;

	for (i = 2; i < 6; i++) {
		int digit = msp_ascii_hex(byte_at(s, at + i));

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	return unit;
}

static int scan_unicode(struct scan *s)
{
	long unit = unit_at(s, s->at), low = -1;

	if (unit < 0)
		return fail(s, s->at, "\\u without four hex digits");
	if (unit == 0)
		return fail(s, s->at, "NUL in a string");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(s, s->at, "half of a surrogate pair");
	if (unit >= 0xd800 && unit <= 0xdbff) {
		if (byte_at(s, s->at + 6) == '\\' &&
		    byte_at(s, s->at + 7) == 'u')
			low = unit_at(s, s->at + 6);
		if (low < 0xdc00 || low > 0xdfff)
			return fail(s, s->at, "half of a surrogate pair");
		s->at += 6;
	}
	s->at += 6;
	return 0;
}

static int scan_escape(struct scan *s)
{
	unsigned char c = byte_at(s, s->at + 1);

	if (c == 'u')
		return scan_unicode(s);
	if (!c || !strchr("\"\\/bfnrt", c))
		return fail(s, s->at, "unknown escape in a string");
	s->at += 2;
	return 0;
}

/* s->at is the opening quote, then what follows the closing one */
static int scan_string(struct scan *s)
{
	size_t open = s->at++;
	size_t n;
	int rc;

	while (s->at < s->len) {
		unsigned char c = (unsigned char)s->text[s->at];

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c < 0x20)
			return fail(s, s->at, "control character in a string");
		if (c == '\\') {
			rc = scan_escape(s);
			if (rc < 0)
				return rc;
			continue;
		}
		n = utf8_length(s);
		if (!n)
			return fail(s, s->at, "invalid UTF-8");
		s->at += n;
	}
	return fail(s, open, "string without end");
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* true, false, null, a number, or what yajl will refuse */
static int scan_scalar(struct scan *s)
{
	while (s->at < s->len) {
		unsigned char c = (unsigned char)s->text[s->at];

		if (is_blank(c) || (c && strchr("{}[],:\"", c)))
			break;
		if (c < 0x20 || c == 0x7f)
			return fail(s, s->at, "control character");
		if (c >= 0x80)
			return fail(s, s->at,
				    utf8_length(s) ? "stray character"
						   : "invalid UTF-8");
		s->at++;
	}
	return 0;
}

static int scan_token(struct scan *s)
{
	if (s->text[s->at] == '"')
		return scan_string(s);
	if (s->text[s->at] == '{' || s->text[s->at] == '[') {
		s->at++;
		return 0;
	}
	return scan_scalar(s);
}

int msp_json_scan(size_t *tokens, const char *text, size_t len, size_t start,
		  struct msp_error_info *info)
{
	struct scan s = { text, len, start, info };
	int rc;

	*tokens = 0;
	while (s.at < len) {
		unsigned char c = (unsigned char)text[s.at];

		if (is_blank(c) || (c && strchr("}],:", c))) {
			s.at++;
			continue;
		}
		rc = scan_token(&s);
		if (rc < 0)
			return rc;
		++*tokens;
	}
	return 0;
}
