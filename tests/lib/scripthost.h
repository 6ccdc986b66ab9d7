/* SPDX-License-Identifier: MIT */
/*
 * scripthost.h - the three endpoints on the loopback address, that answer by a
 * list of lines. Without a thread: the test says when they look.
 */
#ifndef MSP_TEST_SCRIPTHOST_H
#define MSP_TEST_SCRIPTHOST_H

#include <msp/endpoint.h>

#define SCRIPT_LINES 16
#define SCRIPT_CONNS 16
#define SCRIPT_BYTES 16384

enum script_then {
	THEN_KEEP = 0, /* the connection stays */
	THEN_CLOSE,
	THEN_RESET
};

/*
 * Which requests it is for, and what they get. The first that fits is taken;
 * one that has times, as often as that. No answer at all: NULL.
 */
struct script_line {
	enum msp_endpoint endpoint;
	const char *begins;
	const char *answer;
	enum script_then then;
	unsigned int times; /* 0: always */
};

struct script_conn {
	int fd; /* -1: none */
	enum msp_endpoint endpoint;
	size_t len;
	char in[SCRIPT_BYTES]; /* NUL behind it */
};

struct scripthost {
	int listeners[MSP_ENDPOINTS];
	struct msp_address address[MSP_ENDPOINTS];
	struct script_conn conns[SCRIPT_CONNS];
	struct script_line lines[SCRIPT_LINES];
	unsigned int asked[SCRIPT_LINES];	/* by line */
	unsigned int requests[MSP_ENDPOINTS];	/* in all */
	unsigned int accepted[MSP_ENDPOINTS];	/* connections in all */
	char last[MSP_ENDPOINTS][SCRIPT_BYTES]; /* request, with its body */
};

/* All of them end the test when something cannot be done, or a request comes
 * that no line is for. */
void scripthost_open(struct scripthost *host);
void scripthost_close(struct scripthost *host);
/* Another line, behind the others. */
void scripthost_add(struct scripthost *host, struct script_line line);
/* No lines, and nothing asked; connections stay. */
void scripthost_forget(struct scripthost *host);
/* Take connections and answer requests; false if there was nothing to do. */
bool scripthost_look(struct scripthost *host);

#endif
