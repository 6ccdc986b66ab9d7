/* SPDX-License-Identifier: MIT */
/*
 * In:  a JSON text, which member.
 * Out: where it is, or the text with something else in its place.
 * Never: trusts that the text is JSON, recurses, or keeps a copy of it.
 */
#include "fault/splice.h"

#include <string.h>

static size_t skip_blank(const struct buf *b, size_t at)
{
	while (at < b->len && strchr(" \t\r\n", b->data[at]) && b->data[at])
		at++;
	return at;
}

/* Behind the string that begins here. */
static size_t skip_string(const struct buf *b, size_t at)
{
	for (at++; at < b->len; at++) {
		if (b->data[at] == '\\')
			at++;
		else if (b->data[at] == '"')
			return at + 1;
	}
	return b->len;
}

static size_t skip_value(const struct buf *b, size_t at)
{
	size_t depth = 0;

	while (at < b->len) {
		char c = b->data[at];

		if (c == '"') {
			at = skip_string(b, at);
			if (!depth)
				return at;
			continue;
		}
		if (!depth && (c == ',' || c == '}' || c == ']' ||
			       skip_blank(b, at) > at))
			return at;
		at++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && !--depth)
			return at;
	}
	return at;
}

/* With a comma, so that what is left is still a list. */
static void find_edges(const struct buf *b, struct span *s, size_t first,
		       size_t comma)
{
	size_t after = skip_blank(b, s->end);

	s->from = first;
	s->to = s->end;
	if (after < b->len && b->data[after] == ',')
		s->to = skip_blank(b, after + 1);
	else if (comma)
		s->from = comma;
}

/* The member that begins at at or behind blanks there: s->from is its key's
 * first byte, if it has one, and key_end is behind the key. */
static bool read_member(const struct buf *b, size_t at, bool object,
			struct span *s, size_t *key_end)
{
	at = skip_blank(b, at);
	s->from = *key_end = at;
	if (object && at < b->len && b->data[at] == '"') {
		*key_end = skip_string(b, at);
		at = skip_blank(b, *key_end);
		if (at >= b->len || b->data[at] != ':')
			return false;
		at = skip_blank(b, at + 1);
	}
	s->start = at;
	s->end = skip_value(b, at);
	return s->end > s->start && s->end <= b->len;
}

/* The member of the object or array at at that has this name, or with name
 * NULL this number. */
static bool find_member(const struct buf *b, size_t at, const char *name,
			size_t name_len, size_t number, struct span *s)
{
	bool object = b->data[at] == '{';
	size_t i, key_end, comma = 0;

	for (i = 0, at++;; i++, at++) {
		if (!read_member(b, at, object, s, &key_end))
			return false;
		if (name ? key_end - s->from == name_len + 2 &&
				    !memcmp(b->data + s->from + 1, name,
					    name_len)
			 : i == number) {
			find_edges(b, s, s->from, comma);
			return true;
		}
		at = comma = skip_blank(b, s->end);
		if (at >= b->len || b->data[at] != ',')
			return false;
	}
}

static bool opens(const struct buf *b, size_t at)
{
	return at < b->len && (b->data[at] == '{' || b->data[at] == '[');
}

bool splice_find(const struct buf *json, const char *path, struct span *out)
{
	size_t at = skip_blank(json, 0);
	const char *p = path;

	for (;;) {
		size_t len = strcspn(p, ".");
		uint64_t number = 0;

		if (!opens(json, at))
			return false;
		if (json->data[at] == '[') {
			if (!text_uint(p, len, &number) ||
			    !find_member(json, at, NULL, 0, (size_t)number,
					 out))
				return false;
		} else if (!find_member(json, at, p, len, 0, out)) {
			return false;
		}
		if (!p[len])
			return true;
		p += len + 1;
		at = out->start;
	}
}

bool splice_next(const struct buf *json, struct span *s)
{
	size_t top = skip_blank(json, 0), at = top, key_end;

	if (!opens(json, top))
		return false;
	if (s->end) {
		at = skip_blank(json, s->end);
		if (at >= json->len || json->data[at] != ',')
			return false;
	}
	return read_member(json, at + 1, json->data[top] == '{', s, &key_end);
}

void splice(struct buf *json, size_t from, size_t to, const char *text)
{
	struct buf out = { 0 };

	buf_add(&out, json->data, from);
	buf_text(&out, text);
	buf_add(&out, json->data + to, json->len - to);
	buf_clear(json);
	*json = out;
}
