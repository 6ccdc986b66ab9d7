/* SPDX-License-Identifier: MIT */
/*
 * In: a line of an audit trail, as somebody may have changed it. Out: nothing;
 * aborts if half a line is read, or a member runs out of its place. Must never
 * keep anything from one input to the next.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/audit_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_text(const struct ctl_audit_text *text)
{
	must(strnlen(text->text, sizeof(text->text)) < sizeof(text->text));
	must(text->given || !text->text[0]);
}

static void check_line(const struct ctl_audit *a)
{
	must(a->n_gids <= MSP_CALLER_GROUPS_MAX);
	must(a->torn || (a->verdict.given && a->reason.given));
	check_text(&a->time);
	check_text(&a->last);
	check_text(&a->user);
	check_text(&a->exe);
	check_text(&a->exe_state);
	check_text(&a->endpoint);
	check_text(&a->method);
	check_text(&a->path);
	check_text(&a->verdict);
	check_text(&a->reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ctl_audit line, again;
	const char *text = (const char *)data;

	memset(&line, 0xff, sizeof(line));
	if (!ctl_audit_parse(&line, text, size))
		return 0;
	check_line(&line);
	must(ctl_audit_parse(&again, text, size));
	must(memcmp(&line, &again, sizeof(line)) == 0);
	/* an object is whole with its last brace, and not before */
	while (text[size - 1] != '}')
		size--;
	must(!ctl_audit_parse(&again, text, size - 1));
	return 0;
}
