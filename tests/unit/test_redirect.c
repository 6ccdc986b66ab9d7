/* SPDX-License-Identifier: MIT */
/*
 * What can be said of redirect and peer without privileges: bad arguments
 * are refused with a sentence and change nothing. The rest is tests/live.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msp/msp.h>

#include "libmsp/cgroup.h"
#include "libmsp/mem.h"
#include "tests/lib/failalloc.h"

START_TEST(open_refuses_bad_options)
{
	struct msp_redirect_opts wrong_size = { .size = 4 };
	struct msp_redirect_opts reserved = { .size = sizeof(reserved),
					      .flags = 2 };
	struct msp_redirect_opts empty = { .size = sizeof(empty),
					   .cgroup = "" };
	char byte = 'x';
	struct msp_redirect_opts no_room = { .size = sizeof(no_room),
					     .detail = &byte };
	const struct msp_redirect_opts *cases[] = { &wrong_size, &reserved,
						    &empty, &no_room };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct msp_redirect *r = (void *)&info;

		ck_assert_int_eq(msp_redirect_open(&r, cases[i], &info),
				 MSP_ERR_INVAL);
		ck_assert_ptr_null(r);
		ck_assert_str_ne(info.text, "");
	}
	ck_assert_int_eq(byte, 'x');
	ck_assert_int_eq(msp_redirect_open(NULL, NULL, NULL), MSP_ERR_INVAL);
}
END_TEST

START_TEST(open_names_the_cgroup_or_the_program_that_failed)
{
	static const char missing[] = "/nonexistent/cgroup";
	struct msp_redirect_opts opts = { .size = sizeof(opts),
					  .cgroup = missing,
					  .cgroup_len = sizeof(missing) - 1 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_redirect *r = NULL;
	int rc = msp_redirect_open(&r, &opts, &info);

	ck_assert(rc == MSP_ERR_SYS || rc == MSP_ERR_UNSUPPORTED);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(info.text, missing) ||
			      strstr(info.text, "Failed to load") ||
			      rc == MSP_ERR_UNSUPPORTED,
		      "%s", info.text);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(calls_without_a_redirector_are_refused)
{
	struct msp_caller caller;
	int fd = 7;

	ck_assert_int_eq(
		msp_redirect_set(NULL, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE),
		MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_get(NULL, MSP_ENDPOINT_IMDS),
			 MSP_REDIRECT_OFF);
	ck_assert_int_eq(msp_redirect_mark(NULL, 0, MSP_MARK_SKIP, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_prove(NULL, 0, 0, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_identify(NULL, 0, &caller, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_verify_exe(NULL, 0, &caller, 0),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_peer_open_root(NULL, "/", 1, &fd, NULL),
			 MSP_ERR_INVAL);
	ck_assert_uint_eq(msp_redirect_count(NULL, MSP_COUNT_FOUND), 0);
	msp_redirect_free(NULL);
}
END_TEST

START_TEST(cgroup_mount_is_a_directory_or_a_clear_error)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *path = NULL;
	int rc = msp_cgroup_mount(&path, &info);

	if (rc == MSP_ERR_NOENT) {
		ck_assert_str_eq(info.text, "cgroup v2 is not mounted");
		return;
	}
	if (rc == MSP_ERR_UNSUPPORTED) {
		ck_assert_ptr_nonnull(strstr(info.text, "only a part of"));
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	msp_mem_free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redirect");
	TCase *tc = tcase_create("redirect");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, open_refuses_bad_options);
	tcase_add_test(tc, open_names_the_cgroup_or_the_program_that_failed);
	tcase_add_test(tc, calls_without_a_redirector_are_refused);
	tcase_add_test(tc, cgroup_mount_is_a_directory_or_a_clear_error);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
