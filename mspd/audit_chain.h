/* SPDX-License-Identifier: MIT */
/*
 * audit_chain.h - what ties each line of audit.jsonl to the one before it.
 * Only audit.c, audit_merge.c and their tests need it.
 *
 * A line ends with ,"chain":"NUMBER:HASH"}: NUMBER is one more than that of
 * the line before, 15 digits; HASH is the first half of SHA-256, in hex, of
 * the 32 characters of the HASH before, and of all that is in front of HASH in
 * this line. Before the first line both are 0. Part of a line, left by a
 * crash, has no number, and ties the next line to itself as a whole.
 */
#ifndef MSPD_AUDIT_CHAIN_H
#define MSPD_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "mspd/rotate.h"

/** Digits of a number, characters of a hash. */
#define MSPD_CHAIN_DIGITS 15
#define MSPD_CHAIN_HEX	  32
/** What is filled in later: right length, right shape. */
#define MSPD_CHAIN_BLANK                                                       \
	",\"chain\":\"000000000000000:00000000000000000000000000000000\"}"
/** Bytes of that, without the LF. */
#define MSPD_CHAIN_END (sizeof(MSPD_CHAIN_BLANK) - 1)

/**
 * struct mspd_chain - where it ends; one thread's
 * @work:   owned; used again for each line
 * @digest: owned
 * @number: of the last line
 * @hash:   of the last line, no NUL
 */
struct mspd_chain {
	EVP_MD_CTX *work;
	EVP_MD *digest;
	uint64_t number;
	char hash[MSPD_CHAIN_HEX];
};

/* At the beginning of a chain. 0, -ENOMEM, or -EIO: there is no SHA-256; free
 * it in each case. */
int mspd_chain_init(struct mspd_chain *chain);
void mspd_chain_free(struct mspd_chain *chain);

/**
 * mspd_chain_resume - go on where the newest line of a trail ends
 * @file: open, nothing appended yet; keeps what is torn
 * @torn: bytes of a line at its end that is not whole, 0: none
 *
 * A trail whose newest whole line has no chain begins one. Returns 0 or -errno.
 */
int mspd_chain_resume(struct mspd_chain *chain, const struct mspd_rotate *file,
		      uint64_t *torn);

/**
 * mspd_chain_fill - fill in what is blank in each of these lines
 * @lines: whole ones, each with MSPD_CHAIN_BLANK and LF at its end
 * Returns 0, or -EIO: no hash can be made, and nothing has become of the chain.
 */
int mspd_chain_fill(struct mspd_chain *chain, char *lines, size_t len);

#endif
