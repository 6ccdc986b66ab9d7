/* SPDX-License-Identifier: MIT */
/*
 * splice.h - one member of a JSON text replaced or removed, and every other
 * byte left as it is.
 *
 * Works on the text and not on a tree: the document may be a key, and a tree
 * would leave copies of it in memory.
 */
#ifndef HOST_FAULT_SPLICE_H
#define HOST_FAULT_SPLICE_H

#include "base/text.h"

/**
 * struct span - where a member is
 * @start: first byte of its value
 * @end:   behind the value
 * @from:  first byte to remove, if it is removed: name and a comma included
 * @to:    behind the last one
 */
struct span {
	size_t start;
	size_t end;
	size_t from;
	size_t to;
};

/* By names with dots between them, elements of an array by number:
 * "authorizationRules.imds.rules.roles.0.name". */
bool splice_find(const struct buf *json, const char *path, struct span *out);
/* The member of the document itself behind this one, the first if it is all
 * 0; @to is not set. One step costs that member only, however many there are.
 */
bool splice_next(const struct buf *json, struct span *span);
/* Bytes from to to become text. */
void splice(struct buf *json, size_t from, size_t to, const char *text);

#endif
