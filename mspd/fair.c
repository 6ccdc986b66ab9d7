/* SPDX-License-Identifier: MIT */
/*
 * In: connections coming, going, getting busy. Out: whether there is a place
 * for one more, and whose connection makes room. Must never let one owner
 * take a place from another that holds less.
 */
#include "mspd/fair.h"

#include <errno.h>
#include <stdlib.h>

/* Longest in this state first. */
struct line {
	struct mspd_place *first, *last;
};

struct mspd_owner {
	struct mspd_owner *next, *prev;
	uint64_t key;
	size_t held;
	size_t waiting;
	struct line idle;
	struct line busy;
	struct line line;
};

struct mspd_fair {
	struct mspd_owner *owners; /* each holds something, or is in line */
	size_t total;
	size_t share;
	size_t line;
	size_t taken;
	size_t nested; /* of these, by owners of that kind */
	size_t waiting;
	size_t nested_waiting;
	uint64_t clock;
	uint64_t now_ms;
};

size_t mspd_fair_line(size_t total)
{
	const size_t few = 2 * total < MSPD_FAIR_LINE_LEAST
				   ? 2 * total
				   : MSPD_FAIR_LINE_LEAST;

	return total / 4 > few ? total / 4 : few;
}

int mspd_fair_new(struct mspd_fair **out, size_t total, size_t per_owner)
{
	struct mspd_fair *fair = calloc(1, sizeof(*fair));

	*out = fair;
	if (!fair)
		return -ENOMEM;
	fair->total = total;
	fair->share = per_owner ? per_owner : total / 4;
	if (fair->share == 0)
		fair->share = 1;
	fair->line = mspd_fair_line(total);
	return 0;
}

void mspd_fair_free(struct mspd_fair *fair)
{
	free(fair);
}

void mspd_fair_time(struct mspd_fair *fair, uint64_t now_ms)
{
	fair->now_ms = now_ms;
}

/* ---- choosing ---------------------------------------------------------- */

static struct mspd_owner *find(const struct mspd_fair *fair, uint64_t key)
{
	struct mspd_owner *o = fair->owners;

	while (o && o->key != key)
		o = o->next;
	return o;
}

/* What would be closed if this owner had to give up one. */
static struct mspd_place *spare_of(const struct mspd_owner *owner)
{
	return owner->idle.first ? owner->idle.first : owner->busy.first;
}

/* Of two that hold the same, the one whose loss is smaller. */
static bool gives_before(const struct mspd_owner *a, const struct mspd_owner *b)
{
	const struct mspd_place *of_a = spare_of(a), *of_b = spare_of(b);

	if (a->held != b->held)
		return a->held > b->held;
	if (of_a->busy != of_b->busy)
		return of_b->busy;
	return of_a->since < of_b->since;
}

static bool is_nested(const struct mspd_owner *owner)
{
	return mspd_fair_kind(owner->key) == MSPD_FAIR_NESTED;
}

static const struct mspd_owner *largest(const struct mspd_fair *fair,
					bool nested_only)
{
	const struct mspd_owner *most = NULL, *o;

	for (o = fair->owners; o; o = o->next) {
		if (!o->held || (nested_only && !is_nested(o)))
			continue;
		if (!most || gives_before(o, most))
			most = o;
	}
	return most;
}

/* A place of whoever holds most, unless that is who asks. */
static struct mspd_place *make_room(const struct mspd_fair *fair, size_t held,
				    bool nested_only)
{
	const struct mspd_owner *most = largest(fair, nested_only);

	return most && most->held > held ? spare_of(most) : NULL;
}

/* Whoever has more in line than this many; NULL: nobody. */
static const struct mspd_owner *longest_line(const struct mspd_fair *fair,
					     size_t more_than)
{
	const struct mspd_owner *most = NULL, *o;

	for (o = fair->owners; o; o = o->next) {
		if (o->waiting <= more_than)
			continue;
		most = o;
		more_than = o->waiting;
	}
	return most;
}

struct mspd_place *mspd_fair_first_to_go(const struct mspd_fair *fair)
{
	const struct mspd_owner *in_line = longest_line(fair, 0);

	return in_line ? in_line->line.last : make_room(fair, 0, false);
}

/* Is there a place for one more of an owner that holds so many? */
static enum mspd_admission find_room(const struct mspd_fair *fair, uint64_t key,
				     size_t held, bool full,
				     struct mspd_place **victim)
{
	*victim = NULL;
	if (mspd_fair_kind(key) == MSPD_FAIR_NESTED &&
	    fair->nested >= fair->share) {
		*victim = make_room(fair, held, true);
		return *victim ? MSPD_ADMIT : MSPD_REFUSE_SHARE;
	}
	if (!full && fair->taken < fair->total)
		return MSPD_ADMIT;
	*victim = make_room(fair, held, false);
	return *victim ? MSPD_ADMIT : MSPD_REFUSE_FULL;
}

enum mspd_admission mspd_fair_admit(const struct mspd_fair *fair, uint64_t key,
				    bool full, struct mspd_place **victim)
{
	const struct mspd_owner *owner = find(fair, key);

	*victim = NULL;
	if (owner && owner->held + owner->waiting >= fair->share &&
	    key != mspd_fair_key(MSPD_FAIR_USER, 0))
		return MSPD_REFUSE_SHARE;
	return find_room(fair, key, owner ? owner->held : 0, full, victim);
}

static bool goes_before(const struct mspd_owner *a, const struct mspd_owner *b)
{
	if (a->held != b->held)
		return a->held < b->held;
	return a->line.first->since < b->line.first->since;
}

