/* SPDX-License-Identifier: MIT */
/*
 * In: an address to listen on, and where to. Out: bytes, both ways, by one
 * thread with as few system calls as there can be: what no proxy can beat.
 * Must never look at what it carries.
 *
 *   relay FROM-IP:PORT TO-IP:PORT	IPv4; ends with its parent
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define EVENTS	 256
#define BACKLOG	 4096
#define BUF_SIZE 65536

struct pair;

/**
 * struct side - one end; edge-triggered, so what is known of it is kept
 * @pending:  owned: from the other side, not sent yet
 * @off, @len: of @pending, bytes
 * @readable: there may be more to read
 * @hung_up:  its end has been seen to come, perhaps after data
 * @ended:    nothing more comes
 * @shut:     it was told that nothing more will be sent
 */
struct side {
	struct pair *pair;
	struct side *peer;
	int fd;
	unsigned char *pending;
	size_t off, len;
	bool readable, hung_up, ended, shut;
};

struct pair {
	struct side client, server;
	struct pair *next_dead;
	bool dead;
};

static unsigned char buf[BUF_SIZE];
static struct sockaddr_in upstream;
/* Freed after a turn, for more events of it may come in that. */
static struct pair *dead;
static int epoll_fd;

static void end(struct pair *pair)
{
	if (pair->dead)
		return;
	pair->dead = true;
	pair->next_dead = dead;
	dead = pair;
}

static void bury(void)
{
	while (dead) {
		struct pair *pair = dead;

		dead = pair->next_dead;
		close(pair->client.fd);
		if (pair->server.fd >= 0)
			close(pair->server.fd);
		free(pair->client.pending);
		free(pair->server.pending);
		free(pair);
	}
}

static void watch(struct side *side)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					       EPOLLET,
				     .data.ptr = side };
	int one = 1;

	setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	measure_need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, side->fd, &event),
		     "epoll_ctl");
}

/* False: the pair is at its end. */
static bool flush(struct side *to)
{
	ssize_t n;

	while (to->off < to->len) {
		n = send(to->fd, to->pending + to->off, to->len - to->off,
			 MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		to->off += (size_t)n;
	}
	free(to->pending);
	to->pending = NULL;
	to->off = to->len = 0;
	return true;
}

static bool keep(struct side *to, const unsigned char *data, size_t len)
{
	to->pending = malloc(len);
	if (!to->pending)
		return false;
	memcpy(to->pending, data, len);
	to->off = 0;
	to->len = len;
	return true;
}

static bool pass(struct side *to, size_t len)
{
	ssize_t n = send(to->fd, buf, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	if (n < 0)
		n = 0;
	return (size_t)n == len || keep(to, buf + n, len - (size_t)n);
}

static bool is_over(const struct pair *pair)
{
	return pair->client.ended && pair->server.ended && !pair->client.len &&
	       !pair->server.len;
}

/* All that comes from here goes there, until one of them has to wait. False:
 * the pair is at its end. */
static bool pump(struct side *from)
{
	struct side *to = from->peer;
	ssize_t n;

	while (from->readable && !to->len) {
		n = recv(from->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n == 0)
			from->ended = true;
		/* a short read has emptied the socket, but of its end */
		from->readable =
			n == (ssize_t)sizeof(buf) || (n > 0 && from->hung_up);
		if (n > 0 && !pass(to, (size_t)n))
			return false;
	}
	if (from->ended && !to->len && !to->shut) {
		shutdown(to->fd, SHUT_WR);
		to->shut = true;
	}
	return !is_over(from->pair);
}

static bool happened(struct side *side, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		side->hung_up = true;
	if ((events & EPOLLIN || side->hung_up) && !side->ended)
		side->readable = true;
	if (events & EPOLLOUT && side->len && !flush(side))
		return false;
	return pump(side) && pump(side->peer);
}

static bool connect_on(struct pair *pair)
{
	pair->server.fd =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	measure_need(pair->server.fd, "socket");
	if (connect(pair->server.fd, (struct sockaddr *)&upstream,
		    sizeof(upstream)) < 0 &&
	    errno != EINPROGRESS)
		return false;
	watch(&pair->server);
	watch(&pair->client);
	return true;
}

static void accept_all(int listener)
{
	struct pair *pair;
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		pair = calloc(1, sizeof(*pair));
		if (!pair)
			measure_die("out of memory");
		pair->client.pair = pair->server.pair = pair;
		pair->client.peer = &pair->server;
		pair->server.peer = &pair->client;
		pair->client.fd = fd;
		if (!connect_on(pair))
			end(pair);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		measure_need(-1, "accept");
}

static struct sockaddr_in address(const char *text)
{
	struct sockaddr_in out = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN] = "";
	const char *colon = strchr(text, ':');

	if (colon && (size_t)(colon - text) < sizeof(ip))
		memcpy(ip, text, (size_t)(colon - text));
	if (inet_pton(AF_INET, ip, &out.sin_addr) != 1)
		measure_die("%s is not IP:PORT", text);
	out.sin_port = htons((uint16_t)atoi(colon + 1));
	return out;
}

static int listen_at(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = { .events = EPOLLIN };
	int one = 1;

	measure_need(fd, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	measure_need(bind(fd, (const struct sockaddr *)at, sizeof(*at)),
		     "bind");
	measure_need(listen(fd, BACKLOG), "listen");
	measure_need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event),
		     "epoll_ctl");
	return fd;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct sockaddr_in at;
	int listener, n, i;

	if (argc != 3)
		measure_die("usage: relay FROM-IP:PORT TO-IP:PORT");
	measure_need(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	measure_need(epoll_fd, "epoll_create");
	upstream = address(argv[2]);
	at = address(argv[1]);
	listener = listen_at(&at);
	for (;;) {
		n = epoll_wait(epoll_fd, events, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			measure_need(n, "epoll_wait");
		for (i = 0; i < n; i++) {
			struct side *side = events[i].data.ptr;

			if (!side)
				accept_all(listener);
			else if (!side->pair->dead &&
				 !happened(side, events[i].events))
				end(side->pair);
		}
		bury();
	}
}
