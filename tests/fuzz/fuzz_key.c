/* SPDX-License-Identifier: MIT */
/*
 * In: any bytes. Out: nothing; aborts when a key is not what key.h promises,
 * or an error shows part of the document. Must never print its input.
 */
#include <stdlib.h>
#include <string.h>

#include "libmsp/key_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* 16 hex digits in a row are no word of ours */
static void check_quotes_nothing(const char *text)
{
	size_t run = 0;

	for (; *text; text++) {
		run = strchr("0123456789abcdefABCDEF", *text) ? run + 1 : 0;
		must(run < 16);
	}
}

static void check_key(struct msp_key *key)
{
	struct msp_key *same = msp_key_ref(key);
	uint32_t number;

	must(msp_guid_valid(msp_key_guid(key), strlen(msp_key_guid(key))));
	must(msp_key_issued(key) != NULL && msp_key_bytes(key) != NULL);
	must(msp_key_equal(key, same));
	(void)msp_key_incarnation(key, &number);
	msp_key_free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key;
	int rc;

	rc = msp_key_parse(&key, (const char *)data, size, &info);
	if (rc == 0) {
		check_key(key);
	} else {
		must(!key && info.text[0] && info.offset <= size);
		check_quotes_nothing(info.text);
		check_quotes_nothing(info.pointer);
	}
	msp_key_free(key);
	return 0;
}
