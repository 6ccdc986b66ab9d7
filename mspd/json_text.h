/* SPDX-License-Identifier: MIT */
/*
 * json_text.h - a JSON text in memory. What yajl allocates itself it does not
 * look at: without memory that ends the process. This one has none of its own,
 * and fails as a whole.
 */
#ifndef MSPD_JSON_TEXT_H
#define MSPD_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <yajl/yajl_gen.h>

/** What a generator of yajl's needs for itself, with some to spare. */
#define MSPD_JSON_TEXT_YAJL 2048

/**
 * struct mspd_json_text - under construction; must not be moved
 * @gen:    for yajl_gen_...() and mspd_json_put()
 * @len:    bytes so far
 * @failed: there was no memory; nothing is taken any more
 */
struct mspd_json_text {
	yajl_gen gen;
	size_t len;
	bool failed;
	char *at; /* owned */
	size_t room;
	size_t used; /* of own */
	_Alignas(max_align_t) char own[MSPD_JSON_TEXT_YAJL];
};

/* 0 or -ENOMEM; close it in each case. */
int mspd_json_text_open(struct mspd_json_text *text);

/* The text with @end behind it instead of line breaks, and a NUL that does not
 * count. 0 or -ENOMEM; @out: to be freed by the caller. */
int mspd_json_text_take(struct mspd_json_text *text, const char *end,
			char **out, size_t *len);

void mspd_json_text_close(struct mspd_json_text *text);

#endif
