/* SPDX-License-Identifier: MIT */
/*
 * In: descriptors that a service manager kept for us, and our own. Out: those
 * that can be gone on with, and messages that say what to keep. Must never use
 * a socket that is not ours to listen on, nor leave kept what nobody serves.
 */
#include "mspd/store.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "mspd/log.h"
#include "mspd/notify.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define FIRST	  3 /* sd_listen_fds(3) */
#define LISTENER  "mspd.1.listener"
#define NAME_MAX_ 64
#define SEND_S	  1

struct mspd_store {
	int fd; /* to the service manager; -1: it keeps nothing */
	struct sockaddr_un to;
	socklen_t to_len;
	/* what came, each name ours, each descriptor owned */
	struct msp_redirect_part came[MSP_REDIRECT_PARTS_MAX];
	char names[MSP_REDIRECT_PARTS_MAX][NAME_MAX_];
	size_t n;
	int listener;	 /* that was taken out of them; for comparison */
	bool other_came; /* and was closed */
};

/* ---- what came --------------------------------------------------------- */

/* A decimal number and nothing else; 0: it is none. */
static unsigned long read_number(const char *text)
{
	unsigned long value;
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	return errno || *end ? 0 : value;
}

static void add(struct mspd_store *s, const char *name, size_t len, int fd)
{
	if (s->n == MSP_REDIRECT_PARTS_MAX || !len || len >= NAME_MAX_ ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		mspd_log(MSPD_WARN,
			 "descriptor %d of the service manager is "
			 "not used: nobody knows its name",
			 fd);
		s->other_came = true;
		close(fd);
		return;
	}
	memcpy(s->names[s->n], name, len);
	s->came[s->n].name = s->names[s->n];
	s->came[s->n].fd = fd;
	s->n++;
}

static void take_all(struct mspd_store *s, unsigned long count,
		     const char *names)
{
	unsigned long i;
	size_t len;

	for (i = 0; i < count; i++) {
		len = strcspn(names, ":");
		add(s, names, len, FIRST + (int)i);
		names += len;
		names += *names == ':';
	}
}

static void take_environment(struct mspd_store *s)
{
	const char *names = getenv("LISTEN_FDNAMES");
	unsigned long count = read_number(getenv("LISTEN_FDS"));

	/* else they are another process's, and inherited by mistake */
	if (read_number(getenv("LISTEN_PID")) == (unsigned long)getpid() &&
	    count <= 2 * MSP_REDIRECT_PARTS_MAX)
		take_all(s, count, names ? names : "");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static void close_at(struct mspd_store *s, size_t i)
{
	close(s->came[i].fd);
	s->came[i].fd = -1;
}

static void close_all(struct mspd_store *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->came[i].fd >= 0)
			close_at(s, i);
	s->n = 0;
}

/* ---- the manager ------------------------------------------------------- */

static int open_socket(struct mspd_store *s)
{
	const struct timeval patience = { .tv_sec = SEND_S };
	const char *name = getenv("NOTIFY_SOCKET");
	int err;

	if (!name || !name[0] || !read_number(getenv("FDSTORE")))
		return 0;
	err = mspd_notify_address(name, &s->to, &s->to_len);
	if (err < 0)
		return err;
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return 0;
}

