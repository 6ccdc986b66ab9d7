/* SPDX-License-Identifier: MIT */
/*
 * In:  JSON documents, rule items already accepted by msp_profile_read().
 * Out: the same item in wire form, one field, or a tree.
 * Never: recurses deeper than JSON_DEPTH_MAX.
 */
#include "base/json.h"

#include <ctype.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

/* Depth at which the generator gives up anyway. */
#define DEPTH_MAX JSON_DEPTH_MAX

enum key { KEY_OTHER, KEY_MODE, KEY_ACCESS };

/**
 * struct rewrite - one pass over an item
 * @gen:   what it is written to
 * @mode:  replaces the item's own mode, or NULL
 * @depth: open objects and arrays
 * @key:   top-level key the next value belongs to
 */
struct rewrite {
	yajl_gen gen;
	const char *mode;
	unsigned int depth;
	enum key key;
};

static int fine(yajl_gen_status status)
{
	return status == yajl_gen_status_ok;
}

static int on_null(void *ctx)
{
	struct rewrite *r = ctx;

	return fine(yajl_gen_null(r->gen));
}

static int on_boolean(void *ctx, int value)
{
	struct rewrite *r = ctx;

	return fine(yajl_gen_bool(r->gen, value));
}

static int on_number(void *ctx, const char *text, size_t len)
{
	struct rewrite *r = ctx;

	return fine(yajl_gen_number(r->gen, text, len));
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct rewrite *r = ctx;
	unsigned char lower[32];
	size_t i;

	if (r->depth != 1 || r->key == KEY_OTHER || len > sizeof(lower))
		return fine(yajl_gen_string(r->gen, text, len));
	if (r->key == KEY_MODE && r->mode)
		return fine(yajl_gen_string(r->gen,
					    (const unsigned char *)r->mode,
					    strlen(r->mode)));
	for (i = 0; i < len; i++)
		lower[i] = (unsigned char)tolower(text[i]);
	return fine(yajl_gen_string(r->gen, lower, len));
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct rewrite *r = ctx;

	if (r->depth == 1) {
		r->key = KEY_OTHER;
		if (text_equal((const char *)text, len, "mode"))
			r->key = KEY_MODE;
		else if (text_equal((const char *)text, len, "defaultAccess"))
			r->key = KEY_ACCESS;
	}
	return fine(yajl_gen_string(r->gen, text, len));
}

static int on_map(void *ctx)
{
	struct rewrite *r = ctx;

	return ++r->depth < DEPTH_MAX && fine(yajl_gen_map_open(r->gen));
}

static int on_map_end(void *ctx)
{
	struct rewrite *r = ctx;

	r->depth--;
	return fine(yajl_gen_map_close(r->gen));
}

static int on_array(void *ctx)
{
	struct rewrite *r = ctx;

	return ++r->depth < DEPTH_MAX && fine(yajl_gen_array_open(r->gen));
}

static int on_array_end(void *ctx)
{
	struct rewrite *r = ctx;

	r->depth--;
	return fine(yajl_gen_array_close(r->gen));
}

static const yajl_callbacks rewrite_calls = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_array_end,
};

static bool parse(const yajl_callbacks *calls, void *ctx, const char *json,
		  size_t len)
{
	yajl_handle h = yajl_alloc(calls, NULL, ctx);
	bool ok;

	if (!h)
		return false;
	ok = yajl_parse(h, (const unsigned char *)json, len) ==
		     yajl_status_ok &&
	     yajl_complete_parse(h) == yajl_status_ok;
	yajl_free(h);
	return ok;
}

bool json_item(struct buf *out, const char *json, size_t len, const char *mode)
{
	struct rewrite r = { .mode = mode };
	const unsigned char *text;
	size_t n;
	bool ok;

	r.gen = yajl_gen_alloc(NULL);
	if (!r.gen)
		return false;
	ok = parse(&rewrite_calls, &r, json, len) &&
	     fine(yajl_gen_get_buf(r.gen, &text, &n));
	if (ok)
		buf_add(out, text, n);
	yajl_gen_free(r.gen);
	return ok && !out->failed;
}

/**
 * struct pick - search for one field
 * @name:  wanted
 * @out:   gets the value
 * @depth: open objects and arrays
 * @next:  the next value is the wanted one
 * @found: it was a string
 */
struct pick {
	const char *name;
	struct buf *out;
	unsigned int depth;
	bool next;
	bool found;
};

static int pick_open(void *ctx)
{
	struct pick *p = ctx;

	p->next = false;
	return ++p->depth < DEPTH_MAX;
}

static int pick_close(void *ctx)
{
	struct pick *p = ctx;

	p->depth--;
	return 1;
}

