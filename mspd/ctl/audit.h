/* SPDX-License-Identifier: MIT */
/*
 * audit.h - what the files of the command audit share.
 */
#ifndef MSPD_CTL_AUDIT_H
#define MSPD_CTL_AUDIT_H

#include "mspd/ctl/audit_line.h"

/* What is behind the word verify; returns enum ctl_status. */
int ctl_audit_verify(int argc, char **argv);

/* ---- summaries (audit_sum.c) -------------------------------------------- */

struct ctl_sum;

struct ctl_sum *ctl_sum_new(void);
void ctl_sum_add(struct ctl_sum *sum, const struct ctl_audit *record);
/* The most frequent first. */
void ctl_sum_put(struct ctl_text *out, struct ctl_sum *sum, bool json);
void ctl_sum_free(struct ctl_sum *sum);

/* The caller, as people are told of it. */
void ctl_put_audit_caller(struct ctl_text *out, const struct ctl_audit *record);
/* The whole record, without a line break. */
void ctl_put_audit_record(struct ctl_text *out, const struct ctl_audit *record);

#endif
