/* SPDX-License-Identifier: MIT */
/*
 * opts.h - is an options struct of this or another version usable?
 *
 * Every options struct starts with its size. A shorter one is of no release;
 * a longer one comes from a newer caller and is fine while the fields that we
 * do not know ask for nothing.
 */
#ifndef MSP_OPTS_H
#define MSP_OPTS_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
