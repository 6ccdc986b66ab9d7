/* SPDX-License-Identifier: MIT */
/*
 * In: an agent that has no time for a moment, and source ports of which one
 * is left. Out: requests on connections that are reset before the agent sees
 * them, and whose port is then an honest caller's. Must never leave the range
 * of ports as narrow as it makes it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/pair.h"

#define RANGE_FILE "/proc/sys/net/ipv4/ip_local_port_range"
/* Room for the agent's own connections, to other addresses. */
#define NARROW_RANGE "40000 41999"
#define PORTS	     2000
#define DESCRIPTORS  (PORTS + 100)

#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

static void set_range(const char *range)
{
	FILE *f = fopen(RANGE_FILE, "we");

	if (!f || fputs(range, f) < 0 || fclose(f) != 0)
		attack_die(RANGE_FILE);
}

static void get_range(char *out, size_t size)
{
	FILE *f = fopen(RANGE_FILE, "re");

	if (!f || !fgets(out, (int)size, f))
		attack_die(RANGE_FILE);
	fclose(f);
}

/* Has the port as any connection has, but nothing is sent: that would come
 * with the first data. -1: there is no port left. */
static int park(const struct pair *p)
{
	int fd = attack_socket(p->a), one = 1, rc;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
		       sizeof(one)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one,
		       sizeof(one)) < 0)
		attack_die("fast open");
	rc = attack_connect(fd);
	if (rc == 0)
		return fd;
	close(fd);
	errno = -rc;
	if (rc != -EADDRNOTAVAIL)
		attack_die("park");
	return -1;
}

/* All ports but one. */
static void park_all(const struct pair *p)
{
	int last = -1, fd;

	while ((fd = park(p)) >= 0)
		last = fd;
	if (last < 0)
		attack_die("there was no port");
	close(last);
}

static void honest(struct pair *p)
{
	int fd = attack_socket(p->a), rc;

	pair_meet(p);
	rc = attack_connect(fd);
	/* otherwise the attack is none */
	if (rc == 0 && pair_port_of(fd) != p->port)
		attack_die("another port");
	if (rc == 0)
		rc = attack_send(p->a, fd, HONEST_PATH);
	pair_meet(p);
	/* the agent goes on */
	if (rc == 0)
		rc = attack_answer(fd);
	pair_count_honest(p, rc);
	attack_reset(fd);
	pair_meet(p);
}

static void attacker(struct pair *p)
{
	int fd, rc;

	if (p->number == 1)
		park_all(p);
	attack_hold(p->a);
	fd = attack_socket(p->a);
	rc = attack_connect(fd);
	if (rc == 0)
		rc = attack_send(p->a, fd, ATTACK_PATH);
	if (rc < 0)
		attack_die("the one port that is left");
	p->port = pair_port_of(fd);
	attack_reset(fd);
	pair_meet(p);
	pair_meet(p);
	attack_release(p->a);
	/* nobody is left to read an answer: the records will say */
	attack_try(p->a, -ECONNRESET);
	pair_meet(p);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { DESCRIPTORS, DESCRIPTORS };
	struct attack a;
	char range[64];

	attack_open(&a, argc, argv);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		attack_die("descriptors");
	get_range(range, sizeof(range));
	set_range(NARROW_RANGE);
	pair_play(&a, attacker, honest);
	set_range(range);
	return attack_close(&a);
}
