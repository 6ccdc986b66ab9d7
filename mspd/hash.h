/* SPDX-License-Identifier: MIT */
/*
 * In: bytes. Out: a number by which those that differ are mostly told apart,
 * eight bytes at a time. Must never be taken for the bytes: whoever chooses
 * them can find others with the same number.
 */
#ifndef MSPD_HASH_H
#define MSPD_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MSPD_HASH_START 0xcbf29ce484222325u

static inline uint64_t mspd_hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

/**
 * mspd_hash() - go on with some bytes
 * @hash: MSPD_HASH_START, or what came of those before
 *
 * Their number counts: "a", "bc" is not "ab", "c".
 */
static inline uint64_t mspd_hash(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *at = data;
	uint64_t word = 0;
	size_t left;

	for (left = len; left > sizeof(word); left -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mspd_hash_word(hash, word);
		at += sizeof(word);
	}
	word = 0;
	memcpy(&word, at, left);
	return mspd_hash_word(mspd_hash_word(hash, word), len);
}

#endif /* MSPD_HASH_H */
