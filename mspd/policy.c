/* SPDX-License-Identifier: MIT */
/*
 * In: snapshots from the keeper. Out: the newest one, to whoever asks. Must
 * never change a snapshot after it has been published.
 */
#include "mspd/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mspd_policy_slot_init(struct mspd_policy_slot *slot)
{
	pthread_mutex_init(&slot->lock, NULL);
	slot->current = NULL;
	atomic_init(&slot->generation, 0);
	atomic_init(&slot->clock_offset, 0);
	atomic_init(&slot->clock_known, false);
	memset(&slot->contact, 0, sizeof(slot->contact));
}

void mspd_policy_slot_close(struct mspd_policy_slot *slot)
{
	mspd_policy_free(slot->current);
	slot->current = NULL;
	pthread_mutex_destroy(&slot->lock);
}

struct mspd_policy *mspd_policy_new(void)
{
	struct mspd_policy *policy = calloc(1, sizeof(*policy));

	if (policy)
		atomic_init(&policy->owners, 1);
	return policy;
}

struct mspd_policy *mspd_policy_ref(struct mspd_policy *policy)
{
	atomic_fetch_add(&policy->owners, 1);
	return policy;
}

void mspd_policy_free(struct mspd_policy *policy)
{
	size_t i;

	if (!policy || atomic_fetch_sub(&policy->owners, 1) != 1)
		return;
	msp_key_free(policy->key);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		msp_rules_free(policy->rules[i]);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		msp_profile_free(policy->host[i]);
		free(policy->fault[i]);
	}
	free(policy);
}

void mspd_policy_publish(struct mspd_policy_slot *slot,
			 struct mspd_policy *policy)
{
	struct mspd_policy *old;

	pthread_mutex_lock(&slot->lock);
	old = slot->current;
	policy->generation = atomic_load(&slot->generation) + 1;
	slot->current = policy;
	atomic_store(&slot->generation, policy->generation);
	pthread_mutex_unlock(&slot->lock);
	mspd_policy_free(old);
}

void mspd_policy_refresh(struct mspd_policy_slot *slot,
			 struct mspd_policy **held)
{
	struct mspd_policy *old = *held;

	if (old && old->generation == atomic_load(&slot->generation))
		return;
	pthread_mutex_lock(&slot->lock);
	*held = slot->current ? mspd_policy_ref(slot->current) : NULL;
	pthread_mutex_unlock(&slot->lock);
	mspd_policy_free(old);
}

void mspd_policy_set_contact(struct mspd_policy_slot *slot, struct msp_time now)
{
	pthread_mutex_lock(&slot->lock);
	slot->contact.boot_ms = now.boot_ms;
	slot->contact.wall_s = now.wall_s;
	pthread_mutex_unlock(&slot->lock);
}

void mspd_policy_set_failure(struct mspd_policy_slot *slot, const char *failure)
{
	pthread_mutex_lock(&slot->lock);
	snprintf(slot->contact.failure, sizeof(slot->contact.failure), "%s",
		 failure);
	pthread_mutex_unlock(&slot->lock);
}

void mspd_policy_count_failure(struct mspd_policy_slot *slot)
{
	pthread_mutex_lock(&slot->lock);
	slot->contact.failures++;
	pthread_mutex_unlock(&slot->lock);
}

void mspd_policy_get_contact(struct mspd_policy_slot *slot,
			     struct mspd_contact *out)
{
	pthread_mutex_lock(&slot->lock);
	*out = slot->contact;
	pthread_mutex_unlock(&slot->lock);
}

const char *mspd_rules_source_name(enum mspd_rules_source source)
{
	switch (source) {
	case MSPD_RULES_NONE:
		return "none";
	case MSPD_RULES_HOST:
		return "host";
	case MSPD_RULES_LOCAL:
		return "host+local";
	case MSPD_RULES_LAST_GOOD:
		return "last good";
	case MSPD_RULES_CLOSED:
		return "closed";
	}
	return "none";
}

int64_t mspd_policy_date(struct mspd_policy_slot *slot, struct msp_time now)
{
	if (!atomic_load(&slot->clock_known))
		return now.wall_s;
	return ((int64_t)now.boot_ms + atomic_load(&slot->clock_offset)) / 1000;
}
