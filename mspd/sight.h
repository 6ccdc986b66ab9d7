/* SPDX-License-Identifier: MIT */
/*
 * sight.h - where to look when somebody asks how the agent is: what the
 * control socket and the metrics socket show is all found through this.
 *
 * Belongs to the loop's thread.
 */
#ifndef MSPD_SIGHT_H
#define MSPD_SIGHT_H

#include <stdatomic.h>

#include "mspd/audit.h"
#include "mspd/config.h"
#include "mspd/identity.h"
#include "mspd/keeper.h"
#include "mspd/meter.h"
#include "mspd/policy.h"
#include "mspd/refused.h"
#include "mspd/server.h"
#include "mspd/status.h"

#define MSPD_SIGHT_CAUSE 128

/**
 * struct mspd_sight - everything borrowed
 * @config:      as loaded
 * @loop:        whose clock counts
 * @status:      modules and messages
 * @policies:    key, rules, contact with the host
 * @identities:  has the redirector once there is one
 * @meter:       requests
 * @refused:     callers
 * @server:      connections; NULL: none yet
 * @audit:       the trail
 * @audit_error: errno of the last failure to write it, 0: none so far
 * @keeper:      what it has attached again; NULL: nothing is attached yet
 * @unconfined:  why the process may do more than it should, "": it may not
 * @taken_over:  the channel was taken over from a predecessor
 * @started_s:   when the agent started, in seconds since 1970
 * @ahead_s:     of CLOCK_BOOTTIME the wall clock was by that much, then
 * @describe:    one line about how it is now
 * @describe_arg: its argument
 */
struct mspd_sight {
	const struct mspd_config *config;
	struct mspd_loop *loop;
	struct mspd_status *status;
	struct mspd_policy_slot *policies;
	const struct mspd_identities *identities;
	struct mspd_meter *meter;
	struct mspd_refused *refused;
	const struct mspd_server *server;
	struct mspd_audit *audit;
	atomic_int audit_error;
	const struct mspd_keeper *keeper;
	char unconfined[MSPD_SIGHT_CAUSE];
	bool taken_over;
	int64_t started_s;
	int64_t ahead_s;
	void (*describe)(void *arg, char *out, size_t size);
	void *describe_arg;
};

/* When it started is now, less what has passed since; the rest is set. */
void mspd_sight_begin(struct mspd_sight *sight);
/* By the clock of now, should it have been set; always the same otherwise. */
int64_t mspd_sight_started(const struct mspd_sight *sight);

/* Counters of the identity channel, and what they are called. */
struct mspd_sight_counter {
	enum msp_redirect_counter counter;
	const char *name;
};
extern const struct mspd_sight_counter mspd_sight_counters[MSP_COUNTERS];

/* In the order of a policy's endpoints: the agent's view of one moment. */
struct mspd_sight_key {
	bool present;
	char guid[MSP_GUID_LEN + 1];
	bool has_incarnation;
	uint32_t incarnation;
	bool has_age;
	uint64_t age_s; /* of its file */
	char stored[PATH_MAX];
};

/* Looks at the file. */
void mspd_sight_key(const struct mspd_sight *sight,
		    const struct mspd_policy *policy,
		    struct mspd_sight_key *out);

/* Seconds since the host last answered its key channel; false: never. */
bool mspd_sight_contact_age(const struct mspd_contact *contact,
			    struct msp_time now, uint64_t *out);
/* Seconds that the host's clock is ahead of ours; false: not known. */
bool mspd_sight_skew(const struct mspd_sight *sight, int64_t *out);

/* Does everything work that has to, as far as is known? */
bool mspd_sight_healthy(const struct mspd_sight *sight,
			const struct mspd_contact *contact);

/**
 * mspd_sight_json - the answer to `status`, one line with a line break
 * Returns 0 or -ENOMEM; @text is malloc'ed.
 */
int mspd_sight_json(const struct mspd_sight *sight, char **text, size_t *len);

#endif
