/* SPDX-License-Identifier: MIT */
/*
 * fakemanager.h - a service manager as far as descriptors are concerned: what
 * it hands to a process, and what it is told to keep.
 */
#ifndef TESTS_FAKEMANAGER_H
#define TESTS_FAKEMANAGER_H

#include <stdbool.h>
#include <stddef.h>

#include <msp/redirect.h>

#define KEPT_MAX 64

extern struct fakemanager {
	int fd;
	size_t messages; /* since it began */
	size_t n;	 /* what it keeps */
	char kept[KEPT_MAX][64];
	/* of sendmsg(), if linked with --wrap: call number fail_at, from 1,
	 * and those behind it fail while it is not 0 */
	size_t calls;
	size_t fail_at;
} manager;

/* It listens at a socket of its own, with room for so many descriptors. */
void manager_begin(const char *room);
void manager_end(void);

/* Descriptors 3 and on are these; what was there is lost. "name:name", NULL:
 * the variable is not there. */
void manager_hands(const int *fds, size_t n, const char *names);

/* Read what it was told; done with each message if sendmsg() is wrapped. */
void manager_hears(void);
/* How many it keeps by that name. */
size_t manager_keeps(const char *name);

/* Run this in a process that has a descriptor table of its own. 0: it did not
 * complain with MUST(). */
int in_process(void (*run)(void));
#define MUST(what)                                                             \
	do {                                                                   \
		if (!(what))                                                   \
			must_failed(__FILE__, __LINE__, #what);                \
	} while (0)
void must_failed(const char *file, int line, const char *what);

#endif
