/* SPDX-License-Identifier: MIT */
/*
 * In: lines, events, more than the queue holds. Out: whether what is kept is
 * whole, bounded, and only kept when somebody wants it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/event.h"

static struct mspd_events taken;

static void setup(void)
{
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_NO_LEVEL), 0);
	mspd_events_open();
}

static void teardown(void)
{
	mspd_events_clear(&taken);
	mspd_events_close();
	mspd_log_events(MSPD_NO_LEVEL);
	mspd_log_close();
}

START_TEST(event_of_nobody_is_not_kept)
{
	mspd_events_close();
	mspd_event_add(MSPD_WARN, "t", "o", "m", 1);
	mspd_log_events(MSPD_TRACE);
	mspd_log(MSPD_ERROR, "line");
	mspd_events_open();
	ck_assert_uint_eq(mspd_events_waiting(), 0);
	ck_assert_uint_eq(mspd_events_take(&taken), 0);
	ck_assert_uint_eq(taken.n, 0);
}
END_TEST

START_TEST(event_has_what_spec_says)
{
	struct mspd_event *event;
	char pid[16];

	mspd_event_add(MSPD_WARN, "poll", "key_keeper", "text", 4);
	mspd_events_take(&taken);
	event = mspd_events_pop(&taken);
	ck_assert_ptr_nonnull(event);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	ck_assert_str_eq(event->level, "WARN");
	ck_assert_str_eq(event->task, "poll");
	ck_assert_str_eq(event->operation, "key_keeper");
	ck_assert_str_eq(event->message, "text");
	ck_assert_str_eq(event->pid, pid);
	ck_assert_uint_ge(strlen(event->tid), 8);
	ck_assert_uint_eq(strlen(event->time), 23);
	free(event);
}
END_TEST

START_TEST(event_queue_is_bounded_and_drops_the_newest)
{
	struct mspd_event *event;
	char text[16];
	int i;

	for (i = 0; i < MSPD_EVENTS_MAX + 7; i++) {
		snprintf(text, sizeof(text), "%d", i);
		mspd_event_add(MSPD_INFO, "t", "o", text, strlen(text));
	}
	ck_assert_uint_eq(mspd_events_waiting(), MSPD_EVENTS_MAX);
	ck_assert_uint_eq(mspd_events_take(&taken), 7);
	ck_assert_uint_eq(taken.n, MSPD_EVENTS_MAX);
	event = mspd_events_pop(&taken);
	ck_assert_str_eq(event->message, "0");
	free(event);
	/* what has no room stays */
	mspd_event_add(MSPD_INFO, "t", "o", "a", 1);
	mspd_event_add(MSPD_INFO, "t", "o", "b", 1);
	ck_assert_uint_eq(mspd_events_take(&taken), 0);
	ck_assert_uint_eq(mspd_events_waiting(), 1);
}
END_TEST

START_TEST(event_message_is_cut_between_characters)
{
	static char text[MSPD_EVENT_MESSAGE + 8];
	struct mspd_event *event;

	memset(text, 'a', sizeof(text));
	memcpy(text + MSPD_EVENT_MESSAGE - 1, "\xe2\x82\xac", 3);
	mspd_event_add(MSPD_INFO, "t", "o", text, sizeof(text));
	mspd_events_take(&taken);
	event = mspd_events_pop(&taken);
	ck_assert_uint_eq(event->len, MSPD_EVENT_MESSAGE - 1);
	ck_assert_int_eq(event->message[event->len - 1], 'a');
	free(event);
}
END_TEST

START_TEST(event_of_a_line_by_its_level)
{
	struct mspd_event *event;

	mspd_log(MSPD_ERROR, "none yet");
	mspd_log_events(MSPD_WARN);
	mspd_log(MSPD_INFO, "not severe enough");
	ck_assert_uint_eq(mspd_events_waiting(), 0);
	mspd_log(MSPD_WARN, "line %d", 1);
	mspd_events_take(&taken);
	ck_assert_uint_eq(taken.n, 1);
	event = mspd_events_pop(&taken);
	ck_assert_str_eq(event->task, "CommonLogger");
	ck_assert_str_eq(event->operation, "ProxyAgent");
	ck_assert_str_eq(event->message, "line 1");
	free(event);
}
END_TEST

START_TEST(event_of_its_own_comes_once_and_always)
{
	struct mspd_event *event;

	mspd_log_event(MSPD_INFO, "task", "module", "a%s", "b");
	mspd_log_events(MSPD_TRACE);
	mspd_log_event(MSPD_INFO, "task", "module", "c");
	mspd_events_take(&taken);
	ck_assert_uint_eq(taken.n, 2);
	event = mspd_events_pop(&taken);
	ck_assert_str_eq(event->task, "task");
	ck_assert_str_eq(event->operation, "module");
	ck_assert_str_eq(event->level, "INFO");
	ck_assert_str_eq(event->message, "ab");
	free(event);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_event");
	TCase *tc = tcase_create("event");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, event_of_nobody_is_not_kept);
	tcase_add_test(tc, event_has_what_spec_says);
	tcase_add_test(tc, event_queue_is_bounded_and_drops_the_newest);
	tcase_add_test(tc, event_message_is_cut_between_characters);
	tcase_add_test(tc, event_of_a_line_by_its_level);
	tcase_add_test(tc, event_of_its_own_comes_once_and_always);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
