/* SPDX-License-Identifier: MIT */
/*
 * In: sockets of this process on loopback. Out: whether they are found in the
 * kernel's list, and only they, and whether we are named as their holder.
 * What needs privileges is in tests/live.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msp/redirect.h>

#include "libmsp/diag.h"
#include "tests/lib/failalloc.h"

#define LOOPBACK htonl(INADDR_LOOPBACK)
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define FDS	 64 /* more than are open here */

/* A bound socket of either family; *port: 0 to get one. */
static int bound(int family, const char *address, bool v6only, uint16_t *port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr *at = (struct sockaddr *)&v4;
	socklen_t len = sizeof(v4);
	int only = v6only;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	v4.sin_port = v6.sin6_port = htons(*port);
	if (family == AF_INET6) {
		at = (struct sockaddr *)&v6;
		len = sizeof(v6);
		ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
					    &only, sizeof(only)),
				 0);
		ck_assert_int_eq(inet_pton(family, address, &v6.sin6_addr), 1);
	} else {
		ck_assert_int_eq(inet_pton(family, address, &v4.sin_addr), 1);
	}
	ck_assert_int_eq(bind(fd, at, len), 0);
	ck_assert_int_eq(getsockname(fd, at, &len), 0);
	*port = ntohs(family == AF_INET6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

/* ---- who has a port ---------------------------------------------------- */

static const struct {
	int family;
	const char *address;
	bool v6only;
	bool found; /* by who wants 127.0.0.1 */
} listeners[] = {
	{ AF_INET, "127.0.0.1", false, true },
	{ AF_INET, "0.0.0.0", false, true },
	{ AF_INET, "127.0.0.2", false, false },
	{ AF_INET6, "::", false, true },
	{ AF_INET6, "::ffff:127.0.0.1", false, true },
	{ AF_INET6, "::ffff:127.0.0.2", false, false },
	{ AF_INET6, "::", true, false },
	{ AF_INET6, "::1", false, false },
};

START_TEST(holder_is_the_process_in_the_way)
{
	struct msp_port_holder holder = { .size = sizeof(holder) };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_address address = { .ip = LOOPBACK };
	int rc, fd;

	fd = bound(listeners[_i].family, listeners[_i].address,
		   listeners[_i].v6only, &address.port);
	ck_assert_int_eq(listen(fd, 1), 0);
	prctl(PR_SET_NAME, "squatter (x) \n1");
	rc = msp_redirect_holder(&address, &holder, &info);
	if (listeners[_i].found) {
		ck_assert_msg(rc == 0, "%s", info.text);
		ck_assert_uint_eq(holder.uid, getuid());
		ck_assert_uint_eq(holder.pid, (uint32_t)getpid());
		ck_assert_uint_ne(holder.inode, 0);
		ck_assert_str_eq(holder.comm, "squatter (x) ");
	} else {
		ck_assert_int_eq(rc, MSP_ERR_NOENT);
		ck_assert_str_ne(info.text, "");
		ck_assert_uint_eq(holder.pid, 0);
	}
	ck_assert_uint_eq(holder.size, sizeof(holder));
	close(fd);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder, NULL),
			 MSP_ERR_NOENT);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(holder_that_listens_comes_first)
{
	struct msp_port_holder holder = { .size = sizeof(holder) };
	struct msp_address address = { .ip = LOOPBACK };
	struct sockaddr_in at = { .sin_family = AF_INET };
	int listener, client, server;
	uint64_t inode;

	listener = bound(AF_INET, "127.0.0.1", false, &address.port);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder, NULL), 0);
	inode = holder.inode;
	at.sin_addr.s_addr = LOOPBACK;
	at.sin_port = htons(address.port);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)),
			 0);
	server = accept(listener, NULL, NULL);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder, NULL), 0);
	ck_assert_uint_eq(holder.inode, inode);
	/* the accepted connection keeps the port, too */
	close(listener);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder, NULL), 0);
	ck_assert_uint_ne(holder.inode, inode);
	ck_assert_uint_eq(holder.pid, (uint32_t)getpid());
	close(client);
	close(server);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	struct msp_address address = { .ip = LOOPBACK, .port = 1 };
	struct msp_address no_port = { .ip = LOOPBACK };
	struct msp_port_holder holder = { .size = sizeof(holder) };
	struct msp_port_holder wrong = { .size = 4, .pid = 7 };
	struct msp_redirect_swept sweep = { .size = sizeof(sweep), .found = 7 };

	ck_assert_int_eq(msp_redirect_holder(&address, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_holder(&address, &wrong, NULL),
			 MSP_ERR_INVAL);
	ck_assert_uint_eq(wrong.pid, 7);
	ck_assert_int_eq(msp_redirect_holder(NULL, &holder, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_holder(&no_port, &holder, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_redirect_sweep(NULL, MSP_ENDPOINT_IMDS, 0, &sweep, NULL),
		MSP_ERR_INVAL);
	ck_assert_uint_eq(sweep.found, 0);
	ck_assert_int_eq(
		msp_redirect_sweep(NULL, MSP_ENDPOINT_IMDS, 0, NULL, NULL),
		MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_redirect_sweep(NULL, MSP_ENDPOINTS, 0, &sweep, NULL),
		MSP_ERR_INVAL);
}
END_TEST

START_TEST(bad_arguments_about_several_endpoints_are_refused)
{
	struct msp_redirect_swept swept[2] = {
		{ .size = sizeof(swept[0]), .found = 7 },
		{ .size = 4, .found = 7 },
	};
	struct msp_redirect_swept *out[MSP_ENDPOINTS] = { NULL, &swept[0],
							  NULL };
	unsigned int flags[MSP_ENDPOINTS] = { 0 };

	ck_assert_int_eq(
		msp_redirect_sweep_all(NULL, flags, NULL, MSP_ENDPOINTS, NULL),
		MSP_ERR_INVAL);
	ck_assert_int_eq(msp_redirect_sweep_all(NULL, flags, out,
						MSP_ENDPOINTS + 1, NULL),
			 MSP_ERR_INVAL);
	ck_assert_uint_eq(swept[0].found, 7);
	/* one that is too small, at any place: none is touched */
	out[2] = &swept[1];
	ck_assert_int_eq(
		msp_redirect_sweep_all(NULL, flags, out, MSP_ENDPOINTS, NULL),
		MSP_ERR_INVAL);
	ck_assert_uint_eq(swept[0].found, 7);
	ck_assert_uint_eq(swept[1].found, 7);
	out[2] = NULL;
	ck_assert_int_eq(
		msp_redirect_sweep_all(NULL, flags, out, MSP_ENDPOINTS, NULL),
		MSP_ERR_INVAL);
	ck_assert_uint_eq(swept[0].found, 0);
}
END_TEST

/* A program of a later version has more fields: they stay as they were. */
START_TEST(longer_structs_are_filled_in_as_far_as_they_are_known)
{
	struct {
		struct msp_port_holder now;
		uint64_t more;
	} holder = { .now = { .size = sizeof(holder) }, .more = 7 };
	struct {
		struct msp_redirect_swept now;
		uint64_t more;
	} swept = { .now = { .size = sizeof(swept), .left = 7 }, .more = 7 };
	struct msp_address address = { .ip = LOOPBACK };
	int fd = bound(AF_INET, "127.0.0.1", false, &address.port);

	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder.now, NULL), 0);
	ck_assert_uint_eq(holder.now.pid, (uint32_t)getpid());
	close(fd);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder.now, NULL),
			 MSP_ERR_NOENT);
	ck_assert_uint_eq(holder.now.pid, 0);
	ck_assert_uint_eq(holder.now.size, sizeof(holder));
	ck_assert_uint_eq(holder.more, 7);
	ck_assert_int_eq(msp_redirect_sweep(NULL, MSP_ENDPOINT_IMDS, 0,
					    &swept.now, NULL),
			 MSP_ERR_INVAL);
	ck_assert_uint_eq(swept.now.left, 0);
	ck_assert_uint_eq(swept.now.size, sizeof(swept));
	ck_assert_uint_eq(swept.more, 7);
}
END_TEST

