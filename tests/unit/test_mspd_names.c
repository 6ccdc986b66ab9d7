/* SPDX-License-Identifier: MIT */
/*
 * In: uids, and two files that change. Out: whether names are those of the
 * user database, and are believed no longer than they may be.
 */
#include <check.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mspd/names.h"
#include "tests/lib/scratch.h"

#define NOBODY_HAS 4010203040u

static struct mspd_name_cache *cache;

static void setup(void)
{
	scratch_make();
	scratch_write("passwd", "a", 1);
	scratch_write("group", "a", 1);
	ck_assert_int_eq(mspd_name_cache_new(&cache, scratch_path("passwd"),
					     scratch_path("group")),
			 0);
}

static void teardown(void)
{
	mspd_name_cache_free(cache);
	scratch_remove();
}

static struct mspd_names *resolve(uint32_t uid)
{
	struct mspd_names *names = mspd_names_resolve(uid);

	ck_assert_ptr_nonnull(names);
	return names;
}

/* An answer about a uid nobody has, as if NSS had been asked about it. */
static struct mspd_names *answer(uint32_t uid)
{
	struct mspd_names *names = resolve(NOBODY_HAS);

	names->uid = uid;
	return names;
}

static void put(uint32_t uid, uint64_t now)
{
	struct mspd_names *names = answer(uid);

	mspd_names_put(cache, names, now);
	mspd_names_free(names);
}

static bool has(uint32_t uid, uint64_t now)
{
	struct mspd_names *names = mspd_names_get(cache, uid, now);

	if (names)
		ck_assert_uint_eq(names->uid, uid);
	mspd_names_free(names);
	return names != NULL;
}

/* ---- answers ----------------------------------------------------------- */

START_TEST(names_resolve_agrees_with_the_user_database)
{
	struct mspd_names *names = resolve(0);
	struct passwd *pw = getpwuid(0);
	gid_t gids[MSP_CALLER_GROUPS_MAX];
	int n = MSP_CALLER_GROUPS_MAX;
	size_t i;

	ck_assert_ptr_nonnull(pw);
	ck_assert_str_eq(names->user_name, pw->pw_name);
	ck_assert(names->complete);
	ck_assert(!names->truncated);
	ck_assert_int_ge(getgrouplist(pw->pw_name, pw->pw_gid, gids, &n), 0);
	ck_assert_uint_eq(names->n_groups, (size_t)n);
	for (i = 0; i < names->n_groups; i++)
		ck_assert_str_eq(names->groups[i], getgrgid(gids[i])->gr_name);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_resolve_of_nobody_is_complete_and_empty)
{
	struct mspd_names *names = resolve(NOBODY_HAS);

	ck_assert(names->complete);
	ck_assert_ptr_null(names->user_name);
	ck_assert_uint_eq(names->n_groups, 0);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_apply_fills_a_caller)
{
	struct mspd_names *names = resolve(0);
	struct msp_caller caller = { .flags = MSP_CALLER_KNOWN };

	mspd_names_apply(names, &caller);
	ck_assert_uint_eq(caller.flags, MSP_CALLER_KNOWN | MSP_CALLER_NAMES);
	ck_assert_ptr_eq(caller.user_name, names->user_name);
	ck_assert_uint_eq(caller.n_groups, names->n_groups);
	ck_assert_str_eq(caller.groups[0], names->groups[0]);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_live_until_the_last_owner)
{
	struct mspd_names *names = answer(5);

	ck_assert_ptr_eq(mspd_names_ref(names), names);
	mspd_names_put(cache, names, 1000);
	mspd_names_free(names);
	mspd_names_free(names);
	ck_assert(has(5, 1000)); /* the cache still owns it */
	mspd_names_free(NULL);
}
END_TEST

/* ---- cache ------------------------------------------------------------- */

START_TEST(cache_forgets_after_60_seconds)
{
	ck_assert(!has(5, 1000));
	put(5, 1000);
	ck_assert(has(5, 1000));
	ck_assert(!has(6, 1000));
	ck_assert(has(5, 60999));
	ck_assert(!has(5, 61000));
	ck_assert(!has(5, 1000)); /* for good */
}
END_TEST

START_TEST(cache_believes_an_incomplete_answer_for_a_second)
{
	struct mspd_names *names = answer(5);

	names->complete = false;
	mspd_names_put(cache, names, 1000);
	mspd_names_free(names);
	ck_assert(has(5, 1999));
	ck_assert(!has(5, 2000));
}
END_TEST

