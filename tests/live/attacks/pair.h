/* SPDX-License-Identifier: MIT */
/*
 * pair.h - an attacker and an honest caller who take turns.
 *
 * Both are processes of their own, nobody and daemon, with one table of
 * descriptors: a socket that one of them opens is the other's, too. They run
 * one function each per try, and meet at the same places in both.
 */
#ifndef TESTS_LIVE_PAIR_H
#define TESTS_LIVE_PAIR_H

#include "tests/live/attacks/attack.h"

struct pair {
	struct attack *a;
	struct attack_barrier barrier;
	bool more;
	unsigned int number; /* of the try, from 1 */
	/* what they tell each other */
	int fd;
	uint16_t port;
};

/* As many tries as there shall be. The caller stays root, and may undo
 * afterwards what it did to the network. */
void pair_play(struct attack *a, void (*attacker)(struct pair *),
	       void (*honest)(struct pair *));

/* Until the other one is there, too. */
void pair_meet(struct pair *p);

/* A port that was not used for some thousand tries. */
uint16_t pair_port(const struct pair *p);

/* attack_socket() with SO_REUSEADDR and, if port is not 0, a local address;
 * ends the program if it cannot have that. */
int pair_socket(const struct pair *p, const char *ip, uint16_t port);

/* connect() to IMDS that does not wait. */
void pair_begin_connect(int fd);

/* connect() to nothing: the socket may connect anew. 0 or -errno. */
int pair_disconnect(int fd);

/* SO_BINDTODEVICE; ends the program if it cannot be. */
void pair_bind_device(int fd, const char *device);

/* Sends and reads the answer. */
int pair_ask(const struct pair *p, int fd, enum attack_path path);

/* Counts what an honest caller was told. */
void pair_count_honest(const struct pair *p, int answer);

uint16_t pair_port_of(int fd);

#endif
