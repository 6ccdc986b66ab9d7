/* SPDX-License-Identifier: MIT */
/*
 * mem.h - the library's only door to the heap, so that tests can make any
 * allocation fail, and wiping that the compiler cannot drop.
 */
#ifndef MSP_MEM_H
#define MSP_MEM_H

#include <stddef.h>

void *msp_mem_alloc(size_t size);
void *msp_mem_zalloc(size_t size);
/* NULL if count * size overflows */
void *msp_mem_array(size_t count, size_t size);
void *msp_mem_realloc(void *ptr, size_t size);
/* a copy of len bytes and a NUL after them */
char *msp_mem_strndup(const char *text, size_t len);
void msp_mem_free(void *ptr);
void msp_mem_wipe(void *ptr, size_t len);

#endif
