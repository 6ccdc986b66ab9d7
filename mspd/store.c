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

#define FIRST 3 /* sd_listen_fds(3) */
/* Ours; of any other layout it is the same socket. */
#define PREFIX	  "mspd."
#define LAYOUT	  PREFIX "1."
#define LISTENER  "listener"
#define BESIDE	  "beside." /* and the port that was wanted */
#define NAME_MAX_ 64
#define SEND_S	  1
#define ALL	  (MSP_REDIRECT_PARTS + 1)

struct mspd_store {
	int fd; /* to the service manager; -1: it keeps nothing */
	struct sockaddr_un to;
	socklen_t to_len;
	/* what it has, as far as we know, each name ours; and what came of
	 * that, each descriptor owned, -1: none, or it was given away */
	struct msp_redirect_part came[MSP_REDIRECT_PARTS_MAX];
	char names[MSP_REDIRECT_PARTS_MAX][NAME_MAX_];
	size_t n;
	struct msp_redirect_part parts[MSP_REDIRECT_PARTS_MAX]; /* of these */
	int listener;		   /* that was given away, for comparison */
	const char *listener_name; /* as which it came */
	bool settled;		   /* what came tells nothing any more */
	/* bit i for wish i: it has that, once; it has another by this name */
	unsigned int right;
	unsigned int stale;
	bool kept; /* a successor will find something to go on with */
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
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return; /* there is none */
	if (s->n == MSP_REDIRECT_PARTS_MAX || !len || len >= NAME_MAX_) {
		mspd_log(MSPD_WARN,
			 "descriptor %d of the service manager is "
			 "not used: nobody knows its name",
			 fd);
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
	unsigned long most = (unsigned long)sysconf(_SC_OPEN_MAX);
	unsigned long i;
	size_t len;

	for (i = 0; i < count && i < most; i++) {
		len = strcspn(names, ":");
		add(s, names, len, FIRST + (int)i);
		names += len;
		names += *names == ':';
	}
}

static void take_environment(struct mspd_store *s)
{
	const char *names = getenv("LISTEN_FDNAMES");

	/* else they are another process's, and inherited by mistake */
	if (read_number(getenv("LISTEN_PID")) == (unsigned long)getpid())
		take_all(s, read_number(getenv("LISTEN_FDS")),
			 names ? names : "");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static void close_all(struct mspd_store *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->came[i].fd >= 0)
			close(s->came[i].fd);
		s->came[i].fd = -1;
	}
}

/* ---- the manager ------------------------------------------------------- */

