/* SPDX-License-Identifier: MIT */
/*
 * In: header names, values and targets. Out: copies, or a word that they may
 * not be used. Must never read or write a byte outside of what it was given:
 * many at a time only where so many are left.
 */
#include "libmsp/ascii.h"

#include "libmsp/ascii_wide.h"

/* clang-format off */
const unsigned char msp_ascii_token_lower[256] = {
	0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
	0, '!', 0, '#', '$', '%', '&', '\'',
	0, 0, '*', '+', 0, '-', '.', 0,
	'0', '1', '2', '3', '4', '5', '6', '7',
	'8', '9', 0, 0, 0, 0, 0, 0,
	0, 'a', 'b', 'c', 'd', 'e', 'f', 'g',
	'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
	'x', 'y', 'z', 0, 0, 0, '^', '_',
	'`', 'a', 'b', 'c', 'd', 'e', 'f', 'g',
	'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
	'x', 'y', 'z', 0, '|', 0, '~', 0,
};
/* clang-format on */

bool msp_ascii_token(const char *text, size_t len)
{
	msp_wide_vector good;
	size_t i;

	if (len >= 16) {
		good = msp_wide_common16(msp_wide_load16(text + len - 16));
		for (i = 0; len - i > 16; i += 16)
			good &= msp_wide_common16(msp_wide_load16(text + i));
		if (msp_wide_all(good))
			return true;
	} else if (len >= 4) {
		good = msp_wide_common16(msp_wide_load_short(text, len));
		if (msp_wide_all(good))
			return true;
	}
	for (i = 0; i < len; i++)
		if (!msp_ascii_tchar((unsigned char)text[i]))
			return false;
	return len > 0;
}

bool msp_ascii_lower_token(char *to, const char *from, size_t len)
{
	bool token = len > 0;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = msp_ascii_token_lower[(unsigned char)from[i]];

		token = token && c;
		to[i] = (char)c;
	}
	return token;
}

static bool breaks(char c)
{
	return c == '\0' || c == '\r' || c == '\n';
}

bool msp_ascii_unbroken(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (breaks(text[i]))
			return false;
	return true;
}

bool msp_ascii_line(const char *text, size_t len, char but)
{
	msp_wide_vector v, bad = { 0 }, no = bad + (unsigned char)but;
	size_t i;

	if (len >= 16) {
		v = msp_wide_load16(text + len - 16);
		bad = msp_wide_low16(v) | (msp_wide_vector)(v == no);
		for (i = 0; len - i > 16; i += 16) {
			v = msp_wide_load16(text + i);
			bad |= msp_wide_low16(v) | (msp_wide_vector)(v == no);
		}
		if (msp_wide_none(bad))
			return true;
	}
	return !(len && memchr(text, but, len)) &&
	       msp_ascii_unbroken(text, len);
}

/* All ones for bytes below 0x20, and for 0x7f. */
static inline msp_wide_vector control16(msp_wide_vector v)
{
	const msp_wide_vector a = { 0 };

	return (msp_wide_vector)(v < a + 0x20) |
	       (msp_wide_vector)(v == a + 0x7f);
}

bool msp_ascii_value(const char *text, size_t len)
{
	msp_wide_vector bad;
	size_t i;

	if (len >= 16) {
		bad = control16(msp_wide_load16(text + len - 16));
		for (i = 0; len - i > 16; i += 16)
			bad |= control16(msp_wide_load16(text + i));
		if (msp_wide_none(bad))
			return true;
	} else if (len >= 4) {
		if (msp_wide_none(control16(msp_wide_load_short(text, len))))
			return true;
	}
	for (i = 0; i < len; i++) /* a tab, perhaps */
		if (!msp_ascii_value_char((unsigned char)text[i]))
			return false;
	return true;
}
