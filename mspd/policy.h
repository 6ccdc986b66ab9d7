/* SPDX-License-Identifier: MIT */
/*
 * policy.h - what the keeper publishes and the loop reads: key, rules and
 * modes as one immutable snapshot (design D4).
 */
#ifndef MSPD_POLICY_H
#define MSPD_POLICY_H

#include <pthread.h>
#include <stdatomic.h>

#include <msp/msp.h>

struct mspd_policy {
	atomic_uint owners;
	uint64_t generation;		       /* of this snapshot, from 1 */
	struct msp_key *key;		       /* owned; NULL: cannot sign */
	struct msp_rules *rules[MSP_ENDPOINTS]; /* owned; NULL: no item */
	enum msp_mode mode[MSP_ENDPOINTS];
};

struct mspd_policy_slot {
	pthread_mutex_t lock;
	struct mspd_policy *current; /* owned */
	atomic_uint_fast64_t generation;
	/* host time minus CLOCK_BOOTTIME in ms, valid if clock_known */
	atomic_int_fast64_t clock_offset;
	atomic_bool clock_known;
};

void mspd_policy_slot_init(struct mspd_policy_slot *slot);
void mspd_policy_slot_close(struct mspd_policy_slot *slot);

/* A snapshot without key and rules, every mode enforce; NULL: no memory. */
struct mspd_policy *mspd_policy_new(void);
void mspd_policy_free(struct mspd_policy *policy);

/* The slot becomes the owner; numbers the snapshot. Threads: any. */
void mspd_policy_publish(struct mspd_policy_slot *slot,
			 struct mspd_policy *policy);

/* Bring *held up to date; cheap when nothing has changed. Threads: any, but
 * each its own held. */
void mspd_policy_refresh(struct mspd_policy_slot *slot,
			 struct mspd_policy **held);

/* One more owner of a held snapshot. */
struct mspd_policy *mspd_policy_ref(struct mspd_policy *policy);

/* Seconds since 1970 for the date header: the host's clock if known. */
int64_t mspd_policy_date(struct mspd_policy_slot *slot, struct msp_time now);

#endif
