/* SPDX-License-Identifier: MIT */
/*
 * In: methods and targets, good and hostile. Out: pass or fail. Must never
 * need a network, a file or a privilege.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/request_priv.h"
#include "tests/lib/canonical.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/guard.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct msp_request *request;

static void setup(void)
{
	ck_assert_int_eq(msp_request_new(&request), 0);
}

static void teardown(void)
{
	msp_request_free(request);
	ck_assert_int_eq(failalloc_live(), 0);
}

static void set(const char *method, const char *target, size_t len)
{
	ck_assert_int_eq(
		msp_request_set(request, method, strlen(method), target, len),
		0);
}

/* ---- codes ------------------------------------------------------------- */

struct code {
	const char *method;
	const char *target;
	enum msp_canon canon;
	enum msp_form form;
};

#define ORIGIN	 MSP_FORM_ORIGIN
#define ABSOLUTE MSP_FORM_ABSOLUTE
#define ASTERISK MSP_FORM_ASTERISK
#define OTHER	 MSP_FORM_OTHER

static const struct code code[] = {
	{ "GET", "/", MSP_CANON_OK, ORIGIN },
	{ "HEAD", "/a", MSP_CANON_OK, ORIGIN },
	{ "POST", "/a", MSP_CANON_OK, ORIGIN },
	{ "PUT", "/a", MSP_CANON_OK, ORIGIN },
	{ "DELETE", "/a", MSP_CANON_OK, ORIGIN },
	{ "OPTIONS", "/a", MSP_CANON_OK, ORIGIN },
	{ "PATCH", "/a", MSP_CANON_OK, ORIGIN },
	{ "get", "/a", MSP_CANON_METHOD, ORIGIN },
	{ "GETS", "/a", MSP_CANON_METHOD, ORIGIN },
	{ "GE", "/a", MSP_CANON_METHOD, ORIGIN },
	{ "TRACE", "/a", MSP_CANON_METHOD, ORIGIN },
	{ "CONNECT", "a:80", MSP_CANON_METHOD, OTHER },
	/* step 2 of the pipeline comes before all else */
	{ "GET", "//", MSP_CANON_SLASHES, ORIGIN },
	{ "GET", "/a//b", MSP_CANON_SLASHES, ORIGIN },
	{ "GET", "/a?b//c", MSP_CANON_OK, ORIGIN },
	{ "TRACE", "/a//%zz", MSP_CANON_SLASHES, ORIGIN },
	{ "GET", "/a//b#c", MSP_CANON_SLASHES, OTHER },
	{ "GET", "/a/b#c//d", MSP_CANON_FORM, OTHER },
	{ "GET", "https://h//a", MSP_CANON_SLASHES, ABSOLUTE },
	{ "GET", "http://h?//", MSP_CANON_OK, ABSOLUTE },
	{ "GET", "/a/../b", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/..", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/a..b", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/a/%2e%2E/b", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/a/.%2e/b", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/%zz/..", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/%ff/..", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "TRACE", "/..", MSP_CANON_TRAVERSAL, ORIGIN },
	{ "GET", "/a?b=..", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a//..", MSP_CANON_SLASHES, ORIGIN },
	/* these pass it and are canonicalized (Q24) */
	{ "GET", "/a/./b", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a%2f%2Fb", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a/%2Fb", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a;b=c/d", MSP_CANON_OK, ORIGIN },
	{ "GET", "/%252e%252e/a", MSP_CANON_AMBIGUOUS, ORIGIN },
	/* dots with something cut off are dots again */
	{ "GET", "/a/.;x/b", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a/..;x/b", MSP_CANON_TRAVERSAL, ORIGIN },
	/* scheme, method, userinfo, port, host: in this order */
	{ "TRACE", "https://u@h/a", MSP_CANON_SCHEME, ABSOLUTE },
	{ "TRACE", "http://u@h/a", MSP_CANON_METHOD, ABSOLUTE },
	{ "GET", "http://u@_:x/a", MSP_CANON_USERINFO, ABSOLUTE },
	{ "GET", "http://_:x/%", MSP_CANON_PORT, ABSOLUTE },
	{ "GET", "http://_/%", MSP_CANON_HOST, ABSOLUTE },
	{ "GET", "http://h/%", MSP_CANON_PCT, ABSOLUTE },
	{ "GET", "HTTP://h/a", MSP_CANON_OK, ABSOLUTE },
	{ "GET", "http://h", MSP_CANON_OK, ABSOLUTE },
	{ "GET", "http://h?a=b", MSP_CANON_OK, ABSOLUTE },
	{ "GET", "ftp://h/a", MSP_CANON_SCHEME, ABSOLUTE },
	{ "GET", "http+unix://h/a", MSP_CANON_SCHEME, ABSOLUTE },
	{ "GET", "http:///a", MSP_CANON_HOST, ABSOLUTE },
	/* forms */
	{ "OPTIONS", "*", MSP_CANON_OK, ASTERISK },
	{ "GET", "*", MSP_CANON_FORM, ASTERISK },
	{ "OPTIONS", "**", MSP_CANON_FORM, OTHER },
	{ "OPTIONS", "*?a", MSP_CANON_FORM, OTHER },
	{ "GET", "a", MSP_CANON_FORM, OTHER },
	{ "GET", "a:80", MSP_CANON_FORM, OTHER },
	{ "GET", "user@a.example:80", MSP_CANON_FORM, OTHER },
	{ "GET", "?a=b", MSP_CANON_FORM, OTHER },
	{ "GET", "http:/a", MSP_CANON_FORM, OTHER },
	{ "GET", "http:a", MSP_CANON_FORM, OTHER },
	{ "GET", "1http://h/a", MSP_CANON_FORM, OTHER },
	{ "GET", "://h/a", MSP_CANON_FORM, OTHER },
	{ "GET", "http:", MSP_CANON_FORM, OTHER },
	/* bytes that no target may hold in the raw */
	{ "GET", "/a#", MSP_CANON_FORM, OTHER },
	{ "GET", "/a?b#c", MSP_CANON_FORM, OTHER },
	{ "GET", "http://h#c", MSP_CANON_FORM, OTHER },
	{ "GET", "/a b", MSP_CANON_CTRL, OTHER },
	{ "GET", "/a\tb", MSP_CANON_CTRL, OTHER },
	{ "GET", "/a?b=c\r\nHost: x", MSP_CANON_CTRL, OTHER },
	{ "GET", "/a\x7f", MSP_CANON_CTRL, OTHER },
	{ "GET", "/a\xc3\xa9", MSP_CANON_NON_ASCII, OTHER },
	{ "GET", "/a?b=\xc3\xa9", MSP_CANON_NON_ASCII, OTHER },
	{ "GET", "http://h\xff/a", MSP_CANON_NON_ASCII, OTHER },
	{ "GET", "/a<b", MSP_CANON_FORM, OTHER },
	{ "GET", "/a?b>", MSP_CANON_FORM, OTHER },
	{ "GET", "/a`", MSP_CANON_FORM, OTHER },
	{ "GET", "/a?b`", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a\"", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a?b\"", MSP_CANON_FORM, OTHER },
	{ "GET", "/a^{}[]|?^{}[]|\\", MSP_CANON_OK, ORIGIN },
	/* path: PCT, UTF8, CTRL, NON_ASCII, EMBQ, AMBIGUOUS, UNDERFLOW */
	{ "GET", "/a%", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a%4", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a%4g", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a%g4", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/%ff%", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/%00%ff", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%c0%af", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%c1%bf", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%e0%80%af", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%e0%9f%bf", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%e0%a0%80", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/%ed%9f%bf", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/%ed%a0%80", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%ee%80%80", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/%f0%8f%bf%bf", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%f0%90%80%80", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/%f4%8f%bf%bf", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/%f4%90%80%80", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%f5%80%80%80", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%80", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%c3", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%c3a", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%e2%82", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/%00", MSP_CANON_CTRL, ORIGIN },
	{ "GET", "/%1f%c3%a9", MSP_CANON_CTRL, ORIGIN },
	{ "GET", "/%7f", MSP_CANON_CTRL, ORIGIN },
	{ "GET", "/%c3%a9%3f", MSP_CANON_NON_ASCII, ORIGIN },
	{ "GET", "/a%3Fb%5c", MSP_CANON_EMBQ, ORIGIN },
	{ "GET", "/a%3Fb", MSP_CANON_EMBQ, ORIGIN },
	{ "GET", "/a%5cb", MSP_CANON_AMBIGUOUS, ORIGIN },
	{ "GET", "/a\\b", MSP_CANON_AMBIGUOUS, ORIGIN },
	{ "GET", "/a%252fb", MSP_CANON_AMBIGUOUS, ORIGIN },
	{ "GET", "/a%25%32%66b", MSP_CANON_AMBIGUOUS, ORIGIN },
	{ "GET", "/a%25", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a%252", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a%25zz", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a%20b", MSP_CANON_OK, ORIGIN },
	/* query: PCT, UTF8, CTRL; the path comes first */
	{ "GET", "/a%5c?b=%", MSP_CANON_AMBIGUOUS, ORIGIN },
	{ "GET", "/a?b=%", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a?%=b", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a?%2=b", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a?=%", MSP_CANON_PCT, ORIGIN },
	{ "GET", "/a?b=%ff", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/a?b=%c0%80", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/a?b=%ff&c=%", MSP_CANON_UTF8, ORIGIN },
	{ "GET", "/a?b=%0a", MSP_CANON_CTRL, ORIGIN },
	{ "GET", "/a?b%00=c", MSP_CANON_CTRL, ORIGIN },
	{ "GET", "/a?b=%c3%a9", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a?b=%5c%252f", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a?b=c&b=d", MSP_CANON_OK, ORIGIN },
	{ "GET", "/a?&&=&?=?", MSP_CANON_OK, ORIGIN },
};

/* What no mode lets pass; so is whatever is OTHER. */
static const bool refused[MSP_CANON_FORM + 1] = {
	[MSP_CANON_SLASHES] = true,  [MSP_CANON_TRAVERSAL] = true,
	[MSP_CANON_SCHEME] = true,   [MSP_CANON_METHOD] = true,
	[MSP_CANON_USERINFO] = true, [MSP_CANON_PORT] = true,
	[MSP_CANON_HOST] = true,     [MSP_CANON_FORM] = true,
};

START_TEST(request_code_is_the_first_failing_step)
{
	const struct code *c = &code[_i];
	size_t len = strlen(c->target), mapped;
	char *copy = guarded(c->target, len, &mapped);

	set(c->method, copy, len);
	free_guarded(copy, len, mapped);
	ck_assert_msg(msp_request_canon(request) == c->canon,
		      "%s %s: %s, expected %s", c->method, c->target,
		      msp_canon_name(msp_request_canon(request)),
		      msp_canon_name(c->canon));
	ck_assert_msg(msp_request_form(request) == c->form, "%s: form %d",
		      c->target, (int)msp_request_form(request));
	ck_assert_str_eq(msp_request_method(request), c->method);
	ck_assert_int_eq(msp_request_refused(request),
			 c->form == OTHER || refused[c->canon]);
}
END_TEST

START_TEST(request_with_nul_is_no_request)
{
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "/a\0/../b", 8), 0);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_TRAVERSAL);
	ck_assert_int_eq(msp_request_form(request), MSP_FORM_OTHER);
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "/a\0b", 4), 0);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_CTRL);
	ck_assert_int_eq(msp_request_form(request), MSP_FORM_OTHER);
	ck_assert_int_eq(
		msp_request_set(request, "PUT\0x", 5, "/vmagentlog", 11), 0);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_METHOD);
	ck_assert(!msp_request_exempt(request));
}
END_TEST

