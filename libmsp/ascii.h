/* SPDX-License-Identifier: MIT */
/*
 * ascii.h - character classes that do not depend on a locale.
 */
#ifndef MSP_ASCII_H
#define MSP_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline unsigned char msp_ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static inline bool msp_ascii_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool msp_ascii_alpha(unsigned char c)
{
	c = msp_ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

/* value of a hex digit, or -1 */
static inline int msp_ascii_hex(unsigned char c)
{
	if (msp_ascii_digit(c))
		return c - '0';
	c = msp_ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* by byte: in lower case if it is a tchar of RFC 9110 5.6.2, else 0 */
extern const unsigned char msp_ascii_token_lower[256];

static inline bool msp_ascii_tchar(unsigned char c)
{
	return msp_ascii_token_lower[c] != 0;
}

/* are there any, and all of them that? */
bool msp_ascii_token(const char *text, size_t len);

/* a visible character, a blank, a tab or a byte from 0x80 (RFC 9110 5.5) */
static inline bool msp_ascii_value_char(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* are all of them that? */
bool msp_ascii_value(const char *text, size_t len);

/* does a text hold neither CR, LF, NUL nor that one? */
bool msp_ascii_line(const char *text, size_t len, char but);

/* neither CR, LF nor NUL? */
bool msp_ascii_unbroken(const char *text, size_t len);

/* A copy in lower case, whole if true is returned: if it is a token. */
bool msp_ascii_lower_token(char *to, const char *from, size_t len);

/* same text but for the case of ASCII letters */
static inline bool msp_ascii_equal(const char *a, size_t a_len, const char *b,
				   size_t b_len)
{
	size_t i;

	if (a_len != b_len)
		return false;
	for (i = 0; i < a_len; i++)
		if (msp_ascii_lower((unsigned char)a[i]) !=
		    msp_ascii_lower((unsigned char)b[i]))
			return false;
	return true;
}

#endif
