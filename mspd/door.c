/* SPDX-License-Identifier: MIT */
/*
 * In: a listening socket. Out: connections, each with a place or in line for
 * one, and those that lose theirs. Must never stop accepting because of what
 * one user holds, nor spin when there are no descriptors.
 */
#include "mspd/door.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/log.h"

/* Out of descriptors or memory: some may be free again after this. */
#define PAUSE_MS 100
/* How often those in line look for a place that was held long enough. */
#define LINE_MS 100
/* At most one line per so long, whatever happens at the door. */
#define SAY_MS 1000
/* Descriptors for what is not a connection: files, programs and maps, idle
 * connections to the host, and connections that are being closed. */
#define KEPT_DESCRIPTORS 256

struct counters {
	atomic_uint_fast64_t admitted;
	atomic_uint_fast64_t refused_share;
	atomic_uint_fast64_t refused_full;
	atomic_uint_fast64_t evicted;
	atomic_uint_fast64_t vanished;
};

struct mspd_door {
	struct mspd_loop *loop;
	struct mspd_fair *fair; /* owned */
	const struct mspd_door_ops *ops;
	void *arg;
	struct mspd_watch listen;
	struct mspd_timer pause; /* until accepting again */
	struct mspd_timer line;	 /* until somebody in line may get a place */
	bool shut;
	uint64_t turn;	/* its time */
	size_t evicted; /* in it */
	/* Given up to see who comes when no descriptor is left; -1: it is
	 * given up, and nobody else gets one. */
	int spare;
	struct counters counters;
	struct mspd_door_counts said; /* by the last line */
	uint64_t say_at;	      /* earliest time of the next */
};

/* ---- descriptors ------------------------------------------------------- */

/* A connection, one to the host, and those in line. */
static uint64_t connections_of(size_t places)
{
	return 2 * (uint64_t)places + mspd_fair_line(places);
}

size_t mspd_door_places(uint64_t descriptors, size_t wanted)
{
	size_t least = 1, most = wanted, middle;
	uint64_t room = descriptors / 2;

	/* otherwise so few that even the files have to do with less */
	if (descriptors >= 2 * KEPT_DESCRIPTORS)
		room = descriptors - KEPT_DESCRIPTORS;
	while (least < most) {
		middle = least + (most - least + 1) / 2;
		if (connections_of(middle) <= room)
			least = middle;
		else
			most = middle - 1;
	}
	return least;
}

uint64_t mspd_door_descriptors(size_t places)
{
	return connections_of(places) + KEPT_DESCRIPTORS;
}

static void take_spare(struct mspd_door *door)
{
	if (door->spare < 0)
		door->spare = eventfd(0, EFD_CLOEXEC); /* needs no path */
}

static void give_spare(struct mspd_door *door)
{
	if (door->spare >= 0)
		close(door->spare);
	door->spare = -1;
}

/* ---- what happened ----------------------------------------------------- */