/* ---- canonical form ---------------------------------------------------- */

struct form {
	const char *target;
	const char *path;  /* canonical */
	const char *query; /* sorted: name=value, '|' between */
};

static const struct form form[] = {
	{ "/", "", "" },
	{ "/a", "/a", "" },
	{ "/a/", "/a", "" },
	{ "/A/Bc", "/a/bc", "" },
	{ "/%41%62", "/ab", "" },
	{ "/./a/./b/.", "/a/b", "" },
	{ "/a%2fb", "/a/b", "" },
	{ "/a%2F%2Fb", "/a/b", "" },
	{ "/a;x=1;y/b;", "/a/b", "" },
	{ "/;x/a", "/a", "" },
	{ "/a%3bx/b", "/a/b", "" },
	{ "/.;x/a", "/a", "" },
	{ "/.a/b.", "/.a/b.", "" },
	{ "/a%20b+c", "/a b+c", "" },
	{ "/metadata/identity/oauth2/token?api-version=2018-02-01",
	  "/metadata/identity/oauth2/token", "api-version=2018-02-01" },
	{ "http://h", "", "" },
	{ "http://h?a=b", "", "a=b" },
	{ "http://h/A?a", "/a", "a=" },
	{ "/a?", "/a", "" },
	{ "/a?B=C", "/a", "b=c" },
	{ "/a?b", "/a", "b=" },
	{ "/a?b=", "/a", "b=" },
	{ "/a?=b", "/a", "" },
	{ "/a?b=c=d", "/a", "b=c=d" },
	{ "/a?b+c=d+e", "/a", "b c=d e" },
	{ "/a?b%2bc=d%2Be", "/a", "b+c=d+e" },
	{ "/a?%62=%26%3d", "/a", "b=&=" },
	{ "/a?&&z=1&&a=2&", "/a", "a=2|z=1" },
	{ "/a?b=2&a=9&b=1&ab=0&b=3", "/a", "a=9|ab=0|b=2|b=1|b=3" },
	{ "/a?b=?x=/..//", "/a", "b=?x=/..//" },
	{ "/a?b=%C3%89", "/a", "b=\xc3\x89" },
	{ "/a?b=%2541", "/a", "b=%41" },
};