/* fd -1: none goes with it */
static int tell(const struct mspd_store *s, const char *text, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { (void *)text, strlen(text) };
	struct msghdr message = { .msg_name = (void *)&s->to,
				  .msg_namelen = s->to_len,
				  .msg_iov = &data,
				  .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(s->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int keep(const struct mspd_store *s, const char *name, int fd)
{
	char text[NAME_MAX_ + 64];

	/* not to be looked at: a listener is readable, and a map never is */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s\n", name);
	return tell(s, text, fd);
}

static int forget(const struct mspd_store *s, const char *name)
{
	char text[NAME_MAX_ + 64];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
	return tell(s, text, -1);
}

/* ---- the listener ------------------------------------------------------ */

static bool is(int fd, int option, int value)
{
	socklen_t len = sizeof(value);
	int found = 0;

	return getsockopt(fd, SOL_SOCKET, option, &found, &len) == 0 &&
	       found == value;
}

static uint64_t net_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

static bool is_here(int fd)
{
	int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool same;

	if (own < 0)
		return false;
	same = net_cookie(own) && net_cookie(own) == net_cookie(fd);
	close(own);
	return same;
}

static bool listens(int fd, struct msp_address *out)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int flags;

	if (!is(fd, SO_DOMAIN, AF_INET) || !is(fd, SO_TYPE, SOCK_STREAM) ||
	    !is(fd, SO_PROTOCOL, IPPROTO_TCP) || !is(fd, SO_ACCEPTCONN, 1) ||
	    !is_here(fd) || getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return false;
	*out = (struct msp_address){ at.sin_addr.s_addr, ntohs(at.sin_port),
				     0 };
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

int mspd_store_listener(struct mspd_store *s, uint32_t ip, uint16_t port,
			struct msp_address *out)
{
	size_t i;
	int fd;

	for (i = 0; s && i < s->n; i++) {
		fd = s->came[i].fd;
		if (fd < 0 || strcmp(s->came[i].name, LISTENER) != 0 ||
		    !listens(fd, out) || out->ip != ip ||
		    (port && out->port != port))
			continue;
		s->came[i].fd = -1;
		s->listener = fd;
		return fd;
	}
	return -1;
}

/* ---- public ------------------------------------------------------------ */

int mspd_store_open(struct mspd_store **out)
{
	struct mspd_store *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->fd = s->listener = -1;
	take_environment(s);
	err = open_socket(s);
	if (err < 0) {
		mspd_store_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void mspd_store_free(struct mspd_store *store)
{
	if (!store)
		return;
	close_all(store);
	if (store->fd >= 0)
		close(store->fd);
	free(store);
}

bool mspd_store_keeps(const struct mspd_store *store)
{
	return store && store->fd >= 0;
}

size_t mspd_store_parts(const struct mspd_store *store,
			const struct msp_redirect_part **out)
{
	static struct msp_redirect_part parts[MSP_REDIRECT_PARTS_MAX];
	size_t i, n = 0;

	for (i = 0; store && i < store->n; i++)
		if (store->came[i].fd >= 0 &&
		    strcmp(store->came[i].name, LISTENER) != 0)
			parts[n++] = store->came[i];
	*out = parts;
	return n;
}

/* As after a restart with nothing changed. */
static bool has_exactly(const struct mspd_store *s,
			const struct msp_redirect *redirect, int listen_fd)
{
	return listen_fd == s->listener && !s->other_came &&
	       s->n == MSP_REDIRECT_PARTS + 1 &&
	       msp_redirect_taken(redirect) == (1u << MSP_REDIRECT_PARTS) - 1;
}

/* By name, and so all of a name. */
static void forget_all(struct mspd_store *s)
{
	size_t i;

	for (i = 0; s->fd >= 0 && i < s->n; i++)
		if (forget(s, s->came[i].name) < 0)
			mspd_log(MSPD_ERROR,
				 "the service manager goes on "
				 "keeping %s",
				 s->came[i].name);
}

int mspd_store_settle(struct mspd_store *s, const struct msp_redirect *redirect,
		      int listen_fd)
{
	struct msp_redirect_part parts[MSP_REDIRECT_PARTS];
	size_t i, n;
	int err = 0;

	if (!s || s->fd < 0)
		return 0;
	if (!has_exactly(s, redirect, listen_fd)) {
		forget_all(s);
		n = msp_redirect_parts(redirect, parts, MSP_REDIRECT_PARTS);
		err = keep(s, LISTENER, listen_fd);
		for (i = 0; err == 0 && i < n; i++)
			err = keep(s, parts[i].name, parts[i].fd);
	}
	close_all(s);
	return err;
}

void mspd_store_drop(struct mspd_store *s)
{
	if (!s)
		return;
	forget_all(s);
	close_all(s);
}
