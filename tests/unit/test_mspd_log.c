/* SPDX-License-Identifier: MIT */
/*
 * In: messages, some forged. Out: whether each is one line in the right place.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mspd/log.h"
#include "mspd/text.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *dir;
static int saved[2] = { -1, -1 };

/* The system output of a test goes to two files of its own. */
static void redirect(int fd, const char *name)
{
	int file =
		open(scratch_path(name), O_WRONLY | O_CREAT | O_APPEND, 0600);

	ck_assert_int_ge(file, 0);
	saved[fd - 1] = dup(fd);
	ck_assert_int_eq(dup2(file, fd), fd);
	close(file);
}

static void setup(void)
{
	dir = scratch_make();
	redirect(STDOUT_FILENO, "out");
	redirect(STDERR_FILENO, "err");
}

static void teardown(void)
{
	mspd_log_close();
	dup2(saved[0], STDOUT_FILENO);
	dup2(saved[1], STDERR_FILENO);
	scratch_remove();
}

static void assert_content(const char *name, const char *expected)
{
	char *text = scratch_read(name, NULL);

	ck_assert_str_eq(text, expected);
	free(text);
}

static void log_each_level(void)
{
	mspd_log(MSPD_ERROR, "e");
	mspd_log(MSPD_WARN, "w");
	mspd_log(MSPD_INFO, "i");
	mspd_log(MSPD_DEBUG, "d");
	mspd_log(MSPD_TRACE, "t");
}

static void open_log(enum mspd_level file, enum mspd_level system)
{
	ck_assert_int_eq(mspd_log_open(dir, file, system), 0);
}

static const char *const out_by_level[] = { "", "w\n", "w\ni\n", "w\ni\nd\n",
					    "w\ni\nd\nt\n" };

START_TEST(log_splits_system_output_by_level)
{
	open_log(MSPD_ERROR, (enum mspd_level)_i);
	log_each_level();
	assert_content("err", "e\n");
	assert_content("out", out_by_level[_i]);
}
END_TEST

#define E " [ERROR]   e\n"
#define W " [WARN]    w\n"
#define I " [INFO]    i\n"
#define D " [DEBUG]   d\n"
#define T " [TRACE]   t\n"
static const char *const file_by_level[] = { E, E W, E W I, E W I D,
					     E W I D T };

/* The same without the time in front of each line. */
static char *read_log(void)
{
	char *text = scratch_read("ProxyAgent.log", NULL);
	char *from = text;
	char *to = text;

	while (*from) {
		const char *end = strchr(from, '\n');

		ck_assert_ptr_nonnull(end);
		ck_assert_int_gt(end - from, 23);
		ck_assert_int_eq(from[10], 'T');
		ck_assert_int_eq(from[19], '.');
		from += 23;
		while (from <= end)
			*to++ = *from++;
	}
	*to = '\0';
	return text;
}

START_TEST(log_writes_file_by_level)
{
	char *text;

	open_log((enum mspd_level)_i, MSPD_ERROR);
	log_each_level();
	text = read_log();
	ck_assert_str_eq(text, file_by_level[_i]);
	ck_assert_uint_eq(scratch_mode("ProxyAgent.log"), 0640);
	free(text);
}
END_TEST

START_TEST(log_without_directory_has_no_file)
{
	ck_assert_int_eq(mspd_log_open("", MSPD_TRACE, MSPD_INFO), 0);
	log_each_level();
	assert_content("out", "w\ni\n");
	ck_assert_int_eq(scratch_count("ProxyAgent"), 0);
	ck_assert(!mspd_log_wants(MSPD_DEBUG));
}
END_TEST

START_TEST(log_before_open_shows_warnings)
{
	log_each_level();
	assert_content("err", "e\n");
	assert_content("out", "w\n");
}
END_TEST

START_TEST(log_open_failure_leaves_system_output)
{
	scratch_write("file", "", 0);
	ck_assert_int_eq(
		mspd_log_open(scratch_path("file/d"), MSPD_TRACE, MSPD_INFO),
		-ENOTDIR);
	log_each_level();
	assert_content("out", "w\ni\n");
}
END_TEST

START_TEST(log_message_cannot_forge_a_line)
{
	char *text;

	open_log(MSPD_INFO, MSPD_INFO);
	mspd_log(MSPD_INFO, "user %s",
		 "x\n2026-01-02T03:04:05.678 [INFO]    all is well\x1b[1A\xff");
	text = read_log();
#define ESCAPED                                                                \
	"user x\\n2026-01-02T03:04:05.678 [INFO]    all is "                   \
	"well\\x1b[1A\xef\xbf\xbd\n"
	ck_assert_str_eq(text, " [INFO]    " ESCAPED);
	assert_content("out", ESCAPED);
	free(text);
}
END_TEST

