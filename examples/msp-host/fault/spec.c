/* SPDX-License-Identifier: MIT */
/*
 * In:  a fault as it was asked for, in JSON or in one line.
 * Out: the fault, or a sentence: which field, and why.
 * Never: guesses: what is not in the tables is refused.
 */
#include "fault/kind.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** How a value looks. */
enum form { FORM_NUMBER, FORM_BOOL, FORM_WORD, FORM_TEXT };

static const struct {
	const char *name;
	enum form form;
} fields[FIELDS] = {
	[FIELD_NONE] = { "", FORM_TEXT },
	[FIELD_NAME] = { "name", FORM_TEXT },
	[FIELD_VM] = { "vm", FORM_TEXT },
	[FIELD_ENDPOINT] = { "endpoint", FORM_WORD },
	[FIELD_METHOD] = { "method", FORM_TEXT },
	[FIELD_PATH] = { "path", FORM_TEXT },
	[FIELD_COUNT] = { "count", FORM_NUMBER },
	[FIELD_HANDLED] = { "handled", FORM_BOOL },
	[FIELD_BY] = { "by", FORM_NUMBER },
	[FIELD_BYTES] = { "bytes", FORM_NUMBER },
	[FIELD_DEPTH] = { "depth", FORM_NUMBER },
	[FIELD_DIGITS] = { "digits", FORM_NUMBER },
	[FIELD_FIELD] = { "field", FORM_TEXT },
	[FIELD_LINES] = { "lines", FORM_NUMBER },
	[FIELD_MS] = { "ms", FORM_NUMBER },
	[FIELD_PIECE] = { "piece", FORM_NUMBER },
	[FIELD_REPEAT] = { "repeat", FORM_NUMBER },
	[FIELD_RETRY] = { "retry", FORM_NUMBER },
	[FIELD_SECONDS] = { "seconds", FORM_NUMBER },
	[FIELD_STATUS] = { "status", FORM_NUMBER },
	[FIELD_STYLE] = { "style", FORM_WORD },
	[FIELD_TEXT] = { "text", FORM_TEXT },
};

/* What every kind takes; the words are in the order of enum msp_endpoint. */
static const struct takes common[] = {
	{ FIELD_VM, 0, 0, 0, "" },
	{ FIELD_ENDPOINT, 0, 0, 0, "wireserver|imds|hostga" },
	{ FIELD_METHOD, 0, 0, 0, "" },
	{ FIELD_PATH, 0, 0, 0, "" },
	{ FIELD_COUNT, 1, INT32_MAX, 1, NULL },
};
_Static_assert(MSP_ENDPOINT_WIRESERVER == 0 && MSP_ENDPOINT_IMDS == 1 &&
		       MSP_ENDPOINT_HOSTGA == 2,
	       "the words of endpoint");

/**
 * struct value - as it was written
 * @text: the bytes; borrowed
 * @len:  how many
 * @form: what JSON says it is
 * @any:  written where everything is text: it may be any form
 */
struct value {
	const char *text;
	size_t len;
	enum form form;
	bool any;
};

static const struct takes *find_takes(const struct kind *kind, const char *name,
				      size_t len)
{
	const struct takes *t;
	size_t i;

	for (t = kind->takes; t->field; t++) {
		if (text_equal(name, len, fields[t->field].name))
			return t;
	}
	for (i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (text_equal(name, len, fields[common[i].field].name))
			return &common[i];
	}
	return NULL;
}

static bool read_number(const struct value *v, int64_t *out)
{
	bool minus = v->len && v->text[0] == '-';
	uint64_t n;

	if (!text_uint(v->text + minus, v->len - minus, &n) || n > INT64_MAX)
		return false;
	*out = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

/* The place of a word among those with '|' between them, or -1. */
static int place(const char *words, const char *text, size_t len)
{
	const char *p = words;
	int i;

	for (i = 0;; i++) {
		size_t n = strcspn(p, "|");

		if (n == len && !strncasecmp(p, text, n))
			return i;
		if (!p[n])
			return -1;
		p += n + 1;
	}
}

static bool set_number(struct fault *f, const struct takes *t,
		       const struct value *v, struct buf *error)
{
	int64_t n;

	if (read_number(v, &n) && n >= t->min && n <= t->max) {
		f->value[t->field] = n;
		return true;
	}
	buf_format(error, "'%s' must be a whole number from %lld to %lld",
		   fields[t->field].name, (long long)t->min, (long long)t->max);
	return false;
}

static bool set_bool(struct fault *f, const struct takes *t,
		     const struct value *v, struct buf *error)
{
	f->value[t->field] = text_equal(v->text, v->len, "true");
	if (f->value[t->field] || text_equal(v->text, v->len, "false"))
		return true;
	buf_format(error, "'%s' must be true or false", fields[t->field].name);
	return false;
}

static bool set_word(struct fault *f, const struct takes *t,
		     const struct value *v, struct buf *error)
{
	int n = place(t->text, v->text, v->len);

	f->value[t->field] = n;
	if (n >= 0)
		return true;
	buf_format(error, "'%s' must be one of %s", fields[t->field].name,
		   t->text);
	return false;
}

static bool keep_text(struct fault *f, enum field field, const char *text,
		      size_t len)
{
	f->text[field] = strndup(text, len);
	return f->text[field];
}

/* Visible, so that it can go into messages and documents as it is. */
static bool is_visible(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	}
	return true;
}

