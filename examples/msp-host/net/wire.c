/* SPDX-License-Identifier: MIT */
/*
 * In:  client connections on the public addresses.
 * Out: the same bytes on a socket pair with the HTTP library, both ways, or a
 *      script instead of an answer.
 * Never: holds more than one piece per direction, changes a byte, or lets a
 *        client that neither reads nor writes disturb another.
 */
#include "net/wire.h"
#include "net/http.h"
#include "net/script.h"
#include "net/stream.h"
#include "net/timers.h"

#include "emulator.h"
#include "vm/record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a client may go on sending after we said all we had to. Closing at
 * once would make the kernel reset the connection and the client lose the
 * answer to a body it is still sending. */
#define ACCEPTS_PER_TURN 64
#define LINGER_MS	 2000
/* A connection between two requests for so long goes on without the library,
 * which keeps its pool for each. */
#define PARK_MS 100
/* Accepting is tried again after this when descriptors ran out. */
#define PAUSE_MS 100
/* Descriptors of a connection, and those of everything else. */
#define CONN_FDS  3
#define OTHER_FDS 64
/* One of so many connections is kept back for the control port, which ends the
 * faults that hold the others. */
#define CONTROL_SHARE 32
/* Lists of connections, by number: a power of two. */
#define BUCKETS 1024

/**
 * struct conn - one client connection
 * @wire:     borrowed
 * @client:   watch of the TCP socket; owns the descriptor
 * @inner:    watch of our end of the socket pair; owns the descriptor
 * @up:       client to library
 * @down:     library to client
 * @peer:     who it is
 * @script:   sent after the last byte of the library, or NULL; owned
 * @playing:  the script has begun
 * @blocked:  it waits until the client reads
 * @over:     it is over, and the client is kept waiting
 * @held:     nothing moves: among those that make room
 * @lingers:  everything is said, the client may still be sending
 * @given:    bytes of the client that went to the library
 * @answered: bytes of requests that it has answered
 * @parked:   no request is under way, and the library does not know of it
 * @timer:    the next step of the script, the end of lingering or silence, or
 *            time to park
 * @dead:     to be freed at the end of the turn
 * @special:  is among those the sweep looks at
 * @same:     in the list of its bucket
 * @specials: in wire->specials
 * @waiting:  in wire->held, if @held
 */
struct conn {
	struct wire *wire;
	struct loop_watch client;
	struct loop_watch inner;
	struct stream up;
	struct stream down;
	struct peer peer;
	struct script *script;
	bool playing;
	bool blocked;
	bool over;
	bool held;
	bool lingers;
	uint64_t given;
	uint64_t answered;
	bool parked;
	struct timer timer;
	bool dead;
	bool special;
	LIST_ENTRY(conn) same;
	LIST_ENTRY(conn) specials;
	TAILQ_ENTRY(conn) waiting;
};

LIST_HEAD(conn_list, conn);
TAILQ_HEAD(conn_queue, conn);

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
 * @conns:     all connections, by number
 * @n_conns:   how many
 * @max_conns: how many there may be
 * @numbered:  connections so far
 * @specials:  connections which the sweep has to look at
 * @held:      those that make room, the oldest first
 * @n_held:    how many
 * @timers:    of connections
 * @resume_at: when to accept again, 0: accepting
 * @piece:     bytes on their way through; wiped after each use
 */
struct wire {
	struct emulator *emu;
	struct listener listeners[PORTS];
	struct conn_list conns[BUCKETS];
	size_t n_conns;
	size_t max_conns;
	uint64_t numbered;
	struct conn_list specials;
	struct conn_queue held;
	size_t n_held;
	struct timers timers;
	uint64_t resume_at;
	char piece[STREAM_BYTES];
};

static void make_special(struct conn *c)
{
	if (c->special)
		return;
	c->special = true;
	LIST_INSERT_HEAD(&c->wire->specials, c, specials);
}

static void make_usual(struct conn *c)
{
	if (c->special)
		LIST_REMOVE(c, specials);
	c->special = false;
}

static void release(struct conn *c)
{
	if (!c->held)
		return;
	c->held = false;
	TAILQ_REMOVE(&c->wire->held, c, waiting);
	c->wire->n_held--;
}

