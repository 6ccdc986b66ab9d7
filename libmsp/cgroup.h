/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - where is cgroup v2 mounted?
 */
#ifndef MSP_CGROUP_H
#define MSP_CGROUP_H

#include <msp/error.h>

/* Mount point of cgroup v2 as /proc/self/mountinfo shows it; owned, freed
 * with msp_mem_free(). MSP_ERR_UNSUPPORTED if there is none. */
int msp_cgroup_mount(char **out, struct msp_error_info *info);

#endif
