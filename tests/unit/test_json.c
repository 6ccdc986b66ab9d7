/* SPDX-License-Identifier: MIT */
/*
 * In: JSON texts, good and odd. Out: pass or fail. Must never need a network,
 * a file or a privilege.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/json.h"
#include "libmsp/mem.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct msp_json_limits usual = { .bytes = 4096, .values = 100 };

/* An exact copy on the heap, so that a sanitizer sees one byte too far. */
static int parse(struct msp_json **out, char **copy, const char *text,
		 size_t len, const struct msp_json_limits *limits,
		 struct msp_error_info *info)
{
	*copy = malloc(len ? len : 1);
	memcpy(*copy, text, len);
	return msp_json_parse(out, *copy, len, limits, info);
}

struct bad {
	const char *text;
	int rc;
	uint32_t line;
	uint32_t column;
	const char *pointer;
	const char *cause; /* part of the text */
};

static const struct bad bad[] = {
	{ "", MSP_ERR_SYNTAX, 1, 1, "", "premature EOF" },
	{ " \n ", MSP_ERR_SYNTAX, 2, 2, "", "premature EOF" },
	{ "{\"a\":1", MSP_ERR_SYNTAX, 1, 7, "", "premature EOF" },
	{ "{}x", MSP_ERR_SYNTAX, 1, 3, "", "trailing garbage" },
	{ "{}\n {}", MSP_ERR_SYNTAX, 2, 2, "", "trailing garbage" },
	{ "{}\"", MSP_ERR_SYNTAX, 1, 3, "", "string without end" },
	{ "[]", MSP_ERR_SCHEMA, 1, 1, "", "is an array, expected an object" },
	{ "12", MSP_ERR_SCHEMA, 1, 1, "", "is a number" },
	{ "\"x\"", MSP_ERR_SCHEMA, 1, 1, "", "is a string" },
	{ "true", MSP_ERR_SCHEMA, 1, 1, "", "is a boolean" },
	{ "null", MSP_ERR_SCHEMA, 1, 1, "", "is null" },
	{ "\xef\xbb\xbf{}", MSP_ERR_SYNTAX, 1, 1, "", "byte order mark" },
	{ "/* */{}", MSP_ERR_SYNTAX, 1, 1, "", "comment" },
	{ "{}// x", MSP_ERR_SYNTAX, 1, 3, "", "garbage" },
	{ "{\"a\":\f1}", MSP_ERR_SYNTAX, 1, 6, "", "control character" },
	{ "{\"a\":\v1}", MSP_ERR_SYNTAX, 1, 6, "", "control character" },
	{ "{\"a\":\"x", MSP_ERR_SYNTAX, 1, 6, "", "string without end" },
	{ "{\"a\":\"x\\", MSP_ERR_SYNTAX, 1, 8, "", "unknown escape" },
	{ "{\"a\":\"\\x\"}", MSP_ERR_SYNTAX, 1, 7, "", "unknown escape" },
	{ "{\"a\":\"\\u12\"}", MSP_ERR_SYNTAX, 1, 7, "", "four hex digits" },
	{ "{\"a\":\"x\ty\"}", MSP_ERR_SYNTAX, 1, 8, "", "control character" },
	{ "{\"a\":\"\\u0000\"}", MSP_ERR_SYNTAX, 1, 7, "", "NUL" },
	{ "{\"a\\u0000\":1}", MSP_ERR_SYNTAX, 1, 4, "", "NUL" },
	{ "{\"a\":\"\\ud800\"}", MSP_ERR_SYNTAX, 1, 7, "", "surrogate" },
	{ "{\"a\":\"\\udc00\"}", MSP_ERR_SYNTAX, 1, 7, "", "surrogate" },
	{ "{\"a\":\"\\ud800\\u0041\"}", MSP_ERR_SYNTAX, 1, 7, "", "surrogate" },
	{ "{\"a\":\"\\ud800\\ud800\"}", MSP_ERR_SYNTAX, 1, 7, "", "surrogate" },
	{ "{\"a\":\"\\ud800\\n\"}", MSP_ERR_SYNTAX, 1, 7, "", "surrogate" },
	{ "{\"a\":\"\xc0\xaf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xc1\xbf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xe0\x80\xaf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xe0\x9f\xbf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xed\xbf\xbf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xf0\x8f\xbf\xbf\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xf4\x90\x80\x80\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xf5\x80\x80\x80\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\x80\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xc3\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xe2\x82\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xf0\x9f\x98\"}", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\"\xe2\x82", MSP_ERR_SYNTAX, 1, 7, "", "UTF-8" },
	{ "{\"a\":\xc3\xa9}", MSP_ERR_SYNTAX, 1, 6, "", "stray character" },
	{ "{\"a\":\xc3}", MSP_ERR_SYNTAX, 1, 6, "", "UTF-8" },
	{ "{\"a\":tru}", MSP_ERR_SYNTAX, 1, 6, "", "invalid string" },
	{ "{\"a\":01}", MSP_ERR_SYNTAX, 1, 7, "", "after key and value" },
	{ "{\"a\":+1}", MSP_ERR_SYNTAX, 1, 6, "", "invalid char" },
	{ "{\"a\":.5}", MSP_ERR_SYNTAX, 1, 6, "", "invalid char" },
	{ "{\"a\":1.}", MSP_ERR_SYNTAX, 1, 6, "", "malformed number" },
	{ "{\"a\":1e}", MSP_ERR_SYNTAX, 1, 6, "", "malformed number" },
	{ "{\"a\":-}", MSP_ERR_SYNTAX, 1, 6, "", "malformed number" },
	{ "{\"a\":NaN}", MSP_ERR_SYNTAX, 1, 6, "", "invalid" },
	{ "{\"a\":1,}", MSP_ERR_SYNTAX, 1, 8, "", "invalid object key" },
	{ "{\"a\":1,,\"b\":2}", MSP_ERR_SYNTAX, 1, 8, "",
	  "invalid object key" },
	{ "{\"a\" 1}", MSP_ERR_SYNTAX, 1, 6, "", "colon" },
	{ "{1:2}", MSP_ERR_SYNTAX, 1, 2, "", "invalid object key" },
	{ "{'a':1}", MSP_ERR_SYNTAX, 1, 2, "", "invalid" },
	{ "{\"a\":[1 2]}", MSP_ERR_SYNTAX, 1, 9, "/a", "after array element" },
	{ "{\"a\":[1],\n \"b\":[{\"c\":]}]}", MSP_ERR_SYNTAX, 2, 12, "/b/0",
	  "unallowed token" },
};

