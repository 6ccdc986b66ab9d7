/* SPDX-License-Identifier: MIT */
/*
 * In:  networks in text, and addresses.
 * Out: the most specific network an address is in.
 * Never: reads "10.0.0.1/24" as something it does not say.
 */
#include "vm/networks.h"

#include <arpa/inet.h>
#include <string.h>

static uint32_t mask_of(unsigned int prefix)
{
	return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

bool network_parse(struct network *out, const char *text)
{
	const char *slash = strchrnul(text, '/');
	size_t len = (size_t)(slash - text);
	char ip[INET_ADDRSTRLEN];
	struct in_addr address;
	uint64_t prefix = 32;

	if (len >= sizeof(ip))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (inet_pton(AF_INET, ip, &address) != 1)
		return false;
	if (*slash &&
	    (!text_uint(slash + 1, strlen(slash + 1), &prefix) || prefix > 32))
		return false;
	out->address = ntohl(address.s_addr);
	out->prefix = (unsigned int)prefix;
	out->vm = NULL;
	return !(out->address & ~mask_of(out->prefix));
}

void network_write(const struct network *network, struct buf *out)
{
	struct in_addr address = { .s_addr = htonl(network->address) };
	char ip[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &address, ip, sizeof(ip));
	buf_format(out, "%s/%u", ip, network->prefix);
}

bool networks_put(struct networks *networks, const struct network *network)
{
	struct network *list = networks->list;
	size_t i;

	for (i = 0; i < networks->n; i++) {
		if (list[i].prefix < network->prefix)
			break;
		if (list[i].prefix != network->prefix ||
		    list[i].address != network->address)
			continue;
		list[i] = *network;
		return true;
	}
	if (networks->n == NETWORKS_MAX)
		return false;
	memmove(list + i + 1, list + i, (networks->n - i) * sizeof(*list));
	list[i] = *network;
	networks->n++;
	return true;
}

const struct network *networks_find(const struct networks *networks,
				    struct in_addr address)
{
	uint32_t ip = ntohl(address.s_addr);
	size_t i;

	for (i = 0; i < networks->n; i++) {
		const struct network *n = &networks->list[i];

		if ((ip & mask_of(n->prefix)) == n->address)
			return n;
	}
	return NULL;
}
