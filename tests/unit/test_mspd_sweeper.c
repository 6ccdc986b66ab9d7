/* SPDX-License-Identifier: MIT */
/*
 * In: endpoints that are switched, time that passes, a kernel that finds what
 * the test says. Out: whether it is asked at the right times, told to reset
 * only where the endpoint enforces, and counted right.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "mspd/log.h"
#include "mspd/sweeper.h"

#define IMDS MSP_ENDPOINT_IMDS
#define WS   MSP_ENDPOINT_WIRESERVER

struct kernel {
	uint32_t bypassing[MSP_ENDPOINTS];
	bool cannot_destroy;
	int fail;
	int questions;
	int asked[MSP_ENDPOINTS];
	unsigned int flags[MSP_ENDPOINTS]; /* of the last question */
};

static struct kernel kernel;
static struct mspd_sweeper sweeper;

static void sweep_one(struct kernel *k, size_t endpoint, unsigned int flags,
		      struct msp_redirect_swept *out)
{
	ck_assert_uint_eq(out->size, sizeof(*out));
	k->asked[endpoint]++;
	k->flags[endpoint] = flags;
	out->found = k->fail ? 0 : k->bypassing[endpoint];
	out->destroyed = 0;
	if (flags & MSP_SWEEP_DESTROY && !k->cannot_destroy && !k->fail) {
		out->destroyed = out->found;
		k->bypassing[endpoint] = 0;
	}
	out->left = out->found - out->destroyed;
}

static int sweep(void *arg, const unsigned int *flags,
		 struct msp_redirect_swept *const *out, size_t count,
		 struct msp_error_info *info)
{
	struct kernel *k = arg;
	size_t i;

	(void)info;
	ck_assert_uint_eq(count, MSP_ENDPOINTS);
	k->questions++;
	for (i = 0; i < count; i++)
		if (out[i])
			sweep_one(k, i, flags[i], out[i]);
	return k->fail;
}

static void setup(void)
{
	/* what is found is logged; not into the output of the tests */
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	memset(&kernel, 0, sizeof(kernel));
	mspd_sweeper_init(&sweeper, sweep, &kernel, 60000);
}

static void teardown(void)
{
	mspd_log_close();
}

static void check_counts(uint64_t found, uint64_t destroyed, uint64_t left)
{
	struct mspd_sweeper_counts n;

	mspd_sweeper_count(&sweeper, &n);
	ck_assert_uint_eq(n.found, found);
	ck_assert_uint_eq(n.destroyed, destroyed);
	ck_assert_uint_eq(n.left, left);
}

START_TEST(nothing_is_looked_for_while_all_are_off)
{
	ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), MSP_NEVER);
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_OFF, 100);
	ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), MSP_NEVER);
	ck_assert(!mspd_sweeper_run(&sweeper, 1000000));
	ck_assert_int_eq(kernel.asked[IMDS], 0);
	check_counts(0, 0, 0);
}
END_TEST

static const enum msp_redirect_state on[] = { MSP_REDIRECT_AUDIT,
					      MSP_REDIRECT_ENFORCE };

START_TEST(looks_come_at_once_and_later_and_then_steadily)
{
	/* since the switch at 1,000 ms, if each comes in time */
	static const uint64_t times[] = { 1000, 2000, 6000, 66000, 126000 };
	size_t i;

	mspd_sweeper_set(&sweeper, IMDS, on[_i], 1000);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), times[i]);
		mspd_sweeper_run(&sweeper, times[i] - 1);
		ck_assert_int_eq(kernel.asked[IMDS], (int)i);
		mspd_sweeper_run(&sweeper, times[i]);
		ck_assert_int_eq(kernel.asked[IMDS], (int)i + 1);
		/* said again, it is no switch */
		mspd_sweeper_set(&sweeper, IMDS, on[_i], times[i]);
	}
	ck_assert_int_eq(kernel.asked[WS], 0);
}
END_TEST

START_TEST(looks_begin_again_after_a_gap)
{
	static const uint64_t times[] = { 500, 1500, 5500, 65500 };
	size_t i;

	mspd_sweeper_again(&sweeper, 0);
	ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), MSP_NEVER);
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	mspd_sweeper_run(&sweeper, 0);
	mspd_sweeper_again(&sweeper, times[0]);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), times[i]);
		mspd_sweeper_run(&sweeper, times[i]);
	}
	ck_assert_int_eq(kernel.asked[IMDS], 5);
	ck_assert_int_eq(kernel.asked[WS], 0);
}
END_TEST

START_TEST(only_enforce_resets)
{
	kernel.bypassing[IMDS] = 3;
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_AUDIT, 0);
	ck_assert(mspd_sweeper_run(&sweeper, 0));
	ck_assert_uint_eq(kernel.flags[IMDS], 0);
	check_counts(3, 0, 3);
	/* the same three */
	ck_assert(!mspd_sweeper_run(&sweeper, 1000));
	check_counts(3, 0, 3);
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 1500);
	ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), 1500);
	ck_assert(mspd_sweeper_run(&sweeper, 1500));
	ck_assert_uint_eq(kernel.flags[IMDS], MSP_SWEEP_DESTROY);
	check_counts(3, 3, 0);
	ck_assert(!mspd_sweeper_run(&sweeper, 2500));
	check_counts(3, 3, 0);
}
END_TEST