static void query_text(char *out, size_t size)
{
	const struct msp_pair *p;
	size_t i, n = 0;

	out[0] = '\0';
	for (i = 0; i < request->n_pairs; i++) {
		p = &request->pairs[i];
		n += (size_t)snprintf(out + n, size - n, "%s%.*s=%.*s",
				      i ? "|" : "", p->name_len,
				      request->text + p->name, p->value_len,
				      request->text + p->value);
	}
}

START_TEST(request_form_is_canonical)
{
	const struct form *f = &form[_i];
	char query[256];

	set("GET", f->target, strlen(f->target));
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_OK);
	ck_assert_uint_eq(request->text_len, strlen(f->path));
	ck_assert_int_eq(memcmp(request->text, f->path, request->text_len), 0);
	query_text(query, sizeof(query));
	ck_assert_str_eq(query, f->query);
}
END_TEST

/* Rendering a canonical request and canonicalizing that changes nothing. */
static void check_idempotent(const char *target, size_t len)
{
	struct msp_request *again;
	char text[1024];
	size_t n;

	set("GET", target, len);
	if (msp_request_canon(request))
		return;
	ck_assert_int_eq(msp_request_render(request, text, sizeof(text), &n),
			 0);
	ck_assert_int_eq(msp_request_new(&again), 0);
	ck_assert_int_eq(msp_request_set(again, "GET", 3, text, n), 0);
	ck_assert_msg(same_canonical(request, again), "%.*s -> %.*s", (int)len,
		      target, (int)n, text);
	msp_request_free(again);
}

