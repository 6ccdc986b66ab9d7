/* SPDX-License-Identifier: MIT */
/*
 * profile.h - bytes -> validated access control profile of one endpoint.
 *
 * Today: the wire form, one rule item of the key status (spec 5.2).
 */
#ifndef MSP_PROFILE_H
#define MSP_PROFILE_H

#include <msp/endpoint.h>
#include <msp/error.h>
#include <msp/finding.h>

/** Largest profile document accepted, in bytes. */
#define MSP_PROFILE_MAX_BYTES (1024 * 1024)
/** Most entries in each of the four arrays. */
#define MSP_PROFILE_MAX_ITEMS 65536

enum msp_access { MSP_ACCESS_DENY = 0, MSP_ACCESS_ALLOW = 1 };

struct msp_profile;

MSP_BEGIN_DECLS

/**
 * msp_profile_parse - read and validate one profile
 * @out:  new profile, or NULL on error; free with msp_profile_free()
 * @json: the document, UTF-8, no byte order mark; borrowed for this call
 * @len:  at most MSP_PROFILE_MAX_BYTES
 * @info: optional: position, field and cause of the first error
 *
 * Errors refuse the profile whole (design D4): wrong type, missing required
 * field, field given twice, unknown mode or defaultAccess, empty or duplicate
 * names, query parameters given twice (in any letter case), a path that cannot
 * be canonicalized. Warnings are kept as findings: dangling references (they
 * grant nothing), identities without a selector (they match everyone), empty
 * selectors (they match nobody), unused names. Of very many, 255 are kept.
 *
 * Errors: MSP_ERR_INVAL, MSP_ERR_LIMIT, MSP_ERR_SYNTAX, MSP_ERR_SCHEMA,
 * MSP_ERR_NOMEM.
 */
MSP_API MSP_MUST_CHECK int msp_profile_parse(struct msp_profile **out,
					     const char *json, size_t len,
					     struct msp_error_info *info);

/**
 * msp_profile_ref - one more owner of the same profile
 * @profile: not NULL; also one that is borrowed from a key status
 *
 * Returns @profile; each owner calls msp_profile_free() once. Threads: any.
 */
MSP_API struct msp_profile *msp_profile_ref(const struct msp_profile *profile);

/** msp_profile_free - give up; the last owner frees. NULL is fine. */
MSP_API void msp_profile_free(struct msp_profile *profile);

/** msp_profile_id - id as received; borrowed. */
MSP_API const char *msp_profile_id(const struct msp_profile *profile);

/** msp_profile_mode - mode of the item (any letter case on the wire). */
MSP_API enum msp_mode msp_profile_mode(const struct msp_profile *profile);

/** msp_profile_access - what applies where no privilege matches. */
MSP_API enum msp_access msp_profile_access(const struct msp_profile *profile);

/**
 * msp_profile_equal - same id, mode, default and rules
 *
 * What differs only in letter case where case does not count, or in unknown
 * fields, is equal. NULL equals NULL only.
 */
MSP_API bool msp_profile_equal(const struct msp_profile *a,
			       const struct msp_profile *b);

/** msp_profile_findings - number of warnings. */
MSP_API size_t msp_profile_findings(const struct msp_profile *profile);

/** msp_profile_finding - warning @i, or NULL past the end; borrowed. */
MSP_API const struct msp_finding *
msp_profile_finding(const struct msp_profile *profile, size_t i);

MSP_END_DECLS

#endif