static int pick_key(void *ctx, const unsigned char *text, size_t len)
{
	struct pick *p = ctx;

	p->next = p->depth == 1 && !p->found &&
		  text_equal((const char *)text, len, p->name);
	return 1;
}

static int pick_string(void *ctx, const unsigned char *text, size_t len)
{
	struct pick *p = ctx;

	if (p->next) {
		buf_add(p->out, text, len);
		p->found = true;
	}
	p->next = false;
	return 1;
}

static const yajl_callbacks pick_calls = {
	.yajl_string = pick_string,
	.yajl_start_map = pick_open,
	.yajl_map_key = pick_key,
	.yajl_end_map = pick_close,
	.yajl_start_array = pick_open,
	.yajl_end_array = pick_close,
};

bool json_field(struct buf *out, const char *json, size_t len, const char *name)
{
	struct pick p = { .name = name, .out = out };

	return parse(&pick_calls, &p, json, len) && p.found && !out->failed;
}

/**
 * struct depth - what a tree could not hold
 * @now:      open objects and arrays
 * @too_deep: more than JSON_DEPTH_MAX
 * @nul:      a NUL in a text, which a C string would cut
 */
struct depth {
	unsigned int now;
	bool too_deep;
	bool nul;
};

static int depth_open(void *ctx)
{
	struct depth *d = ctx;

	d->too_deep = ++d->now > JSON_DEPTH_MAX;
	return !d->too_deep;
}

static int depth_close(void *ctx)
{
	struct depth *d = ctx;

	d->now--;
	return 1;
}

static int depth_text(void *ctx, const unsigned char *text, size_t len)
{
	struct depth *d = ctx;

	d->nul = len && memchr(text, 0, len);
	return !d->nul;
}

static const yajl_callbacks depth_calls = {
	.yajl_string = depth_text,
	.yajl_map_key = depth_text,
	.yajl_start_map = depth_open,
	.yajl_end_map = depth_close,
	.yajl_start_array = depth_open,
	.yajl_end_array = depth_close,
};

static yajl_val read_tree(const char *json, size_t len)
{
	struct buf text = { 0 };
	yajl_val tree = NULL;
	char why[128];

	buf_add(&text, json, len); /* its parser wants a C string */
	if (!text.failed)
		tree = yajl_tree_parse(text.data, why, sizeof(why));
	buf_clear(&text);
	return tree;
}

yajl_val json_tree(const char *json, size_t len, struct buf *error)
{
	struct depth depth = { 0 };
	const char *why = NULL;
	yajl_val tree = NULL;
	bool good;

	good = len && parse(&depth_calls, &depth, json, len);
	if (depth.too_deep)
		why = "it is nested too deeply";
	else if (depth.nul)
		why = "a text in it has a NUL";
	else if (!good)
		why = "it is not JSON";
	else
		tree = read_tree(json, len);
	if (!tree && error)
		buf_text(error, why ? why : "out of memory");
	return tree;
}

yajl_val json_member(yajl_val node, const char *name)
{
	size_t i;

	if (!YAJL_IS_OBJECT(node))
		return NULL;
	for (i = 0; i < node->u.object.len; i++) {
		const char *key = node->u.object.keys[i];

		if (text_equal_nocase(key, strlen(key), name))
			return node->u.object.values[i];
	}
	return NULL;
}

const char *json_string(yajl_val node)
{
	return YAJL_GET_STRING(node);
}

static void write_object(struct buf *out, yajl_val node)
{
	size_t i;

	buf_text(out, "{");
	for (i = 0; i < node->u.object.len; i++) {
		const char *key = node->u.object.keys[i];

		buf_text(out, i ? "," : "");
		buf_json_utf8(out, key);
		buf_text(out, ":");
		json_write(out, node->u.object.values[i]);
	}
	buf_text(out, "}");
}

static void write_array(struct buf *out, yajl_val node)
{
	size_t i;

	buf_text(out, "[");
	for (i = 0; i < node->u.array.len; i++) {
		buf_text(out, i ? "," : "");
		json_write(out, node->u.array.values[i]);
	}
	buf_text(out, "]");
}

void json_write(struct buf *out, yajl_val node)
{
	if (YAJL_IS_OBJECT(node))
		write_object(out, node);
	else if (YAJL_IS_ARRAY(node))
		write_array(out, node);
	else if (YAJL_IS_STRING(node))
		buf_json_utf8(out, json_string(node));
	else if (YAJL_IS_NUMBER(node))
		buf_text(out, YAJL_GET_NUMBER(node));
	else if (YAJL_IS_TRUE(node))
		buf_text(out, "true");
	else if (YAJL_IS_FALSE(node))
		buf_text(out, "false");
	else
		buf_text(out, "null");
}
