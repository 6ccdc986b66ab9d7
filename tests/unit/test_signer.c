/* SPDX-License-Identifier: MIT */
/*
 * In: messages, literal and from tests/data/signer.vectors. Out: pass or fail.
 * Must never need a network, a privilege, or a real key.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/signer.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/message.h"

/* programs of tests/unit are run from the root of the repository */
#define VECTORS		 "tests/data/signer.vectors"
#define VECTORS_AT_LEAST 400
#define VECTOR_FIELDS	 9

START_TEST(example_of_the_specification_is_signed_as_written)
{
	static const char text[] =
		"GET\n"
		"\n"
		"accept:*/*\n"
		"host:169.254.169.254\n"
		"metadata:true\n"
		"user-agent:curl/8.5.0\n"
		"x-ms-azure-host-claims:{ \"isRoot\": \"false\"}\n"
		"x-ms-azure-host-date:Wed, 23 Apr 2025 12:00:00 GMT\n"
		"/metadata/instance\n"
		"api-version=2021-02-01&format=json";
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = example();

	assert_string(s, &m, TEXT(text), "example");
	assert_signed(s, &m, EXAMPLE_VALUE, "example");
	msp_signer_free(s);
}
END_TEST

/* ---- the rules of spec 6.9, one by one --------------------------------- */

static const struct {
	const char *target;
	const char *tail; /* path LF parameters */
} targets[] = {
	{ "/", "/\n" },
	{ "/?", "/\n" },
	{ "/a%2Fb/../C", "/a%2Fb/../C\n" },
	{ "//x", "//x\n" },
	{ "*", "*\n" },
	{ "http://h", "/\n" },
	{ "http://h/", "/\n" },
	{ "http://h?b=2&a=/1", "/\na=/1&b=2" },
	{ "HTTP://u@h:80/P?Q=R", "/P\nq=R" },
	{ "http://h/http://i/j", "/http://i/j\n" },
	{ "/x?u=http://h/", "/x\nu=http://h/" },
	/* step 1: the first '=' splits; no name, no parameter */
	{ "/?a=b=c", "/\na=b=c" },
	{ "/?=x&&=&a=1&", "/\na=1" },
	/* step 2: only the name is lower-cased, nothing is decoded */
	{ "/?NaMe=VaLue", "/\nname=VaLue" },
	{ "/?%4A=%4a&a+b=c+d", "/\n%4a=%4a&a+b=c+d" },
	/* steps 3 and 5: order of name and value written together */
	{ "/?a=9&a=10&a2=0", "/\na=10&a2=0&a=9" },
	{ "/?a=z&a-b=c", "/\na-b=c&a=z" },
	{ "/?a=\xff&a=~&a\x80=&a=", "/\na&a=~&a\x80&a=\xff" },
	/* step 4 (Q7): the last of what is the same written together */
	{ "/?a=1&a=1", "/\na=1" },
	{ "/?a=bc&ab=c", "/\nab=c" },
	{ "/?ab=c&a=bc", "/\na=bc" },
	{ "/?a=bc&abc", "/\nabc" },
	{ "/?A=b&a=b", "/\na=b" },
	{ "/?a=B&a=b", "/\na=B&a=b" },
	{ "/?a==&a=", "/\na&a==" },
	/* step 6 */
	{ "/?b=", "/\nb" },
	{ "/?b", "/\nb" },
	{ "/?b=&b", "/\nb" },
};

START_TEST(target_is_split_sorted_and_merged)
{
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = get(targets[_i].target);
	char want[128];
	int n;

	n = snprintf(want, sizeof(want), "GET\n\n%s", targets[_i].tail);
	assert_string(s, &m, want, (size_t)n, targets[_i].target);
	msp_signer_free(s);
}
END_TEST

