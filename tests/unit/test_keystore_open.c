/* SPDX-License-Identifier: MIT */
/*
 * In: directories that are missing, open to others, links, or somebody else's.
 * Out: whether one becomes a place for keys, or is refused by its name.
 */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msp/keystore.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static int open_in_scratch(struct msp_keystore **out, const char *name,
			   struct msp_error_info *info)
{
	const char *path = scratch_path(name);

	return msp_keystore_open(out, path, strlen(path), info);
}

static void setup(void)
{
	struct msp_keystore *s;

	scratch_make();
	ck_assert_int_eq(open_in_scratch(&s, "keys", NULL), 0);
	msp_keystore_free(s);
}

static void teardown(void)
{
	scratch_remove();
	ck_assert_int_eq(failalloc_live(), 0);
}

START_TEST(keystore_makes_directory_with_parents)
{
	struct msp_keystore *s;

	ck_assert_uint_eq(scratch_mode("keys"), 0700);
	umask(022);
	ck_assert_int_eq(open_in_scratch(&s, "a/b//c//", NULL), 0);
	msp_keystore_free(s);
	ck_assert_uint_eq(scratch_mode("a/b//c//"), 0700);
	ck_assert_uint_eq(scratch_mode("a/b"), 0755);
}
END_TEST

START_TEST(keystore_closes_open_directory)
{
	struct msp_keystore *s;

	ck_assert_int_eq(chmod(scratch_path("keys"), 0777), 0);
	ck_assert_int_eq(open_in_scratch(&s, "keys", NULL), 0);
	ck_assert_uint_eq(scratch_mode("keys"), 0700);
	msp_keystore_free(s);
}
END_TEST

static const char *const links[] = { "link", "link/" };

START_TEST(keystore_refuses_link_as_directory)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystore *s;

	ck_assert_int_eq(symlink(scratch_path("keys"), scratch_path("link")),
			 0);
	ck_assert_int_eq(open_in_scratch(&s, links[_i], &info), MSP_ERR_SYS);
	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(strstr(info.text, "link"));
}
END_TEST

START_TEST(keystore_refuses_bad_directory)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *dir = scratch_path("keys");
	struct msp_keystore *s;

	ck_assert_int_eq(msp_keystore_open(NULL, dir, 1, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystore_open(&s, NULL, 1, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystore_open(&s, dir, 0, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_keystore_open(&s, "/tmp\0x", 6, NULL),
			 MSP_ERR_INVAL);
	scratch_write("keys/file", "x", 1);
	ck_assert_int_eq(open_in_scratch(&s, "keys/file", &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ENOTDIR);
	ck_assert_int_eq(open_in_scratch(&s, "keys/file/below", &info),
			 MSP_ERR_SYS);
	ck_assert_ptr_null(s);
	if (geteuid() != 0)
		ck_assert_int_eq(msp_keystore_open(&s, "/proc", 5, &info),
				 MSP_ERR_SYS);
}
END_TEST

START_TEST(keystore_refuses_directory_of_somebody_else)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystore *s;

	/* one of root's for everybody else, one of nobody's for root */
	if (geteuid() != 0) {
		ck_assert_int_eq(msp_keystore_open(&s, "/usr", 4, &info),
				 MSP_ERR_SYS);
	} else {
		ck_assert_int_eq(chown(scratch_path("keys"), 65534, 65534), 0);
		ck_assert_int_eq(open_in_scratch(&s, "keys", &info),
				 MSP_ERR_SYS);
	}
	ck_assert_ptr_nonnull(strstr(info.text, "belongs to"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keystore directory");
	TCase *tc = tcase_create("open");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, keystore_makes_directory_with_parents);
	tcase_add_test(tc, keystore_closes_open_directory);
	tcase_add_loop_test(tc, keystore_refuses_link_as_directory, 0,
			    COUNT(links));
	tcase_add_test(tc, keystore_refuses_bad_directory);
	tcase_add_test(tc, keystore_refuses_directory_of_somebody_else);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
