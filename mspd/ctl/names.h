/* SPDX-License-Identifier: MIT */
/*
 * names.h - a set of texts, each with a number, in the order they came.
 */
#ifndef MSPD_CTL_NAMES_H
#define MSPD_CTL_NAMES_H

#include "mspd/ctl/ctl.h"

/** No such text. */
#define CTL_NONE SIZE_MAX

/**
 * struct ctl_names - all zero is empty
 * @at:    texts, NUL-terminated; owned
 * @lens:  their lengths: they may hold a NUL
 * @n:     how many
 * @slots: numbers by hash, plus 1; 0: free
 */
struct ctl_names {
	char **at;
	size_t *lens;
	size_t n;
	size_t room;
	size_t lens_room;
	size_t *slots;
	size_t n_slots;
};

/* Its number; added if it is new. */
size_t ctl_names_add(struct ctl_names *names, const char *text, size_t len);
/* Its number, or CTL_NONE. */
size_t ctl_names_find(const struct ctl_names *names, const char *text,
		      size_t len);
void ctl_names_free(struct ctl_names *names);

#endif
