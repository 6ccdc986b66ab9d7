/* SPDX-License-Identifier: MIT */
/*
 * fleet_agent.h - one simulated agent: it latches a key, polls, and asks
 * signed questions, all from a source address of its own.
 *
 * It is given an epoll set and steps when one of its sockets is ready or its
 * deadline has passed. Wrong answers are counted, never hidden.
 */
#ifndef MSP_BENCH_FLEET_AGENT_H
#define MSP_BENCH_FLEET_AGENT_H

#include <netinet/in.h>

#include <msp/msp.h>

/** Room for the name of a fleet's VM, "vm-127.64.0.1" with dashes, and NUL. */
#define AGENT_NAME_SIZE 24

/** Sockets of an agent: what the latch uses, and one for each endpoint. */
enum line { LINE_LATCH, LINE_WIRESERVER, LINE_IMDS };
#define LINES 3

/** With what a question is signed. */
enum how {
	ASK_PLAIN,   /* nothing */
	ASK_SIGNED,  /* the agent's key: the answer must be right */
	ASK_BORROWED /* the key of another agent: must be refused */
};

/**
 * struct agent_host - what all agents have in common
 * @wireserver: where it listens
 * @imds:       where it listens
 * @epoll:      set the sockets are in; data.ptr is their struct agent_line
 * @poll_ms:    steady interval of polls
 * @why:        what was wrong with the first wrong answer
 */
struct agent_host {
	struct msp_address wireserver;
	struct msp_address imds;
	int epoll;
	uint32_t poll_ms;
	char why[256];
};

struct agent;

/**
 * struct agent_line - one socket at a time
 * @agent:  whose
 * @client: the connection; NULL for the latch, whose channel has its own
 * @events: what epoll waits for now; 0: nothing
 */
struct agent_line {
	struct agent *agent;
	struct msp_client *client;
	short events;
};

/**
 * struct agent
 * @host:     borrowed
 * @source:   its address
 * @name:     of its VM
 * @lines:    by enum line
 * @store:    where its key is kept, or NULL; owned, like the next three
 * @signer:   for the latched key, or NULL
 * @latching: run the latch; false at first
 * @polls:    status documents that arrived
 * @polls_wanted: poll without waiting until there were so many
 * @curious:  ask one more question after each poll
 * @how:      of the questions
 * @borrowed: signer of another agent, for ASK_BORROWED; borrowed
 * @asking:   a question is under way
 * @retried:  it was sent again, on a new connection
 * @left:     questions still to be asked, after that one
 * @asked:    questions answered of these, right or wrong
 * @wrong:    how many there ever were that were wrong
 * @got:      bytes in @text
 * @text:     the answer's body, NUL-terminated
 * @done:     for the loop
 */
struct agent {
	struct agent_host *host;
	struct in_addr source;
	char name[AGENT_NAME_SIZE];
	struct agent_line lines[LINES];
	struct msp_keystore *store;
	struct msp_channel *channel;
	struct msp_latch *latch;
	struct msp_signer *signer;
	bool latching;
	unsigned int polls;
	unsigned int polls_wanted;
	bool curious;
	enum how how;
	struct msp_signer *borrowed;
	bool asking;
	bool retried;
	unsigned int left;
	unsigned int asked;
	unsigned int wrong;
	size_t got;
	char text[64];
	bool done;
};

/* @agent is zeroed memory that does not move; @keys: folder for its key file,
 * or NULL. Ends the bench on error. */
void agent_open(struct agent *agent, struct agent_host *host, in_addr_t source,
		const char *keys);
void agent_close(struct agent *agent);

/* Do what can be done without blocking. */
void agent_step(struct agent *agent, struct msp_time now);
/* The same, because epoll named this line. */
void agent_ready(struct agent_line *line, struct msp_time now);
/* boot_ms of the next step at the latest. */
uint64_t agent_deadline(const struct agent *agent);

bool agent_latched(const struct agent *agent);
/* Guid of the latched key, or "". */
const char *agent_guid(const struct agent *agent);
/* Of the first so many questions, how many go to IMDS. */
unsigned int agent_asks_imds(unsigned int questions);

#endif
