/* SPDX-License-Identifier: MIT */
/*
 * explain.h - why a decision is what it is: what was asked, what was tried,
 * and what failed.
 *
 * Made by msp_decision_explain() (decision.h). It is for people who write
 * profiles: it goes through every privilege, and shows query values, so it is
 * nothing to do for each request, and nothing for a log.
 */
#ifndef MSP_EXPLAIN_H
#define MSP_EXPLAIN_H

#include <msp/decision.h>
#include <msp/text.h>

/** Most privileges, and most identities, that are kept of one explanation. */
#define MSP_EXPLAIN_MAX 4096

/** What became of one privilege or identity. Numbers and names never change. */
enum msp_try {
	MSP_TRY_MATCHED = 0, /* "matched" */
	/* privileges */
	MSP_TRY_PARAM_MISSING = 2,   /* "param-missing" */
	MSP_TRY_PARAM_VALUE = 3,     /* "param-value": another one */
	MSP_TRY_PARAM_TWICE = 4,     /* "param-twice": denies the request */
	MSP_TRY_PARAM_AMBIGUOUS = 5, /* "param-ambiguous": denies the request */
	/* identities: the first selector that failed */
	MSP_TRY_USER = 10,	     /* "user" */
	MSP_TRY_GROUP = 11,	     /* "group" */
	MSP_TRY_EXE = 12,	     /* "exe" */
	MSP_TRY_PROCESS = 13,	     /* "process" */
	MSP_TRY_EXE_UNVERIFIED = 14, /* "exe-unverified": it asks for a program,
				      * and which one runs is not proven */
	MSP_TRY_NAMES_UNKNOWN = 15,  /* "names-unknown": it asks for a user or a
				      * group, and no names were found out */
	MSP_TRY_GROUPS_CUT = 16	     /* "groups-cut": it asks for a group, and
				      * there are more than are looked at */
};

/**
 * struct msp_tried_privilege - one that covers the path; borrowed
 * @name:     in the profile
 * @path:     canonical, "/" for the root
 * @param:    parameter that failed, NULL: none did
 * @wanted:   its value in the profile, NULL if that is not the point
 * @seen:     its value in the request, the first of several; NULL: not there
 * @result:   MSP_TRY_MATCHED, or MSP_TRY_PARAM_...
 * @index:    in the profile, from 0
 * @n_params: how many parameters it asks for
 * @n_identities: how many identities have it, counted once for each role
 */
struct msp_tried_privilege {
	const char *name;
	const char *path;
	const char *param;
	const char *wanted;
	const char *seen;
	enum msp_try result;
	uint32_t index;
	uint32_t n_params;
	uint32_t n_identities;
};

/**
 * struct msp_tried_identity - one that has a privilege that matched; borrowed
 * @name:      in the profile
 * @role:      by which it has the privilege
 * @wanted:    what the selector that failed asks for, NULL: none failed
 * @seen:      what the caller is, NULL: not known, or a list (groups)
 * @result:    MSP_TRY_MATCHED, or the first selector that failed
 * @index:     in the profile, from 0
 * @privilege: the privilege, for msp_explanation_privilege()
 */
struct msp_tried_identity {
	const char *name;
	const char *role;
	const char *wanted;
	const char *seen;
	enum msp_try result;
	uint32_t index;
	size_t privilege;
};

struct msp_explanation;

MSP_BEGIN_DECLS

/**
 * msp_explanation_free - free an explanation and what was borrowed from it
 * @explanation: NULL is fine
 *
 * Threads: the one that owns it.
 */
MSP_API void msp_explanation_free(struct msp_explanation *explanation);

/**
 * msp_explanation_decision - what msp_decision_make() says
 * @explanation: NULL: NULL
 *
 * Borrowed from @explanation. Threads: any.
 */
MSP_API const struct msp_decision *
msp_explanation_decision(const struct msp_explanation *explanation);

/**
 * msp_explanation_canonical - what msp_request_render() says
 * @explanation: NULL: ""
 *
 * Borrowed from @explanation; "" if there is no canonical form. Threads: any.
 */
MSP_API const char *
msp_explanation_canonical(const struct msp_explanation *explanation);

/**
 * msp_explanation_place - where the target is at fault
 * @explanation: NULL: false
 * @offset:      set if true is returned: byte of the target as received, from
 *               0; may be NULL
 *
 * Of an authority it is where that begins. Returns false if the target is not
 * at fault, or in no particular place. Threads: any.
 */
MSP_API bool msp_explanation_place(const struct msp_explanation *explanation,
				   size_t *offset);

