/* SPDX-License-Identifier: MIT */
/*
 * In: an agent that accepts connections. Out: more of them than it may have
 * descriptors or time for: some that come and go (storm), some that stay and
 * say nothing (idle). Must never be the one that keeps honest callers from
 * the processor: it only connects.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/flood.h"

#define STORMERS 6
#define IDLERS	 15

static void storm_once(struct flood *f, unsigned int n)
{
	int fd = flood_socket();

	if (flood_connect(fd) >= 0 && n % 2)
		attack_send(&f->a, fd, ATTACK_PATH);
	attack_reset(fd);
	attack_try(&f->a, -ECONNRESET);
}

static void storm(struct flood *f)
{
	unsigned int n;

	attack_become(f->uid, f->uid);
	for (n = 0;; n++) {
		storm_once(f, n);
		/* there is no end before honest callers were heard in it */
		if (n == FLOOD_SOCKETS)
			flood_ready(f);
	}
}

/* Open on this side at least: the agent may have closed it. */
static void idle(struct flood *f)
{
	unsigned int i;

	attack_become(f->uid, f->uid);
	for (i = 0; i < FLOOD_SOCKETS; i++) {
		if (flood_connect(flood_socket()) < 0)
			attack_die("connect");
		attack_try(&f->a, -EINPROGRESS);
	}
	flood_ready(f);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const uid_t uids[] = { ATTACK_NOBODY, 2, 3, 4, 5 };
	struct flood f;

	flood_open(&f, argc, argv);
	flood_honest(&f);
	if (strcmp(f.a.variant, "storm") == 0)
		flood_start(&f, STORMERS, uids, 1, storm);
	else
		flood_start(&f, IDLERS, uids, 5, idle);
	flood_honest(&f);
	flood_kill(&f);
	flood_honest(&f);
	return attack_close(&f.a);
}
