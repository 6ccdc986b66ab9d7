/* SPDX-License-Identifier: MIT */
/*
 * In: a set-uid program of an allowed user, which anybody may run. Out: its
 * requests, which are those of whoever started it. Must never be run by the
 * allowed user.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20

int main(int argc, char **argv)
{
	unsigned int number = 0;
	char program[4096];
	struct attack a;

	attack_open(&a, argc, argv);
	snprintf(program, sizeof(program), "%s/setuid", a.dir);
	attack_copy(a.client, program, ATTACK_DAEMON, 04755);
	attack_honest_start(&a, ATTACK_DAEMON);
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	while (attack_more(&a)) {
		attack_try(&a, attack_run(&a, program));
		if (number++ % HONEST_EACH == 0)
			attack_honest_program(&a);
	}
	return attack_close(&a);
}