START_TEST(cache_replaces_the_answer_of_a_uid)
{
	struct mspd_names *names = resolve(0);
	struct mspd_names *found;

	put(0, 1000);
	mspd_names_put(cache, names, 1001);
	found = mspd_names_get(cache, 0, 1002);
	ck_assert_ptr_eq(found, names);
	mspd_names_free(found);
	mspd_names_free(names);
}
END_TEST

START_TEST(cache_is_bounded)
{
	size_t kept = 0;
	uint32_t uid;

	for (uid = 0; uid < 4 * MSPD_NAMES_CACHE; uid++)
		put(uid, 1000);
	for (uid = 0; uid < 4 * MSPD_NAMES_CACHE; uid++)
		kept += has(uid, 1000);
	ck_assert_uint_eq(kept, MSPD_NAMES_CACHE);
	ck_assert(has(4 * MSPD_NAMES_CACHE - 1, 1000));
}
END_TEST

START_TEST(cache_gives_up_what_ends_first)
{
	const uint32_t step = MSPD_NAMES_CACHE / 4; /* all in one set */
	uint32_t i;

	for (i = 0; i < 4; i++)
		put(i * step, 1000 + (i + 2) % 4);
	put(4 * step, 1010);
	for (i = 0; i < 5; i++)
		ck_assert(has(i * step, 1010) == (i != 2));
}
END_TEST

static void next_millisecond(void)
{
	struct timespec pause = { 0, 12000000 }; /* also a tick of mtime */

	nanosleep(&pause, NULL);
}

static void rewrite_passwd(void)
{
	scratch_write("passwd", "b", 1);
}

static void replace_group(void)
{
	scratch_write("new", "a", 1);
	ck_assert_int_eq(rename(scratch_path("new"), scratch_path("group")), 0);
}

static void delete_passwd(void)
{
	ck_assert_int_eq(unlink(scratch_path("passwd")), 0);
}

static void (*const changes[])(void) = { rewrite_passwd, replace_group,
					 delete_passwd };

START_TEST(cache_is_emptied_when_a_file_changes)
{
	put(5, 1000);
	ck_assert(has(5, 1000));
	next_millisecond();
	changes[_i]();
	ck_assert(has(5, 1999)); /* looked at 1000: not again so soon */
	ck_assert(!has(5, 2000));
	next_millisecond();
	put(5, 2001); /* asked after the change */
	ck_assert(has(5, 2001));
	ck_assert(has(5, 9000));
}
END_TEST

/* NSS may have read the old file and answer when the new one is there. */
START_TEST(cache_does_not_keep_an_answer_from_before_a_change)
{
	struct mspd_names *names = answer(5);

	next_millisecond();
	changes[_i]();
	mspd_names_put(cache, names, 1000);
	ck_assert(!has(5, 1000));
	mspd_names_put(cache, names, 1001); /* however late */
	ck_assert(!has(5, 1001));
	mspd_names_free(names);
}
END_TEST

START_TEST(cache_works_without_its_files)
{
	struct mspd_name_cache *other;
	struct mspd_names *names = answer(5);
	struct mspd_names *found;

	ck_assert_int_eq(mspd_name_cache_new(&other, scratch_path("x"),
					     scratch_path("y")),
			 0);
	mspd_names_put(other, names, 1000);
	found = mspd_names_get(other, 5, 1000);
	ck_assert_ptr_eq(found, names);
	mspd_names_free(found);
	mspd_names_free(names);
	mspd_name_cache_free(other);
	mspd_name_cache_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_names");
	TCase *tc = tcase_create("names");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_resolve_agrees_with_the_user_database);
	tcase_add_test(tc, names_resolve_of_nobody_is_complete_and_empty);
	tcase_add_test(tc, names_apply_fills_a_caller);
	tcase_add_test(tc, names_live_until_the_last_owner);
	tcase_add_test(tc, cache_forgets_after_60_seconds);
	tcase_add_test(tc, cache_believes_an_incomplete_answer_for_a_second);
	tcase_add_test(tc, cache_replaces_the_answer_of_a_uid);
	tcase_add_test(tc, cache_is_bounded);
	tcase_add_test(tc, cache_gives_up_what_ends_first);
	tcase_add_loop_test(tc, cache_is_emptied_when_a_file_changes, 0, 3);
	tcase_add_loop_test(
		tc, cache_does_not_keep_an_answer_from_before_a_change, 0, 3);
	tcase_add_test(tc, cache_works_without_its_files);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
