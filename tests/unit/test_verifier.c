/* SPDX-License-Identifier: MIT */
/*
 * In: logs of a verifier, made up. Out: whether their end is told, in any room
 * there is. Must never need a kernel.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/verifier.h"

START_TEST(statistics_are_not_what_is_wrong)
{
	static const struct {
		const char *log, *trimmed, *last;
	} cases[] = {
		{ "", "", "" },
		{ "\n\n", "", "" },
		{ "R1 bad\n", "R1 bad", "R1 bad" },
		{ "0: (bf)\nR1 bad\nprocessed 9 insns\nmax_states 1\n",
		  "0: (bf)\nR1 bad", "R1 bad" },
		{ "processed is a word\n", "processed is a word",
		  "processed is a word" },
		{ "a\n\nprocessed 9 insns", "a", "a" },
		{ "a\nb\tc\n", "a\nb\tc", "b?c" },
	};
	char log[128], last[64];

	strcpy(log, cases[_i].log);
	msp_verifier_trim(log);
	ck_assert_str_eq(log, cases[_i].trimmed);
	msp_verifier_last(last, sizeof(last), log);
	ck_assert_str_eq(last, cases[_i].last);
}
END_TEST

START_TEST(end_is_told_on_one_line)
{
	static const struct {
		const char *log, *tail;
		size_t size;
	} cases[] = {
		{ "", "", 1 },
		{ "a", "", 1 },
		{ "abc", "abc", 4 },
		{ "abcd", "...", 4 },
		{ "a\nb", "a / b", 64 },
		{ "a\nb", "a / b", 6 },
		{ "a\nb", "...b", 5 },
		{ "0: x\n1: y\nR1 bad", "...y / R1 bad", 14 },
		{ "0: x\n1: y\nR1 bad", "... / R1 bad", 13 },
		{ "0: x\n1: y\nR1 bad", "...R1 bad", 12 },
		{ "a\x1b[2J\x7f", "a?[2J?", 64 },
		{ "caf\xc3\xa9\xe2\x80\xa8", "caf\xc3\xa9???", 64 },
	};
	char out[64];

	msp_verifier_tail(out, cases[_i].size, cases[_i].log);
	ck_assert_str_eq(out, cases[_i].tail);
}
END_TEST

/* Whatever the room, it is kept to and nearly used up. */
START_TEST(end_fits_any_room)
{
	static const char log[] = "0: (bf) r6 = r1\n\n\n1: (85) call 46\n\nR1 "
				  "invalid\nmem access";
	char whole[128], out[128];
	size_t size, n;

	msp_verifier_tail(whole, sizeof(whole), log);
	for (size = 1; size < sizeof(out); size++) {
		memset(out, 'x', sizeof(out));
		msp_verifier_tail(out, size, log);
		n = strlen(out);
		ck_assert_uint_lt(n, size);
		ck_assert_int_eq(out[size], 'x');
		if (size > strlen(whole)) {
			ck_assert_str_eq(out, whole);
			continue;
		}
		ck_assert_uint_ge(n + 3, size - 1); /* no half of a " / " */
		if (size > 3) {
			ck_assert_int_eq(memcmp(out, "...", 3), 0);
			n -= 3;
		}
		ck_assert_str_eq(out + strlen(out) - n,
				 whole + strlen(whole) - n);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verifier");
	TCase *tc = tcase_create("verifier");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, statistics_are_not_what_is_wrong, 0, 7);
	tcase_add_loop_test(tc, end_is_told_on_one_line, 0, 12);
	tcase_add_test(tc, end_fits_any_room);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
