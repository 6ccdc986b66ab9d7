/* SPDX-License-Identifier: MIT */
/*
 * emulator.h - everything that runs, in one thread.
 *
 * base/ text, JSON, the loop    net/   sockets and HTTP, up to a whole call
 * vm/   what the host knows     data/  what the three endpoints answer
 * arm/  Azure's control plane   fault/ misbehaviour on command
 */
#ifndef HOST_EMULATOR_H
#define HOST_EMULATOR_H

#include "base/loop.h"
#include "base/random.h"

#include <stdio.h>

/**
 * struct emulator
 * @loop:       the one epoll set
 * @random:     where keys come from: the system, or --seed
 * @names:      where guids that only name something come from: a seed of its
 *              own, kept in the state file, or --seed
 * @vms:        owned
 * @arm:        galleries and regions; owned
 * @authority:  keys behind tokens and documents, NULL until one is wanted;
 *              owned
 * @imds_rate:  IMDS requests per second and VM before 429; 0: any
 * @faults:     owned
 * @journal:    owned
 * @http:       owned
 * @wire:       owned
 * @log:        one line per request
 * @record:     raw bytes, or NULL
 * @diary:      the journal as a file, or NULL
 * @state_file: where all that must survive is kept, or NULL; borrowed
 * @wireserver: "ip:port" that goes into the goal state's addresses
 */
struct emulator {
	struct loop loop;
	struct random random;
	struct random names;
	struct vms *vms;
	struct arm *arm;
	struct authority *authority;
	uint32_t imds_rate;
	struct faults *faults;
	struct journal *journal;
	struct http *http;
	struct wire *wire;
	FILE *log;
	FILE *record;
	FILE *diary;
	const char *state_file;
	char wireserver[32];
};

#endif
