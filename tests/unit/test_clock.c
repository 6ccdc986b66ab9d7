/* SPDX-License-Identifier: MIT */
/*
 * In: the machine's clocks. Out: whether they are read in the units and from
 * the clocks that deadlines and dates are meant in.
 */
#include <check.h>
#include <time.h>

#include <msp/clock.h>

static uint64_t boot_ms(void)
{
	struct timespec t;

	ck_assert_int_eq(clock_gettime(CLOCK_BOOTTIME, &t), 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

START_TEST(clock_is_what_the_machine_says)
{
	uint64_t before = boot_ms();
	int64_t second = time(NULL);
	struct msp_time now;

	msp_clock_read(&now);
	ck_assert_uint_ge(now.boot_ms, before);
	ck_assert_uint_le(now.boot_ms, boot_ms());
	/* time() looks at a clock of its own, up to a tick behind */
	ck_assert_int_ge(now.wall_s, second);
	ck_assert_int_le(now.wall_s, time(NULL) + 1);
}
END_TEST

START_TEST(clock_goes_on)
{
	struct timespec pause = { 0, 20000000 };
	struct msp_time first, then;

	msp_clock_read(&first);
	nanosleep(&pause, NULL);
	msp_clock_read(&then);
	ck_assert_uint_ge(then.boot_ms, first.boot_ms + 19);
}
END_TEST

static Suite *clock_suite(void)
{
	Suite *s = suite_create("clock");
	TCase *tc = tcase_create("clock");

	tcase_add_test(tc, clock_is_what_the_machine_says);
	tcase_add_test(tc, clock_goes_on);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(clock_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
