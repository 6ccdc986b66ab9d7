/* SPDX-License-Identifier: MIT */
/*
 * limits.h - says which limits clients run into, at most once per second for
 * each, however many do. Belongs to the loop's thread.
 */
#ifndef MSPD_LIMITS_H
#define MSPD_LIMITS_H

#include <stdint.h>

enum mspd_limit {
	MSPD_LIMIT_RATE = 0, /* requests per second */
	MSPD_LIMIT_HEAD = 1, /* request line, headers or their number */
	MSPD_LIMIT_HEAD_TIME = 2,
	MSPD_LIMIT_BODY_TIME = 3,
	MSPD_LIMIT_TOTAL_TIME = 4
};

#define MSPD_LIMIT_KINDS 5

/* Zeroed before use. */
struct mspd_limits {
	struct {
		uint64_t hits;
		uint64_t said;	 /* of these, by the last line */
		uint64_t say_at; /* earliest time of the next */
	} of[MSPD_LIMIT_KINDS];
};

/* One more; owner: mspd_fair_key(), now_ms: of any clock that never goes
 * back. */
void mspd_limits_hit(struct mspd_limits *limits, enum mspd_limit which,
		     uint64_t owner, uint64_t now_ms);

#endif
