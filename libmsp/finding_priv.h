/* SPDX-License-Identifier: MIT */
/*
 * finding_priv.h - filling a list of findings.
 */
#ifndef MSP_FINDING_PRIV_H
#define MSP_FINDING_PRIV_H

#include <msp/error.h>
#include <msp/finding.h>

/* An empty list, or NULL. Lists have owners, each calls msp_findings_free(). */
struct msp_findings *msp_findings_new(void);
struct msp_findings *msp_findings_ref(struct msp_findings *findings);

/* Would one more of this severity only be counted? Then its place and text
 * need not be made: a hostile document may deserve a remark per byte. */
bool msp_findings_full(const struct msp_findings *findings,
		       enum msp_severity severity);
/* Copied; control characters of pointer and text become '?'. If the list is
 * full it is counted, and an error takes the place of the last that is none.
 * Pointer and text may be NULL if msp_findings_full(). NOMEM. */
int msp_findings_add(struct msp_findings *findings,
		     const struct msp_finding *finding);
/* by line and column; equal places stay in the order they were added */
void msp_findings_sort(struct msp_findings *findings);

#endif
