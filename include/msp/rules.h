/* SPDX-License-Identifier: MIT */
/*
 * rules.h - validated profile -> compiled rules of one endpoint.
 *
 * Immutable once made: any thread may read them, a change of policy makes new
 * ones with a new epoch.
 */
#ifndef MSP_RULES_H
#define MSP_RULES_H

#include <msp/profile.h>

/** What a caller must know about a client before it can decide. */
enum msp_need {
	MSP_NEED_USER = 1,   /* caller.user_name */
	MSP_NEED_GROUPS = 2, /* caller.groups */
	MSP_NEED_EXE = 4     /* the executable verified against its path */
};

struct msp_rules;

MSP_BEGIN_DECLS

/**
 * msp_rules_compile - turn a profile into lookup tables
 * @out:     new rules, or NULL on error; free with msp_rules_free()
 * @profile: borrowed for this call only
 * @epoch:   number the caller gives this set; shown in decisions
 *
 * Threads: any. What comes out never changes; any may read it.
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_rules_compile(struct msp_rules **out, const struct msp_profile *profile,
		  uint64_t epoch);

/**
 * msp_rules_closed - rules that deny everything, in mode enforce
 * @out:   new rules, or NULL on error; free with msp_rules_free()
 * @id:    id to show, e.g. of the item that did not validate; copied
 * @len:   its length
 * @epoch: as in msp_rules_compile()
 *
 * For an endpoint whose item is invalid and that never had a good one.
 * Threads: any. What comes out never changes; any may read it.
 * Errors: MSP_ERR_INVAL, MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int
msp_rules_closed(struct msp_rules **out, const char *id, size_t len,
		 uint64_t epoch);

/**
 * msp_rules_ref - one more owner of the same rules
 * @rules: NULL: NULL
 *
 * Returns @rules; each owner calls msp_rules_free() once. Threads: any.
 */
MSP_API struct msp_rules *msp_rules_ref(struct msp_rules *rules);

/**
 * msp_rules_free - give up; the last owner frees
 * @rules: NULL is fine
 *
 * Threads: any.
 */
MSP_API void msp_rules_free(struct msp_rules *rules);

/**
 * msp_rules_id - id of the profile
 * @rules: NULL: ""
 *
 * Borrowed from @rules. Threads: any.
 */
MSP_API const char *msp_rules_id(const struct msp_rules *rules);

/**
 * msp_rules_epoch - the number given at compile
 * @rules: NULL: 0
 *
 * Threads: any.
 */
MSP_API uint64_t msp_rules_epoch(const struct msp_rules *rules);

/**
 * msp_rules_mode - mode of the endpoint under these rules
 * @rules: NULL: MSP_MODE_ENFORCE
 *
 * Threads: any.
 */
MSP_API enum msp_mode msp_rules_mode(const struct msp_rules *rules);

/**
 * msp_rules_needs - what a decision has to know about a caller
 * @rules: NULL: 0
 *
 * Returns an or of enum msp_need over the identities that hold a role.
 * Threads: any.
 */
MSP_API unsigned int msp_rules_needs(const struct msp_rules *rules);

/** Most bytes of msp_rules_write(). */
#define MSP_RULES_TEXT_MAX (4 * 1024 * 1024)

/**
 * msp_rules_write - what decides, as JSON
 * @out:   new text, indented, NUL-terminated, or NULL on error; free with
 *         msp_text_free()
 * @len:   optional: its length in bytes
 * @rules: borrowed for this call
 *
 * The members id, defaultAllowed, mode, privileges and identities by name, and
 * privilegeAssignments: names of privileges with those of the identities they
 * are granted to, without privileges granted to nobody (spec 3.4). Paths and
 * query parameters are as they are compared: canonical, in lower case.
 *
 * Who is granted what can be much longer than the profile that says so.
 *
 * Threads: any.
 * Errors: MSP_ERR_INVAL (also for an id of msp_rules_closed() that is not
 * UTF-8), MSP_ERR_LIMIT (over MSP_RULES_TEXT_MAX), MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_rules_write(char **out, size_t *len,
					   const struct msp_rules *rules);

/**
 * msp_rules_memory - bytes of memory these rules hold
 * @rules: NULL: 0
 *
 * Threads: any.
 */
MSP_API size_t msp_rules_memory(const struct msp_rules *rules);

MSP_END_DECLS

#endif
