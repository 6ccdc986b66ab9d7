/* SPDX-License-Identifier: MIT */
/*
 * lint_priv.h - one profile being looked over: what the parts of lint share.
 */
#ifndef MSP_LINT_PRIV_H
#define MSP_LINT_PRIV_H

#include <msp/lint.h>

#include "libmsp/profile_priv.h"
#include "libmsp/rules_priv.h"

/* bytes of a name and of a path shown in a text, with NUL */
#define MSP_LINT_NAME 64
#define MSP_LINT_PATH 256

/* A list for each code from MSP_FINDING_SHADOWED on, and one for what was left
 * undone. */
#define MSP_LINT_CODES (MSP_FINDING_PROCESS_ONLY - MSP_FINDING_SHADOWED + 1)
#define MSP_LINT_LISTS (MSP_LINT_CODES + 1)

struct msp_lint {
	const struct msp_profile *profile;
	const struct msp_lint_opts *opts;
	const struct msp_rules *rules; /* the profile, compiled */
	unsigned int endpoints;	       /* bits 1 << enum msp_endpoint */
	struct msp_findings *said[MSP_LINT_LISTS];
	int rc; /* 0, or MSP_ERR_NOMEM: then nothing else counts */
};

/* What a finding is about. */
struct msp_lint_about {
	const char *array; /* NULL: beside the rules */
	const struct msp_place *place;
	const char *field; /* of the entry, may be NULL */
};

void msp_lint_say(struct msp_lint *l, enum msp_severity severity,
		  enum msp_finding_code code,
		  const struct msp_lint_about *about, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void msp_lint_no_memory(struct msp_lint *l);

void msp_lint_paths(struct msp_lint *l);
void msp_lint_names(struct msp_lint *l);
void msp_lint_identities(struct msp_lint *l);
void msp_lint_secrets(struct msp_lint *l);
void msp_lint_shadows(struct msp_lint *l);

/* Endpoints whose documents the first segment of some path names. */
unsigned int msp_lint_guess(const struct msp_rules *rules);

#endif