START_TEST(headers_are_sorted_trimmed_and_the_last_of_a_name_wins)
{
	static const struct msp_header lines[] = {
		LINE("B", "first"),
		LINE("a-", "1"),
		LINE("a", " \t in  ner \t"),
		LINE("b", ""),
		LINE("x-ms-azure-host-authorization", "mine"),
		LINE("_", "_"),
		LINE("X-MS-AZURE-HOST-AUTHORIZATION", "mine"),
		LINE("C", "\x80\xff"),
		LINE("A1", "1"),
	};
	static const char text[] = "POST\nb\0o\nd\n"
				   "_:_\n"
				   "a:in  ner\n"
				   "a-:1\n"
				   "a1:1\n"
				   "b:\n"
				   "c:\x80\xff\n"
				   "/\n";
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = get("/");

	m.method = "POST";
	m.method_len = 4;
	m.headers = lines;
	m.n_headers = (size_t)COUNT(lines);
	m.body = "b\0o\nd";
	m.body_len = 5;
	assert_string(s, &m, TEXT(text), "headers");
	msp_signer_free(s);
}
END_TEST

/* ---- vectors of an independent implementation -------------------------- */

struct field {
	char *at; /* a block of its own: one byte too far is seen by ASan */
	size_t len;
};

static unsigned int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	ck_assert_msg(at != NULL, "%s: not a hex digit: %c", VECTORS, c);
	return (unsigned int)(at - digits);
}

static struct field unhex(const char *hex, size_t digits)
{
	struct field f = { NULL, digits / 2 };
	size_t i;

	ck_assert_uint_eq(digits % 2, 0);
	f.at = malloc(f.len ? f.len : 1);
	ck_assert_ptr_nonnull(f.at);
	for (i = 0; i < f.len; i++)
		f.at[i] = (char)(hex_digit(hex[2 * i]) * 16 +
				 hex_digit(hex[2 * i + 1]));
	return f;
}

static struct field read_field(const char *text)
{
	return strcmp(text, "-") == 0 ? unhex("", 0)
				      : unhex(text, strlen(text));
}

/* name:value,name:value */
static size_t read_headers(struct msp_header *out, char *text)
{
	char *save = NULL;
	size_t n = 0;
	char *line;

	if (strcmp(text, "-") == 0)
		return 0;
	for (line = strtok_r(text, ",", &save); line;
	     line = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(line, ':');
		struct field name, value;

		ck_assert_ptr_nonnull(colon);
		ck_assert_uint_lt(n, MSP_MAX_HEADERS);
		name = unhex(line, (size_t)(colon - line));
		value = unhex(colon + 1, strlen(colon + 1));
		out[n++] = (struct msp_header){ name.at, name.len, value.at,
						value.len };
	}
	return n;
}

static void free_headers(struct msp_header *headers, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free((char *)headers[i].name);
		free((char *)headers[i].value);
	}
}

/* the order of the fields in a line */
enum {
	LABEL,
	KEY_GUID,
	KEY_BYTES,
	METHOD,
	TARGET,
	HEADERS,
	BODY,
	STRING,
	SIGNATURE
};