static void kill_conn(struct conn *c)
{
	if (c->dead)
		return;
	make_special(c);
	c->dead = true;
	release(c);
	timer_stop(&c->wire->timers, &c->timer);
	loop_want(&c->wire->emu->loop, &c->client, 0);
	loop_want(&c->wire->emu->loop, &c->inner, 0);
}

static void free_conn(struct conn *c)
{
	make_usual(c);
	LIST_REMOVE(c, same);
	c->wire->n_conns--;
	if (c->client.fd >= 0)
		close(c->client.fd);
	if (c->inner.fd >= 0)
		close(c->inner.fd);
	stream_clear(&c->up);
	stream_clear(&c->down);
	script_free(c->script);
	free(c);
}

static void rearm(struct conn *c)
{
	struct loop *loop = &c->wire->emu->loop;
	uint32_t client = 0, inner = 0;

	if (stream_wants(&c->up))
		client |= EPOLLIN;
	if (c->down.len || c->blocked)
		client |= EPOLLOUT;
	if (stream_wants(&c->down) && c->inner.fd >= 0)
		inner |= EPOLLIN;
	if (c->up.len)
		inner |= EPOLLOUT;
	if (loop_want(loop, &c->client, client) < 0 ||
	    loop_want(loop, &c->inner, inner) < 0)
		kill_conn(c);
}

/* Nothing moves until the client goes, or half of all connections are so. */
static void hold(struct conn *c)
{
	struct wire *wire = c->wire;

	if (wire->n_held >= wire->max_conns / 2)
		kill_conn(TAILQ_FIRST(&wire->held));
	c->held = true;
	TAILQ_INSERT_TAIL(&wire->held, c, waiting);
	wire->n_held++;
}

static void reset(struct conn *c)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &linger,
		   sizeof(linger));
	kill_conn(c);
}

static void finish(struct conn *c)
{
	switch (c->script->end) {
	case SCRIPT_CLOSE:
		c->down.more = false;
		stream_drain(&c->down);
		break;
	case SCRIPT_RESET:
		reset(c);
		break;
	case SCRIPT_HOLD:
		c->over = true;
		hold(c);
		break;
	}
}

static void play(struct conn *c)
{
	c->blocked = false;
	release(c);
	switch (script_send(c->script, c->client.fd)) {
	case SCRIPT_DONE:
		finish(c);
		break;
	case SCRIPT_BLOCKED:
		c->blocked = true;
		break;
	case SCRIPT_PAUSED:
		timer_set(&c->wire->timers, &c->timer,
			  loop_now_ms() + c->script->piece_ms);
		break;
	case SCRIPT_BROKEN:
		kill_conn(c);
		break;
	}
}

static void leave_library(struct conn *c)
{
	loop_want(&c->wire->emu->loop, &c->inner, 0);
	close(c->inner.fd);
	/* the number is soon another connection's */
	c->inner.fd = c->up.to = c->down.from = -1;
}

/* pair[0] is ours; both are taken. */
static bool join_library(struct conn *c, const int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = c->peer.source };

	c->inner.fd = c->up.to = c->down.from = pair[0];
	return http_adopt(c->wire->emu->http, pair[1], &c->peer, &address);
}

static bool make_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			  0, pair) == 0;
}

/* Is nothing of a request or an answer anywhere? */
static bool is_idle(const struct conn *c)
{
	int unread = 0;

	return c->given == c->answered && !c->up.eof && !c->down.eof &&
	       !c->up.len && !c->down.len &&
	       ioctl(c->inner.fd, FIONREAD, &unread) == 0 && !unread;
}

static void park(struct conn *c)
{
	if (!is_idle(c))
		return;
	leave_library(c);
	c->parked = true;
	timer_set(&c->wire->timers, &c->timer,
		  loop_now_ms() + 1000 * HTTP_SILENCE_SECONDS);
}

static bool unpark(struct conn *c)
{
	int pair[2];

	c->parked = false;
	timer_stop(&c->wire->timers, &c->timer);
	return make_pair(pair) && join_library(c, pair);
}

/* The library has closed its end; all it said before is out, or that would not
 * have been read. */
