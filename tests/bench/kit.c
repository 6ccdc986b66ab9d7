/* SPDX-License-Identifier: MIT */
/*
 * In: a cgroup, from the runner. Out: what the benches about connections
 * start from. Must never leave a process behind.
 */
#include "tests/bench/kit.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define BACKLOG 4096

struct target kit_target(const char *text, uint16_t port)
{
	struct target t;

	memset(&t, 0, sizeof(t));
	if (inet_pton(AF_INET, text, &t.to.v4.sin_addr) == 1) {
		t.to.v4.sin_family = AF_INET;
		t.to.v4.sin_port = htons(port);
		t.len = sizeof(t.to.v4);
		return t;
	}
	if (inet_pton(AF_INET6, text, &t.to.v6.sin6_addr) != 1)
		measure_die("not an address: %s", text);
	t.to.v6.sin6_family = AF_INET6;
	t.to.v6.sin6_port = htons(port);
	t.len = sizeof(t.to.v6);
	return t;
}

int kit_listen(struct target *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	measure_need(fd, "cannot open a socket");
	*at = kit_target("127.0.0.1", 0);
	measure_need(bind(fd, &at->to.any, at->len), "cannot bind");
	measure_need(listen(fd, BACKLOG), "cannot listen");
	measure_need(getsockname(fd, &at->to.any, &at->len), "no address");
	return fd;
}

struct msp_redirect *kit_redirect(const char *cgroup, const struct target *at)
{
	struct msp_redirect_opts opts = { .size = sizeof(opts) };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_redirect *redirect = NULL;
	int i;

	opts.cgroup = cgroup;
	opts.cgroup_len = strlen(cgroup);
	opts.listener.ip = at->to.v4.sin_addr.s_addr;
	opts.listener.port = ntohs(at->to.v4.sin_port);
	if (msp_redirect_open(&redirect, &opts, &info) < 0)
		measure_die("%s", info.text);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (msp_redirect_set(redirect, (enum msp_endpoint)i,
				     MSP_REDIRECT_ENFORCE) < 0)
			measure_die("cannot enforce endpoint %d", i);
	return redirect;
}

int kit_socket(int family)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	measure_need(fd, "cannot open a socket");
	measure_need(
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
		"cannot set SO_LINGER");
	return fd;
}

void kit_end_with_parent(void)
{
	measure_need(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
}

void kit_descend(unsigned int generations)
{
	while (generations--) {
		int status = 0;
		pid_t child = fork();

		measure_need(child, "cannot fork");
		if (child == 0) {
			kit_end_with_parent();
			continue;
		}
		measure_need(waitpid(child, &status, 0), "waitpid");
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
	}
}