START_TEST(parse_refuses_with_place_and_cause)
{
	const struct bad *c = &bad[_i];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc = (void *)1;
	char *copy;

	ck_assert_int_eq(
		parse(&doc, &copy, c->text, strlen(c->text), &usual, &info),
		c->rc);
	ck_assert_ptr_null(doc);
	ck_assert_msg(strstr(info.text, c->cause), "%s: '%s'", c->text,
		      info.text);
	ck_assert_msg(info.line == c->line && info.column == c->column,
		      "%s: line %u column %u", c->text, info.line, info.column);
	ck_assert_str_eq(info.pointer, c->pointer);
	ck_assert_int_eq(failalloc_live(), 0);
	free(copy);
}
END_TEST

START_TEST(parse_refuses_raw_nul)
{
	static const char text[] = "{\"a\":\"x\0y\"}";
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;

	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &usual, &info),
		MSP_ERR_SYNTAX);
	ck_assert_uint_eq(info.offset, 7);
	ck_assert_int_eq(msp_json_parse(&doc, "{}\0", 3, &usual, &info),
			 MSP_ERR_SYNTAX);
	ck_assert_uint_eq(info.offset, 2);
}
END_TEST

static const struct msp_json_value *member(const struct msp_json *doc,
					   const char *name)
{
	const struct msp_json_value *value;

	ck_assert_int_eq(
		msp_json_member(&value, msp_json_root(doc), name, NULL), 0);
	ck_assert_ptr_nonnull(value);
	return value;
}

