/* SPDX-License-Identifier: MIT */
/*
 * In: a group with the number of somebody who may. Out: requests of nobody in
 * that group. Must never have the uid of that number.
 *
 * Variants: sg (nobody's real group is daemon's, as sg and newgrp make it),
 * program (nobody runs a set-gid program of that group), root (nobody's group
 * is 0, and asks WireServer; honest is root in nobody's group, which may).
 */
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH  20
#define HONEST_PAUSE 3000

static void become(uid_t uid, gid_t real, gid_t effective, gid_t other)
{
	if (setgroups(1, &other) < 0 ||
	    setresgid(real, effective, effective) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		attack_die("setresuid");
}

static int ask_wireserver(const struct attack *a, enum attack_path path)
{
	int fd = attack_socket(a);
	int rc = attack_connect_to(fd, WIRESERVER_ADDRESS, ENDPOINT_PORT);

	if (rc == 0)
		rc = attack_send(a, fd, path);
	if (rc == 0)
		rc = attack_answer(fd);
	attack_reset(fd);
	return rc;
}

/* ---- sg ---------------------------------------------------------------- */

static void play_sg(struct attack *a)
{
	become(ATTACK_NOBODY, ATTACK_DAEMON, ATTACK_DAEMON, ATTACK_DAEMON);
	while (attack_more(a))
		attack_try(a, attack_ask(a, ATTACK_PATH));
}

/* ---- program ----------------------------------------------------------- */

static void play_program(struct attack *a)
{
	unsigned int number = 0;
	char program[4096];

	snprintf(program, sizeof(program), "%s/setgid", a->dir);
	attack_copy(a->client, program, ATTACK_DAEMON, 02755);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	while (attack_more(a)) {
		attack_try(a, attack_run(a, program));
		if (number++ % HONEST_EACH == 0)
			attack_honest_program(a);
	}
}

/* ---- root -------------------------------------------------------------- */

/* Which of the groups is 0; all of them in the last round. */
enum { REAL, EFFECTIVE, OTHER, ALL, WAYS };

static void play_way(struct attack *a, int way)
{
	gid_t real = way == REAL || way == ALL ? 0 : ATTACK_NOBODY;
	gid_t effective = way == EFFECTIVE || way == ALL ? 0 : ATTACK_NOBODY;
	gid_t other = way == OTHER || way == ALL ? 0 : ATTACK_NOBODY;
	uint32_t i;

	become(ATTACK_NOBODY, real, effective, other);
	for (i = 0; i < (a->goal + WAYS - 1) / WAYS && attack_more(a); i++)
		attack_try(a, ask_wireserver(a, ATTACK_PATH));
	_exit(0);
}

static _Noreturn void be_honest_root(struct attack *a)
{
	struct attack_counts *c = a->counts;
	bool last;

	become(0, ATTACK_NOBODY, ATTACK_NOBODY, ATTACK_NOBODY);
	do {
		last = atomic_load(&c->stop);
		atomic_fetch_add(&c->honest, 1);
		if (ask_wireserver(a, HONEST_PATH) == ATTACK_PASSED)
			atomic_fetch_add(&c->honest_ok, 1);
		usleep(HONEST_PAUSE);
	} while (!last);
	_exit(0);
}

static void play_root(struct attack *a)
{
	pid_t pid;
	int way;

	for (way = 0; way < WAYS; way++) {
		pid = attack_fork();
		if (pid == 0)
			play_way(a, way);
		if (attack_wait(pid) != 0)
			attack_die("nobody in group 0");
	}
}

int main(int argc, char **argv)
{
	struct attack a;
	pid_t root = 0;

	attack_open(&a, argc, argv);
	if (strcmp(a.variant, "root") == 0) {
		root = attack_fork();
		if (root == 0)
			be_honest_root(&a);
		play_root(&a);
		atomic_store(&a.counts->stop, true);
		if (attack_wait(root) != 0)
			attack_die("honest root");
		return attack_close(&a);
	}
	attack_honest_start(&a, ATTACK_DAEMON);
	if (strcmp(a.variant, "program") == 0)
		play_program(&a);
	else
		play_sg(&a);
	return attack_close(&a);
}
