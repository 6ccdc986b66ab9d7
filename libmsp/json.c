/* SPDX-License-Identifier: MIT */
/*
 * In: JSON text and limits. Out: an immutable tree in one block of memory, or
 * the first fault with its place. Must never recurse, nor keep a copy of a
 * text after the tree is freed.
 */
#include "libmsp/json.h"

#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "libmsp/info.h"
#include "libmsp/json_heap.h"
#include "libmsp/json_priv.h"
#include "libmsp/json_scan.h"
#include "libmsp/mem.h"

struct builder {
	struct msp_json *doc;
	const struct msp_json_limits *limits;
	struct msp_error_info *info;
	yajl_handle yajl;
	struct msp_json_value *open; /* container being filled */
	size_t base;		     /* where in the input yajl started */
	size_t cursor;		     /* end of the last token that counts */
	size_t room;		     /* values */
	size_t used;		     /* values */
	size_t text_used;
	uint32_t depth;
	const char *name; /* seen, its value is next */
	uint32_t name_len;
	uint32_t name_offset;
	int rc; /* why a callback stopped yajl */
};

static int place(const struct msp_json *doc, struct msp_error_info *info,
		 size_t offset, int rc)
{
	msp_info_place(info, doc->input, doc->input_len, offset);
	return rc;
}

/* Not a fault of one value: the pointer is that of the open container. */
static int stop(struct builder *b, int rc, size_t offset, const char *text)
{
	char pointer[256] = "";

	if (b->open && !(b->limits->flags & MSP_JSON_SECRET))
		msp_json_pointer(b->open, pointer, sizeof(pointer));
	msp_fail_at(b->info, rc, pointer, "%s", text);
	return place(b->doc, b->info, offset, rc);
}

static bool is_between(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' ||
	       c == ':';
}

/* yajl tells where a token ends. It begins after the blanks, commas and colons
 * that follow the token before: all others come through a callback. */
static size_t token_begin(const struct builder *b, size_t end)
{
	size_t at = b->cursor;

	while (at + 1 < end && is_between(b->doc->input[at]))
		at++;
	return at;
}

static size_t token_end(const struct builder *b)
{
	return b->base + yajl_get_bytes_consumed(b->yajl);
}

/* Texts are never longer than their tokens, and what separates two tokens, or
 * a string's quotes, pays for the NUL. */
static const char *keep_text(struct builder *b, const void *text, size_t len)
{
	char *copy = b->doc->texts + b->text_used;

	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	b->text_used += len + 1;
	return copy;
}

static void append(struct builder *b, struct msp_json_value *value)
{
	value->parent = b->open;
	if (!b->open)
		return;
	if (b->open->last)
		b->open->last->next = value;
	else
		b->open->first = value;
	b->open->last = value;
	b->open->count++;
	value->name = b->name;
	value->name_len = b->name_len;
	value->name_offset = b->name_offset;
	b->name = NULL;
}

static struct msp_json_value *add(struct builder *b, enum msp_json_type type)
{
	struct msp_json_value *value;
	size_t end = token_end(b);
	size_t begin = token_begin(b, end);

	if (b->used == b->room) {
		b->rc = stop(b, MSP_ERR_LIMIT, begin, "has too many values");
		return NULL;
	}
	value = &b->doc->values[b->used++];
	memset(value, 0, sizeof(*value));
	value->type = type;
	value->text = "";
	value->offset = (uint32_t)begin;
	value->end = (uint32_t)end;
	b->cursor = end;
	append(b, value);
	return value;
}

static int on_null(void *ctx)
{
	return add(ctx, MSP_JSON_NULL) != NULL;
}

static int on_boolean(void *ctx, int truth)
{
	struct msp_json_value *value = add(ctx, MSP_JSON_BOOL);

	if (!value)
		return 0;
	value->truth = truth;
	return 1;
}

