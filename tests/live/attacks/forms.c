/* SPDX-License-Identifier: MIT */
/*
 * In: ways to connect other than connect() on an IPv4 socket. Out: requests
 * of nobody through each of them. Must never take another way when one is
 * not there.
 *
 * Variants: mapped, nonblocking, thread, io_uring, mptcp. Where the way has
 * room for it, the attacker is also a user whom a process of daemon lets
 * connect through it: for the moment of the call, in a thread of his own, or
 * by registered credentials. Who looks at the process sees daemon. Honest
 * callers are daemon, likewise within a process of nobody.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"
#include "tests/live/attacks/ring.h"

#define HONEST_PAUSE_US 3000
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct player;

struct form {
	const char *name;
	/* The call, by whoever may connect. A descriptor or -errno. */
	int (*open)(struct player *p);
	bool moment;	/* becomes the caller for the call only */
	bool thread;	/* a thread is the caller */
	bool registers; /* the ring has the caller's credentials */
};

struct player {
	struct attack *a;
	const struct form *form;
	enum attack_path path;
	uid_t process, caller;
	unsigned int number;
	struct ring ring[2]; /* the second is polled by the kernel */
	uint16_t credentials;
};

/* Of this thread alone: the C library changes all of them. */
static void become(uid_t now, uid_t later)
{
	if (syscall(SYS_setresuid, now, now, later) < 0)
		attack_die("setresuid");
}

/* ---- forms ------------------------------------------------------------- */

static struct sockaddr_in imds_address(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons(ENDPOINT_PORT);
	if (inet_pton(AF_INET, IMDS_ADDRESS, &to.sin_addr) != 1)
		attack_die("address");
	return to;
}

static int other_socket(const struct player *p, int family, int protocol)
{
	struct timeval limit = { .tv_sec = p->a->timeout_ms / 1000,
				 .tv_usec = p->a->timeout_ms % 1000 * 1000 };
	int fd = socket(family, SOCK_STREAM, protocol);

	if (fd < 0)
		attack_cannot(p->a, "such sockets");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		attack_die("setsockopt");
	return fd;
}

static int closed(int fd, int rc)
{
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int open_mapped(struct player *p)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	int fd = other_socket(p, AF_INET6, 0);

	to.sin6_port = htons(ENDPOINT_PORT);
	if (inet_pton(AF_INET6, "::ffff:" IMDS_ADDRESS, &to.sin6_addr) != 1)
		attack_die("address");
	return closed(fd, connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0
				  ? -errno
				  : 0);
}

static int open_mptcp(struct player *p)
{
	int fd = other_socket(p, AF_INET, IPPROTO_MPTCP);

	return closed(fd, attack_connect(fd));
}

static int open_plain(struct player *p)
{
	int fd = attack_socket(p->a);

	return closed(fd, attack_connect(fd));
}

static int open_nonblocking(struct player *p)
{
	int fd = attack_socket(p->a);
	int rc;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		attack_die("fcntl");
	rc = attack_connect(fd);
	return closed(fd, rc == -EINPROGRESS ? 0 : rc);
}

static int open_by_ring(struct player *p)
{
	struct sockaddr_in to = imds_address();
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT };
	int fd = attack_socket(p->a);

	sqe.fd = fd;
	sqe.addr = (uint64_t)(uintptr_t)&to;
	sqe.off = sizeof(to);
	sqe.personality = p->credentials;
	/* at once, by another thread, or by one of the kernel's */
	if (p->number % 3 == 1)
		sqe.flags = IOSQE_ASYNC;
	return closed(fd, ring_do(&p->ring[p->number % 3 == 2], &sqe));
}

static const struct form forms[] = {
	{ "mapped", open_mapped, false, false, false },
	{ "nonblocking", open_nonblocking, true, false, false },
	{ "thread", open_plain, false, true, false },
	{ "io_uring", open_by_ring, false, false, true },
	{ "mptcp", open_mptcp, false, false, false },
};

static const struct form *form_of(const struct attack *a)
{
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].name, a->variant) == 0)
			return &forms[i];
	attack_die(a->variant);
}

/* ---- asking ------------------------------------------------------------ */

static bool lent(const struct player *p)
{
	return p->process != p->caller;
}

/* Some of them while the agent stands still: it sees who is there later. */
static bool holds(const struct player *p)
{
	return p->path == ATTACK_PATH && lent(p) && p->number & 1;
}

