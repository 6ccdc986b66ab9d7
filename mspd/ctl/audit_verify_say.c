/* SPDX-License-Identifier: MIT */
/*
 * In: where a chain is broken. Out: that, for people or as JSON. Must never
 * tell of a record that is missing when it came later.
 */
#include <inttypes.h>

#include "mspd/ctl/audit_verify.h"

static const char *const words[] = { "removed", "edited", "reordered", "torn" };

static bool counts(const struct ctl_fault *f)
{
	return f->what != CTL_REMOVED || !f->from ||
	       f->found != f->to - f->from + 1;
}

/* ---- what is said ------------------------------------------------------- */

uint64_t ctl_verify_count(const struct ctl_verify *v)
{
	uint64_t n = v->more;
	size_t i;

	for (i = 0; i < v->n; i++)
		n += counts(&v->faults[i]);
	return n;
}

static void put_text(struct ctl_text *out, const struct ctl_fault *f)
{
	if (f->what != CTL_REMOVED || !f->from) {
		ctl_put(out, f->text);
		return;
	}
	ctl_put(out, "before this one ");
	ctl_put_number(out, f->to - f->from + 1 - f->found);
	ctl_put(out, " are missing of number ");
	ctl_put_number(out, f->from);
	ctl_put(out, " to ");
	ctl_put_number(out, f->to);
}

static void put_fault(struct ctl_text *out, const struct ctl_fault *f)
{
	ctl_put_shown(out, f->file);
	ctl_put(out, ":");
	ctl_put_number(out, f->line);
	ctl_put(out, ": ");
	ctl_put(out, words[f->what]);
	ctl_put(out, ": ");
	put_text(out, f);
	ctl_put(out, "\n");
}

static void put_fault_json(struct ctl_text *out, const struct ctl_fault *f)
{
	struct ctl_text text = { 0 };

	ctl_put(out, out->at[out->len - 1] == '[' ? "{" : ",{");
	ctl_put_member(out, "file");
	ctl_put_json(out, f->file);
	ctl_put_member(out, "line");
	ctl_put_number(out, f->line);
	ctl_put_member(out, "what");
	ctl_put_json(out, words[f->what]);
	ctl_put_member(out, "text");
	put_text(&text, f);
	ctl_put_json(out, text.at);
	ctl_put(out, "}");
	ctl_text_free(&text);
}

static void put_link(struct ctl_text *out, const struct ctl_link *link)
{
	char text[64];

	snprintf(text, sizeof(text), "%0*" PRIu64 ":%s", CTL_NUMBER_DIGITS,
		 link->number, link->hash);
	ctl_put(out, text);
}

static const char *beginning(const struct ctl_verify *v)
{
	if (v->whole)
		return "from the first record on";
	if (v->complete)
		return "of which the first ones are gone";
	return "older ones were rotated away; the first of these is only "
	       "known to the second";
}

static void put_people(struct ctl_text *out, const struct ctl_verify *v,
		       size_t files)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		if (counts(&v->faults[i]))
			put_fault(out, &v->faults[i]);
	if (v->more) {
		ctl_put_number(out, v->more);
		ctl_put(out, " more\n");
	}
	ctl_put(out, ctl_verify_count(v) ? "broken: " : "whole: ");
	ctl_put_number(out, v->records);
	ctl_put(out, " records in ");
	ctl_put_number(out, files);
	ctl_put(out, files == 1 ? " file" : " files");
	if (v->begun) {
		ctl_put(out, ", ");
		ctl_put(out, beginning(v));
		ctl_put(out, "\nlast: ");
		put_link(out, &v->top.link);
	}
	ctl_put(out, "\n");
	if (v->unchained) {
		ctl_put_number(out, v->unchained);
		ctl_put(out, " older records are in no chain\n");
	}
}

static void put_json(struct ctl_text *out, const struct ctl_verify *v,
		     size_t files)
{
	const struct {
		const char *name;
		uint64_t number;
	} numbers[] = {
		{ "files", files },
		{ "records", v->records },
		{ "first", v->first },
		{ "unchained", v->unchained },
		{ "broken", ctl_verify_count(v) },
	};
	size_t i;

	ctl_put(out, "{");
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ctl_put_member(out, numbers[i].name);
		ctl_put_number(out, numbers[i].number);
	}
	ctl_put_member(out, "last");
	ctl_put(out, "\"");
	put_link(out, &v->top.link);
	ctl_put(out, "\"");
	ctl_put_member(out, "breaks");
	ctl_put(out, "[");
	for (i = 0; i < v->n; i++)
		if (counts(&v->faults[i]))
			put_fault_json(out, &v->faults[i]);
	ctl_put(out, "]}\n");
}

void ctl_verify_put(struct ctl_text *out, const struct ctl_verify *v,
		    size_t files, bool json)
{
	if (json)
		put_json(out, v, files);
	else
		put_people(out, v, files);
}
