/* SPDX-License-Identifier: MIT */
/*
 * Going on with what the agent before left: clients wait no longer than they
 * must, and what cannot be gone on with is off, and not kept.
 */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/heir.h"
#include "tests/lib/fakemanager.h"
#include "tests/lib/fakeredirect.h"

#define LISTENER "mspd.1.listener"
#define STATES	 "libmsp.1.states"
#define HOLD_MS	 10000

static struct mspd_heir heir;
static struct mspd_listener listener;
static struct mspd_switches switches;
static struct mspd_sweeper sweeper;
static struct msp_address wanted;
static char error[256];

static int listening(struct msp_address *out)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(listen(fd, 1) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	*out = (struct msp_address){ at.sin_addr.s_addr, ntohs(at.sin_port),
				     0 };
	return fd;
}

/* A listener by this name, and one part. */
static void begin(const char *name, struct msp_address *at)
{
	char names[128];
	int fds[2];

	manager_begin("16");
	fake = (struct fake_redirect){ .fd = fcntl(STDERR_FILENO, F_DUPFD,
						   100) };
	fds[0] = listening(at);
	fds[1] = fake.fd;
	snprintf(names, sizeof(names), "%s:" STATES, name);
	manager_hands(fds, 2, names);
	if (fds[0] > 4)
		close(fds[0]);
	manager.n = 2;
	snprintf(manager.kept[0], 64, "%s", name);
	snprintf(manager.kept[1], 64, STATES);
	MUST(mspd_store_open(&heir.store) == 0);
	mspd_switches_init(&switches, NULL, NULL, 1000);
	mspd_sweeper_init(&sweeper, NULL, NULL, 1000);
}

static int find(void)
{
	return mspd_heir_listener(&heir, &listener, &wanted, error,
				  sizeof(error));
}

static bool settle(void)
{
	return mspd_heir_settle(&heir, FAKE, listener.fd, &switches, &sweeper,
				1000);
}

/* ---- the listener ------------------------------------------------------ */

static void listener_was_kept(void)
{
	begin(LISTENER, &wanted);
	MUST(find() == 0);
	MUST(listener.fd == 3 && listener.address.port == wanted.port);
	MUST(heir.inherits && !listener.taken && manager.n == 2);
}

/* Then nothing else is used, either. */
static void listener_was_not_kept(void)
{
	begin("else", &wanted);
	close(3);
	wanted.port = 0;
	MUST(find() == 0);
	MUST(!heir.inherits && manager.n == 0 && listener.fd >= 0);
	MUST(fcntl(4, F_GETFD) < 0 || listener.fd == 4);
}

static void begin_beside(int *squatter)
{
	struct msp_address beside;
	char name[64];
	int fd = listening(&wanted);

	*squatter = fcntl(fd, F_DUPFD, 300);
	close(fd);
	snprintf(name, sizeof(name), "mspd.1.beside.%u", wanted.port);
	begin(name, &beside);
}

static void port_is_still_somebody_elses(void)
{
	int squatter;

	begin_beside(&squatter);
	MUST(find() == 0);
	MUST(heir.inherits && listener.fd == 3 && listener.taken);
	MUST(listener.address.port != wanted.port);
	MUST(listener.holder.pid == (uint32_t)getpid());
	MUST(manager.n == 2);
}

static void port_can_be_had_again(void)
{
	int squatter;

	begin_beside(&squatter);
	close(squatter);
	MUST(find() == 0);
	MUST(!heir.inherits && !listener.taken);
	MUST(listener.address.port == wanted.port && manager.n == 0);
}

/* ---- proof ------------------------------------------------------------- */

static void who_comes_meanwhile_is_kept(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	begin(LISTENER, &wanted);
	fake.others = 3;
	MUST(mspd_heir_prove(&heir, FAKE, 3, &info) == 0);
	MUST(heir.early.n == 3 && fake.patience_ms > 3000);
	fake.proof = MSP_ERR_TIMEOUT;
	MUST(mspd_heir_prove(&heir, FAKE, 3, &info) == MSP_ERR_TIMEOUT);
	MUST(heir.early.n == 6);
	mspd_early_close(&heir.early);
}

