/* SPDX-License-Identifier: MIT */
/*
 * In: a text of whatever origin. Out: a JSON string in a document. Must never
 * let through what drives a terminal.
 */
#include "mspd/json_put.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/text.h"

/* Of a byte, "\u0080". */
#define ESCAPED_MAX 6

void mspd_json_put(yajl_gen gen, const char *text)
{
	size_t len = strlen(text), size;
	struct mspd_text out;
	char *buffer;

	if (mspd_text_is_tame(text, len)) {
		yajl_gen_string(gen, (const unsigned char *)text, len);
		return;
	}
	size = ESCAPED_MAX * len + sizeof("\"\"");
	buffer = malloc(size);
	if (!buffer) {
		yajl_gen_string(gen, (const unsigned char *)"", 0);
		return;
	}
	mspd_text_init(&out, buffer, size);
	mspd_text_json(&out, text, SIZE_MAX);
	/* as a number it is not escaped once more */
	yajl_gen_number(gen, out.at, out.len);
	free(buffer);
}
