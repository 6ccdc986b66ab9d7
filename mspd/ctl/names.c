/* SPDX-License-Identifier: MIT */
/*
 * In: texts. Out: their numbers. Must never take more time per text than its
 * length, as far as who chose the texts did not choose them for this hash.
 */
#include "mspd/ctl/names.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static size_t hash_of(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

/* The slot it is in, or would be. */
static size_t *slot_of(const struct ctl_names *names, const char *text,
		       size_t len)
{
	size_t i = hash_of(text, len) & (names->n_slots - 1);
	size_t k;

	while (names->slots[i]) {
		k = names->slots[i] - 1;
		if (names->lens[k] == len && !memcmp(names->at[k], text, len))
			break;
		i = (i + 1) & (names->n_slots - 1);
	}
	return &names->slots[i];
}

static void rehash(struct ctl_names *names)
{
	size_t k;

	free(names->slots);
	names->n_slots = names->n_slots ? 2 * names->n_slots : 64;
	names->slots = ctl_alloc(names->n_slots, sizeof(*names->slots));
	for (k = 0; k < names->n; k++)
		*slot_of(names, names->at[k], names->lens[k]) = k + 1;
}

size_t ctl_names_add(struct ctl_names *names, const char *text, size_t len)
{
	size_t *slot;

	if (2 * names->n >= names->n_slots)
		rehash(names);
	slot = slot_of(names, text, len);
	if (*slot)
		return *slot - 1;
	names->at = ctl_grow(names->at, &names->room, names->n + 1,
			     sizeof(*names->at));
	names->lens = ctl_grow(names->lens, &names->lens_room, names->n + 1,
			       sizeof(*names->lens));
	names->at[names->n] = ctl_copy(text, len);
	names->lens[names->n] = len;
	*slot = ++names->n;
	return names->n - 1;
}

size_t ctl_names_find(const struct ctl_names *names, const char *text,
		      size_t len)
{
	if (!names->n_slots)
		return CTL_NONE;
	return *slot_of(names, text, len) - 1; /* 0 - 1 is CTL_NONE */
}

void ctl_names_free(struct ctl_names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		free(names->at[i]);
	free(names->at);
	free(names->lens);
	free(names->slots);
	memset(names, 0, sizeof(*names));
}
