/* SPDX-License-Identifier: MIT */
/*
 * In:  a seed or none, and what the bytes are for.
 * Out: bytes.
 * Never: falls back from one source to the other.
 */
#include "base/random.h"

#include "base/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#define BLOCK 32

bool random_seed(struct random *r, const char *text)
{
	unsigned int len = 0;

	r->seeded = true;
	return EVP_Digest(text, strlen(text), r->seed, &len, EVP_sha256(),
			  NULL) &&
	       len == sizeof(r->seed);
}

bool random_any(struct random *r)
{
	r->seeded = true;
	return RAND_priv_bytes(r->seed, sizeof(r->seed)) == 1;
}

/* HMAC-SHA256(seed, "owner NUL purpose NUL nth block"): the NULs keep names
 * apart. */
static bool block(const struct random *r, const char *owner,
		  const char *purpose, uint64_t nth, size_t number,
		  unsigned char out[BLOCK])
{
	struct buf text = { 0 };
	unsigned int len = 0;
	bool ok;

	buf_add(&text, owner, strlen(owner) + 1);
	buf_add(&text, purpose, strlen(purpose) + 1);
	buf_format(&text, "%llu %zu", (unsigned long long)nth, number);
	ok = !text.failed &&
	     HMAC(EVP_sha256(), r->seed, sizeof(r->seed),
		  (const unsigned char *)text.data, text.len, out, &len) &&
	     len == BLOCK;
	buf_clear(&text);
	return ok;
}

bool random_draw(const struct random *r, const char *owner, const char *purpose,
		 uint64_t nth, void *out, size_t len)
{
	unsigned char bytes[BLOCK];
	unsigned char *to = out;
	size_t number;
	bool ok = true;

	if (!r->seeded)
		return RAND_priv_bytes(out, (int)len) == 1;
	for (number = 0; len && ok; number++) {
		size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

		ok = block(r, owner, purpose, nth, number, bytes);
		memcpy(to, bytes, n);
		to += n;
		len -= n;
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return ok;
}

bool random_guid(const struct random *r, const char *owner, const char *purpose,
		 uint64_t nth, char out[RANDOM_GUID_SIZE])
{
	static const unsigned char dashes[] = { 8, 13, 18, 23 };
	unsigned char b[16];
	char hex[2 * sizeof(b) + 1];
	size_t i, from = 0;

	if (!random_draw(r, owner, purpose, nth, b, sizeof(b)))
		return false;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	text_hex(hex, b, sizeof(b), false);
	for (i = 0; i + 1 < RANDOM_GUID_SIZE; i++)
		out[i] = memchr(dashes, (int)i, sizeof(dashes)) ? '-'
								: hex[from++];
	out[i] = '\0';
	return true;
}
