/* SPDX-License-Identifier: MIT */
/*
 * In: a machine with the endpoints' addresses on loopback. Out: a redirector,
 * its listener, what arrives there, and what escapes it. Must never take a
 * connection that nobody has checked for one that is right.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kernels/guest.h"

#define IDENTITY_ROOT "/proc/1/root"

static int listen_at(int fd, const struct msp_address *at)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_addr.s_addr = at->ip;
	address.sin_port = htons(at->port);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return listen(fd, 1024);
}

/* What stands for the host: nobody may reach it while we enforce. */
int world_start(struct world *w)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	w->listener = -1;
	w->root = -1;
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (msp_endpoint_address(&w->endpoints[i],
					 (enum msp_endpoint)i) < 0)
			return -1;
		w->real[i] = socket(
			AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (listen_at(w->real[i], &w->endpoints[i]) < 0)
			return -1;
	}
	return 0;
}

int world_open(struct world *w, uint32_t flags, struct msp_error_info *info)
{
	struct msp_redirect_opts opts = { .size = sizeof(opts) };
	int rc;

	opts.flags = flags;
	rc = msp_redirect_open(&w->redirect, &opts, info);
	if (rc < 0)
		return rc;
	w->paths = !(msp_redirect_limits(w->redirect) &
		     MSP_REDIRECT_LIMIT_NO_PATH);
	return msp_peer_open_root(w->redirect, IDENTITY_ROOT,
				  strlen(IDENTITY_ROOT), &w->root, info);
}

int world_listen(struct world *w)
{
	struct msp_address at = { htonl(INADDR_LOOPBACK), LISTENER_PORT, 0 };
	int one = 1;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (msp_redirect_mark(w->redirect, w->listener, MSP_MARK_SKIP, NULL) <
	    0)
		return -1;
	return listen_at(w->listener, &at);
}

void world_set(struct world *w, enum msp_redirect_state state)
{
	int i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (msp_redirect_set(w->redirect, (enum msp_endpoint)i, state) <
		    0)
			check(false, "switch endpoint %d", i);
}

void world_close(struct world *w)
{
	if (w->listener >= 0)
		close(w->listener);
	if (w->root >= 0)
		close(w->root);
	msp_redirect_free(w->redirect);
	w->redirect = NULL;
	w->listener = -1;
	w->root = -1;
}

unsigned int world_escaped(struct world *w)
{
	unsigned int n = 0;
	size_t i;
	int fd;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		while ((fd = accept4(w->real[i], NULL, NULL, SOCK_CLOEXEC)) >=
		       0) {
			close(fd);
			n++;
		}
	}
	return n;
}

bool peer_take(struct world *w, struct peer *peer)
{
	struct pollfd ready = { .fd = w->listener, .events = POLLIN };
	struct timeval limit = { .tv_sec = WAIT_SECONDS };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	memset(peer, 0, sizeof(*peer));
	peer->fd = -1;
	if (poll(&ready, 1, WAIT_SECONDS * 1000) != 1)
		return false;
	peer->fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
	if (peer->fd < 0)
		return false;
	peer->caller.size = sizeof(peer->caller);
	peer->rc =
		msp_peer_identify(w->redirect, peer->fd, &peer->caller, &info);
	if (peer->rc < 0)
		check(false, "a client is unknown: %s", info.text);
	setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return peer->rc == 0;
}

/* As the agent does it: only what is in memory first. */
static void verify(struct world *w, struct msp_caller *caller)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = msp_peer_verify_exe(w->redirect, w->root, caller,
				     MSP_PEER_EXE_CACHED, &info);

	if (rc == MSP_ERR_AGAIN)
		rc = msp_peer_verify_exe(w->redirect, w->root, caller, 0,
					 &info);
	if (rc < 0 || !(caller->flags & MSP_CALLER_EXE_CHECKED))
		check(false, "cannot compare a program: %d, %s", rc, info.text);
}

bool peer_hear(struct world *w, struct peer *peer, struct claim *claim,
	       uint32_t *differ)
{
	char cgroup[4096];
	ssize_t n = recv(peer->fd, claim, sizeof(*claim), MSG_WAITALL);

	*differ = 0;
	if (n != (ssize_t)sizeof(*claim))
		return false;
	if (msp_peer_cgroup_path(w->redirect, peer->caller.cgroup_id, cgroup,
				 sizeof(cgroup), NULL) < 0)
		return false;
	verify(w, &peer->caller);
	*differ = facts_differ(&peer->caller, cgroup, claim, w->paths);
	return true;
}

void peer_dismiss(struct peer *peer, bool believed)
{
	if (peer->fd < 0)
		return;
	if (send(peer->fd, believed ? "y" : "n", 1, MSG_NOSIGNAL) != 1)
		check(false, "a client went away: %s", strerror(errno));
	close(peer->fd);
	peer->fd = -1;
}