static const struct {
	const char *json;
	const char *text;
} strings[] = {
	{ "{\"a\":\"\"}", "" },
	{ "{\"a\":\"x\"}", "x" },
	{ "{ \"a\" :\t\"x\"\r\n}", "x" },
	{ "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t" },
	{ "{\"\\u0061\":\"\\u00e9\\u20AC\"}", "\xc3\xa9\xe2\x82\xac" },
	{ "{\"a\":\"\\ud83d\\ude00\"}", "\xf0\x9f\x98\x80" },
	{ "{\"a\":\"\\uDBFF\\uDFFF\"}", "\xf4\x8f\xbf\xbf" },
	{ "{\"a\":\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\"}",
	  "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf" },
	{ "{\"a\":\"\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}",
	  "\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
	{ "{\"a\":\"\x7f\"}", "\x7f" },
	{ "{\"b\":1,\"b\":2,\"a\":\"x\"}", "x" },
};

START_TEST(parse_decodes_strings)
{
	struct msp_json *doc;
	const char *text;
	size_t len;
	char *copy;

	ck_assert_int_eq(parse(&doc, &copy, strings[_i].json,
			       strlen(strings[_i].json), &usual, NULL),
			 0);
	text = msp_json_text(member(doc, "a"), &len);
	ck_assert_uint_eq(len, strlen(strings[_i].text));
	ck_assert_str_eq(text, strings[_i].text);
	msp_json_free(doc);
	ck_assert_int_eq(failalloc_live(), 0);
	free(copy);
}
END_TEST

START_TEST(parse_keeps_order_types_and_numbers_as_written)
{
	static const char text[] =
		"{\"o\":{},\"l\":[1e999,-0,\"x\",null,true,false]}";
	static const enum msp_json_type types[] = {
		MSP_JSON_NUMBER, MSP_JSON_NUMBER, MSP_JSON_STRING,
		MSP_JSON_NULL,	 MSP_JSON_BOOL,	  MSP_JSON_BOOL
	};
	const struct msp_json_value *list, *value;
	struct msp_json *doc;
	size_t len, i = 0;

	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &usual, NULL), 0);
	ck_assert_ptr_null(msp_json_first(member(doc, "o")));
	list = member(doc, "l");
	ck_assert_str_eq(msp_json_name(list, &len), "l");
	ck_assert_uint_eq(msp_json_span(list), 30);
	ck_assert_uint_eq(msp_json_count(list), 6);
	for (value = msp_json_first(list); value; value = msp_json_next(value))
		ck_assert_int_eq(msp_json_type(value), types[i++]);
	ck_assert_uint_eq(i, 6);
	value = msp_json_first(list);
	ck_assert_str_eq(msp_json_text(value, &len), "1e999");
	value = msp_json_next(value);
	ck_assert_str_eq(msp_json_text(value, &len), "-0");
	ck_assert(!msp_json_true(value));
	value = msp_json_next(value);
	ck_assert(msp_json_is(value, "x") && !msp_json_is(value, "xy"));
	value = msp_json_next(msp_json_next(value));
	ck_assert(msp_json_true(value));
	ck_assert(!msp_json_true(msp_json_next(value)));
	msp_json_free(doc);
}
END_TEST

