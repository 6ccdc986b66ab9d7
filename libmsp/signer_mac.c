/* SPDX-License-Identifier: MIT */
/*
 * In: a key, then bytes. Out: their HMAC-SHA-256 (RFC 2104). Must never keep a
 * copy of the key, nor leave on the stack what would do in its place.
 *
 * Not EVP_MAC: that makes the same two copies of digests which have taken the
 * key, but through three more layers, and keeps the key besides. Copies of
 * them are what OpenSSL documents EVP_MD_CTX_copy_ex() for.
 */
#include "libmsp/signer_mac.h"

#include <stdbool.h>

#include <msp/error.h>
#include <msp/key.h>

#include "libmsp/mem.h"

/* of SHA-256 */
#define BLOCK 64
/* RFC 2104, 2 */
#define IPAD 0x36
#define OPAD 0x5c

_Static_assert(MSP_KEY_BYTES <= BLOCK, "a longer key is hashed first");

/* A digest that has taken the key, or NULL. */
static EVP_MD_CTX *keyed(const EVP_MD *sha256, const unsigned char *key,
			 unsigned char pad)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char block[BLOCK];
	bool done;
	size_t i;

	if (!ctx)
		return NULL;
	for (i = 0; i < BLOCK; i++)
		block[i] = (i < MSP_KEY_BYTES ? key[i] : 0) ^ pad;
	done = EVP_DigestInit_ex2(ctx, sha256, NULL) == 1 &&
	       EVP_DigestUpdate(ctx, block, BLOCK) == 1;
	msp_mem_wipe(block, sizeof(block));
	if (done)
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

MSP_MEM_NO_TRACE int msp_signer_mac_set(struct msp_signer_mac *mac,
					const unsigned char *key)
{
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

	if (!sha256)
		return MSP_ERR_CRYPTO;
	mac->inner = keyed(sha256, key, IPAD);
	mac->outer = keyed(sha256, key, OPAD);
	mac->work = EVP_MD_CTX_new();
	EVP_MD_free(sha256); /* each context holds its own reference */
	return mac->inner && mac->outer && mac->work ? 0 : MSP_ERR_CRYPTO;
}

void msp_signer_mac_drop(struct msp_signer_mac *mac)
{
	/* each wipes its state */
	EVP_MD_CTX_free(mac->inner);
	EVP_MD_CTX_free(mac->outer);
	EVP_MD_CTX_free(mac->work);
	*mac = (struct msp_signer_mac){ 0 };
}

int msp_signer_mac_run(struct msp_signer_mac *mac,
		       unsigned char out[MSP_MAC_BYTES],
		       const struct msp_signer_span *spans, size_t n)
{
	unsigned char inner[MSP_MAC_BYTES];
	size_t i;

	if (EVP_MD_CTX_copy_ex(mac->work, mac->inner) != 1)
		return MSP_ERR_CRYPTO;
	for (i = 0; i < n; i++)
		if (EVP_DigestUpdate(mac->work, spans[i].at, spans[i].len) != 1)
			return MSP_ERR_CRYPTO;
	if (EVP_DigestFinal_ex(mac->work, inner, NULL) != 1 ||
	    EVP_MD_CTX_copy_ex(mac->work, mac->outer) != 1 ||
	    EVP_DigestUpdate(mac->work, inner, sizeof(inner)) != 1 ||
	    EVP_DigestFinal_ex(mac->work, out, NULL) != 1)
		return MSP_ERR_CRYPTO;
	return 0;
}
