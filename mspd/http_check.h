/* SPDX-License-Identifier: MIT */
/*
 * http_check.h - is a parsed head free of everything that another parser
 * could read differently?
 */
#ifndef MSPD_HTTP_CHECK_H
#define MSPD_HTTP_CHECK_H

#include "mspd/server.h"

/*
 * Fills in length and http_1_0 of head and trims the header values; headers
 * is head->headers, writable. Returns 0, or the status to refuse with.
 */
unsigned int mspd_http_check(struct mspd_head *head, struct msp_header *headers,
			     const char *version);

/* Does this header belong to the connection and not to the request? Neither
 * forwarded nor signed as received, in either direction. */
bool mspd_http_hop_by_hop(const struct msp_header *header);

/* Is this its name, in any letter case? */
bool mspd_http_is(const struct msp_header *header, const char *name);

#endif
