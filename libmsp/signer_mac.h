/* SPDX-License-Identifier: MIT */
/*
 * signer_mac.h - HMAC-SHA-256 (RFC 2104) with one key, many times.
 */
#ifndef MSP_SIGNER_MAC_H
#define MSP_SIGNER_MAC_H

#include <stddef.h>

#include <openssl/evp.h>

#define MSP_MAC_BYTES 32

/* Digests that have taken the key; as secret as the key is. All owned. */
struct msp_signer_mac {
	EVP_MD_CTX *inner;
	EVP_MD_CTX *outer;
	EVP_MD_CTX *work;
};

/* Bytes to be signed, borrowed. */
struct msp_signer_span {
	const char *at;
	size_t len;
};

/* key: MSP_KEY_BYTES, of which no copy is kept. 0 or MSP_ERR_CRYPTO; drop it
 * in both cases. */
int msp_signer_mac_set(struct msp_signer_mac *mac, const unsigned char *key);
void msp_signer_mac_drop(struct msp_signer_mac *mac);

/* The MAC of n spans one after the other; 0 or MSP_ERR_CRYPTO. */
int msp_signer_mac_run(struct msp_signer_mac *mac,
		       unsigned char out[MSP_MAC_BYTES],
		       const struct msp_signer_span *spans, size_t n);

#endif
