/* SPDX-License-Identifier: MIT */
/*
 * refused.h - callers that are refused, the latest of them, each with what is
 * needed to say which rule would allow it.
 *
 * Belongs to the loop's thread. Takes memory with the first refusals, and no
 * more than MSPD_REFUSED_MAX entries of about 2 KiB.
 */
#ifndef MSPD_REFUSED_H
#define MSPD_REFUSED_H

#include <msp/msp.h>

#include "mspd/names.h"

/** Entries; of more the one goes that was refused longest ago: of this user,
 * if that many of them are its own. */
#define MSPD_REFUSED_MAX    64
#define MSPD_REFUSED_SHARE  16
#define MSPD_REFUSED_METHOD 16
/** Bytes of a path that are kept; it has no values of parameters. */
#define MSPD_REFUSED_PATH 256
/** Longest target that can be explained, in bytes. */
#define MSPD_REFUSED_TARGET 512
/** Room for what would allow it. */
#define MSPD_REFUSED_ALLOW 512

/**
 * struct mspd_refusal - one request that was refused; borrowed for a call
 * @caller:     NULL: not known
 * @names:      of the caller, NULL: not known
 * @groups_cut: as for mspd_names_apply()
 * @endpoint:   enum msp_endpoint, -1: none
 * @method:     of the request
 * @target:     as received
 * @target_len: its length
 * @request:    filled, or NULL
 * @reason:     enum msp_reason, or MSPD_METER_REFUSED
 * @wall_s:     seconds since 1970
 */
struct mspd_refusal {
	const struct msp_caller *caller;
	struct mspd_names *names;
	bool groups_cut;
	int endpoint;
	const char *method;
	const char *target;
	size_t target_len;
	const struct msp_request *request;
	unsigned int reason;
	int64_t wall_s;
};

/**
 * struct mspd_refused_entry - refusals that are alike
 * @known:    there is a caller
 * @caller:   of the last of them, without names
 * @names:    owned, may be NULL
 * @target:   likewise, NUL-terminated; only looked at to explain: it may hold
 *            secrets
 * @target_len: 0: too long to be explained
 * @order:    the larger, the later
 * @allow:    owned; what would allow it, NULL: not known yet
 * @allow_epoch: of the rules that @allow is about
 *
 * The others as in struct mspd_refusal.
 */
struct mspd_refused_entry {
	uint64_t hash;
	bool known;
	bool groups_cut;
	int endpoint;
	unsigned int reason;
	uint64_t count;
	uint64_t order;
	int64_t last;
	struct msp_caller caller;
	struct mspd_names *names;
	char method[MSPD_REFUSED_METHOD];
	char path[MSPD_REFUSED_PATH];
	char target[MSPD_REFUSED_TARGET];
	size_t target_len;
	char *allow;
	uint64_t allow_epoch;
};

/* Zeroed before use. */
struct mspd_refused {
	struct mspd_refused_entry *entries[MSPD_REFUSED_MAX]; /* owned */
	size_t n;
	uint64_t order;
};

/* One more. Without memory it is not remembered. */
void mspd_refused_note(struct mspd_refused *refused,
		       const struct mspd_refusal *refusal);

/* The @max that were refused most often, most first; borrowed until the next
 * note. Returns how many. */
size_t mspd_refused_top(const struct mspd_refused *refused,
			const struct mspd_refused_entry **out, size_t max);

/**
 * mspd_refused_allow - which rule would allow it: one sentence, or two
 * @rules: of its endpoint now; NULL: there are none
 *
 * Asks the library why it is refused, by the rules of now: takes time in
 * proportion to them, so it is nothing to do for each request. Quotes names and
 * paths of the rules and of the caller; no values of parameters that the
 * caller sent.
 */
void mspd_refused_allow(const struct mspd_refused_entry *entry,
			const struct msp_rules *rules,
			char out[MSPD_REFUSED_ALLOW]);

/* Is it for rules to change that? Else mspd_refused_allow() takes no time. */
bool mspd_refused_by_rules(const struct mspd_refused_entry *entry);

/* What mspd_refused_allow() has said; without memory it is not kept. */
void mspd_refused_keep(struct mspd_refused_entry *entry, uint64_t epoch,
		       const char *allow);
/* That, if it was about these rules; else NULL. */
const char *mspd_refused_kept(const struct mspd_refused_entry *entry,
			      const struct msp_rules *rules);

/* Name of its user, NULL if it is not known; borrowed. */
const char *mspd_refused_user(const struct mspd_refused_entry *entry);

void mspd_refused_close(struct mspd_refused *refused);

#endif
