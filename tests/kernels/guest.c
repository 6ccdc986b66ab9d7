/* SPDX-License-Identifier: MIT */
/*
 * In: a kernel that starts this as PID 1; "expect" in the environment says
 * what it should be able to do. Out: a line per check on the console, and
 * the sum in the last one. Must never end without it, whatever fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"
#define MINIMUM	 "Linux 5.15 or newer is required"

static unsigned int passed, failed;

void check(bool ok, const char *format, ...)
{
	va_list args;

	*(ok ? &passed : &failed) += 1;
	printf("%s ", ok ? "  ok" : "  FAILED");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

bool all_well(void)
{
	return failed == 0;
}

static void check_call(int rc, const char *what)
{
	check(rc == 0, "%s%s%s", what, rc ? ": " : "",
	      rc ? strerror(errno) : "");
}

/* Nothing stays behind: the host is reached, the port is free again. */
static void check_after(struct world *w)
{
	check_attached(0, "afterwards");
	check_unloaded("afterwards");
	check_off(w, "afterwards");
	check_bind(w, false);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool bring_up(struct world *w)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	long start = now_ms();
	int rc = world_open(w, 0, &info);

	check(rc == 0, "the programs load and attach, in %ld ms %s",
	      now_ms() - start, rc ? info.text : "");
	if (rc < 0)
		return false;
	check_attached(1, "attached");
	check_off(w, "before they are switched on");
	rc = world_listen(w);
	check_call(rc, "the listener has its port");
	if (rc < 0)
		return false;
	rc = msp_redirect_prove(w->redirect, w->listener, WAIT_SECONDS * 1000,
				&info);
	check(rc == 0, "the channel is proved %s", rc ? info.text : "");
	return rc == 0;
}

static void check_counters(struct world *w)
{
	static const enum msp_redirect_counter none[] = {
		MSP_COUNT_NO_STORAGE,	 MSP_COUNT_CLOSED,
		MSP_COUNT_NOT_CONNECTED, MSP_COUNT_NOT_OURS,
		MSP_COUNT_NOT_PEERS,	 MSP_COUNT_NO_FACTS,
		MSP_COUNT_OTHER_PIDS,	 MSP_COUNT_FAILED,
	};
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		check(msp_redirect_count(w->redirect, none[i]) == 0,
		      "counter %d is 0", none[i]);
}

/* Everything, with paths of executables or without. */
static void check_working(struct world *w, bool paths)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	if (!bring_up(w))
		return;
	check(w->paths == paths, "paths of programs are %s",
	      paths ? "shown" : "not shown");
	world_set(w, MSP_REDIRECT_ENFORCE);
	check_many(w);
	check_lies(w);
	check_direct(w);
	check_bind(w, true);
	check_programs(w);
	check_selectors(w);
	check_foreign(w);
	check(world_escaped(w) == 0, "nothing reached the host");
	check_counters(w);
	world_close(w);
	check_after(w);
	if (!paths)
		return;
	/* what a lockdown would leave of them loads here as well */
	if (world_open(w, MSP_REDIRECT_NO_PATH, &info) < 0)
		check(false, "without paths: %s", info.text);
	check(w->redirect && !w->paths, "they load without paths as well");
	world_close(w);
	check_unloaded("afterwards");
}

static void check_refused(struct world *w)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = world_open(w, 0, &info);

	check(rc == MSP_ERR_UNSUPPORTED && !w->redirect,
	      "this kernel is refused (%d)", rc);
	check(strstr(info.text, MINIMUM) != NULL, "the reason is said: %s",
	      info.text);
	check_after(w);
}

static bool locked_down(void)
{
	char text[128];

	return read_file(LOCKDOWN, text, sizeof(text)) == 0 &&
	       strstr(text, "[confidentiality]") != NULL;
}

/* With services of the host that answer no request. */
static void check_kernel(const char *expect)
{
	struct world world;

	check_call(world_start(&world), "the host's services");
	if (failed)
		return;
	if (strcmp(expect, "refuse") == 0)
		check_refused(&world);
	else if (strcmp(expect, "lockdown") != 0)
		check_working(&world, true);
	else if (locked_down())
		check_working(&world, false);
	else
		printf("LOCKDOWN is not to be had on this kernel\n");
}

static void check_all(const char *expect)
{
	struct utsname name;

	if (uname(&name) == 0)
		printf("KERNEL %s\n", name.release);
	check_call(guest_mount(), "file systems");
	check_call(guest_network(), "addresses");
	check_call(copy_file(CLIENT, "/tmp/client"), "a second client");
	if (failed)
		return;
	if (strcmp(expect, "agent") == 0)
		check_agent();
	else if (strcmp(expect, "units") == 0)
		check_units();
	else
		check_kernel(expect);
}

int main(int argc, char **argv)
{
	const char *expect = getenv("expect");

	if (strcmp(argv[0], "client") == 0)
		return client_main(argc, argv);
	if (strcmp(argv[0], "fetch") == 0)
		return fetch_main(argc, argv);
	if (getpid() != 1) {
		fprintf(stderr, "for the test's own machine only\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	check_all(expect ? expect : "full");
	printf("RESULT %u passed, %u failed\n", passed, failed);
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
