/* SPDX-License-Identifier: MIT */
/*
 * In: members and texts, one after the other. Out: a JSON text. Must never
 * write what is not JSON, nor more than was allowed.
 */
#include "libmsp/profile_writer.h"

#include <string.h>

#include "libmsp/mem.h"

static bool make_room(struct msp_writer *w, size_t more)
{
	size_t room = w->room ? w->room : 1024;
	char *text;

	if (more > SIZE_MAX / 4 || w->len > SIZE_MAX / 4)
		return false;
	while (room - w->len <= more) /* a NUL follows */
		room *= 2;
	if (w->text && room == w->room)
		return true;
	text = msp_mem_realloc(w->text, room);
	if (!text)
		return false;
	w->text = text;
	w->room = room;
	return true;
}

static void put(void *ctx, const char *text, size_t len)
{
	struct msp_writer *w = ctx;

	if (w->rc < 0)
		return;
	if (w->limit && len > w->limit - w->len) {
		w->rc = MSP_ERR_LIMIT;
		return;
	}
	if (!make_room(w, len)) {
		w->rc = MSP_ERR_NOMEM;
		return;
	}
	memcpy(w->text + w->len, text, len);
	w->len += len;
	w->text[w->len] = '\0';
}

static void check(struct msp_writer *w, yajl_gen_status status)
{
	if (status != yajl_gen_status_ok && w->rc == 0)
		w->rc = MSP_ERR_INVAL;
}

static void put_string(struct msp_writer *w, const char *text, size_t len)
{
	check(w, yajl_gen_string(w->gen, (const unsigned char *)text, len));
}

static void put_name(struct msp_writer *w, const char *name)
{
	if (name)
		put_string(w, name, strlen(name));
}

void msp_writer_word(struct msp_writer *w, const char *name, const char *text)
{
	put_name(w, name);
	put_string(w, text, strlen(text));
}

void msp_writer_text(struct msp_writer *w, const char *text, size_t len)
{
	char *escaped;

	if (!w->escape || len < 2 || text[0] != '[' || text[len - 1] != ']') {
		put_string(w, text, len);
		return;
	}
	escaped = msp_json_heap_take(w->heap, len + 1);
	escaped[0] = '[';
	memcpy(escaped + 1, text, len);
	put_string(w, escaped, len + 1);
}

void msp_writer_string(struct msp_writer *w, const char *name, const char *text,
		       size_t len)
{
	put_name(w, name);
	msp_writer_text(w, text, len);
}

void msp_writer_open(struct msp_writer *w, const char *name, bool array)
{
	put_name(w, name);
	check(w,
	      array ? yajl_gen_array_open(w->gen) : yajl_gen_map_open(w->gen));
}

void msp_writer_close(struct msp_writer *w, bool array)
{
	check(w, array ? yajl_gen_array_close(w->gen)
		       : yajl_gen_map_close(w->gen));
}

void msp_writer_bool(struct msp_writer *w, const char *name, bool value)
{
	put_name(w, name);
	check(w, yajl_gen_bool(w->gen, value));
}

bool msp_writer_open_some(struct msp_writer *w, const char *name, bool array,
			  size_t n)
{
	if (n > 0) {
		msp_writer_open(w, name, array);
		return true;
	}
	put_name(w, name);
	check(w, yajl_gen_number(w->gen, array ? "[]" : "{}", 2));
	return false;
}

static int run_in(struct msp_writer *w, bool compact,
		  void (*fill)(struct msp_writer *w, const void *arg),
		  const void *arg)
{
	if (setjmp(w->heap->no_memory))
		return MSP_ERR_NOMEM;
	w->gen = yajl_gen_alloc(&w->heap->funcs);
	yajl_gen_config(w->gen, yajl_gen_print_callback, put, w);
	yajl_gen_config(w->gen, yajl_gen_validate_utf8, 1);
	yajl_gen_config(w->gen, yajl_gen_beautify, compact ? 0 : 1);
	yajl_gen_config(w->gen, yajl_gen_indent_string, "  ");
	fill(w, arg);
	return w->rc;
}

int msp_writer_run(struct msp_writer *w, bool compact,
		   void (*fill)(struct msp_writer *w, const void *arg),
		   const void *arg)
{
	struct msp_json_heap heap;
	int rc;

	msp_json_heap_open(&heap);
	w->heap = &heap;
	rc = run_in(w, compact, fill, arg);
	w->heap = NULL;
	msp_json_heap_close(&heap);
	return rc;
}
