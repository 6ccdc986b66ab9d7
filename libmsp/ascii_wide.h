/* SPDX-License-Identifier: MIT */
/*
 * ascii_wide.h - sixteen bytes of text at a time, for what is done with every
 * header of every request. Never more of them than there are: what is left,
 * or shorter, is done in pieces that overlap.
 */
#ifndef MSP_ASCII_WIDE_H
#define MSP_ASCII_WIDE_H

#include <stdint.h>

#include "libmsp/ascii.h"

/* What compilers have for it: SSE2, NEON, or two words. */
typedef unsigned char msp_wide_vector __attribute__((vector_size(16)));
typedef uint64_t msp_wide_halves __attribute__((vector_size(16)));

static inline msp_wide_vector msp_wide_load16(const char *at)
{
	msp_wide_vector v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t msp_wide_load8(const char *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t msp_wide_load4(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void msp_wide_store16(char *at, msp_wide_vector v)
{
	memcpy(at, &v, sizeof(v));
}

static inline void msp_wide_store8(char *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

static inline void msp_wide_store4(char *at, uint64_t v)
{
	uint32_t low = (uint32_t)v;

	memcpy(at, &low, sizeof(low));
}

static inline bool msp_wide_all(msp_wide_vector v)
{
	msp_wide_halves h = (msp_wide_halves)v;

	return (h[0] & h[1]) == UINT64_MAX;
}

static inline bool msp_wide_none(msp_wide_vector v)
{
	msp_wide_halves h = (msp_wide_halves)v;

	return (h[0] | h[1]) == 0;
}

/* 4 to 15 bytes in two pieces that may overlap */
static inline msp_wide_vector msp_wide_load_short(const char *at, size_t len)
{
	uint64_t v;

	if (len >= 8)
		return (msp_wide_vector)(msp_wide_halves){
			msp_wide_load8(at), msp_wide_load8(at + len - 8)
		};
	v = msp_wide_load4(at) | msp_wide_load4(at + len - 4) << 32;
	return (msp_wide_vector)(msp_wide_halves){ v, v };
}

static inline void msp_wide_store_short(char *at, size_t len, msp_wide_vector v)
{
	msp_wide_halves h = (msp_wide_halves)v;

	if (len >= 8) {
		msp_wide_store8(at, h[0]);
		msp_wide_store8(at + len - 8, h[1]);
		return;
	}
	msp_wide_store4(at, h[0]);
	msp_wide_store4(at + len - 4, h[0] >> 32);
}

/* ---- tokens ------------------------------------------------------------ */

/* Letters, digits and '-', which nearly msp_wide_all names consist of: for
 * them, lower case is one bit that is set. */
#define MSP_WIDE_CASE 0x20

/* All ones for each byte that is common */
static inline msp_wide_vector msp_wide_common16(msp_wide_vector v)
{
	const msp_wide_vector a = { 0 };
	msp_wide_vector letter = (v | (a + MSP_WIDE_CASE)) - (a + 'a');

	return (msp_wide_vector)(letter <= (a + 25)) |
	       (msp_wide_vector)(v - (a + '0') <= (a + 9)) |
	       (msp_wide_vector)(v == (a + '-'));
}

/* from 16 */
static inline bool msp_wide_lower_long(char *to, const char *from, size_t len)
{
	const msp_wide_vector bit = (msp_wide_vector){ 0 } + MSP_WIDE_CASE;
	msp_wide_vector v = msp_wide_load16(from + len - 16),
			good = msp_wide_common16(v);
	size_t i;

	msp_wide_store16(to + len - 16, v | bit);
	for (i = 0; len - i > 16; i += 16) {
		v = msp_wide_load16(from + i);
		good &= msp_wide_common16(v);
		msp_wide_store16(to + i, v | bit);
	}
	return msp_wide_all(good);
}

/* A copy in lower case, whole if true is returned: if it is a token. */
static inline bool msp_wide_copy_token(char *to, const char *from, size_t len)
{
	msp_wide_vector v;

	if (len >= 16) {
		if (msp_wide_lower_long(to, from, len))
			return true;
	} else if (len >= 4) {
		v = msp_wide_load_short(from, len);
		msp_wide_store_short(
			to, len, v | ((msp_wide_vector){ 0 } + MSP_WIDE_CASE));
		if (msp_wide_all(msp_wide_common16(v)))
			return true;
	}
	return msp_ascii_lower_token(to, from, len);
}

/* ---- order ------------------------------------------------------------- */

static inline uint64_t msp_wide_big4(const char *text)
{
	const unsigned char *t = (const unsigned char *)text;

	return (uint32_t)t[0] << 24 | (uint32_t)t[1] << 16 |
	       (uint32_t)t[2] << 8 | t[3];
}

/* The top bit of each byte from low to high, if msp_wide_all of v are below
 * 0x80. */
static inline uint64_t msp_wide_between(uint64_t v, unsigned char low,
					unsigned char high)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return ((v + ((0x80u - low) * ones)) ^ (v + ((0x7fu - high) * ones))) &
	       (0x80 * ones);
}

/* The first eight bytes of a token, as a number: whose is smaller is before
 * the other in lower case; of those with the same one, more is to be read. */
static inline uint64_t msp_wide_first(const char *text, size_t len)
{
	uint64_t v = 0;
	size_t i;

	if (len >= 8) {
		v = msp_wide_big4(text) << 32 | msp_wide_big4(text + 4);
	} else if (len >= 4) {
		v = msp_wide_big4(text + len - 4) << 8 * (8 - len) & UINT32_MAX;
		v |= msp_wide_big4(text) << 32;
	} else {
		for (i = 0; i < len; i++)
			v |= (uint64_t)(unsigned char)text[i] << (56 - 8 * i);
	}
	return v | msp_wide_between(v, 'A', 'Z') >> 2;
}

/* ---- lines ------------------------------------------------------------- */

/* All ones for bytes below 0x10, which are a tab or worse. */
static inline msp_wide_vector msp_wide_low16(msp_wide_vector v)
{
	return (msp_wide_vector)(v < (msp_wide_vector){ 0 } + 0x10);
}

/* A copy, whole if true is returned: if there is no CR, LF or NUL. */
static inline bool msp_wide_copy_line(char *to, const char *from, size_t len)
{
	msp_wide_vector v, low;
	size_t i;

	if (len >= 16) {
		v = msp_wide_load16(from + len - 16);
		low = msp_wide_low16(v);
		msp_wide_store16(to + len - 16, v);
		for (i = 0; len - i > 16; i += 16) {
			v = msp_wide_load16(from + i);
			low |= msp_wide_low16(v);
			msp_wide_store16(to + i, v);
		}
		return msp_wide_none(low) || msp_ascii_unbroken(from, len);
	}
	if (len >= 4) {
		v = msp_wide_load_short(from, len);
		msp_wide_store_short(to, len, v);
		return msp_wide_none(msp_wide_low16(v)) ||
		       msp_ascii_unbroken(from, len);
	}
	for (i = 0; i < len; i++)
		to[i] = from[i];
	return msp_ascii_unbroken(from, len);
}

#endif
