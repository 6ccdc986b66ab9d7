/* SPDX-License-Identifier: MIT */
/*
 * What a service manager is told, over a socket of its kind: when clients can
 * be served, how we are, that we leave; and that the watchdog hears nothing
 * while a part of the agent is stuck.
 */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mspd/notify.h"

#define SOON_MS 30

static struct mspd_loop *loop;
static struct mspd_notify *notify;
static int manager; /* the service manager's end */
static char name[100];
static bool alive;
static uint64_t slack;
static const char *how;
static int ticks;

static bool is_alive(void *arg, uint64_t slack_ms)
{
	ck_assert_ptr_eq(arg, &alive);
	slack = slack_ms;
	return alive;
}

static void say_how(void *arg, char *out, size_t size)
{
	ck_assert_ptr_eq(arg, &alive);
	snprintf(out, size, "%s", how);
}

static void listen_at(bool abstract)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len;

	snprintf(name, sizeof(name), "%s/msp-notify-%d",
		 abstract ? "@" : "/tmp", (int)getpid());
	len = strlen(name);
	memcpy(at.sun_path, name, len + 1);
	if (abstract)
		at.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path) + !abstract;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, (socklen_t)len),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static void setup(void)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	alive = true;
	how = "fine";
	ticks = 0;
	ck_assert_int_eq(mspd_loop_new(&loop), 0);
	listen_at(false);
}

static void teardown(void)
{
	mspd_notify_free(notify);
	mspd_loop_free(loop);
	close(manager);
	if (name[0] == '/')
		unlink(name);
}

static void tick(void *arg)
{
	ck_assert_ptr_eq(arg, &alive);
	ticks++;
}

static int try_open(uint32_t patience_ms)
{
	struct mspd_notify_opts opts = { .alive = is_alive,
					 .describe = say_how,
					 .tick = tick,
					 .arg = &alive,
					 .patience_ms = patience_ms };

	return mspd_notify_new(&notify, loop, &opts);
}

static void stop_loop(void *arg)
{
	(void)arg;
	mspd_loop_stop(loop);
}

static void turn(uint32_t ms)
{
	struct mspd_timer end = { .call = stop_loop };

	mspd_loop_timer(loop, &end, mspd_loop_now(loop).boot_ms + ms);
	ck_assert_int_eq(mspd_loop_run(loop), 0);
}

