/* SPDX-License-Identifier: MIT */
/*
 * In: the places where a configuration file may be. Out: whether the first of
 * them that has one is taken.
 */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mspd/config.h"

/* This one is beside the test program, where nobody has put one. */
START_TEST(config_is_looked_for_in_three_places)
{
	char beside[PATH_MAX] = "";
	char own[PATH_MAX];
	const char *path = mspd_config_find(beside);
	bool azure = access("/etc/azure/proxy-agent.json", F_OK) == 0;
	FILE *file;

	ck_assert_str_eq(path, azure ? "/etc/azure/proxy-agent.json"
				     : "/etc/mspd/mspd.json");
	if (azure)
		return;
	strcpy(own, beside);
	ck_assert_str_eq(strrchr(own, '/'), "/proxy-agent.json");
	file = fopen(own, "wx");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	path = mspd_config_find(beside);
	unlink(own);
	ck_assert_ptr_eq(path, beside);
	ck_assert_str_eq(path, own);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_config_find");
	TCase *tc = tcase_create("config_find");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, config_is_looked_for_in_three_places);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
