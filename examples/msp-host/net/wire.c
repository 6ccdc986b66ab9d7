/* SPDX-License-Identifier: MIT */
/*
 * In:  client connections on the public addresses.
 * Out: the same bytes on a socket pair with the HTTP library, both ways.
 * Never: holds more than one buffer per direction, changes a byte, or lets a
 *        client that neither reads nor writes disturb another.
 */
#include "net/wire.h"
#include "net/http.h"
#include "net/script.h"

#include "emulator.h"
#include "vm/record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 16384
/* How long a client may go on sending after we said all we had to. Closing at
 * once would make the kernel reset the connection and the client lose the
 * answer to a body it is still sending. */
#define LINGER_MS 2000
/* Accepting is tried again after this when descriptors ran out. */
#define PAUSE_MS 100

/**
 * struct stream - one direction of a connection
 * @from:   descriptor read from
 * @to:     descriptor written to
 * @start:  first byte not yet written
 * @len:    bytes not yet written
 * @eof:    nothing more will come
 * @broken: the reader is gone; what comes is thrown away
 * @patient: tell the reader of the end only when it has read all before
 * @shut:   the reader has been told that this is the end
 */
struct stream {
	int from;
	int to;
	size_t start;
	size_t len;
	bool eof;
	bool broken;
	bool patient;
	bool shut;
	char data[BUFFER_BYTES];
};

/**
 * struct conn - one client connection
 * @wire:      borrowed
 * @client:    watch of the TCP socket; owns the descriptor
 * @inner:     watch of our end of the socket pair; owns the descriptor
 * @up:        client to library
 * @down:      library to client
 * @peer:      who it is
 * @linger_at: when to end although the client has not, 0: not lingering
 * @dead:      to be freed at the end of the turn
 * @special:   is among those the sweep looks at
 */
struct conn {
	struct wire *wire;
	struct loop_watch client;
	struct loop_watch inner;
	struct stream up;
	struct stream down;
	struct peer peer;
	uint64_t linger_at;
	bool dead;
	bool special;
	struct conn *prev;
	struct conn *next;
	struct conn *next_special;
};

/**
 * struct listener - one public address
 * @watch: owns the descriptor
 */
struct listener {
	struct loop_watch watch;
	struct wire *wire;
	enum port port;
};

/**
 * struct wire
 * @emu:       borrowed
 * @listeners: used ones have a descriptor
 * @conns:     all connections
 * @n_conns:   how many
 * @numbered:  connections so far
 * @specials:  connections near their end, which the sweep has to look at
 * @resume_at: when to accept again, 0: accepting
 */
struct wire {
	struct emulator *emu;
	struct listener listeners[PORTS];
	struct conn *conns;
	size_t n_conns;
	uint64_t numbered;
	struct conn *specials;
	uint64_t resume_at;
};

static void make_special(struct conn *c)
{
	if (c->special)
		return;
	c->special = true;
	c->next_special = c->wire->specials;
	c->wire->specials = c;
}

static void kill_conn(struct conn *c)
{
	if (c->dead)
		return;
	make_special(c);
	c->dead = true;
	loop_want(&c->wire->emu->loop, &c->client, 0);
	loop_want(&c->wire->emu->loop, &c->inner, 0);
}

static void free_conn(struct conn *c)
{
	struct wire *wire = c->wire;

	if (c->prev)
		c->prev->next = c->next;
	else
		wire->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	wire->n_conns--;
	if (c->client.fd >= 0)
		close(c->client.fd);
	if (c->inner.fd >= 0)
		close(c->inner.fd);
	/* a key has gone through here */
	OPENSSL_cleanse(c->down.data, sizeof(c->down.data));
	free(c);
}

/* Returns what recv() did; an orderly or forced end is eof. */
static ssize_t fill(struct stream *s, char **piece)
{
	ssize_t n;

	if (s->start && s->start + s->len == sizeof(s->data)) {
		memmove(s->data, s->data + s->start, s->len);
		s->start = 0;
	}
	*piece = s->data + s->start + s->len;
	n = recv(s->from, *piece, sizeof(s->data) - s->start - s->len,
		 MSG_DONTWAIT);
	if (n > 0)
		s->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->eof = true;
	return n;
}