static void check_vector(char *const text[VECTOR_FIELDS])
{
	struct msp_header headers[MSP_MAX_HEADERS];
	struct field f[VECTOR_FIELDS] = { { NULL, 0 } };
	char want[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message m = { .size = sizeof(m) };
	struct msp_key *key;
	struct msp_signer *s;
	bool valid;
	int i;

	for (i = KEY_GUID; i < VECTOR_FIELDS; i++)
		if (i != HEADERS && i != KEY_BYTES)
			f[i] = read_field(text[i]);
	m.method = f[METHOD].at;
	m.method_len = f[METHOD].len;
	m.target = f[TARGET].at;
	m.target_len = f[TARGET].len;
	m.body = f[BODY].at;
	m.body_len = f[BODY].len;
	m.n_headers = read_headers(headers, text[HEADERS]);
	m.headers = headers;
	ck_assert_int_eq(msp_key_new(&key, f[KEY_GUID].at, f[KEY_GUID].len,
				     text[KEY_BYTES], strlen(text[KEY_BYTES])),
			 0);
	ck_assert_int_eq(msp_signer_new(&s, key), 0);
	snprintf(want, sizeof(want), "Azure-HMAC-SHA256 %.*s %.*s",
		 (int)f[KEY_GUID].len, f[KEY_GUID].at, (int)f[SIGNATURE].len,
		 f[SIGNATURE].at);

	assert_string(s, &m, f[STRING].at, f[STRING].len, text[LABEL]);
	assert_signed(s, &m, want, text[LABEL]);
	ck_assert_int_eq(msp_signer_verify(s, &valid, &m, want, strlen(want)),
			 0);
	ck_assert_msg(valid, "%s", text[LABEL]);

	msp_signer_free(s);
	msp_key_free(key);
	free_headers(headers, m.n_headers);
	for (i = 0; i < VECTOR_FIELDS; i++)
		free(f[i].at);
}

START_TEST(vectors_agree_with_an_independent_implementation)
{
	FILE *file = fopen(VECTORS, "re");
	char *text[VECTOR_FIELDS];
	char *line = NULL;
	size_t size = 0;
	int n = 0, i;

	ck_assert_msg(file != NULL, "%s: run from the repository root",
		      VECTORS);
	while (getline(&line, &size, file) > 0) {
		char *save = NULL;

		if (line[0] == '#')
			continue;
		text[0] = strtok_r(line, " \n", &save);
		for (i = 1; i < VECTOR_FIELDS; i++)
			text[i] = strtok_r(NULL, " \n", &save);
		ck_assert_ptr_nonnull(text[VECTOR_FIELDS - 1]);
		ck_assert_ptr_null(strtok_r(NULL, " \n", &save));
		check_vector(text);
		n++;
	}
	free(line);
	fclose(file);
	ck_assert_int_ge(n, VECTORS_AT_LEAST);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* ---- the value: its length, its check ---------------------------------- */

START_TEST(value_fills_the_stated_length_exactly)
{
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = example();
	char *exact = malloc(MSP_AUTHORIZATION_LEN + 1);
	char room[MSP_AUTHORIZATION_LEN + 16];
	size_t size;

	ck_assert_uint_eq(MSP_AUTHORIZATION_LEN, 17 + 1 + 36 + 1 + 64);
	ck_assert_ptr_nonnull(exact);
	ck_assert_int_eq(
		msp_signer_sign(s, exact, MSP_AUTHORIZATION_LEN + 1, &m), 0);
	ck_assert_uint_eq(strlen(exact), MSP_AUTHORIZATION_LEN);
	free(exact);

	memset(room, '~', sizeof(room));
	ck_assert_int_eq(msp_signer_sign(s, room, sizeof(room), &m), 0);
	for (size = MSP_AUTHORIZATION_LEN + 1; size < sizeof(room); size++)
		ck_assert_int_eq(room[size], '~');

	for (size = 0; size <= MSP_AUTHORIZATION_LEN; size++) {
		memset(room, '~', sizeof(room));
		ck_assert_int_eq(msp_signer_sign(s, room, size, &m),
				 MSP_ERR_INVAL);
		ck_assert_int_eq(room[0], size ? '\0' : '~');
		ck_assert_int_eq(room[1], '~');
	}
	msp_signer_free(s);
}
END_TEST

/* verify on a copy in a block of its own */
static bool accepts(struct msp_signer *s, const struct msp_message *m,
		    const char *value, size_t len)
{
	char *copy = malloc(len ? len : 1);
	bool valid = true;

	ck_assert_ptr_nonnull(copy);
	if (len)
		memcpy(copy, value, len);
	ck_assert_int_eq(msp_signer_verify(s, &valid, m, copy, len), 0);
	free(copy);
	return valid;
}

static const struct {
	const char *value;
	bool valid;
} values[] = {
	{ EXAMPLE_VALUE, true },
	{ "Azure-HMAC-SHA256 " GUID_UP " " EXAMPLE_MAC, true },
	{ "Azure-HMAC-SHA256 " GUID_OTHER " " EXAMPLE_MAC, false },
	{ "Azure-HMAC-SHA256 " GUID " 13750084151509BA36ADEE0B633C8438"
	  "723D6799434E4C90EC2DC95983C8F323",
	  false },
	{ "Azure-HMAC-SHA256 " GUID " 13750084151509ba36adee0b633c8438"
	  "723d6799434e4c90ec2dc95983c8F323",
	  false },
	{ "azure-hmac-sha256 " GUID " " EXAMPLE_MAC, false },
	{ "Azure-HMAC-SHA512 " GUID " " EXAMPLE_MAC, false },
	{ "Azure-HMAC-SHA256  " GUID " " EXAMPLE_MAC, false },
	{ "Azure-HMAC-SHA256\t" GUID " " EXAMPLE_MAC, false },
	{ "Azure-HMAC-SHA256 " GUID "\t" EXAMPLE_MAC, false },
	{ " " EXAMPLE_VALUE, false },
	{ EXAMPLE_VALUE " ", false },
	{ EXAMPLE_VALUE "0", false },
	{ EXAMPLE_VALUE ",x", false },
	{ "Azure-HMAC-SHA256 " GUID " 0000000000000000000000000000000000000000"
	  "000000000000000000000000",
	  false },
	{ EXAMPLE_MAC, false },
	{ "value", false },
};

START_TEST(verify_takes_one_spelling_but_any_case_of_the_guid)
{
	struct msp_signer *lower = new_signer(GUID, HEX);
	struct msp_signer *upper = new_signer(GUID_UP, HEX);
	struct msp_message m = example();
	const char *v = values[_i].value;

	ck_assert_int_eq(accepts(lower, &m, v, strlen(v)), values[_i].valid);
	ck_assert_int_eq(accepts(upper, &m, v, strlen(v)), values[_i].valid);
	msp_signer_free(lower);
	msp_signer_free(upper);
}
END_TEST

/* 'a' and 'A' of the guid are the same */
static bool harmless(size_t at, char flipped)
{
	return at >= sizeof(MSP_SCHEME) &&
	       at < sizeof(MSP_SCHEME) + MSP_GUID_LEN && flipped >= 'A' &&
	       flipped <= 'F';
}

START_TEST(verify_sees_every_flipped_bit)
{
	char value[] = EXAMPLE_VALUE;
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = example();
	size_t at;
	int bit;

	for (at = 0; at < MSP_AUTHORIZATION_LEN; at++)
		for (bit = 0; bit < 8; bit++) {
			value[at] = (char)(value[at] ^ (1 << bit));
			ck_assert_msg(
				accepts(s, &m, value, MSP_AUTHORIZATION_LEN) ==
					(bit == 5 && harmless(at, value[at])),
				"byte %zu, bit %d", at, bit);
			value[at] = (char)(value[at] ^ (1 << bit));
		}
	ck_assert(accepts(s, &m, value, MSP_AUTHORIZATION_LEN));
	msp_signer_free(s);
}
END_TEST

START_TEST(verify_refuses_every_other_length)
{
	static const char value[] = EXAMPLE_VALUE "\0\0\0";
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = example();
	size_t len;

	for (len = 0; len < sizeof(value); len++)
		ck_assert_msg(accepts(s, &m, value, len) ==
				      (len == MSP_AUTHORIZATION_LEN),
			      "length %zu", len);
	msp_signer_free(s);
}
END_TEST

START_TEST(verify_refuses_another_message_or_key)
{
	static const char value[] = EXAMPLE_VALUE;
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_signer *other = new_signer(GUID, HEX_OTHER);
	struct msp_message m = example(), changed = m;

	ck_assert(!accepts(other, &m, TEXT(value)));
	changed.method = "PUT";
	ck_assert(!accepts(s, &changed, TEXT(value)));
	changed = m;
	changed.target_len--;
	ck_assert(!accepts(s, &changed, TEXT(value)));
	changed = m;
	changed.n_headers--;
	ck_assert(!accepts(s, &changed, TEXT(value)));
	changed = m;
	changed.body = "";
	ck_assert(accepts(s, &changed, TEXT(value)));
	changed.body_len = 1;
	ck_assert(!accepts(s, &changed, TEXT(value)));
	msp_signer_free(s);
	msp_signer_free(other);
}
END_TEST

/* ---- what is refused --------------------------------------------------- */

#define METHOD_IS(t) .method = (t), .method_len = sizeof(t) - 1
#define TARGET_IS(t) .target = (t), .target_len = sizeof(t) - 1
#define MESSAGE	     .size = sizeof(struct msp_message)
#define GET_SLASH    MESSAGE, METHOD_IS("GET"), TARGET_IS("/")
#define WITH_LINE(...)                                                         \
	GET_SLASH, .n_headers = 2, .headers = (const struct msp_header[])      \
	{                                                                      \
		LINE("a", "b"), __VA_ARGS__                                    \
	}

static const struct msp_header too_many[MSP_MAX_HEADERS + 1];

static const struct {
	const char *why;
	struct msp_message m;
	int rc;
} refused[] = {
#define M(why, ...)                                                            \
	{                                                                      \
		why, { __VA_ARGS__ }, MSP_ERR_INVAL                            \
	}
#define T(why, target)                                                         \
	{                                                                      \
		why, { MESSAGE, METHOD_IS("GET"), TARGET_IS(target) },         \
			MSP_ERR_INVAL                                          \
	}
	M("no size", METHOD_IS("GET"), TARGET_IS("/")),
	M("size of an older struct", .size = sizeof(struct msp_message) - 8,
	  METHOD_IS("GET"), TARGET_IS("/")),
	M("no method", MESSAGE, TARGET_IS("/")),
	M("empty method", MESSAGE, METHOD_IS(""), TARGET_IS("/")),
	M("blank in method", MESSAGE, METHOD_IS("G T"), TARGET_IS("/")),
	M("LF in method", MESSAGE, METHOD_IS("GET\n"), TARGET_IS("/")),
	M("NUL in method", MESSAGE, METHOD_IS("GE\0"), TARGET_IS("/")),
	M("method beyond ASCII", MESSAGE, METHOD_IS("G\xc3\x89T"),
	  TARGET_IS("/")),
	M("no target", MESSAGE, METHOD_IS("GET")),
	T("empty target", ""),
	T("LF in path", "/a\nb"),
	T("CR in path", "/a\r"),
	T("NUL in path", "/\0"),
	T("LF in query", "/?a\n"),
	T("NUL in query", "/?a=\0"),
	T("fragment", "/a#b"),
	T("fragment in query", "/?a#"),
	T("authority form", "a"),
	T("authority form with port", "a:80"),
	T("authority form with user", "user@a.example:80"),
	T("no path before query", "?a=b"),
	T("asterisk and more", "*a"),
	T("asterisk and query", "*?a"),
	T("no scheme", "://a/b"),
	T("scheme of odd bytes", "a/b://c/d"),
	T("scheme starts with a digit", "1a://b/c"),
	T("scheme without authority", "http://"),
	T("scheme and path only", "http:///a"),
	T("scheme and query only", "http://?a"),
	T("one slash only", "http:/a/b"),
	T("scheme in query", "a?://b/c"),
	M("headers missing", GET_SLASH, .n_headers = 1),
	M("body missing", GET_SLASH, .body_len = 1),
	M("no header name", WITH_LINE({ NULL, 0, "b", 1 })),
	M("header name empty", WITH_LINE(LINE("", "b"))),
	M("colon in header name", WITH_LINE(LINE("a:b", "c"))),
	M("blank after header name", WITH_LINE(LINE("a ", "b"))),
	M("LF in header name", WITH_LINE(LINE("a\nb", "c"))),
	M("NUL in header name", WITH_LINE(LINE("a\0", "b"))),
	M("header name beyond ASCII", WITH_LINE(LINE("\xff", "b"))),
	M("no header value", WITH_LINE({ "a", 1, NULL, 1 })),
	M("LF in header value", WITH_LINE(LINE("a", "b\nc:d"))),
	M("CR in header value", WITH_LINE(LINE("a", "b\r"))),
	M("NUL in header value", WITH_LINE(LINE("a", "\0b"))),
	M("LF in a value that is not signed",
	  WITH_LINE(LINE(MSP_HEADER_AUTHORIZATION, "b\n"))),
	{ "too many headers",
	  { GET_SLASH, .headers = too_many, .n_headers = MSP_MAX_HEADERS + 1 },
	  MSP_ERR_LIMIT },
	{ "far too many headers",
	  { GET_SLASH, .headers = too_many, .n_headers = SIZE_MAX },
	  MSP_ERR_LIMIT },
#undef M
#undef T
};

START_TEST(message_that_cannot_be_sent_is_not_signed)
{
	static const char known[] = EXAMPLE_VALUE;
	struct msp_signer *s = new_signer(GUID, HEX);
	const struct msp_message *m = &refused[_i].m;
	char value[MSP_AUTHORIZATION_LEN + 1] = "~";
	struct msp_message good = example();
	const char *text = "~";
	bool valid = true;
	size_t len = 1;

	ck_assert_msg(msp_signer_sign(s, value, sizeof(value), m) ==
			      refused[_i].rc,
		      "%s", refused[_i].why);
	ck_assert_str_eq(value, "");
	ck_assert_int_eq(msp_signer_string(s, &text, &len, m), refused[_i].rc);
	ck_assert_ptr_null(text);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(msp_signer_verify(s, &valid, m, TEXT(known)),
			 refused[_i].rc);
	ck_assert(!valid);
	/* and the signer is as good as before */
	assert_signed(s, &good, known, refused[_i].why);
	msp_signer_free(s);
}
END_TEST

START_TEST(null_is_refused)
{
	char value[MSP_AUTHORIZATION_LEN + 1] = "~";
	struct msp_signer *s = (void *)1;
	struct msp_message m = example();
	const char *text = "~";
	bool valid = true;
	size_t len = 1;

	ck_assert_int_eq(msp_signer_new(&s, NULL), MSP_ERR_INVAL);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(msp_signer_new(NULL, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_sign(NULL, value, sizeof(value), &m),
			 MSP_ERR_INVAL);
	ck_assert_str_eq(value, "");
	ck_assert_int_eq(msp_signer_verify(NULL, &valid, &m, "", 0),
			 MSP_ERR_INVAL);
	ck_assert(!valid);
	ck_assert_int_eq(msp_signer_string(NULL, &text, &len, &m),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(text);
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(msp_signer_key(NULL));
	msp_signer_free(NULL);

	s = new_signer(GUID, HEX);
	ck_assert_int_eq(msp_signer_sign(s, NULL, 200, &m), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_verify(s, NULL, &m, "", 0), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_verify(s, &valid, &m, NULL, 1),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_verify(s, &valid, &m, NULL, 0), 0);
	ck_assert(!valid);
	ck_assert_int_eq(msp_signer_string(s, NULL, &len, &m), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_signer_string(s, &text, NULL, &m), MSP_ERR_INVAL);
	msp_signer_free(s);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("signer");
	TCase *t = tcase_create("string");

	tcase_add_test(t, example_of_the_specification_is_signed_as_written);
	tcase_add_loop_test(t, target_is_split_sorted_and_merged, 0,
			    COUNT(targets));
	tcase_add_test(t,
		       headers_are_sorted_trimmed_and_the_last_of_a_name_wins);
	tcase_add_test(t, vectors_agree_with_an_independent_implementation);
	suite_add_tcase(s, t);

	t = tcase_create("value");
	tcase_add_test(t, value_fills_the_stated_length_exactly);
	tcase_add_loop_test(t,
			    verify_takes_one_spelling_but_any_case_of_the_guid,
			    0, COUNT(values));
	tcase_add_test(t, verify_sees_every_flipped_bit);
	tcase_add_test(t, verify_refuses_every_other_length);
	tcase_add_test(t, verify_refuses_another_message_or_key);
	tcase_add_loop_test(t, message_that_cannot_be_sent_is_not_signed, 0,
			    COUNT(refused));
	tcase_add_test(t, null_is_refused);
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
