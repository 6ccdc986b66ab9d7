/* SPDX-License-Identifier: MIT */
/*
 * audit_merge.h - who has used up how much of the audit trail, and what is
 * counted instead of written. Only audit.c needs it; not locked.
 *
 * Memory is bounded: MSPD_MERGE_USERS users, and so many bytes of groups. Who
 * finds no place shares one with the others.
 */
#ifndef MSPD_AUDIT_MERGE_H
#define MSPD_AUDIT_MERGE_H

#include "mspd/audit.h"
#include "mspd/audit_text.h"

#define MSPD_MERGE_USERS 256
/** Groups of one user that differ in method or path, and that do not. */
#define MSPD_MERGE_GROUPS 32
#define MSPD_MERGE_COARSE 16
/** Bytes of groups, of a user and in all. */
#define MSPD_MERGE_USER_BYTES (64 * 1024)
#define MSPD_MERGE_BYTES      (1024 * 1024)
/** As much more as another user's is root's budget. */
#define MSPD_MERGE_ROOT 4

struct mspd_merge;

/* Only the numbers of the options are used. 0 or -ENOMEM. */
int mspd_merge_new(struct mspd_merge **out, const struct mspd_audit_opts *opts);
/* Free with all that is counted; NULL is fine. */
void mspd_merge_free(struct mspd_merge *merge);

/**
 * mspd_merge_take - write a record, or count it?
 * @now_ms: any clock that does not go back, the same in all calls
 * @room:   may it be written?
 *
 * True: write it, and call mspd_merge_charge(). False: it has been counted.
 */
bool mspd_merge_take(struct mspd_merge *merge,
		     const struct mspd_audit_record *record, uint64_t now_ms,
		     bool room);

/* The record that was just taken became a line of so many bytes. */
void mspd_merge_charge(struct mspd_merge *merge, size_t bytes);

/* When mspd_merge_next() will have something; MSP_NEVER: nothing is counted. */
uint64_t mspd_merge_due(const struct mspd_merge *merge);

/* Append the line of a group that is due, or with @all of any. False: there is
 * none. MSPD_AUDIT_LINE bytes of room are always enough. */
bool mspd_merge_next(struct mspd_merge *merge, uint64_t now_ms, bool all,
		     struct mspd_text *line);

#endif
