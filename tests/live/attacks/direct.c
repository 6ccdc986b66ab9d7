/* SPDX-License-Identifier: MIT */
/*
 * In: the source port of an honest caller. Out: connections from that port
 * straight to the listener, which never had a destination. Must never ask on
 * a connection that was redirected.
 *
 * Variants: after (the same address and port, once they are free), beside
 * (another loopback address, while the honest connection stands).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/live/attacks/pair.h"

static bool beside(const struct pair *p)
{
	return strcmp(p->a->variant, "beside") == 0;
}

/* Some ask only when the attacker has asked; the weak agent would wait for
 * these and serve nobody else. */
static bool asks_late(const struct pair *p)
{
	return beside(p) && !p->a->weak && p->number & 1;
}

static void honest(struct pair *p)
{
	int fd = pair_socket(p, "127.0.0.1", pair_port(p));

	if (attack_connect(fd) < 0)
		attack_die("honest connect");
	if (!asks_late(p))
		pair_count_honest(p, pair_ask(p, fd, HONEST_PATH));
	if (!beside(p))
		attack_reset(fd);
	pair_meet(p);
	/* the attacker asks */
	pair_meet(p);
	if (asks_late(p))
		pair_count_honest(p, pair_ask(p, fd, HONEST_PATH));
	if (beside(p))
		attack_reset(fd);
}

static void attacker(struct pair *p)
{
	int fd, answer;

	pair_meet(p);
	fd = pair_socket(p, beside(p) ? "127.0.0.2" : "127.0.0.1",
			 pair_port(p));
	answer = attack_connect_to(fd, LISTENER_ADDRESS, LISTENER_PORT);
	if (answer == 0)
		answer = pair_ask(p, fd, ATTACK_PATH);
	attack_try(p->a, answer);
	attack_reset(fd);
	pair_meet(p);
}

int main(int argc, char **argv)
{
	struct attack a;

	attack_open(&a, argc, argv);
	pair_play(&a, attacker, honest);
	return attack_close(&a);
}
