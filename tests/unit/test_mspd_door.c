/* SPDX-License-Identifier: MIT */
/*
 * In: connections that come while there are descriptors, and when there are
 * none left. Out: who is taken in, and whose connection is closed for it.
 * Must never use up the descriptors of anything but this process.
 */
#include <arpa/inet.h>
#include <check.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/door.h"
#include "mspd/log.h"

#define FILES	 64
#define MOST	 7 /* holds some connections */
#define SOMEBODY 8 /* holds none */
#define HELD	 3

static struct mspd_loop *loop;
static struct mspd_door *door;
static struct sockaddr_in at;
static int listener;
static size_t n_places = FILES;
static uint64_t comes; /* whose the next connections are */
static struct {
	struct mspd_place place;
	int fd;
} taken[FILES];
static size_t n_taken, n_entered, n_evicted;

static void take(void *arg, int fd, const struct sockaddr_in *from, bool spoken)
{
	(void)arg;
	(void)from;
	(void)spoken;
	taken[n_taken].fd = fd;
	if (mspd_door_admit(door, &taken[n_taken].place, comes))
		n_taken++;
	else
		close(fd);
}

static void enter(void *arg, struct mspd_place *place)
{
	(void)arg;
	ck_assert(!place->waiting);
	n_entered++;
}

static void evict(void *arg, struct mspd_place *place)
{
	size_t i;

	(void)arg;
	for (i = 0; i < n_taken; i++)
		if (&taken[i].place == place)
			close(taken[i].fd);
	n_evicted++;
}

static const struct mspd_door_ops ops = {
	.take = take,
	.enter = enter,
	.evict = evict,
};

static void setup(void)
{
	const struct rlimit few = { FILES, FILES };
	socklen_t len = sizeof(at);

	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listener, FILES), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len),
			 0);
	ck_assert_int_eq(mspd_loop_new(&loop), 0);
	ck_assert_int_eq(
		mspd_door_new(&door, loop, n_places, FILES, &ops, NULL), 0);
	ck_assert_int_eq(mspd_door_open(door, listener), 0);
}

static void teardown(void)
{
	size_t i;

	for (i = 0; i < n_taken; i++)
		mspd_door_leave(door, &taken[i].place);
	mspd_door_free(door);
	mspd_loop_free(loop);
	mspd_log_close();
}

static void stop(void *arg)
{
	(void)arg;
	mspd_loop_stop(loop);
}

static void run_ms(unsigned int ms)
{
	struct mspd_timer timer = { .call = stop };

	mspd_loop_timer(loop, &timer, mspd_loop_now(loop).boot_ms + ms);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
}

static void turn(void)
{
	run_ms(20);
}

static int reach(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* Some connections of one user, one more that waits, no descriptor left. */
static struct mspd_door_counts come_when_full(uint64_t key)
{
	struct mspd_door_counts counts;
	int i;

	comes = MOST;
	for (i = 0; i < HELD; i++)
		reach();
	turn();
	ck_assert_uint_eq(n_taken, HELD);
	reach();
	while (dup(listener) >= 0)
		;
	comes = key;
	turn();
	mspd_door_count(door, &counts);
	return counts;
}

START_TEST(descriptors_gone_somebody_gets_in_for_who_holds_most)
{
	struct mspd_door_counts n = come_when_full(SOMEBODY);

	ck_assert_uint_eq(n_taken, HELD + 1);
	ck_assert_uint_eq(n.admitted, HELD + 1);
	ck_assert_uint_eq(n_evicted, 1);
	ck_assert_uint_eq(n.evicted, 1);
	ck_assert_ptr_null(taken[0].place.owner);
	ck_assert_ptr_nonnull(taken[HELD].place.owner);
}
END_TEST

START_TEST(descriptors_gone_who_holds_most_gets_no_more)
{
	struct mspd_door_counts n = come_when_full(MOST);

	ck_assert_uint_eq(n_taken, HELD);
	ck_assert_uint_eq(n_evicted, 0);
	ck_assert_uint_eq(n.refused_full, 1);
}
END_TEST

START_TEST(who_left_without_a_word_is_not_taken_in)
{
	struct mspd_door_counts n;

	comes = SOMEBODY;
	close(reach());
	turn();
	mspd_door_count(door, &n);
	ck_assert_uint_eq(n.vanished, 1);
	ck_assert_uint_eq(n_taken, 0);
}
END_TEST

static void setup_few(void)
{
	n_places = HELD;
	setup();
}

/* All places are held by one, and somebody else comes. */
static void come_to_few(void)
{
	int i;

	comes = MOST;
	for (i = 0; i < HELD; i++)
		reach();
	turn();
	comes = SOMEBODY;
	reach();
	turn();
	ck_assert_uint_eq(n_taken, HELD + 1);
	ck_assert(taken[HELD].place.waiting);
}

START_TEST(a_place_just_taken_is_not_given_away)
{
	come_to_few();
	ck_assert_uint_eq(n_evicted, 0);
	ck_assert_uint_eq(n_entered, 0);
	mspd_door_leave(door, &taken[1].place);
	turn();
	ck_assert_uint_eq(n_entered, 1);
	ck_assert_uint_eq(n_evicted, 0);
	ck_assert(!taken[HELD].place.waiting);
}
END_TEST

START_TEST(a_place_held_long_is_given_to_who_waits)
{
	come_to_few();
	mspd_door_busy(door, &taken[0].place, true);
	run_ms(MSPD_DOOR_IDLE_MS + 300);
	ck_assert_uint_eq(n_evicted, 1);
	ck_assert_ptr_null(taken[1].place.owner); /* the idle one */
	ck_assert_uint_eq(n_entered, 1);
	ck_assert(!taken[HELD].place.waiting);
}
END_TEST

static struct mspd_timer asks;

/* A request on every connection, over at once, again and again. */
static void ask_often(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < HELD; i++) {
		mspd_door_busy(door, &taken[i].place, true);
		mspd_door_busy(door, &taken[i].place, false);
	}
	mspd_loop_timer(loop, &asks, mspd_loop_now(loop).boot_ms + 100);
}

