/* SPDX-License-Identifier: MIT */
/*
 * In: bytes that make up a profile, callers and requests. Aborts if compiled
 * rules decide otherwise than a naive walk over the profile.
 *
 * There is no dictionary: each byte picks a piece from a pool of differ.h, or
 * says how many there are, so no sequence of bytes is a word.
 */
#include "tests/lib/differ.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	differ_run(data, size);
	return 0;
}
