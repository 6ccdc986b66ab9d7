/* SPDX-License-Identifier: MIT */
/*
 * In: a socket that an honest caller connected, asked on, and left to the
 * attacker. Out: its next connection, made by the attacker. Must never use the
 * connection that the honest caller made.
 *
 * Variants: listener (straight to the agent), endpoint (again to an endpoint,
 * the same or another).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/pair.h"

static void honest(struct pair *p)
{
	int rc;

	pair_meet(p);
	rc = attack_connect(p->fd);
	if (rc == 0)
		rc = pair_ask(p, p->fd, HONEST_PATH);
	pair_count_honest(p, rc);
	pair_meet(p);
}

static int connect_anew(const struct pair *p)
{
	int rc = pair_disconnect(p->fd);

	if (rc < 0)
		return rc;
	if (strcmp(p->a->variant, "listener") == 0)
		return attack_connect_to(p->fd, LISTENER_ADDRESS,
					 LISTENER_PORT);
	/* the weak agent refuses nobody on WireServer for another reason */
	if (!p->a->weak && p->number & 1)
		return attack_connect_to(p->fd, WIRESERVER_ADDRESS,
					 ENDPOINT_PORT);
	return attack_connect(p->fd);
}

/* A socket that connects to itself, or two that connect to each other, are
 * each other's peer: one of their addresses would have to be the listener's. */
static void take_listeners_end(const struct pair *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = pair_socket(p, "", 0), one = 1;

	at.sin_addr.s_addr = inet_addr(LISTENER_ADDRESS);
	at.sin_port = htons(LISTENER_PORT);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		attack_try(p->a, ATTACK_PASSED);
	close(fd);
}

static void attacker(struct pair *p)
{
	int answer;

	/* bound: a port is kept from one connection to the next */
	p->fd = pair_socket(p, "127.0.0.1", pair_port(p));
	pair_meet(p);
	pair_meet(p);
	answer = connect_anew(p);
	if (answer == 0)
		answer = pair_ask(p, p->fd, ATTACK_PATH);
	attack_try(p->a, answer);
	attack_reset(p->fd);
	take_listeners_end(p);
}

int main(int argc, char **argv)
{
	struct attack a;

	attack_open(&a, argc, argv);
	pair_play(&a, attacker, honest);
	return attack_close(&a);
}
