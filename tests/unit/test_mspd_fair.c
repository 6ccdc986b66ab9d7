/* SPDX-License-Identifier: MIT */
/*
 * In: owners that take all they can. Out: whoever holds less gets a place.
 * Must never depend on the order of owners in memory.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/door.h"
#include "mspd/fair.h"

#define TOTAL 64
#define SHARE 16
#define ROOT  mspd_fair_key(MSPD_FAIR_USER, 0)
#define ALICE mspd_fair_key(MSPD_FAIR_USER, 1000)
#define BOB   mspd_fair_key(MSPD_FAIR_USER, 1001)

static struct mspd_fair *fair;
static struct mspd_place places[4096];
static size_t used;
static struct mspd_place *victim;

static uint64_t user(unsigned int i)
{
	return mspd_fair_key(MSPD_FAIR_USER, 5000 + i);
}

static uint64_t nested(unsigned int i)
{
	return mspd_fair_key(MSPD_FAIR_NESTED, 100000 + i);
}

static void setup(void)
{
	memset(places, 0, sizeof(places));
	used = 0;
	ck_assert_int_eq(mspd_fair_new(&fair, TOTAL, 0), 0);
	ck_assert_uint_eq(mspd_fair_share(fair), SHARE);
}

static void teardown(void)
{
	size_t i;

	for (i = 0; i < used; i++)
		mspd_fair_leave(fair, &places[i]);
	ck_assert_uint_eq(mspd_fair_taken(fair), 0);
	mspd_fair_free(fair);
}

static enum mspd_admission ask(uint64_t key)
{
	return mspd_fair_admit(fair, key, false, &victim);
}

/* As the door does it: the new place, NULL if refused. */
static struct mspd_place *come(uint64_t key)
{
	struct mspd_place *place = &places[used];

	if (ask(key) != MSPD_ADMIT)
		return NULL;
	ck_assert_uint_lt(used, sizeof(places) / sizeof(places[0]));
	used++;
	ck_assert_int_eq(mspd_fair_join(fair, place, key), 0);
	if (victim)
		mspd_fair_leave(fair, victim);
	return place;
}

static size_t come_often(uint64_t key, size_t times)
{
	size_t n = 0;

	while (times--)
		n += come(key) != NULL;
	return n;
}

static size_t held(uint64_t key)
{
	size_t i, n = 0;

	for (i = 0; i < used; i++)
		n += places[i].owner && mspd_fair_owner(&places[i]) == key;
	return n;
}

START_TEST(one_user_gets_its_share_and_no_more)
{
	ck_assert_uint_eq(come_often(ALICE, 100), SHARE);
	ck_assert_int_eq(ask(ALICE), MSPD_REFUSE_SHARE);
	ck_assert_ptr_null(victim);
	ck_assert_int_eq(ask(BOB), MSPD_ADMIT);
	ck_assert_ptr_null(victim);
}
END_TEST

START_TEST(a_place_given_up_can_be_taken_again)
{
	come_often(ALICE, SHARE);
	mspd_fair_leave(fair, &places[3]);
	ck_assert_ptr_null(places[3].owner);
	mspd_fair_leave(fair, &places[3]);
	mspd_fair_busy(fair, &places[3], true);
	ck_assert_uint_eq(come_often(ALICE, 5), 1);
}
END_TEST

START_TEST(root_may_take_all_and_still_makes_room)
{
	ck_assert_uint_eq(come_often(ROOT, 200), TOTAL);
	ck_assert_int_eq(ask(ROOT), MSPD_REFUSE_FULL);
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[0]);
	ck_assert_uint_eq(come_often(ALICE, 100), SHARE);
	ck_assert_uint_eq(held(ROOT), TOTAL - SHARE);
	ck_assert_uint_eq(mspd_fair_taken(fair), TOTAL);
}
END_TEST