START_TEST(log_cuts_long_message_at_a_character)
{
	char long_text[9000];
	char *text;
	size_t i, n;

	for (i = 0; i + 3 < sizeof(long_text); i += 3)
		memcpy(long_text + i, "\xe2\x82\xac", 3);
	long_text[i] = '\0';
	open_log(MSPD_ERROR, MSPD_INFO);
	for (i = 0; i < 3; i++) /* whatever byte the cut falls on */
		mspd_log(MSPD_INFO, "%.*s%s", (int)i, "ab", long_text);
	text = scratch_read("out", NULL);
	ck_assert_ptr_null(strstr(text, "\xef\xbf\xbd"));
	for (i = 0; text[i]; i += n) {
		n = mspd_utf8_step(text + i, strlen(text + i));
		ck_assert_uint_gt(n, 0);
	}
	ck_assert_uint_lt(strlen(text), 3 * 4110);
	ck_assert_str_eq(text + strlen(text) - 7, "\xe2\x82\xac...\n");
	free(text);
}
END_TEST

START_TEST(log_leaves_errno_alone)
{
	open_log(MSPD_INFO, MSPD_INFO);
	close(STDOUT_FILENO);
	errno = ENOENT;
	mspd_log(MSPD_INFO, "x");
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(log_says_how_many_lines_are_missing)
{
	char *text;

	open_log(MSPD_INFO, MSPD_ERROR);
	mspd_log(MSPD_INFO, "first");
	limit_file_size(45);
	mspd_log(MSPD_INFO, "lost");
	mspd_log(MSPD_INFO, "lost");
	limit_file_size(RLIM_INFINITY);
	mspd_log(MSPD_INFO, "last");
	text = read_log();
	ck_assert_str_eq(text, " [INFO]    first\n"
			       " [WARN]    2 lines could not be written "
			       "here.\n"
			       " [INFO]    last\n");
	free(text);
}
END_TEST

static void *log_many(void *arg)
{
	int i;

	for (i = 0; i < 500; i++)
		mspd_log(MSPD_INFO, "thread %s", (const char *)arg);
	return NULL;
}

START_TEST(log_does_not_mix_lines_of_threads)
{
	static const char *const names[] = { "aaaaaaaaaa", "bbbbbbbbbb",
					     "cccccccccc" };
	pthread_t threads[3];
	char *text, *line, *rest;
	int i, n = 0;

	open_log(MSPD_INFO, MSPD_ERROR);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_many,
						(void *)(uintptr_t)names[i]),
				 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	text = read_log();
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		for (i = 0; i < 3 && strcmp(line + 18, names[i]) != 0; i++)
			;
		ck_assert_int_lt(i, 3);
		n++;
	}
	ck_assert_int_eq(n, 1500);
	free(text);
}
END_TEST

static const struct {
	const char *word;
	bool known;
	enum mspd_level level;
} words[] = {
	{ "Error", true, MSPD_ERROR }, { "WARN", true, MSPD_WARN },
	{ "info", true, MSPD_INFO },   { "dEbUg", true, MSPD_DEBUG },
	{ "trace", true, MSPD_TRACE }, { "warning", false, MSPD_INFO },
	{ "", false, MSPD_INFO },      { " info", false, MSPD_INFO },
};

START_TEST(level_parse_takes_any_case)
{
	enum mspd_level level;

	ck_assert(mspd_level_parse(words[_i].word, &level) == words[_i].known);
	ck_assert_int_eq(level, words[_i].level);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_log");
	TCase *tc = tcase_create("log");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, log_splits_system_output_by_level, 0, 5);
	tcase_add_loop_test(tc, log_writes_file_by_level, 0, 5);
	tcase_add_test(tc, log_without_directory_has_no_file);
	tcase_add_test(tc, log_before_open_shows_warnings);
	tcase_add_test(tc, log_open_failure_leaves_system_output);
	tcase_add_test(tc, log_message_cannot_forge_a_line);
	tcase_add_test(tc, log_cuts_long_message_at_a_character);
	tcase_add_test(tc, log_leaves_errno_alone);
	tcase_add_test(tc, log_says_how_many_lines_are_missing);
	tcase_add_test(tc, log_does_not_mix_lines_of_threads);
	tcase_add_loop_test(tc, level_parse_takes_any_case, 0, COUNT(words));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
