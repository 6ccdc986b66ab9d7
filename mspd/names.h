/* SPDX-License-Identifier: MIT */
/*
 * names.h - uid -> name of the user and of its groups, through NSS.
 *
 * NSS may ask the network, so mspd_names_resolve() runs in a worker. The cache
 * belongs to the event loop and never keeps an answer for long (fix Q32).
 */
#ifndef MSPD_NAMES_H
#define MSPD_NAMES_H

#include <stdatomic.h>

#include <msp/msp.h>

/** Entries of a cache. */
#define MSPD_NAMES_CACHE 1024
#define MSPD_NAMES_EXPIRY_MS 60000
/** How long an incomplete answer is believed. */
#define MSPD_NAMES_RETRY_MS 1000

/**
 * struct mspd_names - an immutable answer; shared
 * @owners:     of this answer
 * @uid:        the question
 * @complete:   false if NSS failed: the user or some groups may be missing
 * @truncated:  the user has more than MSP_CALLER_GROUPS_MAX groups
 * @started_ms: CLOCK_BOOTTIME before NSS was asked
 * @user_name:  NULL if there is no such user
 * @groups:     names; a group without a name is left out
 * @n_groups:   how many, 0 without a user
 *
 * What is missing matches no rule, so an incomplete answer closes.
 */
struct mspd_names {
	atomic_uint owners;
	uint32_t uid;
	bool complete;
	bool truncated;
	uint64_t started_ms;
	char *user_name;
	char **groups;
	size_t n_groups;
};

struct mspd_name_cache;

/**
 * mspd_names_resolve - ask NSS; blocks
 *
 * Groups are those of the user database (the user's own primary group and
 * supplementary groups), not those of one process: the answer is shared by
 * all processes of the user. Returns a new answer the caller owns, NULL
 * without memory. Threads: any.
 */
struct mspd_names *mspd_names_resolve(uint32_t uid);

/* One more owner; returns @names. Threads: any. */
struct mspd_names *mspd_names_ref(struct mspd_names *names);

/* Give up; the last owner frees. NULL is fine. Threads: any. */
void mspd_names_free(struct mspd_names *names);

/**
 * mspd_names_apply - fill user_name and groups of a caller
 * @caller: borrows from @names from now on; MSP_CALLER_NAMES is set
 */
void mspd_names_apply(const struct mspd_names *names,
		      struct msp_caller *caller);

/**
 * mspd_name_cache_new - an empty cache
 * @out:         or NULL on error
 * @passwd_path: file whose change empties the cache; NULL: /etc/passwd
 * @group_path:  the same; NULL: /etc/group
 * Returns 0 or -errno.
 */
int mspd_name_cache_new(struct mspd_name_cache **out, const char *passwd_path,
			const char *group_path);

/* Free; NULL is fine. */
void mspd_name_cache_free(struct mspd_name_cache *cache);

/**
 * mspd_names_get - what is known of a uid
 * @now_ms: CLOCK_BOOTTIME
 *
 * Looks at the two files at most once per second. Returns one more reference,
 * for mspd_names_free(), or NULL: resolve and put.
 */
struct mspd_names *mspd_names_get(struct mspd_name_cache *cache, uint32_t uid,
				  uint64_t now_ms);

/* Keep an answer; the cache becomes one more owner. One that was asked for
 * before the files changed is not kept. */
void mspd_names_put(struct mspd_name_cache *cache, struct mspd_names *names,
		    uint64_t now_ms);

#endif
