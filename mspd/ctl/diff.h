/* SPDX-License-Identifier: MIT */
/*
 * diff.h - two profiles asked the same.
 */
#ifndef MSPD_CTL_DIFF_H
#define MSPD_CTL_DIFF_H

#include "mspd/ctl/caller.h"

/**
 * struct ctl_diff - one comparison
 * @rules:      of the old profile and the new one
 * @request:    that is being tried
 * @endpoint:   it goes to
 * @misdirected: it names another endpoint: refused by either
 * @out:        what changes, text or JSON
 * @json:       which of them
 * @tried, @changed: requests by callers
 * @skipped:    lines of a trail that never came to any rules
 * @unreadable: lines
 * @queries:    lines with parameters whose values are not known
 */
struct ctl_diff {
	struct msp_rules *rules[2];
	struct msp_request *request;
	enum msp_endpoint endpoint;
	bool misdirected;
	struct ctl_text out;
	bool json;
	size_t tried;
	size_t changed;
	size_t skipped;
	size_t unreadable;
	size_t queries;
};

/* false, and has said why: no request */
bool ctl_diff_request(struct ctl_diff *diff, enum msp_endpoint endpoint,
		      const char *method, const char *url);
/* That request by a caller whom @label tells people; false: out of order. */
bool ctl_diff_try(struct ctl_diff *diff, const char *url,
		  const struct ctl_caller *who, const char *label);

/* Requests of a file; false: cannot go on (diff_corpus.c). */
bool ctl_diff_corpus(struct ctl_diff *diff, const char *path);
/* Requests made of the profiles (diff_generate.c). */
bool ctl_diff_generate(struct ctl_diff *diff,
		       struct msp_profile *const profiles[2],
		       const char *const paths[2], enum msp_endpoint endpoint);

#endif
