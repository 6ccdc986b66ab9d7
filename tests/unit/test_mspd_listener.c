/* SPDX-License-Identifier: MIT */
/*
 * In: ports that are free or not, directories. Out: whether there is a
 * listener whoever has the port, and whether the file says where it is.
 */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/listener.h"
#include "mspd/log.h"
#include "tests/lib/scratch.h"

#define LOOPBACK htonl(INADDR_LOOPBACK)

static const char *dir;
static struct mspd_listener listener;

static void setup(void)
{
	dir = scratch_make();
	/* errors are expected, but not in the output of the tests */
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(mspd_log_open(dir, MSPD_INFO, MSPD_ERROR), 0);
	listener.fd = -1;
}

static void teardown(void)
{
	mspd_log_close();
	if (listener.fd >= 0)
		close(listener.fd);
	scratch_remove();
}

static int squat(uint16_t *port, int backlog)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = LOOPBACK;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (backlog)
		ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static bool takes_clients(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;
	int got;

	at.sin_addr.s_addr = listener.address.ip;
	at.sin_port = htons(listener.address.port);
	yes = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	got = accept(listener.fd, NULL, NULL);
	if (got >= 0)
		close(got);
	close(fd);
	return yes && got >= 0;
}

START_TEST(free_port_is_taken_as_it_is)
{
	struct msp_address address = { .ip = LOOPBACK };
	char error[256] = "";

	close(squat(&address.port, 0));
	ck_assert_int_eq(
		mspd_listener_open(&listener, &address, error, sizeof(error)),
		0);
	ck_assert_uint_eq(listener.address.port, address.port);
	ck_assert_uint_eq(listener.address.ip, address.ip);
	ck_assert(!listener.taken);
	ck_assert(takes_clients());
}
END_TEST

START_TEST(taken_port_is_left_to_its_holder)
{
	struct msp_address address = { .ip = LOOPBACK };
	int squatter = squat(&address.port, _i);
	char error[256] = "";
	char *log;

	ck_assert_int_eq(
		mspd_listener_open(&listener, &address, error, sizeof(error)),
		0);
	ck_assert_uint_ne(listener.address.port, address.port);
	ck_assert_uint_ne(listener.address.port, 0);
	ck_assert_uint_eq(listener.address.ip, address.ip);
	ck_assert(listener.taken);
	if (_i) { /* it listens */
		ck_assert_uint_eq(listener.holder.uid, getuid());
		ck_assert_uint_eq(listener.holder.pid, (uint32_t)getpid());
	}
	ck_assert(takes_clients());
	log = scratch_read("ProxyAgent.log", NULL);
	ck_assert_ptr_nonnull(strstr(log, " is taken by "));
	ck_assert_ptr_nonnull(strstr(log, "[ERROR]"));
	free(log);
	close(squatter);
}
END_TEST

static int open_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(files);
	while (readdir(files))
		n++;
	closedir(files);
	return n;
}

/* It is tried again for as long as it fails. */
START_TEST(failed_attempts_leave_nothing_open)
{
	struct msp_address address = { .ip = htonl(0xc0000201), .port = 3080 };
	int before = open_files();
	char error[256];
	int i;

	for (i = 0; i < 10; i++)
		ck_assert_int_eq(mspd_listener_open(&listener, &address, error,
						    sizeof(error)),
				 -1);
	ck_assert_int_eq(open_files(), before);
}
END_TEST

START_TEST(address_that_is_not_here_is_an_error)
{
	struct msp_address address = { .ip = htonl(0xc0000201), .port = 3080 };
	char error[256] = "";

	ck_assert_int_eq(
		mspd_listener_open(&listener, &address, error, sizeof(error)),
		-1);
	ck_assert_int_eq(listener.fd, -1);
	ck_assert_str_eq(error, "IO error: Failed to bind TcpListener "
				"'192.0.2.1:3080': Cannot assign requested "
				"address");
}
END_TEST

START_TEST(file_says_where_until_it_is_removed)
{
	struct msp_address address = { .ip = LOOPBACK, .port = 41234 };
	char run[PATH_MAX];
	char *text;

	snprintf(run, sizeof(run), "%s/run/mspd", dir);
	ck_assert_int_eq(mspd_listener_tell(&address, run), 0);
	text = scratch_read("run/mspd/listener", NULL);
	ck_assert_str_eq(text, "127.0.0.1:41234\n");
	free(text);
	ck_assert_uint_eq(scratch_mode("run/mspd/listener"), 0644);
	ck_assert_uint_eq(scratch_mode("run/mspd") & 0777, 0755);
	address.port = 3080;
	ck_assert_int_eq(mspd_listener_tell(&address, run), 0);
	text = scratch_read("run/mspd/listener", NULL);
	ck_assert_str_eq(text, "127.0.0.1:3080\n");
	free(text);
	ck_assert_int_eq(mspd_listener_untell(run), 0);
	ck_assert_int_eq(access(scratch_path("run/mspd/listener"), F_OK), -1);
	ck_assert_int_eq(mspd_listener_untell(run), 0);
}
END_TEST

START_TEST(longest_address_fits)
{
	struct msp_address address = { .ip = 0xffffffff, .port = 65535 };
	char text[MSPD_LISTENER_TEXT];

	mspd_listener_text(&address, text);
	ck_assert_str_eq(text, "255.255.255.255:65535");
	ck_assert_int_eq(mspd_listener_tell(&address, dir), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_listener");
	TCase *tc = tcase_create("listener");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, free_port_is_taken_as_it_is);
	tcase_add_loop_test(tc, taken_port_is_left_to_its_holder, 0, 2);
	tcase_add_test(tc, address_that_is_not_here_is_an_error);
	tcase_add_test(tc, failed_attempts_leave_nothing_open);
	tcase_add_test(tc, file_says_where_until_it_is_removed);
	tcase_add_test(tc, longest_address_fits);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
