/* SPDX-License-Identifier: MIT */
/*
 * switches.h - what is to be done with connections to each endpoint, and what
 * is: a switch that fails is tried again until it does not.
 *
 * One thread.
 */
#ifndef MSPD_SWITCHES_H
#define MSPD_SWITCHES_H

#include <msp/msp.h>

/* msp_redirect_set(), or what a test puts in its place. */
typedef int mspd_switch(void *arg, enum msp_endpoint endpoint,
			enum msp_redirect_state state);

struct mspd_switches {
	mspd_switch *set;
	void *arg;
	uint64_t most_ms; /* between two tries */
	uint64_t wait_ms;
	uint64_t due_ms; /* MSP_NEVER: all is as it is wanted */
	bool failing;
	struct {
		enum msp_redirect_state wanted;
		enum msp_redirect_state is;
	} endpoint[MSP_ENDPOINTS];
};

/* All are off. set NULL: msp_redirect_set() of the redirector that arg is. */
void mspd_switches_init(struct mspd_switches *switches, mspd_switch *set,
			void *arg, uint64_t most_ms);

/* To be done by the next run. */
void mspd_switches_want(struct mspd_switches *switches,
			enum msp_endpoint endpoint,
			enum msp_redirect_state state, uint64_t now_ms);

/* Switch what is due. Is there anything that was not so before? */
bool mspd_switches_run(struct mspd_switches *switches, uint64_t now_ms);

/* What is done now. */
enum msp_redirect_state mspd_switches_is(const struct mspd_switches *switches,
					 size_t endpoint);

/* The first endpoint that is not as it is wanted; false: all are. */
bool mspd_switches_failing(const struct mspd_switches *switches,
			   enum msp_endpoint *endpoint);

/* When the next try is due, MSP_NEVER: none is. */
/* It is so already, by somebody before us. */
void mspd_switches_found(struct mspd_switches *switches,
			 enum msp_endpoint endpoint,
			 enum msp_redirect_state state);
uint64_t mspd_switches_deadline(const struct mspd_switches *switches);

#endif
