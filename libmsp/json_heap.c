/* SPDX-License-Identifier: MIT */
/*
 * In: yajl's wishes. Out: memory from a few pieces. Must never return without
 * any, nor give a piece back before it is wiped.
 */
#include "libmsp/json_heap.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libmsp/mem.h"

/* all that yajl 2.1 takes for a document without long texts */
#define PIECE_SIZE 8192

struct msp_json_piece {
	struct msp_json_piece *next;
	size_t size; /* bytes of data, like used */
	size_t used;
	_Alignas(max_align_t) unsigned char data[];
};

/* yajl does not tell how large a block was that it wants to grow */
struct block {
	size_t size; /* bytes of data */
	_Alignas(max_align_t) unsigned char data[];
};

static struct msp_json_piece *add_piece(struct msp_json_heap *heap, size_t size)
{
	struct msp_json_piece *piece;

	if (size < PIECE_SIZE)
		size = PIECE_SIZE;
	piece = msp_mem_alloc(sizeof(*piece) + size);
	if (!piece)
		longjmp(heap->no_memory, 1);
	piece->next = heap->pieces;
	piece->size = size;
	piece->used = 0;
	heap->pieces = piece;
	return piece;
}

void *msp_json_heap_take(struct msp_json_heap *heap, size_t size)
{
	const size_t align = _Alignof(struct block);
	struct msp_json_piece *piece = heap->pieces;
	struct block *block;
	size_t need;

	if (size > SIZE_MAX / 2)
		longjmp(heap->no_memory, 1);
	need = sizeof(*block) + (size + align - 1) / align * align;
	if (!piece || piece->size - piece->used < need)
		piece = add_piece(heap, need);
	block = (struct block *)(piece->data + piece->used);
	piece->used += need;
	block->size = size;
	return block->data;
}

static void *heap_alloc(void *ctx, size_t size)
{
	return msp_json_heap_take(ctx, size);
}

static void *heap_realloc(void *ctx, void *old, size_t size)
{
	unsigned char *grown = msp_json_heap_take(ctx, size);
	const struct block *block;

	if (!old)
		return grown;
	block = (const struct block *)((unsigned char *)old -
				       offsetof(struct block, data));
	memcpy(grown, old, block->size < size ? block->size : size);
	return grown;
}

static void heap_free(void *ctx, void *old)
{
	(void)ctx;
	(void)old; /* all at once, at the end */
}

void msp_json_heap_open(struct msp_json_heap *heap)
{
	heap->pieces = NULL;
	heap->funcs =
		(yajl_alloc_funcs){ heap_alloc, heap_realloc, heap_free, heap };
}

void msp_json_heap_close(struct msp_json_heap *heap)
{
	struct msp_json_piece *piece = heap->pieces;

	while (piece) {
		struct msp_json_piece *next = piece->next;

		msp_mem_wipe(piece->data, piece->used);
		msp_mem_free(piece);
		piece = next;
	}
	heap->pieces = NULL;
}
