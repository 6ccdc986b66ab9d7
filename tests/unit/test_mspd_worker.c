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

struct task {
	atomic_bool worked;
	bool in_other_thread;
	int done;
};

static struct mspd_workers *workers;
static pthread_t loop;
static sem_t gate;    /* holds back hold() */
static sem_t holding; /* posted once hold() runs */

static void setup(void)
{
	loop = pthread_self();
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	ck_assert_int_eq(sem_init(&holding, 0, 0), 0);
	ck_assert_int_eq(mspd_workers_new(&workers, 2), 0);
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

static void submit(void (*how)(void *arg), struct task *task)
{
	ck_assert_int_eq(mspd_workers_submit(workers, how, done, task), 0);
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

	ck_assert_int_eq(
		mspd_workers_submit(workers, work, submit_again, &task), 0);
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
	ck_assert_int_eq(mspd_workers_submit(workers, work, done, &tasks[0]),
			 -EBUSY);
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
	struct mspd_workers *other;

	ck_assert_int_eq(mspd_workers_new(&other, 0), -EINVAL);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(mspd_workers_new(&other, 65), -EINVAL);
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
	sigset_t mask;

	ck_assert_int_eq(
		mspd_workers_submit(workers, look_at_mask, nothing, &blocked),
		0);
	ck_assert_uint_eq(wait_and_reap(1), 1);
	ck_assert(blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
	ck_assert_uint_eq(mspd_workers_free(workers, 1000), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_worker");
	TCase *tc = tcase_create("worker");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, workers_complete_every_job_in_the_loop);
	tcase_add_test(tc, workers_fd_is_readable_only_with_finished_jobs);
	tcase_add_test(tc, workers_done_may_submit);
	tcase_add_test(tc, workers_refuse_what_is_over_the_queue);
	tcase_add_test(tc, workers_free_completes_what_is_left);
	tcase_add_test(tc, workers_free_leaves_hung_jobs_behind);
	tcase_add_test(tc, workers_new_checks_its_argument);
	tcase_add_test(tc, workers_take_no_signals);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