START_TEST(failed_allocation_is_reported)
{
	struct msp_port_holder holder = { .size = sizeof(holder) };
	struct msp_address address = { .ip = LOOPBACK };
	int fd = bound(AF_INET, "127.0.0.1", false, &address.port);

	ck_assert_int_eq(listen(fd, 1), 0);
	failalloc_arm(0);
	ck_assert_int_eq(msp_redirect_holder(&address, &holder, NULL),
			 MSP_ERR_NOMEM);
	ck_assert(failalloc_disarm());
	ck_assert_uint_eq(holder.inode, 0);
	ck_assert_int_eq(failalloc_live(), 0);
	close(fd);
}
END_TEST

/* ---- the list ---------------------------------------------------------- */

struct seen {
	struct msp_diag_socket last;
	int count;
	int stop;
};

static bool is_ours(uint32_t inode)
{
	struct stat at;
	int fd;

	for (fd = 0; fd < FDS; fd++) {
		if (fstat(fd, &at) == 0 && S_ISSOCK(at.st_mode) &&
		    at.st_ino == inode)
			return true;
	}
	return false;
}

/* The port may have been somebody else's: what is left of a connection to it
 * stays in the list for a minute, and is not what these tests are about. */
static int see(void *arg, const struct msp_diag_socket *socket)
{
	struct seen *seen = arg;

	if (!is_ours(socket->inode))
		return 0;
	seen->last = *socket;
	seen->count++;
	return seen->stop;
}

