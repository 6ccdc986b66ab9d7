/* SPDX-License-Identifier: MIT */
/*
 * In: a byte that chooses a method, then a raw target. Aborts if a canonical
 * request does not stay what it is when it is rendered and canonicalized
 * again, or if what would be forwarded or logged is not what was received.
 */
#include <stdlib.h>

#include "tests/lib/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void fill(struct msp_request *r, const char *method, const char *target,
		 size_t len)
{
	int rc = msp_request_set(r, method, strlen(method), target, len);

	check(rc == 0 || !len || len > MSP_TARGET_MAX);
}

/* Origin form: what was received, or its end, or that with "/" before it. */
static void check_origin(const struct msp_request *r, const char *target,
			 size_t len)
{
	size_t n, skip = 0;
	const char *origin = msp_request_origin(r, &n);

	check(!origin == (msp_request_form(r) == MSP_FORM_OTHER));
	if (!origin)
		return;
	check(n > 0 && (origin[0] == '/' || n == 1));
	if (msp_request_form(r) != MSP_FORM_ABSOLUTE) {
		check(n == len && !memcmp(origin, target, n));
		return;
	}
	if (n > len || memcmp(origin, target + len - n, n) != 0)
		skip = 1;
	check(n - skip <= len &&
	      !memcmp(origin + skip, target + len - n + skip, n - skip));
}

static void check_canonical(const struct msp_request *r)
{
	struct msp_request *again;
	size_t i, len;
	char *text;

	for (i = 0; i < r->text_len; i++)
		check((unsigned char)r->text[i] >= ' ' && r->text[i] != '?' &&
		      !(r->text[i] >= 'A' && r->text[i] <= 'Z'));
	check(msp_request_render(r, NULL, 0, &len) == MSP_ERR_LIMIT);
	text = malloc(len + 1);
	check(text && !msp_request_render(r, text, len + 1, &len));
	check(strlen(text) == len);
	check(msp_request_new(&again) == 0);
	/* escapes may make it longer than a target can be */
	if (len <= MSP_TARGET_MAX) {
		fill(again, "GET", text, len);
		check(same_canonical(r, again));
	}
	msp_request_free(again);
	free(text);
}

/* The long way, which an absolute form takes, comes to the same. */
static void check_long_way(const struct msp_request *r, const char *method,
			   const char *target, size_t len)
{
	static const char before[] = "http://h";
	size_t n = strlen(before);
	struct msp_request *other = NULL;
	char *text;

	if (msp_request_form(r) != MSP_FORM_ORIGIN || len + n > MSP_TARGET_MAX)
		return;
	text = malloc(len + n);
	check(text != NULL);
	check(msp_request_new(&other) == 0);
	memcpy(text, before, n);
	memcpy(text + n, target, len);
	fill(other, method, text, len + n);
	check(msp_request_canon(r) == msp_request_canon(other));
	check(msp_request_canon(r) || same_canonical(r, other));
	msp_request_free(other);
	free(text);
}

static void check_text(const struct msp_request *r, size_t room)
{
	char out[80];
	size_t i, n;

	n = msp_request_path_text(r, out, room);
	check(n < room && out[n] == '\0');
	for (i = 0; i < n; i++)
		check(out[i] > ' ' && out[i] < 0x7f && out[i] != '"' &&
		      out[i] != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const method[] = { "GET", "PUT", "POST", "OPTIONS",
					      "CONNECT" };
	const char *target = (const char *)data + 1;
	struct msp_authority authority;
	struct msp_request *r;

	if (size < 2)
		return 0;
	size--;
	check(msp_request_new(&r) == 0);
	fill(r, method[data[0] % 5], target, size);
	if (size <= MSP_TARGET_MAX)
		check_origin(r, target, size);
	if (msp_request_authority(r, &authority))
		check(msp_request_form(r) == MSP_FORM_ABSOLUTE &&
		      (!authority.is_name || !authority.address.ip));
	check(!msp_request_exempt(r) || !msp_request_canon(r));
	check_long_way(r, method[data[0] % 5], target, size);
	if (!msp_request_canon(r))
		check_canonical(r);
	check_text(r, 80);
	check_text(r, 1 + data[0] % 20);
	msp_request_free(r);
	return 0;
}
