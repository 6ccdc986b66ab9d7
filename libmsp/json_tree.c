/* SPDX-License-Identifier: MIT */
/*
 * In: a tree and what the caller expects of it. Out: values of that type, or
 * an error with the place and pointer of the offending one. Must never change
 * the tree, nor quote it.
 */
#include "libmsp/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/json_priv.h"

static int place(const struct msp_json *doc, struct msp_error_info *info,
		 size_t offset, int rc)
{
	msp_info_place(info, doc->input, doc->input_len, offset);
	return rc;
}

const struct msp_json_value *msp_json_root(const struct msp_json *doc)
{
	return &doc->values[0];
}

enum msp_json_type msp_json_type(const struct msp_json_value *value)
{
	return value->type;
}

size_t msp_json_span(const struct msp_json_value *value)
{
	return value->end - value->offset;
}

const struct msp_json_value *msp_json_first(const struct msp_json_value *value)
{
	return value->first;
}

const struct msp_json_value *msp_json_next(const struct msp_json_value *value)
{
	return value->next;
}

size_t msp_json_count(const struct msp_json_value *value)
{
	return value->count;
}

const char *msp_json_name(const struct msp_json_value *value, size_t *len)
{
	*len = value->name_len;
	return value->name;
}

const char *msp_json_text(const struct msp_json_value *value, size_t *len)
{
	*len = value->text_len;
	return value->text;
}

bool msp_json_true(const struct msp_json_value *value)
{
	return value->type == MSP_JSON_BOOL && value->truth;
}

static bool same(const char *a, size_t a_len, const char *b)
{
	return a_len == strlen(b) && memcmp(a, b, a_len) == 0;
}

bool msp_json_is(const struct msp_json_value *value, const char *text)
{
	return value->type == MSP_JSON_STRING &&
	       same(value->text, value->text_len, text);
}

static const struct msp_json *doc_of(const struct msp_json_value *value)
{
	const char *root;

	while (value->parent)
		value = value->parent;
	root = (const char *)value;
	return (const void *)(root - offsetof(struct msp_json, values));
}

const char *msp_json_input(const struct msp_json_value *value, size_t *len)
{
	const struct msp_json *doc = doc_of(value);

	*len = doc->input_len;
	return doc->input;
}

size_t msp_json_offset(const struct msp_json_value *value)
{
	return value->offset;
}

size_t msp_json_name_offset(const struct msp_json_value *value)
{
	return value->name_offset;
}

/* "~" and "/" in a name are written "~0" and "~1" (RFC 6901). */
static size_t put_name(char *out, size_t at, size_t size, const char *name,
		       size_t len)
{
	size_t i;

	for (i = 0; i < len && at + 2 < size; i++) {
		if (name[i] != '~' && name[i] != '/') {
			out[at++] = name[i];
			continue;
		}
		out[at++] = '~';
		out[at++] = name[i] == '~' ? '0' : '1';
	}
	return at;
}

static size_t put_step(char *out, size_t at, size_t size,
		       const struct msp_json_value *value)
{
	const struct msp_json_value *other = value->parent->first;
	char digits[24];
	size_t index = 0;
	int n;

	if (at + 2 >= size)
		return at;
	out[at++] = '/';
	if (value->name)
		return put_name(out, at, size, value->name, value->name_len);
	for (; other != value; other = other->next)
		index++;
	n = snprintf(digits, sizeof(digits), "%zu", index);
	return put_name(out, at, size, digits, (size_t)n);
}

void msp_json_pointer(const struct msp_json_value *value, char *out,
		      size_t size)
{
	const struct msp_json_value *path[MSP_JSON_DEPTH_MAX];
	size_t n = 0, at = 0;

	for (; value->parent && n < MSP_JSON_DEPTH_MAX; value = value->parent)
		path[n++] = value;
	while (n > 0)
		at = put_step(out, at, size, path[--n]);
	out[at] = '\0';
}

