/* SPDX-License-Identifier: MIT */
/*
 * cgroups.h - paths of cgroups by number, kept: a path never changes, and a
 * number is never used again. Belongs to the loop's thread.
 */
#ifndef MSPD_CGROUPS_H
#define MSPD_CGROUPS_H

#include <msp/msp.h>

/** Most that are kept. */
#define MSPD_CGROUPS 256

struct mspd_cgroups;
struct mspd_cgroup;

/* Look up; text has 4096 bytes of room. As msp_peer_cgroup_path(). */
typedef int mspd_cgroup_look(void *arg, uint64_t id, char *text, size_t room);

/* 0 or -errno */
int mspd_cgroups_new(struct mspd_cgroups **out, mspd_cgroup_look *look,
		     void *arg);
void mspd_cgroups_free(struct mspd_cgroups *cgroups);

/* Owned, for mspd_cgroup_free(); NULL without memory. */
struct mspd_cgroup *mspd_cgroups_get(struct mspd_cgroups *cgroups, uint64_t id);

/* NULL: it is gone, or could not be looked up; borrowed from @cgroup. */
const char *mspd_cgroup_path(const struct mspd_cgroup *cgroup);

/* Give up; NULL is fine. */
void mspd_cgroup_free(struct mspd_cgroup *cgroup);

#endif
