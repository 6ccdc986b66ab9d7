/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - where is cgroup v2 mounted?
 */
#ifndef MSP_CGROUP_H
#define MSP_CGROUP_H

#include <msp/error.h>

/* Mount point of cgroup v2 as /proc/self/mountinfo shows it, the first where
 * the whole hierarchy is, as far as our cgroup namespace goes; owned, freed
 * with msp_mem_free(). MSP_ERR_NOENT if none is mounted, MSP_ERR_UNSUPPORTED
 * if only parts are. */
int msp_cgroup_mount(char **out, struct msp_error_info *info);

/* Where an open directory is: mount point of its cgroup v2 file system, and
 * the path below that, "/" or "/a/b". Both owned, freed with msp_mem_free();
 * NULL on error. MSP_ERR_UNSUPPORTED if it is in none. */
int msp_cgroup_place(int dir_fd, char **mount, char **below,
		     struct msp_error_info *info);

/* Path of the cgroup with this number below the mount point. dir_fd: any
 * directory of the file system. MSP_ERR_NOENT: it is gone. */
int msp_cgroup_path(int dir_fd, const char *mount, uint64_t id, char *out,
		    size_t size, struct msp_error_info *info);

/* Is path the directory "below", or in it? */
bool msp_cgroup_inside(const char *path, const char *below);

#endif