int msp_json_fail(const struct msp_json_value *value,
		  struct msp_error_info *info, int rc, const char *format, ...)
{
	char pointer[256], text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	msp_json_pointer(value, pointer, sizeof(pointer));
	msp_fail_at(info, rc, pointer, "%s", text);
	return place(doc_of(value), info, value->offset, rc);
}

int msp_json_fail_name(const struct msp_json_value *object, const char *name,
		       struct msp_error_info *info, int rc, const char *format,
		       ...)
{
	char pointer[256], text[320];
	va_list args;
	size_t n;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	msp_json_pointer(object, pointer, sizeof(pointer) - 1);
	n = strlen(pointer);
	pointer[n++] = '/';
	n = put_name(pointer, n, sizeof(pointer), name, strlen(name));
	pointer[n] = '\0';
	msp_fail_at(info, rc, pointer, "%s", text);
	return place(doc_of(object), info, object->offset, rc);
}

const char *msp_json_type_text(enum msp_json_type type)
{
	switch (type) {
	case MSP_JSON_NULL:
		return "null";
	case MSP_JSON_BOOL:
		return "a boolean";
	case MSP_JSON_NUMBER:
		return "a number";
	case MSP_JSON_STRING:
		return "a string";
	case MSP_JSON_ARRAY:
		return "an array";
	case MSP_JSON_OBJECT:
		return "an object";
	}
	return "unknown";
}

int msp_json_expect(const struct msp_json_value *value, enum msp_json_type type,
		    struct msp_error_info *info)
{
	if (value->type == type)
		return 0;
	return msp_json_fail(value, info, MSP_ERR_SCHEMA, "is %s, expected %s",
			     msp_json_type_text(value->type),
			     msp_json_type_text(type));
}

int msp_json_member(const struct msp_json_value **out,
		    const struct msp_json_value *object, const char *name,
		    struct msp_error_info *info)
{
	const struct msp_json_value *member, *found = NULL;

	*out = NULL;
	for (member = object->first; member; member = member->next) {
		if (!same(member->name, member->name_len, name))
			continue;
		if (found) {
			msp_json_fail(member, info, MSP_ERR_SCHEMA,
				      "is given twice");
			return place(doc_of(object), info, member->name_offset,
				     MSP_ERR_SCHEMA);
		}
		found = member;
	}
	*out = found;
	return 0;
}

int msp_json_need(const struct msp_json_value **out,
		  const struct msp_json_value *object, const char *name,
		  enum msp_json_type type, struct msp_error_info *info)
{
	int rc;

	rc = msp_json_member(out, object, name, info);
	if (rc < 0)
		return rc;
	if (!*out)
		return msp_json_fail_name(object, name, info, MSP_ERR_SCHEMA,
					  "is missing");
	rc = msp_json_expect(*out, type, info);
	if (rc < 0)
		*out = NULL;
	return rc;
}

int msp_json_want(const struct msp_json_value **out,
		  const struct msp_json_value *object, const char *name,
		  enum msp_json_type type, struct msp_error_info *info)
{
	int rc;

	rc = msp_json_member(out, object, name, info);
	if (rc < 0 || !*out)
		return rc;
	if ((*out)->type == MSP_JSON_NULL) {
		*out = NULL;
		return 0;
	}
	rc = msp_json_expect(*out, type, info);
	if (rc < 0)
		*out = NULL;
	return rc;
}

int msp_json_uint32(uint32_t *out, const struct msp_json_value *value,
		    struct msp_error_info *info)
{
	uint64_t number = 0;
	uint32_t i;
	int rc;

	rc = msp_json_expect(value, MSP_JSON_NUMBER, info);
	if (rc < 0)
		return rc;
	/* JSON has no leading zeros, so ten digits are as far as to look */
	for (i = 0; i < value->text_len && i <= 10; i++) {
		if (value->text[i] < '0' || value->text[i] > '9')
			break;
		number = number * 10 + (uint64_t)(value->text[i] - '0');
	}
	if (i != value->text_len || number > UINT32_MAX)
		return msp_json_fail(value, info, MSP_ERR_SCHEMA,
				     "is not a whole number from 0 to %u",
				     UINT32_MAX);
	*out = (uint32_t)number;
	return 0;
}