static int connect_to(int family, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };
	bool mapped = family == AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	v4.sin_addr.s_addr = LOOPBACK;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
	ck_assert_int_eq(connect(fd,
				 mapped ? (struct sockaddr *)&v6
					: (struct sockaddr *)&v4,
				 mapped ? sizeof(v6) : sizeof(v4)),
			 0);
	return fd;
}

static const int families[] = { AF_INET, AF_INET6 };

START_TEST(dump_finds_a_connection_by_its_destination)
{
	struct msp_address remote = { .ip = LOOPBACK };
	struct msp_diag_query query = { .family = families[_i],
					.states = MSP_DIAG_ALL_STATES,
					.remotes = &remote,
					.n_remotes = 1,
					.mark_fd = -1 };
	struct seen seen = { .stop = 0 };
	uint16_t port = 0;
	bool partial = false;
	int fd, listener, client, other;
	uint32_t ip = 0;

	listener = bound(AF_INET, "127.0.0.1", false, &port);
	ck_assert_int_eq(listen(listener, 1), 0);
	client = connect_to(families[_i], port);
	other = connect_to(families[1 - _i], port);
	remote.port = port;
	fd = msp_diag_open(NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 1);
	ck_assert(!partial);
	ck_assert(msp_diag_ipv4(&seen.last, seen.last.id.idiag_dst, &ip));
	ck_assert_uint_eq(ip, LOOPBACK);
	ck_assert_uint_eq(seen.last.family, (uint8_t)families[_i]);
	ck_assert_uint_eq(seen.last.uid, getuid());
	ck_assert_uint_ne(seen.last.inode, 0);
	ck_assert(!seen.last.marked);
	/* the same port of another address */
	remote.ip = htonl(INADDR_LOOPBACK + 1);
	seen.count = 0;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 0);
	close(fd);
	close(client);
	close(other);
	close(listener);
}
END_TEST

/* Each at any place among them, and none that is a mixture of two. */
START_TEST(dump_finds_connections_to_any_of_several_destinations)
{
	struct msp_address remotes[MSP_DIAG_REMOTES];
	struct msp_diag_query query = { .family = AF_UNSPEC,
					.states = MSP_DIAG_ALL_STATES,
					.remotes = remotes,
					.n_remotes = MSP_DIAG_REMOTES,
					.mark_fd = -1 };
	struct seen seen = { .stop = 0 };
	uint16_t port = 0, other = 0;
	bool partial = false;
	int fd, listener[2], client[2];

	memset(remotes, 0xff, sizeof(remotes)); /* nobody is there */
	listener[0] = bound(AF_INET, "127.0.0.1", false, &port);
	listener[1] = bound(AF_INET, "127.0.0.1", false, &other);
	ck_assert_int_eq(listen(listener[0], 1), 0);
	ck_assert_int_eq(listen(listener[1], 1), 0);
	client[0] = connect_to(AF_INET, port);
	client[1] = connect_to(AF_INET6, other);
	remotes[_i] = (struct msp_address){ .ip = LOOPBACK, .port = port };
	remotes[(_i + 1) % MSP_DIAG_REMOTES] =
		(struct msp_address){ .ip = htonl(INADDR_LOOPBACK + 1),
				      .port = other };
	fd = msp_diag_open(NULL);
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 1);
	ck_assert_uint_eq(seen.last.id.idiag_dport, htons(port));
	remotes[(_i + 1) % MSP_DIAG_REMOTES].ip = LOOPBACK;
	seen.count = 0;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 2);
	/* the longest question there is; that is no map */
	query.mark_fd = listener[0];
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 MSP_ERR_SYS);
	close(fd);
	close(client[0]);
	close(client[1]);
	close(listener[0]);
	close(listener[1]);
}
END_TEST

