/* SPDX-License-Identifier: MIT */
/*
 * In: sizes. Out: memory from a few large blocks. Must never hand out a byte
 * twice, nor more than was taken from the heap.
 */
#include "libmsp/arena.h"

#include <stdint.h>
#include <string.h>

#include "libmsp/mem.h"

#define CHUNK_SIZE 4096
#define ALIGN	   _Alignof(max_align_t)

struct msp_chunk {
	struct msp_chunk *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) char data[];
};

static struct msp_chunk *add_chunk(struct msp_arena *a, size_t size)
{
	struct msp_chunk *c;

	if (size < CHUNK_SIZE)
		size = CHUNK_SIZE;
	c = msp_mem_alloc(sizeof(*c) + size);
	if (!c)
		return NULL;
	c->used = 0;
	c->size = size;
	/* a large one must not hide the room that is left in another */
	if (a->chunks && size > CHUNK_SIZE) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	a->bytes += sizeof(*c) + size;
	return c;
}

static void *take(struct msp_arena *a, size_t size, size_t align)
{
	struct msp_chunk *c = a->chunks;
	size_t at;

	if (size > SIZE_MAX / 2)
		return NULL;
	at = c ? (c->used + align - 1) / align * align : 0;
	if (!c || at > c->size || c->size - at < size) {
		c = add_chunk(a, size);
		at = 0;
	}
	if (!c)
		return NULL;
	c->used = at + size;
	return c->data + at;
}

void *msp_arena_get(struct msp_arena *a, size_t count, size_t size)
{
	void *p;

	if (size && count > SIZE_MAX / 2 / size)
		return NULL;
	p = take(a, count * size, ALIGN);
	return p ? memset(p, 0, count * size) : NULL;
}

const char *msp_arena_text(struct msp_arena *a, const char *text, size_t len)
{
	char *copy = len < SIZE_MAX ? take(a, len + 1, 1) : NULL;

	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void msp_arena_free(struct msp_arena *a)
{
	struct msp_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		msp_mem_free(c);
	}
	a->chunks = NULL;
	a->bytes = 0;
}
