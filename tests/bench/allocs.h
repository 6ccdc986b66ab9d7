/* SPDX-License-Identifier: MIT */
/*
 * allocs.h - counts what a bench allocates, libraries included. The allocator
 * itself is libc's, one increment later.
 */
#ifndef MSP_BENCH_ALLOCS_H
#define MSP_BENCH_ALLOCS_H

#include <stdint.h>

/* Allocations of this thread until now; what grew counts too. */
uint64_t allocs_count(void);

#endif
