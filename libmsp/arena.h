/* SPDX-License-Identifier: MIT */
/*
 * arena.h - many small things that are freed together.
 */
#ifndef MSP_ARENA_H
#define MSP_ARENA_H

#include <stddef.h>

struct msp_chunk;

/* Zeroed memory is an empty one. */
struct msp_arena {
	struct msp_chunk *chunks;
	size_t bytes; /* taken from the heap */
};

/* Zeroed and aligned for anything; NULL if out of memory. */
void *msp_arena_get(struct msp_arena *a, size_t count, size_t size);
/* a copy of len bytes and a NUL after them */
const char *msp_arena_text(struct msp_arena *a, const char *text, size_t len);
void msp_arena_free(struct msp_arena *a);

#endif
