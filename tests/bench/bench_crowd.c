/* SPDX-License-Identifier: MIT */
/*
 * In: a cgroup. Out: 64 users connect at once, a million times; how many of
 * them one accept loop did not identify, or took for somebody else: must be
 * none. Must never trust the kernel side for what it is compared with: each
 * client says who it is on its connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/kit.h"
#include "tests/bench/measure.h"

#define CLIENTS	   64
#define UID_FIRST  40000
#define EVENTS	   128
#define PATIENCE   30000 /* ms without anything happening */
#define FDS_MAX	   4096
#define PATIENCE_S (PATIENCE / 1000)

/* What a client says about itself. */
struct claim {
	uint32_t uid;
	uint32_t pid;
	uint16_t port; /* its own, network byte order */
	uint16_t mapped;
};

struct tally {
	unsigned int accepted, answered;
	unsigned int misses, wrong, broken;
	char text[320]; /* why the first was missed */
};

/* Facts of the connections that have not yet said who they are. */
static struct msp_caller callers[FDS_MAX];

static uint16_t own_port(int fd)
{
	struct target at = { .len = sizeof(at.to) };

	if (getsockname(fd, &at.to.any, &at.len) < 0)
		_exit(3);
	return at.to.any.sa_family == AF_INET ? at.to.v4.sin_port
					      : at.to.v6.sin6_port;
}

static void connect_once(const struct target *at, struct claim claim)
{
	int fd = kit_socket(at->to.any.sa_family);
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	char answer;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, &at->to.any, at->len) < 0)
		_exit(3);
	claim.port = own_port(fd);
	if (send(fd, &claim, sizeof(claim), MSG_NOSIGNAL) != sizeof(claim) ||
	    recv(fd, &answer, 1, 0) != 1)
		_exit(4);
	close(fd);
}

/* Forked before the programs are loaded: it must not keep them. */
static pid_t client(unsigned int number, unsigned int connects,
		    const int start[2])
{
	const uid_t uid = (uid_t)(UID_FIRST + number);
	struct claim claim = { .mapped = number % 2 };
	struct target at = kit_target(claim.mapped ? "::ffff:169.254.169.254"
						   : "169.254.169.254",
				      80);
	pid_t pid = fork();
	char byte;

	measure_need(pid, "cannot fork");
	if (pid)
		return pid;
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(5);
	kit_end_with_parent(); /* not before: a new uid takes it back */
	claim.uid = uid;
	claim.pid = (uint32_t)getpid();
	close(start[1]);
	if (read(start[0], &byte, 1) != 0) /* end of file: go */
		_exit(5);
	while (connects--)
		connect_once(&at, claim);
	_exit(0);
}

static void watch(int queue, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	event.data.fd = fd;
	measure_need(epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event), "epoll");
}

static void take_connection(struct msp_redirect *redirect, int queue, int fd,
			    struct tally *t)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	if (fd >= FDS_MAX)
		measure_die("descriptor %d is out of range", fd);
	t->accepted++;
	callers[fd].size = sizeof(callers[fd]);
	if (msp_peer_identify(redirect, fd, &callers[fd], &info) < 0) {
		if (!t->misses++)
			memcpy(t->text, info.text, sizeof(t->text));
	}
	watch(queue, fd);
}

static bool is_right(const struct msp_caller *c, const struct claim *claim,
		     int fd)
{
	const bool mapped = c->flags & MSP_CALLER_V6_MAPPED;
	struct target at = { .len = sizeof(at.to) };

	if (getpeername(fd, &at.to.any, &at.len) < 0)
		return false;
	return c->flags & MSP_CALLER_KNOWN && c->uid == claim->uid &&
	       c->euid == claim->uid && c->gid == claim->uid &&
	       c->pid == claim->pid && mapped == (bool)claim->mapped &&
	       c->destination.port == 80 && at.to.v4.sin_port == claim->port;
}

/* Compared before the client is answered: then it resets the connection. */
static void answer(int fd, struct tally *t)
{
	const struct msp_caller *caller = &callers[fd];
	struct claim claim;

	if (recv(fd, &claim, sizeof(claim), MSG_DONTWAIT) != sizeof(claim))
		t->broken++;
	else if (caller->flags & MSP_CALLER_KNOWN &&
		 !is_right(caller, &claim, fd))
		t->wrong++;
	if (send(fd, "k", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		t->broken++;
	t->answered++;
	close(fd);
}

static void accept_all(struct msp_redirect *redirect, int listener, int queue,
		       struct tally *t)
{
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			return;
		measure_need(fd, "cannot accept");
		take_connection(redirect, queue, fd, t);
	}
}

static void serve(struct msp_redirect *redirect, int listener,
		  unsigned int total, struct tally *t)
{
	int queue = epoll_create1(EPOLL_CLOEXEC);

	measure_need(queue, "epoll");
	measure_need(fcntl(listener, F_SETFL, O_NONBLOCK), "fcntl");
	watch(queue, listener);
	while (t->answered < total) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(queue, events, EVENTS, PATIENCE), i;

		if (n == 0)
			break; /* clients that ended early say why */
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(redirect, listener, queue, t);
			else
				answer(events[i].data.fd, t);
		}
	}
	close(queue);
}

static unsigned int failed_clients(const pid_t pids[CLIENTS])
{
	unsigned int failed = 0;
	size_t i;

	for (i = 0; i < CLIENTS; i++) {
		int status = 0;

		measure_need(waitpid(pids[i], &status, 0), "waitpid");
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	return failed;
}

static int report(const struct tally *t, unsigned int total,
		  unsigned int failed, double seconds)
{
	const unsigned int lost = total - t->answered + t->broken;

	measure_result("connects of 64 users at once", total, "connects",
		       NO_GOAL, "half of them IPv6 mapped");
	measure_result("- not identified", t->misses, "connects", 0, "%s",
		       t->misses ? t->text : "one accept loop");
	measure_result("- wrong identity", t->wrong, "connects", 0,
		       "uid, gid, pid, family, against the client's word");
	measure_result("- not served", lost, "connects", 0, "%u clients failed",
		       failed);
	measure_result("- connects per second", total / seconds, "1/s", NO_GOAL,
		       "clients on the same CPUs");
	return t->misses || t->wrong || lost || failed;
}

int main(int argc, char **argv)
{
	unsigned int each = measure_count(1000000, 20000) / CLIENTS, i;
	struct msp_redirect *redirect;
	struct tally tally = { 0 };
	pid_t pids[CLIENTS];
	struct target at;
	int listener, start[2], rc;
	uint64_t began;

	if (argc != 2)
		measure_die("usage: %s CGROUP", argv[0]);
	measure_need(pipe2(start, O_CLOEXEC), "cannot make a pipe");
	listener = kit_listen(&at);
	for (i = 0; i < CLIENTS; i++)
		pids[i] = client(i, each, start);
	redirect = kit_redirect(argv[1], &at);
	began = measure_now();
	close(start[1]);
	serve(redirect, listener, each * CLIENTS, &tally);
	rc = report(&tally, each * CLIENTS, failed_clients(pids),
		    (double)(measure_now() - began) / 1e9);
	msp_redirect_free(redirect);
	return rc;
}
