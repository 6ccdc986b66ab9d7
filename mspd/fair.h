/* SPDX-License-Identifier: MIT */
/*
 * fair.h - who may keep how many connections. Counted by owner, so that what
 * one user opens costs that user's connections and nobody else's: whoever
 * comes when all places are taken gets one of those who hold most.
 *
 * Memory grows with the connections that are open, and with nothing else.
 * Belongs to the loop's thread.
 */
#ifndef MSPD_FAIR_H
#define MSPD_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What kind of owner; the upper half of a key. */
enum mspd_fair_kind {
	MSPD_FAIR_USER = 0,
	/* Of a process in a user namespace that root made. Whoever is in it may
	 * have been given thousands of uids, so all of these share what is one
	 * user's. */
	MSPD_FAIR_NESTED = 1,
	MSPD_FAIR_UNKNOWN = 2 /* all of them are one owner */
};

static inline uint64_t mspd_fair_key(enum mspd_fair_kind kind, uint32_t uid)
{
	return (uint64_t)kind << 32 | uid;
}

static inline enum mspd_fair_kind mspd_fair_kind(uint64_t key)
{
	return (enum mspd_fair_kind)(key >> 32);
}

struct mspd_owner;

/* A connection's place; embedded in it, zeroed before use. */
struct mspd_place {
	struct mspd_owner *owner; /* NULL: not in the table */
	struct mspd_place *next, *prev;
	uint64_t since; /* order of becoming what it is, idle or busy */
	bool busy;	/* a request is in hand */
};

enum mspd_admission {
	MSPD_ADMIT = 0,
	MSPD_REFUSE_SHARE, /* its owner holds all that one may */
	MSPD_REFUSE_FULL   /* no place is free, and nobody holds more */
};

struct mspd_fair;

/**
 * mspd_fair_new - an empty table
 * @out:       or NULL on error
 * @total:     places there are
 * @per_owner: most that an owner may hold, but for uid 0; 0: a quarter
 * Returns 0 or -ENOMEM.
 */
int mspd_fair_new(struct mspd_fair **out, size_t total, size_t per_owner);

/* Free; NULL is fine. No place may be in it. */
void mspd_fair_free(struct mspd_fair *fair);

/**
 * mspd_fair_admit - is there a place for one more?
 * @key:    its owner
 * @full:   as if all places were taken
 * @victim: set to the connection to be closed for it, or NULL: of the owner
 *          that holds most, one that is idle if there is any, and of these
 *          the one that has been so longest. It is still in the table
 *
 * Linear in the number of owners. Changes nothing.
 */
enum mspd_admission mspd_fair_admit(const struct mspd_fair *fair, uint64_t key,
				    bool full, struct mspd_place **victim);

/* The connection to be closed first, whoever comes; NULL: there is none. */
struct mspd_place *mspd_fair_first_to_go(const struct mspd_fair *fair);

/* Take a place, idle at first. Returns 0 or -ENOMEM. */
int mspd_fair_join(struct mspd_fair *fair, struct mspd_place *place,
		   uint64_t key);

/* Give it up; one that is in no table is fine. */
void mspd_fair_leave(struct mspd_fair *fair, struct mspd_place *place);

/* A request is in hand from now on, or none is. The same again is nothing new;
 * one that is in no table is fine. */
void mspd_fair_busy(struct mspd_fair *fair, struct mspd_place *place,
		    bool busy);

/* Places taken. */
size_t mspd_fair_taken(const struct mspd_fair *fair);

/* Places that one owner may take. */
size_t mspd_fair_share(const struct mspd_fair *fair);

/* Key of the owner of a place that is taken. */
uint64_t mspd_fair_owner(const struct mspd_place *place);

#endif
