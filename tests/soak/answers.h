/* SPDX-License-Identifier: MIT */
/*
 * answers.h - what is asked and what is answered in a soak: all of it follows
 * from the number in the path, so an answer to somebody else's request is
 * noticed, and a byte that is not the right one.
 */
#ifndef MSP_SOAK_ANSWERS_H
#define MSP_SOAK_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Behind it 16 hexadecimal digits. */
#define SOAK_PATH "/metadata/soak/"
/* Asked for until there is an agent: before, it is not signed. */
#define SOAK_READY SOAK_PATH "ready"

/* The lowest byte of a number: how long the answer is, and how it is sent. */
enum soak_length { SOAK_200, SOAK_4K, SOAK_100K, SOAK_1M, SOAK_LENGTHS };
enum soak_manner {
	SOAK_PLAIN,
	SOAK_CHUNKED,
	SOAK_TO_END, /* the end of the connection is that of the answer */
	SOAK_LATE,   /* 20 ms after the request */
	SOAK_LAST,   /* with Connection: close */
	SOAK_SILENT, /* closes after it, without a word */
	SOAK_MANNERS
};
/* Set: somebody who does not behave asks. */
#define SOAK_ABUSE (1ull << 63)

static inline size_t soak_length(uint64_t id)
{
	static const size_t lengths[] = { 200, 4096, 100000, 1000000 };

	return lengths[id & 3];
}

static inline enum soak_manner soak_manner(uint64_t id)
{
	return (enum soak_manner)((id >> 4 & 15) % SOAK_MANNERS);
}

static inline uint64_t soak_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Bytes of the answer to @id, or of the body of that request, from @at on. */
static inline void soak_fill(unsigned char *out, size_t len, uint64_t id,
			     size_t at)
{
	uint64_t word = 0;
	size_t i;

	for (i = 0; i < len; i++, at++) {
		if (i == 0 || at % 8 == 0)
			word = soak_mix(id * 31 + at / 8 + 1);
		out[i] = (unsigned char)(word >> at % 8 * 8);
	}
}

static inline bool soak_is(const unsigned char *data, size_t len, uint64_t id,
			   size_t at)
{
	uint64_t word = 0;
	size_t i;

	for (i = 0; i < len; i++, at++) {
		if (i == 0 || at % 8 == 0)
			word = soak_mix(id * 31 + at / 8 + 1);
		if (data[i] != (unsigned char)(word >> at % 8 * 8))
			return false;
	}
	return true;
}

#endif
