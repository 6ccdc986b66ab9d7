/* SPDX-License-Identifier: MIT */
/*
 * In: what each process of a flood does. Out: all of them at it together, and
 * honest callers counted. Must never take an honest caller who got no answer
 * for one who was not there.
 */
#include "tests/live/attacks/flood.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS	 20000
#define WEAK_PATIENCE_MS 1000
#define HONEST_TIMES	 20
#define POLL_MS		 100
#define EVENTS		 64
#define ENOUGH_LOST	 2

void flood_open(struct flood *f, int argc, char **argv)
{
	struct rlimit limit;

	memset(f, 0, sizeof(*f));
	attack_open(&f->a, argc, argv);
	/* the weak agent loses those who wait longer as well */
	f->a.timeout_ms = f->a.weak ? WEAK_PATIENCE_MS : PATIENCE_MS;
	f->barrier = attack_share(sizeof(*f->barrier));
	f->ready = attack_share(sizeof(*f->ready));
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		attack_die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		attack_die("setrlimit");
	attack_honest_start(&f->a, ATTACK_DAEMON);
}

/* ---- processes --------------------------------------------------------- */

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) <
		       0 ||
	       info.si_pid == pid;
}

static unsigned int ended(const struct flood *f)
{
	unsigned int i, n = 0;

	for (i = 0; i < f->members; i++)
		n += has_ended(f->pids[i]);
	return n;
}

void flood_start(struct flood *f, unsigned int members, const uid_t *uids,
		 unsigned int n_uids, void (*member)(struct flood *))
{
	unsigned int i;

	f->members = members;
	for (i = 0; i < members; i++) {
		f->number = i;
		f->uid = uids[i % n_uids];
		f->pids[i] = attack_fork();
		if (f->pids[i] == 0) {
			member(f);
			_exit(0);
		}
	}
	while (atomic_load(f->ready) + ended(f) < members)
		usleep(1000);
}

void flood_ready(struct flood *f)
{
	atomic_fetch_add(f->ready, 1);
}

void flood_meet(struct flood *f)
{
	attack_meet(f->barrier, f->members);
}

void flood_wait(struct flood *f)
{
	unsigned int i;

	for (i = 0; i < f->members; i++)
		if (attack_wait(f->pids[i]) != 0)
			exit(3); /* it has said why */
	f->members = 0;
}

void flood_kill(struct flood *f)
{
	unsigned int i;

	for (i = 0; i < f->members; i++)
		if (has_ended(f->pids[i]) || kill(f->pids[i], SIGKILL) < 0)
			exit(3);
	for (i = 0; i < f->members; i++)
		attack_wait(f->pids[i]);
	f->members = 0;
	atomic_store(f->ready, 0);
}

/* ---- the honest -------------------------------------------------------- */

/* Once an honest caller lost where that is wanted, there is no need for
 * more of them. */
static bool is_decided(const struct flood *f)
{
	struct attack_counts *c = f->a.counts;

	return f->a.weak && atomic_load(&c->honest_ok) + ENOUGH_LOST <
				    atomic_load(&c->honest);
}

void flood_honest(struct flood *f)
{
	pid_t pid = attack_fork();
	unsigned int i;

	if (pid == 0) {
		attack_become(ATTACK_DAEMON, ATTACK_DAEMON);
		for (i = 0; i < HONEST_TIMES && !is_decided(f); i++)
			attack_honest_ask(&f->a);
		_exit(0);
	}
	if (attack_wait(pid) != 0)
		exit(3);
	if (!is_decided(f))
		attack_honest_program(&f->a);
}

/* ---- sockets ----------------------------------------------------------- */

int flood_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		attack_die("socket");
	return fd;
}

int flood_connect(int fd)
{
	int rc = attack_connect(fd);

	if (rc == 0 || rc == -EINPROGRESS)
		return fd;
	errno = -rc;
	return -1;
}

/* ---- a wave of requests ------------------------------------------------ */

struct wave {
	struct flood *f;
	int poll;
	unsigned int waiting;
	uint64_t end_ms;
};

static void watch(const struct wave *w, int fd, int op, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(w->poll, op, fd, &e) < 0)
		attack_die("epoll_ctl");
}

static void count(struct wave *w, int answer)
{
	struct attack_counts *c = w->f->a.counts;
	bool allowed = w->f->uid == ATTACK_DAEMON;
	int right = allowed ? ATTACK_PASSED : ATTACK_REFUSED;

	if (!allowed)
		attack_try(&w->f->a, answer);
	atomic_fetch_add(&c->honest, 1);
	if (answer == right)
		atomic_fetch_add(&c->honest_ok, 1);
}

/* The record of the agent says of whom it took the request to be: the uid in
 * the address is compared with that. */
static int ask(const struct flood *f, int fd)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "GET /metadata/%s/%s?uid-%u HTTP/1.1\r\n"
			 "Host: " IMDS_ADDRESS "\r\nMetadata: true\r\n"
			 "Connection: close\r\n\r\n",
			 f->uid == ATTACK_DAEMON ? "honest" : "attack",
			 f->a.name, (unsigned int)f->uid);

	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -errno;
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		attack_die("SO_ERROR");
	return -err;
}

static void on_event(struct wave *w, int fd, uint32_t events)
{
	int rc = 0;

	if (events & EPOLLOUT && !(events & EPOLLERR)) {
		rc = ask(w->f, fd);
		if (rc == 0) {
			watch(w, fd, EPOLL_CTL_MOD, EPOLLIN);
			return;
		}
	} else {
		rc = error_of(fd);
		if (rc == 0)
			rc = attack_answer(fd);
		/* not all of it is here */
		if (rc == -EAGAIN)
			return;
	}
	count(w, rc);
	close(fd);
	w->waiting--;
}

static void serve_wave(struct wave *w)
{
	struct epoll_event events[EVENTS];
	int i, n;

	while (w->waiting > 0 && attack_ms() < w->end_ms) {
		n = epoll_wait(w->poll, events, EVENTS, POLL_MS);
		for (i = 0; i < n; i++)
			on_event(w, events[i].data.fd, events[i].events);
	}
	for (; w->waiting > 0; w->waiting--)
		count(w, -ETIMEDOUT);
}

void flood_wave(struct flood *f, unsigned int connections,
		void (*step)(struct flood *))
{
	struct wave w = { .f = f, .waiting = connections };
	int fds[FLOOD_SOCKETS];
	unsigned int i;

	w.poll = epoll_create1(EPOLL_CLOEXEC);
	if (w.poll < 0)
		attack_die("epoll_create1");
	for (i = 0; i < connections; i++)
		fds[i] = flood_socket();
	flood_meet(f);
	w.end_ms = attack_ms() + (uint64_t)f->a.timeout_ms;
	for (i = 0; i < connections; i++)
		if (flood_connect(fds[i]) < 0)
			attack_die("connect");
	if (step)
		step(f);
	for (i = 0; i < connections; i++)
		watch(&w, fds[i], EPOLL_CTL_ADD, EPOLLOUT);
	serve_wave(&w);
}
