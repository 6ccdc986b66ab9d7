/* SPDX-License-Identifier: MIT */
/*
 * key_priv.h - the secret bytes, for signer.c, keystore.c only; guid checks.
 */
#ifndef MSP_KEY_PRIV_H
#define MSP_KEY_PRIV_H

#include <msp/key.h>

/* MSP_KEY_BYTES bytes; borrowed from the key. Never copy, never print. */
const unsigned char *msp_key_bytes(const struct msp_key *key);

/* 8-4-4-4-12 hex digits, any case, nothing before or after: safe to use as a
 * file name (fix Q26) */
bool msp_guid_valid(const char *text, size_t len);

/* equal but for the case of ASCII letters; NULL equals nothing */
bool msp_guid_equal(const char *a, const char *b);

#endif
