/* SPDX-License-Identifier: MIT */
/*
 * In: an address of this machine. Out: which socket listens there, and whose
 * it is. Must never name one that the kernel would pass over for another.
 */
#include "mspd/cli_owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTENS 10
#define MAPPED	0xffffu

/* In the order in which the kernel looks for one. */
enum rank { RANK_NONE, RANK_ANY6, RANK_ANY, RANK_MAPPED, RANK_EXACT };

/* One line of the table (proc_net_tcp.rst). */
struct row {
	uint32_t ip[4]; /* one of IPv4; as they are in memory */
	size_t words;
	unsigned int port;
	unsigned int state;
	struct mspd_owner owner;
};

static bool parse_row(struct row *out, const char *line)
{
	unsigned long long inode;
	char ip[33];
	int n;

	if (sscanf(line,
		   " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*x %2x %*s %*s %*s "
		   "%u %*d %llu",
		   ip, &out->port, &out->state, &out->owner.uid, &inode) != 5)
		return false;
	n = sscanf(ip, "%8x%8x%8x%8x", &out->ip[0], &out->ip[1], &out->ip[2],
		   &out->ip[3]);
	out->words = n > 0 ? (size_t)n : 0;
	out->owner.inode = inode;
	return n == 1 || n == 4;
}

static enum rank rank_of(const struct row *row,
			 const struct msp_address *address)
{
	const uint32_t *ip = row->ip;

	if (row->port != address->port)
		return RANK_NONE;
	if (row->words == 1)
		return ip[0] == address->ip ? RANK_EXACT
		       : ip[0] == 0	    ? RANK_ANY
					    : RANK_NONE;
	if (ip[0] || ip[1])
		return RANK_NONE;
	if (ip[2] == htonl(MAPPED) && ip[3] == address->ip)
		return RANK_MAPPED;
	return !ip[2] && !ip[3] ? RANK_ANY6 : RANK_NONE;
}

/* Those that listen come first, so that a machine with many connections is
 * not gone through. */
static int look_in(FILE *table, const struct msp_address *address,
		   struct mspd_owner *out, enum rank *best)
{
	struct row row;
	char *line = NULL;
	size_t size = 0;
	int err;

	while (getline(&line, &size, table) > 0) {
		if (!parse_row(&row, line))
			continue; /* the heading */
		if (row.state != LISTENS)
			break;
		if (rank_of(&row, address) <= *best)
			continue;
		*best = rank_of(&row, address);
		*out = row.owner;
	}
	err = ferror(table) ? -EIO : 0;
	free(line);
	return err;
}

int mspd_owner_find(struct mspd_owner *out, const struct msp_address *address)
{
	static const char *const tables[] = { "/proc/net/tcp",
					      "/proc/net/tcp6" };
	enum rank best = RANK_NONE;
	FILE *table;
	size_t i;
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; err == 0 && i < sizeof(tables) / sizeof(*tables); i++) {
		table = fopen(tables[i], "re");
		if (!table && i && errno == ENOENT)
			break; /* no IPv6 here */
		if (!table)
			return -errno;
		err = look_in(table, address, out, &best);
		fclose(table);
	}
	return err;
}
