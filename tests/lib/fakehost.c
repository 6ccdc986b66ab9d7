/* SPDX-License-Identifier: MIT */
/*
 * A listening socket on the loopback address, without thread or script.
 */
#include "tests/lib/fakehost.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fakehost_open(struct fakehost *host)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	memset(host, 0, sizeof(*host));
	host->conn = -1;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	host->listener =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(host->listener, 0);
	ck_assert_int_eq(
		bind(host->listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(host->listener, 16), 0);
	ck_assert_int_eq(
		getsockname(host->listener, (struct sockaddr *)&sin, &len), 0);
	host->address.ip = sin.sin_addr.s_addr;
	host->address.port = ntohs(sin.sin_port);
}

void fakehost_close(struct fakehost *host)
{
	fakehost_hang_up(host);
	if (host->listener >= 0)
		close(host->listener);
	host->listener = -1;
}

void fakehost_hang_up(struct fakehost *host)
{
	if (host->conn >= 0)
		close(host->conn);
	host->conn = -1;
}

void fakehost_slam(struct fakehost *host)
{
	struct linger now = { 1, 0 };

	ck_assert_int_eq(setsockopt(host->conn, SOL_SOCKET, SO_LINGER, &now,
				    sizeof(now)),
			 0);
	fakehost_hang_up(host);
}

bool fakehost_accept(struct fakehost *host)
{
	int one = 1;
	int fd = accept4(host->listener, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		ck_assert_int_eq(errno, EAGAIN);
		return false;
	}
	ck_assert_int_eq(
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	fakehost_hang_up(host);
	host->conn = fd;
	host->accepted++;
	fakehost_forget(host);
	return true;
}

void fakehost_forget(struct fakehost *host)
{
	host->len = 0;
	host->in[0] = '\0';
}

bool fakehost_hear(struct fakehost *host)
{
	ssize_t n;

	if (host->conn < 0)
		return false;
	for (;;) {
		size_t room = sizeof(host->in) - 1 - host->len;

		if (room == 0)
			return true; /* the test is to look at it first */
		n = recv(host->conn, host->in + host->len, room, 0);
		if (n <= 0)
			break;
		host->len += (size_t)n;
		host->in[host->len] = '\0';
	}
	return n < 0 && errno == EAGAIN;
}

bool fakehost_has_request(const struct fakehost *host)
{
	const char *end = strstr(host->in, "\r\n\r\n");
	const char *length = strstr(host->in, "\r\ncontent-length: ");
	size_t head;

	if (!end)
		return false;
	head = (size_t)(end + 4 - host->in);
	if (!length || length > end)
		return true;
	return host->len - head >= strtoul(length + 18, NULL, 10);
}

void fakehost_say(struct fakehost *host, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(host->conn, data, len, MSG_NOSIGNAL);

		ck_assert_int_gt(n, 0);
		data += n;
		len -= (size_t)n;
	}
}
