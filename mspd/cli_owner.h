/* SPDX-License-Identifier: MIT */
/*
 * cli_owner.h - whose socket listens at an address.
 */
#ifndef MSPD_CLI_OWNER_H
#define MSPD_CLI_OWNER_H

#include <msp/msp.h>

/**
 * struct mspd_owner
 * @inode: number of the socket, of no other one while the machine runs;
 *         0: none listens there
 * @uid:   who made it
 */
struct mspd_owner {
	uint64_t inode;
	uint32_t uid;
};

/**
 * mspd_owner_find - who would get a connection to @address
 *
 * Asks /proc/net, which any user may, whatever modules the kernel has. Also
 * finds sockets bound to all addresses, and IPv6 ones that take IPv4.
 * Returns 0 or -errno: it cannot be told.
 */
int mspd_owner_find(struct mspd_owner *out, const struct msp_address *address);

#endif
