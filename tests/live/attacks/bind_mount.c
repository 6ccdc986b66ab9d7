/* SPDX-License-Identifier: MIT */
/*
 * In: a user with a mount namespace of his own. Out: his program, run by the
 * path of the allowed one. Must never change a mount that others see.
 */
#include <sys/mount.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

#define HONEST_EACH 20
/* Tries with one mount. */
#define ROUND 100

static _Noreturn void play(struct attack *a)
{
	unsigned int i;

	attack_own_mounts();
	if (mount(a->client, a->allowed, NULL, MS_BIND, NULL) < 0)
		attack_die("mount");
	for (i = 0; i < ROUND && attack_more(a); i++)
		attack_try(a, attack_run(a, a->allowed));
	_exit(0);
}

int main(int argc, char **argv)
{
	struct attack a;
	pid_t pid;
	int i;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	while (attack_more(&a)) {
		pid = attack_fork();
		if (pid == 0)
			play(&a);
		for (i = 0; i < ROUND / HONEST_EACH; i++)
			attack_honest_program(&a);
		if (attack_wait(pid) != 0)
			return 1;
	}
	return attack_close(&a);
}
