/* SPDX-License-Identifier: MIT */
/*
 * rate.h - requests per second of one account, mspd_fair_key(): a bucket of
 * tokens for each, that fills with time.
 *
 * Memory is fixed. An account is forgotten only when its bucket is full, which
 * is what one that was never seen has: nothing is gained by being forgotten.
 * Whoever finds no bucket shares one with all who find none. Belongs to the
 * loop's thread; allocates nothing but itself.
 */
#ifndef MSPD_RATE_H
#define MSPD_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mspd_rate;

/* Accounts that can be told apart at a time while none has a full bucket. */
#define MSPD_RATE_ACCOUNTS 512
/* Most of either limit. At one per second, the slowest there is, whoever has
 * no token gets one within a second. */
#define MSPD_RATE_MAX 1000000

/**
 * struct mspd_rate_opts - copied
 * @per_second: tokens in the long run; 0: no limit
 * @burst:      in a full bucket; 0 counts as 1
 * @exempt:     uids without a limit, of those who are in no namespace of their
 *              own
 * @n_exempt:   how many
 */
struct mspd_rate_opts {
	uint32_t per_second;
	uint32_t burst;
	const uint32_t *exempt;
	size_t n_exempt;
};

/* 0, -EINVAL for a limit over MSPD_RATE_MAX, or -ENOMEM. */
int mspd_rate_new(struct mspd_rate **out, const struct mspd_rate_opts *opts);
/* NULL is fine. */
void mspd_rate_free(struct mspd_rate *rate);

/* Take a token of this account; false: there is none. NULL as rate has no
 * limit. now_ms: of any clock that never goes back. */
bool mspd_rate_take(struct mspd_rate *rate, uint64_t key, uint64_t now_ms);

#endif
