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

/* Where an entry stands in its document. */
struct msp_place {
	uint32_t line;	 /* from 1; 0 in a profile that was not read */
	uint32_t column; /* from 1 */
	uint32_t index;	 /* in its array as written */
};

/* Literal strings, as written: never decoded (fix Q16). They are compared in
 * ASCII lower case, which the rules keep. */
struct msp_param {
	struct msp_text name;
	struct msp_text value;
};

struct msp_privilege {
	struct msp_text name;
	struct msp_text path;	  /* as written */
	struct msp_param *params; /* sorted by lower-cased name, names unique */
	size_t n_params;
	struct msp_place place;
};

struct msp_role {
	struct msp_text name;
	uint32_t *privileges; /* indices; dangling references are left out */
	size_t n_privileges;
	struct msp_place place;
};

struct msp_identity {
	struct msp_text name;
	/* a selector that is absent has text NULL */
	struct msp_text user_name;
	struct msp_text group_name;
	struct msp_text exe_path;
	struct msp_text process_name;
	struct msp_place place;
};

struct msp_assignment {
	uint32_t role;	      /* index; an assignment to no role is left out */
	uint32_t *identities; /* indices; dangling references are left out */
	size_t n_identities;
	struct msp_place place;
};

enum msp_profile_os {
	MSP_PROFILE_OS_UNKNOWN = 0,
	MSP_PROFILE_OS_LINUX = 1,
	MSP_PROFILE_OS_WINDOWS = 2
};

struct msp_profile {
	atomic_uint owners;
	struct msp_text id; /* text NULL: none, which is as good as "" */
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
	enum msp_profile_form form;
	bool has_access;   /* else access is what stands in for it */
	bool has_rules;	   /* "rules" was there, be it empty */
	bool has_endpoint; /* else endpoint means nothing */
	enum msp_endpoint endpoint;
	enum msp_profile_os os;
	struct msp_text location; /* ARM, text NULL if absent */
	char *pointer; /* of the object that holds "rules", owned or NULL */
	struct msp_place access_place; /* of defaultAccess, if it has one */
	struct msp_findings *findings; /* warnings; NULL: none */
	char *texts;	   /* every struct msp_text above points in here */
	size_t texts_used; /* bytes */
	/* merged: what it was made of holds the rest of its texts: the host's
	 * item, which may be merged itself, and the local file, which is not */
	struct msp_profile *sources[2]; /* owned, NULL: none */
};

/* "allow", "deny" in any letter case, not trimmed */
bool msp_access_parse(enum msp_access *out, const char *text, size_t len);

/* JSON pointer of an entry of one of the four arrays, or of its field; field
 * may be NULL. Without an array, of a field beside the rules. Cut at size,
 * NUL-terminated. */
void msp_profile_pointer(const struct msp_profile *profile, char *out,
			 size_t size, const char *array,
			 const struct msp_place *place, const char *field);

/* One rule item of the wire form that is part of a document. Place and pointer
 * in info, and the pointers of findings, are those of the whole document. */
int msp_profile_from_json(struct msp_profile **out,
			  const struct msp_json_value *item,
			  struct msp_error_info *info);

/* disabled, audit, enforce in any letter case, not trimmed (spec 8.1) */
bool msp_mode_parse(enum msp_mode *out, const char *text, size_t len);

#endif
