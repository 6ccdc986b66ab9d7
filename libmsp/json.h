/* SPDX-License-Identifier: MIT */
/*
 * json.h - the one bounded JSON reader: bytes -> small immutable tree.
 *
 * A tree is one block of memory, wiped on free, and borrows the input for
 * line and column of an error. Texts are UTF-8 without NUL inside. Errors
 * carry offset, line, column and, for a field, its JSON pointer; they never
 * quote the input, so that the caller decides what may be shown.
 */
#ifndef MSP_JSON_H
#define MSP_JSON_H

#include <msp/error.h>

struct msp_json;
struct msp_json_value;

enum msp_json_type {
	MSP_JSON_NULL,
	MSP_JSON_BOOL,
	MSP_JSON_NUMBER,
	MSP_JSON_STRING,
	MSP_JSON_ARRAY,
	MSP_JSON_OBJECT
};

#define MSP_JSON_DEPTH	   16  /* default */
#define MSP_JSON_DEPTH_MAX 128 /* what may be asked for */

/* Skip a byte order mark; without it one is an error. */
#define MSP_JSON_BOM 1u
/* A key document: syntax errors get no pointer, as a name could be a secret. */
#define MSP_JSON_SECRET 2u

struct msp_json_limits {
	size_t bytes;	 /* at most UINT32_MAX */
	uint32_t depth;	 /* of arrays and objects; 0: MSP_JSON_DEPTH */
	uint32_t values; /* in the whole document */
	uint32_t flags;	 /* MSP_JSON_* */
};

/* The document must be one object. Errors: INVAL, LIMIT, SYNTAX, SCHEMA (not
 * an object), NOMEM. text must outlive the tree. */
int msp_json_parse(struct msp_json **out, const char *text, size_t len,
		   const struct msp_json_limits *limits,
		   struct msp_error_info *info);
void msp_json_free(struct msp_json *doc);
const struct msp_json_value *msp_json_root(const struct msp_json *doc);

enum msp_json_type msp_json_type(const struct msp_json_value *value);
/* "a string", "an array", ... */
const char *msp_json_type_text(enum msp_json_type type);
/* bytes the value takes in the document */
size_t msp_json_span(const struct msp_json_value *value);
/* the document the value is in, and where in it; of a member also its name */
const char *msp_json_input(const struct msp_json_value *value, size_t *len);
size_t msp_json_offset(const struct msp_json_value *value);
size_t msp_json_name_offset(const struct msp_json_value *value);
/* elements or members, in document order; NULL at the end */
const struct msp_json_value *msp_json_first(const struct msp_json_value *value);
const struct msp_json_value *msp_json_next(const struct msp_json_value *value);
size_t msp_json_count(const struct msp_json_value *value);
/* name of a member */
const char *msp_json_name(const struct msp_json_value *value, size_t *len);
/* decoded string, or a number as written; NUL-terminated */
const char *msp_json_text(const struct msp_json_value *value, size_t *len);
bool msp_json_true(const struct msp_json_value *value);
/* a string that is exactly this */
bool msp_json_is(const struct msp_json_value *value, const char *text);

/* Member of an object, *out NULL if absent. Twice is SCHEMA: two readers of
 * the document could disagree on which of them counts. */
int msp_json_member(const struct msp_json_value **out,
		    const struct msp_json_value *object, const char *name,
		    struct msp_error_info *info);
/* The same with a type: absent is SCHEMA for need, and null for want gives
 * *out NULL. */
int msp_json_need(const struct msp_json_value **out,
		  const struct msp_json_value *object, const char *name,
		  enum msp_json_type type, struct msp_error_info *info);
int msp_json_want(const struct msp_json_value **out,
		  const struct msp_json_value *object, const char *name,
		  enum msp_json_type type, struct msp_error_info *info);
/* SCHEMA unless the value has the type */
int msp_json_expect(const struct msp_json_value *value, enum msp_json_type type,
		    struct msp_error_info *info);
/* 0, or digits without sign, leading zero, fraction or exponent */
int msp_json_uint32(uint32_t *out, const struct msp_json_value *value,
		    struct msp_error_info *info);

/* RFC 6901; cut at size, NUL-terminated */
void msp_json_pointer(const struct msp_json_value *value, char *out,
		      size_t size);
/* "return msp_json_fail(value, info, rc, ...)": place and pointer of value */
int msp_json_fail(const struct msp_json_value *value,
		  struct msp_error_info *info, int rc, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* place of object, pointer of its member name */
int msp_json_fail_name(const struct msp_json_value *object, const char *name,
		       struct msp_error_info *info, int rc, const char *format,
		       ...) __attribute__((format(printf, 5, 6)));

#endif