/* In its edge-triggered mode the library takes a short read for an empty
 * socket and does not look again: an end that is already behind the last bytes
 * would go unnoticed until its timeout. */
static bool may_shut(const struct stream *s)
{
	int unread = 0;

	if (!s->eof || s->shut)
		return false;
	return !s->patient || s->broken ||
	       ioctl(s->to, SIOCOUTQ, &unread) < 0 || !unread;
}

static void drain(struct stream *s)
{
	while (s->len && !s->broken) {
		ssize_t n = send(s->to, s->data + s->start, s->len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			s->broken = true;
			break;
		}
		s->start += (size_t)n;
		s->len -= (size_t)n;
	}
	s->start = s->len = 0;
	if (may_shut(s)) {
		shutdown(s->to, SHUT_WR);
		s->shut = true;
	}
}

static bool wants_in(const struct stream *s)
{
	return !s->eof && s->len < sizeof(s->data);
}

static void rearm(struct conn *c)
{
	struct loop *loop = &c->wire->emu->loop;
	uint32_t client = 0, inner = 0;

	if (wants_in(&c->up))
		client |= EPOLLIN;
	if (c->down.len)
		client |= EPOLLOUT;
	if (wants_in(&c->down))
		inner |= EPOLLIN;
	if (c->up.len)
		inner |= EPOLLOUT;
	if (loop_want(loop, &c->client, client) < 0 ||
	    loop_want(loop, &c->inner, inner) < 0)
		kill_conn(c);
}

/* Decide what a connection has come to after bytes were moved. */
static void settle(struct conn *c)
{
	if (c->down.broken || (c->down.shut && c->up.eof)) {
		kill_conn(c);
		return;
	}
	if (c->down.shut && !c->linger_at) {
		c->linger_at = loop_now_ms() + LINGER_MS;
		c->up.broken = true;
		drain(&c->up);
	}
	if (c->linger_at || c->up.eof)
		make_special(c);
	rearm(c);
}

static void client_ready(struct loop_watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, client);
	FILE *record = c->wire->emu->record;
	char *piece;
	ssize_t n;

	if (events & EPOLLOUT)
		drain(&c->down);
	if (wants_in(&c->up) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		n = fill(&c->up, &piece);
		if (n < 0 && c->up.eof) {
			/* reset: nobody is left to answer */
			kill_conn(c);
			return;
		}
		if (n > 0 && record && c->peer.port != PORT_CONTROL)
			record_bytes(record, c->peer.number, c->peer.port,
				     piece, (size_t)n);
		drain(&c->up);
	} else if (events & EPOLLERR) {
		kill_conn(c);
		return;
	}
	settle(c);
}

static void inner_ready(struct loop_watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, inner);
	char *piece;

	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		drain(&c->up);
	if (wants_in(&c->down) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		fill(&c->down, &piece);
		drain(&c->down);
	}
	settle(c);
}

static void name_peer(struct conn *c, enum port port,
		      const struct sockaddr_in *address)
{
	char ip[INET_ADDRSTRLEN] = "?";
	struct buf text = { 0 };

	inet_ntop(AF_INET, &address->sin_addr, ip, sizeof(ip));
	buf_format(&text, "%s:%u", ip, ntohs(address->sin_port));
	if (!text.failed && text.len < sizeof(c->peer.client))
		memcpy(c->peer.client, text.data, text.len + 1);
	buf_clear(&text);
	c->peer.port = port;
	c->peer.source = address->sin_addr;
	c->peer.number = ++c->wire->numbered;
}

