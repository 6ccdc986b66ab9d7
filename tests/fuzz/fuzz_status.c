/* SPDX-License-Identifier: MIT */
/*
 * In: what may come from a control socket, or be in a status file. Out:
 * nothing; aborts if a line of the screen is longer than it may be, or has what
 * drives a terminal. Must never keep anything from one input to the next.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/status.h"

#define WIDTH 60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* Each line is ended, and has at most so many characters; bytes that go on
 * with one do not count. */
static void check_screen(const struct ctl_text *out)
{
	unsigned int columns = 0;
	size_t i;

	for (i = 0; i < out->len; i++) {
		const unsigned char c = (unsigned char)out->at[i];

		if (c == '\n') {
			columns = 0;
			continue;
		}
		must(c >= 0x20 && c != 0x7f);
		/* C1, in UTF-8 */
		must(c != 0xc2 || (unsigned char)out->at[i + 1] >= 0xa0);
		columns += (c & 0xc0) != 0x80;
		must(columns <= WIDTH);
	}
	must(columns == 0);
}

static void show(yajl_val document, bool gone)
{
	struct ctl_text out = { 0 };
	struct ctl_screen screen = { .out = &out, .width = WIDTH };
	struct ctl_known known = { .document = document };

	if (gone)
		ctl_status_show_known(&screen, &known, gone, "it is gone");
	else
		ctl_status_show(&screen, document);
	check_screen(&out);
	ctl_screen_free(&screen);
	ctl_text_free(&out);
}

static void show_json(yajl_val document)
{
	struct ctl_known known = { .document = document };
	struct ctl_text out = { 0 };
	yajl_val again;

	ctl_status_put_known(&out, &known, true, "it is gone");
	again = ctl_json_parse(out.at, out.len);
	must(again && ctl_json_get(again, "known"));
	yajl_tree_free(again);
	ctl_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = ctl_copy((const char *)data, size);
	yajl_val document = ctl_json_parse(text, size);

	free(text);
	if (!document)
		return 0;
	show(document, false);
	show(document, true);
	show_json(document);
	yajl_tree_free(document);
	return 0;
}