START_TEST(who_holds_most_loses_and_who_holds_little_keeps)
{
	struct mspd_place *mine = come(ALICE);
	unsigned int i;

	for (i = 0; i < 8; i++)
		come_often(user(i), 100);
	ck_assert_uint_eq(mspd_fair_taken(fair), TOTAL);
	for (i = 0; i < 40; i++)
		ck_assert_ptr_nonnull(come(user(100 + i)));
	ck_assert_uint_eq(mspd_fair_taken(fair), TOTAL);
	ck_assert_ptr_nonnull(mine->owner);
	ck_assert_ptr_nonnull(come(BOB));
	ck_assert_ptr_nonnull(mine->owner);
}
END_TEST

START_TEST(nobody_takes_from_one_that_holds_as_much)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(come_often(user(i), 100), SHARE);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(ask(user(i)), MSPD_REFUSE_SHARE);
	ck_assert_int_eq(ask(ROOT), MSPD_ADMIT);
	come_often(ALICE, 100);
	ck_assert_int_eq(ask(ALICE), MSPD_REFUSE_FULL);
	ck_assert_ptr_null(victim);
	for (i = 0; i < 4; i++)
		ck_assert_uint_ge(held(user(i)) + 1, held(ALICE));
}
END_TEST

START_TEST(idle_ones_go_first_and_of_these_the_longest)
{
	come_often(ROOT, TOTAL);
	mspd_fair_busy(fair, &places[0], true);
	mspd_fair_busy(fair, &places[1], true);
	mspd_fair_busy(fair, &places[1], true);
	mspd_fair_busy(fair, &places[2], true);
	mspd_fair_busy(fair, &places[2], false); /* of late */
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[3]);
	mspd_fair_leave(fair, &places[3]);
	come_often(ROOT, 1);
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[4]);
}
END_TEST

START_TEST(busy_ones_go_when_there_are_no_others)
{
	size_t i;

	come_often(ROOT, TOTAL);
	for (i = TOTAL; i > 0; i--)
		mspd_fair_busy(fair, &places[i - 1], true);
	/* nothing new */
	mspd_fair_busy(fair, &places[TOTAL - 1], true);
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[TOTAL - 1]);
}
END_TEST

START_TEST(of_equals_the_one_with_an_idle_connection_gives)
{
	unsigned int i;

	come_often(user(0), SHARE);
	come_often(user(1), SHARE);
	come_often(user(2), SHARE);
	come_often(user(3), SHARE);
	for (i = 0; i < TOTAL; i++)
		if (i != 40)
			mspd_fair_busy(fair, &places[i], true);
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[40]);
}
END_TEST

START_TEST(of_equals_the_one_that_did_nothing_longest_gives)
{
	unsigned int round, i;

	for (round = 0; round < SHARE; round++)
		for (i = 0; i < 4; i++)
			come(user((round + i + 2) % 4));
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[0]);
	mspd_fair_busy(fair, &places[0], true);
	mspd_fair_busy(fair, &places[0], false);
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[1]);
}
END_TEST

START_TEST(full_means_the_same_as_no_place)
{
	come_often(ROOT, 3);
	come_often(ALICE, 2);
	ck_assert_int_eq(mspd_fair_admit(fair, BOB, true, &victim), MSPD_ADMIT);
	ck_assert_ptr_eq(victim, &places[0]);
	ck_assert_int_eq(mspd_fair_admit(fair, ROOT, true, &victim),
			 MSPD_REFUSE_FULL);
	ck_assert_ptr_null(victim);
}
END_TEST

START_TEST(full_without_anybody_refuses)
{
	ck_assert_ptr_null(mspd_fair_first_to_go(fair));
	come(ALICE);
	come_often(BOB, 2);
	mspd_fair_busy(fair, &places[1], true);
	ck_assert_ptr_eq(mspd_fair_first_to_go(fair), &places[2]);
	while (used > 0)
		mspd_fair_leave(fair, &places[--used]);
	ck_assert_int_eq(mspd_fair_admit(fair, BOB, true, &victim),
			 MSPD_REFUSE_FULL);
}
END_TEST

