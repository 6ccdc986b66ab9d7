/* SPDX-License-Identifier: MIT */
/*
 * summary.h - who asked for what, and what came of it: the two tables of the
 * status document (spec 4.4).
 *
 * Memory is bounded whatever callers do (fix Q34): a table holds so many
 * groups; requests of further groups are counted in one group per user name
 * and status with process `other`, and past 256 of those in a single one.
 * Threads: any.
 */
#ifndef MSPD_SUMMARY_H
#define MSPD_SUMMARY_H

#include <yajl/yajl_gen.h>

#include <msp/msp.h>

#define MSPD_SUMMARY_GROUPS 1000
/** Most bytes kept of each text. */
#define MSPD_SUMMARY_TEXT 512

enum mspd_summary_which {
	MSPD_SUMMARY_CONNECTIONS = 0, /* proxyConnectionSummary */
	MSPD_SUMMARY_FAILED = 1	      /* failedAuthenticateSummary */
};

/**
 * struct mspd_summary_event - one request; everything borrowed for the call
 * @known:       is the caller known? If not, userName and processCmdLine are
 *               `empty` and the other facts null
 * @user_name:   NULL: `undefined`
 * @groups:      names of its groups
 * @n_groups:    how many
 * @exe_path:    NULL: null
 * @command:     first four arguments, secrets already redacted; NULL:
 *               `undefined`
 * @client_ip:   in network byte order
 * @destination: ip 0: `None` and port 0
 * @status:      HTTP status of the answer
 * @version:     another number whenever anything else here but the status is
 *               another; 0: not to be relied on
 */
struct mspd_summary_event {
	bool known;
	const char *user_name;
	const char *const *groups;
	size_t n_groups;
	const char *exe_path;
	const char *command;
	uint32_t client_ip;
	struct msp_address destination;
	unsigned int status;
	uint64_t version;
};

struct mspd_summary;

/**
 * mspd_summary_new - two empty tables
 * @out:        or NULL on error
 * @max_groups: per table; 0: MSPD_SUMMARY_GROUPS
 * Returns 0 or -errno.
 */
int mspd_summary_new(struct mspd_summary **out, size_t max_groups);

/* Free; NULL is fine. */
void mspd_summary_free(struct mspd_summary *summary);

/**
 * mspd_summary_add - count one request
 * @now_s: seconds of a clock that is never set, CLOCK_BOOTTIME
 *
 * Returns true if it is the first of its group or of a new bucket of 15
 * minutes. Without memory the request is counted in the last resort group.
 */
bool mspd_summary_add(struct mspd_summary *summary,
		      enum mspd_summary_which which,
		      const struct mspd_summary_event *event, uint64_t now_s);

/* Reason phrase of a status: "Forbidden". */
const char *mspd_summary_status(unsigned int status);

/**
 * mspd_summary_write_json - one table as a JSON array
 * @now_s: as above; what is older than 4 hours is forgotten
 */
void mspd_summary_write_json(struct mspd_summary *summary,
			     enum mspd_summary_which which, uint64_t now_s,
			     yajl_gen gen);

#endif
