/* SPDX-License-Identifier: MIT */
/*
 * profile_names.h - find entries of a profile's array by name.
 */
#ifndef MSP_PROFILE_NAMES_H
#define MSP_PROFILE_NAMES_H

#include "libmsp/profile_priv.h"

struct msp_named {
	const struct msp_text *name; /* borrowed from the entry */
	uint32_t index;
};

struct msp_names {
	struct msp_named *sorted; /* by name, then by index */
	size_t n;		  /* of sorted: entries that have a name */
	bool *used;		  /* by index: some reference leads here */
	uint32_t *list;		  /* by index: last list it was found in */
};

/* entries: n structs of size bytes that begin with their struct msp_text, text
 * NULL if it cannot be read; they must not move while the names are in use.
 * NOMEM. */
int msp_names_index(struct msp_names *names, const void *entries, size_t n,
		    size_t size);
void msp_names_free(struct msp_names *names);
/* is it the name of an earlier entry? */
bool msp_names_repeats(const struct msp_names *names, uint32_t index,
		       const struct msp_text *name);
/* the first entry with that name */
bool msp_names_find(const struct msp_names *names, uint32_t *index,
		    const struct msp_text *name);
/* bytewise; for qsort and bsearch */
int msp_text_compare(const struct msp_text *a, const struct msp_text *b);

#endif
