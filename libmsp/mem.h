/* SPDX-License-Identifier: MIT */
/*
 * mem.h - the library's only door to the heap, so that tests can make any
 * allocation fail, and wiping that the compiler cannot drop.
 */
#ifndef MSP_MEM_H
#define MSP_MEM_H

#include <stddef.h>

/*
 * For a function that copies what must not stay. memcpy() leaves it in vector
 * registers, and on arm64 each function with variable arguments, such as one
 * that formats an error, stores those on its stack.
 */
#if defined(__has_attribute)
#if __has_attribute(zero_call_used_regs)
#define MSP_MEM_NO_TRACE __attribute__((zero_call_used_regs("all")))
#endif
#endif
#ifndef MSP_MEM_NO_TRACE
#define MSP_MEM_NO_TRACE
#endif

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
