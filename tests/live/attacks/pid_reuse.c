/* SPDX-License-Identifier: MIT */
/*
 * In: a process that connects, sends and ends. Out: an honest process with
 * its number, before the agent looks. Must never let the honest one connect.
 *
 * Root chooses the number: who has no such right forks until it comes round.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20

/* fork() with a number; -1 if somebody has it. */
static pid_t fork_as(pid_t number)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid;

	args.set_tid = (uint64_t)(uintptr_t)&number;
	args.set_tid_size = 1;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	else if (pid < 0 && errno != EEXIST)
		attack_die("clone3");
	return pid;
}

static pid_t connect_and_end(const struct attack *a, int fd)
{
	pid_t pid = attack_fork();

	if (pid == 0) {
		attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
		if (attack_connect(fd) < 0)
			attack_die("connect");
		attack_send(a, fd, ATTACK_PATH);
		_exit(0);
	}
	attack_wait(pid);
	return pid;
}

/* An allowed program, or an allowed user; -1: the number is taken. */
static pid_t take_over(const struct attack *a, pid_t number, bool by_user)
{
	const char *program = by_user ? a->client : a->allowed;
	uid_t uid = by_user ? ATTACK_DAEMON : ATTACK_NOBODY;
	int done[2];
	pid_t pid;
	char end;

	if (pipe2(done, O_CLOEXEC) < 0)
		attack_die("pipe2");
	pid = fork_as(number);
	if (pid == 0) {
		attack_become(uid, uid);
		execl(program, program, "wait", (char *)NULL);
		attack_die(program);
	}
	close(done[1]);
	if (read(done[0], &end, 1) != 0)
		attack_die("exec");
	close(done[0]);
	return pid;
}

static void try_once(struct attack *a, unsigned int number)
{
	int fd = attack_socket(a);
	pid_t attacker, honest;

	if (number & 1)
		attack_hold(a);
	attacker = connect_and_end(a, fd);
	honest = take_over(a, attacker, number & 2);
	if (number & 1)
		attack_release(a);
	if (honest > 0) {
		attack_try(a, attack_answer(fd));
		kill(honest, SIGKILL);
		attack_wait(honest);
	}
	attack_reset(fd);
}

int main(int argc, char **argv)
{
	unsigned int number = 0;
	struct attack a;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	while (attack_more(&a)) {
		try_once(&a, number);
		if (number++ % HONEST_EACH == 0)
			attack_honest_program(&a);
	}
	return attack_close(&a);
}
