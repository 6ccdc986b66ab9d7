/* SPDX-License-Identifier: MIT */
/*
 * wire.h - raw TCP in front of the HTTP library.
 *
 * Every client connection is accepted here and its bytes are pumped through a
 * socket pair whose other end is the library's. So the bytes can be recorded
 * as they came, and answers can be spoilt in ways no HTTP library would.
 */
#ifndef HOST_WIRE_H
#define HOST_WIRE_H

#include "net/call.h"

#include <netinet/in.h>

/** Three for each of 1,000 agents, with as much again for their fresh ones and
 * for what hangs. A connection takes three descriptors. */
#define WIRE_MAX_CONNECTIONS 8192

struct wire;

struct script;

struct wire *wire_open(struct emulator *emu);
/* Closes listeners and connections. */
void wire_close(struct wire *wire);
/* Listen; address->sin_port 0 is filled in. 0, or -1 and errno. */
int wire_listen(struct wire *wire, enum port port, struct sockaddr_in *address);
/* After what the library has already said this connection gets the script; the
 * script is taken, also if the connection is gone. */
void wire_play(struct wire *wire, uint64_t connection, struct script *script);
/* The library has answered a request of so many bytes, head and body. */
void wire_answered(struct wire *wire, uint64_t connection, uint64_t bytes);
/* Once per turn of the loop: what is over is freed, what lingers is ended. */
void wire_sweep(struct wire *wire);
/* Milliseconds until wire_sweep() is due at the latest, -1: no limit. */
int wire_timeout(const struct wire *wire);

#endif
