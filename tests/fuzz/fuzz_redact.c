/* SPDX-License-Identifier: MIT */
/*
 * In: a text; \x01 between the arguments of a command line. Aborts if what
 * comes out is no UTF-8, too long, or changes when it is redacted with less
 * room or a shorter view. libFuzzer's timeout is what notices time that is not
 * linear: the text comes many times over, too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/redact.h"
#include "tests/lib/borders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TIMES 1000
#define MOST  (64 * 1024)

static void check(bool holds)
{
	if (!holds)
		abort();
}

static char *redacted(const char *in, size_t len, size_t shown, size_t room,
		      size_t *out_len)
{
	struct mspd_arguments arguments;
	char *text = malloc(len ? len : 1);
	char *buffer = malloc(room);
	struct mspd_text out;
	size_t i, n;

	check(buffer != NULL && text != NULL);
	memcpy(text, in, len);
	mspd_text_init(&out, buffer, room);
	mspd_redact_arguments(&out, text, len, shown,
			      split_borders(text, len, &arguments));
	free(text);
	check(out.len < room && buffer[out.len] == '\0');
	for (i = 0; i < out.len; i += n) {
		n = mspd_utf8_step(buffer + i, out.len - i);
		check(n > 0);
	}
	*out_len = out.len;
	return buffer;
}

static void check_prefix(const char *in, size_t len, size_t shown, size_t room,
			 const char *whole, size_t whole_len)
{
	size_t n;
	char *part = redacted(in, len, shown, room, &n);

	/* a character that the view cuts in two is another one */
	check(n <= whole_len || shown < len);
	check(shown < len || memcmp(part, whole, n) == 0);
	free(part);
}

static void check_many(const char *in, size_t len)
{
	size_t times = len * TIMES > MOST ? MOST / len : TIMES;
	char *many;
	size_t i;

	if (!len || !times)
		return;
	many = malloc(len * times);
	check(many != NULL);
	for (i = 0; i < times; i++)
		memcpy(many + i * len, in, len);
	check(mspd_redact(many, len * times) <= len * times);
	free(many);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data;
	size_t room = 4 * size + 64;
	size_t len;
	char *whole = redacted(in, size, size, room, &len);

	check_prefix(in, size, size, 1 + size / 2, whole, len);
	check_prefix(in, size, size / 2, room, whole, len);
	/* not each time, or most of the time goes into this */
	if (size && data[size / 2] % 16 == 0)
		check_many(in, size);
	free(whole);
	return 0;
}
