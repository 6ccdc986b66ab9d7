/* SPDX-License-Identifier: MIT */
/*
 * In: messages of sd_notify(3)'s protocol. Out: which names are kept. Must
 * never keep what was removed, nor what came without a descriptor.
 */
#include "tests/lib/fakemanager.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST 3
#define HIGH  200

struct fakemanager manager;

/* not there unless it is wrapped */
__attribute__((weak)) ssize_t
__real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t n;

	manager.calls++;
	if (manager.fail_at && manager.calls >= manager.fail_at) {
		errno = EAGAIN;
		return -1;
	}
	n = __real_sendmsg(fd, message, flags);
	manager_hears(); /* before there are more than fit */
	return n;
}

/* ---- processes --------------------------------------------------------- */

void must_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	_exit(1);
}

int in_process(void (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

/* ---- the environment --------------------------------------------------- */

void manager_begin(const char *room)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	static unsigned int number;
	char name[64];
	int fd;

	manager = (struct fakemanager){ 0 };
	snprintf(name, sizeof(name), "@msp-manager-%d-%u", (int)getpid(),
		 number++);
	memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	manager.fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
	close(fd);
	MUST(bind(manager.fd, (struct sockaddr *)&at,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			      strlen(name))) == 0);
	setenv("NOTIFY_SOCKET", name, 1);
	if (room)
		setenv("FDSTORE", room, 1);
}

void manager_end(void)
{
	close(manager.fd);
	manager.fd = -1;
}

void manager_hands(const int *fds, size_t n, const char *names)
{
	int aside[KEPT_MAX];
	char text[32];
	size_t i;

	for (i = 0; i < n; i++)
		aside[i] = fcntl(fds[i], F_DUPFD, HIGH);
	for (i = 0; i < n; i++) {
		dup2(aside[i], FIRST + (int)i);
		close(aside[i]);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%zu", n);
	setenv("LISTEN_FDS", text, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

/* ---- messages ---------------------------------------------------------- */

size_t manager_keeps(const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < manager.n; i++)
		n += strcmp(manager.kept[i], name) == 0;
	return n;
}

static void forget(const char *name)
{
	size_t i, left = 0;

	for (i = 0; i < manager.n; i++)
		if (strcmp(manager.kept[i], name) != 0)
			memmove(manager.kept[left++], manager.kept[i], 64);
	manager.n = left;
}

static void hear(const char *text, bool with_fd)
{
	const char *at = strstr(text, "FDNAME=");
	char name[64];

	MUST(at && sscanf(at, "FDNAME=%63[^\n]", name) == 1);
	if (strstr(text, "FDSTOREREMOVE=1\n")) {
		forget(name);
		return;
	}
	MUST(strstr(text, "FDSTORE=1\n") && strstr(text, "FDPOLL=0\n"));
	MUST(with_fd && manager.n < KEPT_MAX);
	memcpy(manager.kept[manager.n++], name, sizeof(name));
}

void manager_hears(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char text[512];
	ssize_t len;

	for (;;) {
		struct iovec data = { text, sizeof(text) - 1 };
		struct msghdr message = { .msg_iov = &data,
					  .msg_iovlen = 1,
					  .msg_control = &control,
					  .msg_controllen = sizeof(control) };
		int fd = -1;

		len = recvmsg(manager.fd, &message, 0);
		if (len < 0)
			return;
		text[len] = '\0';
		manager.messages++;
		if (CMSG_FIRSTHDR(&message)) {
			memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
			close(fd);
		}
		hear(text, fd >= 0);
	}
}
