/* SPDX-License-Identifier: MIT */
/*
 * In: an honest process, which never connects, and a PID namespace that nobody
 * made himself. Out: requests of processes that have the honest one's number
 * in there. Must never have that number out here.
 *
 * Each request tells the number that the agent must know its process by.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20

/* fork() into a namespace of one's own; 0: with any number. */
static pid_t fork_as(pid_t number)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid;

	if (number) {
		args.set_tid = (uint64_t)(uintptr_t)&number;
		args.set_tid_size = 1;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		attack_die("clone3");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Two of them: an allowed user, and an allowed program. */
static pid_t start_victim(const struct attack *a, bool by_user)
{
	uid_t uid = by_user ? ATTACK_DAEMON : ATTACK_NOBODY;
	pid_t pid = attack_fork();

	if (pid == 0) {
		attack_become(uid, uid);
		if (!by_user)
			execl(a->allowed, a->allowed, "wait", (char *)NULL);
		for (;;)
			pause();
	}
	return pid;
}

static int ask_as(const struct attack *a, pid_t number)
{
	char text[512];
	int fd = attack_socket(a);
	int rc = attack_connect(fd);
	int n = snprintf(text, sizeof(text),
			 "GET /metadata/attack/%s?pid-%d HTTP/1.1\r\n"
			 "Host: " IMDS_ADDRESS "\r\nMetadata: true\r\n"
			 "Connection: close\r\n\r\n",
			 a->name, (int)number);

	if (rc == 0 && send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		rc = -errno;
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

static void try_once(struct attack *a, _Atomic pid_t *outside, pid_t victim)
{
	pid_t pid;
	int rc;

	atomic_store(outside, 0);
	pid = fork_as(victim);
	if (pid == 0) {
		while (atomic_load(outside) == 0)
			sched_yield();
		if ((pid_t)syscall(SYS_getpid) != victim)
			attack_die("number in the namespace");
		rc = ask_as(a, atomic_load(outside));
		attack_try(a, rc);
		_exit(0);
	}
	atomic_store(outside, pid);
	if (pid == victim || attack_wait(pid) != 0)
		attack_die("process in the namespace");
}

/* Which it is in there, too. */
static void run_allowed(struct attack *a)
{
	pid_t pid = fork_as(0);

	if (pid == 0) {
		execl(a->allowed, a->allowed, "honest", a->name, (char *)NULL);
		attack_die(a->allowed);
	}
	atomic_fetch_add(&a->counts->honest, 1);
	if (attack_wait_client(pid) == ATTACK_PASSED)
		atomic_fetch_add(&a->counts->honest_ok, 1);
}

/* He has all rights in namespaces of his own, also to choose numbers. */
static _Noreturn void be_attacker(struct attack *a, const pid_t *victims)
{
	_Atomic pid_t *outside = attack_share(sizeof(*outside));
	unsigned int number;
	pid_t first;

	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
		attack_cannot(a, "namespaces of a user");
	/* without it there can be no others */
	first = fork_as(1);
	if (first == 0)
		for (;;)
			pause();
	for (number = 0; attack_more(a); number++) {
		try_once(a, outside, victims[number & 1]);
		if (number % HONEST_EACH == 0)
			run_allowed(a);
	}
	kill(first, SIGKILL);
	attack_wait(first);
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t victims[2], attacker;
	struct attack a;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	victims[0] = start_victim(&a, true);
	victims[1] = start_victim(&a, false);
	attacker = attack_fork();
	if (attacker == 0)
		be_attacker(&a, victims);
	if (attack_wait(attacker) != 0)
		attack_die("attacker");
	kill(victims[0], SIGKILL);
	kill(victims[1], SIGKILL);
	return attack_close(&a);
}
