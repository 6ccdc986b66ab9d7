/* SPDX-License-Identifier: MIT */
/*
 * In: every allocation of the program. Out: how many there were. Must never
 * change what they give.
 */
#include "tests/bench/allocs.h"

#include <stdlib.h>

/* The sanitizers have an allocator of their own. */
#ifndef __SANITIZE_ADDRESS__
/* glibc's names for these, so that ours can stand before them. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static _Thread_local uint64_t count;

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	count++;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	count++;
	return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	count++;
	return __libc_realloc(old, size);
}

uint64_t allocs_count(void)
{
	return count;
}
#else
uint64_t allocs_count(void)
{
	return 0;
}
#endif
