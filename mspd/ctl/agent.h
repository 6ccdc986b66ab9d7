/* SPDX-License-Identifier: MIT */
/*
 * agent.h - how the agent of this machine is configured.
 */
#ifndef MSPD_CTL_AGENT_H
#define MSPD_CTL_AGENT_H

#include "mspd/config.h"
#include "mspd/ctl/ctl.h"

/** Room for a sentence that says why. */
#define CTL_AGENT_WHY 512

/**
 * ctl_agent_config - the configuration as the agent reads it
 * @out:  filled in if true is returned; free with mspd_config_free()
 * @path: the file; NULL: where the agent looks, and what it has by default if
 *        that one cannot be read
 * @why:  "", or why it is not what the file has
 *
 * Returns false, and has said why, if the file was named and cannot be read.
 */
bool ctl_agent_config(struct mspd_config *out, const char *path,
		      char why[CTL_AGENT_WHY]);

/* What the agent has by default; free it likewise. False, and has said why. */
bool ctl_agent_defaults(struct mspd_config *out);

/* Path of its control socket, owned; "": it has none. */
char *ctl_agent_socket(const struct mspd_config *config);

#endif
