/* SPDX-License-Identifier: MIT */
/*
 * rules_priv.h - compiled rules; made by rules.c, read by decision.c.
 *
 * Everything lives in the arena of the rules and never changes. The size is
 * linear in the profile: privileges point to roles and roles to identities,
 * because privileges times identities can be billions in a small document.
 */
#ifndef MSP_RULES_PRIV_H
#define MSP_RULES_PRIV_H

#include <msp/rules.h>

#include <stdatomic.h>

#include "libmsp/arena.h"

/* Most entries in each array: more than any document that is accepted has, and
 * few enough for what counts in 32 bits. */
#define MSP_RULES_MAX_ITEMS (1u << 20)

/* An identity. A selector that is absent is NULL. */
struct msp_who {
	const char *name;
	const char *user;
	const char *group;
	const char *exe;
	const char *process;
	uint32_t index; /* in the profile */
};

/* Identities a role is assigned to: positions in who[], sorted, unique. */
struct msp_who_set {
	const char *name; /* of the role */
	uint32_t *who;
	uint32_t n;
};

struct msp_rule_param {
	const char *name;
	const char *value;
	uint32_t name_len;
	uint32_t value_len;
	/* while compiling: */
	uint32_t rule;	 /* index of its privilege */
	uint32_t shared; /* privileges with the same name and value */
};

/* A privilege. */
struct msp_rule {
	const char *name;
	const char *path; /* canonical, see canon.h; NUL-terminated */
	struct msp_rule_param *params;
	const struct msp_rule_param *key; /* the rarest of params, or NULL */
	const struct msp_who_set **roles; /* none of them empty */
	uint32_t path_len;
	uint32_t n_params;
	uint32_t n_roles;
	uint32_t index; /* in the profile */
};

/* A name that parameters have. */
struct msp_rule_name {
	const char *text;
	uint32_t len;
};

/* One path segment; nodes[0] is the root. */
struct msp_node {
	const char *segment;
	uint32_t segment_len;
	uint32_t path_len; /* of the path up to here */
	uint32_t first_child;
	uint32_t n_children; /* sorted by segment */
	uint32_t first_rule; /* of those that end here: */
	uint32_t n_plain;    /* without parameters, sorted by index; then */
	uint32_t n_keyed;    /* with, sorted by key, then index */
	uint32_t n_names;
	struct msp_rule_name *names; /* of all their parameters, once each */
};

struct msp_rules {
	atomic_size_t owners;
	struct msp_arena arena;
	uint64_t epoch;
	enum msp_mode mode;
	enum msp_access access;
	unsigned int needs;
	const char *id;
	struct msp_node *nodes;
	struct msp_rule *rules; /* sorted by path, then as in struct msp_node */
	uint32_t n_nodes;
	uint32_t max_nodes; /* room in nodes[] */
	uint32_t n_rules;
	struct msp_who_set *roles; /* in the profile's order */
	uint32_t n_roles;
	/* Identities: those without user and group first, then by group, then
	 * by user. What a caller can be is a few ranges of this. */
	struct msp_who *who;
	uint32_t n_anybody;  /* without user and group */
	uint32_t n_by_group; /* without user */
	uint32_t n_who;
};

/* Order of two texts, by bytes, then by length. */
int msp_rules_compare(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