static int open_as_caller(struct player *p)
{
	bool moment = p->form->moment && lent(p);
	int fd;

	if (moment)
		become(p->caller, p->process);
	fd = p->form->open(p);
	if (moment)
		become(p->process, p->caller);
	return fd;
}

static int ask(struct player *p)
{
	struct pollfd ready = { .events = POLLOUT };
	int fd, rc;

	if (holds(p))
		attack_hold(p->a);
	fd = open_as_caller(p);
	if (holds(p))
		attack_release(p->a);
	if (fd < 0)
		return fd;
	ready.fd = fd;
	poll(&ready, 1, p->a->timeout_ms);
	if (fcntl(fd, F_SETFL, 0) < 0)
		attack_die("fcntl");
	rc = attack_send(p->a, fd, p->path);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

static void attack_loop(struct player *p)
{
	while (attack_more(p->a)) {
		attack_try(p->a, ask(p));
		p->number++;
	}
}

static void honest_loop(struct player *p)
{
	struct attack_counts *c = p->a->counts;
	bool last;

	do {
		last = atomic_load(&c->stop);
		atomic_fetch_add(&c->honest, 1);
		if (ask(p) == ATTACK_PASSED)
			atomic_fetch_add(&c->honest_ok, 1);
		p->number++;
		usleep(HONEST_PAUSE_US);
	} while (!last);
}

static void loop(struct player *p)
{
	if (p->path == ATTACK_PATH)
		attack_loop(p);
	else
		honest_loop(p);
}

/* ---- players ----------------------------------------------------------- */

static void *play_as_thread(void *arg)
{
	struct player *p = arg;

	become(p->caller, p->caller);
	loop(p);
	return NULL;
}

static void open_rings(struct player *p)
{
	if (ring_open(&p->ring[0], 0) < 0 ||
	    ring_open(&p->ring[1], IORING_SETUP_SQPOLL) < 0)
		attack_cannot(p->a, "io_uring");
}

/* Both rings give the first credentials the same number. */
static void register_caller(struct player *p)
{
	int first, second;

	become(p->caller, p->process);
	first = ring_register_credentials(&p->ring[0]);
	second = ring_register_credentials(&p->ring[1]);
	become(p->process, p->caller);
	if (first <= 0 || second != first)
		attack_die("credentials");
	p->credentials = (uint16_t)first;
}

static pid_t start(struct attack *a, uid_t process, uid_t caller)
{
	struct player p = { .a = a, .process = process, .caller = caller };
	pid_t pid = attack_fork();
	pthread_t thread;

	if (pid)
		return pid;
	p.form = form_of(a);
	p.path = caller == ATTACK_DAEMON ? HONEST_PATH : ATTACK_PATH;
	if (setgroups(0, NULL) < 0 || setresgid(caller, caller, caller) < 0)
		attack_die("setresgid");
	if (p.form->thread &&
	    pthread_create(&thread, NULL, play_as_thread, &p) != 0)
		attack_die("pthread_create");
	become(process, caller);
	if (p.form->registers)
		open_rings(&p);
	if (p.form->registers && lent(&p))
		register_caller(&p);
	if (!p.form->thread)
		loop(&p);
	else if (pthread_join(thread, NULL) != 0)
		attack_die("pthread_join");
	_exit(0);
}

int main(int argc, char **argv)
{
	const struct form *form;
	pid_t player[4] = { 0 };
	bool lends, failed = false;
	struct attack a;
	int i;

	attack_open(&a, argc, argv);
	form = form_of(&a);
	lends = form->moment || form->thread || form->registers;
	player[0] = start(&a, ATTACK_NOBODY, ATTACK_NOBODY);
	player[1] = start(&a, ATTACK_DAEMON, ATTACK_DAEMON);
	if (lends) {
		player[2] = start(&a, ATTACK_DAEMON, ATTACK_NOBODY);
		player[3] = start(&a, ATTACK_NOBODY, ATTACK_DAEMON);
	}
	failed |= attack_wait(player[0]) != 0;
	if (lends)
		failed |= attack_wait(player[2]) != 0;
	atomic_store(&a.counts->stop, true);
	for (i = 1; i < 4; i += 2)
		if (player[i])
			failed |= attack_wait(player[i]) != 0;
	attack_close(&a);
	return failed;
}
