/* SPDX-License-Identifier: MIT */
/*
 * In: whole lines, in order; the end of a trail. Out: their numbers and hashes.
 * Must never give two lines the same place, nor pass over one.
 */
#include "mspd/audit_chain.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096
/* ,"chain":" */
#define NAME_LEN (MSPD_CHAIN_END - MSPD_CHAIN_DIGITS - 1 - MSPD_CHAIN_HEX - 2)
/* From the end of a line, its LF not counted, back to its number. */
#define NUMBER_BACK (MSPD_CHAIN_END - NAME_LEN)
#define HASH_BACK   ((size_t)MSPD_CHAIN_HEX + 2)

/* ---- one link ----------------------------------------------------------- */

static bool begin(struct mspd_chain *chain)
{
	return EVP_DigestInit_ex(chain->work, chain->digest, NULL) == 1 &&
	       EVP_DigestUpdate(chain->work, chain->hash, MSPD_CHAIN_HEX) == 1;
}

static bool end(struct mspd_chain *chain, char hash[MSPD_CHAIN_HEX])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	size_t i;

	if (EVP_DigestFinal_ex(chain->work, sum, NULL) != 1)
		return false;
	for (i = 0; i < MSPD_CHAIN_HEX / 2; i++) {
		hash[2 * i] = hex[sum[i] >> 4];
		hash[2 * i + 1] = hex[sum[i] & 15];
	}
	return true;
}

static void put_number(char *at, uint64_t number)
{
	size_t i;

	for (i = MSPD_CHAIN_DIGITS; i; i--, number /= 10)
		at[i - 1] = (char)('0' + number % 10);
}

/* @len bytes, without LF. */
static bool fill_line(struct mspd_chain *chain, char *line, size_t len)
{
	char *hash = line + len - HASH_BACK;

	put_number(line + len - NUMBER_BACK, chain->number + 1);
	if (!begin(chain) ||
	    EVP_DigestUpdate(chain->work, line, len - HASH_BACK) != 1 ||
	    !end(chain, hash))
		return false;
	memcpy(chain->hash, hash, MSPD_CHAIN_HEX);
	chain->number++;
	return true;
}

int mspd_chain_fill(struct mspd_chain *chain, char *lines, size_t len)
{
	const uint64_t number = chain->number;
	char hash[MSPD_CHAIN_HEX];
	char *at = lines, *lf;

	memcpy(hash, chain->hash, sizeof(hash));
	while (at < lines + len) {
		lf = memchr(at, '\n', len - (size_t)(at - lines));
		if (!lf || (size_t)(lf - at) < MSPD_CHAIN_END ||
		    !fill_line(chain, at, (size_t)(lf - at))) {
			chain->number = number;
			memcpy(chain->hash, hash, sizeof(hash));
			return -EIO;
		}
		at = lf + 1;
	}
	return 0;
}

/* ---- the end of a trail ------------------------------------------------- */

/* The end of a line, as it is written here? Then it is the last link. */
static bool take_end(struct mspd_chain *chain, const char *end)
{
	static const char blank[] = MSPD_CHAIN_BLANK;
	const char *digits = end + NAME_LEN;
	const char *hash = digits + MSPD_CHAIN_DIGITS + 1;
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < MSPD_CHAIN_DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(digits[i] - '0');
	}
	for (i = 0; i < MSPD_CHAIN_HEX; i++)
		if (!strchr("0123456789abcdef", hash[i]) || !hash[i])
			return false;
	if (memcmp(end, blank, NAME_LEN) != 0 || hash[-1] != ':' ||
	    memcmp(hash + MSPD_CHAIN_HEX, "\"}", 2) != 0)
		return false;
	chain->number = number;
	memcpy(chain->hash, hash, MSPD_CHAIN_HEX);
	return true;
}

/* Of a line that ends at @at, its LF not counted, and begins at @least or
 * later. 1, 0: it has none; or -errno. */
static int read_end(struct mspd_chain *chain, int fd, uint64_t least,
		    uint64_t at)
{
	char end[MSPD_CHAIN_END];
	ssize_t n;

	if (at < least + sizeof(end))
		return 0;
	n = pread(fd, end, sizeof(end), (off_t)(at - sizeof(end)));
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(end) && take_end(chain, end);
}

/* Tie what follows to part of a line, which has no end of its own. */
static int take_torn(struct mspd_chain *chain, int fd, uint64_t from,
		     uint64_t to)
{
	char block[BLOCK];
	ssize_t n;

	if (!begin(chain))
		return -EIO;
	while (from < to) {
		n = pread(fd, block,
			  to - from < BLOCK ? (size_t)(to - from) : BLOCK,
			  (off_t)from);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (EVP_DigestUpdate(chain->work, block, (size_t)n) != 1)
			return -EIO;
		from += (uint64_t)n;
	}
	return end(chain, chain->hash) ? 0 : -EIO;
}

/* Where the line begins that ends at @to. */
static int line_start(int fd, uint64_t to, uint64_t *out)
{
	char block[BLOCK];
	const char *lf = NULL;

	*out = to;
	while (*out && !lf) {
		size_t len = *out < BLOCK ? (size_t)*out : BLOCK;
		ssize_t n = pread(fd, block, len, (off_t)(*out - len));

		if (n != (ssize_t)len)
			return n < 0 ? -errno : -EIO;
		lf = memrchr(block, '\n', len);
		*out -= lf ? len - (size_t)(lf - block) - 1 : len;
	}
	return 0;
}

/* The end of the last whole line before @size. If that is part of one, which
 * was ended before there was room to tell of it, *torn is its length. */
static int read_last(struct mspd_chain *chain, int fd, uint64_t size,
		     uint64_t *torn)
{
	uint64_t from;
	int rc = read_end(chain, fd, 0, size - 1);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = line_start(fd, size - 1, &from);
	if (rc == 0 && from)
		rc = read_end(chain, fd, 0, from - 1);
	if (rc <= 0)
		return rc;
	*torn = size - 1 - from;
	return take_torn(chain, fd, from, size - 1);
}

/* Of the newest line of the file before this one. */
static int read_predecessor(struct mspd_chain *chain,
			    const struct mspd_rotate *file, uint64_t *torn)
{
	int fd = mspd_rotate_predecessor(file);
	struct stat st;
	int rc = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_size)
		rc = read_last(chain, fd, (uint64_t)st.st_size, torn);
	close(fd);
	return rc;
}

int mspd_chain_resume(struct mspd_chain *chain, const struct mspd_rotate *file,
		      uint64_t *torn)
{
	struct stat st;
	uint64_t size;
	int rc;

	*torn = 0;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	size = (uint64_t)st.st_size;
	if (file->size)
		rc = read_last(chain, file->fd, file->size, torn);
	else
		rc = read_predecessor(chain, file, torn);
	if (rc < 0 || size <= file->size)
		return rc;
	/* all of it may be there but the LF */
	rc = read_end(chain, file->fd, file->size, size);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	*torn = size - file->size;
	return take_torn(chain, file->fd, file->size, size);
}

/* ---- begin and end ------------------------------------------------------ */

int mspd_chain_init(struct mspd_chain *chain)
{
	chain->number = 0;
	memset(chain->hash, '0', MSPD_CHAIN_HEX);
	chain->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	chain->work = EVP_MD_CTX_new();
	if (!chain->work)
		return -ENOMEM;
	return chain->digest ? 0 : -EIO;
}

void mspd_chain_free(struct mspd_chain *chain)
{
	EVP_MD_CTX_free(chain->work);
	EVP_MD_free(chain->digest);
	chain->work = NULL;
	chain->digest = NULL;
}
