/* SPDX-License-Identifier: MIT */
/*
 * json_heap.h - memory for yajl, which does not check what its allocator
 * returns: this one does not return when there is none, it goes back to where
 * setjmp() was called.
 *
 *	struct msp_json_heap heap;
 *
 *	msp_json_heap_open(&heap);
 *	if (setjmp(heap.no_memory) == 0)
 *		(all calls of yajl)
 *	else
 *		rc = MSP_ERR_NOMEM;
 *	msp_json_heap_close(&heap);
 *
 * Whatever yajl has is of the heap, so its own free calls are not needed. What
 * is taken elsewhere between the two must be reachable after the jump.
 */
#ifndef MSP_JSON_HEAP_H
#define MSP_JSON_HEAP_H

#include <setjmp.h>
#include <stddef.h>
#include <yajl/yajl_common.h>

struct msp_json_piece;

struct msp_json_heap {
	struct msp_json_piece *pieces; /* owned; the newest first */
	yajl_alloc_funcs funcs;
	jmp_buf no_memory;
};

void msp_json_heap_open(struct msp_json_heap *heap);
/* for what callbacks need as long as yajl; never NULL */
void *msp_json_heap_take(struct msp_json_heap *heap, size_t size);
/* wiped and freed, all of it */
void msp_json_heap_close(struct msp_json_heap *heap);

#endif