START_TEST(dump_of_both_families_finds_both)
{
	struct msp_address remote = { .ip = LOOPBACK };
	struct msp_diag_query query = { .family = AF_UNSPEC,
					.states = MSP_DIAG_ALL_STATES,
					.remotes = &remote,
					.n_remotes = 1,
					.mark_fd = -1 };
	struct seen seen = { .stop = 0 };
	bool partial = false;
	int fd, listener, client[2];

	listener = bound(AF_INET, "127.0.0.1", false, &remote.port);
	ck_assert_int_eq(listen(listener, 2), 0);
	client[0] = connect_to(AF_INET, remote.port);
	fd = msp_diag_open(NULL);
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 1);
	ck_assert_uint_eq(seen.last.family, AF_INET);
	client[1] = connect_to(AF_INET6, remote.port);
	seen.count = 0;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 2);
	ck_assert(!partial);
	ck_assert_uint_ne(seen.last.inode, 0);
	remote.ip = htonl(INADDR_LOOPBACK + 1);
	seen.count = 0;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 0);
	/* that is no map */
	query.mark_fd = listener;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 MSP_ERR_SYS);
	close(fd);
	close(client[0]);
	close(client[1]);
	close(listener);
}
END_TEST

/* Whoever may not destroy is told so; a connection that is gone is gone. */
START_TEST(destroy_is_refused_or_resets_the_connection)
{
	struct msp_address remote = { .ip = LOOPBACK };
	struct msp_diag_query query = { .family = AF_INET,
					.states = MSP_DIAG_ALL_STATES,
					.remotes = &remote,
					.n_remotes = 1,
					.mark_fd = -1 };
	struct seen seen = { .stop = 0 };
	bool partial = false;
	int fd, listener, client, rc;
	char byte;

	listener = bound(AF_INET, "127.0.0.1", false, &remote.port);
	ck_assert_int_eq(listen(listener, 1), 0);
	client = connect_to(AF_INET, remote.port);
	fd = msp_diag_open(NULL);
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 0);
	ck_assert_int_eq(seen.count, 1);
	rc = msp_diag_destroy(fd, &seen.last);
	if (rc == 0) {
		ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), -1);
		ck_assert_int_eq(errno, ECONNABORTED);
		rc = msp_diag_destroy(fd, &seen.last);
		ck_assert_msg(rc == ENOENT || rc == ESTALE, "%d", rc);
	} else {
		ck_assert_msg(rc == EPERM || rc == EOPNOTSUPP, "%d", rc);
		ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), -1);
		ck_assert_int_eq(errno, EAGAIN);
	}
	close(fd);
	close(client);
	close(listener);
}
END_TEST

START_TEST(dump_ends_when_told_and_says_what_the_kernel_refused)
{
	struct msp_diag_query query = { .family = AF_INET,
					.states = MSP_DIAG_ALL_STATES,
					.mark_fd = -1 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct seen seen = { .stop = MSP_ERR_LIMIT };
	bool partial = false;
	int fd, listener;

	listener = bound(AF_INET, "127.0.0.1", false, &query.local_port);
	ck_assert_int_eq(listen(listener, 1), 0);
	fd = msp_diag_open(NULL);
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, NULL),
			 MSP_ERR_LIMIT);
	ck_assert_int_eq(seen.count, 1);
	close(fd);
	fd = msp_diag_open(NULL);
	query.family = AF_MAX; /* there is none */
	seen.stop = 0;
	ck_assert_int_eq(msp_diag_dump(fd, &query, see, &seen, &partial, &info),
			 MSP_ERR_SYS);
	ck_assert_int_ne(info.sys_errno, 0);
	ck_assert_int_eq(msp_diag_dump(-1, &query, see, &seen, &partial, &info),
			 MSP_ERR_SYS);
	close(fd);
	close(listener);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diag");
	TCase *tc = tcase_create("diag");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, holder_is_the_process_in_the_way, 0,
			    COUNT(listeners));
	tcase_add_test(tc, holder_that_listens_comes_first);
	tcase_add_test(tc, bad_arguments_are_refused);
	tcase_add_test(tc, bad_arguments_about_several_endpoints_are_refused);
	tcase_add_test(tc,
		       longer_structs_are_filled_in_as_far_as_they_are_known);
	tcase_add_test(tc, failed_allocation_is_reported);
	tcase_add_test(tc, dump_of_both_families_finds_both);
	tcase_add_loop_test(
		tc, dump_finds_connections_to_any_of_several_destinations, 0,
		MSP_DIAG_REMOTES);
	tcase_add_loop_test(tc, dump_finds_a_connection_by_its_destination, 0,
			    COUNT(families));
	tcase_add_test(tc, destroy_is_refused_or_resets_the_connection);
	tcase_add_test(tc,
		       dump_ends_when_told_and_says_what_the_kernel_refused);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
