/* SPDX-License-Identifier: MIT */
/*
 * fleet.h - many agents in one thread, on one epoll set.
 *
 * All do the same thing at the same time: latch, poll, ask. A call returns
 * when the last one is through; if nothing happens for a long time the bench
 * ends, and says who is stuck.
 */
#ifndef MSP_BENCH_FLEET_H
#define MSP_BENCH_FLEET_H

#include "tests/bench/fleet_agent.h"

/** Where fleets live: 127.64.0.0/16, all of which any machine has. */
#define FLEET_NETWORK "127.64.0.0/16"
#define FLEET_FIRST   0x7f400001u
#define FLEET_MAX     65000

/**
 * struct fleet
 * @host:   in common
 * @agents: @n of them, owned
 * @n:      how many
 * @left:   not yet through with what they do
 */
struct fleet {
	struct agent_host host;
	struct agent *agents;
	size_t n;
	size_t left;
};

/* @keys: folder for the agents' keys, or NULL: in memory only. The address of
 * agent i is FLEET_FIRST + i. Ends the bench on error. */
void fleet_open(struct fleet *fleet, size_t n, struct msp_address wireserver,
		struct msp_address imds, uint32_t poll_ms, const char *keys);
void fleet_close(struct fleet *fleet);

/* Until all have latched a key. */
void fleet_latch(struct fleet *fleet);
/* Each polls so many times, one after the other. */
void fleet_poll(struct fleet *fleet, unsigned int times);
/* Each asks so many questions, from the first one on; ASK_BORROWED: with the
 * key of the next agent. */
void fleet_ask(struct fleet *fleet, enum how how, unsigned int times);
/* As agents do: poll when it is time, and ask one signed question after each
 * poll; until something can be read from the descriptor. */
void fleet_tend(struct fleet *fleet, int until);
/* Questions that were answered wrong so far. */
unsigned int fleet_wrong(const struct fleet *fleet);

#endif
