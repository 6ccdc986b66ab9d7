/* SPDX-License-Identifier: MIT */
/*
 * profile_priv.h - what a profile holds; read by rules.c and keystatus.c.
 *
 * Everything is owned by the profile and never changes. Texts are UTF-8 without
 * NUL inside, NUL-terminated. References are indices, so that nothing needs a
 * second look-up by name.
 */
#ifndef MSP_PROFILE_PRIV_H
#define MSP_PROFILE_PRIV_H

#include <stdatomic.h>

#include <msp/profile.h>

struct msp_json_value;

struct msp_text {
	char *text;
	size_t len;
};

struct msp_param {
	struct msp_text name;  /* ASCII lower case, never decoded (fix Q16) */
	struct msp_text value; /* likewise */
};

struct msp_privilege {
	struct msp_text name;
	struct msp_text path;	  /* as written */
	struct msp_param *params; /* sorted by name, names unique */
	size_t n_params;
};

struct msp_role {
	struct msp_text name;
	uint32_t *privileges; /* indices; dangling references are left out */
	size_t n_privileges;
};

struct msp_identity {
	struct msp_text name;
	/* a selector that is absent has text NULL */
	struct msp_text user_name;
	struct msp_text group_name;
	struct msp_text exe_path;
	struct msp_text process_name;
};

struct msp_assignment {
	uint32_t role;	      /* index; an assignment to no role is left out */
	uint32_t *identities; /* indices; dangling references are left out */
	size_t n_identities;
};

struct msp_profile {
	atomic_uint owners;
	struct msp_text id;
	enum msp_mode mode;
	enum msp_access access;
	struct msp_privilege *privileges;
	size_t n_privileges;
	struct msp_role *roles;
	size_t n_roles;
	struct msp_identity *identities;
	size_t n_identities;
	struct msp_assignment *assignments;
	size_t n_assignments;
	struct msp_finding *findings; /* pointer and text owned */
	size_t n_findings;
	char *texts;	   /* every struct msp_text above points in here */
	size_t texts_used; /* bytes */
};

/* One rule item that is part of a document. Place and pointer in info, and
 * the pointers of findings, are those of the whole document. */
int msp_profile_from_json(struct msp_profile **out,
			  const struct msp_json_value *item,
			  struct msp_error_info *info);

/* disabled, audit, enforce in any letter case, not trimmed (spec 8.1) */
bool msp_mode_parse(enum msp_mode *out, const char *text, size_t len);

#endif
