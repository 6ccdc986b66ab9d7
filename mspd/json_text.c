/* SPDX-License-Identifier: MIT */
/*
 * In: what a generator of JSON prints. Out: one text. Must never give away a
 * part of it, nor end the process for want of memory.
 */
#include "mspd/json_text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 4096

/* ---- what yajl allocates ------------------------------------------------ */

static void *take(void *ctx, size_t size)
{
	const size_t unit = _Alignof(max_align_t);
	struct mspd_json_text *text = ctx;
	void *at = text->own + text->used;

	size = (size + unit - 1) / unit * unit;
	if (size > sizeof(text->own) - text->used)
		return NULL;
	text->used += size;
	return at;
}

/* For its own buffer, which is not used. */
static void *take_more(void *ctx, void *at, size_t size)
{
	(void)at;
	return take(ctx, size);
}

static void give(void *ctx, void *at)
{
	(void)ctx;
	(void)at;
}

/* ---- what it prints ----------------------------------------------------- */

static bool make_room(struct mspd_json_text *text, size_t len)
{
	size_t room = text->room ? text->room : LEAST;
	char *at;

	if (text->room - text->len >= len)
		return true;
	while (room - text->len < len && room <= SIZE_MAX / 2)
		room *= 2;
	at = room - text->len < len ? NULL : realloc(text->at, room);
	if (!at)
		return false;
	text->at = at;
	text->room = room;
	return true;
}

static void print(void *ctx, const char *at, size_t len)
{
	struct mspd_json_text *text = ctx;

	text->failed = text->failed || !make_room(text, len);
	if (text->failed || !len)
		return;
	memcpy(text->at + text->len, at, len);
	text->len += len;
}

/* ---- public ------------------------------------------------------------- */

int mspd_json_text_open(struct mspd_json_text *text)
{
	yajl_alloc_funcs funcs = { take, take_more, give, text };

	memset(text, 0, sizeof(*text));
	text->gen = yajl_gen_alloc(&funcs);
	if (!text->gen ||
	    !yajl_gen_config(text->gen, yajl_gen_print_callback, print, text))
		return -ENOMEM;
	return 0;
}

int mspd_json_text_take(struct mspd_json_text *text, const char *end,
			char **out, size_t *len)
{
	while (text->len && text->at[text->len - 1] == '\n')
		text->len--;
	print(text, end, strlen(end) + 1);
	if (text->failed)
		return -ENOMEM;
	*out = text->at;
	*len = text->len - 1;
	text->at = NULL;
	text->len = text->room = 0;
	return 0;
}

void mspd_json_text_close(struct mspd_json_text *text)
{
	if (text->gen)
		yajl_gen_free(text->gen);
	free(text->at);
	text->gen = NULL;
	text->at = NULL;
}
