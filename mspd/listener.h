/* SPDX-License-Identifier: MIT */
/*
 * listener.h - the listening socket of the proxy.
 */
#ifndef MSPD_LISTENER_H
#define MSPD_LISTENER_H

#include <msp/msp.h>

/* Bound, listening, non-blocking; -1 with a sentence in error. */
int mspd_listener_open(const struct msp_address *address, char *error,
		       size_t error_size);

#endif
