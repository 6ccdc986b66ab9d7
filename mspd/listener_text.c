/* SPDX-License-Identifier: MIT */
/*
 * In: addresses as text, and the file that tells where the agent is. Out: the
 * address, or its text. Must never take half an address for one.
 */
#include "mspd/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void mspd_listener_text(const struct msp_address *address,
			char out[MSPD_LISTENER_TEXT])
{
	char ip[INET_ADDRSTRLEN] = "";
	const struct in_addr at = { .s_addr = address->ip };

	inet_ntop(AF_INET, &at, ip, sizeof(ip));
	snprintf(out, MSPD_LISTENER_TEXT, "%s:%u", ip,
		 (unsigned int)address->port);
}

/* A descriptor or -errno. */
/* Decimal without sign and leading zeros. */
static bool parse_port(const char *at, uint16_t *out)
{
	uint32_t value = 0;
	size_t n = strspn(at, "0123456789");
	size_t i;

	if (!n || n > 5 || at[n] || at[0] == '0')
		return false;
	for (i = 0; i < n; i++)
		value = value * 10 + (uint32_t)(at[i] - '0');
	*out = (uint16_t)value;
	return value <= UINT16_MAX;
}

bool mspd_listener_parse(const char *text, size_t len, struct msp_address *out)
{
	char copy[MSPD_LISTENER_TEXT] = "";
	struct in_addr in;
	uint16_t port;
	char *colon;

	if (len >= sizeof(copy) || memchr(text, '\0', len))
		return false;
	memcpy(copy, text, len);
	colon = strchr(copy, ':');
	if (!colon || !parse_port(colon + 1, &port))
		return false;
	*colon = '\0';
	if (inet_pton(AF_INET, copy, &in) != 1 || in.s_addr == 0)
		return false;
	*out = (struct msp_address){ in.s_addr, port, 0 };
	return true;
}

int mspd_listener_ask(const char *dir, struct msp_address *out)
{
	char path[PATH_MAX];
	char text[MSPD_LISTENER_TEXT + 1];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, MSPD_LISTENER_FILE);
	ssize_t got;
	int err;
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	got = read(fd, text, sizeof(text));
	err = got < 0 ? -errno : 0;
	close(fd);
	if (err < 0)
		return err;
	if (got > 0 && text[got - 1] == '\n')
		got--;
	if (!mspd_listener_parse(text, (size_t)got, out) ||
	    ntohl(out->ip) >> 24 != 127)
		return -EINVAL;
	return 0;
}
