/* SPDX-License-Identifier: MIT */
/*
 * In: a scratch directory made odd in many ways. Out: whether documents are
 * replaced whole, and files of lines keep whole lines.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/file.h"
#include "mspd/rotate.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *dir;

static void setup(void)
{
	dir = scratch_make();
}

static void teardown(void)
{
	scratch_remove();
}

static void assert_content(const char *name, const char *expected)
{
	char *data = scratch_read(name, NULL);

	ck_assert_str_eq(data, expected);
	free(data);
}

/* ---- documents --------------------------------------------------------- */

static const struct {
	mode_t umask;
	mode_t mode;
} modes[] = { { 0022, 0640 }, { 0077, 0640 }, { 0777, 0644 }, { 0, 0600 } };

START_TEST(file_write_sets_mode_whatever_the_umask)
{
	umask(modes[_i].umask);
	ck_assert_int_eq(mspd_file_write(dir, "a", modes[_i].mode, "x", 1), 0);
	umask(0022);
	ck_assert_uint_eq(scratch_mode("a"), modes[_i].mode);
	assert_content("a", "x");
}
END_TEST

START_TEST(file_write_replaces_and_leaves_nothing_behind)
{
	scratch_write("a.json", "old and longer", 14);
	scratch_write("a.json.tmp", "of a crash", 10);
	ck_assert_int_eq(mspd_file_write(dir, "a.json", 0640, "new", 3), 0);
	assert_content("a.json", "new");
	ck_assert_int_eq(scratch_count("a"), 1);
	ck_assert_uint_eq(scratch_mode("a.json"), 0640);
	ck_assert_int_eq(mspd_file_write(dir, "a.json", 0640, NULL, 0), 0);
	assert_content("a.json", "");
}
END_TEST

/* A link planted where the temporary file goes must not be followed. */
START_TEST(file_write_does_not_follow_a_link)
{
	scratch_write("victim", "mine", 4);
	ck_assert_int_eq(symlink("victim", scratch_path("a.tmp")), 0);
	ck_assert_int_eq(symlink("victim", scratch_path("a")), 0);
	ck_assert_int_eq(mspd_file_write(dir, "a", 0640, "x", 1), 0);
	assert_content("victim", "mine");
	assert_content("a", "x");
}
END_TEST

static const struct {
	const char *name;
	int rc;
} names[] = {
	{ "", -EINVAL },    { ".", -EINVAL },	  { "..", -EINVAL },
	{ "a/b", -EINVAL }, { "/a", -EINVAL },	  { "../a", -EINVAL },
	{ NULL, -EINVAL },  { "taken", -EISDIR }, { "busy", -EISDIR },
};

START_TEST(file_write_refuses_name)
{
	int rc;

	ck_assert_int_eq(mkdir(scratch_path("taken"), 0755), 0);
	ck_assert_int_eq(mkdir(scratch_path("busy.tmp"), 0755), 0);
	rc = mspd_file_write(dir, names[_i].name, 0640, "x", 1);
	if (rc == -EPERM) /* unlink(2) of a directory, as POSIX has it */
		rc = -EISDIR;
	ck_assert_int_eq(rc, names[_i].rc);
	ck_assert_int_eq(scratch_count("taken.tmp"), 0);
}
END_TEST