static void what_does_not_work_is_off(void)
{
	size_t i;
	int fd;

	begin(LISTENER, &wanted);
	MUST(find() == 0);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		fake.states[i] = MSP_REDIRECT_ENFORCE;
	mspd_early_add(&heir.early, fd = dup(STDERR_FILENO));
	mspd_heir_give_up(&heir, FAKE);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		MUST(fake.states[i] == MSP_REDIRECT_OFF);
	MUST(!heir.inherits && manager.n == 0 && heir.early.n == 0);
	MUST(fcntl(fd, F_GETFD) < 0);
	mspd_heir_give_up(&heir, NULL); /* there was none to be opened */
}

/* ---- clients that wait ------------------------------------------------- */

static void take_over(void)
{
	begin(LISTENER, &wanted);
	MUST(find() == 0);
	fake.taken = 1;
	fake.states[MSP_ENDPOINT_IMDS] = MSP_REDIRECT_AUDIT;
	MUST(settle());
	MUST(heir.taken_over && heir.holding && !heir.inherits);
	MUST(mspd_switches_is(&switches, MSP_ENDPOINT_IMDS) ==
	     MSP_REDIRECT_AUDIT);
	MUST(mspd_switches_deadline(&switches) == MSP_NEVER);
	MUST(manager.n == MSP_REDIRECT_PARTS + 1);
}

static void clients_wait_for_the_host(void)
{
	take_over();
	MUST(!mspd_heir_lets_in(&heir, false, 1000));
	MUST(mspd_heir_lets_in(&heir, true, 1001));
	MUST(!mspd_heir_lets_in(&heir, true, 1002)); /* once */
}

static void clients_wait_no_longer_than_that(void)
{
	take_over();
	MUST(heir.hold_until == 1000 + HOLD_MS);
	MUST(!mspd_heir_lets_in(&heir, false, 1000 + HOLD_MS - 1));
	MUST(mspd_heir_lets_in(&heir, false, 1000 + HOLD_MS));
	MUST(!mspd_heir_lets_in(&heir, false, 1000 + 2 * HOLD_MS));
}

static void nobody_waits(void)
{
	begin(LISTENER, &wanted);
	MUST(find() == 0);
	fake.taken = 1; /* but all was off */
	MUST(!settle());
	MUST(!heir.holding && heir.taken_over);
	MUST(!mspd_heir_lets_in(&heir, true, 1001));
}

static void manager_hears_later(void)
{
	uint64_t at;

	begin(LISTENER, &wanted);
	MUST(find() == 0);
	manager.fail_at = 1;
	(void)settle();
	MUST(heir.failing && !mspd_store_keeps(heir.store));
	at = mspd_heir_deadline(&heir);
	MUST(at > 1000 && at < 1000 + 5001);
	mspd_heir_keep(&heir, FAKE, listener.fd, at);
	MUST(heir.failing && mspd_heir_deadline(&heir) > at);
	manager.fail_at = 0;
	mspd_heir_keep(&heir, FAKE, listener.fd, at); /* not yet */
	MUST(heir.failing);
	mspd_heir_keep(&heir, FAKE, listener.fd, mspd_heir_deadline(&heir));
	MUST(!heir.failing && mspd_store_keeps(heir.store));
	MUST(manager.n == MSP_REDIRECT_PARTS + 1);
	MUST(mspd_heir_deadline(&heir) == MSP_NEVER);
	manager.calls = 0;
	mspd_heir_keep(&heir, FAKE, listener.fd, 10 * at);
	MUST(manager.calls == 0);
	mspd_heir_changed(&heir, FAKE, listener.fd, 2, 10 * at);
	MUST(manager.calls == 2 && mspd_heir_deadline(&heir) == MSP_NEVER);
}

static void (*const cases[])(void) = {
	listener_was_kept,
	listener_was_not_kept,
	port_is_still_somebody_elses,
	port_can_be_had_again,
	who_comes_meanwhile_is_kept,
	what_does_not_work_is_off,
	clients_wait_for_the_host,
	clients_wait_no_longer_than_that,
	nobody_waits,
	manager_hears_later,
};

START_TEST(heir_does_as_its_header_says)
{
	ck_assert_int_eq(in_process(cases[_i]), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heir");
	TCase *tc = tcase_create("heir");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, heir_does_as_its_header_says, 0,
			    sizeof(cases) / sizeof(cases[0]));
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
