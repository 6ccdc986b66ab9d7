/* SPDX-License-Identifier: MIT */
/*
 * finding.h - what reading or linting a profile has to say about it.
 *
 * A list of findings, each with the place it is about. Complete: a profile
 * with three faults has three findings, not the first of them.
 */
#ifndef MSP_FINDING_H
#define MSP_FINDING_H

#include <msp/defs.h>

/** Most findings kept of one document; msp_findings_cut() tells of more. */
#define MSP_FINDINGS_MAX 256

/** What a finding means for the profile. */
enum msp_severity {
	MSP_SEVERITY_WARNING =
		0,		/* the profile is used; somebody should look */
	MSP_SEVERITY_ERROR = 1, /* the profile is refused */
	MSP_SEVERITY_NOTE = 2	/* right, and perhaps not what was meant */
};

/**
 * What a finding is about. Numbers and names never change; new ones are added.
 * The comment starts with the name. The severity stands beside it, because the
 * same thing can be an error in one form of a profile and a warning in another.
 */
enum msp_finding_code {
	/* reading: errors */
	MSP_FINDING_SYNTAX = 1,	 /* syntax: not the JSON that is read here */
	MSP_FINDING_FORM = 2,	 /* form: none of the forms, or not just one */
	MSP_FINDING_TYPE = 3,	 /* type: a field has the wrong JSON type */
	MSP_FINDING_MISSING = 4, /* missing: a required field */
	MSP_FINDING_TWICE = 5,	 /* twice: a field, name or parameter */
	MSP_FINDING_VALUE = 6,	 /* value: unknown word, empty name, ... */
	MSP_FINDING_PATH = 7,	 /* path: cannot be canonicalized */
	MSP_FINDING_LIMIT = 8,	 /* limit: too long, too many, too deep */

	/* reading: warnings; some are errors in a local rule file */
	MSP_FINDING_DANGLING = 20, /* dangling: a reference to nothing */
	MSP_FINDING_EVERYONE = 21, /* everyone: identity without selector */
	MSP_FINDING_NOBODY = 22,   /* nobody: an empty selector */
	MSP_FINDING_UNKNOWN_FIELD = 23,	   /* unknown-field: ignored;
					    * in another letter case
					    * an error in ARM */
	MSP_FINDING_UNUSED_PRIVILEGE = 24, /* unused-privilege: in no role */
	MSP_FINDING_UNUSED_ROLE = 25,	   /* unused-role: never assigned */
	MSP_FINDING_UNUSED_IDENTITY = 26,  /* unused-identity: has no role */
	MSP_FINDING_EMPTY = 27,	   /* empty: a role or assignment of nothing */
	MSP_FINDING_REPEATED = 28, /* repeated: a reference given twice */

	/* lint */
	MSP_FINDING_SHADOWED = 40, /* shadowed: a wider privilege grants it */
	MSP_FINDING_NEVER = 41,	   /* never: no request can match */
	MSP_FINDING_SPELLING = 42, /* spelling: matches as canonicalized only */
	MSP_FINDING_SECRET_OPEN = 43, /* secret-open: a secret unrestricted */
	MSP_FINDING_INTERPRETER = 44, /* interpreter: is whatever it runs */
	MSP_FINDING_WRITABLE = 45,    /* writable: others can replace it */
	MSP_FINDING_NO_FILE = 46,     /* no-file: not on this machine */
	MSP_FINDING_CASE = 47,	      /* case: names differ in case only */
	MSP_FINDING_PROCESS_ONLY = 48 /* process-only: any user may run it */
};

/**
 * struct msp_finding - one remark; borrowed from its list
 * @severity: what it means for the profile
 * @pointer:  JSON pointer (RFC 6901) of the place, from the root of the
 *            document; "" is the document
 * @text:     one sentence without a full stop, UTF-8 without control
 *            characters; may quote the profile
 * @code:     what it is about
 * @line:     line in the text, from 1; 0 if it has none
 * @column:   column in bytes, from 1; 0 if it has none
 * @reserved: 0
 */
struct msp_finding {
	enum msp_severity severity;
	const char *pointer;
	const char *text;
	enum msp_finding_code code;
	uint32_t line;
	uint32_t column;
	uint32_t reserved;
};

struct msp_findings;

MSP_BEGIN_DECLS

/**
 * msp_findings_free - give up a list and what was borrowed from it
 * @findings: NULL is fine
 * Threads: the one that owns the list.
 */
MSP_API void msp_findings_free(struct msp_findings *findings);

/**
 * msp_findings_count - how many are kept, at most MSP_FINDINGS_MAX
 * @findings: NULL: 0
 *
 * Threads: a list never changes after it was handed out; any.
 */
MSP_API size_t msp_findings_count(const struct msp_findings *findings);

/**
 * msp_findings_errors - how many were errors, also of those not kept
 * @findings: NULL: 0
 *
 * Threads: any.
 */
MSP_API size_t msp_findings_errors(const struct msp_findings *findings);

/**
 * msp_findings_get - one finding, in the order of their places
 * @findings: NULL has none
 * @i:        from 0
 *
 * Returns NULL past the end; borrowed from the list.
 * Threads: any.
 */
MSP_API const struct msp_finding *
msp_findings_get(const struct msp_findings *findings, size_t i);

/**
 * msp_findings_cut - were there more than are kept?
 * @findings: NULL: false
 *
 * Errors go first: no warning is kept in the place of an error.
 * Threads: any.
 */
MSP_API bool msp_findings_cut(const struct msp_findings *findings);

/**
 * msp_severity_name - "warning", "error", "note"
 * @severity: any number
 *
 * Returns a constant, "unknown" for what is none. Threads: any.
 */
MSP_API const char *msp_severity_name(enum msp_severity severity);

/**
 * msp_finding_code_name - the name in the comments of enum msp_finding_code
 * @code: any number
 *
 * Returns a constant, "unknown" for what is none. Threads: any.
 */
MSP_API const char *msp_finding_code_name(enum msp_finding_code code);

MSP_END_DECLS

#endif
