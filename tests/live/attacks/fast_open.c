/* SPDX-License-Identifier: MIT */
/*
 * In: the source port of an honest caller, and TCP fast open. Out: requests
 * whose connect() is a sendto(), or whose SYN is sent by another thread than
 * the one that called connect(). Must never wait for a cookie: none of the
 * listeners gives one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/live/attacks/pair.h"

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

static int from_port(const struct pair *p)
{
	int fd = pair_socket(p, "127.0.0.1", pair_port(p));
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one,
		       sizeof(one)) < 0)
		attack_die("TCP_FASTOPEN_NO_COOKIE");
	return fd;
}

/* One byte of the request connects and is sent, the others follow. */
static int ask_by_sendto(const struct pair *p, int fd, enum attack_path path)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	/* an empty line before a request means nothing */
	static const char first[] = "\r\n";

	to.sin_addr.s_addr = inet_addr(IMDS_ADDRESS);
	to.sin_port = htons(ENDPOINT_PORT);
	if (sendto(fd, first, 2, MSG_FASTOPEN | MSG_NOSIGNAL,
		   (struct sockaddr *)&to, sizeof(to)) != 2)
		return -errno;
	return pair_ask(p, fd, path);
}

static void *connect_only(void *arg)
{
	int fd = *(int *)arg;

	if (attack_connect(fd) < 0)
		attack_die("connect");
	return NULL;
}

/* connect() sends nothing; what is sent first sends the SYN. */
static int ask_by_another(const struct pair *p, int fd)
{
	pthread_t thread;
	int one = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
		       sizeof(one)) < 0)
		attack_die("TCP_FASTOPEN_CONNECT");
	if (pthread_create(&thread, NULL, connect_only, &fd) != 0 ||
	    pthread_join(thread, NULL) != 0)
		attack_die("thread");
	return pair_ask(p, fd, ATTACK_PATH);
}

static void honest(struct pair *p)
{
	int fd = from_port(p);

	pair_count_honest(p, ask_by_sendto(p, fd, HONEST_PATH));
	attack_reset(fd);
	pair_meet(p);
	/* the attacker asks */
	pair_meet(p);
}

static void attacker(struct pair *p)
{
	int fd;

	pair_meet(p);
	fd = from_port(p);
	attack_try(p->a, p->number & 1 ? ask_by_another(p, fd)
				       : ask_by_sendto(p, fd, ATTACK_PATH));
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
