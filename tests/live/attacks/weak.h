/* SPDX-License-Identifier: MIT */
/*
 * weak.h - what the weak agent's two halves share.
 */
#ifndef TESTS_LIVE_WEAK_H
#define TESTS_LIVE_WEAK_H

#define WEAK_ENTRIES 8192

/* Who connected, and where to. Addresses and port in network order. */
struct weak_origin {
	__u32 pid;
	__u32 ip;
	__u32 port;
};

#endif
