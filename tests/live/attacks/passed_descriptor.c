/* SPDX-License-Identifier: MIT */
/*
 * In: an allowed process that hands its connection to another. Out: what the
 * other sends on it passes: a connection is its maker's, who may as well send
 * for others. Must never be taken for a fault.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/attack.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

static void prepare(struct msghdr *m, struct iovec *v, union control *c)
{
	static char byte = '!';

	*v = (struct iovec){ .iov_base = &byte, .iov_len = 1 };
	*m = (struct msghdr){ .msg_iov = v,
			      .msg_iovlen = 1,
			      .msg_control = c->room,
			      .msg_controllen = sizeof(c->room) };
}

static void give(int to, int fd)
{
	union control c = { .room = { 0 } };
	struct cmsghdr *head;
	struct msghdr m;
	struct iovec v;

	prepare(&m, &v, &c);
	head = CMSG_FIRSTHDR(&m);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(to, &m, 0) != 1)
		attack_die("sendmsg");
}

static int receive(int from)
{
	union control c;
	struct msghdr m;
	struct iovec v;
	int fd;

	prepare(&m, &v, &c);
	if (recvmsg(from, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		attack_die("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* As daemon: connects for whoever asks. */
static _Noreturn void connect_for_others(const struct attack *a, int to)
{
	char what;
	int fd;

	attack_become(ATTACK_DAEMON, ATTACK_DAEMON);
	while (read(to, &what, 1) == 1) {
		fd = attack_socket(a);
		if (attack_connect(fd) < 0)
			attack_die("connect");
		give(to, fd);
		close(fd);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	struct attack a;
	int pair[2];
	int fd;

	attack_open(&a, argc, argv);
	attack_honest_start(&a, ATTACK_DAEMON);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		attack_die("socketpair");
	if (attack_fork() == 0) {
		close(pair[0]);
		connect_for_others(&a, pair[1]);
	}
	attack_become(ATTACK_NOBODY, ATTACK_NOBODY);
	while (attack_more(&a)) {
		if (write(pair[0], "?", 1) != 1)
			attack_die("write");
		fd = receive(pair[0]);
		attack_send(&a, fd, ATTACK_PATH);
		attack_try(&a, attack_answer(fd));
		attack_reset(fd);
	}
	return attack_close(&a);
}