START_TEST(file_write_reports_long_name_and_missing_directory)
{
	char name[300];

	memset(name, 'a', sizeof(name));
	name[253] = '\0';
	ck_assert_int_eq(mspd_file_write(dir, name, 0640, "x", 1),
			 -ENAMETOOLONG);
	ck_assert_int_eq(
		mspd_file_write(scratch_path("none"), "a", 0640, "x", 1),
		-ENOENT);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(file_write_keeps_old_file_when_there_is_no_room)
{
	char data[100] = "";

	scratch_write("a", "old", 3);
	limit_file_size(50);
	ck_assert_int_eq(mspd_file_write(dir, "a", 0640, data, 100), -EFBIG);
	limit_file_size(RLIM_INFINITY);
	assert_content("a", "old");
	ck_assert_int_eq(scratch_count("a"), 1);
}
END_TEST

/* ---- directories ------------------------------------------------------- */

START_TEST(dir_make_makes_parents)
{
	umask(0077);
	ck_assert_int_eq(mspd_dir_make(scratch_path("a/b//c/"), 0700), 0);
	umask(0022);
	ck_assert_uint_eq(scratch_mode("a"), 0755);
	ck_assert_uint_eq(scratch_mode("a/b"), 0755);
	ck_assert_uint_eq(scratch_mode("a/b/c"), 0700);
}
END_TEST

START_TEST(dir_make_leaves_existing_alone)
{
	ck_assert_int_eq(mkdir(scratch_path("a"), 0711), 0);
	ck_assert_int_eq(symlink("a", scratch_path("link")), 0);
	ck_assert_int_eq(mspd_dir_make(scratch_path("a"), 0700), 0);
	ck_assert_int_eq(mspd_dir_make(scratch_path("link"), 0700), 0);
	ck_assert_uint_eq(scratch_mode("a"), 0711);
}
END_TEST

START_TEST(dir_make_refuses_what_is_no_directory)
{
	char path[5000];

	scratch_write("f", "", 0);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(mspd_dir_make(scratch_path("f"), 0755), -ENOTDIR);
	ck_assert_int_eq(mspd_dir_make(scratch_path("f/a"), 0755), -ENOTDIR);
	ck_assert_int_eq(mspd_dir_make("", 0755), -EINVAL);
	ck_assert_int_eq(mspd_dir_make(NULL, 0755), -EINVAL);
	ck_assert_int_eq(mspd_dir_make(path, 0755), -ENAMETOOLONG);
}
END_TEST

/* ---- files of lines ---------------------------------------------------- */

static struct mspd_rotate file;

static void open_file(void)
{
	ck_assert_int_eq(mspd_rotate_open(&file, dir, "x.log"), 0);
}

static void add(const char *line)
{
	ck_assert_int_eq(mspd_rotate_append(&file, line, strlen(line)), 0);
}

static const struct {
	const char *before;
	const char *after;
} torn[] = {
	{ "", "new\n" },
	{ "a\n", "a\nnew\n" },
	{ "a\nhalf a li", "a\nnew\n" },
	{ "no line at all", "new\n" },
};

START_TEST(rotate_open_cuts_partial_line)
{
	scratch_write("x.log", torn[_i].before, strlen(torn[_i].before));
	open_file();
	add("new\n");
	mspd_rotate_close(&file);
	assert_content("x.log", torn[_i].after);
	ck_assert_uint_eq(scratch_mode("x.log"), 0640);
}
END_TEST

START_TEST(rotate_open_finds_line_end_far_back)
{
	char *data = calloc(1, 20001);
	size_t len;

	ck_assert_ptr_nonnull(data);
	memset(data, 'a', 20000);
	data[4097] = '\n';
	scratch_write("x.log", data, 20000);
	free(data);
	open_file();
	add("b\n");
	mspd_rotate_close(&file);
	data = scratch_read("x.log", &len);
	ck_assert_uint_eq(len, 4098 + 2);
	ck_assert_str_eq(data + 4097, "\nb\n");
	free(data);
}
END_TEST

START_TEST(rotate_keeps_five_files)
{
	char line[16];
	char *data;
	int i;

	open_file();
	file.limit = 4;
	for (i = 0; i < 12; i++) {
		snprintf(line, sizeof(line), "%03d\n", i);
		add(line);
	}
	mspd_rotate_close(&file);
	ck_assert_int_eq(scratch_count("x.log"), MSPD_ROTATE_FILES);
	data = scratch_read("x.log", NULL);
	ck_assert_str_eq(data, "011\n");
	free(data);
}
END_TEST

/* What has not exactly the shape of a predecessor is somebody else's. */
START_TEST(rotate_deletes_only_its_own)
{
	static const char *const others[] = {
		"x.log.1",
		"x.log.gz",
		"x.log.2020-01-02T03.04.05.678-.log",
		"x.log.2020-01-02T03:04:05.678-1.log",
		"x.log.2020-01-02T03.04.05.678-1.log.gz",
		"x.log.2020-01-02T03.04.05.678-1x.log",
		"x.log2020-01-02T03.04.05.678-1.log",
		"x.logbook",
		"x.log.\xff\xfe",
	};
	static const char ours[] = "x.log.2020-01-02T03.04.05.678-1.log";
	int i;

	for (i = 0; i < COUNT(others); i++)
		scratch_write(others[i], "", 0);
	ck_assert_int_eq(
		mkdir(scratch_path("x.log.2019-01-02T03.04.05.678-1.log"),
		      0755),
		0);
	scratch_write(ours, "", 0);
	open_file();
	file.limit = 1;
	for (i = 0; i < 8; i++)
		add("a\n");
	mspd_rotate_close(&file);
	for (i = 0; i < COUNT(others); i++)
		ck_assert_int_eq(access(scratch_path(others[i]), F_OK), 0);
	ck_assert_int_lt(access(scratch_path(ours), F_OK), 0);
	ck_assert_int_eq(scratch_count("x.log"),
			 COUNT(others) + 1 + MSPD_ROTATE_FILES);
}
END_TEST

START_TEST(rotate_append_is_all_or_nothing)
{
	char line[101];

	memset(line, 'b', 99);
	strcpy(line + 99, "\n");
	open_file();
	add("a\n");
	limit_file_size(50);
	ck_assert_int_eq(mspd_rotate_append(&file, line, 100), -EFBIG);
	ck_assert_int_eq(mspd_rotate_append(&file, line, 100), -EFBIG);
	assert_content("x.log", "a\n");
	limit_file_size(RLIM_INFINITY);
	add("c\n");
	mspd_rotate_close(&file);
	assert_content("x.log", "a\nc\n");
}
END_TEST

START_TEST(rotate_follows_when_the_file_is_moved_or_emptied)
{
	open_file();
	add("a\n");
	ck_assert_int_eq(rename(scratch_path("x.log"), scratch_path("moved")),
			 0);
	add("b\n");
	assert_content("moved", "a\n");
	assert_content("x.log", "b\n");
	ck_assert_int_eq(truncate(scratch_path("x.log"), 0), 0);
	add("c\n");
	assert_content("x.log", "c\n");
	/* as a rotation with "create" does it */
	ck_assert_int_eq(rename(scratch_path("x.log"), scratch_path("old")), 0);
	scratch_write("x.log", "", 0);
	add("c2\n");
	assert_content("old", "c\n");
	assert_content("x.log", "c2\n");
	ck_assert_int_eq(unlink(scratch_path("x.log")), 0);
	add("d\n");
	assert_content("x.log", "d\n");
	mspd_rotate_close(&file);
}
END_TEST

START_TEST(rotate_refuses_what_is_no_file)
{
	ck_assert_int_eq(symlink("elsewhere", scratch_path("x.log")), 0);
	ck_assert_int_eq(mspd_rotate_open(&file, dir, "x.log"), -ELOOP);
	ck_assert_int_eq(mspd_rotate_append(&file, "a\n", 2), -EBADF);
	ck_assert_int_eq(mkfifo(scratch_path("y.log"), 0600), 0);
	ck_assert_int_eq(mspd_rotate_open(&file, dir, "y.log"), -EINVAL);
	ck_assert_int_eq(file.fd, -1);
}
END_TEST

START_TEST(rotate_narrows_the_mode_of_an_old_log)
{
	scratch_write("x.log", "a\n", 2);
	ck_assert_int_eq(chmod(scratch_path("x.log"), 0644), 0);
	open_file();
	mspd_rotate_close(&file);
	ck_assert_uint_eq(scratch_mode("x.log"), 0640);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_file");
	TCase *tc = tcase_create("file");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, file_write_sets_mode_whatever_the_umask, 0,
			    COUNT(modes));
	tcase_add_test(tc, file_write_replaces_and_leaves_nothing_behind);
	tcase_add_test(tc, file_write_does_not_follow_a_link);
	tcase_add_loop_test(tc, file_write_refuses_name, 0, COUNT(names));
	tcase_add_test(tc, file_write_reports_long_name_and_missing_directory);
	tcase_add_test(tc, file_write_keeps_old_file_when_there_is_no_room);
	tcase_add_test(tc, dir_make_makes_parents);
	tcase_add_test(tc, dir_make_leaves_existing_alone);
	tcase_add_test(tc, dir_make_refuses_what_is_no_directory);
	tcase_add_loop_test(tc, rotate_open_cuts_partial_line, 0, COUNT(torn));
	tcase_add_test(tc, rotate_open_finds_line_end_far_back);
	tcase_add_test(tc, rotate_keeps_five_files);
	tcase_add_test(tc, rotate_deletes_only_its_own);
	tcase_add_test(tc, rotate_append_is_all_or_nothing);
	tcase_add_test(tc, rotate_follows_when_the_file_is_moved_or_emptied);
	tcase_add_test(tc, rotate_refuses_what_is_no_file);
	tcase_add_test(tc, rotate_narrows_the_mode_of_an_old_log);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
