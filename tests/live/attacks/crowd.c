/* SPDX-License-Identifier: MIT */
/*
 * In: many callers of several users, all honest. Out: all of them ask at once
 * (at_once), or while the agent stands still (held), among others who do not
 * wait for an answer. Must never count one who was taken for somebody else as
 * served.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/live/attacks/flood.h"

#define PROCESSES 20
/* Fewer in all than the agent has places, however slowly it gets on. */
#define EACH	  300
#define HELD_EACH 150
/* The listener keeps some 4,000 of both kinds. */
#define GONE_EACH 50

static void at_once(struct flood *f)
{
	attack_become(f->uid, f->uid);
	flood_wave(f, EACH, NULL);
}

/* Those who come back from here have begun to connect, all of them. */
static void all_are_here(struct flood *f)
{
	flood_meet(f);
	flood_ready(f);
}

/* Asked, and is gone before anybody has heard of it. */
static void come_and_go(struct flood *f)
{
	int fd = flood_socket();

	if (flood_connect(fd) < 0)
		attack_die("connect");
	attack_send(&f->a, fd, ATTACK_PATH);
	attack_reset(fd);
	attack_try(&f->a, -ECONNRESET);
}

static void held(struct flood *f)
{
	unsigned int i;

	attack_become(f->uid, f->uid);
	for (i = 0; i < GONE_EACH && f->uid != ATTACK_DAEMON; i++)
		come_and_go(f);
	flood_wave(f, HELD_EACH, all_are_here);
}

int main(int argc, char **argv)
{
	static const uid_t uids[] = { ATTACK_DAEMON, 2, 3, 4, 5, 6, 7, 8, 9,
				      ATTACK_NOBODY };
	bool hold;
	struct flood f;

	flood_open(&f, argc, argv);
	hold = strcmp(f.a.variant, "held") == 0;
	flood_honest(&f);
	if (hold)
		attack_hold(&f.a);
	flood_start(&f, PROCESSES, uids, sizeof(uids) / sizeof(uids[0]),
		    hold ? held : at_once);
	if (hold)
		attack_release(&f.a);
	flood_wait(&f);
	flood_honest(&f);
	return attack_close(&f.a);
}