static void count(atomic_uint_fast64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t value(const atomic_uint_fast64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void mspd_door_count(const struct mspd_door *door, struct mspd_door_counts *out)
{
	const struct counters *c = &door->counters;

	out->admitted = value(&c->admitted);
	out->refused_share = value(&c->refused_share);
	out->refused_full = value(&c->refused_full);
	out->evicted = value(&c->evicted);
	out->vanished = value(&c->vanished);
}

static const char *kind_text(uint64_t key)
{
	switch (mspd_fair_kind(key)) {
	case MSPD_FAIR_USER:
		break;
	case MSPD_FAIR_NESTED:
		return " in another user namespace";
	case MSPD_FAIR_UNKNOWN:
		return " (unknown callers)";
	}
	return "";
}

/* Whoever floods must not fill the log. */
static void say(struct mspd_door *door, const char *what, uint64_t key)
{
	uint64_t now = mspd_loop_now(door->loop).boot_ms;
	struct mspd_door_counts *said = &door->said, c;

	if (now < door->say_at)
		return;
	door->say_at = now + SAY_MS;
	mspd_door_count(door, &c);
	mspd_log(MSPD_WARN,
		 "%s, uid %u%s: of late %llu refused for their user's share of "
		 "%zu, %llu for want of a place, %llu closed for others; "
		 "%zu open",
		 what, (unsigned int)key, kind_text(key),
		 (unsigned long long)(c.refused_share - said->refused_share),
		 mspd_fair_share(door->fair),
		 (unsigned long long)(c.refused_full - said->refused_full),
		 (unsigned long long)(c.evicted - said->evicted),
		 mspd_fair_taken(door->fair));
	*said = c;
}

/* ---- places ------------------------------------------------------------ */

static uint64_t set_time(struct mspd_door *door)
{
	uint64_t now = mspd_loop_now(door->loop).boot_ms;

	mspd_fair_time(door->fair, now);
	if (door->turn != now)
		door->evicted = 0;
	door->turn = now;
	return now;
}

static void evict(struct mspd_door *door, struct mspd_place *victim)
{
	uint64_t key = mspd_fair_owner(victim);
	bool waited = victim->waiting;

	set_time(door);
	mspd_fair_leave(door->fair, victim);
	count(waited ? &door->counters.refused_full : &door->counters.evicted);
	door->evicted += !waited;
	say(door, "connection closed to make room", key);
	door->ops->evict(door->arg, victim);
}

/* Had it time to be of use to whoever holds it? In a crowd all would be thrown
 * out by the next otherwise, and nobody served. */
static bool held_long(const struct mspd_place *place, uint64_t now)
{
	return now - place->since_ms >=
	       (place->busy ? MSPD_DOOR_BUSY_MS : MSPD_DOOR_IDLE_MS);
}

/* What is evicted is closed when the turn ends, which is all of one time: only
 * so many can be there besides those that got their places. */
static bool enough(const struct mspd_door *door)
{
	return door->evicted >= MSPD_DOOR_TURN;
}

static enum mspd_door_answer refuse(struct mspd_door *door,
				    atomic_uint_fast64_t *counter, uint64_t key)
{
	count(counter);
	say(door, "connection refused", key);
	return MSPD_DOOR_CLOSED;
}

static enum mspd_door_answer let_in(struct mspd_door *door,
				    struct mspd_place *place, uint64_t key,
				    struct mspd_place *victim)
{
	if (mspd_fair_join(door->fair, place, key) < 0)
		return MSPD_DOOR_CLOSED;
	count(&door->counters.admitted);
	if (victim)
		evict(door, victim);
	return MSPD_DOOR_IN;
}

static enum mspd_door_answer let_wait(struct mspd_door *door,
				      struct mspd_place *place, uint64_t key,
				      uint64_t now)
{
	struct mspd_place *victim;

	if (mspd_fair_wait(door->fair, place, key, &victim) < 0)
		return refuse(door, &door->counters.refused_full, key);
	if (victim)
		evict(door, victim);
	if (!mspd_timer_set(&door->line))
		mspd_loop_timer(door->loop, &door->line, now + LINE_MS);
	return MSPD_DOOR_WAIT;
}

enum mspd_door_answer mspd_door_admit(struct mspd_door *door,
				      struct mspd_place *place, uint64_t key)
{
	uint64_t now = set_time(door);
	bool full = door->spare < 0;
	struct mspd_place *victim;

	switch (mspd_fair_admit(door->fair, key, full, &victim)) {
	case MSPD_ADMIT:
		break;
	case MSPD_REFUSE_SHARE:
		return refuse(door, &door->counters.refused_share, key);
	case MSPD_REFUSE_FULL:
		if (full)
			return refuse(door, &door->counters.refused_full, key);
		return let_wait(door, place, key, now);
	}
	/* without descriptors nobody can wait; with a line it is not his turn
	 */
	if (!full && (mspd_fair_waiting(door->fair) ||
		      (victim && (!held_long(victim, now) || enough(door)))))
		return let_wait(door, place, key, now);
	return let_in(door, place, key, victim);
}

/* Not in leave(), which whoever gives up a place calls where no connection
 * can be begun. */
static void on_line(void *arg)
{
	struct mspd_door *door = arg;
	uint64_t now = set_time(door);
	struct mspd_place *next, *victim;
	uint64_t again = now + LINE_MS;

	while ((next = mspd_fair_next(door->fair, &victim))) {
		if (victim && !held_long(victim, now))
			break;
		if (victim && enough(door)) {
			again = now + 1;
			break;
		}
		mspd_fair_enter(door->fair, next);
		count(&door->counters.admitted);
		if (victim)
			evict(door, victim);
		door->ops->enter(door->arg, next);
	}
	if (mspd_fair_waiting(door->fair))
		mspd_loop_timer(door->loop, &door->line, again);
}

void mspd_door_leave(struct mspd_door *door, struct mspd_place *place)
{
	uint64_t now = set_time(door);

	if (place->owner && place->waiting)
		count(&door->counters.refused_full);
	mspd_fair_leave(door->fair, place);
	if (mspd_fair_waiting(door->fair) && !door->shut)
		mspd_loop_timer(door->loop, &door->line, now);
}

void mspd_door_busy(struct mspd_door *door, struct mspd_place *place, bool busy)
{
	set_time(door);
	mspd_fair_busy(door->fair, place, busy);
}

/* ---- accepting --------------------------------------------------------- */

static void on_pause_over(void *arg)
{
	struct mspd_door *door = arg;
	uint64_t now = mspd_loop_now(door->loop).boot_ms;

	if (mspd_loop_watch(door->loop, &door->listen, EPOLLIN) < 0)
		mspd_loop_timer(door->loop, &door->pause, now + PAUSE_MS);
}

/* The connection stays in the backlog, and the listener readable: without a
 * pause the loop would spin until something is free. */
static void pause_accepting(struct mspd_door *door)
{
	uint64_t now = mspd_loop_now(door->loop).boot_ms;

	mspd_loop_unwatch(door->loop, &door->listen);
	mspd_loop_timer(door->loop, &door->pause, now + PAUSE_MS);
}

static int accept_one(struct mspd_door *door, struct sockaddr_in *from)
{
	socklen_t len = sizeof(*from);

	return accept4(door->listen.fd, (struct sockaddr *)from, &len,
		       SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static bool no_descriptors(int err)
{
	return err == EMFILE || err == ENFILE;
}

static void accept_failed(struct mspd_door *door, int err)
{
	struct mspd_place *place = mspd_fair_first_to_go(door->fair);

	/* even the spare one is in use, by a connection to the host perhaps:
	 * with what this one frees the next turn sees who is there */
	if (err == EMFILE && place)
		evict(door, place);
	else if (no_descriptors(err) || err == ENOBUFS || err == ENOMEM)
		pause_accepting(door);
}

/* The next connection or -1. Whoever comes when no descriptor is left is
 * looked at all the same: it may be worth more than one that is open. */
static int next_connection(struct mspd_door *door, struct sockaddr_in *from)
{
	int fd = accept_one(door, from);

	if (fd < 0 && no_descriptors(errno) && door->spare >= 0) {
		give_spare(door);
		fd = accept_one(door, from);
	}
	if (fd < 0)
		accept_failed(door, errno);
	return fd;
}

/* If it has ended without a byte, there is nothing to answer: a storm of such
 * must cost as little as can be. Else whether there is a byte. */
static bool has_vanished(int fd, bool *spoken)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	*spoken = n > 0;
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void on_listen(void *arg, uint32_t events)
{
	struct mspd_door *door = arg;
	int i;

	(void)events;
	for (i = 0; i < MSPD_DOOR_TURN; i++) {
		struct sockaddr_in from = { 0 };
		bool spoken;
		int fd;

		take_spare(door);
		if (door->spare < 0 && i > 0)
			return; /* what was evicted closes with the turn */
		fd = next_connection(door, &from);
		if (fd < 0)
			return;
		if (has_vanished(fd, &spoken)) {
			count(&door->counters.vanished);
			close(fd);
			continue;
		}
		door->ops->take(door->arg, fd, &from, spoken);
	}
}

/* ---- life -------------------------------------------------------------- */

int mspd_door_new(struct mspd_door **out, struct mspd_loop *loop, size_t places,
		  size_t per_user, const struct mspd_door_ops *ops, void *arg)
{
	struct mspd_door *door = calloc(1, sizeof(*door));

	*out = NULL;
	if (!door)
		return -ENOMEM;
	if (mspd_fair_new(&door->fair, places, per_user) < 0) {
		free(door);
		return -ENOMEM;
	}
	door->loop = loop;
	door->ops = ops;
	door->arg = arg;
	door->listen.fd = -1;
	door->listen.call = on_listen;
	door->listen.arg = door;
	door->pause.call = on_pause_over;
	door->pause.arg = door;
	door->line.call = on_line;
	door->line.arg = door;
	door->spare = -1;
	take_spare(door);
	*out = door;
	return 0;
}

void mspd_door_free(struct mspd_door *door)
{
	if (!door)
		return;
	mspd_door_shut(door);
	give_spare(door);
	mspd_fair_free(door->fair);
	free(door);
}

int mspd_door_open(struct mspd_door *door, int listen_fd)
{
	door->shut = false;
	door->listen.fd = listen_fd;
	return mspd_loop_watch(door->loop, &door->listen, EPOLLIN);
}

void mspd_door_rest(struct mspd_door *door)
{
	mspd_loop_unwatch(door->loop, &door->listen);
	mspd_loop_timer(door->loop, &door->pause, MSP_NEVER);
}

void mspd_door_shut(struct mspd_door *door)
{
	struct mspd_place *place;

	door->shut = true;
	mspd_door_rest(door);
	mspd_loop_timer(door->loop, &door->line, MSP_NEVER);
	while (mspd_fair_waiting(door->fair)) {
		place = mspd_fair_first_to_go(door->fair);
		evict(door, place);
	}
}
