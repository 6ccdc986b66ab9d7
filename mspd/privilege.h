/* SPDX-License-Identifier: MIT */
/*
 * privilege.h - what this process gives away before it meets anybody.
 */
#ifndef MSPD_PRIVILEGE_H
#define MSPD_PRIVILEGE_H

#include <stdint.h>

#include <msp/msp.h>

/* A bit for each capability that a started agent needs, in order to listen at
 * this address: that of ports below 1024 only for such a port. */
uint64_t mspd_privilege_needed(const struct msp_address *listener);

/**
 * mspd_privilege_drop - keep what is needed, and nothing else, for good
 * @listener: where clients will be waited for
 *
 * Effective and permitted capabilities become those that are needed, as far as
 * they were there; inheritable and ambient ones none. The bounding set loses
 * all others and the secure bits are locked where the process may do that
 * (CAP_SETPCAP); a service manager that has taken CAP_SETPCAP away has limited
 * the bounding set itself. No program that is executed can gain anything.
 *
 * Before any thread starts: the kernel does it by thread. Later calls can only
 * take away more. Returns 0, or -errno of the first thing that could not be
 * given away; the rest was all the same.
 */
int mspd_privilege_drop(const struct msp_address *listener);

#endif
