/* SPDX-License-Identifier: MIT */
/*
 * In: consoles that work, that do not drain, that are not there. Out: whether
 * each gets its line, and the agent never waits for one.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msp/msp.h>

#include "mspd/console.h"
#include "mspd/log.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct mspd_console console;
static char path[256];

static void setup(void)
{
	scratch_make();
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	snprintf(path, sizeof(path), "%s", scratch_path("console"));
	mspd_console_init(&console, path);
}

static void teardown(void)
{
	mspd_console_close(&console);
	mspd_log_close();
	scratch_remove();
}

/* Line without its date and process. */
static const char *after_head(const char *line)
{
	char head[64];

	snprintf(head, sizeof(head), " azure-proxy-agent_%s(%d) - ",
		 msp_version(), (int)getpid());
	ck_assert_uint_gt(strlen(line), 23 + strlen(head));
	ck_assert_int_eq(line[10], 'T');
	ck_assert_int_eq(line[19], '.');
	ck_assert_int_eq(strncmp(line + 23, head, strlen(head)), 0);
	return line + 23 + strlen(head);
}

static const struct {
	const char *text;
	const char *line;
} messages[] = {
	{ "Provision finished successfully",
	  "Provision finished successfully\n" },
	{ "one\r\n", "one\n" },
	/* a host's answer may not clear the screen, nor forge a line */
	{ "a\033[2Jb\b\x9b", "a\\x1b[2Jb\\x08\357\277\275\n" },
	{ "\302\205next", "\\u0085next\n" },
};

START_TEST(console_gets_one_line)
{
	char *said;

	scratch_write("console", "", 0);
	mspd_console_say(&console, messages[_i].text);
	said = scratch_read("console", NULL);
	ck_assert_str_eq(after_head(said), messages[_i].line);
	free(said);
}
END_TEST

START_TEST(console_gets_a_line_for_each)
{
	char *said, *second;

	scratch_write("console", "", 0);
	mspd_console_say(&console, "ebpf - a\r\nkey - b\r\n");
	said = scratch_read("console", NULL);
	second = strchr(said, '\n') + 1;
	ck_assert_int_eq(strncmp(after_head(said), "ebpf - a\n", 9), 0);
	ck_assert_str_eq(after_head(second), "key - b\n");
	free(said);
}
END_TEST

START_TEST(console_line_is_bounded)
{
	char longer[3 * MSPD_CONSOLE_LINE];
	char *said;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	scratch_write("console", "", 0);
	mspd_console_say(&console, longer);
	said = scratch_read("console", NULL);
	ck_assert_uint_le(strlen(said), MSPD_CONSOLE_LINE);
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
	free(said);
}
END_TEST

START_TEST(console_is_told_of_the_start)
{
	char *said, *second;

	scratch_write("console", "", 0);
	mspd_console_start(&console);
	mspd_console_event(&console, "Started", 12);
	said = scratch_read("console", NULL);
	second = strchr(said, '\n') + 1;
	ck_assert_ptr_nonnull(
		strstr(said, "============== GuestProxyAgent (" MSP_VERSION
			     ") is starting on Linux:"));
	ck_assert_str_eq(after_head(second), "Started - 12\n");
	free(said);
}
END_TEST

/* A stopped terminal, or a pipe that nobody reads: the test would hang. */
START_TEST(console_that_does_not_drain_is_not_waited_for)
{
	int i, reader;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	mspd_console_say(&console, "nobody has it open");
	reader = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_ge(reader, 0);
	for (i = 0; i < 2000; i++)
		mspd_console_say(&console, "nobody reads what is in it");
	close(reader);
	mspd_console_say(&console, "and nobody has it open again");
}
END_TEST

START_TEST(console_that_is_not_there_is_not_made)
{
	mspd_console_say(&console, "x");
	ck_assert_int_eq(scratch_count("console"), 0);
	path[0] = '\0';
	mspd_console_say(&console, "x");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("mspd_console");
	TCase *tc = tcase_create("console");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, console_gets_one_line, 0, COUNT(messages));
	tcase_add_test(tc, console_gets_a_line_for_each);
	tcase_add_test(tc, console_line_is_bounded);
	tcase_add_test(tc, console_is_told_of_the_start);
	tcase_add_test(tc, console_that_does_not_drain_is_not_waited_for);
	tcase_add_test(tc, console_that_is_not_there_is_not_made);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(make_suite());
	int failed;

	signal(SIGPIPE, SIG_IGN); /* as in the agent */
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
