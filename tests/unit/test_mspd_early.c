/* SPDX-License-Identifier: MIT */
/*
 * Clients that came too early: each is handed on in its order, or closed, also
 * where there is no memory and where there are too many.
 */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "mspd/early.h"

#define MANY 200

static bool no_memory;
static int order[MANY];
static size_t n_taken;

void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);

void *__wrap_realloc(void *at, size_t size)
{
	return no_memory ? NULL : __real_realloc(at, size);
}

static int client(void)
{
	int fd = dup(STDERR_FILENO);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void take(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, order);
	order[n_taken++] = fd;
}

START_TEST(early_hands_on_all_in_their_order)
{
	struct mspd_early early = { 0 };
	int fds[MANY];
	size_t i;

	for (i = 0; i < MANY; i++)
		mspd_early_add(&early, fds[i] = client());
	mspd_early_take(&early, take, order);
	ck_assert_uint_eq(n_taken, MANY);
	for (i = 0; i < MANY; i++) {
		ck_assert_int_eq(order[i], fds[i]);
		ck_assert(is_open(fds[i]));
		close(fds[i]);
	}
	mspd_early_take(&early, take, order); /* none is left */
	ck_assert_uint_eq(n_taken, MANY);
}
END_TEST

START_TEST(early_closes_whom_there_is_no_memory_for)
{
	struct mspd_early early = { 0 };
	size_t kept;
	int fd;

	no_memory = true;
	mspd_early_add(&early, fd = client());
	ck_assert(!is_open(fd));
	no_memory = false;
	for (kept = 0; kept < 64; kept++)
		mspd_early_add(&early, fd = client());
	no_memory = true;
	mspd_early_add(&early, fd = client());
	ck_assert(!is_open(fd));
	ck_assert_uint_eq(early.n, kept);
	mspd_early_close(&early);
	ck_assert_uint_eq(early.n, 0);
}
END_TEST

START_TEST(early_keeps_no_more_than_can_wait)
{
	struct mspd_early early = { 0 };
	size_t i;

	for (i = 0; i < MSPD_EARLY_MAX + 10; i++)
		mspd_early_add(&early, -1);
	ck_assert_uint_eq(early.n, MSPD_EARLY_MAX);
	mspd_early_close(&early);
}
END_TEST

START_TEST(early_closes_all)
{
	struct mspd_early early = { 0 };
	int a = client(), b = client();

	mspd_early_add(&early, a);
	mspd_early_add(&early, b);
	mspd_early_close(&early);
	ck_assert(!is_open(a) && !is_open(b));
	mspd_early_close(&early);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("early");
	TCase *tc = tcase_create("early");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, early_hands_on_all_in_their_order);
	tcase_add_test(tc, early_closes_whom_there_is_no_memory_for);
	tcase_add_test(tc, early_keeps_no_more_than_can_wait);
	tcase_add_test(tc, early_closes_all);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
