/* SPDX-License-Identifier: MIT */
/*
 * flood.h - many processes with many connections, and honest callers who ask
 * meanwhile. What such an attack wins is an honest caller who is not served.
 *
 *	flood_open(&f, argc, argv);
 *	flood_honest(&f);		before,
 *	flood_start(&f, 9, &nobody, 1, member);
 *	flood_honest(&f);		as soon as all members are ready,
 *	flood_kill(&f);
 *	flood_honest(&f);		and when the attackers are gone
 *	return attack_close(&f.a);
 */
#ifndef TESTS_LIVE_FLOOD_H
#define TESTS_LIVE_FLOOD_H

#include "tests/live/attacks/attack.h"

#define FLOOD_PROCESSES 32
/* Connections of one process: no limit that is usual is below. */
#define FLOOD_SOCKETS 1000

struct flood {
	struct attack a;
	struct attack_barrier *barrier;
	_Atomic uint32_t *ready;
	unsigned int members;
	pid_t pids[FLOOD_PROCESSES];
	/* of a member */
	unsigned int number; /* from 0 */
	uid_t uid;
};

/* attack_open(), and an honest caller who asks all the time. Callers have
 * patience for 20 seconds. */
void flood_open(struct flood *f, int argc, char **argv);

/* So many processes. They are root until they become f->uid, of these users in
 * turn. Returns when all of them have said that they are ready, or ended. */
void flood_start(struct flood *f, unsigned int members, const uid_t *uids,
		 unsigned int n_uids, void (*member)(struct flood *));

/* A member says so. */
void flood_ready(struct flood *f);

/* A member waits for the others. */
void flood_meet(struct flood *f);

/* Until each member has ended by itself, without an error. */
void flood_wait(struct flood *f);

/* An end that they could not prepare for. */
void flood_kill(struct flood *f);

/* Honest callers: by user, and by program. */
void flood_honest(struct flood *f);

/* Many connections at once, in order: all begin to connect, then the step is
 * called, then each sends one request and reads the answer. Those of daemon
 * must be allowed and all others must be refused, by an answer: each is an
 * honest caller who was told right or not. */
void flood_wave(struct flood *f, unsigned int connections,
		void (*step)(struct flood *));

/* Does not wait. The socket or -1 with errno. */
int flood_connect(int fd);

int flood_socket(void);

#endif
