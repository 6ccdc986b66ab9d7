/* SPDX-License-Identifier: MIT */
/*
 * In: texts about requests, some forged. Out: whether each is one line of the
 * connection log, and what is missing is said.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "mspd/connlog.h"
#include "tests/lib/scratch.h"

#define NAME "ProxyAgent.Connection.log"

static struct mspd_connlog *connlog;

static void setup(void)
{
	scratch_make();
}

static void teardown(void)
{
	mspd_connlog_close(connlog);
	connlog = NULL;
	scratch_remove();
}

static void start(enum mspd_level level)
{
	ck_assert_int_eq(mspd_connlog_open(&connlog, scratch_path("."), level),
			 0);
	ck_assert_ptr_nonnull(connlog);
}

/* All that was added is in it. */
static char *whole(size_t *len)
{
	mspd_connlog_close(connlog);
	connlog = NULL;
	return scratch_read(NAME, len);
}

START_TEST(connlog_names_request_and_connection)
{
	char *text;

	start(MSPD_INFO);
	mspd_connlog_add(connlog, MSPD_INFO, 12, 3, "text");
	text = whole(NULL);
	ck_assert_uint_eq(strlen(text),
			  MSPD_LOG_HEADER + strlen("12[3] - text\n"));
	ck_assert(strncmp(text + 23, " [INFO]    ", 11) == 0);
	ck_assert_str_eq(text + MSPD_LOG_HEADER, "12[3] - text\n");
	ck_assert_uint_eq(scratch_mode(NAME), 0640);
	free(text);
}
END_TEST

START_TEST(connlog_has_no_line_of_lower_level)
{
	char *text;

	start(MSPD_INFO);
	ck_assert(mspd_connlog_wants(connlog, MSPD_INFO));
	ck_assert(!mspd_connlog_wants(connlog, MSPD_DEBUG));
	mspd_connlog_add(connlog, MSPD_DEBUG, 1, 1, "text");
	text = whole(NULL);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(connlog_without_a_folder_is_none)
{
	ck_assert_int_eq(mspd_connlog_open(&connlog, "", MSPD_TRACE), 0);
	ck_assert_ptr_null(connlog);
	ck_assert(!mspd_connlog_wants(connlog, MSPD_ERROR));
	mspd_connlog_add(connlog, MSPD_ERROR, 1, 1, "text");
	ck_assert_int_lt(
		mspd_connlog_open(&connlog, "/proc/1/none/x", MSPD_TRACE), 0);
	ck_assert_ptr_null(connlog);
}
END_TEST

START_TEST(connlog_text_cannot_forge_a_line)
{
	char *text;

	start(MSPD_INFO);
	mspd_connlog_add(connlog, MSPD_INFO, 1, 1, "a\n2026 \x1b[2J\xff");
	text = whole(NULL);
	ck_assert_str_eq(text + MSPD_LOG_HEADER,
			 "1[1] - a\\n2026 \\x1b[2J\xef\xbf\xbd\n");
	free(text);
}
END_TEST

START_TEST(connlog_cuts_long_texts_between_characters)
{
	static char in[MSPD_CONNLOG_TEXT + 100];
	char *text;
	size_t len;

	memset(in, 'x', sizeof(in) - 1);
	memcpy(in + MSPD_CONNLOG_TEXT - 2, "\xc3\xa4", 2);
	start(MSPD_INFO);
	mspd_connlog_add(connlog, MSPD_INFO, 1, 1, in);
	text = whole(&len);
	ck_assert_uint_eq(len, MSPD_LOG_HEADER + strlen("1[1] - ") +
				       MSPD_CONNLOG_TEXT - 2 + 1);
	ck_assert(memcmp(text + len - 2, "x\n", 2) == 0);
	free(text);
}
END_TEST

/* A disk that is full: nothing waits, and the gap is told. */
START_TEST(connlog_says_how_many_lines_are_missing)
{
	static char in[MSPD_CONNLOG_TEXT];
	struct rlimit full = { 0, RLIM_INFINITY };
	struct rlimit again = { RLIM_INFINITY, RLIM_INFINITY };
	char *text, *note;
	int i;

	signal(SIGXFSZ, SIG_IGN);
	memset(in, 'x', sizeof(in) - 1);
	start(MSPD_INFO);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
	for (i = 0; i < 100; i++)
		mspd_connlog_add(connlog, MSPD_INFO, 1, 1, in);
	/* until the writer has tried all that was kept */
	for (i = 0; i < 3000 && mspd_connlog_waits(connlog); i++)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &again), 0);
	mspd_connlog_add(connlog, MSPD_INFO, 2, 1, "back");
	text = whole(NULL);
	note = strstr(text, "100 lines could not be written here.\n");
	ck_assert_ptr_nonnull(note);
	ck_assert_ptr_eq(note, text + MSPD_LOG_HEADER);
	ck_assert_ptr_nonnull(strstr(note, "2[1] - back\n"));
	ck_assert_ptr_null(strstr(text, "xxx"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd connlog");
	TCase *tc = tcase_create("connlog");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, connlog_names_request_and_connection);
	tcase_add_test(tc, connlog_has_no_line_of_lower_level);
	tcase_add_test(tc, connlog_without_a_folder_is_none);
	tcase_add_test(tc, connlog_text_cannot_forge_a_line);
	tcase_add_test(tc, connlog_cuts_long_texts_between_characters);
	tcase_add_test(tc, connlog_says_how_many_lines_are_missing);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