static int open_socket(struct mspd_store *s)
{
	const struct timeval patience = { .tv_sec = SEND_S };
	const char *name = getenv("NOTIFY_SOCKET");
	unsigned long room = read_number(getenv("FDSTORE"));
	int err;

	if (!name || !name[0] || !room)
		return 0;
	if (room < ALL)
		return -ENOSPC;
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

static void name_listener(char out[NAME_MAX_], const struct msp_address *wanted,
			  bool beside)
{
	if (beside)
		snprintf(out, NAME_MAX_, LAYOUT BESIDE "%u", wanted->port);
	else
		snprintf(out, NAME_MAX_, LAYOUT LISTENER);
}

/* Behind the number of its layout; NULL: it is none of ours. */
static const char *of_any_layout(const char *name)
{
	size_t digits;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return NULL;
	name += sizeof(PREFIX) - 1;
	digits = strspn(name, "0123456789");
	return digits && name[digits] == '.' ? name + digits + 1 : NULL;
}

static bool is_called(const char *name, const char *ours)
{
	const char *rest = of_any_layout(name);

	return rest && strcmp(rest, ours + sizeof(LAYOUT) - 1) == 0;
}

static bool is_listener(const char *name)
{
	const char *rest = of_any_layout(name);

	return rest && (strcmp(rest, LISTENER) == 0 ||
			strncmp(rest, BESIDE, sizeof(BESIDE) - 1) == 0);
}

int mspd_store_listener(struct mspd_store *s, const struct msp_address *wanted,
			bool beside, struct msp_address *out)
{
	char name[NAME_MAX_];
	size_t i;
	int fd;

	name_listener(name, wanted, beside);
	for (i = 0; s && i < s->n; i++) {
		fd = s->came[i].fd;
		if (fd < 0 || !is_called(s->came[i].name, name) ||
		    !listens(fd, out) || out->ip != wanted->ip ||
		    (!beside && wanted->port && out->port != wanted->port))
			continue;
		s->came[i].fd = -1;
		s->listener = fd;
		s->listener_name = s->came[i].name;
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
	s->kept = s->n > 0;
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
	return store && store->fd >= 0 && store->kept;
}

size_t mspd_store_parts(struct mspd_store *store,
			const struct msp_redirect_part **out)
{
	size_t i, n = 0;

	*out = store ? store->parts : NULL;
	for (i = 0; store && i < store->n; i++)
		if (store->came[i].fd >= 0 && !is_listener(store->came[i].name))
			store->parts[n++] = store->came[i];
	return n;
}

/* ---- what is to be kept ------------------------------------------------ */

/* The parts, and the listener. */
struct wish {
	const char *name;
	int fd;
};

static bool came_once(const struct mspd_store *s, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < s->n; i++)
		n += strcmp(s->came[i].name, name) == 0;
	return n == 1;
}

/* As after a restart with nothing changed. */
static void compare(struct mspd_store *s, const struct wish *wishes,
		    unsigned int taken)
{
	size_t i;

	if (wishes[MSP_REDIRECT_PARTS].fd == s->listener)
		taken |= 1u << MSP_REDIRECT_PARTS;
	for (i = 0; i < ALL; i++)
		if (taken & 1u << i && came_once(s, wishes[i].name))
			s->right |= 1u << i;
	s->settled = true;
}

static void make_wishes(const struct mspd_store *s, struct wish out[ALL],
			const struct msp_redirect *redirect, int listen_fd,
			const char *listener)
{
	struct msp_redirect_part parts[MSP_REDIRECT_PARTS];
	size_t n = msp_redirect_parts(redirect, parts, MSP_REDIRECT_PARTS);
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (struct wish){ parts[i].name, parts[i].fd };
	/* the manager ignores another name of what it has */
	if (listen_fd == s->listener)
		listener = s->listener_name;
	out[n] = (struct wish){ listener, listen_fd };
}

/* wishes NULL: there are none. */
static bool is_right(const struct mspd_store *s, const struct wish *wishes,
		     const char *name)
{
	size_t i;

	for (i = 0; wishes && i < ALL; i++)
		if (s->right & 1u << i && strcmp(wishes[i].name, name) == 0)
			return true;
	return false;
}

/* By name, and so all of a name. 0 or -errno: it may go on keeping some. */
static int forget_but(const struct mspd_store *s, const struct wish *wishes)
{
	int err = 0;
	size_t i;

	for (i = 0; s->fd >= 0 && err == 0 && i < s->n; i++)
		if (!is_right(s, wishes, s->came[i].name))
			err = forget(s, s->came[i].name);
	return err;
}

static int replace(struct mspd_store *s, const struct wish *wish,
		   unsigned int bit)
{
	int err = 0;

	if (s->stale & bit)
		err = forget(s, wish->name);
	if (err < 0)
		return err;
	s->stale &= ~bit;
	err = keep(s, wish->name, wish->fd);
	if (err == 0)
		s->right |= bit;
	return err;
}

/* The listener first: nothing is gone on with without it. */
static int keep_wishes(struct mspd_store *s, const struct wish *wishes)
{
	int err = 0;
	size_t i;

	for (i = ALL; err == 0 && i-- > 0;)
		if (!(s->right & 1u << i))
			err = replace(s, &wishes[i], 1u << i);
	return err;
}

int mspd_store_settle(struct mspd_store *s, const struct msp_redirect *redirect,
		      int listen_fd, const struct msp_address *wanted,
		      unsigned int changed)
{
	char name[NAME_MAX_];
	struct msp_address at;
	struct wish wishes[ALL];
	int err;

	if (!s || s->fd < 0)
		return 0;
	name_listener(name, wanted,
		      listens(listen_fd, &at) && wanted->port &&
			      at.port != wanted->port);
	make_wishes(s, wishes, redirect, listen_fd, name);
	if (!s->settled)
		compare(s, wishes, msp_redirect_taken(redirect));
	s->stale |= s->right & changed;
	s->right &= ~changed;
	err = forget_but(s, wishes);
	close_all(s);
	if (err == 0) {
		s->n = 0;
		err = keep_wishes(s, wishes);
	}
	s->kept = err == 0;
	return err;
}

void mspd_store_drop(struct mspd_store *s)
{
	int err;

	if (!s)
		return;
	err = forget_but(s, NULL);
	close_all(s);
	if (err == 0)
		s->n = 0;
	else
		mspd_log(MSPD_ERROR,
			 "the service manager goes on keeping what the agent "
			 "before left: %s",
			 strerror(-err));
	s->settled = true;
	s->listener = -1;
	s->stale |= s->right;
	s->right = 0;
	s->kept = false;
}