START_TEST(request_canonicalization_is_idempotent)
{
	check_idempotent(form[_i].target, strlen(form[_i].target));
}
END_TEST

START_TEST(request_canonicalization_is_idempotent_on_random_targets)
{
	static const char *const piece[] = {
		"/",   "a",	 "B",	"%2f", "%2e", ".",   ";",
		"?",   "&",	 "=",	"+",   "%20", "%25", "2f",
		"%41", "%c3%a9", "%5c", "%3f", "%26", "%3d", "%2b",
		"%23", "%3b",	 "~",	"%7e", "!",   "%",   "\"",
	};
	char target[128];
	size_t n, len;
	int i;

	srand(7);
	for (i = 0; i < 20000; i++) {
		len = 1;
		target[0] = '/';
		for (n = (size_t)rand() % 20; n > 0; n--)
			len += (size_t)snprintf(target + len,
						sizeof(target) - len, "%s",
						piece[rand() % COUNT(piece)]);
		check_idempotent(target, len);
	}
}
END_TEST

static const struct {
	const char *target;
	const char *text;
} rendered[] = {
	{ "/", "/" },
	{ "http://h", "/" },
	{ "/./;x/", "/" },
	{ "/A/b", "/a/b" },
	{ "/A/b/", "/a/b/" },
	{ "/a/;x/", "/a/" },
	{ "/a/b%2f", "/a/b" },
	{ "/a/?b", "/a/?b=" },
	{ "/a%20%23%25%3b", "/a%20%23%25" },
	{ "/a%3c%3E%60\"", "/a%3C%3E%60\"" },
	{ "/a?b=%26%3d%2b%25%23%3c%3e%22", "/a?b=%26%3D%2B%25%23%3C%3E%22" },
	{ "/a?c=2&B+b=D+D&c=1", "/a?b%20b=d%20d&c=2&c=1" },
	{ "/a?b=%C3%A9;?`\\", "/a?b=%C3%A9;?`\\" },
};

