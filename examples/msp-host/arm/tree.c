/* SPDX-License-Identifier: MIT */
/*
 * In:  a body, two trees.
 * Out: a tree without doubtful members, a merged document.
 * Never: recurses deeper than JSON_DEPTH_MAX, which json_tree() saw to.
 */
#include "arm/tree.h"

#include <string.h>
#include <strings.h>

bool tree_has(yajl_val node)
{
	return node && !YAJL_IS_NULL(node);
}

/* One reader takes the first of two, another the last. Names that differ in
 * letter case alone are for the reader of the place to refuse: in tags and
 * query parameters they are content. */
static bool check_object(yajl_val node, struct refusal *r)
{
	size_t i, j;

	if (node->u.object.len > TREE_MEMBERS_MAX)
		return refuse(r, 400, "InvalidRequestContent",
			      "The request content was invalid: an object has "
			      "more than %d members.",
			      TREE_MEMBERS_MAX);
	for (i = 1; i < node->u.object.len; i++)
		for (j = 0; j < i; j++)
			if (!strcmp(node->u.object.keys[i],
				    node->u.object.keys[j]))
				return refuse(r, 400, "InvalidRequestContent",
					      "The request content was "
					      "invalid: property '%s' is "
					      "given twice.",
					      node->u.object.keys[i]);
	return true;
}

static bool check(yajl_val node, struct refusal *r)
{
	size_t i;

	if (YAJL_IS_ARRAY(node)) {
		for (i = 0; i < node->u.array.len; i++)
			if (!check(node->u.array.values[i], r))
				return false;
	} else if (YAJL_IS_OBJECT(node)) {
		if (!check_object(node, r))
			return false;
		for (i = 0; i < node->u.object.len; i++)
			if (!check(node->u.object.values[i], r))
				return false;
	}
	return true;
}

static bool is_shallow(yajl_val node, unsigned int depth)
{
	size_t i, n = 0;
	yajl_val *values = NULL;

	if (YAJL_IS_ARRAY(node)) {
		n = node->u.array.len;
		values = node->u.array.values;
	} else if (YAJL_IS_OBJECT(node)) {
		n = node->u.object.len;
		values = node->u.object.values;
	}
	for (i = 0; i < n; i++)
		if (!is_shallow(values[i], depth + 1))
			return false;
	return depth <= TREE_DEPTH_MAX;
}

bool tree_is_shallow(yajl_val node)
{
	return is_shallow(node, 1);
}

yajl_val tree_body(const struct call *call, struct refusal *r)
{
	struct buf why = { 0 };
	yajl_val tree;

	tree = json_tree(call->body.data ? call->body.data : "", call->body.len,
			 &why);
	if (!tree)
		refuse(r, 400, "InvalidRequestContent",
		       "The request content was invalid and could not be "
		       "deserialized: '%s'.",
		       why.failed || !why.data ? "" : why.data);
	else if (!YAJL_IS_OBJECT(tree))
		refuse(r, 400, "InvalidRequestContent",
		       "The request content was invalid and could not be "
		       "deserialized: 'it is not an object'.");
	else if (!tree_is_shallow(tree))
		refuse(r, 400, "InvalidRequestContent",
		       "The request content was invalid: it is nested too "
		       "deeply.");
	else
		check(tree, r);
	buf_clear(&why);
	if (!r->status)
		return tree;
	yajl_tree_free(tree);
	return NULL;
}

static void merge_object(struct buf *out, yajl_val base, yajl_val patch)
{
	size_t i, n = 0;

	buf_text(out, "{");
	for (i = 0; base && i < base->u.object.len; i++) {
		const char *name = base->u.object.keys[i];
		yajl_val given = json_member(patch, name);

		if (given && YAJL_IS_NULL(given))
			continue;
		buf_text(out, n++ ? "," : "");
		buf_json_utf8(out, name);
		buf_text(out, ":");
		if (given)
			tree_merge(out, base->u.object.values[i], given);
		else
			json_write(out, base->u.object.values[i]);
	}
	for (i = 0; i < patch->u.object.len; i++) {
		const char *name = patch->u.object.keys[i];

		if (json_member(base, name) ||
		    YAJL_IS_NULL(patch->u.object.values[i]))
			continue;
		buf_text(out, n++ ? "," : "");
		buf_json_utf8(out, name);
		buf_text(out, ":");
		tree_merge(out, NULL, patch->u.object.values[i]);
	}
	buf_text(out, "}");
}

void tree_merge(struct buf *out, yajl_val base, yajl_val patch)
{
	if (!patch)
		json_write(out, base);
	else if (!YAJL_IS_OBJECT(patch))
		json_write(out, patch);
	else
		merge_object(out, YAJL_IS_OBJECT(base) ? base : NULL, patch);
}

bool tree_merge_texts(struct buf *out, const struct buf *base,
		      const struct buf *patch)
{
	yajl_val a = json_tree(base->len ? base->data : "{}",
			       base->len ? base->len : 2, NULL);
	yajl_val b = json_tree(patch->len ? patch->data : "{}",
			       patch->len ? patch->len : 2, NULL);
	bool ok = a && b;

	if (ok)
		tree_merge(out, a, b);
	yajl_tree_free(a);
	yajl_tree_free(b);
	return ok && !out->failed;
}
