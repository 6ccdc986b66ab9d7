/* SPDX-License-Identifier: MIT */
/*
 * render.h - a canonical request as text again (spec 8.6, Rendering), to show
 * that canonicalizing it once more changes nothing. All static: fuzzers and
 * unit tests include it.
 */
#ifndef MSP_TEST_RENDER_H
#define MSP_TEST_RENDER_H

#include <stdlib.h>
#include <string.h>

#include "libmsp/request_priv.h"

static inline size_t render_part(char *out, const char *text, size_t len,
				 const char *encode)
{
	static const char hex[] = "0123456789abcdef";
	size_t i, n = 0;
	unsigned char c;

	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if (c > ' ' && c < 0x7f && !strchr(encode, c)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return n;
}

/* The caller frees it. "<>`" and the quote are no bytes of a target (C2). */
static inline char *render(const struct msp_request *r, size_t *len)
{
	const struct msp_pair *p;
	size_t i, n = 0;
	char *out = malloc(3 * MSP_TARGET_MAX + 3 * (r->n_pairs + 2));

	if (!out)
		abort();
	if (!r->text_len)
		out[n++] = '/';
	n += render_part(out + n, r->text, r->text_len, "%#?;<>`");
	for (i = 0; i < r->n_pairs; i++) {
		p = &r->pairs[i];
		out[n++] = i ? '&' : '?';
		n += render_part(out + n, r->text + p->name, p->name_len,
				 "%#&=+<>\"");
		out[n++] = '=';
		n += render_part(out + n, r->text + p->value, p->value_len,
				 "%#&=+<>\"");
	}
	*len = n;
	return out;
}

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
