/* SPDX-License-Identifier: MIT */
/*
 * redirect_priv.h - the loaded programs, shared by redirect.c, which attaches
 * them, and peer.c, which asks them.
 */
#ifndef MSP_REDIRECT_PRIV_H
#define MSP_REDIRECT_PRIV_H

#include <linux/types.h>
#include <pthread.h>
#include <stdatomic.h>

#include <msp/caller.h>
#include <msp/redirect.h>

#include "bpf/msp_bpf.h"

struct msp_bpf;
struct bpf_link;

#define MSP_REDIRECT_HOOKS 6

struct msp_redirect {
	struct msp_bpf *skel;
	struct bpf_link *links[MSP_REDIRECT_HOOKS];
	struct msp_bpf_runtime *runtime; /* mapped, written while they run */
	const struct msp_bpf_file *stat_result; /* mapped, written by "stat" */
	struct msp_address endpoints[MSP_ENDPOINTS];
	struct msp_address listener;
	struct msp_bpf_self self;
	char *cgroup;	     /* where attached, below the mount point: "/..." */
	char *mount;	     /* mount point of that cgroup file system */
	int cgroup_fd;	     /* the directory, -1 before */
	unsigned int limits; /* enum msp_redirect_limit */
	int who_fd;	     /* borrowed from skel */
	int stat_fd;	     /* likewise */
	int own_fd;	     /* likewise */
	int counters_fd;     /* likewise */
	int cpus;
	pthread_mutex_t stat_lock; /* one result slot in the kernel */
	/* those that the kernel side does not count */
	atomic_uint_fast64_t counts[MSP_COUNTERS];
};

/* Device, inode, ... of an open descriptor as the kernel itself sees them. */
int msp_redirect_stat(struct msp_redirect *redirect, int fd,
		      struct msp_file_id *out);
struct msp_address msp_address_from_bpf(const struct msp_bpf_address *in);
void msp_file_id_from_bpf(struct msp_file_id *out,
			  const struct msp_bpf_file *in);

#endif
