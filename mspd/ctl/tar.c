/* SPDX-License-Identifier: MIT */
/*
 * In: names and contents. Out: an archive. Must never write a header that
 * another tar reads differently. libarchive would bring ten more libraries for
 * a header of 17 fields.
 */
#include "mspd/ctl/tar.h"

#include <string.h>

#define BLOCK 512

/* As POSIX has it; all texts, padded with NUL. */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char sum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* The sum is of the header with blanks where it goes. */
static void put_sum(struct header *h)
{
	unsigned char bytes[BLOCK];
	unsigned int sum = 0;
	size_t i;

	memset(h->sum, ' ', sizeof(h->sum));
	memcpy(bytes, h, sizeof(bytes));
	for (i = 0; i < BLOCK; i++)
		sum += bytes[i];
	snprintf(h->sum, sizeof(h->sum), "%06o", sum);
}

static void pad(struct ctl_text *tar)
{
	static const char zero[BLOCK];

	if (tar->len % BLOCK)
		ctl_put_bytes(tar, zero, BLOCK - tar->len % BLOCK);
}

void ctl_tar_add(struct ctl_text *tar, const char *name, const char *at,
		 size_t len, int64_t mtime)
{
	struct header h = { .type = '0',
			    .mode = "0000600",
			    .uid = "0000000",
			    .gid = "0000000",
			    .magic = "ustar",
			    .version = { '0', '0' } };

	snprintf(h.name, sizeof(h.name), "%s", name);
	snprintf(h.size, sizeof(h.size), "%011llo",
		 (unsigned long long)len & 077777777777);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo",
		 (unsigned long long)mtime & 077777777777);
	put_sum(&h);
	ctl_put_bytes(tar, (const char *)&h, sizeof(h));
	ctl_put_bytes(tar, at, len);
	pad(tar);
}

void ctl_tar_end(struct ctl_text *tar)
{
	static const char zero[2 * BLOCK];

	ctl_put_bytes(tar, zero, sizeof(zero));
}
