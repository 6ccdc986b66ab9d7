/* SPDX-License-Identifier: MIT */
/*
 * names.h - ids of a caller -> names, through NSS: of its user, of the groups
 * the user database gives that user, and of the groups the process has.
 *
 * NSS may ask the network, so mspd_names_resolve() runs in a worker. The cache
 * belongs to the event loop and never keeps an answer for long (fix Q32).
 */
#ifndef MSPD_NAMES_H
#define MSPD_NAMES_H

#include <stdatomic.h>

#include <msp/msp.h>

/** Entries of a cache, half of them for local users. */
#define MSPD_NAMES_CACHE 1024
/** Of these, at most so many of one uid. */
#define MSPD_NAMES_PER_UID 4
/** How long an answer is believed, unless told otherwise. */
#define MSPD_NAMES_EXPIRY_MS 60000
/** How long an incomplete answer is believed, at most. */
#define MSPD_NAMES_RETRY_MS 1000
/** Groups of a process: one real, the others supplementary. */
#define MSPD_NAMES_GIDS (MSP_CALLER_GROUPS_MAX + 1)

/**
 * struct mspd_names_key - the question
 * @uid:       whose names
 * @user_only: not the groups. Asked beside the full question, because a
 *             source of groups can hang while that of users answers
 * @local:     the uid stands in the local passwd file; not part of the
 *             question, but of where its answer is kept
 * @account:   whose the asker is, 0: no bound; not part of the question
 *             either, but of how much is asked at a time
 * @n_gids:    how many
 * @gids:      of the process, real and supplementary, in ascending order, each
 *             once
 */
struct mspd_names_key {
	uint32_t uid;
	bool user_only;
	bool local;
	uint64_t account;
	uint32_t n_gids;
	uint32_t gids[MSPD_NAMES_GIDS];
};

/**
 * struct mspd_names - an answer; shared, does not change
 * @owners:     of this answer
 * @key:        the question
 * @complete:   false if NSS failed: the user or some groups may be missing
 * @truncated:  the user has more than MSP_CALLER_GROUPS_MAX groups
 * @started_ms: CLOCK_BOOTTIME before NSS was asked
 * @until_ms:   when it expires; set by mspd_names_put()
 * @generation: of the cache it belongs to; set by mspd_names_put()
 * @user_name:  NULL if there is no such user
 * @groups:     of the user database; a group without a name is left out
 * @n_groups:   how many, 0 without a user
 * @process_groups: names of key.gids
 * @n_process_groups: how many
 *
 * What is missing matches no rule, so an incomplete answer closes.
 */
struct mspd_names {
	atomic_uint owners;
	struct mspd_names_key key;
	bool complete;
	bool truncated;
	uint64_t started_ms;
	uint64_t until_ms;
	uint64_t generation;
	char *user_name;
	char **groups;
	size_t n_groups;
	char **process_groups;
	size_t n_process_groups;
};

struct mspd_name_cache;

/* The full question about a caller. */
void mspd_names_key(struct mspd_names_key *out,
		    const struct msp_caller *caller);

/* The same question? */
bool mspd_names_same(const struct mspd_names_key *a,
		     const struct mspd_names_key *b);

/**
 * mspd_names_resolve - ask NSS; blocks
 * Returns a new answer the caller owns, NULL without memory. Threads: any.
 */
struct mspd_names *mspd_names_resolve(const struct mspd_names_key *key);

/* One more owner; returns @names. Threads: any. */
struct mspd_names *mspd_names_ref(struct mspd_names *names);

/* Give up; the last owner frees. NULL is fine. Threads: any. */
void mspd_names_free(struct mspd_names *names);

/**
 * mspd_names_apply - fill the names of a caller
 * @names:  NULL: none are known
 * @caller: borrows from @names from now on. MSP_CALLER_NAMES is set or
 *          cleared, and MSP_CALLER_GROUPS_CUT as well, but for @kernel_cut
 * @kernel_cut: the list of the process itself was cut already
 */
void mspd_names_apply(const struct mspd_names *names, struct msp_caller *caller,
		      bool kernel_cut);

/**
 * mspd_name_cache_new - an empty cache
 * @out:         or NULL on error
 * @passwd_path: file whose change empties the cache
 * @group_path:  the same
 * @expiry_ms:   age at which an answer is asked for anew, 0:
 *               MSPD_NAMES_EXPIRY_MS
 * Returns 0 or -errno.
 */
int mspd_name_cache_new(struct mspd_name_cache **out, const char *passwd_path,
			const char *group_path, uint32_t expiry_ms);

/* Free; NULL is fine. */
void mspd_name_cache_free(struct mspd_name_cache *cache);

/**
 * mspd_names_get - the answer to a question
 * @now_ms: CLOCK_BOOTTIME
 *
 * Looks at the two files at most once per second. Returns one more reference,
 * for mspd_names_free(), or NULL: resolve and put.
 */
struct mspd_names *mspd_names_get(struct mspd_name_cache *cache,
				  const struct mspd_names_key *key,
				  uint64_t now_ms);

/* Is an answer that somebody has kept still to be believed? Looks at the
 * files like mspd_names_get(). */
bool mspd_names_fresh(struct mspd_name_cache *cache,
		      const struct mspd_names *names, uint64_t now_ms);

/**
 * mspd_names_put - keep an answer nobody else has seen
 * @names:    the cache becomes one more owner
 * @asked_in: generation of the cache when the question was asked; if it is
 *            another now, the answer is not kept
 * @now_ms:   CLOCK_BOOTTIME
 */
void mspd_names_put(struct mspd_name_cache *cache, struct mspd_names *names,
		    uint64_t asked_in, uint64_t now_ms);

/* Another number whenever the cache has been emptied; never 0. */
uint64_t mspd_names_generation(const struct mspd_name_cache *cache);

#endif
