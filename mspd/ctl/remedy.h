/* SPDX-License-Identifier: MIT */
/*
 * remedy.h - what helps against failures that are known.
 */
#ifndef MSPD_CTL_REMEDY_H
#define MSPD_CTL_REMEDY_H

#include "mspd/ctl/ctl.h"

/* Each is one line. */
extern const char ctl_remedy_image[];	/* no eBPF, or no cgroup v2 */
extern const char ctl_remedy_mount[];	/* cgroup v2 is not mounted */
extern const char ctl_remedy_key[];	/* a new one is needed */
extern const char ctl_remedy_start[];	/* the agent does not run */
extern const char ctl_remedy_restart[]; /* it runs, but */
extern const char ctl_remedy_install[]; /* it is not there */
extern const char ctl_remedy_cloud_init[];
extern const char ctl_remedy_network[]; /* the host is out of reach */
extern const char ctl_remedy_root[];	/* not allowed to look */

/**
 * struct ctl_failure - a failure that the documentation of MSP names
 * @part:   of its text, or its code; letter case does not matter
 * @means:  one line
 * @remedy: likewise
 */
struct ctl_failure {
	const char *part;
	const char *means;
	const char *remedy;
};

/* The first that fits some text of any origin; NULL: it is not known. */
const struct ctl_failure *ctl_failure_find(const char *text);

#endif
