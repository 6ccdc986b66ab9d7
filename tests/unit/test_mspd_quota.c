/* SPDX-License-Identifier: MIT */
/*
 * In: control groups made of files. Out: whether the narrowest limit is found.
 * Must never look at the groups of the machine.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mspd/quota.h"

static char dir[] = "/tmp/msp-quota-XXXXXX";
static struct mspd_quota quota;

static void put(const char *name, const char *text)
{
	char path[256], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (slash = path + strlen(dir) + 1; (slash = strchr(slash, '/'));) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash++ = '/';
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static bool find(void)
{
	char self[256], root[256];

	snprintf(self, sizeof(self), "%s/self", dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	memset(&quota, 0, sizeof(quota));
	return mspd_quota_find(&quota, self, root);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* What systemd makes of CPUQuota=15%, on both kinds of machine. */
START_TEST(quota_of_a_unit_is_found)
{
	char path[256];

	put("self", "0::/system.slice/a.service\n");
	put("root/system.slice/cpu.max", "max 100000\n");
	put("root/system.slice/a.service/cpu.max", "15000 100000\n");
	ck_assert(find());
	ck_assert_uint_eq(quota.percent, 15);
	snprintf(path, sizeof(path), "%s/root/system.slice/a.service/cpu.max",
		 dir);
	ck_assert_str_eq(quota.path, path);
	put("self",
	    "3:cpuset:/x\n2:cpu,cpuacct:/b\n1:name=systemd:/b\n0::/b\n");
	put("root/cpu/b/cpu.cfs_quota_us", "150000\n");
	put("root/cpu/b/cpu.cfs_period_us", "100000\n");
	ck_assert(find());
	ck_assert_uint_eq(quota.percent, 150);
}
END_TEST

START_TEST(quota_above_counts_if_it_is_narrower)
{
	put("self", "0::/s/a\n");
	put("root/cpu.max", "150 100000\n");
	put("root/s/cpu.max", "10000 100000\n");
	put("root/s/a/cpu.max", "50000 100000\n");
	ck_assert(find());
	ck_assert_uint_eq(quota.percent, 1); /* less than that */
	put("root/cpu.max", "max 100000\n");
	ck_assert(find());
	ck_assert_uint_eq(quota.percent, 10);
}
END_TEST

static const char *const nothing[][2] = {
	{ "0::/a\n", "max 100000\n" },
	{ "0::/a\n", "max\n" },
	{ "0::/a\n", "" },
	{ "0::/a\n", "15000\n" },
	{ "0::/a\n", "15000 0\n" },
	{ "0::/a\n", "-1 100000\n" },
	{ "0::/a\n", "9223372036854775807 100000\n" },
	{ "0::/gone\n", "15000 100000\n" },
	{ "1:cpuset:/a\n", "15000 100000\n" },
	{ "0::\n", "15000 100000\n" },
	{ "0:\n", "15000 100000\n" },
	{ "\n", "15000 100000\n" },
	{ "", "15000 100000\n" },
};

START_TEST(quota_is_none_where_nothing_says_so)
{
	put("self", nothing[_i][0]);
	put("root/a/cpu.max", nothing[_i][1]);
	ck_assert(!find());
}
END_TEST

START_TEST(quota_of_who_has_no_groups_is_none)
{
	ck_assert(!find());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_quota");
	TCase *tc = tcase_create("quota");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, quota_of_a_unit_is_found);
	tcase_add_test(tc, quota_above_counts_if_it_is_narrower);
	tcase_add_loop_test(tc, quota_is_none_where_nothing_says_so, 0,
			    sizeof(nothing) / sizeof(nothing[0]));
	tcase_add_test(tc, quota_of_who_has_no_groups_is_none);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