/* Thousands of uids in a namespace are worth no more than one user. */
START_TEST(uids_of_other_namespaces_share_what_is_one_users)
{
	struct mspd_place *mine = come(ALICE);
	unsigned int i;

	for (i = 0; i < 500; i++)
		come(nested(i));
	ck_assert_uint_eq(mspd_fair_taken(fair), SHARE + 1);
	come_often(ROOT, 100);
	ck_assert_ptr_nonnull(mine->owner);
	ck_assert_uint_eq(come_often(ALICE, 100), SHARE - 1);
}
END_TEST

START_TEST(one_uid_of_a_namespace_does_not_shut_out_another)
{
	ck_assert_uint_eq(come_often(nested(0), 100), SHARE);
	ck_assert_int_eq(ask(nested(0)), MSPD_REFUSE_SHARE);
	ck_assert_ptr_nonnull(come(nested(1)));
	ck_assert_uint_eq(held(nested(0)), SHARE - 1);
	ck_assert_int_eq(ask(nested(0)), MSPD_REFUSE_SHARE);
	ck_assert_uint_eq(mspd_fair_taken(fair), SHARE);
	mspd_fair_leave(fair, &places[SHARE]);
	ck_assert_int_eq(ask(nested(0)), MSPD_ADMIT);
	ck_assert_ptr_null(victim);
}
END_TEST

START_TEST(root_of_a_namespace_is_not_exempt)
{
	uint64_t key = mspd_fair_key(MSPD_FAIR_NESTED, 0);

	ck_assert_uint_eq(come_often(key, 100), SHARE);
}
END_TEST

START_TEST(unknown_callers_are_one_owner)
{
	uint64_t key = mspd_fair_key(MSPD_FAIR_UNKNOWN, 0);

	ck_assert_uint_eq(come_often(key, 100), SHARE);
	ck_assert_uint_eq(come_often(ROOT, 100), TOTAL - SHARE);
}
END_TEST

START_TEST(a_share_is_never_nothing)
{
	struct mspd_fair *small;

	ck_assert_int_eq(mspd_fair_new(&small, 1, 0), 0);
	ck_assert_uint_eq(mspd_fair_share(small), 1);
	mspd_fair_free(small);
	ck_assert_int_eq(mspd_fair_new(&small, 100, 7), 0);
	ck_assert_uint_eq(mspd_fair_share(small), 7);
	mspd_fair_free(small);
}
END_TEST

/* Against a count made the slow way, at each of many random steps. */
START_TEST(random_steps_keep_what_is_promised)
{
	uint64_t key[16];
	size_t most, n;
	unsigned int i, step;

	for (i = 0; i < 16; i++)
		key[i] = i < 8 ? user(i) : i < 15 ? nested(i) : ROOT;
	srand(11);
	for (step = 0; step < 3000; step++) {
		uint64_t who = key[rand() % 16];
		size_t before = held(who);
		enum mspd_admission said = ask(who);

		most = 0;
		for (i = 0; i < 16; i++) {
			n = held(key[i]);
			most = n > most ? n : most;
		}
		if (said == MSPD_REFUSE_FULL)
			ck_assert_uint_eq(before, most);
		if (said == MSPD_ADMIT && victim) {
			ck_assert_uint_gt(held(mspd_fair_owner(victim)),
					  before);
			if (mspd_fair_kind(who) != MSPD_FAIR_NESTED)
				ck_assert_uint_eq(held(mspd_fair_owner(victim)),
						  most);
		}
		come(who);
		ck_assert_uint_le(mspd_fair_taken(fair), TOTAL);
		i = (unsigned int)rand() % (unsigned int)(used + 1);
		mspd_fair_busy(fair, &places[i], rand() % 2);
		if (rand() % 8 == 0)
			mspd_fair_leave(fair, &places[i]);
	}
}
END_TEST

/* In line: the new place, NULL if the line is full. */
static struct mspd_place *stand(uint64_t key)
{
	struct mspd_place *place = &places[used];

	ck_assert_uint_lt(used, sizeof(places) / sizeof(places[0]));
	if (mspd_fair_wait(fair, place, key, &victim) < 0)
		return NULL;
	used++;
	if (victim)
		mspd_fair_leave(fair, victim);
	return place;
}