/* The next message, "" if there is none. */
static const char *heard(void)
{
	static char text[4096];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* How many of those that wait are this one; the others are dropped. */
static unsigned int count(const char *wanted)
{
	unsigned int n = 0;
	const char *text;

	while ((text = heard())[0])
		n += strcmp(text, wanted) == 0;
	return n;
}

START_TEST(the_manager_hears_when_clients_can_be_served)
{
	ck_assert_int_eq(try_open(0), 0);
	turn(SOON_MS);
	ck_assert_str_eq(heard(), "STATUS=fine\n");
	how = "better";
	mspd_notify_ready(notify);
	ck_assert_str_eq(heard(), "READY=1\nSTATUS=better\n");
	mspd_notify_ready(notify);
	turn(SOON_MS);
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(an_abstract_name_is_one_too)
{
	close(manager);
	unlink(name);
	listen_at(true);
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	ck_assert_str_eq(heard(), "READY=1\nSTATUS=fine\n");
}
END_TEST

START_TEST(what_waits_for_us_does_not_wait_forever)
{
	how = "cannot redirect";
	ck_assert_int_eq(try_open(200), 0);
	turn(400);
	ck_assert_str_eq(heard(), "STATUS=cannot redirect\n");
	ck_assert_str_eq(heard(), "READY=1\nSTATUS=cannot redirect\n");
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(a_status_cannot_forge_a_message)
{
	how = "no\nREADY=1\n\x7f";
	ck_assert_int_eq(try_open(0), 0);
	turn(SOON_MS);
	ck_assert_str_eq(heard(), "STATUS=no READY=1  \n");
}
END_TEST

START_TEST(leaving_is_told_at_once_and_once)
{
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	heard();
	how = "waiting for 2 requests";
	mspd_notify_stopping(notify);
	ck_assert_str_eq(heard(),
			 "STOPPING=1\nSTATUS=waiting for 2 requests\n");
	turn(SOON_MS);
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(the_watchdog_is_fed_at_half_its_time)
{
	setenv("WATCHDOG_USEC", "40000", 1);
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	count("");
	turn(400);
	ck_assert_uint_ge(count("WATCHDOG=1\n"), 5);
	ck_assert_uint_eq(slack, 20);
}
END_TEST

START_TEST(the_watchdog_is_not_fed_while_the_keeper_is_stuck)
{
	setenv("WATCHDOG_USEC", "20000", 1);
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	turn(SOON_MS);
	alive = false;
	count("");
	turn(100);
	ck_assert_uint_eq(count("WATCHDOG=1\n"), 0);
	alive = true;
	turn(100);
	ck_assert_uint_ge(count("WATCHDOG=1\n"), 1);
}
END_TEST

START_TEST(the_watchdog_of_another_process_is_left_alone)
{
	static const char *const odd[][2] = {
		{ "20000", "1" }, { "20000", "" },
		{ "-1", NULL },	  { "20000x", NULL },
		{ "", NULL },	  { "99999999999999999999", NULL }
	};
	size_t i;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		setenv("WATCHDOG_USEC", odd[i][0], 1);
		if (odd[i][1])
			setenv("WATCHDOG_PID", odd[i][1], 1);
		else
			unsetenv("WATCHDOG_PID");
		ck_assert_int_eq(try_open(0), 0);
		turn(50);
		ck_assert_uint_eq(count("WATCHDOG=1\n"), 0);
		mspd_notify_free(notify);
		notify = NULL;
	}
}
END_TEST

/* Of the datagrams that wait: is READY=1 among them? */
static bool heard_ready(void)
{
	bool ready = false;
	const char *text;

	while ((text = heard())[0])
		ready |= strstr(text, "READY=1") != NULL;
	return ready;
}

/* Until no more go in. */
static void fill_manager(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", name);
	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) >= 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
}

START_TEST(a_manager_with_a_full_buffer_is_told_later)
{
	ck_assert_int_eq(try_open(0), 0);
	fill_manager();
	mspd_notify_ready(notify); /* and does not wait */
	ck_assert(!heard_ready());
	turn(400);
	ck_assert(heard_ready());
}
END_TEST

START_TEST(a_manager_that_is_away_is_told_later)
{
	close(manager);
	unlink(name);
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	listen_at(false);
	turn(400);
	ck_assert_str_eq(heard(), "READY=1\nSTATUS=fine\n");
}
END_TEST

START_TEST(without_a_manager_nothing_is_done)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(try_open(0), 0);
	mspd_notify_ready(notify);
	mspd_notify_stopping(notify);
	turn(SOON_MS);
	mspd_notify_ready(NULL);
	mspd_notify_stopping(NULL);
	mspd_notify_free(NULL);
	ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(what_else_is_to_be_done_is_with_a_manager)
{
	ck_assert_int_eq(try_open(0), 0);
	turn(SOON_MS);
	ck_assert_int_ge(ticks, 1);
	mspd_notify_free(notify);
	unsetenv("NOTIFY_SOCKET");
	ticks = 0;
	ck_assert_int_eq(try_open(0), 0);
	turn(SOON_MS);
	ck_assert_int_eq(ticks, 0);
}
END_TEST

START_TEST(addresses_of_other_kinds_are_refused)
{
	static const char *const odd[] = { "relative", "@", "/", "vsock:2:1" };
	char too_long[200];
	size_t i;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		setenv("NOTIFY_SOCKET", odd[i], 1);
		ck_assert_int_eq(try_open(0), -EINVAL);
		ck_assert_ptr_null(notify);
	}
	memset(too_long, '/', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	setenv("NOTIFY_SOCKET", too_long, 1);
	ck_assert_int_eq(try_open(0), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_notify");
	TCase *tc = tcase_create("notify");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_manager_hears_when_clients_can_be_served);
	tcase_add_test(tc, an_abstract_name_is_one_too);
	tcase_add_test(tc, what_waits_for_us_does_not_wait_forever);
	tcase_add_test(tc, a_status_cannot_forge_a_message);
	tcase_add_test(tc, leaving_is_told_at_once_and_once);
	tcase_add_test(tc, the_watchdog_is_fed_at_half_its_time);
	tcase_add_test(tc, the_watchdog_is_not_fed_while_the_keeper_is_stuck);
	tcase_add_test(tc, the_watchdog_of_another_process_is_left_alone);
	tcase_add_test(tc, a_manager_with_a_full_buffer_is_told_later);
	tcase_add_test(tc, a_manager_that_is_away_is_told_later);
	tcase_add_test(tc, without_a_manager_nothing_is_done);
	tcase_add_test(tc, what_else_is_to_be_done_is_with_a_manager);
	tcase_add_test(tc, addresses_of_other_kinds_are_refused);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
