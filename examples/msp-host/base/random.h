/* SPDX-License-Identifier: MIT */
/*
 * random.h - where keys, guids and tokens come from: the system, or, so that
 * a test sees the same bytes again, a seed.
 *
 * With a seed the bytes depend on it, on whose they are, what for and how
 * often, and on nothing else: other VMs do not disturb the sequence.
 */
#ifndef HOST_RANDOM_H
#define HOST_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANDOM_GUID_SIZE 37

/**
 * struct random
 * @seeded: @seed counts
 * @seed:   digest of what --seed was given
 */
struct random {
	bool seeded;
	unsigned char seed[32];
};

/* Any text is a seed. Not for keys that protect anything. */
bool random_seed(struct random *r, const char *text);
/* A seed nobody knows: each draw is the same every time, and a surprise. */
bool random_any(struct random *r);
/* The nth draw of owner for a purpose, len bytes. False: the system has none;
 * nobody may go on without. */
bool random_draw(const struct random *r, const char *owner, const char *purpose,
		 uint64_t nth, void *out, size_t len);
/* RFC 9562 version 4, lower case, NUL-terminated. */
bool random_guid(const struct random *r, const char *owner, const char *purpose,
		 uint64_t nth, char out[RANDOM_GUID_SIZE]);

#endif
