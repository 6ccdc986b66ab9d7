/* SPDX-License-Identifier: MIT */
/*
 * What a service manager hands over, and is told to keep: what is not what its
 * name says is not used, and however it fails to listen, in the end it keeps
 * all of it, once, or nobody counts on it.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/store.h"
#include "tests/lib/fakemanager.h"
#include "tests/lib/fakeredirect.h"

#define LISTENER "mspd.1.listener"
#define ALL	 (MSP_REDIRECT_PARTS + 1)
#define TAKEN	 ((1u << MSP_REDIRECT_PARTS) - 1)
#define NAMES	 LISTENER NAMES_OF_PARTS
#define NAMES_OF_PARTS                                                         \
	":libmsp.1.a:libmsp.1.b:libmsp.1.c:libmsp.1.d:libmsp.1.e:"             \
	"libmsp.1.f:libmsp.1.g:libmsp.1.h:libmsp.1.i"

static struct mspd_store *store;
static struct msp_address wanted;

static int open_at(int family, int type, bool listening)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(family, type, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_INET)
		MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(!listening || listen(fd, 1) == 0);
	return fd;
}

/* Its address is the one that is wanted. */
static int listening(void)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd = open_at(AF_INET, SOCK_STREAM, true);

	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	wanted = (struct msp_address){ at.sin_addr.s_addr, ntohs(at.sin_port),
				       0 };
	return fd;
}

static void begin(const char *room)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv("FDSTORE");
	manager_begin(room);
	fake = (struct fake_redirect){ .fd = fcntl(STDERR_FILENO, F_DUPFD,
						   100) };
	MUST(fake.fd >= 0);
}

/* A listener, and something in place of each part; @names tells which. */
static void hand(const char *names, size_t n)
{
	int fds[KEPT_MAX];
	size_t i;

	fds[0] = listening();
	for (i = 1; i < n; i++)
		fds[i] = fake.fd;
	manager_hands(fds, n, names);
}

static void must_keep_all(void)
{
	size_t i;

	MUST(manager.n == ALL && manager_keeps(LISTENER) == 1);
	for (i = 0; i < MSP_REDIRECT_PARTS; i++)
		MUST(manager_keeps(fake_part(i)) == 1);
}

/* ---- what came --------------------------------------------------------- */

static void nobody_keeps(void)
{
	const struct msp_redirect_part *parts;
	struct msp_address at;

	begin(NULL);
	MUST(mspd_store_open(&store) == 0);
	MUST(!mspd_store_keeps(store));
	MUST(mspd_store_parts(store, &parts) == 0);
	MUST(mspd_store_listener(store, &wanted, false, &at) == -1);
	MUST(mspd_store_settle(store, FAKE, 0, &wanted, 0) == 0);
	mspd_store_drop(store);
	MUST(manager.calls == 0);
	mspd_store_free(store);
	MUST(!mspd_store_keeps(NULL));
	MUST(mspd_store_parts(NULL, &parts) == 0);
	MUST(mspd_store_listener(NULL, &wanted, false, &at) == -1);
	MUST(mspd_store_settle(NULL, FAKE, 0, &wanted, 0) == 0);
	mspd_store_drop(NULL);
	mspd_store_free(NULL);
}

static void without_room(void)
{
	begin("9");
	MUST(mspd_store_open(&store) == -ENOSPC);
	MUST(store == NULL);
}

static void of_another_process(void)
{
	const struct msp_redirect_part *parts;

	begin("16");
	hand(NAMES, ALL);
	setenv("LISTEN_PID", "1", 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_parts(store, &parts) == 0);
	MUST(!mspd_store_keeps(store));
	MUST(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") &&
	     !getenv("LISTEN_FDNAMES"));
	MUST(fcntl(3, F_GETFD) == 0); /* left alone */
}

