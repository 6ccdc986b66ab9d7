/* SPDX-License-Identifier: MIT */
/*
 * memscan.h - a key that no test program contains, and where in this process
 * it can be found.
 *
 * The key, and what is written with it, stay in an area of their own that is
 * not searched. All else that can be read is: heap, stacks, data of libraries.
 */
#ifndef MSP_TEST_MEMSCAN_H
#define MSP_TEST_MEMSCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Not with a sanitizer, whose shadow is too large to be read, nor under
 * valgrind, whose own copies of registers are among what is read. */
bool memscan_works(void);

/* How often some twelve bytes of the key, or as many of its digits in either
 * case, were found. */
struct memscan {
	unsigned int kept;  /* in the range that was named */
	unsigned int stack; /* of the first thread */
	unsigned int other; /* in the heap, mostly */
};

/* A new key. */
void memscan_begin(void);
void memscan_end(void);
/* its 64 hex digits */
const char *memscan_hex(void);
/* A text in the area, with room for size bytes. One at a time. */
char *memscan_text(size_t size);

/* kept NULL: no range is named */
struct memscan memscan_find(const void *kept, size_t kept_len);
/* Part of the key, or of its digits, is in these bytes. */
bool memscan_shows(const void *bytes, size_t len);
/* The kernel's flags of the page this is in, "rd wr mr ...", or "". */
void memscan_flags(char *out, size_t size, const void *at);

#endif
