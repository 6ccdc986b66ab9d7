/* SPDX-License-Identifier: MIT */
/*
 * In: connections to IMDS of all processes in a cgroup. Out: who made them, in
 * the kernel's words; each is refused. Never: lets one pass that it redirects.
 *
 *   who_connected COUNT [CGROUP]   as root, from within the cgroup; ends after
 *                                  so many
 */
#include <arpa/inet.h>
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char refusal[] = "HTTP/1.1 403 Forbidden\r\n"
			      "content-length: 0\r\nconnection: close\r\n\r\n";

/* On a port of its own, which the redirector then needs to know. */
static int listen_somewhere(struct msp_address *out)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 ||
	    listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&at, &len))
		err(1, "cannot listen");
	out->ip = at.sin_addr.s_addr;
	out->port = ntohs(at.sin_port);
	return fd;
}

static void serve(struct msp_redirect *redirect, int listener)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_caller caller = { .size = sizeof(caller) };
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	if (msp_peer_identify(redirect, fd, &caller, &info) < 0)
		printf("unknown: %s\n", info.text);
	else
		printf("pid %u, uid %u%s, %s, %s\n", caller.pid, caller.uid,
		       msp_caller_elevated(&caller) ? " (root)" : "",
		       msp_caller_process_name(&caller), caller.exe_path);
	fflush(stdout);
	if (write(fd, refusal, sizeof(refusal) - 1) < 0)
		warn("cannot answer");
	close(fd);
}

int main(int argc, char **argv)
{
	struct msp_redirect_opts opts = { .size = sizeof(opts) };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_redirect *redirect;
	int listener, i;

	if (argc != 2 && argc != 3)
		errx(2, "usage: who_connected COUNT [CGROUP]");
	opts.cgroup = argv[2];
	opts.cgroup_len = argc == 3 ? strlen(argv[2]) : 0;
	listener = listen_somewhere(&opts.listener);
	if (msp_redirect_open(&redirect, &opts, &info) < 0 ||
	    msp_redirect_prove(redirect, listener, 0, &info) < 0 ||
	    msp_redirect_set(redirect, MSP_ENDPOINT_IMDS, MSP_REDIRECT_ENFORCE))
		errx(1, "%s", info.text);
	for (i = 0; i < atoi(argv[1]); i++)
		serve(redirect, listener);
	msp_redirect_free(redirect);
	close(listener);
	return 0;
}
