/* SPDX-License-Identifier: MIT */
/*
 * probe.h - one question to each endpoint, and where its connection went.
 */
#ifndef MSPD_CTL_PROBE_H
#define MSPD_CTL_PROBE_H

#include "mspd/ctl/ctl.h"

/**
 * struct ctl_probe - one of them; all zero before
 * @to:       where the kernel has it go; port 0: it does not say
 * @status:   of the answer, 0: none
 * @passed:   on by an agent, the answer says
 * @date:     of the host, 0: unknown
 * @error:    why there is no answer
 * @err:      errno, if it is one
 * @fd:       of its socket, kept open until it has been found in /proc
 * @client:   that asks
 */
struct ctl_probe {
	struct msp_address to;
	unsigned int status;
	bool passed;
	int64_t date;
	char error[320];
	int err;
	int fd;
	struct msp_client *client;
};

/* Ask all of them at once, each for CTL_PROBE_MS at most. */
#define CTL_PROBE_MS 5000
void ctl_probe_all(struct ctl_probe probes[MSP_ENDPOINTS],
		   const struct msp_address to[MSP_ENDPOINTS]);

#endif