START_TEST(who_asks_often_keeps_no_place_for_it)
{
	come_to_few();
	asks.call = ask_often;
	ask_often(NULL);
	run_ms(MSPD_DOOR_IDLE_MS + 300);
	ck_assert_uint_eq(n_evicted, 1);
	ck_assert_uint_eq(n_entered, 1);
	ck_assert(!taken[HELD].place.waiting);
}
END_TEST

START_TEST(who_waits_is_sent_away_when_the_door_shuts)
{
	struct mspd_door_counts n;

	come_to_few();
	mspd_door_shut(door);
	mspd_door_count(door, &n);
	ck_assert_uint_eq(n.refused_full, 1);
	ck_assert_uint_eq(n.evicted, 0);
	ck_assert_uint_eq(n_evicted, 1);
	ck_assert_ptr_null(taken[HELD].place.owner);
	ck_assert_ptr_nonnull(taken[0].place.owner);
}
END_TEST

START_TEST(who_gives_up_waiting_is_counted)
{
	struct mspd_door_counts n;

	come_to_few();
	mspd_door_leave(door, &taken[HELD].place);
	mspd_door_count(door, &n);
	ck_assert_uint_eq(n.refused_full, 1);
	run_ms(MSPD_DOOR_IDLE_MS + 300);
	ck_assert_uint_eq(n_evicted, 0);
	ck_assert_uint_eq(n_entered, 0);
}
END_TEST

#define MANY (4 * MSPD_DOOR_TURN)

static struct mspd_place crowd[2 * MANY];
static size_t most_in_a_turn;

static void after_turn(void *arg)
{
	static size_t before;

	(void)arg;
	if (n_evicted - before > most_in_a_turn)
		most_in_a_turn = n_evicted - before;
	before = n_evicted;
}

static void setup_many(void)
{
	n_places = MANY;
	setup();
}

/* What is closed counts until the turn ends; whoever enters when there is no
 * room for both would be closed too. */
START_TEST(few_are_closed_at_a_time)
{
	const uint64_t root = mspd_fair_key(MSPD_FAIR_USER, 0);
	size_t i;

	mspd_loop_after(loop, after_turn, NULL);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(mspd_door_admit(door, &crowd[i], root),
				 MSPD_DOOR_IN);
	for (; i < 2 * MANY; i++)
		mspd_door_admit(door, &crowd[i],
				mspd_fair_key(MSPD_FAIR_USER,
					      SOMEBODY + (uint32_t)i / FILES));
	run_ms(MSPD_DOOR_IDLE_MS + 300);
	ck_assert_uint_gt(n_evicted, 2 * MSPD_DOOR_TURN);
	ck_assert_uint_eq(n_entered, n_evicted);
	ck_assert_uint_le(most_in_a_turn, MSPD_DOOR_TURN);
	for (i = 0; i < 2 * MANY; i++)
		mspd_door_leave(door, &crowd[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_door");
	TCase *tc = tcase_create("door");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc,
		       descriptors_gone_somebody_gets_in_for_who_holds_most);
	tcase_add_test(tc, descriptors_gone_who_holds_most_gets_no_more);
	tcase_add_test(tc, who_left_without_a_word_is_not_taken_in);
	suite_add_tcase(s, tc);
	tc = tcase_create("line");
	tcase_add_checked_fixture(tc, setup_few, teardown);
	tcase_add_test(tc, a_place_just_taken_is_not_given_away);
	tcase_add_test(tc, a_place_held_long_is_given_to_who_waits);
	tcase_add_test(tc, who_asks_often_keeps_no_place_for_it);
	tcase_add_test(tc, who_waits_is_sent_away_when_the_door_shuts);
	tcase_add_test(tc, who_gives_up_waiting_is_counted);
	suite_add_tcase(s, tc);
	tc = tcase_create("crowd");
	tcase_add_checked_fixture(tc, setup_many, teardown);
	tcase_add_test(tc, few_are_closed_at_a_time);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
