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

/* tchar of RFC 9110 5.6.2 */
static inline bool msp_ascii_tchar(unsigned char c)
{
	return msp_ascii_alpha(c) || msp_ascii_digit(c) ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static inline bool msp_ascii_token(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!msp_ascii_tchar((unsigned char)text[i]))
			return false;
	return len > 0;
}

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
