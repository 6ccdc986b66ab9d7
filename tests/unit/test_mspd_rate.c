/* SPDX-License-Identifier: MIT */
/*
 * In: accounts that ask as often as they can, at times that are made up. Out:
 * how many of their requests pass. Must never look at a clock.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "mspd/fair.h"
#include "mspd/rate.h"

#define ALICE mspd_fair_key(MSPD_FAIR_USER, 1000)
#define BOB   mspd_fair_key(MSPD_FAIR_USER, 1001)
#define START 1000000

static struct mspd_rate *rate;

static void make(uint32_t per_second, uint32_t burst)
{
	static const uint32_t exempt[] = { 0, 105 };
	const struct mspd_rate_opts opts = { per_second, burst, exempt, 2 };

	mspd_rate_free(rate);
	ck_assert_int_eq(mspd_rate_new(&rate, &opts), 0);
}

static void setup(void)
{
	make(100, 20);
}

static void teardown(void)
{
	mspd_rate_free(rate);
	rate = NULL;
}

/* Of so many requests at one time. */
static unsigned int pass(uint64_t key, unsigned int times, uint64_t now)
{
	unsigned int n = 0;

	while (times--)
		n += mspd_rate_take(rate, key, now);
	return n;
}

START_TEST(rate_lets_a_burst_pass_and_then_what_time_gives)
{
	ck_assert_uint_eq(pass(ALICE, 1000, START), 20);
	ck_assert_uint_eq(pass(ALICE, 1000, START + 9), 0);
	ck_assert_uint_eq(pass(ALICE, 1000, START + 10), 1);
	ck_assert_uint_eq(pass(ALICE, 1000, START + 110), 10);
	/* no more than a bucket, however long it was */
	ck_assert_uint_eq(pass(ALICE, 1000, START + 100000), 20);
	ck_assert_uint_eq(pass(ALICE, 1000, UINT64_MAX), 20);
}
END_TEST

START_TEST(rate_counts_parts_of_a_token)
{
	uint64_t now = START;
	unsigned int n, i;

	for (i = 0, n = 0; i < 10000; i++)
		n += pass(ALICE, 3, now++);
	/* ten seconds */
	ck_assert_uint_eq(n, 20 + 999);
}
END_TEST

START_TEST(rate_gives_each_account_its_own)
{
	ck_assert_uint_eq(pass(ALICE, 1000, START), 20);
	ck_assert_uint_eq(pass(BOB, 1000, START), 20);
	ck_assert_uint_eq(pass(ALICE, 1, START), 0);
}
END_TEST

START_TEST(rate_does_not_limit_who_is_exempt)
{
	ck_assert_uint_eq(pass(mspd_fair_key(MSPD_FAIR_USER, 0), 9999, START),
			  9999);
	ck_assert_uint_eq(pass(mspd_fair_key(MSPD_FAIR_USER, 105), 9999, START),
			  9999);
	/* nor is root elsewhere root */
	ck_assert_uint_eq(pass(mspd_fair_key(MSPD_FAIR_NESTED, 0), 9999, START),
			  20);
	ck_assert_uint_eq(
		pass(mspd_fair_key(MSPD_FAIR_UNKNOWN, 0), 9999, START), 20);
}
END_TEST

START_TEST(rate_of_uids_of_a_namespace_is_that_of_one_user)
{
	unsigned int n = 0, i;

	for (i = 0; i < 1000; i++)
		n += pass(mspd_fair_key(MSPD_FAIR_NESTED, 100000 + i), 5,
			  START);
	ck_assert_uint_eq(n, 20);
}
END_TEST

START_TEST(rate_is_no_limit_at_zero)
{
	mspd_rate_free(rate);
	rate = NULL;
	ck_assert_int_eq(
		mspd_rate_new(&rate, &(struct mspd_rate_opts){ 0, 1, NULL, 0 }),
		0);
	ck_assert_uint_eq(pass(ALICE, 100000, START), 100000);
}
END_TEST

START_TEST(rate_has_one_token_at_least)
{
	make(1, 0);
	ck_assert_uint_eq(pass(ALICE, 10, START), 1);
	ck_assert_uint_eq(pass(ALICE, 10, START + 999), 0);
	ck_assert_uint_eq(pass(ALICE, 10, START + 1000), 1);
}
END_TEST

START_TEST(rate_takes_no_limit_that_would_overflow)
{
	const struct mspd_rate_opts fast = { MSPD_RATE_MAX + 1, 1, NULL, 0 };
	const struct mspd_rate_opts deep = { 1, MSPD_RATE_MAX + 1, NULL, 0 };

	mspd_rate_free(rate);
	ck_assert_int_eq(mspd_rate_new(&rate, &fast), -EINVAL);
	ck_assert_int_eq(mspd_rate_new(&rate, &deep), -EINVAL);
	make(MSPD_RATE_MAX, MSPD_RATE_MAX);
	ck_assert_uint_eq(pass(ALICE, MSPD_RATE_MAX + 1, START), MSPD_RATE_MAX);
	ck_assert_uint_eq(pass(ALICE, 1001, START + 1), 1000);
}
END_TEST

/* Who has spent a bucket does not get a new one for many others that come. */
START_TEST(rate_forgets_nobody_who_owes)
{
	unsigned int n = 0, i;

	ck_assert_uint_eq(pass(ALICE, 20, START), 20);
	for (i = 0; i < 100000; i++)
		n += pass(mspd_fair_key(MSPD_FAIR_USER, 5000 + i), 3, START);
	ck_assert_uint_eq(pass(ALICE, 1, START), 0);
	/* whoever found no bucket of theirs had one together */
	ck_assert_uint_le(n, 3 * MSPD_RATE_ACCOUNTS + 20);
	ck_assert_uint_ge(n, 3 * (MSPD_RATE_ACCOUNTS - 1));
}
END_TEST

START_TEST(rate_has_room_again_when_buckets_are_full)
{
	unsigned int n = 0, i;

	for (i = 0; i < 5000; i++)
		pass(mspd_fair_key(MSPD_FAIR_USER, 5000 + i), 20, START);
	ck_assert_uint_eq(pass(BOB, 1, START), 0);
	for (i = 0; i < MSPD_RATE_ACCOUNTS / 8; i++)
		n += pass(mspd_fair_key(MSPD_FAIR_USER, 90000 + i), 20,
			  START + 201);
	ck_assert_uint_eq(n, 20 * (MSPD_RATE_ACCOUNTS / 8));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_rate");
	TCase *tc = tcase_create("rate");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rate_lets_a_burst_pass_and_then_what_time_gives);
	tcase_add_test(tc, rate_counts_parts_of_a_token);
	tcase_add_test(tc, rate_gives_each_account_its_own);
	tcase_add_test(tc, rate_does_not_limit_who_is_exempt);
	tcase_add_test(tc, rate_of_uids_of_a_namespace_is_that_of_one_user);
	tcase_add_test(tc, rate_is_no_limit_at_zero);
	tcase_add_test(tc, rate_has_one_token_at_least);
	tcase_add_test(tc, rate_takes_no_limit_that_would_overflow);
	tcase_add_test(tc, rate_forgets_nobody_who_owes);
	tcase_add_test(tc, rate_has_room_again_when_buckets_are_full);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
