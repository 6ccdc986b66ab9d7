/* SPDX-License-Identifier: MIT */
/*
 * In: a directory of the attacker, where the rules allow a program. Out: his
 * own program, run from that path, which is then no longer the file there.
 * Must never ask while it is: the rules do allow that.
 *
 * Variants: deleted (no file is there), replaced (the right one is; each
 * fourth time it may get the inode number of the wrong one, whose process is
 * gone, while the agent has not looked yet).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20
#define PATH_SIZE   4096

struct play {
	struct attack *a;
	char tool[PATH_SIZE];
	char next[PATH_SIZE]; /* will be renamed to it */
};

static void remove_file(const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		attack_die(path);
}

static void put(const struct play *p, const char *program)
{
	remove_file(p->next);
	attack_copy(program, p->next, ATTACK_NOBODY, 0755);
	if (rename(p->next, p->tool) < 0)
		attack_die(p->tool);
}

/* What is done to the path while the wrong program runs. */
static void take_away(const struct play *p)
{
	if (strcmp(p->a->variant, "deleted") == 0)
		remove_file(p->tool);
	else
		put(p, p->a->allowed);
}

static _Noreturn void run_later(const struct play *p, const int *to,
				const int *from)
{
	if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0)
		attack_die("dup2");
	execl(p->tool, p->tool, "started", "attack", p->a->name, (char *)NULL);
	attack_die(p->tool);
}

/* It connects after it is no longer the file at its path. */
static int try_running(const struct play *p)
{
	int to[2], from[2];
	char started;
	pid_t pid;

	put(p, p->a->client);
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		attack_die("pipe2");
	pid = attack_fork();
	if (pid == 0)
		run_later(p, to, from);
	close(to[0]);
	close(from[1]);
	if (read(from[0], &started, 1) != 1)
		attack_die("no start");
	take_away(p);
	if (write(to[1], "!", 1) != 1)
		attack_die("no go");
	close(to[1]);
	close(from[0]);
	return attack_wait_client(pid);
}

/* It connects and ends before; the agent comes after. */
static int try_ended(const struct play *p)
{
	int fd = attack_socket(p->a);
	char number[16];
	int answer;
	pid_t pid;

	put(p, p->a->client);
	attack_hold(p->a);
	snprintf(number, sizeof(number), "%d", fd);
	pid = attack_fork();
	if (pid == 0) {
		execl(p->tool, p->tool, "send", number, p->a->name,
		      (char *)NULL);
		attack_die(p->tool);
	}
	attack_wait(pid);
	remove_file(p->tool);
	put(p, p->a->allowed);
	attack_release(p->a);
	answer = attack_answer(fd);
	attack_reset(fd);
	return answer;
}

static void honest(const struct play *p)
{
	put(p, p->a->allowed);
	attack_honest_run(p->a, p->tool);
	attack_honest_program(p->a);
}

int main(int argc, char **argv)
{
	unsigned int number = 0;
	struct attack a;
	struct play p = { .a = &a };
	bool replaced;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	snprintf(p.tool, sizeof(p.tool), "%s/tool", a.dir);
	snprintf(p.next, sizeof(p.next), "%s/next", a.dir);
	replaced = strcmp(a.variant, "replaced") == 0;
	while (attack_more(&a)) {
		attack_try(&a, replaced && number % 4 == 3 ? try_ended(&p)
							   : try_running(&p));
		if (number++ % HONEST_EACH == 0)
			honest(&p);
	}
	return attack_close(&a);
}
