/* SPDX-License-Identifier: MIT */
/*
 * In: switches that fail for a while. Out: whether what was wanted is what is
 * done in the end, and nothing is reported before. Must never need a kernel
 * that can redirect.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/switches.h"
#include "tests/lib/failalloc.h"

struct kernel {
	enum msp_redirect_state state[MSP_ENDPOINTS];
	bool broken[MSP_ENDPOINTS];
	unsigned int calls;
};

static int set(void *arg, enum msp_endpoint endpoint,
	       enum msp_redirect_state state)
{
	struct kernel *kernel = arg;

	kernel->calls++;
	if (kernel->broken[endpoint])
		return MSP_ERR_SYS;
	kernel->state[endpoint] = state;
	return 0;
}

static struct kernel kernel;
static struct mspd_switches switches;

static void setup(void)
{
	memset(&kernel, 0, sizeof(kernel));
	mspd_switches_init(&switches, set, &kernel, 4000);
}

START_TEST(wanted_is_done_once)
{
	ck_assert(!mspd_switches_run(&switches, 5));
	ck_assert_uint_eq(mspd_switches_deadline(&switches), MSP_NEVER);
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE,
			   7);
	ck_assert_uint_eq(mspd_switches_deadline(&switches), 7);
	ck_assert(mspd_switches_run(&switches, 7));
	ck_assert_int_eq(kernel.state[MSP_ENDPOINT_IMDS], MSP_REDIRECT_ENFORCE);
	ck_assert_int_eq(mspd_switches_is(&switches, MSP_ENDPOINT_IMDS),
			 MSP_REDIRECT_ENFORCE);
	ck_assert(!mspd_switches_run(&switches, 8));
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE,
			   9);
	ck_assert(!mspd_switches_run(&switches, 9));
	ck_assert_uint_eq(kernel.calls, 1);
}
END_TEST

START_TEST(failed_switch_is_tried_again_and_not_reported_as_made)
{
	enum msp_endpoint which = MSP_ENDPOINT_WIRESERVER;
	uint64_t now = 100, wait = 0;
	int i;

	kernel.broken[MSP_ENDPOINT_IMDS] = true;
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_AUDIT,
			   now);
	mspd_switches_want(&switches, MSP_ENDPOINT_HOSTGA, MSP_REDIRECT_ENFORCE,
			   now);
	ck_assert(mspd_switches_run(&switches, now));
	/* the others are not kept waiting */
	ck_assert_int_eq(kernel.state[MSP_ENDPOINT_HOSTGA],
			 MSP_REDIRECT_ENFORCE);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(mspd_switches_is(&switches, MSP_ENDPOINT_IMDS),
				 MSP_REDIRECT_OFF);
		ck_assert(mspd_switches_failing(&switches, &which));
		ck_assert_int_eq(which, MSP_ENDPOINT_IMDS);
		/* later each time, but for ever */
		ck_assert_uint_ge(mspd_switches_deadline(&switches) - now,
				  wait);
		wait = mspd_switches_deadline(&switches) - now;
		ck_assert_uint_le(wait, 4000);
		ck_assert(!mspd_switches_run(&switches, now + wait - 1));
		now += wait;
		ck_assert(!mspd_switches_run(&switches, now));
	}
	ck_assert_uint_eq(kernel.calls, 22);
	kernel.broken[MSP_ENDPOINT_IMDS] = false;
	now = mspd_switches_deadline(&switches);
	ck_assert(mspd_switches_run(&switches, now));
	ck_assert(!mspd_switches_failing(&switches, &which));
	ck_assert_int_eq(kernel.state[MSP_ENDPOINT_IMDS], MSP_REDIRECT_AUDIT);
	ck_assert_uint_eq(mspd_switches_deadline(&switches), MSP_NEVER);
}
END_TEST

START_TEST(wish_that_is_taken_back_ends_the_failure)
{
	kernel.broken[MSP_ENDPOINT_IMDS] = true;
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_AUDIT, 1);
	ck_assert(mspd_switches_run(&switches, 1));
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_OFF, 2);
	ck_assert(mspd_switches_run(&switches, 2));
	ck_assert(!mspd_switches_failing(&switches, NULL));
	ck_assert_uint_eq(kernel.calls, 1);
	ck_assert_uint_eq(mspd_switches_deadline(&switches), MSP_NEVER);
}
END_TEST

START_TEST(new_wish_does_not_wait_for_the_next_try)
{
	kernel.broken[MSP_ENDPOINT_IMDS] = true;
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_AUDIT, 1);
	ck_assert(mspd_switches_run(&switches, 1));
	kernel.broken[MSP_ENDPOINT_IMDS] = false;
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE,
			   2);
	ck_assert(mspd_switches_run(&switches, 2));
	ck_assert_int_eq(kernel.state[MSP_ENDPOINT_IMDS], MSP_REDIRECT_ENFORCE);
}
END_TEST

/* What the library says without a redirector is a failure as well. */
START_TEST(nothing_is_switched_without_a_redirector)
{
	mspd_switches_init(&switches, NULL, NULL, 4000);
	mspd_switches_want(&switches, MSP_ENDPOINT_IMDS, MSP_REDIRECT_AUDIT, 1);
	ck_assert(mspd_switches_run(&switches, 1));
	ck_assert(mspd_switches_failing(&switches, NULL));
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_switches");
	TCase *tc = tcase_create("switches");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, wanted_is_done_once);
	tcase_add_test(tc,
		       failed_switch_is_tried_again_and_not_reported_as_made);
	tcase_add_test(tc, wish_that_is_taken_back_ends_the_failure);
	tcase_add_test(tc, new_wish_does_not_wait_for_the_next_try);
	tcase_add_test(tc, nothing_is_switched_without_a_redirector);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
