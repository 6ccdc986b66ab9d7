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
	bool *used;		  /* by index: some reference leads here */
	size_t n;
};

/* entries: n structs of size bytes that begin with their struct msp_text;
 * they must not move while the names are in use. NOMEM. */
int msp_names_index(struct msp_names *names, const void *entries, size_t n,
		    size_t size);
void msp_names_free(struct msp_names *names);
/* first entry whose name an earlier one has; false if there is none */
bool msp_names_duplicate(const struct msp_names *names, uint32_t *index);
bool msp_names_find(const struct msp_names *names, uint32_t *index,
		    const struct msp_text *name);
/* bytewise; for qsort and bsearch */
int msp_text_compare(const struct msp_text *a, const struct msp_text *b);

#endif
