/* SPDX-License-Identifier: MIT */
/*
 * In: bytes of an answer, piece by piece. Out: one block of them. Must never
 * leave a copy behind, nor grow past its bound.
 */
#include "libmsp/buffer.h"

#include <string.h>

#include <msp/error.h>

#include "libmsp/mem.h"

#define FIRST_SIZE 4096

void msp_buffer_drop(struct msp_buffer *buffer)
{
	msp_mem_wipe(buffer->data, buffer->len);
	msp_mem_free(buffer->data);
	buffer->data = NULL;
	buffer->len = 0;
	buffer->cap = 0;
}

/* Not realloc(): that leaves an unwiped copy behind. */
MSP_MEM_NO_TRACE int msp_buffer_grow(struct msp_buffer *buffer, size_t max)
{
	size_t cap = buffer->cap ? buffer->cap * 2 : FIRST_SIZE;
	size_t len = buffer->len;
	char *data;

	if (len < buffer->cap)
		return 0;
	if (len > max)
		return MSP_ERR_LIMIT;
	if (cap > max)
		cap = max + 1;
	data = msp_mem_alloc(cap);
	if (!data)
		return MSP_ERR_NOMEM;
	if (len)
		memcpy(data, buffer->data, len);
	msp_buffer_drop(buffer);
	buffer->data = data;
	buffer->len = len;
	buffer->cap = cap;
	return 0;
}
