/* SPDX-License-Identifier: MIT */
/*
 * In: lines of an audit trail. Out: whether one comes behind the other. Must
 * never take a line for tied that the agent would have ended otherwise.
 */
#include "mspd/ctl/audit_chain.h"

#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>

#define NAME ",\"chain\":\""
#define END  "\"}"
/* Bytes of a line from its NAME on. */
#define LINK                                                                   \
	(sizeof(NAME) - 1 + CTL_NUMBER_DIGITS + 1 + CTL_HASH + sizeof(END) - 1)
/* {"time":"2026-01-02T03:04:05.678901Z" */
#define TIME 37

const struct ctl_link ctl_link_none = {
	.hash = "00000000000000000000000000000000"
};

bool ctl_link_parse(struct ctl_link *out, const char *line, size_t len)
{
	const char *digits, *hash;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (len < LINK || memcmp(line + len - LINK, NAME, sizeof(NAME) - 1))
		return false;
	digits = line + len - LINK + sizeof(NAME) - 1;
	hash = digits + CTL_NUMBER_DIGITS + 1;
	for (i = 0; i < CTL_NUMBER_DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		out->number = out->number * 10 + (uint64_t)(digits[i] - '0');
	}
	memcpy(out->hash, hash, CTL_HASH);
	out->from = (size_t)(hash - line);
	/* another one, with its quotes: these are two lines */
	if (memmem(line, len - 1, NAME, sizeof(NAME) - 1) != line + len - LINK)
		return false;
	return hash[-1] == ':' && out->number &&
	       strspn(out->hash, "0123456789abcdef") == CTL_HASH &&
	       !memcmp(hash + CTL_HASH, END, sizeof(END) - 1);
}

/* Of three pieces, one behind the other. */
static void hash_of(char out[CTL_HASH + 1], const char *before,
		    const char *line, size_t len, const char *end)
{
	static EVP_MD_CTX *work;
	static EVP_MD *digest;
	unsigned char sum[EVP_MAX_MD_SIZE];
	size_t i;

	if (!work) {
		work = EVP_MD_CTX_new();
		digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	}
	if (!work || !digest || EVP_DigestInit_ex(work, digest, NULL) != 1 ||
	    EVP_DigestUpdate(work, before, CTL_HASH) != 1 ||
	    EVP_DigestUpdate(work, line, len) != 1 ||
	    EVP_DigestUpdate(work, end, strlen(end)) != 1 ||
	    EVP_DigestFinal_ex(work, sum, NULL) != 1)
		ctl_no_memory();
	for (i = 0; i < CTL_HASH / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

void ctl_link_hash(char out[CTL_HASH + 1], const char *before, const char *line,
		   size_t len)
{
	hash_of(out, before, line, len, "");
}

bool ctl_link_ties(const struct ctl_link *link, const char *before,
		   const char *line)
{
	char hash[CTL_HASH + 1];

	hash_of(hash, before, line, link->from, "");
	return !memcmp(hash, link->hash, CTL_HASH);
}

bool ctl_link_ties_as(const struct ctl_link *link, const char *before,
		      const char *line, uint64_t number)
{
	char hash[CTL_HASH + 1];
	char digits[32];

	snprintf(digits, sizeof(digits), "%0*" PRIu64 ":", CTL_NUMBER_DIGITS,
		 number);
	hash_of(hash, before, line, link->from - CTL_NUMBER_DIGITS - 1, digits);
	return !memcmp(hash, link->hash, CTL_HASH);
}

bool ctl_link_torn(const char *line, size_t len)
{
	static const char torn[] = ",\"torn\":";

	return len > TIME + sizeof(torn) &&
	       !memcmp(line + TIME, torn, sizeof(torn) - 1);
}