static int add_text(struct builder *b, enum msp_json_type type,
		    const void *text, size_t len)
{
	struct msp_json_value *value = add(b, type);

	if (!value)
		return 0;
	value->text = keep_text(b, text, len);
	value->text_len = (uint32_t)len;
	return 1;
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return add_text(ctx, MSP_JSON_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	return add_text(ctx, MSP_JSON_STRING, text, len);
}

static int on_name(void *ctx, const unsigned char *text, size_t len)
{
	struct builder *b = ctx;
	size_t end = token_end(b);

	b->name_offset = (uint32_t)token_begin(b, end);
	b->name = keep_text(b, text, len);
	b->name_len = (uint32_t)len;
	b->cursor = end;
	return 1;
}

static int open_container(struct builder *b, enum msp_json_type type)
{
	uint32_t most = b->limits->depth ? b->limits->depth : MSP_JSON_DEPTH;
	struct msp_json_value *value;

	if (b->depth == most) {
		b->rc = stop(b, MSP_ERR_LIMIT, token_begin(b, token_end(b)),
			     "is nested too deep");
		return 0;
	}
	value = add(b, type);
	if (!value)
		return 0;
	b->open = value;
	b->depth++;
	return 1;
}

static int close_container(void *ctx)
{
	struct builder *b = ctx;

	b->cursor = token_end(b);
	b->open->end = (uint32_t)b->cursor;
	b->open = b->open->parent;
	b->depth--;
	return 1;
}

static int on_object(void *ctx)
{
	return open_container(ctx, MSP_JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return open_container(ctx, MSP_JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_name,
	.yajl_end_map = close_container,
	.yajl_start_array = on_array,
	.yajl_end_array = close_container,
};

/* yajl's short form quotes nothing of the input. */
static int refused(struct builder *b, size_t offset)
{
	unsigned char *text = yajl_get_error(b->yajl, 0, NULL, 0);
	char line[160];
	size_t len;

	len = (size_t)snprintf(line, sizeof(line), "is not JSON: %s",
			       (const char *)text);
	if (len >= sizeof(line))
		len = sizeof(line) - 1;
	if (line[len - 1] == '\n')
		line[len - 1] = '\0';
	return stop(b, MSP_ERR_SYNTAX, offset, line);
}

static int run_yajl(struct builder *b)
{
	const char *text = b->doc->input + b->base;
	size_t len = b->doc->input_len - b->base;
	yajl_status status;

	status = yajl_parse(b->yajl, (const unsigned char *)text, len);
	if (status == yajl_status_client_canceled)
		return b->rc;
	if (status != yajl_status_ok)
		return refused(b, token_begin(b, token_end(b)));
	/* a number at the very end is only complete now, seen from another
	 * text: then offsets mean nothing, but the root is no object anyway */
	status = yajl_complete_parse(b->yajl);
	if (status == yajl_status_client_canceled)
		return b->rc;
	if (status != yajl_status_ok)
		return refused(b, b->doc->input_len);
	return 0;
}

static int run_in(struct msp_json_heap *heap, struct builder *b)
{
	if (setjmp(heap->no_memory))
		return msp_fail(b->info, MSP_ERR_NOMEM, "out of memory");
	b->yajl = yajl_alloc(&callbacks, &heap->funcs, b);
	return run_yajl(b);
}

static int build(struct builder *b)
{
	struct msp_json_heap heap;
	int rc;

	msp_json_heap_open(&heap);
	rc = run_in(&heap, b);
	msp_json_heap_close(&heap);
	if (rc == 0)
		rc = msp_json_expect(&b->doc->values[0], MSP_JSON_OBJECT,
				     b->info);
	return rc;
}

/* header, values and texts in one block */
static struct msp_json *new_doc(size_t values, const char *text, size_t len)
{
	const size_t each = sizeof(struct msp_json_value);
	struct msp_json *doc;
	size_t size;

	if (len > SIZE_MAX / 2 - sizeof(*doc) - 1)
		return NULL;
	size = sizeof(*doc) + len + 1;
	if (values > (SIZE_MAX - size) / each)
		return NULL;
	size += values * each;
	doc = msp_mem_alloc(size);
	if (!doc)
		return NULL;
	doc->size = size;
	doc->input = text;
	doc->input_len = len;
	doc->texts = (char *)(doc->values + values);
	return doc;
}

/* Offset of the document in the text: past the byte order mark, if allowed. */
static int skip_bom(size_t *start, const char *text, size_t len,
		    const struct msp_json_limits *limits,
		    struct msp_error_info *info)
{
	static const char bom[] = "\xef\xbb\xbf";

	*start = 0;
	if (len < 3 || memcmp(text, bom, 3) != 0)
		return 0;
	if (limits->flags & MSP_JSON_BOM) {
		*start = 3;
		return 0;
	}
	msp_fail(info, MSP_ERR_SYNTAX, "starts with a byte order mark");
	msp_info_place(info, text, len, 0);
	return MSP_ERR_SYNTAX;
}

int msp_json_parse(struct msp_json **out, const char *text, size_t len,
		   const struct msp_json_limits *limits,
		   struct msp_error_info *info)
{
	struct builder b = { .limits = limits, .info = info };
	size_t tokens;
	int rc;

	*out = NULL;
	if (!text || limits->depth > MSP_JSON_DEPTH_MAX)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	if (len > limits->bytes || len > UINT32_MAX)
		return msp_fail(info, MSP_ERR_LIMIT,
				"has %zu bytes, at most %zu are read", len,
				limits->bytes);
	rc = skip_bom(&b.base, text, len, limits, info);
	if (rc < 0)
		return rc;
	rc = msp_json_scan(&tokens, text, len, b.base, info);
	if (rc < 0)
		return rc;

	b.cursor = b.base;
	b.room = tokens < limits->values ? tokens : limits->values;
	b.doc = new_doc(b.room, text, len);
	if (!b.doc)
		return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	rc = build(&b);
	if (rc < 0) {
		msp_json_free(b.doc);
		return rc;
	}
	*out = b.doc;
	return 0;
}

void msp_json_free(struct msp_json *doc)
{
	if (!doc)
		return;
	msp_mem_wipe(doc, doc->size);
	msp_mem_free(doc);
}
