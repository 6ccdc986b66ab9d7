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

/* Where the rules of an endpoint come from. */
enum mspd_rules_source {
	MSPD_RULES_NONE = 0,
	MSPD_RULES_HOST = 1,
	MSPD_RULES_LOCAL = 2,	  /* the host's, with the file it asks for */
	MSPD_RULES_LAST_GOOD = 3, /* the host's newest are not valid */
	MSPD_RULES_CLOSED = 4	  /* the same, and there were none before */
};

struct mspd_policy {
	atomic_uint owners;
	uint64_t generation;			/* of this snapshot, from 1 */
	struct msp_key *key;			/* owned; NULL: cannot sign */
	struct msp_rules *rules[MSP_ENDPOINTS]; /* owned; NULL: no item */
	enum msp_mode mode[MSP_ENDPOINTS];
	/* for who asks for the status */
	enum mspd_rules_source source[MSP_ENDPOINTS];
	struct msp_profile *host[MSP_ENDPOINTS]; /* owned; NULL: no item */
	char *fault[MSP_ENDPOINTS]; /* owned; NULL: none of the newest item */
};

#define MSPD_POLICY_FAILURE 256

/* How it goes with the host's key channel. */
struct mspd_contact {
	uint64_t boot_ms; /* of its last good answer, 0: none so far */
	int64_t wall_s;
	char failure[MSPD_POLICY_FAILURE]; /* "": all is well */
	uint64_t failures;		   /* since the start */
};

struct mspd_policy_slot {
	pthread_mutex_t lock;
	struct mspd_policy *current; /* owned */
	atomic_uint_fast64_t generation;
	/* host time minus CLOCK_BOOTTIME in ms, valid if clock_known */
	atomic_int_fast64_t clock_offset;
	atomic_bool clock_known;
	struct mspd_contact contact; /* with the lock held */
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

/* The keeper tells: a good answer; what is wrong, "" nothing any more. Threads:
 * any, also for who asks. */
void mspd_policy_set_contact(struct mspd_policy_slot *slot,
			     struct msp_time now);
void mspd_policy_set_failure(struct mspd_policy_slot *slot,
			     const char *failure);
/* One more call of it has failed. */
void mspd_policy_count_failure(struct mspd_policy_slot *slot);
void mspd_policy_get_contact(struct mspd_policy_slot *slot,
			     struct mspd_contact *out);

/* "none", "host", "host+local", "last good", "closed" */
const char *mspd_rules_source_name(enum mspd_rules_source source);

/* Seconds since 1970 for the date header: the host's clock if known. */
int64_t mspd_policy_date(struct mspd_policy_slot *slot, struct msp_time now);

#endif
