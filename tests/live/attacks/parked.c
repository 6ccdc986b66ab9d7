/* SPDX-License-Identifier: MIT */
/*
 * In: an agent that has to know who connects. Out: more connections than it
 * may have room for, which never come to be: the listener does not take the
 * SYN (md5), the client does not take the answer to it (filter), or the last
 * acknowledgement never comes (last_ack). Must never send a request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/live/attacks/flood.h"

#define PROCESSES   9
#define TRIES	    100
#define ESTABLISHED 1
#define SYN_SENT    2

/* All segments are signed from now on; the listener wants none that is. */
static void sign(int fd)
{
	struct sockaddr_in peer = { .sin_family = AF_INET };
	struct tcp_md5sig md5 = { .tcpm_keylen = 1, .tcpm_key = "k" };

	peer.sin_addr.s_addr = inet_addr(LISTENER_ADDRESS);
	memcpy(&md5.tcpm_addr, &peer, sizeof(peer));
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) < 0)
		attack_die("TCP_MD5SIG");
}

/* Nothing comes in. */
static void drop_all(int fd)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &none };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
		       sizeof(program)) < 0)
		attack_die("SO_ATTACH_FILTER");
}

/* The last acknowledgement waits for data, some 200 ms. */
static void defer(int fd)
{
	int seconds = 100;

	if (setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
		       sizeof(seconds)) < 0)
		attack_die("TCP_DEFER_ACCEPT");
}

static bool is_in(int fd, int state)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		attack_die("TCP_INFO");
	return info.tcpi_state == state;
}

static int make(bool filter)
{
	struct linger reset = { .l_onoff = 1 };
	int fd = flood_socket();

	/* an end leaves no port taken for the attacks that come later */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (filter)
		drop_all(fd);
	return fd;
}

static int begin(const struct flood *f, int fd)
{
	if (strcmp(f->a.variant, "last_ack") == 0)
		defer(fd);
	else if (strcmp(f->a.variant, "md5") == 0)
		sign(fd);
	if (flood_connect(fd) < 0)
		attack_die("connect");
	return fd;
}

static void park(struct flood *f, int fd)
{
	bool last_ack = strcmp(f->a.variant, "last_ack") == 0;
	int tries = TRIES;

	begin(f, fd);
	/* The listener may still wait for an earlier attacker's answer from
	 * this port: the next SYN would come too late for the others. */
	while (last_ack && !is_in(fd, ESTABLISHED) && --tries > 0) {
		close(fd);
		fd = begin(f, make(false));
	}
	if (last_ack)
		sign(fd);
	errno = 0;
	if (!is_in(fd, last_ack ? ESTABLISHED : SYN_SENT))
		attack_die("this is another state");
	/* no answer ever */
	attack_try(&f->a, -EINPROGRESS);
}

static void member(struct flood *f)
{
	bool filter = strcmp(f->a.variant, "filter") == 0;
	int fds[FLOOD_SOCKETS];
	unsigned int i;

	/* there are kernels where only root may have a filter */
	for (i = 0; i < FLOOD_SOCKETS; i++)
		fds[i] = make(filter);
	attack_become(f->uid, f->uid);
	for (i = 0; i < FLOOD_SOCKETS; i++)
		park(f, fds[i]);
	flood_ready(f);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const uid_t nobody = ATTACK_NOBODY;
	struct flood f;

	flood_open(&f, argc, argv);
	flood_honest(&f);
	flood_start(&f, PROCESSES, &nobody, 1, member);
	flood_honest(&f);
	flood_kill(&f);
	flood_honest(&f);
	return attack_close(&f.a);
}
