/* SPDX-License-Identifier: MIT */
/*
 * In: an address. Out: a listening socket, and a file that says where it is.
 * Must never share its port.
 */
#include "mspd/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mspd/file.h"
#include "mspd/log.h"

#define BACKLOG 4096

/* Callers are on this machine: nothing is gained by timing what they are sent,
 * as "bbr" does with a timer for each segment. Accepted connections have what
 * the listener has; where the kernel refuses, it stays as it is. */
static void use_plain_pace(int fd)
{
	static const char name[] = "reno";

	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1);
}

/* A descriptor or -errno. */
static int listen_at(const struct msp_address *address)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int one = 1;
	int fd, err;

	at.sin_addr.s_addr = address->ip;
	at.sin_port = htons(address->port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, BACKLOG) == 0) {
		use_plain_pace(fd);
		return fd;
	}
	err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* The port the kernel chose. */
static int learn_port(struct mspd_listener *l)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int err;

	if (getsockname(l->fd, (struct sockaddr *)&at, &len) == 0) {
		l->address.port = ntohs(at.sin_port);
		return 0;
	}
	err = -errno;
	close(l->fd);
	l->fd = -1;
	return err;
}

static void name_holder(struct mspd_listener *l, const struct msp_address *at)
{
	char wanted[MSPD_LISTENER_TEXT];
	const struct msp_port_holder *h = &l->holder;

	l->taken = true;
	mspd_listener_text(at, wanted);
	l->holder.size = sizeof(l->holder);
	if (msp_redirect_holder(at, &l->holder, NULL) < 0)
		mspd_log(MSPD_ERROR,
			 "%s is taken by a socket that cannot be "
			 "found",
			 wanted);
	else
		mspd_log(MSPD_ERROR, "%s is taken by user %u, process %u (%s)",
			 wanted, h->uid, h->pid, h->comm);
}

/* Beside a squatter, where the kernel finds room. */
static int listen_beside(struct mspd_listener *l)
{
	name_holder(l, &l->address);
	l->address.port = 0;
	l->fd = listen_at(&l->address);
	return l->fd < 0 ? l->fd : learn_port(l);
}

int mspd_listener_open(struct mspd_listener *out,
		       const struct msp_address *address, char *error,
		       size_t error_size)
{
	char wanted[MSPD_LISTENER_TEXT];
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->address = *address;
	out->fd = listen_at(address);
	if (out->fd < 0)
		err = out->fd;
	if (err == -EADDRINUSE)
		err = listen_beside(out);
	if (err == 0)
		return 0;
	out->fd = -1;
	mspd_listener_text(address, wanted);
	snprintf(error, error_size,
		 "IO error: Failed to bind TcpListener '%s': %s", wanted,
		 strerror(-err));
	return -1;
}

bool mspd_listener_is_beside(struct mspd_listener *l,
			     const struct msp_address *wanted)
{
	int fd = listen_at(wanted);

	if (fd >= 0)
		close(fd);
	if (fd != -EADDRINUSE)
		return false;
	name_holder(l, wanted);
	return true;
}

/* ---- the file ---------------------------------------------------------- */

int mspd_listener_tell(const struct msp_address *address, const char *dir)
{
	char text[MSPD_LISTENER_TEXT + 1];
	int err = mspd_dir_make(dir, 0755);

	if (err < 0)
		return err;
	mspd_listener_text(address, text);
	strcat(text, "\n");
	return mspd_file_write(dir, MSPD_LISTENER_FILE, 0644, text,
			       strlen(text));
}

int mspd_listener_untell(const char *dir)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, MSPD_LISTENER_FILE);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
