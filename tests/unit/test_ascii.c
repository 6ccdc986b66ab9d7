/* SPDX-License-Identifier: MIT */
/*
 * In: texts of all lengths with each byte at each place, ended by a page that
 * nobody may read. Out: pass or fail: many bytes at a time give what one after
 * the other gives.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/ascii_wide.h"
#include "tests/lib/guard.h"

#define LONGEST 40

/* RFC 9110 5.6.2, from its text */
static bool tchar(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

#define TEXT "Ab-Z9z0xQAb-Z9z0xQAb-Z9z0xQAb-Z9z0xQAb-Z"

/* Check notes each assertion it sees, of which there are a million here. */
static void expect(bool right, size_t at, size_t len)
{
	if (!right)
		ck_abort_msg("byte %zu of %zu", at, len);
}

typedef void (*check)(char *to, const char *text, size_t len, size_t at);

/* Call f for each length, place and byte. */
static void each(check f)
{
	size_t len, at, mapped, to_mapped;
	int c;

	for (len = 0; len <= LONGEST; len++) {
		char *text = guarded(TEXT, len, &mapped);
		char *to = guarded(TEXT, len, &to_mapped);

		f(to, text, len, len);
		for (at = 0; at < len; at++) {
			for (c = 0; c < 256; c++) {
				text[at] = (char)c;
				f(to, text, len, at);
			}
			text[at] = TEXT[at];
		}
		free_guarded(text, len, mapped);
		free_guarded(to, len, to_mapped);
	}
}

static void check_token(char *to, const char *text, size_t len, size_t at)
{
	bool want = len > 0;
	size_t i;

	for (i = 0; i < len; i++)
		want = want && tchar((unsigned char)text[i]);
	expect(msp_wide_copy_token(to, text, len) == want, at, len);
	expect(msp_ascii_token(text, len) == want, at, len);
	for (i = 0; want && i < len; i++)
		expect((unsigned char)to[i] ==
			       msp_ascii_lower((unsigned char)text[i]),
		       at, len);
}

START_TEST(tokens_are_told_and_lowered)
{
	each(check_token);
}
END_TEST

static void check_line(char *to, const char *text, size_t len, size_t at)
{
	bool want = true, value = true;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		want = want && c != '\0' && c != '\r' && c != '\n';
		value = value && (c == '\t' || (c >= ' ' && c != 0x7f));
	}
	expect(msp_wide_copy_line(to, text, len) == want, at, len);
	expect(!want || !len || memcmp(to, text, len) == 0, at, len);
	expect(msp_ascii_line(text, len, '\0') == want, at, len);
	expect(msp_ascii_line(text, len, '#') ==
		       (want && !(len && memchr(text, '#', len))),
	       at, len);
	expect(msp_ascii_value(text, len) == value, at, len);
}

START_TEST(lines_and_values_are_told)
{
	each(check_line);
}
END_TEST

static int sign_of(int n)
{
	return (n > 0) - (n < 0);
}

/* Of tokens; "first" must give their order, or none. */
static void check_order(const char *a, size_t a_len, const char *b,
			size_t b_len)
{
	uint64_t x = msp_wide_first(a, a_len), y = msp_wide_first(b, b_len);
	char lower_a[LONGEST + 1] = "", lower_b[LONGEST + 1] = "";

	msp_ascii_lower_token(lower_a, a, a_len);
	msp_ascii_lower_token(lower_b, b, b_len);
	expect((x > y) - (x < y) == sign_of(strncmp(lower_a, lower_b, 8)),
	       a_len, b_len);
}

static void check_first(char *to, const char *text, size_t len, size_t at)
{
	(void)to;
	(void)at;
	if (!msp_ascii_token(text, len))
		return;
	check_order(text, len, TEXT, LONGEST);
	check_order(TEXT, 4, text, len);
	check_order(text, len, text, len - 1);
}

START_TEST(first_bytes_are_in_the_order_of_names)
{
	each(check_first);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ascii");
	TCase *tc = tcase_create("ascii");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, tokens_are_told_and_lowered);
	tcase_add_test(tc, lines_and_values_are_told);
	tcase_add_test(tc, first_bytes_are_in_the_order_of_names);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
