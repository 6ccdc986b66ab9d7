/* SPDX-License-Identifier: MIT */
/*
 * door.h - takes connections in, so that nobody can shut it: neither by many
 * connections, nor by many that come and go, nor when descriptors run out.
 * Where all places are taken a connection waits for one, and takes that of
 * whoever holds more only if it has been held a while: a crowd is served, one
 * after the other.
 *
 * Belongs to the loop's thread.
 */
#ifndef MSPD_DOOR_H
#define MSPD_DOOR_H

#include <netinet/in.h>

#include "mspd/fair.h"
#include "mspd/loop.h"

struct mspd_door;

struct mspd_door_ops {
	/* A new connection; the descriptor is the receiver's. */
	void (*take)(void *arg, int fd, const struct sockaddr_in *from,
		     bool spoken);
	/* One that waited has a place now. */
	void (*enter)(void *arg, struct mspd_place *place);
	/* Close this one before the turn ends: its place is given away. One
	 * that waits is closed at once. */
	void (*evict)(void *arg, struct mspd_place *place);
};

enum mspd_door_answer {
	MSPD_DOOR_CLOSED = 0, /* neither a place nor one in line */
	MSPD_DOOR_IN,
	MSPD_DOOR_WAIT /* enter() or evict() will be called */
};

/* Since the start. */
struct mspd_door_counts {
	uint64_t admitted;
	uint64_t refused_share; /* its user had all that one may */
	uint64_t refused_full;	/* no place, and its user held most */
	uint64_t evicted;	/* closed for somebody who held less */
	uint64_t vanished;	/* gone before it was taken in, no byte sent */
};

/* Connections that can come in, or be closed for others who wait, during one
 * turn of the loop. */
#define MSPD_DOOR_TURN 64

/* A place is its holder's for so long from when it was taken, whoever comes;
 * with a request in hand longer. Not from the last request: who asks often
 * would keep it forever. */
#define MSPD_DOOR_IDLE_MS 1000
#define MSPD_DOOR_BUSY_MS 5000

/* Places that so many descriptors allow, at most wanted: each connection may
 * need a second one, to the host, some wait in line, and some are kept for
 * files. At least 1. */
size_t mspd_door_places(uint64_t descriptors, size_t wanted);
/* The other way round. */
uint64_t mspd_door_descriptors(size_t places);

/* places and per_user as in mspd_fair_new(). 0 or -errno. */
int mspd_door_new(struct mspd_door **out, struct mspd_loop *loop, size_t places,
		  size_t per_user, const struct mspd_door_ops *ops, void *arg);
void mspd_door_free(struct mspd_door *door);

/* Start accepting from a listening, non-blocking socket; borrowed. 0 or
 * -errno. */
int mspd_door_open(struct mspd_door *door, int listen_fd);
/* Accept nobody until it is opened again; who is in stays. */
void mspd_door_rest(struct mspd_door *door);
/* Accept no more, and send away who waits. */
void mspd_door_shut(struct mspd_door *door);

/* Called by take(): does it get a place? evict() may be called in it. */
enum mspd_door_answer mspd_door_admit(struct mspd_door *door,
				      struct mspd_place *place, uint64_t key);
/* For those that have one or wait, as in fair.h. */
void mspd_door_leave(struct mspd_door *door, struct mspd_place *place);
void mspd_door_busy(struct mspd_door *door, struct mspd_place *place,
		    bool busy);

/* Threads: any. */
void mspd_door_count(const struct mspd_door *door,
		     struct mspd_door_counts *out);

#endif
