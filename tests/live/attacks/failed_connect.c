/* SPDX-License-Identifier: MIT */
/*
 * In: connects of an honest caller that fail after the agent has seen them.
 * Out: connections that have the failed one's thread, socket or port, made or
 * used by the attacker. Must never use a connection that the honest caller
 * made to an endpoint.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/pair.h"

enum kind {
	/* The thread connects elsewhere: the attacker takes that port. */
	SAME_THREAD,
	/* The attacker connects the same socket to the listener ... */
	SAME_SOCKET,
	/* ... or to an endpoint ... */
	SAME_SOCKET_ENDPOINT,
	/* ... also where the connect was given up by its caller. */
	GIVEN_UP,
	KINDS
};

static int server; /* the attacker's own */

/* For the weak agent one kind only: the others would find a port that had a
 * connection, which is another weakness. */
static enum kind kind_of(const struct pair *p)
{
	return p->a->weak ? SAME_THREAD : (enum kind)(p->number % KINDS);
}

/* EPERM would be the agent's, before anything could go wrong. */
static void must_fail(int rc)
{
	errno = -rc;
	if (rc == 0 || rc == -EPERM)
		attack_die("connect that should fail by itself");
}

/* An address that is not here: the failure is in looking for a route. */
static void fail_without_route(const struct pair *p)
{
	struct sockaddr_in away = { .sin_family = AF_INET };
	int fd = pair_socket(p, "", 0), one = 1;

	away.sin_addr.s_addr = inet_addr("192.0.2.99");
	if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&away, sizeof(away)) < 0)
		attack_die("bind to no address of ours");
	must_fail(attack_connect(fd));
	close(fd);
}

/* Both addresses are taken: the failure is in entering the connection. */
static void fail_as_second(const struct pair *p)
{
	int first = pair_socket(p, "127.0.0.1", pair_port(p));

	if (attack_connect(first) < 0)
		attack_die("connect");
	must_fail(attack_connect(p->fd));
	attack_reset(first);
}

static void connect_elsewhere(struct pair *p)
{
	int fd = pair_socket(p, "127.0.0.1", pair_port(p)), peer;

	if (attack_connect_to(fd, "127.0.0.1", pair_port_of(server)) < 0)
		attack_die("connect elsewhere");
	attack_reset(fd);
	peer = accept(server, NULL, NULL);
	if (peer >= 0)
		close(peer);
}

static void honest(struct pair *p)
{
	pair_meet(p);
	switch (kind_of(p)) {
	case SAME_THREAD:
		fail_without_route(p);
		connect_elsewhere(p);
		break;
	case GIVEN_UP:
		pair_begin_connect(p->fd);
		break;
	default:
		fail_as_second(p);
		break;
	}
	pair_meet(p);
	/* the attacker asks */
	pair_meet(p);
	attack_honest_ask(p->a);
}

static int attacker_connects(struct pair *p)
{
	if (kind_of(p) == SAME_SOCKET_ENDPOINT)
		return attack_connect(p->fd);
	if (kind_of(p) == SAME_THREAD) {
		close(p->fd);
		p->fd = pair_socket(p, "127.0.0.1", pair_port(p));
	} else if (kind_of(p) == GIVEN_UP && pair_disconnect(p->fd) < 0) {
		attack_die("disconnect");
	}
	return attack_connect_to(p->fd, LISTENER_ADDRESS, LISTENER_PORT);
}

static void attacker(struct pair *p)
{
	int answer;

	p->fd = pair_socket(p, "127.0.0.1", pair_port(p));
	pair_meet(p);
	pair_meet(p);
	answer = attacker_connects(p);
	if (answer == 0)
		answer = pair_ask(p, p->fd, ATTACK_PATH);
	attack_try(p->a, answer);
	attack_reset(p->fd);
	pair_meet(p);
}

int main(int argc, char **argv)
{
	struct attack a;

	attack_open(&a, argc, argv);
	server = attack_socket(&a);
	if (listen(server, 16) < 0)
		attack_die("listen");
	pair_play(&a, attacker, honest);
	return attack_close(&a);
}
