/* SPDX-License-Identifier: MIT */
/*
 * exchange.h - one HTTP request and its whole answer.
 */
#ifndef HOST_REPORT_EXCHANGE_H
#define HOST_REPORT_EXCHANGE_H

#include "base/text.h"

#include <msp/msp.h>

/**
 * struct exchange
 * @address:    whom to ask
 * @method:     "GET" or "PUT"
 * @target:     path and query
 * @header:     one header beside Host
 * @body:       of the request, or NULL; borrowed
 * @timeout_ms: for all of it
 * @max:        largest body of the answer, in bytes
 * @status:     set to the answer's
 * @answer:     gets the body; owned, also after an error
 */
struct exchange {
	struct msp_address address;
	const char *method;
	const char *target;
	struct msp_header header;
	const struct buf *body;
	uint32_t timeout_ms;
	size_t max;
	unsigned int status;
	struct buf answer;
};

/* Blocks. False and a sentence in error if there is no whole answer; whether
 * its status is a good one is the caller's question. */
bool exchange_run(struct exchange *x, struct buf *error);

#endif
