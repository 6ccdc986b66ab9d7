/* SPDX-License-Identifier: MIT */
/*
 * In: sizes. Out: memory, or NULL. Never decides anything; unit tests link
 * tests/lib/failalloc.c in its place.
 */
#include "libmsp/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *msp_mem_alloc(size_t size)
{
	return malloc(size ? size : 1);
}

void *msp_mem_zalloc(size_t size)
{
	return calloc(1, size ? size : 1);
}

void *msp_mem_array(size_t count, size_t size)
{
	return calloc(count ? count : 1, size ? size : 1);
}

void *msp_mem_realloc(void *ptr, size_t size)
{
	return realloc(ptr, size ? size : 1);
}

char *msp_mem_strndup(const char *text, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		return NULL;
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void msp_mem_free(void *ptr)
{
	free(ptr);
}

void msp_mem_wipe(void *ptr, size_t len)
{
	if (ptr)
		explicit_bzero(ptr, len);
}
