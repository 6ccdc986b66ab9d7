/* SPDX-License-Identifier: MIT */
/*
 * request_priv.h - what a canonical request holds; read by decision.c.
 */
#ifndef MSP_REQUEST_PRIV_H
#define MSP_REQUEST_PRIV_H

#include <msp/request.h>

/* One decoded query parameter; offsets into text. Small, because a hostile
 * target holds some 32,000 of them. */
struct msp_pair {
	uint16_t name;
	uint16_t name_len;
	uint16_t value;
	uint16_t value_len;
};
_Static_assert(MSP_TARGET_MAX + 1 <= UINT16_MAX, "offsets do not fit");

struct msp_request {
	void *block;	 /* owned; everything below points into it */
	size_t capacity; /* longest method and target it has room for */

	/* as received */
	char *method; /* NUL-terminated */
	char *target; /* NUL-terminated; '/' added where a path is missing */
	size_t path;  /* offset in target; the authority ends here or before */
	size_t path_len; /* 0: there is no path */
	bool rooted;	 /* the '/' at path was not received */
	size_t query;	 /* offset after the '?' */
	size_t query_len;
	size_t target_len;
	enum msp_form form;
	bool has_authority;
	struct msp_authority authority;

	/* canonical; only if canon is MSP_CANON_OK */
	enum msp_canon canon;
	char *text;	 /* the path, then names and values of the query */
	size_t text_len; /* of the path */
	struct msp_pair *pairs; /* sorted by name, then in order of the query */
	size_t n_pairs;
	bool slash;	 /* the raw path ends in one; shown, never matched */
	bool duplicates; /* a name occurs twice */
	bool ambiguous;	 /* a name or value is msp_canon_ambiguous() */
};

/* First pair with this name, and in *count how many there are; NULL if none. */
const struct msp_pair *msp_request_find(const struct msp_request *request,
					const char *name, size_t len,
					size_t *count);

/* The short way, for a target that is split: path, query (not sorted) and
 * slash are set if true is returned, and are as they were if not. */
bool msp_request_plain(struct msp_request *r);

/* Offset, in the target as received, of what has no canonical form; SIZE_MAX:
 * nowhere. */
size_t msp_request_place(const struct msp_request *request);

#endif
