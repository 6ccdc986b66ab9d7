/* SPDX-License-Identifier: MIT */
/*
 * audit_line.h - one line of audit.jsonl, as mspd(8) has it.
 */
#ifndef MSPD_CTL_AUDIT_LINE_H
#define MSPD_CTL_AUDIT_LINE_H

#include "mspd/ctl/ctl.h"

/** Bytes of a text in a line; the agent cuts longer ones to this. */
#define CTL_AUDIT_TEXT 512
/** Most requests that are merged in a line. */
#define CTL_AUDIT_MERGED 1000000000000u

/**
 * struct ctl_audit_text - one member that is a string
 * @given: the member is there, and no null
 * @text:  NUL-terminated
 */
struct ctl_audit_text {
	bool given;
	char text[CTL_AUDIT_TEXT + 1];
};

/**
 * struct ctl_audit - what is of use of a line
 * @seen: which members there were
 * @known: the caller is known, so uid, euid and gid are set
 * @merged: so many more requests it stands for
 * @torn:   or it stands for none: it tells of a line that is not whole
 * @status: what was answered, 0: nothing, or not known
 * @pid:    0: not known
 * @time, @last: of the first and the last request; @last: of merged ones
 */
struct ctl_audit {
	uint32_t seen;
	bool known;
	uint32_t uid;
	uint32_t euid;
	uint32_t gid;
	uint32_t gids[MSP_CALLER_GROUPS_MAX];
	size_t n_gids;
	struct ctl_audit_text user;
	struct ctl_audit_text exe;
	struct ctl_audit_text exe_state;
	struct ctl_audit_text endpoint;
	struct ctl_audit_text method;
	struct ctl_audit_text path;
	struct ctl_audit_text verdict;
	struct ctl_audit_text reason;
	uint64_t merged;
	uint64_t torn;
	uint32_t status;
	uint32_t pid;
	struct ctl_audit_text time;
	struct ctl_audit_text last;
};

/**
 * ctl_audit_parse - read one line
 * @out: filled in, if true is returned
 *
 * false: not a JSON object, a member given twice, of a wrong type, too long,
 * or missing. A line that tells of a torn one has time and torn only.
 */
bool ctl_audit_parse(struct ctl_audit *out, const char *line, size_t len);

#endif