static bool set_text(struct fault *f, const struct takes *t,
		     const struct value *v, struct buf *error)
{
	const char *name = fields[t->field].name;

	if (!v->len || v->len > FAULT_TEXT_MAX || !is_visible(v->text, v->len))
		buf_format(error, "'%s' must be 1 to %d characters of ASCII",
			   name, FAULT_TEXT_MAX);
	else if (t->field == FIELD_PATH && *v->text != '/' && *v->text != '*')
		buf_format(error, "'%s' must begin with /", name);
	else if (!keep_text(f, t->field, v->text, v->len))
		buf_text(error, "out of memory");
	else
		return true;
	return false;
}

static bool set_value(struct fault *f, const struct takes *t,
		      const struct value *v, struct buf *error)
{
	enum form form = fields[t->field].form;
	bool fits = v->any || v->form == form ||
		    (form == FORM_WORD && v->form == FORM_TEXT);
	/* its text is not even looked at: no setter takes an empty one */
	struct value value = { .text = "" };

	if (fits)
		value = *v;
	switch (form) {
	case FORM_NUMBER:
		return set_number(f, t, &value, error);
	case FORM_BOOL:
		return set_bool(f, t, &value, error);
	case FORM_WORD:
		return set_word(f, t, &value, error);
	case FORM_TEXT:
		return set_text(f, t, &value, error);
	}
	return false;
}

static bool set_field(struct fault *f, const char *name, size_t len,
		      const struct value *v, struct buf *error)
{
	const struct takes *t = find_takes(f->kind, name, len);
	int shown = len > 64 ? 64 : (int)len;

	if (!t) {
		buf_format(error, "fault '%s' has no field '%.*s'",
			   f->kind->name, shown, name);
		return false;
	}
	if (f->given[t->field]) {
		buf_format(error, "'%.*s' is there twice", shown, name);
		return false;
	}
	f->given[t->field] = true;
	return set_value(f, t, v, error);
}

static struct fault *begin(const char *name, size_t len, struct buf *error)
{
	const struct kind *kind = kind_named(name, len);
	struct fault *f;

	if (!kind) {
		buf_format(error, "there is no fault '%.*s'",
			   len > 64 ? 64 : (int)len, name);
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (f)
		f->kind = kind;
	else
		buf_text(error, "out of memory");
	return f;
}

/* Where it belongs, if nothing else was said. */
static bool set_place(struct fault *f)
{
	const struct kind *kind = f->kind;

	if (kind->path && !f->given[FIELD_ENDPOINT]) {
		f->given[FIELD_ENDPOINT] = true;
		f->value[FIELD_ENDPOINT] = MSP_ENDPOINT_WIRESERVER;
	}
	if (kind->method && !f->given[FIELD_METHOD]) {
		f->given[FIELD_METHOD] = true;
		if (!keep_text(f, FIELD_METHOD, kind->method,
			       strlen(kind->method)))
			return false;
	}
	if (kind->path && !f->given[FIELD_PATH]) {
		f->given[FIELD_PATH] = true;
		if (!keep_text(f, FIELD_PATH, kind->path, strlen(kind->path)))
			return false;
	}
	return true;
}

/* Fields that were left out; NULL and the reason if one may not be. */
static struct fault *end(struct fault *f, struct buf *error)
{
	const struct takes *t;

