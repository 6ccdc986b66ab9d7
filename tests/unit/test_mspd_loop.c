/* SPDX-License-Identifier: MIT */
/*
 * Timers fire in order, also when others are taken out; who unwatches in a
 * turn is not called later in it; who is not told of something yet knows.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mspd/loop.h"

#define TIMERS 200
/* More than are told in one turn. */
#define MANY 200

static struct mspd_loop *loop;

struct shot {
	struct mspd_timer timer;
	uint64_t at;
};

static uint64_t last_at;
static unsigned int fired;

static void on_shot(void *arg)
{
	struct shot *s = arg;

	ck_assert_uint_ge(s->at, last_at);
	ck_assert_uint_ge(mspd_loop_now(loop).boot_ms, s->at);
	last_at = s->at;
	fired++;
}

static void on_end(void *arg)
{
	(void)arg;
	mspd_loop_stop(loop);
}

static void setup(void)
{
	last_at = 0;
	fired = 0;
	ck_assert_int_eq(mspd_loop_new(&loop), 0);
}

static void teardown(void)
{
	mspd_loop_free(loop);
}

START_TEST(timers_fire_in_order_and_removed_ones_never)
{
	static struct shot shots[TIMERS];
	struct mspd_timer end = { .call = on_end };
	uint64_t now = mspd_loop_now(loop).boot_ms;
	unsigned int i, removed = 0;

	srand(7);
	for (i = 0; i < TIMERS; i++) {
		shots[i].timer.call = on_shot;
		shots[i].timer.arg = &shots[i];
		shots[i].at = now + (uint64_t)(rand() % 20);
		mspd_loop_timer(loop, &shots[i].timer, shots[i].at);
	}
	for (i = 0; i < TIMERS; i += 3, removed++)
		mspd_loop_timer(loop, &shots[i].timer, MSP_NEVER);
	for (i = 1; i < TIMERS; i += 3) {
		shots[i].at = now + (uint64_t)(rand() % 20);
		mspd_loop_timer(loop, &shots[i].timer, shots[i].at);
	}
	mspd_loop_timer(loop, &end, now + 40);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ck_assert_uint_eq(fired, TIMERS - removed);
}
END_TEST

START_TEST(what_is_put_off_fires_when_it_is_due_and_only_then)
{
	struct shot later = { .timer.call = on_shot };
	struct shot sooner = { .timer.call = on_shot };
	struct shot never = { .timer.call = on_shot };
	struct shot fresh = { .timer.call = on_shot };
	struct shot *all[] = { &later, &sooner, &never, &fresh };
	struct mspd_timer end = { .call = on_end };
	uint64_t now = mspd_loop_now(loop).boot_ms;
	size_t i;

	for (i = 0; i < 4; i++)
		all[i]->timer.arg = all[i];
	for (i = 0; i < 3; i++)
		mspd_loop_timer(loop, &all[i]->timer, now + 10);
	later.at = now + 30;
	sooner.at = now + 5;
	fresh.at = now + 20;
	mspd_loop_postpone(loop, &later.timer, now + 20);
	mspd_loop_postpone(loop, &later.timer, later.at);
	mspd_loop_postpone(loop, &sooner.timer, sooner.at);
	mspd_loop_postpone(loop, &never.timer, MSP_NEVER);
	mspd_loop_postpone(loop, &fresh.timer, fresh.at);
	mspd_loop_timer(loop, &end, now + 60);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ck_assert_uint_eq(fired, 3);
	ck_assert(!mspd_timer_set(&never.timer));
}
END_TEST

struct pair {
	struct mspd_watch watch;
	struct pair *other;
	unsigned int calls;
};

static void on_ready(void *arg, uint32_t events)
{
	struct pair *p = arg;

	ck_assert_uint_eq(events, EPOLLIN);
	p->calls++;
	ck_assert(!p->watch.told);
	ck_assert(p->other->watch.told); /* whose turn it is next */
	mspd_loop_unwatch(loop, &p->other->watch);
	mspd_loop_unwatch(loop, &p->watch);
	mspd_loop_stop(loop);
}

START_TEST(unwatched_in_the_same_turn_is_not_called)
{
	struct pair a = { .other = NULL }, b = { .other = &a };
	struct pair *both[2] = { &a, &b };
	int i;

	a.other = &b;
	for (i = 0; i < 2; i++) {
		both[i]->watch.fd = eventfd(1, EFD_CLOEXEC);
		both[i]->watch.call = on_ready;
		both[i]->watch.arg = both[i];
		ck_assert_int_eq(
			mspd_loop_watch(loop, &both[i]->watch, EPOLLIN), 0);
	}
	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	ck_assert(!a.watch.told && !b.watch.told);
	close(a.watch.fd);
	close(b.watch.fd);
}
END_TEST

static void on_turn(void *arg)
{
	uint64_t turn = mspd_loop_turn(loop);
	bool *known = arg;

	known[0] = mspd_loop_has_told(loop, turn);
	known[1] = mspd_loop_has_told(loop, turn - 1);
	mspd_loop_stop(loop);
}

static void be_quiet(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

START_TEST(turn_has_told_all_unless_there_was_too_much)
{
	struct mspd_watch watches[MANY] = { 0 };
	bool few[2], many[2];
	int i;

	mspd_loop_after(loop, on_turn, few);
	for (i = 0; i < MANY; i++) {
		watches[i].fd = eventfd(1, EFD_CLOEXEC);
		watches[i].call = be_quiet;
		ck_assert_int_eq(mspd_loop_watch(loop, &watches[i], EPOLLIN),
				 0);
		if (i == 0)
			ck_assert_int_eq(mspd_loop_run(loop), 0);
	}
	mspd_loop_after(loop, on_turn, many);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ck_assert(!few[0] && few[1]);
	ck_assert(!many[0] && !many[1]);
	for (i = 0; i < MANY; i++)
		close(watches[i].fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_loop");
	TCase *tc = tcase_create("loop");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, timers_fire_in_order_and_removed_ones_never);
	tcase_add_test(tc, what_is_put_off_fires_when_it_is_due_and_only_then);
	tcase_add_test(tc, unwatched_in_the_same_turn_is_not_called);
	tcase_add_test(tc, turn_has_told_all_unless_there_was_too_much);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
