/* SPDX-License-Identifier: MIT */
/*
 * server_probe.h - does libmicrohttpd leave a head where it received it?
 */
#ifndef MSPD_SERVER_PROBE_H
#define MSPD_SERVER_PROBE_H

#include <microhttpd.h>

#include "mspd/server.h"

/* Does mspd_http_is_whole() hold of a head that is whole, in this version of
 * the library? */
bool mspd_server_probe(void);

/* Does it hold of this one? head is as collected, target where the library
 * called back with it. */
bool mspd_server_is_whole(struct MHD_Connection *mhd,
			  const struct mspd_head *head, const char *target,
			  const char *version);

/* Without it libmicrohttpd would decode in place; arg is not used. */
size_t mspd_server_keep_escapes(void *arg, struct MHD_Connection *mhd,
				char *text);

#endif