START_TEST(in_line_those_who_hold_least_are_first)
{
	struct mspd_place *first, *second, *third;

	come_often(ROOT, TOTAL - 2);
	come_often(ALICE, 2);
	first = stand(ALICE);
	third = stand(ALICE);
	second = stand(BOB);
	ck_assert_uint_eq(mspd_fair_waiting(fair), 3);
	mspd_fair_leave(fair, &places[0]);
	ck_assert_ptr_eq(mspd_fair_next(fair, &victim), second);
	ck_assert_ptr_null(victim);
	mspd_fair_enter(fair, second);
	ck_assert_uint_eq(held(BOB), 1);
	ck_assert_uint_eq(mspd_fair_taken(fair), TOTAL);
	/* no place is free, but root holds more */
	ck_assert_ptr_eq(mspd_fair_next(fair, &victim), first);
	ck_assert_ptr_eq(victim, &places[1]);
	mspd_fair_enter(fair, first);
	mspd_fair_leave(fair, victim);
	ck_assert_ptr_eq(mspd_fair_next(fair, &victim), third);
}
END_TEST

START_TEST(in_line_nobody_takes_from_one_that_holds_as_much)
{
	struct mspd_place *waits;
	unsigned int i;

	for (i = 0; i < 8; i++)
		come_often(user(i), TOTAL / 8);
	waits = stand(user(0));
	ck_assert_ptr_null(mspd_fair_next(fair, &victim));
	mspd_fair_leave(fair, &places[0]); /* one of its own */
	ck_assert_ptr_eq(mspd_fair_next(fair, &victim), waits);
	ck_assert_ptr_null(victim);
}
END_TEST

START_TEST(what_waits_counts_to_the_share)
{
	come_often(ALICE, SHARE - 2);
	ck_assert_ptr_nonnull(stand(ALICE));
	ck_assert_int_eq(ask(ALICE), MSPD_ADMIT);
	ck_assert_ptr_nonnull(stand(ALICE));
	ck_assert_int_eq(ask(ALICE), MSPD_REFUSE_SHARE);
	ck_assert_int_eq(ask(BOB), MSPD_ADMIT);
}
END_TEST

