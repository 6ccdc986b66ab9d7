/* SPDX-License-Identifier: MIT */
/*
 * ruleset.h - the rules in force, and how a new status replaces them.
 */
#ifndef MSPD_RULESET_H
#define MSPD_RULESET_H

#include <msp/msp.h>

/* Zeroed: no items, every mode enforce. Belongs to one thread. */
struct mspd_ruleset {
	struct msp_rules *rules[MSP_ENDPOINTS];	    /* owned, NULL: no item */
	struct msp_profile *profile[MSP_ENDPOINTS]; /* what they came from */
	enum msp_mode mode[MSP_ENDPOINTS];
	uint64_t epoch; /* of the newest rules */
	char fault[512]; /* why an item was refused, "" if all are good */
};

/* Take over what is different. True if anything is (rules or modes). An item
 * that is not valid leaves its endpoint's last good rules in force; with none
 * the endpoint is closed (design D4). */
bool mspd_ruleset_update(struct mspd_ruleset *set,
			 const struct msp_keystatus *status);

void mspd_ruleset_close(struct mspd_ruleset *set);

#endif
