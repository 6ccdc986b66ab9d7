/* SPDX-License-Identifier: MIT */
/*
 * ruleset.h - the rules in force, and how a new status replaces them.
 */
#ifndef MSPD_RULESET_H
#define MSPD_RULESET_H

#include <msp/msp.h>

#include "mspd/localrules.h"
#include "mspd/policy.h"

/* Zeroed: no items, every mode enforce, no local files. Belongs to one
 * thread. */
struct mspd_ruleset {
	struct msp_rules *rules[MSP_ENDPOINTS];	    /* owned, NULL: no item */
	struct msp_profile *profile[MSP_ENDPOINTS]; /* what they came from */
	struct msp_profile *host[MSP_ENDPOINTS];    /* the host's last good */
	char *rule_id[MSP_ENDPOINTS]; /* as received, owned, NULL: "" */
	enum msp_mode mode[MSP_ENDPOINTS];
	struct mspd_localrules *local; /* owned, NULL: there are none */
	uint64_t epoch;		       /* of the newest rules */
	bool replaced;		       /* since whoever reads it cleared it */
	char bad[MSP_ENDPOINTS][256];  /* the same of each, in short */
	char fault[512]; /* why an item was refused, "" if all are good */
	char local_fault[2048]; /* likewise of the local files */
};

/* Take over what is different in the status, or in the local files. True if
 * anything is (rules, modes or faults). An item that is not valid leaves its
 * endpoint's last good rules in force; with none the endpoint is closed
 * (design D4). */
bool mspd_ruleset_update(struct mspd_ruleset *set,
			 const struct msp_keystatus *status,
			 struct msp_time now);

/* Tell in a snapshot where an endpoint's rules come from, and what is wrong
 * with what was last received for it; what there is no memory for is left
 * out. */
void mspd_ruleset_describe(const struct mspd_ruleset *set,
			   struct mspd_policy *policy,
			   enum msp_endpoint endpoint);

/* When to update at the latest, even with the same status. */
uint64_t mspd_ruleset_deadline(const struct mspd_ruleset *set);

void mspd_ruleset_close(struct mspd_ruleset *set);

#endif
