/* SPDX-License-Identifier: MIT */
/*
 * failalloc.h - libmsp/mem.h with a switch: fail the Nth allocation.
 *
 *	for (long n = 0; ; n++) {
 *		failalloc_arm(n);
 *		rc = msp_thing_new(&t);
 *		if (!failalloc_disarm())
 *			break;		(nothing failed: all paths seen)
 *		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
 *		ck_assert_ptr_null(t);
 *	}
 */
#ifndef MSP_TEST_FAILALLOC_H
#define MSP_TEST_FAILALLOC_H

#include <stdbool.h>

/* allocation number n from now on fails, 0 is the next; negative: none */
void failalloc_arm(long n);
/* true if an allocation was made to fail since arm */
bool failalloc_disarm(void);
/* blocks of msp_mem_* that are allocated and not freed */
long failalloc_live(void);

#endif
