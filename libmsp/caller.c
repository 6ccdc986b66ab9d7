/* SPDX-License-Identifier: MIT */
/*
 * In: facts about a process, as the kernel told them. Out: what follows from
 * them. Must never look at the machine, nor take a missing fact for a good one.
 */
#include <msp/caller.h>

#include <string.h>

bool msp_caller_elevated(const struct msp_caller *caller)
{
	if (!caller || !(caller->flags & MSP_CALLER_KNOWN))
		return false;
	/* kernel threads have uid 0, but nobody answers for what they send */
	if (caller->flags & MSP_CALLER_KERNEL)
		return false;
	return caller->uid == 0 && caller->euid == 0;
}

const char *msp_caller_process_name(const struct msp_caller *caller)
{
	const char *slash;

	if (!caller)
		return "";
	slash = strrchr(caller->exe_path, '/');
	return slash ? slash + 1 : caller->exe_path;
}