START_TEST(request_render_is_the_canonical_form)
{
	const char *want = rendered[_i].text;
	size_t size, len = strlen(want), n, mapped;
	char *out;

	set("GET", rendered[_i].target, strlen(rendered[_i].target));
	for (size = 0; size <= len + 1; size++) {
		out = guarded("\xff\xff\xff\xff\xff\xff\xff\xff"
			      "\xff\xff\xff\xff\xff\xff\xff\xff"
			      "\xff\xff\xff\xff\xff\xff\xff\xff"
			      "\xff\xff\xff\xff\xff\xff\xff\xff",
			      size, &mapped);
		ck_assert_int_eq(msp_request_render(request, out, size, &n),
				 size > len ? 0 : MSP_ERR_LIMIT);
		ck_assert_uint_eq(n, len);
		if (size)
			ck_assert_str_eq(out, size > len ? want : "");
		free_guarded(out, size, mapped);
	}
}
END_TEST

START_TEST(request_render_needs_a_canonical_form)
{
	char out[8] = "xxxxxxx";
	size_t n = 9;

	set("GET", "/a%", 3);
	ck_assert_int_eq(msp_request_render(request, out, sizeof(out), &n),
			 MSP_ERR_NOENT);
	ck_assert_str_eq(out, "");
	ck_assert_uint_eq(n, 0);
	set("GET", "/a", 2);
	ck_assert_int_eq(msp_request_render(request, NULL, 1, &n),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_request_render(NULL, out, sizeof(out), &n),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_request_render(request, NULL, 0, NULL),
			 MSP_ERR_LIMIT);
	ck_assert_int_eq(msp_request_render(request, out, sizeof(out), NULL),
			 0);
	ck_assert_str_eq(out, "/a");
}
END_TEST

START_TEST(request_finds_every_name_among_many)
{
	char target[8192];
	size_t count, len = 2;
	char name[16];
	int i;

	memcpy(target, "/?", 2);
	for (i = 0; i < 500; i++)
		len += (size_t)snprintf(target + len, sizeof(target) - len,
					"&k%d=%d", i * 7 % 250, i);
	set("GET", target, len);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_OK);
	ck_assert(request->duplicates);
	for (i = 0; i < 250; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		ck_assert_ptr_nonnull(
			msp_request_find(request, name, strlen(name), &count));
		ck_assert_uint_eq(count, 2);
	}
	ck_assert_ptr_null(msp_request_find(request, "k250", 4, &count));
	ck_assert_ptr_null(msp_request_find(request, "k", 1, &count));
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* ---- authority --------------------------------------------------------- */

START_TEST(request_authority_is_only_for_an_absolute_form)
{
	static const char *const target[] = { "/a", "*", "h:80", "https://h/a",
					      "http://h/a#b" };
	struct msp_authority out;
	int i;

	for (i = 0; i < COUNT(target); i++) {
		set("OPTIONS", target[i], strlen(target[i]));
		ck_assert_msg(!msp_request_authority(request, &out), "%s",
			      target[i]);
	}
	/* a bad path does not hide where it goes */
	set("GET", "http://h/..", 11);
	ck_assert(msp_request_authority(request, &out));
	set("GET", "HTTP://0x7f000001:8080?x", 24);
	ck_assert(msp_request_authority(request, &out));
	ck_assert_uint_eq(ntohl(out.address.ip), 0x7f000001);
	ck_assert_uint_eq(out.address.port, 8080);
	ck_assert_uint_eq(out.text_len, 15);
	ck_assert_int_eq(memcmp(out.text, "0x7f000001:8080", 15), 0);
}
END_TEST

