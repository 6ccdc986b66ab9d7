/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libmsp/mem.c in unit tests: same calls, can fail on demand,
 * counts live blocks.
 */
#include "tests/lib/failalloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/mem.h"

static atomic_long countdown = -1;
static atomic_long live;
static atomic_bool failed;

void failalloc_arm(long n)
{
	failed = false;
	countdown = n;
}

bool failalloc_disarm(void)
{
	countdown = -1;
	return failed;
}

long failalloc_live(void)
{
	return live;
}

static bool must_fail(void)
{
	if (countdown < 0)
		return false;
	if (countdown-- > 0)
		return false;
	failed = true;
	return true;
}

static void *counted(void *ptr)
{
	if (ptr)
		live++;
	return ptr;
}

void *msp_mem_alloc(size_t size)
{
	return must_fail() ? NULL : counted(malloc(size ? size : 1));
}

void *msp_mem_zalloc(size_t size)
{
	return must_fail() ? NULL : counted(calloc(1, size ? size : 1));
}

void *msp_mem_array(size_t count, size_t size)
{
	return must_fail()
		       ? NULL
		       : counted(calloc(count ? count : 1, size ? size : 1));
}

void *msp_mem_realloc(void *ptr, size_t size)
{
	void *grown;

	if (must_fail())
		return NULL;
	grown = realloc(ptr, size ? size : 1);
	return ptr ? grown : counted(grown);
}

char *msp_mem_strndup(const char *text, size_t len)
{
	char *copy;

	if (len == SIZE_MAX || must_fail())
		return NULL;
	copy = counted(malloc(len + 1));
	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void msp_mem_free(void *ptr)
{
	if (ptr)
		live--;
	free(ptr);
}

void msp_mem_wipe(void *ptr, size_t len)
{
	if (ptr)
		explicit_bzero(ptr, len);
}
