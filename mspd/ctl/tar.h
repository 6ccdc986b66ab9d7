/* SPDX-License-Identifier: MIT */
/*
 * tar.h - an archive of small files, in the ustar format of POSIX.
 */
#ifndef MSPD_CTL_TAR_H
#define MSPD_CTL_TAR_H

#include "mspd/ctl/ctl.h"

/** Longest name of a member, in bytes. */
#define CTL_TAR_NAME 99

/* Append a regular file of root's, mode 0600; @name is cut if it is longer. */
void ctl_tar_add(struct ctl_text *tar, const char *name, const char *at,
		 size_t len, int64_t mtime);
/* No more come. */
void ctl_tar_end(struct ctl_text *tar);

#endif
