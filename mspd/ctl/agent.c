/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's configuration file, if there is one. Out: what the agent has
 * of it. Must never put a default of its own in the place of one of the
 * agent's.
 */
#include "mspd/ctl/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SOCKET_NAME "control.sock"

/* Its own reader knows: of a file that has nothing but what must be there. */
bool ctl_agent_defaults(struct mspd_config *out)
{
	static const char least[] =
		"{\"logFolder\":\"/var/log/azure-proxy-agent\","
		"\"latchKeyFolder\":\"/var/lib/azure-proxy-agent/keys\"}";
	char path[64], error[CTL_AGENT_WHY];
	int fd = memfd_create("least", MFD_CLOEXEC);
	bool fine;

	if (fd < 0) {
		ctl_fail("memfd_create: %s", strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fine = write(fd, least, strlen(least)) == (ssize_t)strlen(least) &&
	       mspd_config_load(out, path, error, sizeof(error)) == 0;
	close(fd);
	if (!fine)
		ctl_fail("the default configuration cannot be read");
	return fine;
}

bool ctl_agent_config(struct mspd_config *out, const char *path,
		      char why[CTL_AGENT_WHY])
{
	char beside[PATH_MAX];
	const char *from = path ? path : mspd_config_find(beside);

	*why = '\0';
	if (mspd_config_load(out, from, why, CTL_AGENT_WHY) == 0)
		return true;
	if (!path)
		return ctl_agent_defaults(out);
	ctl_fail("%s", why);
	return false;
}

char *ctl_agent_socket(const struct mspd_config *config)
{
	struct ctl_text path = { 0 };

	if (config->control_socket) {
		ctl_put(&path, config->control_socket);
	} else {
		ctl_put(&path, config->run_dir);
		ctl_put(&path, "/" SOCKET_NAME);
	}
	return path.at;
}
