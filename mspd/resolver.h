/* SPDX-License-Identifier: MIT */
/*
 * resolver.h - names of callers, asked for in workers and kept for a while.
 *
 * A question is asked once, however many wait for its answer. Users of the
 * local passwd file and all others have threads of their own, and so have
 * questions about a user alone: a source that hangs holds up nobody else.
 * Belongs to the loop's thread.
 */
#ifndef MSPD_RESOLVER_H
#define MSPD_RESOLVER_H

#include <stdbool.h>

#include "mspd/loop.h"
#include "mspd/names.h"

/** Threads of each of the four pools, at most. */
#define MSPD_RESOLVER_THREADS 16
/** Questions of one uid, or account, that are asked of NSS at a time. */
#define MSPD_RESOLVER_PER_UID 2

struct mspd_resolver;
struct mspd_flight;

/**
 * struct mspd_ask - somebody who waits for an answer; embedded in its owner
 * @done:   the answer is there, or cannot be had (NULL); borrowed. Not called
 *          once the owner has left. It may ask and leave
 * @arg:    of done
 * @flight: of the question, NULL: not waiting
 * @since_ms: when the question was first asked, CLOCK_BOOTTIME
 * @next, @prev: others who wait for the same; the resolver's
 */
struct mspd_ask {
	void (*done)(void *arg, struct mspd_names *names);
	void *arg;
	struct mspd_flight *flight;
	uint64_t since_ms;
	struct mspd_ask *next, *prev;
};

/**
 * struct mspd_resolver_opts
 * @loop:        borrowed
 * @passwd_path: names local users, and empties the cache when it changes;
 *               NULL: /etc/passwd
 * @group_path:  empties the cache when it changes; NULL: /etc/group
 * @resolve:     NULL: mspd_names_resolve()
 * @expiry_ms:   how long answers are kept, 0: MSPD_NAMES_EXPIRY_MS
 */
struct mspd_resolver_opts {
	struct mspd_loop *loop;
	const char *passwd_path;
	const char *group_path;
	struct mspd_names *(*resolve)(const struct mspd_names_key *key);
	uint32_t expiry_ms;
};

/* Reads the passwd file. 0 or -errno. */
int mspd_resolver_new(struct mspd_resolver **out,
		      const struct mspd_resolver_opts *opts);

/* All must have left. Waits so long for threads that are busy, and leaves
 * behind what hangs. NULL is fine. */
void mspd_resolver_free(struct mspd_resolver *resolver, unsigned int wait_ms);

/* What is known already, one more reference, or NULL. */
struct mspd_names *mspd_resolver_get(struct mspd_resolver *resolver,
				     const struct mspd_names_key *key);

/* Is an answer kept elsewhere still valid? */
bool mspd_resolver_fresh(struct mspd_resolver *resolver,
			 const struct mspd_names *names);

/**
 * mspd_resolver_ask - wait for the answer to a question
 * @ask: not waiting
 *
 * done() is called later, from the loop. Returns 0, or -errno if it cannot be
 * asked now; then done() is not called.
 */
int mspd_resolver_ask(struct mspd_resolver *resolver,
		      const struct mspd_names_key *key, struct mspd_ask *ask);

/* Wait no longer; harmless if not waiting. A question nobody waits for is
 * not asked, if it has not been yet. */
void mspd_resolver_leave(struct mspd_resolver *resolver, struct mspd_ask *ask);

#endif