START_TEST(parse_counts_bytes_depth_and_values)
{
	struct msp_json_limits limits = { .bytes = 7, .depth = 2, .values = 3 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;

	ck_assert_int_eq(msp_json_parse(&doc, "{\"a\":1}", 7, &limits, NULL),
			 0);
	msp_json_free(doc);
	ck_assert_int_eq(msp_json_parse(&doc, "{\"a\":1} ", 8, &limits, &info),
			 MSP_ERR_LIMIT);
	ck_assert_ptr_nonnull(strstr(info.text, "at most 7"));
	limits.bytes = 100;
	ck_assert_int_eq(msp_json_parse(&doc, "{\"a\":[1]}", 9, &limits, NULL),
			 0);
	msp_json_free(doc);
	ck_assert_int_eq(
		msp_json_parse(&doc, "{\"a\":[1,2]}", 11, &limits, &info),
		MSP_ERR_LIMIT);
	ck_assert_str_eq(info.pointer, "/a");
	ck_assert_uint_eq(info.offset, 8);
	ck_assert_int_eq(
		msp_json_parse(&doc, "{\"a\":[[]]}", 10, &limits, &info),
		MSP_ERR_LIMIT);
	ck_assert_uint_eq(info.offset, 6);
	limits.depth = MSP_JSON_DEPTH_MAX + 1;
	ck_assert_int_eq(msp_json_parse(&doc, "{}", 2, &limits, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(parse_survives_a_megabyte_of_brackets)
{
	const size_t len = 1 << 20;
	struct msp_json_limits limits = { .bytes = len, .values = 1 << 20 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = malloc(len);
	struct msp_json *doc;

	memset(text, '[', len);
	limits.depth = MSP_JSON_DEPTH_MAX;
	ck_assert_int_eq(msp_json_parse(&doc, text, len, &limits, &info),
			 MSP_ERR_LIMIT);
	ck_assert_uint_eq(info.offset, MSP_JSON_DEPTH_MAX);
	free(text);
}
END_TEST

/* Around the sizes at which yajl's buffers double: a string that needs
 * decoding, and one that is cut off at the end of the text. */
START_TEST(parse_has_room_for_long_strings)
{
	static const size_t sizes[] = { 2040, 2047, 2048,  2049,  4095,
					4096, 4097, 65535, 65536, 1000000 };
	size_t n = sizes[_i], len;
	struct msp_json_limits limits = { .bytes = 2 * n + 100, .values = 9 };
	char *text = malloc(n + 100);
	struct msp_json *doc;
	const char *got;

	strcpy(text, "{\"\\n\":1,\"a\":\"\\n");
	len = strlen(text);
	memset(text + len, 'x', n);
	strcpy(text + len + n, "\"}");
	ck_assert_int_eq(msp_json_parse(&doc, text, len + n + 2, &limits, NULL),
			 0);
	got = msp_json_text(member(doc, "a"), &len);
	ck_assert_uint_eq(len, n + 1);
	ck_assert(got[0] == '\n' && got[n] == 'x' && got[n + 1] == '\0');
	msp_json_free(doc);

	memset(text, '7', n);
	ck_assert_int_eq(msp_json_parse(&doc, text, n, &limits, NULL),
			 MSP_ERR_SCHEMA);
	free(text);
}
END_TEST

START_TEST(bom_is_skipped_only_on_request)
{
	static const char text[] = "\xef\xbb\xbf{\"a\":1,\n\"b\":x}";
	struct msp_json_limits limits = usual;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;

	limits.flags = MSP_JSON_BOM;
	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &limits, &info),
		MSP_ERR_SYNTAX);
	ck_assert_uint_eq(info.offset, 15);
	ck_assert_uint_eq(info.line, 2);
	ck_assert_uint_eq(info.column, 5);
	ck_assert_int_eq(
		msp_json_parse(&doc, "\xef\xbb\xbf{}", 5, &limits, &info), 0);
	msp_json_free(doc);
	ck_assert_int_eq(msp_json_parse(&doc, "\xef\xbb\xbf\xef\xbb\xbf{}", 8,
					&limits, &info),
			 MSP_ERR_SYNTAX);
}
END_TEST

START_TEST(secret_documents_show_no_names_in_syntax_errors)
{
	static const char text[] = "{\"4A404E\":[1 2]}";
	struct msp_json_limits limits = usual;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;

	limits.flags = MSP_JSON_SECRET;
	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &limits, &info),
		MSP_ERR_SYNTAX);
	ck_assert_str_eq(info.pointer, "");
	ck_assert_uint_eq(info.column, 14);
}
END_TEST

START_TEST(member_twice_is_an_error_only_when_asked_for)
{
	static const char text[] = "{\"x\":1,\"a\":1,\n \"a\" : 2,\"x\":2}";
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const struct msp_json_value *value;
	struct msp_json *doc;

	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &usual, &info), 0);
	ck_assert_int_eq(
		msp_json_member(&value, msp_json_root(doc), "b", &info), 0);
	ck_assert_ptr_null(value);
	ck_assert_int_eq(
		msp_json_member(&value, msp_json_root(doc), "a", &info),
		MSP_ERR_SCHEMA);
	ck_assert_ptr_null(value);
	ck_assert_str_eq(info.pointer, "/a");
	ck_assert_str_eq(info.text, "is given twice");
	ck_assert_uint_eq(info.line, 2);
	ck_assert_uint_eq(info.column, 2);
	msp_json_free(doc);
}
END_TEST

