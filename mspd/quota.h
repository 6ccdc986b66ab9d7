/* SPDX-License-Identifier: MIT */
/*
 * quota.h - how much processor time the control groups of this process leave
 * it. An agent that has to wait for its turn delays everybody's requests, and
 * nothing else tells why.
 */
#ifndef MSPD_QUOTA_H
#define MSPD_QUOTA_H

#include <limits.h>
#include <stdbool.h>

/**
 * struct mspd_quota - the narrowest limit there is
 * @percent: of one processor's time; 1 if it is less
 * @path:    file that sets it
 */
struct mspd_quota {
	unsigned int percent;
	char path[PATH_MAX];
};

/* Is there one? @self is /proc/self/cgroup, @root /sys/fs/cgroup, both but for
 * tests; what cannot be read limits nothing. */
bool mspd_quota_find(struct mspd_quota *quota, const char *self,
		     const char *root);

/* Warns, if there is one. */
void mspd_quota_warn(void);

#endif
