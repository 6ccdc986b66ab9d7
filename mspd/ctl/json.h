/* SPDX-License-Identifier: MIT */
/*
 * json.h - members of a JSON document of which any may be absent, or of
 * another type.
 */
#ifndef MSPD_CTL_JSON_H
#define MSPD_CTL_JSON_H

#include <yajl/yajl_tree.h>

#include "mspd/ctl/ctl.h"

/** Objects and arrays within one another. */
#define CTL_JSON_DEPTH 16
/** Largest number: no program reads it as another one, and some of them can be
 * added up. */
#define CTL_JSON_MOST ((int64_t)1 << 53)

/* An object, or NULL; free with yajl_tree_free(). */
yajl_val ctl_json_parse(const char *text, size_t len);

/* All of these take NULL for @from. NULL or false: it is not there, or is
 * something else; borrowed. */
yajl_val ctl_json_get(yajl_val from, const char *name);
const char *ctl_json_text(yajl_val from, const char *name);
bool ctl_json_number(yajl_val from, const char *name, int64_t *out);
bool ctl_json_true(yajl_val from, const char *name);

/* Of an array; and of anything else, 0 and NULL. */
size_t ctl_json_length(yajl_val array);
yajl_val ctl_json_at(yajl_val array, size_t i);

#endif
