/* SPDX-License-Identifier: MIT */
/*
 * In: names and a path. Out: a caller that has them. Must never have more
 * groups than a decision looks at without saying that there are more.
 */
#include "mspd/ctl/caller.h"

#include <stdlib.h>
#include <string.h>

void ctl_caller_init(struct ctl_caller *caller)
{
	struct msp_caller *c = &caller->facts;

	memset(caller, 0, sizeof(*caller));
	c->size = sizeof(*c);
	c->flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES;
	c->uid = c->euid = c->gid = c->egid = CTL_NOBODY;
	c->loginuid = UINT32_MAX;
	c->groups = (const char *const *)caller->groups;
	c->process_groups = (const char *const *)caller->process_groups;
}

void ctl_caller_free(struct ctl_caller *caller)
{
	size_t i;

	free(caller->user);
	for (i = 0; i < caller->facts.n_groups; i++)
		free(caller->groups[i]);
	for (i = 0; i < caller->facts.n_process_groups; i++)
		free(caller->process_groups[i]);
	memset(caller, 0, sizeof(*caller));
}

void ctl_caller_set_user(struct ctl_caller *caller, const char *name)
{
	free(caller->user);
	caller->user = ctl_copy(name, strlen(name));
	caller->facts.user_name = caller->user;
}

static bool add(struct ctl_caller *caller, char **list, size_t *n, size_t max,
		const char *name)
{
	if (*n == max) {
		caller->facts.flags |= MSP_CALLER_GROUPS_CUT;
		return false;
	}
	list[(*n)++] = ctl_copy(name, strlen(name));
	return true;
}

bool ctl_caller_add_group(struct ctl_caller *caller, const char *name)
{
	return add(caller, caller->groups, &caller->facts.n_groups,
		   MSP_CALLER_GROUPS_MAX, name);
}

bool ctl_caller_add_process_group(struct ctl_caller *caller, const char *name)
{
	return add(caller, caller->process_groups,
		   &caller->facts.n_process_groups, 1 + MSP_CALLER_GROUPS_MAX,
		   name);
}

bool ctl_caller_set_exe(struct ctl_caller *caller, const char *path)
{
	struct msp_caller *c = &caller->facts;
	size_t len = strlen(path);

	if (len >= sizeof(c->exe_path)) {
		c->flags |= MSP_CALLER_PATH_CUT;
		return false;
	}
	memcpy(c->exe_path, path, len + 1);
	c->exe.nlink = 1;
	c->flags |= MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED;
	return true;
}