START_TEST(counts_are_of_all_endpoints)
{
	kernel.bypassing[IMDS] = 2;
	kernel.bypassing[WS] = 5;
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	mspd_sweeper_set(&sweeper, WS, MSP_REDIRECT_AUDIT, 0);
	mspd_sweeper_run(&sweeper, 0);
	ck_assert_uint_eq(kernel.flags[IMDS], MSP_SWEEP_DESTROY);
	ck_assert_uint_eq(kernel.flags[WS], 0);
	check_counts(7, 2, 5);
	kernel.bypassing[IMDS] = 1; /* a connect() that was under way */
	kernel.bypassing[WS] = 4;   /* one has ended */
	mspd_sweeper_run(&sweeper, 1000);
	check_counts(7, 3, 4);
	mspd_sweeper_set(&sweeper, WS, MSP_REDIRECT_OFF, 2000);
	check_counts(7, 3, 0);
	mspd_sweeper_run(&sweeper, 100000);
	ck_assert_int_eq(kernel.asked[WS], 2);
}
END_TEST

START_TEST(what_the_kernel_cannot_reset_is_left)
{
	kernel.bypassing[IMDS] = 2;
	kernel.cannot_destroy = true;
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	ck_assert(mspd_sweeper_run(&sweeper, 0));
	check_counts(2, 0, 2);
	ck_assert(!mspd_sweeper_run(&sweeper, 1000));
}
END_TEST

START_TEST(failure_is_shown_until_it_works_again)
{
	struct mspd_sweeper_counts n;

	kernel.bypassing[IMDS] = 2;
	kernel.fail = MSP_ERR_SYS;
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	ck_assert(!mspd_sweeper_run(&sweeper, 0));
	mspd_sweeper_count(&sweeper, &n);
	ck_assert(n.failing);
	check_counts(0, 0, 0);
	ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), 1000);
	kernel.fail = 0;
	ck_assert(mspd_sweeper_run(&sweeper, 1000));
	mspd_sweeper_count(&sweeper, &n);
	ck_assert(!n.failing);
	check_counts(2, 2, 0);
}
END_TEST

static bool failing(void)
{
	struct mspd_sweeper_counts n;

	mspd_sweeper_count(&sweeper, &n);
	return n.failing;
}

/* It ends with the last endpoint that is on, not with the first. */
START_TEST(failure_ends_when_nothing_is_looked_for)
{
	kernel.fail = MSP_ERR_SYS;
	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	mspd_sweeper_set(&sweeper, WS, MSP_REDIRECT_ENFORCE, 0);
	mspd_sweeper_run(&sweeper, 0);
	ck_assert(failing());
	mspd_sweeper_set(&sweeper, _i ? IMDS : WS, MSP_REDIRECT_OFF, 500);
	ck_assert(failing());
	mspd_sweeper_set(&sweeper, _i ? WS : IMDS, MSP_REDIRECT_OFF, 500);
	ck_assert(!failing());
}
END_TEST

/* The kernel's answer costs the same for one endpoint and for all. */
START_TEST(one_question_is_about_all_endpoints)
{
	/* IMDS switched at 0, WireServer at 700 ms */
	static const uint64_t times[] = { 0,	700,  1000,  1700,
					  5000, 5700, 65700, 125700 };
	size_t i;

	mspd_sweeper_set(&sweeper, IMDS, MSP_REDIRECT_ENFORCE, 0);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (times[i] == 700)
			mspd_sweeper_set(&sweeper, WS, MSP_REDIRECT_AUDIT, 700);
		ck_assert_uint_eq(mspd_sweeper_deadline(&sweeper), times[i]);
		mspd_sweeper_run(&sweeper, times[i]);
		ck_assert_int_eq(kernel.questions, (int)i + 1);
		ck_assert_int_eq(kernel.asked[IMDS], (int)i + 1);
		ck_assert_int_eq(kernel.asked[WS], (int)i);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_sweeper");
	TCase *tc = tcase_create("sweeper");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_looked_for_while_all_are_off);
	tcase_add_loop_test(tc, looks_come_at_once_and_later_and_then_steadily,
			    0, 2);
	tcase_add_test(tc, looks_begin_again_after_a_gap);
	tcase_add_test(tc, only_enforce_resets);
	tcase_add_test(tc, counts_are_of_all_endpoints);
	tcase_add_test(tc, what_the_kernel_cannot_reset_is_left);
	tcase_add_test(tc, failure_is_shown_until_it_works_again);
	tcase_add_loop_test(tc, failure_ends_when_nothing_is_looked_for, 0, 2);
	tcase_add_test(tc, one_question_is_about_all_endpoints);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
