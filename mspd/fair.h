/* SPDX-License-Identifier: MIT */
/*
 * fair.h - who may keep how many connections. Counted by owner, so that what
 * one user opens costs that user's connections and nobody else's: whoever
 * comes when all places are taken waits in line, where those who hold least
 * are first, or gets a place of those who hold most.
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
	uint64_t since;	   /* order of becoming what it is, idle or busy */
	uint64_t since_ms; /* mspd_fair_time() when it was taken */
	bool waiting;	   /* in line for a place */
	bool busy;	   /* a request is in hand */
};

enum mspd_admission {
	MSPD_ADMIT = 0,
	MSPD_REFUSE_SHARE, /* its owner has all that one may */
	MSPD_REFUSE_FULL   /* no place is free, and nobody holds more */
};

/* Most that wait in line: a quarter of the places, but where these are few, so
 * many, or twice the places. */
#define MSPD_FAIR_LINE_LEAST 512
size_t mspd_fair_line(size_t total);

struct mspd_fair;

/**
 * mspd_fair_new - an empty table
 * @out:       or NULL on error
 * @total:     places there are
 * @per_owner: most that an owner may hold or wait for, but for uid 0; 0: a
 *             quarter
 * Returns 0 or -ENOMEM.
 */
int mspd_fair_new(struct mspd_fair **out, size_t total, size_t per_owner);

/* Free; NULL is fine. No place may be in it. */
void mspd_fair_free(struct mspd_fair *fair);

/* Milliseconds of any clock that never goes back; what changes next, changes
 * then. */
void mspd_fair_time(struct mspd_fair *fair, uint64_t now_ms);

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

/* The connection to be closed first, whoever comes, one in line if there is
 * any; NULL: there is none. */
struct mspd_place *mspd_fair_first_to_go(const struct mspd_fair *fair);

/* Take a place, idle at first. Returns 0 or -ENOMEM. */
int mspd_fair_join(struct mspd_fair *fair, struct mspd_place *place,
		   uint64_t key);

/**
 * mspd_fair_wait - stand in line instead
 * @victim: set to the connection to be closed for it, or NULL: where the line
 *          is full, the last in it of the owner who has most there. It is
 *          still in the table
 *
 * Returns 0, -ENOMEM, or -ENOBUFS: the line is full, and nobody has more in it.
 */
int mspd_fair_wait(struct mspd_fair *fair, struct mspd_place *place,
		   uint64_t key, struct mspd_place **victim);

/**
 * mspd_fair_next - who gets the next place
 * @victim: set to the connection to be closed for it, as in mspd_fair_admit()
 *
 * Of those in line, one of the owner that holds least, and of these the one
 * that has waited longest. NULL if there is nobody, or no place for anybody.
 */
struct mspd_place *mspd_fair_next(const struct mspd_fair *fair,
				  struct mspd_place **victim);

/* From the line into a place, idle at first. */
void mspd_fair_enter(struct mspd_fair *fair, struct mspd_place *place);

/* Give up a place, or that in line; one that is in no table is fine. */
void mspd_fair_leave(struct mspd_fair *fair, struct mspd_place *place);

/* A request is in hand from now on, or none is. The same again is nothing new;
 * one that is in no table is fine. */
void mspd_fair_busy(struct mspd_fair *fair, struct mspd_place *place,
		    bool busy);

/* Places taken, and how many are in line. */
size_t mspd_fair_taken(const struct mspd_fair *fair);
size_t mspd_fair_waiting(const struct mspd_fair *fair);

/* Places that one owner may take. */
size_t mspd_fair_share(const struct mspd_fair *fair);

/* Key of the owner of a place that is taken. */
uint64_t mspd_fair_owner(const struct mspd_place *place);

#endif
