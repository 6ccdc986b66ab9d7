/* SPDX-License-Identifier: MIT */
/*
 * In: any bytes. Out: nothing; aborts when a tree is not what json.h promises.
 * Must never keep anything from one input to the next.
 */
#include <stdlib.h>
#include <string.h>

#include "libmsp/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_value(const struct msp_json_value *value, size_t size)
{
	char pointer[64];
	const char *text;
	uint32_t number;
	size_t len;

	text = msp_json_text(value, &len);
	must(len <= size && strlen(text) == len);
	text = msp_json_name(value, &len);
	must(!text || strlen(text) == len);
	must(msp_json_span(value) >= 1 && msp_json_span(value) <= size);
	msp_json_pointer(value, pointer, sizeof(pointer));
	must(strlen(pointer) < sizeof(pointer));
	if (msp_json_uint32(&number, value, NULL) == 0)
		must(msp_json_type(value) == MSP_JSON_NUMBER);
}

/* children before siblings, on a stack as deep as the reader allows */
static size_t walk(const struct msp_json_value *root, size_t size)
{
	const struct msp_json_value *stack[MSP_JSON_DEPTH_MAX + 1];
	size_t depth = 0, seen = 0;

	stack[depth++] = root;
	while (depth > 0) {
		const struct msp_json_value *value = stack[--depth];

		check_value(value, size);
		seen++;
		if (value != root && msp_json_next(value))
			stack[depth++] = msp_json_next(value);
		must(depth < MSP_JSON_DEPTH_MAX);
		if (msp_json_first(value))
			stack[depth++] = msp_json_first(value);
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_json_limits limits = { .bytes = 1 << 20, .values = 4096 };
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_json *doc;
	int rc;

	limits.flags = size % 2 ? MSP_JSON_BOM : 0;
	rc = msp_json_parse(&doc, (const char *)data, size, &limits, &info);
	if (rc == 0) {
		must(walk(msp_json_root(doc), size) <= limits.values);
		msp_json_free(doc);
		return 0;
	}
	must(!doc && info.text[0] && info.offset <= size);
	must(rc == MSP_ERR_SYNTAX || rc == MSP_ERR_LIMIT ||
	     rc == MSP_ERR_SCHEMA || (rc == MSP_ERR_INVAL && !data));
	return 0;
}
