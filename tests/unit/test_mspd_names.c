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
					     scratch_path("group"), 0),
			 0);
}

static void teardown(void)
{
	mspd_name_cache_free(cache);
	scratch_remove();
}

static struct mspd_names_key key_of(uint32_t uid)
{
	struct mspd_names_key key = { .uid = uid };

	return key;
}

static struct mspd_names *resolve_key(struct mspd_names_key key)
{
	struct mspd_names *names = mspd_names_resolve(&key);

	ck_assert_ptr_nonnull(names);
	return names;
}

static struct mspd_names *resolve(uint32_t uid)
{
	return resolve_key(key_of(uid));
}

/* An answer about a uid nobody has, as if NSS had been asked about it. */
static struct mspd_names *answer(uint32_t uid)
{
	struct mspd_names *names = resolve(NOBODY_HAS);

	names->key.uid = uid;
	return names;
}

/* Of what was asked just now. */
static void keep(struct mspd_names *names, uint64_t now)
{
	mspd_names_put(cache, names, mspd_names_generation(cache), now);
}

static void put(uint32_t uid, uint64_t now)
{
	struct mspd_names *names = answer(uid);

	keep(names, now);
	mspd_names_free(names);
}

static bool has(uint32_t uid, uint64_t now)
{
	struct mspd_names_key key = key_of(uid);
	struct mspd_names *names = mspd_names_get(cache, &key, now);

	if (names)
		ck_assert_uint_eq(names->key.uid, uid);
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

START_TEST(names_resolve_names_the_groups_of_the_process)
{
	struct mspd_names_key key = { .uid = 0, .n_gids = 3 };
	struct mspd_names *names;

	key.gids[0] = 0;
	key.gids[1] = 1;
	key.gids[2] = NOBODY_HAS;
	names = resolve_key(key);
	ck_assert(names->complete);
	ck_assert_uint_eq(names->n_process_groups, 2); /* that have a name */
	ck_assert_str_eq(names->process_groups[0], getgrgid(0)->gr_name);
	ck_assert_str_eq(names->process_groups[1], getgrgid(1)->gr_name);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_resolve_of_the_user_alone_looks_at_no_group)
{
	struct mspd_names_key key = { .uid = 0,
				      .user_only = true,
				      .n_gids = 1 };
	struct mspd_names *names = resolve_key(key);

	ck_assert_str_eq(names->user_name, getpwuid(0)->pw_name);
	ck_assert_uint_eq(names->n_groups, 0);
	ck_assert_uint_eq(names->n_process_groups, 0);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_key_is_a_set_of_groups)
{
	struct msp_caller a = {
		.uid = 9, .gid = 5, .n_gids = 3, .gids = { 8, 5, 2 }
	};
	struct msp_caller b = {
		.uid = 9, .gid = 2, .n_gids = 4, .gids = { 5, 8, 8, 2 }
	};
	struct mspd_names_key x, y;

	mspd_names_key(&x, &a);
	mspd_names_key(&y, &b);
	ck_assert_uint_eq(x.n_gids, 3);
	ck_assert_uint_eq(x.gids[0], 2);
	ck_assert_uint_eq(x.gids[1], 5);
	ck_assert_uint_eq(x.gids[2], 8);
	ck_assert(mspd_names_same(&x, &y));
	b.n_gids = 2;
	mspd_names_key(&y, &b);
	ck_assert(mspd_names_same(&x, &y));
	b.n_gids = 1; /* without 8 */
	mspd_names_key(&y, &b);
	ck_assert(!mspd_names_same(&x, &y));
	b = a;
	b.uid = 8;
	mspd_names_key(&y, &b);
	ck_assert(!mspd_names_same(&x, &y));
	b = a;
	b.gids[1] = UINT32_MAX;
	mspd_names_key(&y, &b);
	ck_assert(!mspd_names_same(&x, &y));
	y = x;
	y.user_only = true;
	ck_assert(!mspd_names_same(&x, &y));
	y = x;
	y.local = true;
	ck_assert(mspd_names_same(&x, &y));
}
END_TEST

START_TEST(names_key_has_room_for_all_groups)
{
	struct msp_caller caller = { .gid = 1000,
				     .n_gids = MSP_CALLER_GROUPS_MAX };
	struct mspd_names_key key;
	uint32_t i;

	for (i = 0; i < MSP_CALLER_GROUPS_MAX; i++)
		caller.gids[i] = i;
	mspd_names_key(&key, &caller);
	ck_assert_uint_eq(key.n_gids, MSPD_NAMES_GIDS);
	ck_assert_uint_eq(key.gids[MSPD_NAMES_GIDS - 1], 1000);
}
END_TEST

START_TEST(names_apply_fills_a_caller)
{
	struct mspd_names_key key = { .uid = 0, .n_gids = 1 };
	struct mspd_names *names = resolve_key(key);
	struct msp_caller caller = { .flags = MSP_CALLER_KNOWN };

	mspd_names_apply(names, &caller, false);
	ck_assert_uint_eq(caller.flags, MSP_CALLER_KNOWN | MSP_CALLER_NAMES);
	ck_assert_ptr_eq(caller.user_name, names->user_name);
	ck_assert_uint_eq(caller.n_groups, names->n_groups);
	ck_assert_str_eq(caller.groups[0], names->groups[0]);
	ck_assert_uint_eq(caller.n_process_groups, 1);
	ck_assert_str_eq(caller.process_groups[0], names->process_groups[0]);
	mspd_names_apply(NULL, &caller, false);
	ck_assert_uint_eq(caller.flags, MSP_CALLER_KNOWN);
	ck_assert_ptr_null(caller.user_name);
	ck_assert_uint_eq(caller.n_groups, 0);
	ck_assert_uint_eq(caller.n_process_groups, 0);
	mspd_names_free(names);
}
END_TEST

/* Cut: the list of the process by the kernel, or that of the user by us. */
START_TEST(names_apply_says_that_groups_are_cut)
{
	const uint32_t cut = MSP_CALLER_GROUPS_CUT;
	struct mspd_names *names = resolve(0);
	struct msp_caller caller = { .flags = MSP_CALLER_KNOWN };

	names->truncated = true;
	mspd_names_apply(names, &caller, false);
	ck_assert(caller.flags & cut);
	mspd_names_apply(NULL, &caller, false);
	ck_assert(!(caller.flags & cut));
	names->truncated = false;
	mspd_names_apply(names, &caller, true);
	ck_assert(caller.flags & cut);
	mspd_names_apply(NULL, &caller, true);
	ck_assert(caller.flags & cut);
	mspd_names_free(names);
}
END_TEST

START_TEST(names_live_until_the_last_owner)
{
	struct mspd_names *names = answer(5);

	ck_assert_ptr_eq(mspd_names_ref(names), names);
	keep(names, 1000);
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
	keep(names, 1000);
	mspd_names_free(names);
	ck_assert(has(5, 1999));
	ck_assert(!has(5, 2000));
}
END_TEST

START_TEST(cache_replaces_the_answer_of_a_uid)
{
	struct mspd_names_key key = key_of(0);
	struct mspd_names *names = resolve(0);
	struct mspd_names *found;

	put(0, 1000);
	keep(names, 1001);
	found = mspd_names_get(cache, &key, 1002);
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
	ck_assert_uint_eq(kept, MSPD_NAMES_CACHE / 2);
	ck_assert(has(4 * MSPD_NAMES_CACHE - 1, 1000));
}
END_TEST

START_TEST(cache_gives_up_what_ends_first)
{
	const uint32_t step = MSPD_NAMES_CACHE / 16; /* all in one set */
	uint32_t i;

	for (i = 0; i < 8; i++)
		put(i * step, 1000 + (i + 4) % 8);
	put(8 * step, 1010);
	for (i = 0; i < 9; i++)
		ck_assert(has(i * step, 1010) == (i != 4));
}
END_TEST

static bool has_key(struct mspd_names_key key, uint64_t now)
{
	struct mspd_names *names = mspd_names_get(cache, &key, now);

	mspd_names_free(names);
	return names != NULL;
}

static void put_key(struct mspd_names_key key, uint64_t now)
{
	struct mspd_names *names = answer(key.uid);

	names->key = key;
	keep(names, now);
	mspd_names_free(names);
}

START_TEST(cache_tells_the_groups_of_processes_apart)
{
	struct mspd_names_key key = { .uid = 5, .n_gids = 2 };

	key.gids[1] = 4;
	put_key(key, 1000);
	ck_assert(has_key(key, 1000));
	key.gids[1] = 3;
	ck_assert(!has_key(key, 1000));
	key.gids[1] = 4;
	key.n_gids = 1;
	ck_assert(!has_key(key, 1000));
	key.n_gids = 2;
	key.user_only = true;
	ck_assert(!has_key(key, 1000));
}
END_TEST

/* A user can make sets of groups without end, and, with subordinate uids,
 * users. */
START_TEST(cache_gives_nobody_the_room_of_others)
{
	const uint32_t step = MSPD_NAMES_CACHE / 16;
	struct mspd_names_key local = { .uid = step, .local = true };
	struct mspd_names_key key = { .uid = 2 * step,
				      .local = true,
				      .n_gids = 1 };
	uint32_t i;

	put_key(local, 1000);
	for (i = 0; i < 100; i++) {
		key.gids[0] = i;
		put_key(key, 1001 + i);
	}
	for (i = 0; i < 100; i++) {
		key.gids[0] = i;
		ck_assert(has_key(key, 1200) ==
			  (i >= 100 - MSPD_NAMES_PER_UID));
	}
	for (i = 3; i < 4 * MSPD_NAMES_CACHE; i++)
		put(i, 1300);
	ck_assert(has_key(local, 1400));
}
END_TEST

/* What took long to answer is as old as the question. */
START_TEST(cache_counts_from_the_question)
{
	struct mspd_names *names = answer(5);

	names->started_ms = 400000;
	keep(names, 430000);
	ck_assert(has(5, 459999));
	ck_assert(!has(5, 460000));
	keep(names, 470000);
	ck_assert(!has(5, 470000));
	mspd_names_free(names);
}
END_TEST

static bool fresh(const struct mspd_names *names, uint64_t now)
{
	return mspd_names_fresh(cache, names, now);
}

START_TEST(names_are_fresh_until_they_expire)
{
	struct mspd_names *names = answer(5);
	uint32_t i;

	ck_assert(!fresh(names, 1000)); /* nobody put it */
	keep(names, 1000);
	for (i = 0; i < 100; i++) /* it need not be in the cache any more */
		put(5 + i * (MSPD_NAMES_CACHE / 16), 1001 + i);
	ck_assert(!has(5, 2000));
	ck_assert(fresh(names, 60999));
	ck_assert(!fresh(names, 61000));
	mspd_names_free(names);
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
	uint64_t generation = mspd_names_generation(cache);
	struct mspd_names *kept = answer(6);

	keep(kept, 1000);
	put(5, 1000);
	ck_assert(has(5, 1000));
	next_millisecond();
	changes[_i]();
	ck_assert(has(5, 1999)); /* looked at 1000: not again so soon */
	ck_assert_uint_eq(mspd_names_generation(cache), generation);
	ck_assert(fresh(kept, 1999));
	ck_assert(!fresh(kept, 2000));
	ck_assert(!has(5, 2000));
	ck_assert_uint_ne(mspd_names_generation(cache), generation);
	mspd_names_free(kept);
	next_millisecond();
	put(5, 2001); /* asked after the change */
	ck_assert(has(5, 2001));
	ck_assert(has(5, 9000));
}
END_TEST

/* NSS may have read the old file and answer when the new one is there. */
START_TEST(cache_does_not_keep_an_answer_from_before_a_change)
{
	uint64_t asked_in = mspd_names_generation(cache);
	struct mspd_names *names = answer(5);

	next_millisecond();
	changes[_i]();
	mspd_names_put(cache, names, asked_in, 1000);
	ck_assert(!has(5, 1000));
	mspd_names_put(cache, names, asked_in, 1001); /* however late */
	ck_assert(!has(5, 1001));
	ck_assert(!fresh(names, 1001));
	keep(names, 1002); /* as if it had been asked again, at once */
	ck_assert(has(5, 1002));
	mspd_names_free(names);
}
END_TEST

START_TEST(cache_forgets_as_soon_as_it_is_told_to)
{
	struct mspd_names *names;

	mspd_name_cache_free(cache);
	ck_assert_int_eq(mspd_name_cache_new(&cache, scratch_path("passwd"),
					     scratch_path("group"), 500),
			 0);
	put(5, 1000);
	ck_assert(has(5, 1499));
	ck_assert(!has(5, 1500));
	/* a failure is not believed for longer than an answer */
	names = answer(6);
	names->complete = false;
	keep(names, 2000);
	ck_assert(has(6, 2499));
	ck_assert(!has(6, 2500));
	mspd_names_free(names);
}
END_TEST

START_TEST(cache_works_without_its_files)
{
	struct mspd_name_cache *other;
	struct mspd_names_key key = key_of(5);
	struct mspd_names *names = answer(5);
	struct mspd_names *found;

	ck_assert_int_eq(mspd_name_cache_new(&other, scratch_path("x"),
					     scratch_path("y"), 0),
			 0);
	mspd_names_put(other, names, mspd_names_generation(other), 1000);
	found = mspd_names_get(other, &key, 1000);
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
	tcase_add_test(tc, names_resolve_names_the_groups_of_the_process);
	tcase_add_test(tc, names_resolve_of_the_user_alone_looks_at_no_group);
	tcase_add_test(tc, names_key_is_a_set_of_groups);
	tcase_add_test(tc, names_key_has_room_for_all_groups);
	tcase_add_test(tc, names_apply_fills_a_caller);
	tcase_add_test(tc, names_apply_says_that_groups_are_cut);
	tcase_add_test(tc, names_live_until_the_last_owner);
	tcase_add_test(tc, cache_forgets_after_60_seconds);
	tcase_add_test(tc, cache_believes_an_incomplete_answer_for_a_second);
	tcase_add_test(tc, cache_replaces_the_answer_of_a_uid);
	tcase_add_test(tc, cache_is_bounded);
	tcase_add_test(tc, cache_gives_up_what_ends_first);
	tcase_add_test(tc, cache_tells_the_groups_of_processes_apart);
	tcase_add_test(tc, cache_gives_nobody_the_room_of_others);
	tcase_add_test(tc, cache_counts_from_the_question);
	tcase_add_test(tc, names_are_fresh_until_they_expire);
	tcase_add_loop_test(tc, cache_is_emptied_when_a_file_changes, 0, 3);
	tcase_add_loop_test(
		tc, cache_does_not_keep_an_answer_from_before_a_change, 0, 3);
	tcase_add_test(tc, cache_forgets_as_soon_as_it_is_told_to);
	tcase_add_test(tc, cache_works_without_its_files);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
