/* SPDX-License-Identifier: MIT */
/*
 * fleet_host.h - an msp-host of the bench's own, what it costs, and what it
 * says of its VMs.
 */
#ifndef MSP_BENCH_FLEET_HOST_H
#define MSP_BENCH_FLEET_HOST_H

#include <sys/types.h>

#include <msp/msp.h>
#include <yajl/yajl_tree.h>

/**
 * struct fleet_host
 * @pid:        the process
 * @wireserver: where it listens, like the next two
 */
struct fleet_host {
	pid_t pid;
	struct msp_address wireserver;
	struct msp_address imds;
	struct msp_address control;
};

/* The program named by the environment's MSP_HOST, serving FLEET_NETWORK,
 * both endpoints enforced; @state: its state file, or NULL. Ends the bench if
 * it does not start. */
void fleet_host_start(struct fleet_host *host, const char *state);
/* With this signal; ends the bench if SIGTERM is not heeded. */
void fleet_host_stop(struct fleet_host *host, int with);

/* CPU time used so far, ns. */
uint64_t fleet_host_cpu(const struct fleet_host *host);
/* What it keeps in memory now, bytes; of this process with pid 0. */
double fleet_rss(pid_t pid);
/* What its control port answers, free with yajl_tree_free(). Ends the bench
 * unless that is 200 and JSON. */
yajl_val fleet_host_get(const struct fleet_host *host, const char *target);

#endif
