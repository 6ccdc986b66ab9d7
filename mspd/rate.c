/* SPDX-License-Identifier: MIT */
/*
 * In: requests of accounts, and the time. Out: whether there is a token for
 * each. Must never forget an account that has spent more than time gave back.
 */
#include "mspd/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/fair.h"

/* A token is so many units, so that a millisecond gives a whole number. */
#define UNITS 1000
#define WAYS  8
#define SETS  (MSPD_RATE_ACCOUNTS / WAYS)

struct bucket {
	uint64_t key;
	uint64_t at_ms; /* when it held so much */
	uint64_t units;
	bool used; /* else it is full, and nobody's */
};

struct mspd_rate {
	uint64_t per_ms;  /* units, as many as tokens per second */
	uint64_t room;	  /* units in a full bucket */
	uint64_t fill_ms; /* in which an empty one is full */
	uint32_t *exempt;
	size_t n_exempt;
	struct bucket others; /* of all who find no place */
	struct bucket sets[SETS][WAYS];
};

int mspd_rate_new(struct mspd_rate **out, const struct mspd_rate_opts *opts)
{
	struct mspd_rate *rate;

	*out = NULL;
	if (opts->per_second > MSPD_RATE_MAX || opts->burst > MSPD_RATE_MAX)
		return -EINVAL;
	if (!opts->per_second)
		return 0;
	rate = calloc(1, sizeof(*rate));
	if (!rate)
		return -ENOMEM;
	if (opts->n_exempt) {
		rate->exempt = calloc(opts->n_exempt, sizeof(*rate->exempt));
		if (!rate->exempt) {
			free(rate);
			return -ENOMEM;
		}
		memcpy(rate->exempt, opts->exempt,
		       opts->n_exempt * sizeof(*rate->exempt));
	}
	rate->n_exempt = opts->n_exempt;
	rate->per_ms = opts->per_second;
	rate->room = (uint64_t)(opts->burst ? opts->burst : 1) * UNITS;
	rate->fill_ms = rate->room / rate->per_ms + 1;
	*out = rate;
	return 0;
}

void mspd_rate_free(struct mspd_rate *rate)
{
	if (!rate)
		return;
	free(rate->exempt);
	free(rate);
}

static bool exempt(const struct mspd_rate *rate, uint64_t key)
{
	size_t i;

	for (i = 0; i < rate->n_exempt; i++)
		if (key == mspd_fair_key(MSPD_FAIR_USER, rate->exempt[i]))
			return true;
	return false;
}

static void fill(const struct mspd_rate *rate, struct bucket *b, uint64_t now)
{
	uint64_t ms = now - b->at_ms;

	b->at_ms = now;
	if (ms >= rate->fill_ms)
		b->units = rate->room;
	else
		b->units += ms * rate->per_ms;
	if (b->units > rate->room)
		b->units = rate->room;
}

static size_t set_of(uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) % SETS;
}

/* Its own, one that nobody needs, or that of those who have none. */
static struct bucket *find(struct mspd_rate *rate, uint64_t key, uint64_t now)
{
	struct bucket *set = rate->sets[set_of(key)];
	struct bucket *vacant = NULL;
	size_t i;

	for (i = 0; i < WAYS; i++)
		if (set[i].used && set[i].key == key)
			return &set[i];
	for (i = 0; i < WAYS && !vacant; i++) {
		if (set[i].used)
			fill(rate, &set[i], now);
		if (!set[i].used || set[i].units == rate->room)
			vacant = &set[i];
	}
	if (!vacant)
		vacant = &rate->others;
	if (vacant != &rate->others || !vacant->used)
		*vacant = (struct bucket){ key, now, rate->room, true };
	return vacant;
}

bool mspd_rate_take(struct mspd_rate *rate, uint64_t key, uint64_t now_ms)
{
	struct bucket *b;

	if (!rate || exempt(rate, key))
		return true;
	/* as many uids as they like, but one user's part */
	if (mspd_fair_kind(key) == MSPD_FAIR_NESTED)
		key = mspd_fair_key(MSPD_FAIR_NESTED, 0);
	b = find(rate, key, now_ms);
	fill(rate, b, now_ms);
	if (b->units < UNITS)
		return false;
	b->units -= UNITS;
	return true;
}
