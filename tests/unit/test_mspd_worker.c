/* SPDX-License-Identifier: MIT */
/*
 * In: jobs that finish, wait or hang. Out: whether each is completed once, in
 * the loop's thread, and nothing is waited for that does not end.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mspd/worker.h"
#include "tests/lib/threads.h"

struct task {
	atomic_bool worked;
	bool in_other_thread;
	int done;
};

static struct mspd_workers *workers;
static pthread_t loop;
static sem_t gate;    /* holds back hold() */
static sem_t holding; /* posted once hold() runs */

static void open_pool(size_t threads, size_t per_tag, unsigned int idle_ms)
{
	struct mspd_workers_opts opts = { .threads = threads,
					  .per_tag = per_tag,
					  .idle_ms = idle_ms };

	ck_assert_int_eq(mspd_workers_new(&workers, &opts), 0);
}

static void setup(void)
{
	threads_begin();
	loop = pthread_self();
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	ck_assert_int_eq(sem_init(&holding, 0, 0), 0);
	open_pool(2, 0, 0);
}

/* Detached threads end a little later than their pool. */
static void wait_for_threads(void)
{
	while (threads_now() > 1)
		usleep(1000);
}

static void work(void *arg)
{
	struct task *task = arg;

	task->in_other_thread = !pthread_equal(pthread_self(), loop);
	task->worked = true;
}

static void hold(void *arg)
{
	sem_post(&holding);
	while (sem_wait(&gate) < 0)
		;
	work(arg);
}

static void done(void *arg)
{
	struct task *task = arg;

	ck_assert(pthread_equal(pthread_self(), loop));
	task->done++;
}

static int try_tagged(void (*how)(void *arg), struct task *task, uint64_t a,
		      uint64_t b)
{
	const struct mspd_work job = { how, done, task, { a, b } };

	return mspd_workers_submit(workers, &job);
}

static void submit_tagged(void (*how)(void *arg), struct task *task, uint64_t a,
			  uint64_t b)
{
	ck_assert_int_eq(try_tagged(how, task, a, b), 0);
}

static void submit(void (*how)(void *arg), struct task *task)
{
	submit_tagged(how, task, 0, 0);
}

static size_t wait_and_reap(size_t n)
{
	struct pollfd fd = { mspd_workers_fd(workers), POLLIN, 0 };
	size_t reaped = 0;

	while (reaped < n && poll(&fd, 1, 5000) == 1)
		reaped += mspd_workers_reap(workers);
	return reaped;
}