START_TEST(need_and_want_tell_absent_null_and_wrong_type)
{
	static const char text[] = "{\"o\":{\"n\":null,\n\"t\":17}}";
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const struct msp_json_value *o, *v;
	struct msp_json *doc;

	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &usual, NULL), 0);
	o = member(doc, "o");
	ck_assert_int_eq(msp_json_want(&v, o, "x", MSP_JSON_STRING, &info), 0);
	ck_assert_ptr_null(v);
	ck_assert_int_eq(msp_json_want(&v, o, "n", MSP_JSON_STRING, &info), 0);
	ck_assert_ptr_null(v);
	ck_assert_int_eq(msp_json_want(&v, o, "t", MSP_JSON_STRING, &info),
			 MSP_ERR_SCHEMA);
	ck_assert_ptr_null(v);
	ck_assert_str_eq(info.text, "is a number, expected a string");
	ck_assert_str_eq(info.pointer, "/o/t");
	ck_assert_uint_eq(info.line, 2);
	ck_assert_uint_eq(info.column, 5);
	ck_assert_int_eq(msp_json_need(&v, o, "n", MSP_JSON_STRING, &info),
			 MSP_ERR_SCHEMA);
	ck_assert_str_eq(info.text, "is null, expected a string");
	ck_assert_int_eq(msp_json_need(&v, o, "a/b~c", MSP_JSON_STRING, &info),
			 MSP_ERR_SCHEMA);
	ck_assert_str_eq(info.text, "is missing");
	ck_assert_str_eq(info.pointer, "/o/a~1b~0c");
	ck_assert_int_eq(msp_json_need(&v, o, "t", MSP_JSON_NUMBER, &info), 0);
	ck_assert_ptr_nonnull(v);
	msp_json_free(doc);
}
END_TEST

START_TEST(pointer_escapes_counts_and_is_cut)
{
	static const char text[] = "{\"a/b~\":[0,[0,1,\"x\"]]}";
	const struct msp_json_value *value;
	struct msp_json *doc;
	char pointer[64];

	ck_assert_int_eq(
		msp_json_parse(&doc, text, sizeof(text) - 1, &usual, NULL), 0);
	value = msp_json_next(msp_json_first(member(doc, "a/b~")));
	value = msp_json_next(msp_json_next(msp_json_first(value)));
	msp_json_pointer(value, pointer, sizeof(pointer));
	ck_assert_str_eq(pointer, "/a~1b~0/1/2");
	msp_json_pointer(value, pointer, 5);
	ck_assert_uint_lt(strlen(pointer), 5);
	ck_assert_int_eq(strncmp(pointer, "/a~1b~0/1/2", strlen(pointer)), 0);
	msp_json_pointer(msp_json_root(doc), pointer, sizeof(pointer));
	ck_assert_str_eq(pointer, "");
	msp_json_free(doc);
}
END_TEST

