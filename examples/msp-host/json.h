/* SPDX-License-Identifier: MIT */
/*
 * json.h - the two things the host does to JSON it was given.
 */
#ifndef HOST_JSON_H
#define HOST_JSON_H

#include "text.h"

/* One rule item as the wire has it: compact, the words of mode and
 * defaultAccess in lower case; with mode, that mode instead of its own.
 * False if it is not JSON or memory is short. */
bool json_item(struct buf *out, const char *json, size_t len, const char *mode);

/* Value of a top-level string field; false if it is not there. */
bool json_field(struct buf *out, const char *json, size_t len,
		const char *name);

#endif
