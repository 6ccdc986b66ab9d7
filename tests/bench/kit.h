/* SPDX-License-Identifier: MIT */
/*
 * kit.h - a listener, programs that send connections to it, and a process
 * with as many ancestors as are recorded.
 */
#ifndef MSP_BENCH_KIT_H
#define MSP_BENCH_KIT_H

#include <netinet/in.h>

#include <msp/msp.h>

/* An address of either family. */
struct target {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t len;
};

/* @text is an address of either family, @port in host byte order. */
struct target kit_target(const char *text, uint16_t port);
/* A listening socket on 127.0.0.1, on a port of its own, and its address. */
int kit_listen(struct target *at);
/* Programs on @cgroup that lead there, every endpoint enforced. */
struct msp_redirect *kit_redirect(const char *cgroup, const struct target *at);
/* TCP; closing it sends a reset, so no port stays behind in TIME_WAIT. */
int kit_socket(int family);
/* The calling process goes on with at least @generations ancestors. */
void kit_descend(unsigned int generations);
/* End with the parent, whatever happens to it. */
void kit_end_with_parent(void);

#endif
