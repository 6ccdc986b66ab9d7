/* SPDX-License-Identifier: MIT */
/*
 * opts.h - is a struct of this or another version usable?
 *
 * What a caller hands over and may grow starts with its size. A shorter one is
 * of no release. A longer one comes from a newer caller: of what we are to read
 * the fields that we do not know must ask for nothing, and what we are to write
 * is left alone beyond what we know.
 */
#ifndef MSP_OPTS_H
#define MSP_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Options and messages. */
static inline bool msp_opts_ok(const void *opts, size_t size, size_t known)
{
	const unsigned char *p = opts;
	size_t i;

	if (size < known)
		return false;
	for (i = known; i < size; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* What is filled in, and facts: unknown ones change nothing. */
static inline bool msp_out_ok(size_t size, size_t known)
{
	return size >= known;
}

/* Zero what we know of it, but for the size it begins with. */
static inline void msp_out_clear(void *out, size_t known)
{
	memset((unsigned char *)out + sizeof(size_t), 0,
	       known - sizeof(size_t));
}

#endif
