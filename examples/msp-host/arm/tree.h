/* SPDX-License-Identifier: MIT */
/*
 * tree.h - JSON that came from outside: read with what ARM minds, and merged.
 */
#ifndef HOST_ARM_TREE_H
#define HOST_ARM_TREE_H

#include "arm/refusal.h"
#include "base/json.h"

/** Members of one object at most: some work grows with their square. */
#define TREE_MEMBERS_MAX 256
/** Depth of a body at most: the state file has it inside other objects. */
#define TREE_DEPTH_MAX 32

/* The body of a call, an object; owned. NULL and refused if it is none, an
 * object has a member twice, or too many. */
yajl_val tree_body(const struct call *call, struct refusal *r);
/* Is it there, and not null? */
bool tree_has(yajl_val node);
/* Not deeper than TREE_DEPTH_MAX? NULL is not. */
bool tree_is_shallow(yajl_val node);
/* RFC 7396: base with what patch gives; a null takes away. Names that differ
 * in letter case are one, spelled as base does. Either may be NULL. */
void tree_merge(struct buf *out, yajl_val base, yajl_val patch);
/* The same for texts, where base is {} if it is empty; false: no memory. */
bool tree_merge_texts(struct buf *out, const struct buf *base,
		      const struct buf *patch);

#endif