/* ---- what is forwarded, exempt, logged ------------------------------------
 */

static const struct {
	const char *target;
	const char *origin; /* NULL: none */
} origin[] = {
	{ "/a", "/a" },
	{ "/A%2f/./B;c?D=e&&", "/A%2f/./B;c?D=e&&" },
	{ "/%", "/%" },
	{ "*", "*" },
	{ "http://h", "/" },
	{ "http://h?a=b", "/?a=b" },
	{ "HTTP://h:80/a?b", "/a?b" },
	{ "http://h/", "/" },
	{ "https://h/a", "/a" },
	{ "h:80", NULL },
	{ "/a#b", NULL },
	{ "/a b", NULL },
};

START_TEST(request_origin_is_what_was_received)
{
	const char *out;
	size_t len = 99;

	set("OPTIONS", origin[_i].target, strlen(origin[_i].target));
	out = msp_request_origin(request, &len);
	if (!origin[_i].origin) {
		ck_assert_ptr_null(out);
		ck_assert_uint_eq(len, 0);
		return;
	}
	ck_assert_uint_eq(len, strlen(origin[_i].origin));
	ck_assert_int_eq(memcmp(out, origin[_i].origin, len), 0);
}
END_TEST

static const struct {
	const char *method;
	const char *target;
	bool exempt;
} exempt[] = {
	{ "PUT", "/vmagentlog", true },
	{ "PUT", "/vmAgentLog", true },
	{ "POST", "/machine/?comp=telemetrydata", true },
	{ "POST", "/Machine/?COMP=TelemetryData", true },
	{ "POST", "/vmagentlog", false },
	{ "put", "/vmagentlog", false },
	{ "PUT", "/vmagentlog/", false },
	{ "PUT", "/vmagentlog?", false },
	{ "PUT", "/vmagentlo%67", false },
	{ "PUT", "/./vmagentlog", false },
	{ "PUT", "/machine/?comp=telemetrydata", false },
	{ "POST", "/machine?comp=telemetrydata", false },
	{ "POST", "/machine/?comp=telemetrydata&a", false },
	{ "POST", "http://168.63.129.16/machine/?comp=telemetrydata", false },
	{ "PUT", "http://168.63.129.16/vmagentlog", false },
};

START_TEST(request_exempt_is_the_whole_target)
{
	set(exempt[_i].method, exempt[_i].target, strlen(exempt[_i].target));
	ck_assert_int_eq(msp_request_exempt(request), exempt[_i].exempt);
}
END_TEST

static const struct {
	const char *target;
	size_t size;
	const char *text;
} path_text[] = {
	{ "/a/b?api-version=1&format=json", 64, "/a/b?api-version&format" },
	{ "/a?b", 64, "/a?b" },
	{ "/a?=secret", 64, "/a" },
	{ "/a?&&b=c=d&", 64, "/a?b" },
	{ "/A%2F\"\\", 64, "/A%2F%22%5C" },
	{ "/a?\\=1", 64, "/a?%5C" },
	{ "/a b\r\n?c=d", 64, "/a%20b%0D%0A?c" },
	{ "/a\xff", 64, "/a%FF" },
	{ "/a?b=1#c&d", 64, "/a?b" },
	{ "http://user:word@h/a?b=c", 64, "/a?b" },
	{ "http://h?b=c", 64, "/?b" },
	{ "*", 64, "*" },
	{ "h:80?b=c", 64, "h:80" },
	{ "/abc", 1, "" },
	{ "/abc", 2, "/" },
	{ "/abc", 4, "/ab" },
	{ "/a?bcd=1", 6, "/a?bc" },
	{ "/a?b=1&c=2", 6, "/a?b&" },
	{ "/a\"b", 5, "/a" },
	{ "/a\"b", 6, "/a%22" },
};

