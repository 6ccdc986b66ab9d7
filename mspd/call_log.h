/* SPDX-License-Identifier: MIT */
/*
 * call_log.h - a request in the words of the connection log (spec 9.3, 9.4).
 *
 * No header of a request is ever looked at, so none can get into a log.
 * Targets and commands are without their secrets.
 */
#ifndef MSPD_CALL_LOG_H
#define MSPD_CALL_LOG_H

#include "mspd/call.h"

/* It begins: the lines that only debugging wants. */
void mspd_call_log_begin(struct mspd_call *call);

/**
 * mspd_call_log_summary - the first of its group in the summaries
 * @status:  as in the summary
 * @details: why it is not the host's answer, NULL: what the request itself
 *           tells
 * @us:      microseconds since its head
 */
void mspd_call_log_summary(struct mspd_call *call, unsigned int status,
			   const char *details, uint64_t us);

/* It is over, as far as the log is concerned. */
void mspd_call_log_end(struct mspd_call *call, unsigned int status,
		       uint64_t us);

/* With enableHttpProxyTrace: remember when it came to where; a constant. */
void mspd_call_stage(struct mspd_call *call, const char *text);
/* And tell. */
void mspd_call_stages_say(struct mspd_call *call);

#endif
