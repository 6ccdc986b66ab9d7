/* SPDX-License-Identifier: MIT */
/*
 * json.h - what the host does to JSON it was given.
 */
#ifndef HOST_JSON_H
#define HOST_JSON_H

#include "base/text.h"

#include <yajl/yajl_tree.h>

/** Depth of a document at most: the tree is freed by recursion. */
#define JSON_DEPTH_MAX 64

/* A document as a tree, free with yajl_tree_free(); NULL and a sentence in
 * error (optional) if it is none, too deep, or memory is short. */
yajl_val json_tree(const char *json, size_t len, struct buf *error);
/* A member of an object, letter case of its name ignored as in ARM; NULL if
 * node is NULL, not an object, or has none. */
yajl_val json_member(yajl_val node, const char *name);
/* The text of a string, or NULL. Borrowed. */
const char *json_string(yajl_val node);
/* A tree as compact JSON. */
void json_write(struct buf *out, yajl_val node);

/* One rule item as the wire has it: compact, the words of mode and
 * defaultAccess in lower case; with mode, that mode instead of its own.
 * False if it is not JSON or memory is short. */
bool json_item(struct buf *out, const char *json, size_t len, const char *mode);

/* Value of a top-level string field; false if it is not there. */
bool json_field(struct buf *out, const char *json, size_t len,
		const char *name);

#endif
