/* SPDX-License-Identifier: MIT */
/*
 * In: a request whose parts are known. Out: its canonical form if it is of the
 * plain kind that nearly all are, in one pass. Must never disagree with the
 * long way (request.c): on anything unusual it gives up and leaves no trace.
 */
#include "libmsp/request_priv.h"

#include "libmsp/ascii.h"

/* Bytes that end the short way, or that mean something on it. */
#define O 1 /* odd: in no plain target */
#define P 2 /* odd in a path */
#define Q 4 /* means something in a query */
#define M 8 /* slash and dot: two in a row are odd in a path */
#define B (P | Q)

/* clang-format off */
static const unsigned char kind[256] = {
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	/*   ! " #     $ % & '     ( ) * +     , - . / */
	O, 0, O, O,  0, B, Q, 0,  0, 0, 0, Q,  0, 0, M, M,
	/* 0 to 9                        : ;     < = > ? */
	0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, P,  O, Q, O, P,
	0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
	/* P to Z                           [  \ ] ^ _ */
	0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  O, 0, 0, 0,
	O, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
	0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
	O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
};
/* clang-format on */

/* Nothing to decode, to cut off, or to go up or stay at. */
static bool plain_path(struct msp_request *r)
{
	const unsigned char *path = (unsigned char *)r->target + r->path;
	unsigned int odd = 0, before = 0, k;
	size_t i, len = r->path_len;

	for (i = 0; i < len; i++) {
		k = kind[path[i]];
		odd |= (k & (O | P)) | (k & before & M);
		before = k;
		r->text[i] = (char)msp_ascii_lower(path[i]);
	}
	if (odd || !len || path[0] != '/')
		return false;
	r->slash = len > 1 && path[len - 1] == '/';
	r->text_len = path[len - 1] == '/' ? len - 1 : len;
	return true;
}

struct piece {
	size_t name;
	size_t value; /* 0: there was no '=' yet */
	size_t end;
};

static void add_piece(struct msp_request *r, struct piece *at)
{
	size_t value = at->value ? at->value : at->end;
	struct msp_pair *p = &r->pairs[r->n_pairs];

	/* without a name it is dropped */
	if (value == at->name)
		at->end = at->name;
	if (at->end > at->name) {
		p->name = (uint16_t)at->name;
		p->name_len = (uint16_t)(value - at->name);
		p->value = (uint16_t)value;
		p->value_len = (uint16_t)(at->end - value);
		r->n_pairs++;
	}
	at->name = at->end;
	at->value = 0;
}

/* The byte of an escape that needs no further thought, or 0. */
static unsigned char plain_escape(const char *p, size_t len)
{
	int hi, lo, c;

	if (len < 3)
		return 0;
	hi = msp_ascii_hex((unsigned char)p[1]);
	lo = msp_ascii_hex((unsigned char)p[2]);
	if (hi < 0 || lo < 0)
		return 0;
	c = hi << 4 | lo;
	if (c < ' ' || c >= 0x7f || c == '%' || c == '\\')
		return 0;
	return msp_ascii_lower((unsigned char)c);
}

static bool plain_query(struct msp_request *r)
{
	const char *query = r->target + r->query;
	/* offsets from 1, so that no value begins at 0 */
	struct piece at = { .name = r->text_len + 1, .end = r->text_len + 1 };
	size_t i, len = r->query_len;
	unsigned char c;

	for (i = 0; i < len; i++) {
		c = (unsigned char)query[i];
		if (!(kind[c] & (O | Q))) {
			r->text[at.end++] = (char)msp_ascii_lower(c);
		} else if (c == '&') {
			add_piece(r, &at);
		} else if (c == '=' && !at.value) {
			at.value = at.end;
		} else if (c == '=') {
			r->text[at.end++] = '=';
		} else if (c == '+') {
			r->text[at.end++] = ' ';
		} else {
			c = c == '%' ? plain_escape(query + i, len - i) : 0;
			if (!c)
				return false;
			r->text[at.end++] = (char)c;
			i += 2;
		}
	}
	add_piece(r, &at);
	return true;
}

/* Nothing behind path and query: no fragment. */
static bool whole(const struct msp_request *r)
{
	size_t end = r->query ? r->query + r->query_len : r->path + r->path_len;

	return end == r->target_len;
}

bool msp_request_plain(struct msp_request *r)
{
	if (r->form == MSP_FORM_ORIGIN && whole(r) && plain_path(r) &&
	    plain_query(r))
		return true;
	r->slash = false;
	r->text_len = 0;
	r->n_pairs = 0;
	return false;
}
