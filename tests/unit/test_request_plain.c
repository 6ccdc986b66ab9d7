/* SPDX-License-Identifier: MIT */
/*
 * In: targets, nearly all of them plain. Out: pass or fail: whether the short
 * way to a canonical form comes to what the long one does. Must never need a
 * file or a privilege.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/canonical.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct msp_request *one, *other;

static void setup(void)
{
	ck_assert_int_eq(msp_request_new(&one), 0);
	ck_assert_int_eq(msp_request_new(&other), 0);
}

static void teardown(void)
{
	msp_request_free(one);
	msp_request_free(other);
	ck_assert_int_eq(failalloc_live(), 0);
}

/* The absolute form always takes the long way. */
static void compare(const char *method, const char *target, size_t len)
{
	char text[256] = "http://h";
	size_t n = strlen(text);

	memcpy(text + n, target, len);
	ck_assert_int_eq(
		msp_request_set(one, method, strlen(method), target, len), 0);
	ck_assert_int_eq(
		msp_request_set(other, method, strlen(method), text, n + len),
		0);
	ck_assert_msg(msp_request_canon(one) == msp_request_canon(other),
		      "%.*s: %s, the long way %s", (int)len, target,
		      msp_canon_name(msp_request_canon(one)),
		      msp_canon_name(msp_request_canon(other)));
	ck_assert_msg(msp_request_canon(one) || same_canonical(one, other),
		      "%.*s", (int)len, target);
}

/* '@' in the form is where the piece goes. */
static void compare_with(const char *form, const char *piece, size_t len)
{
	const char *at = strchr(form, '@');
	size_t before = (size_t)(at - form), after = strlen(at + 1);
	char target[64];

	memcpy(target, form, before);
	memcpy(target + before, piece, len);
	memcpy(target + before + len, at + 1, after);
	compare("GET", target, before + len + after);
}

static const char *const form[] = {
	"/a@",	 "/a/@", "/@/b",       "/a.@.",	     "/a?b=@",	  "/a?@=b",
	"/a?b@", "/a?@", "/a?b=c&@&d", "/a?z=1&a=@", "/a?b=@%a9", "/a@%a9",
};

START_TEST(plain_takes_every_byte_for_what_it_is)
{
	const char byte = (char)_i;
	int i;

	for (i = 0; i < COUNT(form); i++)
		compare_with(form[i], &byte, 1);
}
END_TEST

START_TEST(plain_takes_every_escape_for_what_it_is)
{
	char escape[8];
	int i;

	for (i = 0; i < COUNT(form); i++) {
		snprintf(escape, sizeof(escape), "%%%02x", (unsigned int)_i);
		compare_with(form[i], escape, 3);
		snprintf(escape, sizeof(escape), "%%%02X", (unsigned int)_i);
		compare_with(form[i], escape, 3);
	}
}
END_TEST

static const char *const shape[] = {
	"/",
	"/a",
	"/a/",
	"/a/b/",
	"/A.b/c.D",
	"/.",
	"/./a",
	"/a/.b",
	"/a./b",
	"/a/..b",
	"/a?",
	"/a?&",
	"/a?=",
	"/a?=b",
	"/a?=b&c=d",
	"/a?c=d&=b",
	"/a?b&=&c",
	"/a?b=&c=",
	"/a?b==c",
	"/a?b=c=d",
	"/a?B=1&b=2&a=3",
	"/a?%",
	"/a?b=%4",
	"/a?b=%4g",
	"/a?b=%&41",
	"/a?b=%2541",
	"/a?b=%5c",
	"/a?b=\\",
	"/a?b+c=d+e",
	"/a#",
	"/a?b#c",
	"/a#?b",
	"/?a",
	"/a;b/c",
	"/a?b;c=/../..//",
};

START_TEST(plain_is_as_good_as_the_long_way)
{
	compare("GET", shape[_i], strlen(shape[_i]));
	compare("TRACE", shape[_i], strlen(shape[_i]));
}
END_TEST

START_TEST(plain_is_as_good_on_random_targets)
{
	static const char *const piece[] = {
		"/",   "a", "B", "c",	"1",   "-",   ".", "api", "/x/", "a=1",
		"?",   "&", "=", "&a=", "&b=", "%20", "+", "%2F", "%41", "~",
		"%25", ";", "%", "//",	"..",  "\\",  "#", "\"",  "`",
	};
	size_t n, len, common = 20;
	char target[200];
	int i;

	srand(11);
	for (i = 0; i < 100000; i++) {
		target[0] = '/';
		len = 1;
		for (n = (size_t)rand() % 24; n > 0; n--) {
			const char *p = piece[(size_t)rand() %
					      (i % 4 ? common : COUNT(piece))];

			memcpy(target + len, p, strlen(p));
			len += strlen(p);
		}
		compare("GET", target, len);
	}
}
END_TEST

/* All orders of few parameters, and of many, end up in the same. */
START_TEST(plain_sorts_few_and_many_alike)
{
	char target[230] = "/a?";
	size_t len, i, n;

	for (n = 1; n < 30; n++) {
		for (i = 0, len = 3; i < n; i++)
			len += (size_t)snprintf(
				target + len, sizeof(target) - len, "k%zu=%zu&",
				i * 11 % n % 23, i);
		compare("GET", target, len);
		for (i = 1; i < one->n_pairs; i++) {
			const struct msp_pair *p = &one->pairs[i];
			int cmp = strncmp(one->text + p[-1].name,
					  one->text + p->name, p[-1].name_len);

			ck_assert_int_le(cmp, 0);
			ck_assert(cmp || p[-1].name_len <= p->name_len);
			ck_assert(cmp || p[-1].name_len < p->name_len ||
				  p[-1].name < p->name);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("request_plain");
	TCase *t = tcase_create("short way");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, plain_takes_every_byte_for_what_it_is, 0, 256);
	tcase_add_loop_test(t, plain_takes_every_escape_for_what_it_is, 0, 256);
	tcase_add_loop_test(t, plain_is_as_good_as_the_long_way, 0,
			    COUNT(shape));
	tcase_add_test(t, plain_is_as_good_on_random_targets);
	tcase_add_test(t, plain_sorts_few_and_many_alike);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
