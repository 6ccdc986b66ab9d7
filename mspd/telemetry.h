/* SPDX-License-Identifier: MIT */
/*
 * telemetry.h - a thread that sends events to WireServer (spec 9.1, 9.2); off
 * unless the configuration asks for it.
 */
#ifndef MSPD_TELEMETRY_H
#define MSPD_TELEMETRY_H

#include "mspd/config.h"
#include "mspd/policy.h"
#include "mspd/status.h"

struct mspd_telemetry;

/**
 * struct mspd_telemetry_opts - everything borrowed, must outlive the thread
 * @config:        of the agent
 * @policies:      of them the key that requests are signed with
 * @status:        told whether it runs; no document of it after free
 * @on_socket:     of msp_client_opts: marks each socket as our own
 * @on_socket_arg: passed to it, by the thread
 */
struct mspd_telemetry_opts {
	const struct mspd_config *config;
	struct mspd_policy_slot *policies;
	struct mspd_status *status;
	int (*on_socket)(void *arg, int fd);
	void *on_socket_arg;
};

/**
 * mspd_telemetry_start - collect events and send them, if that is configured
 * @out: NULL if it is not; not so after other errors than -ENOMEM, because the
 *       status asks it for numbers
 *
 * Says in the status which of the two it is. Returns 0 or -errno.
 */
int mspd_telemetry_start(struct mspd_telemetry **out,
			 const struct mspd_telemetry_opts *opts);

/* End the thread; what has not been sent is kept in eventFolder. NULL is
 * fine. */
void mspd_telemetry_stop(struct mspd_telemetry *telemetry);

/* Stop and free; NULL is fine. */
void mspd_telemetry_free(struct mspd_telemetry *telemetry);

#endif