static void begin_script(struct conn *c)
{
	leave_library(c);
	timer_stop(&c->wire->timers, &c->timer);
	c->up.shut = true;
	c->playing = true;
	if (c->script->wait_ms)
		timer_set(&c->wire->timers, &c->timer,
			  loop_now_ms() + c->script->wait_ms);
	else
		play(c);
}

static void linger(struct conn *c)
{
	c->lingers = true;
	c->up.broken = true;
	stream_drain(&c->up);
	timer_set(&c->wire->timers, &c->timer, loop_now_ms() + LINGER_MS);
}

/* Decide what a connection has come to after bytes were moved. */
static void settle(struct conn *c)
{
	if (c->script && !c->playing && !c->dead && c->down.eof &&
	    !c->down.broken)
		begin_script(c);
	if (c->down.broken ||
	    (c->up.eof && (c->down.shut || c->over || c->parked)))
		kill_conn(c);
	if (c->dead)
		return;
	/* is it waiting, or gone? */
	if (c->up.eof && c->playing && c->timer.slot && !c->held)
		hold(c);
	if (c->down.shut && !c->lingers)
		linger(c);
	if (c->up.eof && !c->up.shut)
		make_special(c);
	rearm(c);
}

/* From the client to the library, recorded on the way; false if the client is
 * gone. */
static bool move_up(struct conn *c)
{
	struct wire *wire = c->wire;
	FILE *record = wire->emu->record;
	ssize_t n;

	n = stream_read(&c->up, wire->piece);
	if (n < 0 && c->up.eof)
		return false;
	if (n > 0 && c->parked && !unpark(c))
		return false;
	if (n > 0) {
		c->given += (uint64_t)n;
		if (record && c->peer.port != PORT_CONTROL)
			record_bytes(record, c->peer.number, c->peer.port,
				     wire->piece, (size_t)n);
		stream_write(&c->up, wire->piece, (size_t)n);
		OPENSSL_cleanse(wire->piece, (size_t)n);
	}
	stream_drain(&c->up);
	return true;
}

static void client_ready(struct loop_watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, client);

	if (events & EPOLLOUT)
		stream_drain(&c->down);
	if (c->blocked && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		play(c);
	if (stream_wants(&c->up) &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		/* reset: nobody is left to answer */
		if (!move_up(c))
			kill_conn(c);
	} else if (events & EPOLLERR) {
		kill_conn(c);
	}
	settle(c);
}

