/* SPDX-License-Identifier: MIT */
/*
 * learned.h - who was allowed which paths, and the smallest profile of it.
 */
#ifndef MSPD_CTL_LEARNED_H
#define MSPD_CTL_LEARNED_H

#include "mspd/ctl/names.h"

/** Most pairs of a program and a path. */
#define CTL_PAIRS_MAX (1024 * 1024)

/**
 * struct ctl_learned - all zero is empty
 * @paths: canonical
 * @who:   user, NUL, program; without a program there is nothing behind the NUL
 * @pairs: bytes of struct ctl_pair
 */
struct ctl_learned {
	struct ctl_names paths;
	struct ctl_names who;
	struct ctl_names pairs;
};

struct ctl_pair {
	size_t who;
	size_t path;
};

/* false: there are more than a profile can have; said */
bool ctl_learned_add(struct ctl_learned *learned, const char *user,
		     const char *exe, const char *path);
void ctl_learned_free(struct ctl_learned *learned);
struct ctl_pair ctl_learned_pair(const struct ctl_learned *learned, size_t i);
const char *ctl_learned_user(const struct ctl_learned *learned, size_t who);
/* "" without */
const char *ctl_learned_exe(const struct ctl_learned *learned, size_t who);

/**
 * ctl_learned_needed - the pairs that no other one makes needless
 * @n: how many
 *
 * Ordered by user, program, path. Needless is a path below another one of the
 * same program, or one that the user has whatever runs. Free it.
 */
struct ctl_pair *ctl_learned_needed(const struct ctl_learned *learned,
				    size_t *n);

/* The profile in the wire form, as text (learned_profile.c). */
void ctl_learned_write(struct ctl_text *out, const struct ctl_learned *learned,
		       enum msp_endpoint endpoint, enum msp_mode mode);

#endif
