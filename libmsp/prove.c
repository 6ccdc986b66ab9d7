/* SPDX-License-Identifier: MIT */
/*
 * In: an attached redirector and its listener. Out: proof that a connection
 * of our own arrives there with our own identity. Must never let a stranger's
 * connection pass for ours, nor keep one that nobody asked for.
 */
#include <msp/peer.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libmsp/info.h"
#include "libmsp/opts.h"
#include "libmsp/redirect_priv.h"

#define DEFAULT_TIMEOUT_MS 2000

/* One probe: over IPv4, or over IPv6 with a mapped address. */
struct probe {
	struct msp_redirect *redirect;
	int family;
	const struct msp_redirect_others *others;
	int fd;		       /* our connecting socket */
	struct sockaddr_in at; /* its local address, without mapping */
};

/* Blocking by contract, so the clock is read here and nowhere else. */
static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int start_connect(const struct probe *p)
{
	const struct msp_address *to =
		&p->redirect->endpoints[MSP_ENDPOINT_IMDS];
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (p->family == AF_INET) {
		v4.sin_port = htons(to->port);
		v4.sin_addr.s_addr = to->ip;
		return connect(p->fd, (struct sockaddr *)&v4, sizeof(v4));
	}
	v6.sin6_port = htons(to->port);
	v6.sin6_addr.s6_addr[10] = 0xff;
	v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&v6.sin6_addr.s6_addr[12], &to->ip, 4);
	return connect(p->fd, (struct sockaddr *)&v6, sizeof(v6));
}

static int local_address(struct probe *p)
{
	struct sockaddr_in6 v6 = { 0 };
	socklen_t len = sizeof(v6);

	p->at = (struct sockaddr_in){ 0 };
	if (p->family == AF_INET) {
		len = sizeof(p->at);
		return getsockname(p->fd, (struct sockaddr *)&p->at, &len);
	}
	if (getsockname(p->fd, (struct sockaddr *)&v6, &len) < 0)
		return -1;
	p->at.sin_port = v6.sin6_port;
	memcpy(&p->at.sin_addr, &v6.sin6_addr.s6_addr[12], 4);
	return 0;
}

static int probe_open(struct probe *p, struct msp_error_info *info)
{
	int rc;

	p->fd = socket(p->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0);
	if (p->fd < 0)
		return msp_fail_sys(info, errno, "cannot open a socket");
	rc = msp_redirect_mark(p->redirect, p->fd, MSP_MARK_PROBE, info);
	if (rc < 0)
		return rc;
	if (start_connect(p) < 0 && errno != EINPROGRESS)
		return msp_fail_sys(info, errno, "the probe cannot connect");
	if (local_address(p) < 0)
		return msp_fail_sys(info, errno, "the probe has no address");
	return 0;
}

static int check_facts(const struct probe *p, int fd,
		       struct msp_error_info *info)
{
	const struct msp_address *to =
		&p->redirect->endpoints[MSP_ENDPOINT_IMDS];
	struct msp_caller who = { .size = sizeof(who) };
	int rc;

	rc = msp_peer_identify(p->redirect, fd, &who, info);
	if (rc == MSP_ERR_UNKNOWN_PEER)
		return MSP_ERR_UNSUPPORTED;
	if (rc < 0)
		return rc;
	if (!(who.flags & MSP_CALLER_PROBE) || who.uid != getuid() ||
	    who.pid != (uint32_t)getpid() || who.destination.ip != to->ip ||
	    who.destination.port != to->port)
		return msp_fail(info, MSP_ERR_UNSUPPORTED,
				"the kernel names another process for our own "
				"connection");
	return 0;
}

/* What seems to be the probe's other end, or -1 if somebody else's connection
 * came. Others may have its port at an address of their own. */
static int accept_probe(const struct probe *p, int listen_fd)
{
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	int fd;

	fd = accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
	if (fd < 0)
		return -1;
	if (from.sin_family == AF_INET && from.sin_port == p->at.sin_port &&
	    from.sin_addr.s_addr == p->at.sin_addr.s_addr)
		return fd;
	if (p->others)
		p->others->take(p->others->arg, fd);
	else
		close(fd);
	return -1;
}

/* A connection that was reset while it waited leaves its port to the next one:
 * a stranger who makes many of them must not have the proof fail. */
static int wait_for_probe(const struct probe *p, int listen_fd,
			  uint32_t timeout_ms, struct msp_error_info *info)
{
	struct pollfd poll_fd = { .fd = listen_fd, .events = POLLIN };
	int64_t until = now_ms() + timeout_ms;
	int64_t left;
	int rc = 0;

	while ((left = until - now_ms()) > 0) {
		int n = poll(&poll_fd, 1, (int)left);
		int fd;

		if (n < 0 && errno != EINTR)
			return msp_fail_sys(info, errno, "cannot wait");
		if (n <= 0)
			continue;
		fd = accept_probe(p, listen_fd);
		if (fd < 0)
			continue;
		rc = check_facts(p, fd, info);
		close(fd);
		if (rc == 0)
			return 0;
	}
	if (rc < 0) /* the last that seemed to be it was not */
		return rc;
	return msp_fail(info, MSP_ERR_TIMEOUT,
			"a connection to an endpoint was not redirected to "
			"the listener");
}

static int prove_family(struct probe *p, int family, int listen_fd,
			uint32_t timeout_ms, struct msp_error_info *info)
{
	int rc;

	p->family = family;
	rc = probe_open(p, info);
	if (rc == 0)
		rc = wait_for_probe(p, listen_fd, timeout_ms, info);
	if (p->fd >= 0)
		close(p->fd);
	return rc;
}

static bool have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int msp_redirect_prove_among(struct msp_redirect *redirect, int listen_fd,
			     uint32_t timeout_ms,
			     const struct msp_redirect_others *others,
			     struct msp_error_info *info)
{
	struct probe p = { .redirect = redirect, .others = others };
	int rc;

	if (!redirect || listen_fd < 0 ||
	    (others && (!others->take ||
			!msp_opts_ok(others, others->size, sizeof(*others)))))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	if (timeout_ms == 0)
		timeout_ms = DEFAULT_TIMEOUT_MS;
	rc = prove_family(&p, AF_INET, listen_fd, timeout_ms, info);
	if (rc < 0 || !have_ipv6())
		return rc;
	return prove_family(&p, AF_INET6, listen_fd, timeout_ms, info);
}

int msp_redirect_prove(struct msp_redirect *redirect, int listen_fd,
		       uint32_t timeout_ms, struct msp_error_info *info)
{
	return msp_redirect_prove_among(redirect, listen_fd, timeout_ms, NULL,
					info);
}
