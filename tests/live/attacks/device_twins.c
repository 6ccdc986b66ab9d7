/* SPDX-License-Identifier: MIT */
/*
 * In: sockets bound to network devices, which may have the addresses and
 * ports of others. Out: an attacker's connection beside an honest caller's
 * socket with the very same addresses. Must never ask on the honest one's.
 *
 * Variants, by what the honest caller's socket is when the agent looks:
 * syn_sent, listen (once connected, then a listener), connected (it has a
 * connection of its own, and so has the attacker's), half_open (its peer is
 * gone, and it was not told).
 *
 * No answer is ever read: it would go to either socket. The records say what
 * became of the requests. Connections are accepted one after the other, so
 * once a later request is answered, the attacker's was looked at.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/pair.h"

#define DEVICE	 "attack0"
#define NEW_PAIR "ip link add " DEVICE " type veth peer name attack1"
#define NO_PAIR	 "ip link del " DEVICE
#define HERE	 "127.0.0.1"
#define LOOPBACK "lo"

static int open_here(const struct pair *p)
{
	return pair_socket(p, HERE, pair_port(p));
}

static void ask_later_answer_never(const struct pair *p, int fd)
{
	int rc = attack_connect(fd);

	if (rc == 0)
		rc = attack_send(p->a, fd, ATTACK_PATH);
	errno = -rc;
	if (rc < 0)
		attack_die("attacker's connection");
}

/* Whoever comes after it within half a second gets no answer to its SYN: the
 * kernel answers strangers on a connection only so often. */
static void use_up_challenge(const struct pair *p)
{
	int fd = open_here(p), hops = UCHAR_MAX;

	/* nothing that comes has this many left, so it hears nothing */
	if (setsockopt(fd, IPPROTO_IP, IP_MINTTL, &hops, sizeof(hops)) < 0)
		attack_die("IP_MINTTL");
	pair_begin_connect(fd);
	close(fd);
}

/* ---- one step each, before the agent looks ------------------------------ */

struct twins {
	const char *variant;
	void (*honest_first)(struct pair *p);
	void (*attacker)(struct pair *p, int fd);
	void (*honest)(struct pair *p);
	int (*honest_ask)(struct pair *p);
};

static void nothing(struct pair *p)
{
	(void)p;
}

static int ask_on_another(struct pair *p)
{
	return attack_ask(p->a, HONEST_PATH);
}

static void then_bind_to_loopback(struct pair *p, int fd)
{
	ask_later_answer_never(p, fd);
	pair_bind_device(fd, LOOPBACK);
	use_up_challenge(p);
}

static void begin(struct pair *p)
{
	p->fd = open_here(p);
	pair_begin_connect(p->fd);
}

static void connect_and_leave(struct pair *p)
{
	p->fd = open_here(p);
	if (attack_connect(p->fd) < 0 || pair_disconnect(p->fd) < 0)
		attack_die("connect and disconnect");
}

/* Nothing that comes over loopback finds it any more. */
static void then_look_gone(struct pair *p, int fd)
{
	ask_later_answer_never(p, fd);
	pair_bind_device(fd, DEVICE);
}

static void begin_to_listen(struct pair *p)
{
	if (listen(p->fd, 1) < 0)
		attack_die("listen");
}

/* The first one only learns that there is a connection already, and says that
 * it is not its own: which is the end of the attacker's. */
static void connect_twice(struct pair *p)
{
	begin(p);
	close(p->fd);
	p->fd = open_here(p);
	if (attack_connect(p->fd) < 0 ||
	    attack_send(p->a, p->fd, HONEST_PATH) < 0)
		attack_die("honest connection");
}

static int read_answer(struct pair *p)
{
	return attack_answer(p->fd);
}

static void connect_on_loopback(struct pair *p)
{
	p->fd = open_here(p);
	if (attack_connect(p->fd) < 0)
		attack_die("honest connection");
	pair_bind_device(p->fd, LOOPBACK);
}

/* The honest caller's connection ends, and its socket does not get to know. */
static void take_over(struct pair *p, int fd)
{
	int first = open_here(p);

	pair_begin_connect(first);
	close(first);
	then_look_gone(p, fd);
}

static const struct twins all_twins[] = {
	{ "syn_sent", nothing, then_bind_to_loopback, begin, ask_on_another },
	{ "listen", connect_and_leave, then_look_gone, begin_to_listen,
	  ask_on_another },
	{ "connected", nothing, then_look_gone, connect_twice, read_answer },
	{ "half_open", connect_on_loopback, take_over, nothing,
	  ask_on_another },
};

static const struct twins *twins_of(const struct pair *p)
{
	size_t i;

	for (i = 0; i < sizeof(all_twins) / sizeof(all_twins[0]); i++)
		if (strcmp(all_twins[i].variant, p->a->variant) == 0)
			return &all_twins[i];
	exit(2);
}

/* ---- both --------------------------------------------------------------- */

static void honest(struct pair *p)
{
	const struct twins *t = twins_of(p);

	t->honest_first(p);
	pair_meet(p);
	pair_meet(p);
	t->honest(p);
	pair_meet(p);
	/* the agent goes on */
	pair_count_honest(p, t->honest_ask(p));
	pair_meet(p);
}

static void attacker(struct pair *p)
{
	const struct twins *t = twins_of(p);
	int fd;

	pair_meet(p);
	attack_hold(p->a);
	fd = open_here(p);
	t->attacker(p, fd);
	pair_meet(p);
	pair_meet(p);
	attack_release(p->a);
	pair_meet(p);
	attack_try(p->a, -ECONNRESET);
	attack_reset(p->fd);
	attack_reset(fd);
}

int main(int argc, char **argv)
{
	struct attack a;

	attack_open(&a, argc, argv);
	if (system(NEW_PAIR) != 0)
		exit(3);
	pair_play(&a, attacker, honest);
	if (system(NO_PAIR) != 0)
		exit(3);
	return attack_close(&a);
}
