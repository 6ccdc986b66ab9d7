/* SPDX-License-Identifier: MIT */
/*
 * control.h - the two Unix sockets that tell how the agent is: control.sock,
 * root's, a line in and a JSON object out; metrics.sock, GET /metrics over
 * HTTP/1.1. Both close after one answer.
 *
 * Belongs to the loop's thread, which never waits for a client.
 */
#ifndef MSPD_CONTROL_H
#define MSPD_CONTROL_H

#include "mspd/sight.h"

/** Clients of each at a time, and how long each may take, in milliseconds. */
#define MSPD_CONTROL_CLIENTS 4
#define MSPD_CONTROL_MS	     2000
/** Milliseconds after which it is answered without what would allow those who
 * are refused. */
#define MSPD_CONTROL_GRANTS_MS 1000
/** Longest command, and longest head of a request for metrics, in bytes. */
#define MSPD_CONTROL_LINE 256
#define MSPD_CONTROL_HEAD 2048
/** Longest answer of the control socket, in bytes. */
#define MSPD_CONTROL_ANSWER 65536

struct mspd_control;

/**
 * mspd_control_open - the sockets that the configuration wants
 * @config: borrowed for this call
 *
 * To be called while this process may still give a file to a group. What is
 * there and is not a socket stays, and so does what is in a directory that
 * somebody else may write to: then that socket is missing, and the log says
 * why. The agent goes on without; where the disk was full or read-only it tries
 * again, but for the metrics of a group. Who connects waits for the start. 0 or
 * -ENOMEM.
 */
int mspd_control_open(struct mspd_control **out,
		      const struct mspd_config *config);

/* Answer. @sight: borrowed, with what it points to, until the end. NULL is fine
 * for @control. */
void mspd_control_start(struct mspd_control *control,
			const struct mspd_sight *sight);

/* Removes those that are still ours; NULL is fine. */
void mspd_control_close(struct mspd_control *control);

#endif