struct mspd_place *mspd_fair_next(const struct mspd_fair *fair,
				  struct mspd_place **victim)
{
	const struct mspd_owner *next = NULL, *o;

	*victim = NULL;
	for (o = fair->owners; o; o = o->next) {
		/* they have no place to hope for but one of their own kind */
		if (!o->waiting ||
		    (is_nested(o) && fair->nested >= fair->share &&
		     !make_room(fair, o->held, true)))
			continue;
		if (!next || goes_before(o, next))
			next = o;
	}
	if (!next ||
	    find_room(fair, next->key, next->held, false, victim) != MSPD_ADMIT)
		return NULL;
	return next->line.first;
}

/* ---- keeping count ----------------------------------------------------- */

static struct mspd_owner *owner_new(struct mspd_fair *fair, uint64_t key)
{
	struct mspd_owner *owner = calloc(1, sizeof(*owner));

	if (!owner)
		return NULL;
	owner->key = key;
	owner->next = fair->owners;
	if (owner->next)
		owner->next->prev = owner;
	fair->owners = owner;
	return owner;
}

static void owner_free(struct mspd_fair *fair, struct mspd_owner *owner)
{
	if (owner->prev)
		owner->prev->next = owner->next;
	else
		fair->owners = owner->next;
	if (owner->next)
		owner->next->prev = owner->prev;
	free(owner);
}

static struct line *line_of(const struct mspd_place *place)
{
	if (place->waiting)
		return &place->owner->line;
	return place->busy ? &place->owner->busy : &place->owner->idle;
}

static void stand_in_line(struct mspd_fair *fair, struct mspd_place *place)
{
	struct line *line = line_of(place);

	place->since = fair->clock++;
	place->next = NULL;
	place->prev = line->last;
	if (line->last)
		line->last->next = place;
	else
		line->first = place;
	line->last = place;
}

static void leave_line(struct mspd_place *place)
{
	struct line *line = line_of(place);

	if (place->prev)
		place->prev->next = place->next;
	else
		line->first = place->next;
	if (place->next)
		place->next->prev = place->prev;
	else
		line->last = place->prev;
}

static struct mspd_owner *find_or_make(struct mspd_fair *fair, uint64_t key)
{
	struct mspd_owner *owner = find(fair, key);

	return owner ? owner : owner_new(fair, key);
}

/* Counts of its owner and of all, up or down. */
static void count(struct mspd_fair *fair, const struct mspd_place *place, int n)
{
	struct mspd_owner *owner = place->owner;
	size_t by = (size_t)n;

	if (place->waiting) {
		owner->waiting += by;
		fair->waiting += by;
		fair->nested_waiting += is_nested(owner) ? by : 0;
	} else {
		owner->held += by;
		fair->taken += by;
		fair->nested += is_nested(owner) ? by : 0;
	}
}

static void stand(struct mspd_fair *fair, struct mspd_place *place,
		  struct mspd_owner *owner, bool waiting)
{
	place->owner = owner;
	place->waiting = waiting;
	place->busy = false;
	place->since_ms = fair->now_ms;
	count(fair, place, 1);
	stand_in_line(fair, place);
}

int mspd_fair_join(struct mspd_fair *fair, struct mspd_place *place,
		   uint64_t key)
{
	struct mspd_owner *owner = find_or_make(fair, key);

	if (!owner)
		return -ENOMEM;
	stand(fair, place, owner, false);
	return 0;
}

int mspd_fair_wait(struct mspd_fair *fair, struct mspd_place *place,
		   uint64_t key, struct mspd_place **victim)
{
	const struct mspd_owner *most = NULL;
	struct mspd_owner *owner = find(fair, key);

	*victim = NULL;
	/* those in namespaces made by root have one user's part together, and
	 * must leave the others room: nobody can be closed for them of whom
	 * each has but one */
	if (mspd_fair_kind(key) == MSPD_FAIR_NESTED &&
	    (fair->nested_waiting >= fair->share ||
	     fair->nested_waiting >= fair->line / 4))
		return -ENOBUFS;
	if (fair->waiting >= fair->line) {
		most = longest_line(fair, owner ? owner->waiting + 1 : 1);
		if (!most)
			return -ENOBUFS;
	}
	if (!owner)
		owner = owner_new(fair, key);
	if (!owner)
		return -ENOMEM;
	if (most)
		*victim = most->line.last;
	stand(fair, place, owner, true);
	return 0;
}

void mspd_fair_enter(struct mspd_fair *fair, struct mspd_place *place)
{
	leave_line(place);
	count(fair, place, -1);
	stand(fair, place, place->owner, false);
}

void mspd_fair_leave(struct mspd_fair *fair, struct mspd_place *place)
{
	struct mspd_owner *owner = place->owner;

	if (!owner)
		return;
	leave_line(place);
	count(fair, place, -1);
	place->owner = NULL;
	if (owner->held + owner->waiting == 0)
		owner_free(fair, owner);
}

void mspd_fair_busy(struct mspd_fair *fair, struct mspd_place *place, bool busy)
{
	if (!place->owner || place->waiting || place->busy == busy)
		return;
	leave_line(place);
	place->busy = busy;
	stand_in_line(fair, place);
}

size_t mspd_fair_taken(const struct mspd_fair *fair)
{
	return fair->taken;
}

size_t mspd_fair_waiting(const struct mspd_fair *fair)
{
	return fair->waiting;
}

size_t mspd_fair_share(const struct mspd_fair *fair)
{
	return fair->share;
}

uint64_t mspd_fair_owner(const struct mspd_place *place)
{
	return place->owner->key;
}
