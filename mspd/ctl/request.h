/* SPDX-License-Identifier: MIT */
/*
 * request.h - requests as the command line and files have them.
 */
#ifndef MSPD_CTL_REQUEST_H
#define MSPD_CTL_REQUEST_H

#include "mspd/ctl/ctl.h"

/* false, and has said why: it is empty or too long */
bool ctl_request_set(struct msp_request *request, const char *method,
		     const char *url);
/* Does it name another endpoint than it was sent to? The agent answers that
 * before it asks the rules. */
bool ctl_request_misdirected(const struct msp_request *request,
			     enum msp_endpoint endpoint);

#endif