/**
 * msp_explanation_access - the rules' default, used or not (see the reason)
 * @explanation: NULL: MSP_ACCESS_DENY
 *
 * Returns MSP_ACCESS_DENY without rules. Threads: any.
 */
MSP_API enum msp_access
msp_explanation_access(const struct msp_explanation *explanation);

/**
 * msp_explanation_privileges - how many privileges cover the path
 * @explanation: NULL: 0
 *
 * At most MSP_EXPLAIN_MAX, in the order of the profile; 0 if the rules were
 * not asked, see the reason. The one the decision names is among them, unless
 * there are more, see msp_explanation_cut().
 * Threads: any.
 */
MSP_API size_t
msp_explanation_privileges(const struct msp_explanation *explanation);

/**
 * msp_explanation_privilege - one privilege that covers the path
 * @explanation: NULL: NULL
 * @i:           from 0
 *
 * Borrowed from @explanation; NULL past the end. Threads: any.
 */
MSP_API const struct msp_tried_privilege *
msp_explanation_privilege(const struct msp_explanation *explanation, size_t i);

/**
 * msp_explanation_others - how many privileges are about other paths
 * @explanation: NULL: 0
 *
 * Threads: any.
 */
MSP_API size_t
msp_explanation_others(const struct msp_explanation *explanation);

/**
 * msp_explanation_identities - how many identities of privileges that matched
 * @explanation: NULL: 0
 *
 * By privilege, role, identity; at most MSP_EXPLAIN_MAX. None if the query is
 * refused.
 * Threads: any.
 */
MSP_API size_t
msp_explanation_identities(const struct msp_explanation *explanation);

/**
 * msp_explanation_identity - one identity of a privilege that matched
 * @explanation: NULL: NULL
 * @i:           from 0
 *
 * Borrowed from @explanation; NULL past the end. Threads: any.
 */
MSP_API const struct msp_tried_identity *
msp_explanation_identity(const struct msp_explanation *explanation, size_t i);

/**
 * msp_explanation_cut - were there more than MSP_EXPLAIN_MAX of either?
 * @explanation: NULL: false
 *
 * Threads: any.
 */
MSP_API bool msp_explanation_cut(const struct msp_explanation *explanation);

/**
 * msp_explanation_text - for people: some lines of printable ASCII
 * @explanation: not NULL
 * @out:         new text, NUL-terminated, NULL on error; free with
 *               msp_text_free()
 * @len:         its length; may be NULL
 *
 * Other bytes are shown as \xHH. Holds query values and names of users.
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_explanation_text(const struct msp_explanation *explanation, char **out,
		     size_t *len);

/**
 * msp_explanation_json - for programs: one JSON object in ASCII, no line feed
 * @explanation: not NULL
 * @out:         new text, NUL-terminated, NULL on error; free with
 *               msp_text_free()
 * @len:         its length; may be NULL
 *
 *	verdict, reason, mode  as msp_verdict_name() and msp_reason_name() have
 *	                       them; "enforce", "audit" or "disabled"
 *	code, codeText, place  why there is no canonical form, and where in the
 *	                       target, from 0; null
 *	endpoint               "wireserver", "imds" or "hostga"
 *	ruleId, epoch          of the rules; "" and 0 without
 *	privilege, identity    names that led to the verdict, or null
 *	method, target         as received
 *	canonical              "" if there is none
 *	caller                 uid, euid, gid, pid, userName (or null), groups,
 *	                       processGroups, exePath, and of flags those that
 *	                       are set: "known", "direct", "kernel",
 *	                       "names", "groups-cut", "path-cut", "no-path",
 *	                       "exe-verified", "exe-replaced"
 *	privileges             array of name, path, result (msp_try_name()),
 *	                       parameter, wanted, seen (or null), identities
 *	otherPrivileges        how many are about other paths
 *	identities             array of privilege, role, identity, result,
 *	                       wanted, seen (or null)
 *	cut                    true if not all of them are there
 *	defaultAccess          "allow" or "deny"; null without rules
 *	defaultUsed            true or false
 *
 * What is not UTF-8 is shown as U+FFFD; names and values are cut at 1024
 * bytes. New fields may come.
 * Threads: any.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_explanation_json(const struct msp_explanation *explanation, char **out,
		     size_t *len);

/**
 * msp_try_name - "matched", "param-value", ...
 * @result: any number
 *
 * Returns a constant, "unknown" for what is none. Threads: any.
 */
MSP_API const char *msp_try_name(enum msp_try result);

MSP_END_DECLS

#endif
