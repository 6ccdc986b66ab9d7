/* SPDX-License-Identifier: MIT */
/*
 * In: numbers of cgroups that are there, gone, or cannot be looked up. Out:
 * whether their paths are right, kept, and bounded in number.
 */
#include <check.h>
#include <stdio.h>

#include "mspd/cgroups.h"

#define GONE  900000
#define FAILS 910000

static struct mspd_cgroups *cgroups;
static int looks;

static int look(void *arg, uint64_t id, char *text, size_t room)
{
	ck_assert_ptr_eq(arg, &looks);
	ck_assert_uint_eq(room, 4096);
	looks++;
	text[0] = '\0';
	if (id == GONE)
		return MSP_ERR_NOENT;
	if (id == FAILS)
		return MSP_ERR_SYS;
	snprintf(text, room, "/slice/%llu", (unsigned long long)id);
	return 0;
}

static void setup(void)
{
	ck_assert_int_eq(mspd_cgroups_new(&cgroups, look, &looks), 0);
}

static void teardown(void)
{
	mspd_cgroups_free(cgroups);
}

static struct mspd_cgroup *get(uint64_t id)
{
	struct mspd_cgroup *cgroup = mspd_cgroups_get(cgroups, id);

	ck_assert_ptr_nonnull(cgroup);
	return cgroup;
}

static void touch(uint64_t id)
{
	mspd_cgroup_free(get(id));
}

START_TEST(cgroups_are_looked_up_once)
{
	struct mspd_cgroup *one = get(7), *two = get(7);

	ck_assert_str_eq(mspd_cgroup_path(one), "/slice/7");
	ck_assert_str_eq(mspd_cgroup_path(two), "/slice/7");
	ck_assert_int_eq(looks, 1);
	mspd_cgroup_free(one);
	ck_assert_str_eq(mspd_cgroup_path(two), "/slice/7");
	mspd_cgroup_free(two);
	mspd_cgroup_free(NULL);
}
END_TEST

START_TEST(cgroups_that_are_gone_are_kept_too)
{
	struct mspd_cgroup *gone = get(GONE);

	ck_assert_ptr_null(mspd_cgroup_path(gone));
	mspd_cgroup_free(gone);
	touch(GONE);
	ck_assert_int_eq(looks, 1);
}
END_TEST

START_TEST(cgroups_are_asked_for_again_after_a_failure)
{
	struct mspd_cgroup *failed = get(FAILS);

	ck_assert_ptr_null(mspd_cgroup_path(failed));
	mspd_cgroup_free(failed);
	touch(FAILS);
	ck_assert_int_eq(looks, 2);
}
END_TEST

START_TEST(cgroups_kept_are_bounded)
{
	struct mspd_cgroup *first = get(0);
	uint64_t id;

	for (id = 0; id < 10 * MSPD_CGROUPS; id++)
		touch(id);
	looks = 0;
	for (id = 0; id < 10 * MSPD_CGROUPS; id++)
		touch(10 * MSPD_CGROUPS - 1 - id);
	ck_assert_int_eq(looks, 9 * MSPD_CGROUPS);
	/* whoever holds it does not notice */
	ck_assert_str_eq(mspd_cgroup_path(first), "/slice/0");
	mspd_cgroup_free(first);
}
END_TEST

START_TEST(cgroups_outlive_the_cache)
{
	struct mspd_cgroup *cgroup = get(3);

	mspd_cgroups_free(cgroups);
	cgroups = NULL;
	ck_assert_str_eq(mspd_cgroup_path(cgroup), "/slice/3");
	mspd_cgroup_free(cgroup);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_cgroups");
	TCase *tc = tcase_create("cgroups");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cgroups_are_looked_up_once);
	tcase_add_test(tc, cgroups_that_are_gone_are_kept_too);
	tcase_add_test(tc, cgroups_are_asked_for_again_after_a_failure);
	tcase_add_test(tc, cgroups_kept_are_bounded);
	tcase_add_test(tc, cgroups_outlive_the_cache);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
