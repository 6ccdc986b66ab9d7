/* SPDX-License-Identifier: MIT */
/*
 * canonical.h - are two canonical requests the same, part by part? All static:
 * fuzzers and unit tests include it.
 */
#ifndef MSP_TEST_CANONICAL_H
#define MSP_TEST_CANONICAL_H

#include <string.h>

#include "libmsp/request_priv.h"

static inline bool same_text(const struct msp_request *a, size_t a_at,
			     size_t a_len, const struct msp_request *b,
			     size_t b_at, size_t b_len)
{
	return a_len == b_len && !memcmp(a->text + a_at, b->text + b_at, a_len);
}

static inline bool same_canonical(const struct msp_request *a,
				  const struct msp_request *b)
{
	const struct msp_pair *x, *y;
	size_t i;

	if (a->canon != b->canon || a->n_pairs != b->n_pairs ||
	    a->slash != b->slash || a->duplicates != b->duplicates ||
	    a->ambiguous != b->ambiguous ||
	    !same_text(a, 0, a->text_len, b, 0, b->text_len))
		return false;
	for (i = 0; i < a->n_pairs; i++) {
		x = &a->pairs[i];
		y = &b->pairs[i];
		if (!same_text(a, x->name, x->name_len, b, y->name,
			       y->name_len) ||
		    !same_text(a, x->value, x->value_len, b, y->value,
			       y->value_len))
			return false;
	}
	return true;
}

#endif
