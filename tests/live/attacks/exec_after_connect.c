/* SPDX-License-Identifier: MIT */
/*
 * In: the right to run the allowed program. Out: connections made by another
 * program in a process that runs the allowed one when the agent looks. Must
 * never let the allowed program itself connect.
 *
 * Variants: exec (plain), threads (one connects and sends while the other
 * executes), fork (the child keeps the socket and sends), vfork (the process
 * that connects borrows its parent's memory).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20

/* One try. In shared memory: what a thread did outlives its process. */
struct
try {
	struct attack *a;
	struct attack_barrier barrier;
	int fd;	     /* also in the process that reads the answer */
	int done[2]; /* ends when the allowed program runs */
	unsigned int number;
	_Atomic bool sent;
};

static void connect_and_send(struct try *t)
{
	if (attack_connect(t->fd) == 0 &&
	    attack_send(t->a, t->fd, ATTACK_PATH) == 0)
		atomic_store(&t->sent, true);
}

static _Noreturn void become_allowed(const struct try *t)
{
	execl(t->a->allowed, t->a->allowed, "wait", (char *)NULL);
	attack_die(t->a->allowed);
}

static void *other_thread(void *arg)
{
	struct try *t = arg;

	attack_meet(&t->barrier, 2);
	connect_and_send(t);
	return NULL;
}

/* The end of the other thread falls anywhere in its connect or send. */
static _Noreturn void race(struct try *t)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, other_thread, t))
		attack_die("pthread_create");
	attack_meet(&t->barrier, 2);
	usleep(t->number * 7 % 150);
	become_allowed(t);
}

/* The child sends, from its copy of the socket, once the process that
 * connected runs the allowed program; or is no more, each second time. */
static _Noreturn void leave_to_child(struct try *t)
{
	pid_t pid;
	char end;

	if (attack_connect(t->fd) < 0)
		_exit(1);
	pid = fork(); /* not to die with its parent */
	if (pid < 0)
		attack_die("fork");
	if (pid > 0) {
		if (t->number & 2)
			_exit(0);
		become_allowed(t);
	}
	close(t->done[1]);
	if (read(t->done[0], &end, 1) == 0 &&
	    attack_send(t->a, t->fd, ATTACK_PATH) == 0)
		atomic_store(&t->sent, true);
	_exit(0);
}

static pid_t start(struct try *t)
{
	pid_t pid;

	if (strcmp(t->a->variant, "vfork") == 0) {
		pid = vfork();
		if (pid < 0)
			attack_die("vfork");
		if (pid > 0)
			return pid;
		/* in the parent's memory, which waits for the exec */
		connect_and_send(t);
		become_allowed(t);
	}
	pid = attack_fork();
	if (pid > 0)
		return pid;
	if (strcmp(t->a->variant, "threads") == 0)
		race(t);
	if (strcmp(t->a->variant, "fork") == 0)
		leave_to_child(t);
	connect_and_send(t);
	become_allowed(t);
}

/* The answer to one try: -ENOTCONN if the connect was cut off. */
static int try_once(struct try *t)
{
	bool held = t->number & 1;
	int answer;
	char end;
	pid_t pid;

	t->fd = attack_socket(t->a);
	atomic_store(&t->sent, false);
	if (pipe2(t->done, O_CLOEXEC) < 0)
		attack_die("pipe2");
	if (held)
		attack_hold(t->a);
	pid = start(t);
	close(t->done[1]);
	if (read(t->done[0], &end, 1) != 0)
		attack_die("exec");
	close(t->done[0]);
	if (held)
		attack_release(t->a);
	/* cut off between the two, or left to us */
	if (strcmp(t->a->variant, "threads") == 0 && !atomic_load(&t->sent))
		attack_send(t->a, t->fd, ATTACK_PATH);
	answer = attack_answer(t->fd);
	attack_reset(t->fd);
	kill(pid, SIGKILL);
	attack_wait(pid);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return answer;
}

int main(int argc, char **argv)
{
	struct attack a;
	struct try *t;
	int answer;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	t = attack_share(sizeof(*t));
	t->a = &a;
	while (attack_more(&a)) {
		answer = try_once(t);
		if (answer != -ENOTCONN)
			attack_try(&a, answer);
		if (t->number++ % HONEST_EACH == 0)
			attack_honest_program(&a);
	}
	return attack_close(&a);
}
