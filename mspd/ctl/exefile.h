/* SPDX-License-Identifier: MIT */
/*
 * exefile.h - the files that profiles name, on this machine.
 */
#ifndef MSPD_CTL_EXEFILE_H
#define MSPD_CTL_EXEFILE_H

#include "mspd/ctl/ctl.h"

/* For struct msp_lint_opts.file. */
int ctl_exefile_look(void *arg, const char *path, struct msp_lint_file *out);

#endif
