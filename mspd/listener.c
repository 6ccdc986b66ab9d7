/* SPDX-License-Identifier: MIT */
/*
 * In: an address. Out: a listening socket. Must never share its port.
 */
#include "mspd/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

int mspd_listener_open(const struct msp_address *address, char *error,
		       size_t error_size)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN];
	int one = 1;
	int fd;

	at.sin_addr.s_addr = address->ip;
	at.sin_port = htons(address->port);
	inet_ntop(AF_INET, &at.sin_addr, ip, sizeof(ip));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	snprintf(error, error_size,
		 "IO error: Failed to bind TcpListener '%s:%u': %s", ip,
		 address->port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}
