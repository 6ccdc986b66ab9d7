/* SPDX-License-Identifier: MIT */
/*
 * caller.h - a caller made up of what the command line, /proc or a file says.
 */
#ifndef MSPD_CTL_CALLER_H
#define MSPD_CTL_CALLER_H

#include <sys/types.h>

#include "mspd/ctl/ctl.h"

/** Of no user, when a number is needed; not root. */
#define CTL_NOBODY 65534

/**
 * struct ctl_caller - facts, and the names they borrow
 * @facts:          what decisions are made of; valid while this is
 * @user:           owned
 * @groups:         of the user; owned
 * @process_groups: of the process; owned
 */
struct ctl_caller {
	struct msp_caller facts;
	char *user;
	char *groups[MSP_CALLER_GROUPS_MAX];
	char *process_groups[1 + MSP_CALLER_GROUPS_MAX];
};

/* Known, without a name, a group or a program; not root. */
void ctl_caller_init(struct ctl_caller *caller);
void ctl_caller_free(struct ctl_caller *caller);
void ctl_caller_set_user(struct ctl_caller *caller, const char *name);
/* false: there are too many, GROUPS_CUT is set */
bool ctl_caller_add_group(struct ctl_caller *caller, const char *name);
bool ctl_caller_add_process_group(struct ctl_caller *caller, const char *name);
/* It runs this file, verified; false: longer than any that can be told. */
bool ctl_caller_set_exe(struct ctl_caller *caller, const char *path);

/* ---- the user database (nss.c) ----------------------------------------- */

/* Name, numbers and groups of a user; false if there is none, or it could not
 * be asked, which is said. */
bool ctl_nss_user(struct ctl_caller *caller, const char *name);
bool ctl_nss_uid(struct ctl_caller *caller, uid_t uid);
/* Add the names of groups of the process. */
void ctl_nss_process_group(struct ctl_caller *caller, gid_t gid);

/* ---- processes (process.c) --------------------------------------------- */

/* What runs as @pid now; false, and has said why. */
bool ctl_process_caller(struct ctl_caller *caller, pid_t pid);

#endif