START_TEST(workers_complete_every_job_in_the_loop)
{
	static struct task tasks[500];
	size_t i;

	for (i = 0; i < 500; i++)
		submit(work, &tasks[i]);
	ck_assert_uint_eq(wait_and_reap(500), 500);
	ck_assert_uint_eq(mspd_workers_reap(workers), 0);
	for (i = 0; i < 500; i++) {
		ck_assert(tasks[i].worked);
		ck_assert(tasks[i].in_other_thread);
		ck_assert_int_eq(tasks[i].done, 1);
	}
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

START_TEST(workers_fd_is_readable_only_with_finished_jobs)
{
	struct pollfd fd = { mspd_workers_fd(workers), POLLIN, 0 };
	struct task task = { .done = 0 };

	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	submit(work, &task);
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

static void submit_again(void *arg)
{
	done(arg);
	submit(work, arg);
}

START_TEST(workers_done_may_submit)
{
	struct task task = { .done = 0 };
	const struct mspd_work job = { work, submit_again, &task, { 0 } };

	ck_assert_int_eq(mspd_workers_submit(workers, &job), 0);
	ck_assert_uint_eq(wait_and_reap(2), 2);
	ck_assert_int_eq(task.done, 2);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

START_TEST(workers_refuse_what_is_over_the_queue)
{
	static struct task tasks[MSPD_WORKERS_QUEUE];
	size_t i;

	submit(hold, &tasks[0]);
	submit(hold, &tasks[1]);
	for (i = 2; i < MSPD_WORKERS_QUEUE; i++)
		submit(work, &tasks[i]);
	ck_assert_int_eq(try_tagged(work, &tasks[0], 0, 0), -EBUSY);
	sem_post(&gate);
	sem_post(&gate);
	ck_assert_uint_eq(wait_and_reap(MSPD_WORKERS_QUEUE),
			  MSPD_WORKERS_QUEUE);
	submit(work, &tasks[0]);
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert_int_eq(tasks[0].done, 2);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

/* done() is called for what finished and for what never ran. */
START_TEST(workers_free_completes_what_is_left)
{
	struct task held[2] = { 0 };
	struct task queued = { .done = 0 };
	struct task finished = { .done = 0 };

	submit(work, &finished);
	while (!finished.worked)
		usleep(1000);
	submit(hold, &held[0]);
	submit(hold, &held[1]);
	sem_wait(&holding);
	sem_wait(&holding);
	submit(work, &queued);
	sem_post(&gate);
	sem_post(&gate);
	ck_assert_uint_eq(mspd_workers_free(workers, 5000), 0);
	ck_assert_int_eq(finished.done, 1);
	ck_assert_int_eq(held[0].done, 1);
	ck_assert_int_eq(held[1].done, 1);
	ck_assert_int_eq(queued.done, 1);
}
END_TEST

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(workers_free_leaves_hung_jobs_behind)
{
	static struct task hung[2];
	struct task queued = { .done = 0 };
	double start = seconds();

	submit(hold, &hung[0]);
	submit(hold, &hung[1]);
	sem_wait(&holding);
	sem_wait(&holding);
	submit(work, &queued); /* nobody is free for it */
	ck_assert_uint_eq(mspd_workers_free(workers, 100), 2);
	ck_assert(seconds() - start < 3);
	ck_assert(!queued.worked);
	ck_assert_int_eq(queued.done, 1);
	sem_post(&gate); /* they end long after; nobody is told */
	sem_post(&gate);
	while (!hung[0].worked || !hung[1].worked)
		usleep(1000);
	usleep(20000);
	ck_assert_int_eq(hung[0].done + hung[1].done, 0);
}
END_TEST

START_TEST(workers_new_checks_its_argument)
{
	struct mspd_workers_opts opts = { .threads = 0 };
	struct mspd_workers *other;

	ck_assert_int_eq(mspd_workers_new(&other, &opts), -EINVAL);
	ck_assert_ptr_null(other);
	opts.threads = 65;
	ck_assert_int_eq(mspd_workers_new(&other, &opts), -EINVAL);
	ck_assert_uint_eq(mspd_workers_free(NULL, 0), 0);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

static void look_at_mask(void *arg)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	*(bool *)arg = sigismember(&mask, SIGTERM) == 1;
}

static void nothing(void *arg)
{
	(void)arg;
}

START_TEST(workers_take_no_signals)
{
	bool blocked = false;
	const struct mspd_work job = { look_at_mask, nothing, &blocked, { 0 } };
	sigset_t mask;

	ck_assert_int_eq(mspd_workers_submit(workers, &job), 0);
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert(blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

/* ---- threads come and go ------------------------------------------------ */

static void reopen(size_t threads, size_t per_tag, unsigned int idle_ms)
{
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
	wait_for_threads();
	open_pool(threads, per_tag, idle_ms);
}

static void hold_n(struct task *tasks, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		submit(hold, &tasks[i]);
	for (i = 0; i < n; i++)
		sem_wait(&holding);
}

static void let_go(size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		sem_post(&gate);
	ck_assert_uint_eq(wait_and_reap(n), n);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}

START_TEST(workers_start_threads_when_there_is_work)
{
	struct task tasks[5] = { 0 };

	reopen(4, 0, 0);
	ck_assert_int_eq(threads_now(), 1);
	hold_n(tasks, 1);
	ck_assert_int_eq(threads_now(), 2);
	hold_n(tasks + 1, 3);
	ck_assert_int_eq(threads_now(), 5);
	submit(hold, &tasks[4]);
	ck_assert_int_eq(threads_now(), 5); /* the maximum */
	let_go(5);
}
END_TEST

START_TEST(workers_use_an_idle_thread_again)
{
	struct task tasks[20] = { 0 };
	size_t i;

	reopen(8, 0, 0);
	for (i = 0; i < 20; i++) {
		submit(work, &tasks[i]);
		ck_assert_uint_eq(wait_and_reap(1), 1);
		usleep(2000); /* until it is idle */
	}
	ck_assert_int_eq(threads_now(), 2);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

START_TEST(workers_threads_end_without_work)
{
	struct task tasks[4] = { 0 };
	int tries = 5000;

	reopen(4, 0, 20);
	hold_n(tasks, 3);
	sem_post(&gate);
	sem_post(&gate);
	sem_post(&gate);
	ck_assert_uint_eq(wait_and_reap(3), 3);
	while (threads_now() > 1 && --tries)
		usleep(1000);
	ck_assert_int_eq(threads_now(), 1);
	submit(work, &tasks[3]); /* and come again */
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

/* A job that was submitted with an idle thread about must not wait for the
 * one that thread took. */
START_TEST(workers_never_leave_a_job_behind_one_that_hangs)
{
	static struct task tasks[100][2];
	size_t i;

	reopen(64, 0, 5);
	for (i = 0; i < 31; i++) {
		submit(hold, &tasks[i][0]);
		submit(work, &tasks[i][1]);
		ck_assert_uint_eq(wait_and_reap(1), 1);
		usleep(i * 400);
	}
	let_go(31);
}
END_TEST

/* ---- tags --------------------------------------------------------------- */

#define USER  7
#define OTHER 8
#define MOUNT 9

START_TEST(workers_run_few_jobs_of_one_tag_at_a_time)
{
	static struct task hung[10];
	struct task other = { .done = 0 };
	size_t i;

	reopen(4, 2, 0);
	for (i = 0; i < 10; i++)
		submit_tagged(hold, &hung[i], USER, 0);
	sem_wait(&holding);
	sem_wait(&holding);
	submit_tagged(work, &other, OTHER, 0); /* passes the other eight */
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert_int_eq(other.done, 1);
	usleep(20000);
	ck_assert_int_eq(sem_trywait(&holding), -1);
	let_go(10);
}
END_TEST

START_TEST(workers_bound_each_tag_of_a_job)
{
	static struct task hung[3];
	struct task other = { .done = 0 };

	reopen(8, 2, 0);
	submit_tagged(hold, &hung[0], USER, MOUNT);
	submit_tagged(hold, &hung[1], OTHER, MOUNT);
	submit_tagged(hold, &hung[2], OTHER, MOUNT);
	sem_wait(&holding);
	sem_wait(&holding);
	usleep(20000);
	ck_assert_int_eq(sem_trywait(&holding), -1);
	submit_tagged(work, &other, OTHER, 0);
	ck_assert_uint_eq(wait_and_reap(1), 1);
	let_go(3);
}
END_TEST

/* The thread that is free takes one of them; the other, which may hang, must
 * not keep the next from running. */
START_TEST(workers_run_all_that_the_end_of_a_job_allows)
{
	static struct task tasks[3];

	reopen(4, 1, 0);
	submit_tagged(hold, &tasks[0], USER, MOUNT);
	sem_wait(&holding);
	submit_tagged(hold, &tasks[1], USER, 0);
	submit_tagged(hold, &tasks[2], MOUNT, 0);
	usleep(20000);
	ck_assert_int_eq(sem_trywait(&holding), -1);
	sem_post(&gate);
	sem_wait(&holding);
	sem_wait(&holding);
	let_go(3);
}
END_TEST

START_TEST(workers_refuse_what_is_over_one_tags_share)
{
	static struct task tasks[MSPD_WORKERS_TAG_QUEUE + 1];
	size_t i;

	reopen(4, 2, 0);
	for (i = 0; i < MSPD_WORKERS_TAG_QUEUE; i++)
		submit_tagged(hold, &tasks[i], MOUNT, USER);
	ck_assert_int_eq(try_tagged(hold, &tasks[i], USER, 0), -EBUSY);
	ck_assert_int_eq(try_tagged(hold, &tasks[i], OTHER, MOUNT), -EBUSY);
	submit_tagged(hold, &tasks[i], OTHER, 0);
	let_go(MSPD_WORKERS_TAG_QUEUE + 1);
}
END_TEST

START_TEST(workers_cancel_what_has_not_begun)
{
	struct task hung[2] = { 0 };
	struct task queued[3] = { 0 };
	size_t i;

	submit(hold, &hung[0]);
	submit(hold, &hung[1]);
	sem_wait(&holding);
	sem_wait(&holding);
	for (i = 0; i < 3; i++)
		submit(work, &queued[i]);
	ck_assert(mspd_workers_cancel(workers, &queued[1]));
	ck_assert(!mspd_workers_cancel(workers, &queued[1]));
	ck_assert(mspd_workers_cancel(workers, &queued[2]));
	ck_assert(!mspd_workers_cancel(workers, &hung[0]));
	submit(work, &queued[2]); /* the end of the queue is where it was */
	let_go(2 + 2);
	ck_assert_int_eq(queued[0].done, 1);
	ck_assert_int_eq(queued[1].done, 0);
	ck_assert_int_eq(queued[2].done, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_worker");
	TCase *tc = tcase_create("worker");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, wait_for_threads);
	tcase_add_test(tc, workers_complete_every_job_in_the_loop);
	tcase_add_test(tc, workers_fd_is_readable_only_with_finished_jobs);
	tcase_add_test(tc, workers_done_may_submit);
	tcase_add_test(tc, workers_refuse_what_is_over_the_queue);
	tcase_add_test(tc, workers_free_completes_what_is_left);
	tcase_add_test(tc, workers_free_leaves_hung_jobs_behind);
	tcase_add_test(tc, workers_new_checks_its_argument);
	tcase_add_test(tc, workers_take_no_signals);
	tcase_add_test(tc, workers_start_threads_when_there_is_work);
	tcase_add_test(tc, workers_use_an_idle_thread_again);
	tcase_add_test(tc, workers_threads_end_without_work);
	tcase_add_test(tc, workers_never_leave_a_job_behind_one_that_hangs);
	tcase_add_test(tc, workers_run_few_jobs_of_one_tag_at_a_time);
	tcase_add_test(tc, workers_bound_each_tag_of_a_job);
	tcase_add_test(tc, workers_run_all_that_the_end_of_a_job_allows);
	tcase_add_test(tc, workers_refuse_what_is_over_one_tags_share);
	tcase_add_test(tc, workers_cancel_what_has_not_begun);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
