/* SPDX-License-Identifier: MIT */
/*
 * In: what an attacker and an honest caller do in one try. Out: both do it,
 * step by step, as often as there are tries. Must never let one of them go
 * on while the other one is behind.
 */
#include "tests/live/attacks/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_PORT 20000
#define PORTS	   10000

void pair_meet(struct pair *p)
{
	attack_meet(&p->barrier, 2);
}

static _Noreturn void be_honest(struct pair *p, void (*honest)(struct pair *))
{
	attack_become(ATTACK_DAEMON, ATTACK_DAEMON);
	for (;;) {
		pair_meet(p); /* the last try is over */
		pair_meet(p);
		if (!p->more)
			_exit(0);
		honest(p);
	}
}

/* Nobody to meet any more. */
static void on_end_of_other(int signal_number)
{
	(void)signal_number;
	_exit(3);
}

static _Noreturn void be_both(struct pair *p, void (*attacker)(struct pair *),
			      void (*honest)(struct pair *))
{
	long pid;

	signal(SIGCHLD, on_end_of_other);
	/* fork(), but for the descriptors */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		attack_die("clone");
	if (pid == 0)
		be_honest(p, honest);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	for (;;) {
		pair_meet(p);
		p->more = attack_more(p->a);
		p->number++;
		if (!p->more)
			signal(SIGCHLD, SIG_DFL);
		pair_meet(p);
		if (!p->more)
			_exit(attack_wait((pid_t)pid));
		attacker(p);
	}
}

void pair_play(struct attack *a, void (*attacker)(struct pair *),
	       void (*honest)(struct pair *))
{
	struct pair *p = attack_share(sizeof(*p));
	pid_t pid;

	p->a = a;
	pid = attack_fork();
	if (pid == 0)
		be_both(p, attacker, honest);
	if (attack_wait(pid) != 0)
		exit(3);
}

uint16_t pair_port(const struct pair *p)
{
	return (uint16_t)(FIRST_PORT + p->number % PORTS);
}

int pair_socket(const struct pair *p, const char *ip, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = attack_socket(p->a), one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		attack_die("SO_REUSEADDR");
	at.sin_addr.s_addr = inet_addr(ip);
	at.sin_port = htons(port);
	if (port && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		attack_die("bind");
	return fd;
}

void pair_begin_connect(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	attack_connect(fd);
	fcntl(fd, F_SETFL, flags);
}

int pair_disconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(fd, &none, sizeof(none)) < 0 ? -errno : 0;
}

void pair_bind_device(int fd, const char *device)
{
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
		       (socklen_t)strlen(device) + 1) < 0)
		attack_die(device);
}

int pair_ask(const struct pair *p, int fd, enum attack_path path)
{
	int rc = attack_send(p->a, fd, path);

	return rc < 0 ? rc : attack_answer(fd);
}

void pair_count_honest(const struct pair *p, int answer)
{
	atomic_fetch_add(&p->a->counts->honest, 1);
	if (answer == ATTACK_PASSED)
		atomic_fetch_add(&p->a->counts->honest_ok, 1);
}

uint16_t pair_port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		attack_die("getsockname");
	return ntohs(at.sin_port);
}