static void ours_are_closed_at_exec_and_end(void)
{
	const struct msp_redirect_part *parts;
	size_t i;

	begin("16");
	hand(NAMES, ALL);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_keeps(store));
	MUST(mspd_store_parts(store, &parts) == MSP_REDIRECT_PARTS);
	for (i = 0; i < MSP_REDIRECT_PARTS; i++) {
		MUST(strcmp(parts[i].name, fake_part(i)) == 0);
		MUST(fcntl(parts[i].fd, F_GETFD) == FD_CLOEXEC);
	}
	mspd_store_free(store);
	for (i = 0; i < ALL; i++)
		MUST(fcntl(3 + (int)i, F_GETFD) < 0);
}

/* More than there are, and than there are names: whatever else is open is not
 * theirs, and what has no name is closed. */
static void number_is_not_right(void)
{
	const struct msp_redirect_part *parts;
	int own;

	begin(NULL);
	hand(LISTENER ":libmsp.1.a", 4);
	own = fcntl(STDERR_FILENO, F_DUPFD, 150);
	setenv("LISTEN_FDS", "100", 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_parts(store, &parts) == 1);
	MUST(fcntl(5, F_GETFD) < 0 && fcntl(6, F_GETFD) < 0);
	mspd_store_free(store);
	MUST(fcntl(own, F_GETFD) == 0);
	setenv("LISTEN_FDS", "99999999999999999999", 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_parts(store, &parts) == 0);
}

static void more_than_are_looked_at(void)
{
	const struct msp_redirect_part *parts;
	char names[2 * KEPT_MAX + 8] = "";
	int fds[KEPT_MAX];
	size_t i;

	begin(NULL);
	for (i = 0; i < KEPT_MAX; i++) {
		fds[i] = fake.fd;
		strcat(names, "a:");
	}
	strcat(names, "b");
	manager_hands(fds, KEPT_MAX, names);
	MUST(dup2(fake.fd, 3 + KEPT_MAX) >= 0);
	setenv("LISTEN_FDS", "65", 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_parts(store, &parts) == KEPT_MAX);
	MUST(fcntl(3 + KEPT_MAX, F_GETFD) < 0);
}

/* ---- the listener ------------------------------------------------------ */

static void listener_is_found(void)
{
	struct msp_address at;
	int fd;

	begin("16");
	hand(LISTENER, 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_listener(store, &wanted, true, &at) == -1);
	fd = mspd_store_listener(store, &wanted, false, &at);
	MUST(fd == 3 && at.ip == wanted.ip && at.port == wanted.port);
	MUST(fcntl(fd, F_GETFL) & O_NONBLOCK);
	MUST(mspd_store_listener(store, &wanted, false, &at) == -1);
	mspd_store_free(store);
	MUST(fcntl(fd, F_GETFD) >= 0); /* ours */
}

static void listener_beside_is_found(void)
{
	struct msp_address asked, at;
	char name[64];

	begin("16");
	hand(LISTENER, 1);
	asked = wanted;
	asked.port ^= 1;
	snprintf(name, sizeof(name), "mspd.1.beside.%u", asked.port);
	setenv("LISTEN_FDNAMES", name, 1);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_listener(store, &asked, false, &at) == -1);
	MUST(mspd_store_listener(store, &wanted, true, &at) == -1);
	MUST(mspd_store_listener(store, &asked, true, &at) == 3);
	MUST(at.port == wanted.port);
}

static void not_a_listener(int fd)
{
	struct msp_address at;

	begin("16");
	manager_hands(&fd, 1, LISTENER);
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_listener(store, &wanted, false, &at) == -1);
	mspd_store_free(store);
}

static void what_is_no_listener(void)
{
	close(listening());
	not_a_listener(open_at(AF_INET, SOCK_STREAM, true)); /* elsewhere */
	wanted.port = 0;
	not_a_listener(open_at(AF_INET, SOCK_STREAM, false));
	not_a_listener(open_at(AF_INET, SOCK_DGRAM, false));
	not_a_listener(open_at(AF_INET6, SOCK_STREAM, true));
	not_a_listener(dup(STDERR_FILENO));
	wanted.ip = 0;
	not_a_listener(open_at(AF_INET, SOCK_STREAM, true));
}

