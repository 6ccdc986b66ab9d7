/* SPDX-License-Identifier: MIT */
/*
 * route.h - a complete call finds the room that answers it.
 */
#ifndef HOST_ROUTE_H
#define HOST_ROUTE_H

#include "net/call.h"

/**
 * struct route - one thing an endpoint knows
 * @method: "GET" also stands for HEAD
 * @path:   letter case and one slash at the end do not matter; with '*' at
 *          its end whatever begins like it
 * @comp:   value the query parameter comp must have, or NULL
 * @handle: fills in call->reply
 */
struct route {
	const char *method;
	const char *path;
	const char *comp;
	void (*handle)(struct call *call);
};

/* Judge the signature, refuse or answer; always leaves a reply. */
void route_call(struct call *call);

/* One row that fits answers; 404 if none has the path, 405 if only the
 * method is another, and false. */
bool route_table(struct call *call, const struct route *rows, size_t n);
/* What follows the '*' of a route's path. */
const char *route_rest(const struct call *call, const char *prefix);

/* Each endpoint's own tables. */
void wireserver_call(struct call *call);
void hostga_call(struct call *call);
void imds_call(struct call *call);
void control_call(struct call *call);
/* Answers a /msp-host/ path; false if it is none. */
bool bench_call(struct call *call);
/* Rows of WireServer that are the key channel. */
void channel_status(struct call *call);
void channel_acquire(struct call *call);
void channel_attest(struct call *call);
/* Answer the calls that wait: keys are latched and written down together. */
void channel_settle(struct call *first);
/* Rows of the control port whose contents live in data/: the guest's status
 * report, its scheduled events, the ids it may get tokens for, and the key
 * tokens are signed with. */
void report_call(struct call *call);
void events_call(struct call *call);
void identities_call(struct call *call);
void jwks_call(struct call *call);
/* PUT /vmAgentLog and telemetry: the body has been counted and dropped. */
void sink_call(struct call *call);

#endif
