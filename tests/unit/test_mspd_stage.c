/* SPDX-License-Identifier: MIT */
/*
 * In: a keeper and a loop, each a thread. Out: whether the listener changes
 * hands, and neither waits for the other for ever.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "mspd/log.h"
#include "mspd/stage.h"

#define FOREVER 3600000 /* the test would be killed */

static struct mspd_stages stages;

static void setup(void)
{
	ck_assert_int_eq(mspd_stages_open(&stages), 0);
}

static void teardown(void)
{
	mspd_stages_close(&stages);
}

static bool is_readable(int wait_ms)
{
	struct pollfd fd = { .fd = stages.fd, .events = POLLIN };

	return poll(&fd, 1, wait_ms) == 1;
}

START_TEST(stage_is_told_once)
{
	ck_assert(!is_readable(0));
	ck_assert_int_eq(mspd_stages_get(&stages), MSPD_STAGE_DOWN);
	mspd_stages_enter(&stages, MSPD_STAGE_LISTENING);
	mspd_stages_enter(&stages, MSPD_STAGE_UP);
	ck_assert(is_readable(0));
	ck_assert_int_eq(mspd_stages_get(&stages), MSPD_STAGE_UP);
	ck_assert(!is_readable(0));
}
END_TEST

static void *let_go_when_asked(void *arg)
{
	(void)arg;
	while (is_readable(-1) &&
	       mspd_stages_get(&stages) != MSPD_STAGE_PROVING)
		;
	mspd_stages_let_go(&stages);
	return NULL;
}

START_TEST(stage_proving_begins_when_the_loop_lets_go)
{
	pthread_t loop;

	/* for nothing that was asked */
	mspd_stages_let_go(&stages);
	ck_assert_int_eq(pthread_create(&loop, NULL, let_go_when_asked, NULL),
			 0);
	ck_assert(mspd_stages_prove(&stages, FOREVER));
	pthread_join(loop, NULL);
	ck_assert_int_eq(mspd_stages_get(&stages), MSPD_STAGE_PROVING);
	/* it holds for one proof only */
	mspd_stages_enter(&stages, MSPD_STAGE_LISTENING);
	ck_assert(!mspd_stages_prove(&stages, 1));
	ck_assert_int_eq(mspd_stages_get(&stages), MSPD_STAGE_LISTENING);
}
END_TEST

static void *stop(void *arg)
{
	(void)arg;
	if (is_readable(-1))
		mspd_stages_stop(&stages);
	return NULL;
}

START_TEST(stage_does_not_wait_for_a_loop_that_stops)
{
	pthread_t loop;

	ck_assert_int_eq(pthread_create(&loop, NULL, stop, NULL), 0);
	ck_assert(!mspd_stages_prove(&stages, FOREVER));
	pthread_join(loop, NULL);
	ck_assert(!mspd_stages_prove(&stages, FOREVER));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("mspd_stage");
	TCase *tc = tcase_create("stage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, stage_is_told_once);
	tcase_add_test(tc, stage_proving_begins_when_the_loop_lets_go);
	tcase_add_test(tc, stage_does_not_wait_for_a_loop_that_stops);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(make_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