static const struct {
	const char *json;
	int rc;
	uint32_t number;
} numbers[] = {
	{ "{\"a\":0}", 0, 0 },
	{ "{\"a\":7}", 0, 7 },
	{ "{\"a\":4294967295}", 0, 4294967295u },
	{ "{\"a\":4294967296}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":9999999999}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":18446744073709551617}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":-1}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":-0}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":1.0}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":1e3}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":\"1\"}", MSP_ERR_SCHEMA, 0 },
	{ "{\"a\":true}", MSP_ERR_SCHEMA, 0 },
};

START_TEST(uint32_takes_plain_digits_in_range)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	uint32_t number = 4711;
	struct msp_json *doc;
	int rc;

	ck_assert_int_eq(msp_json_parse(&doc, numbers[_i].json,
					strlen(numbers[_i].json), &usual, NULL),
			 0);
	rc = msp_json_uint32(&number, member(doc, "a"), &info);
	ck_assert_int_eq(rc, numbers[_i].rc);
	ck_assert_uint_eq(number, rc ? 4711 : numbers[_i].number);
	if (rc)
		ck_assert_str_eq(info.pointer, "/a");
	msp_json_free(doc);
}
END_TEST

START_TEST(parse_survives_every_failed_allocation)
{
	static const char text[] = "{\"a\":[\"\\n\",1,{\"b\":null}]}";
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;
	long n;
	int rc;

	for (n = 0;; n++) {
		doc = (void *)1;
		failalloc_arm(n);
		rc = msp_json_parse(&doc, text, sizeof(text) - 1, &usual,
				    &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(doc);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 2);
	msp_json_free(doc);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* The parser is deep in its work then, and has taken what it does not check. */
START_TEST(parse_is_left_in_the_middle_of_a_long_string)
{
	static const struct msp_json_limits most = { .bytes = 200000,
						     .values = 10 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;
	char text[100000];
	long n;
	int rc;

	/* escaped, so that it is put together piece by piece */
	memset(text, 'x', sizeof(text));
	memcpy(text, "{\"a\":\"\\n", 8);
	memcpy(text + 50000, "\\n", 2);
	memcpy(text + sizeof(text) - 2, "\"}", 2);
	for (n = 0;; n++) {
		doc = (void *)1;
		failalloc_arm(n);
		rc = msp_json_parse(&doc, text, sizeof(text), &most, &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_str_eq(info.text, "out of memory");
		ck_assert_ptr_null(doc);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 5);
	msp_json_free(doc);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_add_loop_test(t, parse_refuses_with_place_and_cause, 0,
			    COUNT(bad));
	tcase_add_test(t, parse_refuses_raw_nul);
	tcase_add_loop_test(t, parse_decodes_strings, 0, COUNT(strings));
	tcase_add_test(t, parse_keeps_order_types_and_numbers_as_written);
	tcase_add_test(t, parse_counts_bytes_depth_and_values);
	tcase_add_test(t, parse_survives_a_megabyte_of_brackets);
	tcase_add_loop_test(t, parse_has_room_for_long_strings, 0, 10);
	tcase_add_test(t, bom_is_skipped_only_on_request);
	tcase_add_test(t, secret_documents_show_no_names_in_syntax_errors);
	tcase_add_test(t, member_twice_is_an_error_only_when_asked_for);
	tcase_add_test(t, need_and_want_tell_absent_null_and_wrong_type);
	tcase_add_test(t, pointer_escapes_counts_and_is_cut);
	tcase_add_loop_test(t, uint32_takes_plain_digits_in_range, 0,
			    COUNT(numbers));
	tcase_add_test(t, parse_survives_every_failed_allocation);
	tcase_add_test(t, parse_is_left_in_the_middle_of_a_long_string);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
