/* SPDX-License-Identifier: MIT */
/*
 * In: processes with all kinds of arguments. Out: whether what is shown of
 * them is theirs, and without their secrets.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mspd/command.h"

#define WAITS "read x"

static pid_t child;
static int out_of_child[2];
static int into_child[2];

/* It has the arguments once it speaks, and lives until end(). */
static void run(const char *const argv[])
{
	char c;

	ck_assert_int_eq(pipe(out_of_child), 0);
	ck_assert_int_eq(pipe(into_child), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		dup2(into_child[0], STDIN_FILENO);
		dup2(out_of_child[1], STDOUT_FILENO);
		close(into_child[1]);
		execv("/bin/sh", (char *const *)argv);
		_exit(127);
	}
	close(into_child[0]);
	close(out_of_child[1]);
	ck_assert_int_eq(read(out_of_child[0], &c, 1), 1);
}

static void end(void)
{
	close(into_child[1]);
	close(out_of_child[0]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* As the kernel side has it, but for what is less than a tick. */
static uint64_t start_of(pid_t pid)
{
	unsigned long long ticks = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file,
				"%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u "
				"%*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
				&ticks),
			 1);
	fclose(file);
	return ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) + 1;
}

static void check_text(const char *const argv[], const char *expected)
{
	char text[MSPD_COMMAND_TEXT];

	run(argv);
	ck_assert_int_eq(mspd_command_read((uint32_t)child, start_of(child),
					   text, sizeof(text)),
			 0);
	ck_assert_str_eq(text, expected);
	end();
}

START_TEST(command_has_four_arguments_that_are_not_empty)
{
	const char *const argv[] = { "sh", "-c", "echo; " WAITS, "",
				     "a",  "b",	 "token=x",	 NULL };

	check_text(argv, "sh -c echo; " WAITS " a");
}
END_TEST

START_TEST(command_has_no_secret)
{
	const char *const argv[] = {
		"sh",	      "-c", "echo; " WAITS " # pwd=1;c --token 2",
		"--password", "3",  NULL
	};

	check_text(argv, "sh -c echo; " WAITS " # [REDACTED];c --token "
			 "[REDACTED] --password");
}
END_TEST

/* A blank in it ends no argument. */
START_TEST(command_has_no_part_of_a_secret_with_a_blank)
{
	const char *const named[] = { "sh",	 "-c",	    "echo; " WAITS,
				      "--token", "abc def", NULL };
	const char *const assigned[] = { "sh", "-c", "echo; " WAITS,
					 "--api-key=abc def", NULL };
	const char *const hidden[] = { "curl", "-c", "echo; " WAITS,
				       "-ubob:p w", NULL };
	const char *const behind[] = { "--token", "-c", "echo; " WAITS, "a b",
				       NULL };

	check_text(named, "sh -c echo; " WAITS " --token");
	check_text(assigned, "sh -c echo; " WAITS " --[REDACTED]");
	check_text(hidden, "curl -c echo; " WAITS " -u[REDACTED]");
	/* its shell takes this for its own name */
	check_text(behind, "--token [REDACTED] echo; " WAITS " a b");
}
END_TEST

START_TEST(command_is_utf8_and_keeps_control_characters)
{
	const char *const argv[] = { "sh", "-c", "echo; " WAITS,
				     "\xff\n\xc3\xa4", NULL };

	check_text(argv, "sh -c echo; " WAITS " \xef\xbf\xbd\n\xc3\xa4");
}
END_TEST

/* Its token has no second part within what is read, so that nothing can tell
 * that it is one. What is shown ends before. */
START_TEST(command_shows_nothing_near_where_it_was_cut)
{
	static char token[2 * MSPD_COMMAND_READ];
	static char filler[MSPD_COMMAND_READ - 900];
	const char *const argv[] = { "sh",   "-c",  "echo; " WAITS,
				     filler, token, NULL };
	char text[2 * MSPD_COMMAND_READ];

	/* a secret that takes little room once it is out */
	memset(filler, 'x', sizeof(filler) - 1);
	memcpy(filler, "pwd=", 4);
	memset(token, 'y', sizeof(token) - 1);
	memcpy(token, "eyJ", 3);
	memcpy(token + sizeof(token) - 100, ".eyJ", 4);
	run(argv);
	ck_assert_int_eq(mspd_command_read((uint32_t)child, start_of(child),
					   text, sizeof(text)),
			 0);
	ck_assert_ptr_null(strstr(text, "eyJ"));
	end();
	memcpy(filler, "abc;", 4);
	run((const char *const[]){ "sh", "-c", "echo; " WAITS, token, NULL });
	ck_assert_int_eq(mspd_command_read((uint32_t)child, start_of(child),
					   text, sizeof(text)),
			 0);
	ck_assert_uint_lt(strlen(text), MSPD_COMMAND_READ - 1000);
	end();
}
END_TEST

START_TEST(command_is_not_that_of_another_process_with_its_number)
{
	const char *const argv[] = { "sh", "-c", "echo; " WAITS, NULL };
	char text[MSPD_COMMAND_TEXT];
	uint64_t start;

	run(argv);
	start = start_of(child);
	ck_assert_int_eq(mspd_command_read((uint32_t)child, start - 1000000000,
					   text, sizeof(text)),
			 -ESRCH);
	ck_assert_str_eq(text, "");
	end();
	ck_assert_int_eq(
		mspd_command_read((uint32_t)child, start, text, sizeof(text)),
		-ESRCH);
}
END_TEST

START_TEST(command_is_kept_for_the_same_process_and_program_only)
{
	struct msp_caller caller = { .pid = 7, .start_ns = 5 };
	struct msp_caller other;
	struct mspd_commands *kept;

	ck_assert_int_eq(mspd_commands_new(&kept), 0);
	caller.exe.inode = 3;
	ck_assert_ptr_null(mspd_commands_get(kept, &caller, 100));
	mspd_commands_put(kept, &caller, "a b", 100);
	ck_assert_str_eq(mspd_commands_get(kept, &caller, 101), "a b");
	ck_assert_ptr_null(
		mspd_commands_get(kept, &caller, 100 + MSPD_COMMANDS_KEPT_MS));
	other = caller;
	other.start_ns++;
	ck_assert_ptr_null(mspd_commands_get(kept, &other, 101));
	other = caller;
	other.exe.inode++;
	ck_assert_ptr_null(mspd_commands_get(kept, &other, 101));
	other = caller;
	other.pid += MSPD_COMMANDS;
	ck_assert_ptr_null(mspd_commands_get(kept, &other, 101));
	mspd_commands_put(kept, &other, "c", 101);
	ck_assert_ptr_null(mspd_commands_get(kept, &caller, 101));
	ck_assert_str_eq(mspd_commands_get(kept, &other, 101), "c");
	mspd_commands_free(kept);
	mspd_commands_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd command");
	TCase *tc = tcase_create("commands");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, command_has_four_arguments_that_are_not_empty);
	tcase_add_test(tc, command_has_no_secret);
	tcase_add_test(tc, command_has_no_part_of_a_secret_with_a_blank);
	tcase_add_test(tc, command_is_utf8_and_keeps_control_characters);
	tcase_add_test(tc, command_shows_nothing_near_where_it_was_cut);
	tcase_add_test(tc,
		       command_is_not_that_of_another_process_with_its_number);
	tcase_add_test(tc,
		       command_is_kept_for_the_same_process_and_program_only);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
