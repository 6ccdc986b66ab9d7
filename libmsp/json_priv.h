/* SPDX-License-Identifier: MIT */
/*
 * json_priv.h - the tree, for the reader that builds it and nobody else.
 */
#ifndef MSP_JSON_PRIV_H
#define MSP_JSON_PRIV_H

#include "libmsp/json.h"

struct msp_json_value {
	struct msp_json_value *parent; /* NULL: the root */
	struct msp_json_value *next;   /* sibling */
	struct msp_json_value *first;  /* child */
	struct msp_json_value *last;   /* child */
	const char *name;	       /* of a member, else NULL */
	const char *text;	       /* string or number, else "" */
	uint32_t name_len;	       /* bytes, like all below */
	uint32_t name_offset;	       /* in the input, of the opening quote */
	uint32_t text_len;
	uint32_t offset; /* in the input */
	uint32_t end;	 /* in the input, first byte after */
	uint32_t count;	 /* of children */
	enum msp_json_type type;
	bool truth;
};

struct msp_json {
	size_t size;	   /* of this block, for wiping */
	const char *input; /* borrowed */
	size_t input_len;
	char *texts;			/* part of this block */
	struct msp_json_value values[]; /* in document order, [0] is the root */
};

#endif