/* ---- what is kept ------------------------------------------------------ */

static void first_agent(void)
{
	int fd;

	begin("16");
	fd = listening();
	MUST(mspd_store_open(&store) == 0);
	MUST(!mspd_store_keeps(store));
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	must_keep_all();
	MUST(mspd_store_keeps(store));
}

/* As the manager has it, and as it handed it over. */
static int take_over(const char *names, size_t n)
{
	struct msp_address at;
	char copy[1024];
	char *name;

	hand(names, n);
	snprintf(copy, sizeof(copy), "%s", names);
	for (name = strtok(copy, ":"); name; name = strtok(NULL, ":"))
		snprintf(manager.kept[manager.n++], 64, "%s", name);
	MUST(mspd_store_open(&store) == 0);
	fake.taken = TAKEN;
	return mspd_store_listener(store, &wanted, false, &at);
}

static void nothing_has_changed(void)
{
	int fd;

	begin("16");
	fd = take_over(NAMES, ALL);
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	MUST(manager.calls == 0);
	must_keep_all();
	MUST(mspd_store_keeps(store));
	MUST(fcntl(4, F_GETFD) < 0); /* ours are others by now */
}

/* Only what is not right is told: the less, the less is lost by a crash. */
static void some_has_changed(void)
{
	int fd;

	begin("16");
	fd = take_over(NAMES ":libmsp.1.b:libmsp.7.a:else", ALL + 3);
	fake.taken &= ~4u; /* "c" was not what it should be */
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	must_keep_all();
	/* b twice, c, 7.a and else are forgotten, b and c kept again */
	MUST(manager.calls == 7);
}

/* Only they are lost if it is killed between the two. */
static void links_were_attached_again(void)
{
	int fd;

	begin("16");
	fd = listening();
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	manager.calls = 0;
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 5u) == 0);
	MUST(manager.calls == 4); /* a and c, forgotten and kept */
	must_keep_all();
}

/* What it knows it goes on knowing, and it is told the rest. */
static void repair_is_told_again(void)
{
	int fd;

	begin("16");
	fd = listening();
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	manager.fail_at = manager.calls + 2;
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 4u) < 0);
	MUST(!mspd_store_keeps(store));
	MUST(manager.n == ALL - 1 && manager_keeps(LISTENER) == 1);
	manager.calls = manager.fail_at = 0;
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	MUST(manager.calls == 1);
	MUST(mspd_store_keeps(store));
	must_keep_all();
}

/* Nothing of the rest is of use without it. */
static void listener_is_kept_first(void)
{
	int fd;

	begin("16");
	fd = listening();
	MUST(mspd_store_open(&store) == 0);
	manager.fail_at = 2;
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) < 0);
	MUST(manager.n == 1 && manager_keeps(LISTENER) == 1);
}

/* Of an agent that is not written yet. A manager that is to keep it by another
 * name as well does not listen: so it is left as it is. */
static void listener_of_another_layout(void)
{
	static const char *const not [] = {
		"mspd..listener",   "mspd.2listener", "mspd.a.listener",
		"mspd.2.listener2", "mspd.listener",  "libmsp.1.listener",
	};
	struct msp_address at;
	size_t i;
	int fd;

	begin("16");
	fd = take_over("mspd.23.listener" NAMES_OF_PARTS, ALL);
	MUST(fd == 3);
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	MUST(manager.calls == 0 && manager_keeps("mspd.23.listener") == 1);
	mspd_store_free(store);
	for (i = 0; i < sizeof(not ) / sizeof(not [0]); i++) {
		begin("16");
		hand(not [i], 1);
		MUST(mspd_store_open(&store) == 0);
		MUST(mspd_store_listener(store, &wanted, false, &at) == -1);
		mspd_store_free(store);
	}
}

