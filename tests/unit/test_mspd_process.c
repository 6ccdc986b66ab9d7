/* SPDX-License-Identifier: MIT */
/*
 * In: more and more memory. Out: whether the log says so, in the words that
 * somebody looks for.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/log.h"
#include "mspd/process.h"
#include "tests/lib/scratch.h"

#define MORE ((size_t)64 << 20)

static void setup(void)
{
	ck_assert_int_eq(mspd_log_open(scratch_make(), MSPD_INFO, MSPD_ERROR),
			 0);
}

static void teardown(void)
{
	mspd_log_close();
	scratch_remove();
}

/* What follows these words in the log, NULL: they are not in it. */
static const char *find(char **log, const char *words)
{
	const char *at;

	*log = scratch_read("ProxyAgent.log", NULL);
	at = strstr(*log, words);
	return at ? at + strlen(words) : NULL;
}

START_TEST(process_says_how_much_memory_it_has)
{
	unsigned long now, peak;
	const char *said;
	char *log;

	mspd_process_log_memory();
	said = find(&log, "[INFO]    Current process memory usage: ");
	ck_assert_ptr_nonnull(said);
	ck_assert_int_eq(sscanf(said, "%lu MB, peak: %lu MB", &now, &peak), 2);
	ck_assert_uint_ge(peak, now);
	free(log);
}
END_TEST

START_TEST(process_warns_when_it_has_too_much)
{
	volatile char *more = malloc(MORE);
	unsigned long now;
	const char *said;
	char *log;
	size_t i;

	ck_assert_ptr_nonnull((void *)more);
	for (i = 0; i < MORE; i += 1024)
		more[i] = 1;
	mspd_process_log_memory();
	said = find(&log, "[WARN]    Current process memory usage ");
	ck_assert_ptr_nonnull(said);
	ck_assert_int_eq(sscanf(said, "%lu", &now), 1);
	ck_assert_uint_ge(now, MORE >> 20);
	ck_assert_ptr_nonnull(
		strstr(said, " MB exceeds the limit of 20 MB.\n"));
	free(log);
	free((void *)more);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_process");
	TCase *tc = tcase_create("process");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, process_says_how_much_memory_it_has);
	tcase_add_test(tc, process_warns_when_it_has_too_much);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
