/* SPDX-License-Identifier: MIT */
/*
 * links.h - the links of eBPF programs that this machine has.
 */
#ifndef MSPD_CTL_LINKS_H
#define MSPD_CTL_LINKS_H

#include "mspd/ctl/ctl.h"

/** Most that are looked at. */
#define CTL_LINKS 1024

/**
 * struct ctl_bpf_link - one that is attached to a cgroup, or of another kind
 * @id:      of the link
 * @type:    enum bpf_link_type
 * @attach:  enum bpf_attach_type, of a cgroup's
 * @cgroup:  inode number of that; 0: it was detached
 * @program: name of its program
 */
struct ctl_bpf_link {
	uint32_t id;
	uint32_t type;
	uint32_t attach;
	uint64_t cgroup;
	char program[16];
};

/* Calls @take with each; 0, or -errno: they may not be seen. */
int ctl_links_walk(void (*take)(void *arg, const struct ctl_bpf_link *link),
		   void *arg);

#endif
