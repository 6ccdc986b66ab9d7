/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - a directory of the test's own, and files in it.
 *
 * Any failure ends the test at once.
 */
#ifndef MSP_TEST_SCRATCH_H
#define MSP_TEST_SCRATCH_H

#include <stddef.h>
#include <sys/types.h>

/* Make the directory; its path. */
const char *scratch_make(void);
/* Delete it and all that is in it. */
void scratch_remove(void);
/* Path of a name in it; borrowed until the fourth call from now. */
const char *scratch_path(const char *name);
/* Write a file. */
void scratch_write(const char *name, const void *data, size_t len);
/* Whole content with a NUL behind it; free() it. @len may be NULL. */
char *scratch_read(const char *name, size_t *len);
/* Permission bits. */
mode_t scratch_mode(const char *name);
/* Entries whose name begins with @prefix. */
int scratch_count(const char *prefix);

#endif