/* Takes all three descriptors. */
static void open_conn(const struct listener *l, int fd, const int pair[2],
		      const struct sockaddr_in *address)
{
	struct wire *wire = l->wire;
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c) {
		close(fd);
		close(pair[0]);
		close(pair[1]);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->wire = wire;
	c->up.patient = true;
	c->client.fd = c->up.from = c->down.to = fd;
	c->inner.fd = c->up.to = c->down.from = pair[0];
	c->client.ready = client_ready;
	c->inner.ready = inner_ready;
	c->next = wire->conns;
	if (c->next)
		c->next->prev = c;
	wire->conns = c;
	wire->n_conns++;
	name_peer(c, l->port, address);
	if (http_adopt(wire->emu->http, pair[1], &c->peer, address))
		rearm(c);
	else
		kill_conn(c);
}

static void accept_more(struct wire *wire, bool accepting)
{
	size_t i;

	wire->resume_at = accepting ? 0 : loop_now_ms() + PAUSE_MS;
	for (i = 0; i < PORTS; i++) {
		if (wire->listeners[i].watch.fd >= 0)
			loop_want(&wire->emu->loop, &wire->listeners[i].watch,
				  accepting ? EPOLLIN : 0);
	}
}

/* The pair first: a client that cannot be served waits in the backlog. */
static void listener_ready(struct loop_watch *watch, uint32_t events)
{
	struct listener *l = container_of(watch, struct listener, watch);
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd, pair[2];

	(void)events;
	if (l->wire->n_conns >= WIRE_MAX_CONNECTIONS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair) < 0) {
		accept_more(l->wire, false);
		return;
	}
	fd = accept4(watch->fd, (struct sockaddr *)&address, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		open_conn(l, fd, pair, &address);
		return;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
	    errno == ENOBUFS)
		accept_more(l->wire, false);
	close(pair[0]);
	close(pair[1]);
}

struct wire *wire_open(struct emulator *emu)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	size_t i;

	if (!wire)
		return NULL;
	wire->emu = emu;
	for (i = 0; i < PORTS; i++) {
		wire->listeners[i].watch.fd = -1;
		wire->listeners[i].watch.ready = listener_ready;
		wire->listeners[i].wire = wire;
		wire->listeners[i].port = (enum port)i;
	}
	return wire;
}

void wire_close(struct wire *wire)
{
	size_t i;

	if (!wire)
		return;
	while (wire->conns) {
		kill_conn(wire->conns);
		free_conn(wire->conns);
	}
	wire->specials = NULL;
	for (i = 0; i < PORTS; i++) {
		if (wire->listeners[i].watch.fd < 0)
			continue;
		loop_want(&wire->emu->loop, &wire->listeners[i].watch, 0);
		close(wire->listeners[i].watch.fd);
	}
	free(wire);
}

int wire_listen(struct wire *wire, enum port port, struct sockaddr_in *address)
{
	struct listener *l = &wire->listeners[port];
	socklen_t len = sizeof(*address);
	int fd, one = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	l->watch.fd = fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)address, len) < 0 ||
	    listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)address, &len) < 0)
		return -1;
	return loop_want(&wire->emu->loop, &l->watch, EPOLLIN);
}

/* After the library has run, hence after it may have read. */
static void look_again(struct conn *c, uint64_t now)
{
	if (c->dead)
		return;
	drain(&c->up);
	if (c->linger_at && now >= c->linger_at)
		kill_conn(c);
}

void wire_sweep(struct wire *wire)
{
	uint64_t now = loop_now_ms();
	struct conn **p = &wire->specials;

	if (wire->resume_at && now >= wire->resume_at)
		accept_more(wire, true);
	while (*p) {
		struct conn *c = *p;

		look_again(c, now);
		if (c->dead) {
			*p = c->next_special;
			free_conn(c);
		} else {
			p = &c->next_special;
		}
	}
}

int wire_timeout(const struct wire *wire)
{
	/* neither needs to be exact */
	return wire->specials || wire->resume_at ? PAUSE_MS : -1;
}

void wire_play(struct wire *wire, uint64_t connection, struct script *script)
{
	(void)wire;
	(void)connection;
	script_free(script);
}