	for (t = f->kind->takes; t->field; t++) {
		enum form form = fields[t->field].form;

		if (f->given[t->field])
			continue;
		f->value[t->field] = t->normal;
		if (form != FORM_TEXT)
			continue;
		if (!t->text) {
			buf_format(error, "fault '%s' needs the field '%s'",
				   f->kind->name, fields[t->field].name);
			goto fail;
		}
		if (!keep_text(f, t->field, t->text, strlen(t->text)))
			goto memory;
	}
	f->left = (uint64_t)f->value[FIELD_COUNT];
	if (set_place(f))
		return f;
memory:
	buf_text(error, "out of memory");
fail:
	fault_free(f);
	return NULL;
}

static bool json_value(yajl_val node, struct value *v)
{
	v->any = false;
	v->form = FORM_TEXT;
	if (YAJL_IS_STRING(node)) {
		v->text = YAJL_GET_STRING(node);
	} else if (YAJL_IS_NUMBER(node)) {
		v->form = FORM_NUMBER;
		v->text = YAJL_GET_NUMBER(node);
	} else if (YAJL_IS_TRUE(node) || YAJL_IS_FALSE(node)) {
		v->form = FORM_BOOL;
		v->text = YAJL_IS_TRUE(node) ? "true" : "false";
	} else {
		return false;
	}
	v->len = strlen(v->text);
	return true;
}

static bool set_member(struct fault *f, const char *name, yajl_val node,
		       struct buf *error)
{
	struct value v;

	if (json_value(node, &v))
		return set_field(f, name, strlen(name), &v, error);
	buf_format(error, "'%.64s' must be a text, a number, true or false",
		   name);
	return false;
}

struct fault *fault_from_json(yajl_val spec, struct buf *error)
{
	const char *name = NULL;
	struct fault *f;
	size_t i, names = 0;

	for (i = 0; YAJL_IS_OBJECT(spec) && i < spec->u.object.len; i++) {
		if (strcmp(spec->u.object.keys[i], "name"))
			continue;
		name = YAJL_GET_STRING(spec->u.object.values[i]);
		names++;
	}
	if (!name || names > 1) {
		buf_text(error, "an object with one text 'name' is required");
		return NULL;
	}
	f = begin(name, strlen(name), error);
	for (i = 0; f && i < spec->u.object.len; i++) {
		const char *key = spec->u.object.keys[i];

		if (strcmp(key, "name") &&
		    !set_member(f, key, spec->u.object.values[i], error)) {
			fault_free(f);
			return NULL;
		}
	}
	return f ? end(f, error) : NULL;
}

/* "key=value" */
static bool set_pair(struct fault *f, const char *pair, size_t len,
		     struct buf *error)
{
	const char *eq = memchr(pair, '=', len);
	struct value v = { .any = true };

	if (!eq) {
		buf_format(error, "'%.*s' is not key=value",
			   len > 64 ? 64 : (int)len, pair);
		return false;
	}
	v.text = eq + 1;
	v.len = (size_t)(pair + len - v.text);
	return set_field(f, pair, (size_t)(eq - pair), &v, error);
}

struct fault *fault_from_text(const char *spec, struct buf *error)
{
	const char *p = spec + strcspn(spec, ",");
	struct fault *f = begin(spec, (size_t)(p - spec), error);

	while (f && *p) {
		size_t len = strcspn(++p, ",");

		if (!set_pair(f, p, len, error)) {
			fault_free(f);
			return NULL;
		}
		p += len;
	}
	return f ? end(f, error) : NULL;
}

void fault_free(struct fault *fault)
{
	size_t i;

	if (!fault)
		return;
	for (i = 0; i < FIELDS; i++)
		free(fault->text[i]);
	free(fault);
}

static void write_word(struct buf *out, const char *words, int64_t n)
{
	const char *p = words;

	for (; n; n--)
		p += strcspn(p, "|") + 1;
	buf_json(out, p, strcspn(p, "|"));
}

static void write_field(const struct fault *f, const struct takes *t,
			struct buf *out)
{
	enum field field = t->field;

	buf_format(out, ",\"%s\":", fields[field].name);
	switch (fields[field].form) {
	case FORM_NUMBER:
		buf_format(out, "%lld", (long long)f->value[field]);
		break;
	case FORM_BOOL:
		buf_text(out, f->value[field] ? "true" : "false");
		break;
	case FORM_WORD:
		write_word(out, t->text, f->value[field]);
		break;
	case FORM_TEXT:
		buf_json(out, f->text[field], strlen(f->text[field]));
		break;
	}
}

void fault_write(const struct fault *fault, struct buf *out)
{
	const struct takes *t;
	size_t i;

	buf_format(out, "\"number\":%llu,\"name\":",
		   (unsigned long long)fault->number);
	buf_json(out, fault->kind->name, strlen(fault->kind->name));
	for (i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (fault->given[common[i].field])
			write_field(fault, &common[i], out);
	}
	for (t = fault->kind->takes; t->field; t++)
		write_field(fault, t, out);
	if (fault->given[FIELD_COUNT])
		buf_format(out, ",\"left\":%llu",
			   (unsigned long long)fault->left);
	buf_format(out, ",\"hits\":%llu", (unsigned long long)fault->hits);
}
