/* SPDX-License-Identifier: MIT */
/*
 * emulator.h - everything that runs, in one thread.
 */
#ifndef HOST_EMULATOR_H
#define HOST_EMULATOR_H

#include "host.h"
#include "http.h"
#include "loop.h"
#include "wire.h"

#include <stdio.h>

/**
 * struct emulator
 * @loop:       the one epoll set
 * @host:       the VM
 * @http:       owned
 * @wire:       owned
 * @log:        one line per request
 * @record:     raw bytes, or NULL
 * @wireserver: "ip:port" that goes into the goal state's addresses
 */
struct emulator {
	struct loop loop;
	struct host host;
	struct http *http;
	struct wire *wire;
	FILE *log;
	FILE *record;
	char wireserver[32];
};

#endif