static void beside(void)
{
	struct msp_address asked;
	char name[64];
	int fd;

	begin("16");
	fd = listening();
	asked = wanted;
	asked.port ^= 1;
	MUST(mspd_store_open(&store) == 0);
	MUST(mspd_store_settle(store, FAKE, fd, &asked, 0) == 0);
	snprintf(name, sizeof(name), "mspd.1.beside.%u", asked.port);
	MUST(manager_keeps(name) == 1 && manager_keeps(LISTENER) == 0);
	mspd_store_free(store);
	MUST(mspd_store_open(&store) == 0);
	asked.port = 0; /* any is as it is wanted */
	MUST(mspd_store_settle(store, FAKE, fd, &asked, 0) == 0);
	MUST(manager_keeps(LISTENER) == 1);
}

static void dropped(void)
{
	begin("16");
	take_over(NAMES ":else", ALL + 1);
	mspd_store_drop(store);
	MUST(manager.n == 0);
	MUST(!mspd_store_keeps(store));
	MUST(fcntl(4, F_GETFD) < 0);
}

/* ---- a manager that does not listen ------------------------------------ */

static const char *came;
static size_t n_came;
static size_t failing;

static void settle_fails(void)
{
	int fd;

	begin("16");
	fd = take_over(came, n_came);
	if (fd < 0)
		fd = listening();
	manager.fail_at = failing;
	if (mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0) {
		MUST(manager.calls < failing);
		_exit(42); /* there is no such call */
	}
	MUST(!mspd_store_keeps(store));
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) < 0);
	manager.fail_at = 0;
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) == 0);
	must_keep_all();
	MUST(mspd_store_keeps(store));
}

static void drop_fails(void)
{
	begin("16");
	take_over(came, n_came);
	manager.fail_at = failing;
	mspd_store_drop(store);
	if (manager.calls < failing)
		_exit(42);
	MUST(!mspd_store_keeps(store));
	MUST(fcntl(4, F_GETFD) < 0);
	manager.fail_at = 0;
	mspd_store_drop(store);
	MUST(manager.n == 0);
}

/* Each of its calls, until there are no more. */
static void each_call(void (*run)(void), const char *names, size_t n)
{
	int status = 0;

	came = names;
	n_came = n;
	for (failing = 1; status == 0 && failing < 50; failing++)
		status = in_process(run);
	ck_assert_int_eq(status, 42 << 8);
	ck_assert_uint_gt(failing, 2);
}

START_TEST(store_that_fails_at_any_call_is_told_again)
{
	each_call(settle_fails, "", 0);
	each_call(settle_fails, NAMES ":libmsp.1.b:libmsp.7.a", ALL + 2);
	each_call(drop_fails, NAMES ":libmsp.1.b", ALL + 1);
}
END_TEST

static void manager_is_gone(void)
{
	int fd;

	begin("16");
	fd = listening();
	MUST(mspd_store_open(&store) == 0);
	manager_end();
	MUST(mspd_store_settle(store, FAKE, fd, &wanted, 0) < 0);
	MUST(!mspd_store_keeps(store));
}

static void (*const cases[])(void) = {
	nobody_keeps,
	without_room,
	of_another_process,
	ours_are_closed_at_exec_and_end,
	number_is_not_right,
	more_than_are_looked_at,
	listener_is_found,
	listener_beside_is_found,
	what_is_no_listener,
	first_agent,
	nothing_has_changed,
	some_has_changed,
	links_were_attached_again,
	repair_is_told_again,
	listener_is_kept_first,
	listener_of_another_layout,
	beside,
	dropped,
	manager_is_gone,
};

START_TEST(store_does_as_its_header_says)
{
	ck_assert_int_eq(in_process(cases[_i]), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("store");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, store_does_as_its_header_says, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, store_that_fails_at_any_call_is_told_again);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
