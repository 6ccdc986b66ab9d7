/* SPDX-License-Identifier: MIT */
/*
 * In: a JSON text. Out: its members. Must never nest so deeply that the stack
 * does not suffice.
 */
#include "mspd/ctl/json.h"

#include <string.h>

/* What begins with a bracket and is not within a string; the parser looks at
 * everything else. */
static bool too_deep(const char *text, size_t len)
{
	unsigned int depth = 0;
	bool in_string = false;
	size_t i;

	for (i = 0; i < len; i++) {
		const char c = text[i];

		if (c == '"')
			in_string = !in_string;
		else if (in_string && c == '\\')
			i++;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth)
			depth--;
		if (depth > CTL_JSON_DEPTH)
			return true;
	}
	return false;
}

yajl_val ctl_json_parse(const char *text, size_t len)
{
	char error[256];
	yajl_val tree;

	if (!text || memchr(text, '\0', len) || too_deep(text, len))
		return NULL;
	tree = yajl_tree_parse(text, error, sizeof(error));
	if (tree && YAJL_IS_OBJECT(tree))
		return tree;
	yajl_tree_free(tree);
	return NULL;
}

yajl_val ctl_json_get(yajl_val from, const char *name)
{
	size_t i;

	if (!from || !YAJL_IS_OBJECT(from))
		return NULL;
	for (i = 0; i < from->u.object.len; i++)
		if (!strcmp(from->u.object.keys[i], name))
			return from->u.object.values[i];
	return NULL;
}

const char *ctl_json_text(yajl_val from, const char *name)
{
	yajl_val value = ctl_json_get(from, name);

	return value && YAJL_IS_STRING(value) ? YAJL_GET_STRING(value) : NULL;
}

bool ctl_json_number(yajl_val from, const char *name, int64_t *out)
{
	yajl_val value = ctl_json_get(from, name);

	if (!value || !YAJL_IS_INTEGER(value) ||
	    YAJL_GET_INTEGER(value) > CTL_JSON_MOST ||
	    YAJL_GET_INTEGER(value) < -CTL_JSON_MOST)
		return false;
	*out = YAJL_GET_INTEGER(value);
	return true;
}

bool ctl_json_true(yajl_val from, const char *name)
{
	yajl_val value = ctl_json_get(from, name);

	return value && YAJL_IS_TRUE(value);
}

size_t ctl_json_length(yajl_val array)
{
	return array && YAJL_IS_ARRAY(array) ? array->u.array.len : 0;
}

yajl_val ctl_json_at(yajl_val array, size_t i)
{
	return i < ctl_json_length(array) ? array->u.array.values[i] : NULL;
}
