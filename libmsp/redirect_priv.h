/* SPDX-License-Identifier: MIT */
/*
 * redirect_priv.h - the loaded programs, shared by redirect_load.c, which loads
 * them, redirect.c, which attaches them, and peer.c, which asks them.
 */
#ifndef MSP_REDIRECT_PRIV_H
#define MSP_REDIRECT_PRIV_H

#include <linux/types.h>
#include <pthread.h>
#include <stdatomic.h>

#include <bpf/libbpf.h>

#include <msp/caller.h>
#include <msp/redirect.h>

#include "bpf/msp_bpf.h"

struct msp_bpf;

#define MSP_REDIRECT_HOOKS 6

struct msp_redirect {
	struct msp_bpf *skel;
	int link_fds[MSP_REDIRECT_HOOKS]; /* -1: none */
	struct msp_bpf_states *states;	  /* mapped, written while they run */
	struct msp_bpf_runtime *runtime;  /* likewise */
	const struct msp_bpf_file *stat_result; /* mapped, written by "stat" */
	const struct msp_bpf_self *self_result; /* likewise by "self" */
	struct msp_address endpoints[MSP_ENDPOINTS];
	struct msp_address listener;
	struct msp_bpf_self self;
	char *cgroup;	     /* where attached, below the mount point: "/..." */
	char *mount;	     /* mount point of that cgroup file system */
	int cgroup_fd;	     /* the directory, -1 before */
	unsigned int limits; /* enum msp_redirect_limit */
	unsigned int taken;  /* bits: parts that a predecessor left */
	/* while it is opened: what there is to take; borrowed */
	const struct msp_redirect_part *parts;
	size_t n_parts;
	int self_fd;	 /* borrowed from skel */
	int who_fd;	 /* likewise */
	int stat_fd;	 /* likewise */
	int own_fd;	 /* likewise */
	int counters_fd; /* likewise */
	int cpus;
	pthread_mutex_t stat_lock; /* one result slot in the kernel */
	/* those that the kernel side does not count */
	atomic_uint_fast64_t counts[MSP_COUNTERS];
};

/* Load all programs and fill in what is borrowed from them; config is
 * complete but for `walk`, opts may be NULL. What has been loaded before an
 * error is for msp_redirect_unload(). */
int msp_redirect_load(struct msp_redirect *r,
		      const struct msp_bpf_config *config,
		      const struct msp_redirect_opts *opts,
		      struct msp_error_info *info);
/* Fine if nothing is loaded. */
void msp_redirect_unload(struct msp_redirect *r);
/* Program i of MSP_REDIRECT_HOOKS, and the name failure texts use. */
const char *msp_redirect_hook(const struct msp_redirect *r, size_t i,
			      struct bpf_program **program);
/* Silence libbpf, until msp_redirect_unhush() is given what this returned. Two
 * may be under way at a time, and end in any order. */
libbpf_print_fn_t msp_redirect_hush(void);
void msp_redirect_unhush(libbpf_print_fn_t before);

/* Before they are loaded: maps that a predecessor left are used instead of new
 * ones. 0 or -errno. */
int msp_redirect_take_maps(struct msp_redirect *r);
/* Once they are loaded: states that do not exist become ENFORCE. */
void msp_redirect_check_states(struct msp_redirect *r);
/* The link of hook i that a predecessor left, with this program in it from now
 * on; -1: there is none that fits. If there are more, they are detached. */
int msp_redirect_take_link(struct msp_redirect *r, size_t i,
			   const struct bpf_program *program);

struct msp_address msp_address_from_bpf(const struct msp_bpf_address *in);
void msp_file_id_from_bpf(struct msp_file_id *out,
			  const struct msp_bpf_file *in);

#endif