START_TEST(request_path_text_shows_no_values_and_fits)
{
	char out[66];
	size_t n;

	memset(out, 'x', sizeof(out));
	set("GET", path_text[_i].target, strlen(path_text[_i].target));
	n = msp_request_path_text(request, out, path_text[_i].size);
	ck_assert_str_eq(out, path_text[_i].text);
	ck_assert_uint_eq(n, strlen(out));
	ck_assert_int_eq(out[path_text[_i].size], 'x');
}
END_TEST

/* the list of spec 8.6, a contract */
static const struct {
	enum msp_canon code;
	const char *name;
	const char *text;
} contract[] = {
	{ MSP_CANON_SCHEME, "CANON_SCHEME", "scheme not http" },
	{ MSP_CANON_METHOD, "CANON_METHOD", "method not allowed" },
	{ MSP_CANON_USERINFO, "CANON_USERINFO", "userinfo present in URL" },
	{ MSP_CANON_PCT, "CANON_PCT", "malformed percent-encoding" },
	{ MSP_CANON_OVERLONG, "CANON_OVERLONG",
	  "overlong UTF-8 in path/query" },
	{ MSP_CANON_UTF8, "CANON_UTF8", "invalid UTF-8 in path/query" },
	{ MSP_CANON_NON_ASCII, "CANON_NON_ASCII",
	  "non-ASCII codepoint in path" },
	{ MSP_CANON_CTRL, "CANON_CTRL", "control character in path/query" },
	{ MSP_CANON_UNDERFLOW, "CANON_UNDERFLOW", "path traversal past root" },
	{ MSP_CANON_EMBQ, "CANON_EMBQ", "embedded '?' after decoding" },
	{ MSP_CANON_HOST, "CANON_HOST", "unparseable host" },
	{ MSP_CANON_PORT, "CANON_PORT", "unparseable port" },
};

START_TEST(request_code_names_are_the_contract)
{
	int i;

	for (i = 0; i < COUNT(contract); i++) {
		ck_assert_str_eq(msp_canon_name(contract[i].code),
				 contract[i].name);
		ck_assert_str_eq(msp_canon_text(contract[i].code),
				 contract[i].text);
	}
	for (i = 0; i <= MSP_CANON_FORM; i++)
		ck_assert_int_eq(
			strncmp(msp_canon_name((enum msp_canon)i), "CANON_", 6),
			0);
	ck_assert_str_eq(msp_canon_name((enum msp_canon)18), "CANON_UNKNOWN");
	ck_assert_str_eq(msp_canon_text((enum msp_canon) - 1), "unknown code");
}
END_TEST

/* ---- memory, arguments ------------------------------------------------- */

START_TEST(request_refuses_bad_arguments)
{
	size_t len = 1;

	ck_assert_int_eq(msp_request_new(NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_request_set(NULL, "GET", 3, "/", 1),
			 MSP_ERR_INVAL);
	set("GET", "/a", 2);
	ck_assert_int_eq(msp_request_set(request, "", 0, "/", 1),
			 MSP_ERR_INVAL);
	/* and forgets what it held */
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_FORM);
	ck_assert_int_eq(msp_request_form(request), MSP_FORM_OTHER);
	ck_assert_str_eq(msp_request_method(request), "");
	ck_assert_ptr_null(msp_request_origin(request, &len));
	ck_assert(!msp_request_exempt(request));
	ck_assert(msp_request_refused(request) && msp_request_refused(NULL));
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "", 0),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_request_set(request, NULL, 3, "/", 1),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_request_set(request, "GET", 3, NULL, 1),
			 MSP_ERR_INVAL);
	msp_request_free(NULL);
	ck_assert_int_eq(msp_request_canon(NULL), MSP_CANON_FORM);
	ck_assert_int_eq(msp_request_form(NULL), MSP_FORM_OTHER);
	ck_assert_ptr_null(msp_request_origin(NULL, NULL));
	ck_assert_uint_eq(msp_request_path_text(NULL, NULL, 0), 0);
}
END_TEST

