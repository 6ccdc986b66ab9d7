/* SPDX-License-Identifier: MIT */
/*
 * guard.h - an input that ends at a page nobody may touch: reading one byte
 * too far faults, with every compiler.
 */
#ifndef MSP_TEST_GUARD_H
#define MSP_TEST_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A copy that ends at a page nobody may touch, freed with free_guarded(). */
static inline char *guarded(const char *text, size_t len, size_t *mapped)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page - 1) / page * page;
	char *p;

	*mapped = room + page;
	p = mmap(NULL, *mapped, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE))
		abort();
	memcpy(p + room - len, text, len);
	return p + room - len;
}

static inline void free_guarded(char *copy, size_t len, size_t mapped)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(copy + len + page - mapped, mapped);
}

#endif
