/* SPDX-License-Identifier: MIT */
/*
 * In: questions to a user database that answers, hangs, or changes. Out:
 * whether each is asked once, and those that hang hold up no others.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mspd/resolver.h"
#include "tests/lib/scratch.h"
#include "tests/lib/threads.h"

/* What the database does: uids from here on hang until the gate is open. */
#define HANGS 5000
#define LOCAL 1000 /* and below: in the passwd file */

struct asker {
	struct mspd_ask ask;
	int answers;
	char name[32];
};

static struct mspd_loop *loop;
static struct mspd_resolver *resolver;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static int asked, hanging, most_hanging;
static int wanted; /* answers until the loop is to stop */

static struct mspd_names *resolve(const struct mspd_names_key *key)
{
	struct mspd_names *names = calloc(1, sizeof(*names));
	struct timespec now;
	char text[32];

	pthread_mutex_lock(&lock);
	asked++;
	hanging++;
	if (hanging > most_hanging)
		most_hanging = hanging;
	pthread_cond_broadcast(&changed);
	while (key->uid >= HANGS && !open_gate)
		pthread_cond_wait(&changed, &lock);
	hanging--;
	pthread_mutex_unlock(&lock);
	clock_gettime(CLOCK_BOOTTIME, &now);
	snprintf(text, sizeof(text), "user%u%s", key->uid,
		 key->user_only ? "" : "+");
	names->key = *key;
	names->complete = true;
	names->user_name = strdup(text);
	names->started_ms =
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	atomic_init(&names->owners, 1);
	return names;
}