/* The worst targets there are, at the limit and one byte over. */
START_TEST(request_takes_the_longest_target_and_no_more)
{
	static const char *const unit[] = {
		"/a", "&a", "%41", "a", ";", "/?&"
	};
	char *target = malloc(MSP_TARGET_MAX + 1);
	size_t i, len = strlen(unit[_i]);

	for (i = 0; i <= MSP_TARGET_MAX; i++)
		target[i] = i ? unit[_i][i % len] : '/';
	if (unit[_i][0] == '&')
		target[1] = '?';
	set("GET", target, MSP_TARGET_MAX);
	ck_assert_int_ne(msp_request_form(request), MSP_FORM_OTHER);
	ck_assert_int_eq(
		msp_request_set(request, "GET", 3, target, MSP_TARGET_MAX + 1),
		MSP_ERR_LIMIT);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_FORM);
	free(target);
}
END_TEST

START_TEST(request_absolute_form_without_path_fits_at_the_limit)
{
	char *target = malloc(MSP_TARGET_MAX);
	size_t len;

	memset(target, 'a', MSP_TARGET_MAX);
	memcpy(target, "http://h?", 9);
	set("GET", target, MSP_TARGET_MAX);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_OK);
	ck_assert_ptr_nonnull(msp_request_origin(request, &len));
	ck_assert_uint_eq(len, MSP_TARGET_MAX + 1 - 8);
	ck_assert_uint_eq(request->pairs[0].name_len, MSP_TARGET_MAX - 9);
	free(target);
}
END_TEST

START_TEST(request_allocates_only_for_a_longer_target)
{
	char target[2000];
	int i;

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	set("GET", target, sizeof(target));
	failalloc_arm(0);
	for (i = 0; i < COUNT(code); i++)
		set(code[i].method, code[i].target, strlen(code[i].target));
	for (i = 2; i < COUNT(target); i++)
		target[i] = i % 2 ? 'a' : '&';
	target[1] = '?';
	set("GET", target, sizeof(target));
	ck_assert(!failalloc_disarm());
}
END_TEST

START_TEST(request_survives_a_failing_allocation)
{
	struct msp_request *r;
	char target[4000];
	int rc;

	failalloc_arm(0);
	ck_assert_int_eq(msp_request_new(&r), MSP_ERR_NOMEM);
	ck_assert_ptr_null(r);
	failalloc_disarm();

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	set("GET", "/a", 2);
	failalloc_arm(0);
	rc = msp_request_set(request, "GET", 3, target, sizeof(target));
	ck_assert(failalloc_disarm());
	ck_assert_int_eq(rc, MSP_ERR_NOMEM);
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_FORM);
	set("GET", target, sizeof(target));
	ck_assert_int_eq(msp_request_canon(request), MSP_CANON_OK);
}
END_TEST

static Suite *request_suite(void)
{
	Suite *s = suite_create("request");
	TCase *t = tcase_create("canonical");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, request_code_is_the_first_failing_step, 0,
			    COUNT(code));
	tcase_add_test(t, request_with_nul_is_no_request);
	tcase_add_loop_test(t, request_form_is_canonical, 0, COUNT(form));
	tcase_add_loop_test(t, request_canonicalization_is_idempotent, 0,
			    COUNT(form));
	tcase_add_test(
		t, request_canonicalization_is_idempotent_on_random_targets);
	tcase_add_loop_test(t, request_render_is_the_canonical_form, 0,
			    COUNT(rendered));
	tcase_add_test(t, request_render_needs_a_canonical_form);
	tcase_add_test(t, request_finds_every_name_among_many);
	suite_add_tcase(s, t);

	t = tcase_create("parts");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_authority_is_only_for_an_absolute_form);
	tcase_add_loop_test(t, request_origin_is_what_was_received, 0,
			    COUNT(origin));
	tcase_add_loop_test(t, request_exempt_is_the_whole_target, 0,
			    COUNT(exempt));
	tcase_add_loop_test(t, request_path_text_shows_no_values_and_fits, 0,
			    COUNT(path_text));
	tcase_add_test(t, request_code_names_are_the_contract);
	suite_add_tcase(s, t);

	t = tcase_create("memory");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_refuses_bad_arguments);
	tcase_add_loop_test(t, request_takes_the_longest_target_and_no_more, 0,
			    6);
	tcase_add_test(t, request_absolute_form_without_path_fits_at_the_limit);
	tcase_add_test(t, request_allocates_only_for_a_longer_target);
	tcase_add_test(t, request_survives_a_failing_allocation);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(request_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
