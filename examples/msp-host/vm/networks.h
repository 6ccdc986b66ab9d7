/* SPDX-License-Identifier: MIT */
/*
 * networks.h - whose requests come from which addresses; the longest prefix
 * wins.
 */
#ifndef HOST_NETWORKS_H
#define HOST_NETWORKS_H

#include "base/text.h"

#include <netinet/in.h>

struct vm;

/** Networks at most. */
#define NETWORKS_MAX 256

/**
 * struct network - addresses that are somebody's
 * @address: host byte order; bits behind the prefix are 0
 * @prefix:  its length, 0 to 32
 * @vm:      whose; borrowed; NULL: a fleet's, every address is a VM
 */
struct network {
	uint32_t address;
	unsigned int prefix;
	struct vm *vm;
};

/**
 * struct networks - the longest prefixes first
 */
struct networks {
	struct network list[NETWORKS_MAX];
	size_t n;
};

/* "10.0.0.4" or "10.0.0.0/24", nobody's yet. False: not a network, or one
 * with bits behind its prefix. */
bool network_parse(struct network *out, const char *text);
void network_write(const struct network *network, struct buf *out);
/* Another's that is exactly this network goes. False: out of room. */
bool networks_put(struct networks *networks, const struct network *network);
/* NULL: nobody's. */
const struct network *networks_find(const struct networks *networks,
				    struct in_addr address);

#endif