static void wait_for_questions(int n)
{
	pthread_mutex_lock(&lock);
	while (asked < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void release(void)
{
	pthread_mutex_lock(&lock);
	open_gate = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void write_passwd(uint32_t last)
{
	char text[65536];
	size_t n = 0;
	uint32_t uid;

	n += (size_t)snprintf(text, sizeof(text), "# people\n+@all\n");
	for (uid = last + 1; uid-- > 0;)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "u%u:x:%u:0::/:/bin/sh\n", uid, uid);
	n += (size_t)snprintf(text + n, sizeof(text) - n,
			      "bad:x:9000x:0:::\nworse:x\n");
	scratch_write("passwd", text, n);
}

static void setup(void)
{
	struct mspd_resolver_opts opts = { .resolve = resolve };

	threads_begin();
	scratch_make();
	write_passwd(LOCAL);
	scratch_write("group", "a", 1);
	ck_assert_int_eq(mspd_loop_new(&loop), 0);
	opts.loop = loop;
	opts.passwd_path = scratch_path("passwd");
	opts.group_path = scratch_path("group");
	ck_assert_int_eq(mspd_resolver_new(&resolver, &opts), 0);
}

/* Detached threads end a little later than their pool. */
static void wait_for_threads(void)
{
	while (threads_now() > 1)
		usleep(1000);
}

static void teardown(void)
{
	release();
	mspd_resolver_free(resolver, 5000);
	mspd_loop_free(loop);
	scratch_remove();
	wait_for_threads();
}

static void answered(void *arg, struct mspd_names *names)
{
	struct asker *asker = arg;

	ck_assert_ptr_null(asker->ask.flight);
	asker->answers++;
	ck_assert_ptr_nonnull(names);
	snprintf(asker->name, sizeof(asker->name), "%s", names->user_name);
	if (--wanted == 0)
		mspd_loop_stop(loop);
}

static struct mspd_names_key key_of(uint32_t uid)
{
	struct mspd_names_key key = { .uid = uid, .n_gids = 1 };

	return key;
}

static int ask_key(struct asker *asker, struct mspd_names_key key)
{
	asker->ask.done = answered;
	asker->ask.arg = asker;
	return mspd_resolver_ask(resolver, &key, &asker->ask);
}

static void ask(struct asker *asker, uint32_t uid)
{
	ck_assert_int_eq(ask_key(asker, key_of(uid)), 0);
}

/* If they never come, the test takes too long and is ended. */
static void wait_for_answers(int n)
{
	wanted = n;
	ck_assert_int_eq(mspd_loop_run(loop), 0);
}

START_TEST(resolver_asks_and_remembers)
{
	struct mspd_names_key key = key_of(7);
	struct asker asker = { .answers = 0 };
	struct mspd_names *names;

	ck_assert_ptr_null(mspd_resolver_get(resolver, &key));
	ask(&asker, 7);
	wait_for_answers(1);
	ck_assert_str_eq(asker.name, "user7+");
	names = mspd_resolver_get(resolver, &key);
	ck_assert_ptr_nonnull(names);
	ck_assert(mspd_resolver_fresh(resolver, names));
	mspd_names_free(names);
	ck_assert_int_eq(asked, 1);
}
END_TEST

START_TEST(resolver_asks_once_however_many_wait)
{
	struct asker askers[50] = { 0 };
	size_t i;

	for (i = 0; i < 50; i++)
		ask(&askers[i], HANGS);
	wait_for_questions(1);
	ck_assert_uint_eq(askers[49].ask.since_ms, askers[0].ask.since_ms);
	release();
	wait_for_answers(50);
	ck_assert_int_eq(asked, 1);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(askers[i].answers, 1);
}
END_TEST

START_TEST(resolver_answers_nobody_who_has_left)
{
	struct asker askers[3] = { 0 };

	ask(&askers[0], HANGS);
	ask(&askers[1], HANGS);
	ask(&askers[2], HANGS);
	wait_for_questions(1);
	mspd_resolver_leave(resolver, &askers[1].ask);
	mspd_resolver_leave(resolver, &askers[1].ask);
	release();
	wait_for_answers(2);
	ck_assert_int_eq(askers[0].answers, 1);
	ck_assert_int_eq(askers[1].answers, 0);
	ck_assert_int_eq(askers[2].answers, 1);
}
END_TEST

/* 65,536 subordinate uids must not cost a local user anything. */
START_TEST(resolver_keeps_threads_for_local_users)
{
	static struct asker others[200];
	struct asker local[3] = { 0 };
	struct asker user = { .answers = 0 };
	struct mspd_names_key key = { .uid = 8, .user_only = true };
	uint32_t i;

	for (i = 0; i < 200; i++)
		ask(&others[i], HANGS + i);
	wait_for_questions(MSPD_RESOLVER_THREADS);
	for (i = 0; i < 3; i++) {
		ask(&local[i], i * LOCAL / 2); /* 0, 500, 1000 */
		wait_for_answers(1);
		ck_assert_int_eq(local[i].answers, 1);
	}
	ck_assert_int_eq(ask_key(&user, key), 0);
	wait_for_answers(1);
	ck_assert_str_eq(user.name, "user8");
	ck_assert_int_eq(asked, MSPD_RESOLVER_THREADS + 4);
	for (i = 0; i < 200; i++)
		ck_assert_int_eq(others[i].answers, 0);
	release();
	wait_for_answers(200);
	ck_assert_int_eq(most_hanging, MSPD_RESOLVER_THREADS + 1);
}
END_TEST

/* The user's name is known while the source of groups hangs. */
START_TEST(resolver_keeps_threads_for_questions_about_the_user)
{
	static struct asker others[40];
	struct mspd_names_key key = { .uid = HANGS, .user_only = true };
	struct asker user = { .answers = 0 };
	uint32_t i;

	for (i = 0; i < 40; i++)
		ask(&others[i], HANGS + i);
	wait_for_questions(MSPD_RESOLVER_THREADS);
	ck_assert_int_eq(ask_key(&user, key), 0);
	wait_for_questions(MSPD_RESOLVER_THREADS + 1);
	release();
	wait_for_answers(41);
}
END_TEST

/* One user can have as many sets of groups as it likes. */
START_TEST(resolver_gives_one_uid_few_threads)
{
	static struct asker hung[60];
	struct asker other = { .answers = 0 };
	struct mspd_names_key key = key_of(HANGS);
	uint32_t i;

	for (i = 0; i < 60; i++) {
		key.gids[0] = i;
		ck_assert_int_eq(ask_key(&hung[i], key), 0);
	}
	wait_for_questions(MSPD_RESOLVER_PER_UID);
	ask(&other, LOCAL + 1);
	wait_for_answers(1);
	ck_assert_int_eq(other.answers, 1);
	ck_assert_int_eq(asked, MSPD_RESOLVER_PER_UID + 1);
	release();
	wait_for_answers(60);
}
END_TEST

/* In namespaces of its own a user has many uids. */
START_TEST(resolver_gives_one_account_few_threads)
{
	static struct asker many[MSPD_RESOLVER_THREADS * 2];
	struct asker other = { .answers = 0 };
	struct mspd_names_key key;
	uint32_t i;

	for (i = 0; i < MSPD_RESOLVER_THREADS * 2; i++) {
		key = key_of(HANGS + i);
		key.account = 77;
		ck_assert_int_eq(ask_key(&many[i], key), 0);
	}
	wait_for_questions(MSPD_RESOLVER_PER_UID);
	key = key_of(HANGS - 1);
	key.account = 78;
	ck_assert_int_eq(ask_key(&other, key), 0);
	wait_for_answers(1);
	ck_assert_int_eq(other.answers, 1);
	ck_assert_int_le(most_hanging, MSPD_RESOLVER_PER_UID + 1);
	release();
	wait_for_answers(MSPD_RESOLVER_THREADS * 2);
}
END_TEST

START_TEST(resolver_forgets_questions_nobody_waits_for)
{
	static struct asker others[MSPD_RESOLVER_THREADS + 20];
	struct asker again = { .answers = 0 };
	uint64_t before;
	uint32_t i;

	for (i = 0; i < MSPD_RESOLVER_THREADS + 20; i++)
		ask(&others[i], HANGS + i);
	wait_for_questions(MSPD_RESOLVER_THREADS);
	before = others[0].ask.since_ms;
	for (i = 0; i < MSPD_RESOLVER_THREADS + 20; i++)
		mspd_resolver_leave(resolver, &others[i].ask);
	/* the loop's clock goes on: 1 ms would do */
	usleep(5000);
	wanted = 1;
	ask(&again, 3);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
	ask(&again, HANGS); /* hangs as long as it did before */
	ck_assert_uint_eq(again.ask.since_ms, before);
	mspd_resolver_leave(resolver, &again.ask);
	ask(&again, HANGS + MSPD_RESOLVER_THREADS + 19); /* begins anew */
	ck_assert_uint_gt(again.ask.since_ms, before);
	release();
	wait_for_answers(1);
	ck_assert_int_le(asked, MSPD_RESOLVER_THREADS + 2);
}
END_TEST

/* Refused at once, when one uid has more questions than its share. */
START_TEST(resolver_refuses_what_is_too_much)
{
	static struct asker hung[2000];
	struct mspd_names_key key = key_of(HANGS);
	struct asker other = { .answers = 0 };
	int waiting = 0;
	uint32_t i;

	for (i = 0; i < 2000; i++) {
		key.gids[0] = i;
		waiting += ask_key(&hung[i], key) == 0;
	}
	ck_assert_int_gt(waiting, MSPD_RESOLVER_PER_UID);
	ck_assert_int_lt(waiting, 500);
	ask(&other, LOCAL + 1);
	wait_for_answers(1);
	release();
	wait_for_answers(waiting);
}
END_TEST

static bool known(uint32_t uid)
{
	struct mspd_names_key key = key_of(uid);
	struct mspd_names *names = mspd_resolver_get(resolver, &key);

	mspd_names_free(names);
	return names != NULL;
}

static void turn_for(unsigned int ms);

START_TEST(resolver_learns_of_new_local_users)
{
	static struct asker others[MSPD_RESOLVER_THREADS];
	struct asker one = { .answers = 0 };
	uint32_t i;

	ask(&one, 5);
	wait_for_answers(1);
	ck_assert(known(5));
	for (i = 0; i < MSPD_RESOLVER_THREADS; i++)
		ask(&others[i], HANGS + i);
	wait_for_questions(MSPD_RESOLVER_THREADS + 1);
	turn_for(20);
	write_passwd(LOCAL + 1);
	turn_for(1100);
	ck_assert(!known(5));
	turn_for(200); /* the file is read meanwhile */
	ask(&one, LOCAL + 1);
	wait_for_answers(1); /* not behind those that hang */
	ck_assert_int_eq(one.answers, 2);
	for (i = 0; i < MSPD_RESOLVER_THREADS; i++)
		mspd_resolver_leave(resolver, &others[i].ask);
}
END_TEST

/* It is away for a moment while it is replaced, or for good. */
START_TEST(resolver_remembers_local_users_without_their_file)
{
	static struct asker others[MSPD_RESOLVER_THREADS];
	struct asker one = { .answers = 0 };
	uint32_t i;

	ask(&one, 5);
	wait_for_answers(1);
	turn_for(20);
	ck_assert_int_eq(unlink(scratch_path("passwd")), 0);
	turn_for(1100);
	ck_assert(!known(5));
	turn_for(200); /* it is looked for meanwhile */
	for (i = 0; i < MSPD_RESOLVER_THREADS; i++)
		ask(&others[i], HANGS + i);
	wait_for_questions(MSPD_RESOLVER_THREADS + 1);
	ask(&one, 5);
	wait_for_answers(1); /* not behind those that hang */
	ck_assert_int_eq(one.answers, 2);
	for (i = 0; i < MSPD_RESOLVER_THREADS; i++)
		mspd_resolver_leave(resolver, &others[i].ask);
}
END_TEST

static void stop(void *arg)
{
	(void)arg;
	mspd_loop_stop(loop);
}

static void turn_for(unsigned int ms)
{
	struct mspd_timer timer = { .call = stop };

	mspd_loop_timer(loop, &timer, mspd_loop_now(loop).boot_ms + ms);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
}

/* Who asks after a change does not get what was true before it. */
START_TEST(resolver_asks_anew_after_a_change)
{
	struct asker before = { .answers = 0 }, after = { .answers = 0 };

	ask(&before, HANGS);
	wait_for_questions(1);
	turn_for(20);
	scratch_write("group", "ab", 2);
	turn_for(1100);
	ck_assert(!known(HANGS)); /* the files are looked at */
	ask(&after, HANGS);
	wait_for_questions(2);
	ck_assert_uint_gt(after.ask.since_ms, before.ask.since_ms);
	release();
	wait_for_answers(2);
	ck_assert_int_eq(before.answers, 1);
	ck_assert_int_eq(after.answers, 1);
	ck_assert(known(HANGS));
}
END_TEST

/* Nobody frees what is left behind: it is kept here for leak checkers. */
static struct mspd_flight *volatile left_behind[3];

START_TEST(resolver_end_leaves_what_hangs)
{
	static struct asker hung[3];
	struct timespec before, after;
	uint32_t i;

	for (i = 0; i < 3; i++)
		ask(&hung[i], HANGS + i);
	wait_for_questions(3);
	for (i = 0; i < 3; i++) {
		left_behind[i] = hung[i].ask.flight;
		mspd_resolver_leave(resolver, &hung[i].ask);
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	mspd_resolver_free(resolver, 50);
	clock_gettime(CLOCK_MONOTONIC, &after);
	resolver = NULL;
	ck_assert_int_lt(after.tv_sec - before.tv_sec, 10);
	release();
	wait_for_threads(); /* that touch nothing that is gone */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_resolver");
	TCase *tc = tcase_create("resolver");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, resolver_asks_and_remembers);
	tcase_add_test(tc, resolver_asks_once_however_many_wait);
	tcase_add_test(tc, resolver_answers_nobody_who_has_left);
	tcase_add_test(tc, resolver_keeps_threads_for_local_users);
	tcase_add_test(tc, resolver_keeps_threads_for_questions_about_the_user);
	tcase_add_test(tc, resolver_gives_one_uid_few_threads);
	tcase_add_test(tc, resolver_gives_one_account_few_threads);
	tcase_add_test(tc, resolver_asks_anew_after_a_change);
	tcase_add_test(tc, resolver_remembers_local_users_without_their_file);
	tcase_add_test(tc, resolver_forgets_questions_nobody_waits_for);
	tcase_add_test(tc, resolver_refuses_what_is_too_much);
	tcase_add_test(tc, resolver_learns_of_new_local_users);
	tcase_add_test(tc, resolver_end_leaves_what_hangs);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