START_TEST(a_full_line_is_shortened_where_it_is_longest)
{
	struct mspd_place *last;
	unsigned int i;

	for (i = 0; i < mspd_fair_line(TOTAL) - 3; i++)
		last = stand(ALICE);
	for (i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(stand(BOB));
	ck_assert_ptr_null(stand(ALICE));
	ck_assert_ptr_nonnull(stand(BOB));
	ck_assert_ptr_eq(victim, last);
	ck_assert_ptr_null(last->owner);
	ck_assert_uint_eq(mspd_fair_waiting(fair), mspd_fair_line(TOTAL));
	ck_assert_ptr_eq(mspd_fair_first_to_go(fair), last - 1);
}
END_TEST

START_TEST(in_line_too_namespaces_share_what_is_one_users)
{
	unsigned int i;

	for (i = 0; i < SHARE; i++)
		ck_assert_ptr_nonnull(stand(nested(i)));
	ck_assert_ptr_null(stand(nested(i)));
	ck_assert_ptr_nonnull(stand(BOB));
}
END_TEST

START_TEST(a_long_line_is_short_beside_the_places)
{
	size_t n;

	ck_assert_uint_eq(mspd_fair_line(1), 2);
	ck_assert_uint_eq(mspd_fair_line(TOTAL), 2 * TOTAL);
	ck_assert_uint_eq(mspd_fair_line(1000), MSPD_FAIR_LINE_LEAST);
	ck_assert_uint_eq(mspd_fair_line(65536), 16384);
	for (n = 1; n < 70000; n++)
		ck_assert_uint_ge(mspd_fair_line(n), mspd_fair_line(n - 1));
}
END_TEST

/* Who has one each of a line is not closed for another: a namespace's many
 * uids must not be all of it. */
START_TEST(no_namespace_has_the_whole_line)
{
	struct mspd_place *last = NULL;
	unsigned int i;

	teardown();
	used = 0;
	ck_assert_int_eq(mspd_fair_new(&fair, 4096, 0), 0);
	for (i = 0; i < 4096; i++)
		if (!stand(nested(i)))
			break;
	ck_assert_uint_eq(mspd_fair_waiting(fair), 256);
	while (mspd_fair_waiting(fair) < mspd_fair_line(4096))
		last = stand(ALICE);
	ck_assert_ptr_nonnull(stand(BOB));
	ck_assert_ptr_eq(victim, last);
}
END_TEST

START_TEST(since_when_is_told)
{
	struct mspd_place *place;

	mspd_fair_time(fair, 5000);
	place = stand(ALICE);
	mspd_fair_time(fair, 6000);
	mspd_fair_busy(fair, place, true); /* it has no place to be busy in */
	ck_assert_uint_eq(place->since_ms, 5000);
	mspd_fair_enter(fair, place);
	ck_assert_uint_eq(place->since_ms, 6000);
	mspd_fair_time(fair, 7000);
	mspd_fair_busy(fair, place, true);
	mspd_fair_busy(fair, place, false);
	ck_assert_uint_eq(place->since_ms, 6000);
}
END_TEST

START_TEST(places_leave_descriptors_for_the_rest)
{
	uint64_t n;

	for (n = 0; n < 100000; n += 37) {
		size_t p = mspd_door_places(n, 4096);

		ck_assert_uint_ge(p, 1);
		ck_assert_uint_le(p, 4096);
		if (n >= 512 && p < 4096)
			ck_assert_uint_ge(n, mspd_door_descriptors(p));
		if (n >= 512 && p < 4096)
			ck_assert_uint_lt(n, mspd_door_descriptors(p + 1));
		if (n >= 16)
			ck_assert_uint_le(2 * p, n / 2 + n / 2);
	}
	ck_assert_uint_eq(mspd_door_places(mspd_door_descriptors(4096), 65536),
			  4096);
	ck_assert_uint_eq(mspd_door_places(20000, 65536), 8775);
	ck_assert_uint_eq(mspd_door_places(UINT64_MAX, 65536), 65536);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd fair");
	TCase *tc = tcase_create("fair");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, one_user_gets_its_share_and_no_more);
	tcase_add_test(tc, a_place_given_up_can_be_taken_again);
	tcase_add_test(tc, root_may_take_all_and_still_makes_room);
	tcase_add_test(tc, who_holds_most_loses_and_who_holds_little_keeps);
	tcase_add_test(tc, nobody_takes_from_one_that_holds_as_much);
	tcase_add_test(tc, idle_ones_go_first_and_of_these_the_longest);
	tcase_add_test(tc, busy_ones_go_when_there_are_no_others);
	tcase_add_test(tc, of_equals_the_one_with_an_idle_connection_gives);
	tcase_add_test(tc, of_equals_the_one_that_did_nothing_longest_gives);
	tcase_add_test(tc, full_means_the_same_as_no_place);
	tcase_add_test(tc, full_without_anybody_refuses);
	tcase_add_test(tc, uids_of_other_namespaces_share_what_is_one_users);
	tcase_add_test(tc, one_uid_of_a_namespace_does_not_shut_out_another);
	tcase_add_test(tc, root_of_a_namespace_is_not_exempt);
	tcase_add_test(tc, unknown_callers_are_one_owner);
	tcase_add_test(tc, a_share_is_never_nothing);
	tcase_add_test(tc, random_steps_keep_what_is_promised);
	tcase_add_test(tc, in_line_those_who_hold_least_are_first);
	tcase_add_test(tc, in_line_nobody_takes_from_one_that_holds_as_much);
	tcase_add_test(tc, what_waits_counts_to_the_share);
	tcase_add_test(tc, a_full_line_is_shortened_where_it_is_longest);
	tcase_add_test(tc, in_line_too_namespaces_share_what_is_one_users);
	tcase_add_test(tc, a_long_line_is_short_beside_the_places);
	tcase_add_test(tc, no_namespace_has_the_whole_line);
	tcase_add_test(tc, since_when_is_told);
	tcase_add_test(tc, places_leave_descriptors_for_the_rest);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