static void inner_ready(struct loop_watch *watch, uint32_t events)
{
	struct conn *c = container_of(watch, struct conn, inner);
	ssize_t n;

	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		stream_drain(&c->up);
	if (stream_wants(&c->down) &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		n = stream_read(&c->down, c->wire->piece);
		if (n > 0) {
			stream_write(&c->down, c->wire->piece, (size_t)n);
			/* a key may be in it */
			OPENSSL_cleanse(c->wire->piece, (size_t)n);
		}
		stream_drain(&c->down);
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

static struct conn_list *bucket(struct wire *wire, uint64_t number)
{
	return &wire->conns[number % BUCKETS];
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
	c->client.ready = client_ready;
	c->inner.ready = inner_ready;
	name_peer(c, l->port, address);
	LIST_INSERT_HEAD(bucket(wire, c->peer.number), c, same);
	wire->n_conns++;
	if (join_library(c, pair))
		rearm(c);
	else
		kill_conn(c);
}

static void accept_later(struct listener *l)
{
	l->wire->resume_at = loop_now_ms() + PAUSE_MS;
	loop_want(&l->wire->emu->loop, &l->watch, 0);
}

static void accept_again(struct wire *wire)
{
	size_t i;

	wire->resume_at = 0;
	for (i = 0; i < PORTS; i++) {
		if (wire->listeners[i].watch.fd >= 0)
			loop_want(&wire->emu->loop, &wire->listeners[i].watch,
				  EPOLLIN);
	}
}

static bool has_room(const struct listener *l)
{
	size_t max = l->wire->max_conns;

	if (l->port != PORT_CONTROL)
		max -= max / CONTROL_SHARE;
	return l->wire->n_conns < max;
}

/* The pair first: a client that cannot be served waits in the backlog. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd, pair[2];

	if (!has_room(l) || !make_pair(pair)) {
		accept_later(l);
		return false;
	}
	fd = accept4(l->watch.fd, (struct sockaddr *)&address, &len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		open_conn(l, fd, pair, &address);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
	    errno == ENOBUFS)
		accept_later(l);
	close(pair[0]);
	close(pair[1]);
	return false;
}

/* All that came together: their keys are written down together. */
static void listener_ready(struct loop_watch *watch, uint32_t events)
{
	struct listener *l = container_of(watch, struct listener, watch);
	struct pollfd more = { .fd = watch->fd, .events = POLLIN };
	unsigned int i;

	(void)events;
	for (i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (!accept_one(l) || poll(&more, 1, 0) != 1)
			return;
	}
}

/* As many as there are descriptors for. */
static size_t max_conns(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur >= CONN_FDS * WIRE_MAX_CONNECTIONS + OTHER_FDS)
		return WIRE_MAX_CONNECTIONS;
	if (limit.rlim_cur < 2 * OTHER_FDS)
		return OTHER_FDS / CONN_FDS;
	return (limit.rlim_cur - OTHER_FDS) / CONN_FDS;
}

struct wire *wire_open(struct emulator *emu)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	size_t i;

	if (!wire)
		return NULL;
	wire->max_conns = max_conns();
	if (!timers_init(&wire->timers, wire->max_conns)) {
		free(wire);
		return NULL;
	}
	TAILQ_INIT(&wire->held);
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
	for (i = 0; i < BUCKETS; i++) {
		struct conn *c;

		while ((c = LIST_FIRST(&wire->conns[i]))) {
			kill_conn(c);
			free_conn(c);
		}
	}
	for (i = 0; i < PORTS; i++) {
		if (wire->listeners[i].watch.fd < 0)
			continue;
		loop_want(&wire->emu->loop, &wire->listeners[i].watch, 0);
		close(wire->listeners[i].watch.fd);
	}
	timers_clear(&wire->timers);
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

static void time_over(struct conn *c)
{
	if (c->lingers || c->parked)
		kill_conn(c);
	else if (c->playing)
		play(c);
	else
		park(c);
	settle(c);
}

/* After the library has run, hence after it may have read. */
static void look_again(struct conn *c)
{
	if (!c->dead) {
		stream_drain(&c->up);
		settle(c);
	}
	if (c->dead)
		free_conn(c);
	else if (c->up.shut)
		make_usual(c);
}

void wire_sweep(struct wire *wire)
{
	uint64_t now = loop_now_ms();
	struct conn *c, *next;
	struct timer *timer;

	if (wire->resume_at && now >= wire->resume_at)
		accept_again(wire);
	while ((timer = timers_next(&wire->timers, now)))
		time_over(container_of(timer, struct conn, timer));
	for (c = LIST_FIRST(&wire->specials); c; c = next) {
		next = LIST_NEXT(c, specials);
		look_again(c);
	}
}

int wire_timeout(const struct wire *wire)
{
	int ms = timers_wait(&wire->timers, loop_now_ms());

	/* neither needs to be exact */
	if ((LIST_FIRST(&wire->specials) || wire->resume_at) &&
	    (ms < 0 || ms > PAUSE_MS))
		ms = PAUSE_MS;
	return ms;
}

static struct conn *find(struct wire *wire, uint64_t number)
{
	struct conn *c;

	LIST_FOREACH (c, bucket(wire, number), same) {
		if (c->peer.number == number)
			return c;
	}
	return NULL;
}

void wire_answered(struct wire *wire, uint64_t connection, uint64_t bytes)
{
	struct conn *c = find(wire, connection);

	if (!c || c->dead || c->script || c->lingers || c->parked)
		return;
	c->answered += bytes;
	if (c->answered == c->given)
		timer_set(&wire->timers, &c->timer, loop_now_ms() + PARK_MS);
}

void wire_play(struct wire *wire, uint64_t connection, struct script *script)
{
	struct conn *c = find(wire, connection);

	if (!c || c->dead || c->script) {
		script_free(script);
		return;
	}
	c->script = script;
	c->down.more = true;
	/* what the client sends from now on nobody reads */
	c->up.broken = true;
	stream_drain(&c->up);
	settle(c);
}
