/* SPDX-License-Identifier: MIT */
/*
 * In: a file named by MSPTEST_WATCH, or none. Out: while it is there, the
 * kernel has no memory for what libmicrohttpd watches. Must never fail what
 * others watch.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event);

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	const char *path = getenv("MSPTEST_WATCH");

	/* nobody else asks for those bytes */
	if (op == EPOLL_CTL_ADD && event->events & EPOLLPRI && path &&
	    access(path, F_OK) == 0) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}
