/* SPDX-License-Identifier: MIT */
/*
 * In: callers and canonical paths. Out: the pairs a profile must grant. Must
 * never drop one that another does not cover.
 */
#include "mspd/ctl/learned.h"

#include <stdlib.h>
#include <string.h>

static void key_of(struct ctl_text *out, const char *user, const char *exe)
{
	out->len = 0;
	ctl_put_bytes(out, user, strlen(user) + 1);
	ctl_put(out, exe);
}

bool ctl_learned_add(struct ctl_learned *l, const char *user, const char *exe,
		     const char *path)
{
	struct ctl_text key = { 0 };
	struct ctl_pair pair;

	key_of(&key, user, exe);
	/* no byte of a pair is padding */
	pair.who = ctl_names_add(&l->who, key.at, key.len);
	pair.path = ctl_names_add(&l->paths, path, strlen(path));
	ctl_names_add(&l->pairs, (const char *)&pair, sizeof(pair));
	ctl_text_free(&key);
	if (l->who.n <= MSP_PROFILE_MAX_ITEMS &&
	    l->paths.n <= MSP_PROFILE_MAX_ITEMS && l->pairs.n <= CTL_PAIRS_MAX)
		return true;
	ctl_fail("more programs and paths than a profile can have");
	return false;
}

void ctl_learned_free(struct ctl_learned *l)
{
	ctl_names_free(&l->paths);
	ctl_names_free(&l->who);
	ctl_names_free(&l->pairs);
}

struct ctl_pair ctl_learned_pair(const struct ctl_learned *l, size_t i)
{
	struct ctl_pair pair;

	memcpy(&pair, l->pairs.at[i], sizeof(pair));
	return pair;
}

const char *ctl_learned_user(const struct ctl_learned *l, size_t who)
{
	return l->who.at[who];
}

const char *ctl_learned_exe(const struct ctl_learned *l, size_t who)
{
	return l->who.at[who] + strlen(l->who.at[who]) + 1;
}

/* ---- what is needed ---------------------------------------------------- */

static bool has(const struct ctl_learned *l, size_t who, const char *path,
		size_t len)
{
	struct ctl_pair pair = { who, CTL_NONE };

	pair.path = ctl_names_find(&l->paths, path, len);
	return pair.path != CTL_NONE &&
	       ctl_names_find(&l->pairs, (const char *)&pair, sizeof(pair)) !=
		       CTL_NONE;
}

/* Has @who a path above this one? "/" is above all. */
static bool has_above(const struct ctl_learned *l, size_t who, const char *path)
{
	size_t i;

	if (!strcmp(path, "/"))
		return false;
	if (has(l, who, "/", 1))
		return true;
	for (i = 1; path[i]; i++)
		if (path[i] == '/' && has(l, who, path, i))
			return true;
	return false;
}

/* The same user, whatever it runs; CTL_NONE: never seen. */
static size_t user_alone(const struct ctl_learned *l, size_t who)
{
	const char *user = ctl_learned_user(l, who);

	if (!*ctl_learned_exe(l, who))
		return CTL_NONE;
	return ctl_names_find(&l->who, user, strlen(user) + 1);
}

static bool needless(const struct ctl_learned *l, struct ctl_pair pair)
{
	const char *path = l->paths.at[pair.path];
	const size_t alone = user_alone(l, pair.who);

	if (has_above(l, pair.who, path))
		return true;
	return alone != CTL_NONE &&
	       (has(l, alone, path, strlen(path)) || has_above(l, alone, path));
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct ctl_learned *l = arg;
	const struct ctl_pair *x = a, *y = b;
	int cmp = strcmp(ctl_learned_user(l, x->who),
			 ctl_learned_user(l, y->who));

	if (!cmp)
		cmp = strcmp(ctl_learned_exe(l, x->who),
			     ctl_learned_exe(l, y->who));
	return cmp ? cmp : strcmp(l->paths.at[x->path], l->paths.at[y->path]);
}

struct ctl_pair *ctl_learned_needed(const struct ctl_learned *l, size_t *n)
{
	struct ctl_pair *pairs = ctl_alloc(l->pairs.n, sizeof(*pairs));
	struct ctl_pair pair;
	size_t i;

	*n = 0;
	for (i = 0; i < l->pairs.n; i++) {
		pair = ctl_learned_pair(l, i);
		if (!needless(l, pair))
			pairs[(*n)++] = pair;
	}
	qsort_r(pairs, *n, sizeof(*pairs), by_name, (void *)(uintptr_t)l);
	return pairs;
}
