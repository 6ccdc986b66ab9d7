/* SPDX-License-Identifier: MIT */
/*
 * In: the bytes of a configuration file. Out: its fields, one by one.
 * Must never take a key twice, nor a value that is not what it must be.
 */
#include "mspd/config_priv.h"

#include <errno.h>
#include <string.h>

#include "mspd/json_end.h"
#include "mspd/text.h"

#define DEPTH_MAX 32
/* Bytes of a key's name shown in a message. */
#define NAME_SHOWN 64

/* Only commas, colons and blanks lie between the tokens yajl reports. */
static void skip_between(struct mspd_loader *l)
{
	l->token = l->token_end;
	while (l->token < l->len &&
	       memchr(" \t\r\n\v\f,:", l->data[l->token], 8))
		l->token++;
}

static void mark_token(struct mspd_loader *l)
{
	skip_between(l);
	l->token_end = yajl_get_bytes_consumed(l->parser);
}

/* yajl turns half a surrogate pair into something else (RFC 8259 8.2). */
static bool escapes_ok(const char *at, size_t len)
{
	bool high = false;
	size_t i = 0;

	while (i < len) {
		bool low = false;
		bool is_escape =
			at[i] == '\\' && i + 5 < len && at[i + 1] == 'u';

		if (is_escape && (at[i + 2] == 'd' || at[i + 2] == 'D')) {
			char kind = at[i + 3];

			low = strchr("cdefCDEF", kind) != NULL;
			if (low != high)
				return false;
			high = strchr("89abAB", kind) != NULL;
		} else if (high) {
			return false;
		}
		i += is_escape ? 6 : at[i] == '\\' ? 2 : 1;
	}
	return !high;
}

static int check_string(struct mspd_loader *l)
{
	if (escapes_ok(l->data + l->token, l->token_end - l->token))
		return 1;
	mspd_loader_fail_at(l, l->token, "malformed \\u escape");
	return 0;
}

/* A value of the object itself; what is deeper is not ours to understand. */
static bool is_field(const struct mspd_loader *l)
{
	return l->depth == 1 && l->field && l->field->type != MSPD_FIELD_ANY;
}

static int wrong_type(struct mspd_loader *l)
{
	switch (l->field->type) {
	case MSPD_FIELD_BOOL:
		return mspd_loader_refuse(l, "must be true or false");
	case MSPD_FIELD_NUMBER:
		return mspd_loader_refuse(l, "must be a whole number");
	case MSPD_FIELD_SECONDS:
		return mspd_loader_refuse(l, "must be a number");
	default:
		return mspd_loader_refuse(l, "must be a string");
	}
}

static int top_level(struct mspd_loader *l)
{
	if (l->depth)
		return 1;
	mspd_loader_fail_at(l, l->token, "must be a JSON object");
	return 0;
}

static int on_null(void *arg)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	if (!top_level(l))
		return 0;
	if (!is_field(l))
		return 1;
	if (!(l->field->flags & MSPD_FIELD_NULL))
		return wrong_type(l);
	l->null[mspd_field_index(l->field)] = true;
	return 1;
}

static int on_boolean(void *arg, int value)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	if (!top_level(l))
		return 0;
	if (!is_field(l))
		return 1;
	if (!value && (l->field->flags & MSPD_FIELD_FALSE))
		return mspd_loader_set_text(l, "", 0);
	if (l->field->type != MSPD_FIELD_BOOL)
		return wrong_type(l);
	return mspd_loader_set_bool(l, value != 0);
}

static int on_number(void *arg, const char *at, size_t len)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	if (!top_level(l))
		return 0;
	if (!is_field(l))
		return 1;
	if (l->field->type == MSPD_FIELD_NUMBER)
		return mspd_loader_set_number(l, at, len);
	if (l->field->type == MSPD_FIELD_SECONDS)
		return mspd_loader_set_seconds(l, at, len);
	return wrong_type(l);
}

static int on_string(void *arg, const unsigned char *at, size_t len)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	if (!top_level(l) || !check_string(l))
		return 0;
	if (!is_field(l))
		return 1;
	if (l->field->type == MSPD_FIELD_NUMBER ||
	    l->field->type == MSPD_FIELD_SECONDS ||
	    l->field->type == MSPD_FIELD_BOOL)
		return wrong_type(l);
	return mspd_loader_set_text(l, (const char *)at, len);
}

static int open_nested(struct mspd_loader *l)
{
	if (is_field(l))
		return wrong_type(l);
	if (l->depth >= DEPTH_MAX) {
		mspd_loader_fail_at(l, l->token, "nested deeper than %d",
				    DEPTH_MAX);
		return 0;
	}
	l->depth++;
	return 1;
}

static int on_start_map(void *arg)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	return open_nested(l);
}

static int on_start_array(void *arg)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	return top_level(l) && open_nested(l);
}

static int on_end(void *arg)
{
	struct mspd_loader *l = arg;

	mark_token(l);
	l->depth--;
	return 1;
}

static void unknown_key(struct mspd_loader *l, const char *at, size_t len)
{
	size_t line, column;

	mspd_loader_place(l, l->token, &line, &column);
	mspd_loader_warn(l, "line %zu column %zu: unknown key \"%.*s\"", line,
			 column, (int)mspd_utf8_cut(at, len, NAME_SHOWN), at);
}

static int on_key(void *arg, const unsigned char *at, size_t len)
{
	struct mspd_loader *l = arg;
	bool *seen;

	mark_token(l);
	if (!check_string(l))
		return 0;
	if (l->depth != 1)
		return 1;
	l->field = mspd_field_find((const char *)at, len);
	if (!l->field) {
		unknown_key(l, (const char *)at, len);
		return l->rc == 0;
	}
	seen = &l->seen[mspd_field_index(l->field)];
	/* what is not looked at may be there as often as anybody likes */
	if (*seen && l->field->type != MSPD_FIELD_ANY)
		return mspd_loader_refuse(l, "given twice");
	*seen = true;
	return 1;
}

/* Where yajl stopped tells the token that has no place here, but not where a
 * malformed one begins. */
static void syntax_error(struct mspd_loader *l, size_t end)
{
	unsigned char *text;

	if (l->rc) /* the error is our own */
		return;
	text = yajl_get_error(l->parser, 0, NULL, 0);
	if (strncmp((const char *)text, "lexical", 7) == 0)
		skip_between(l);
	else
		l->token = end ? end - 1 : 0;
	mspd_loader_fail_at(l, l->token, "%.*s",
			    (int)strcspn((const char *)text, "\r\n"), text);
	yajl_free_error(l->parser, text);
}

int mspd_loader_parse(struct mspd_loader *l)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_start_map,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_start_array,
		.yajl_end_array = on_end,
	};
	yajl_status status;

	l->parser = yajl_alloc(&callbacks, NULL, l);
	if (!l->parser)
		return mspd_loader_fail(l, -ENOMEM, NULL, "no memory");
	status = yajl_parse(l->parser, (const unsigned char *)l->data, l->len);
	if (status != yajl_status_ok)
		syntax_error(l, yajl_get_bytes_consumed(l->parser));
	else if (!mspd_json_ended(l->parser))
		syntax_error(l, l->len + 1);
	yajl_free(l->parser);
	l->parser = NULL;
	return l->rc;
}
