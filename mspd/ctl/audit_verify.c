/* SPDX-License-Identifier: MIT */
/*
 * In: an audit trail. Out: where its chain is broken, and how. Must never call
 * a trail whole that is not, as far as the chain can tell.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/audit_verify.h"

/* ---- faults ------------------------------------------------------------- */

static struct ctl_fault *fault_at(struct ctl_verify *v,
				  enum ctl_fault_kind what, const char *file,
				  uint64_t line, const char *text)
{
	static struct ctl_fault none;
	struct ctl_fault *f;

	if (v->n == CTL_FAULTS_MAX) {
		v->more++;
		memset(&none, 0, sizeof(none));
		return &none;
	}
	v->faults = ctl_grow(v->faults, &v->room, v->n + 1, sizeof(*f));
	f = &v->faults[v->n++];
	memset(f, 0, sizeof(*f));
	f->what = what;
	f->file = ctl_copy(file, strlen(file));
	f->line = line;
	snprintf(f->text, sizeof(f->text), "%s", text);
	return f;
}

static struct ctl_fault *fault(struct ctl_verify *v, enum ctl_fault_kind what,
			       const char *text)
{
	return fault_at(v, what, v->now.file, v->now.line, text);
}

/* One that was missing is here. */
static void found(struct ctl_verify *v, uint64_t number)
{
	size_t i;

	for (i = v->n; i; i--) {
		struct ctl_fault *f = &v->faults[i - 1];

		if (f->what == CTL_REMOVED && f->from <= number &&
		    number <= f->to) {
			f->found++;
			return;
		}
	}
}

/* ---- lines without a place in the chain --------------------------------- */

static void settle_odd(struct ctl_verify *v)
{
	if (v->odd)
		fault_at(v, v->odd_ended ? CTL_EDITED : CTL_TORN, v->odd_file,
			 v->odd_line,
			 v->odd_ended ? "not a record with a place in the chain"
				      : "the line is not whole");
	v->odd = false;
}

static void take_odd(struct ctl_verify *v)
{
	settle_odd(v);
	if (!v->begun && v->now.ended)
		v->unchained++;
	v->odd = v->begun || !v->now.ended;
	v->odd_ended = v->now.ended;
	free(v->odd_file);
	v->odd_file = ctl_copy(v->now.file, strlen(v->now.file));
	v->odd_line = v->now.line;
	v->slack++;
	memset(v->odd_hash, 'x', CTL_HASH); /* of no line */
	if (v->now.at)
		ctl_link_hash(v->odd_hash, v->last.link.hash, v->now.at,
			      v->now.len);
}

/* Part of a line that a crash left, which this one tells of? */
static bool explains(const struct ctl_verify *v, const struct ctl_link *link)
{
	if (!v->slack || !ctl_link_torn(v->now.at, v->now.len))
		return false;
	/* what it is tied to was in a file that is not there any more */
	if (!v->begun && v->unchained <= 1 && link->number > 1)
		return true;
	return link->number == v->last.link.number + 1 &&
	       ctl_link_ties(link, v->odd_hash, v->now.at);
}

/* ---- lines with one ----------------------------------------------------- */

static bool ties(const struct ctl_verify *v, const struct ctl_place *before,
		 const struct ctl_link *link)
{
	return link->number == before->link.number + 1 &&
	       (ctl_link_ties(link, before->link.hash, v->now.at) ||
		(before->edited &&
		 ctl_link_ties(link, before->hash, v->now.at)));
}

static void accept(struct ctl_verify *v, const struct ctl_link *link)
{
	v->last = (struct ctl_place){ .link = *link };
	if (link->number > v->top.link.number)
		v->top = v->last;
	else
		found(v, link->number);
}

/* Whatever it says, the next one may be tied to what it is. */
static void accept_edited(struct ctl_verify *v, const struct ctl_link *link,
			  const struct ctl_place *before)
{
	char hash[CTL_HASH + 1];

	ctl_link_hash(hash, before->link.hash, v->now.at, link->from);
	v->last = (struct ctl_place){ .link = *link, .edited = true };
	memcpy(v->last.hash, hash, sizeof(hash));
	v->top = v->last;
}

static bool is_first(const struct ctl_verify *v, const struct ctl_link *link)
{
	return link->number == 1 &&
	       ctl_link_ties(link, ctl_link_none.hash, v->now.at);
}

static void begin_at(struct ctl_verify *v, const struct ctl_link *link)
{
	struct ctl_fault *f;

	v->begun = true;
	v->first = link->number;
	v->whole = link->number == 1;
	if (v->whole || !v->complete)
		return;
	f = fault(v, CTL_REMOVED, "");
	f->from = 1;
	f->to = link->number - 1;
}

static void begin(struct ctl_verify *v, const struct ctl_link *link)
{
	begin_at(v, link);
	if (v->whole && !is_first(v, link)) {
		fault(v, CTL_EDITED, "not what was written as the first");
		accept_edited(v, link, &v->top);
		return;
	}
	if (!v->whole && v->unchained)
		fault(v, CTL_EDITED,
		      "behind records that have lost their place in the chain");
	accept(v, link);
}

static void classify(struct ctl_verify *v, struct ctl_link *link)
{
	const uint64_t next = v->top.link.number + 1;
	struct ctl_fault *f;

	if (v->slack && link->number == next + v->slack) {
		accept(v, link); /* behind one that has been told of */
	} else if (v->whole && is_first(v, link)) {
		fault(v, CTL_REMOVED,
		      "a new chain begins: the old one was gone");
		v->top.link = ctl_link_none;
		accept(v, link);
	} else if (link->number != next &&
		   ctl_link_ties_as(link, v->top.link.hash, v->now.at, next)) {
		fault(v, CTL_EDITED, "the record's number was changed");
		link->number = next;
		accept(v, link);
	} else if (link->number == next) {
		fault(v, CTL_EDITED, "not what was written");
		accept_edited(v, link, &v->top);
	} else if (link->number > next) {
		f = fault(v, CTL_REMOVED, "");
		f->from = next;
		f->to = link->number - 1;
		accept(v, link);
	} else {
		f = fault(v, CTL_REORDERED, "");
		snprintf(f->text, sizeof(f->text),
			 "number %" PRIu64 " comes behind number %" PRIu64,
			 link->number, v->last.link.number);
		accept(v, link);
	}
}

/* Whatever is in front of it or behind: this one is known from elsewhere. */
static void compare_expected(struct ctl_verify *v, const struct ctl_link *link)
{
	if (!v->expect.number || link->number != v->expect.number)
		return;
	if (memcmp(link->hash, v->expect.hash, CTL_HASH) != 0)
		fault(v, CTL_EDITED, "not the expected record of that number");
	v->met = true;
}

static void miss_expected(struct ctl_verify *v)
{
	char text[96];

	if (!v->expect.number || v->met)
		return;
	snprintf(text, sizeof(text),
		 "the expected record, number %" PRIu64 ", is not there",
		 v->expect.number);
	fault_at(v, CTL_REMOVED, v->now.file ? v->now.file : "", v->now.line,
		 text);
}

static void take(struct ctl_verify *v)
{
	struct ctl_link link;

	if (!v->now.at || !ctl_link_parse(&link, v->now.at, v->now.len)) {
		take_odd(v);
		return;
	}
	v->records++;
	compare_expected(v, &link);
	if (explains(v, &link)) {
		fault_at(v, CTL_TORN, v->odd_file, v->odd_line,
			 "part of a record, cut short by a crash");
		v->odd = false;
		if (!v->begun) {
			v->unchained -= v->odd_ended;
			begin_at(v, &link);
		}
		accept(v, &link);
	} else {
		settle_odd(v);
		if (!v->begun)
			begin(v, &link);
		else if (ties(v, &v->last, &link) || ties(v, &v->top, &link))
			accept(v, &link);
		else
			classify(v, &link);
	}
	v->slack = 0;
}

/* ---- the command -------------------------------------------------------- */

static int answer(struct ctl_verify *v, size_t files, bool json)
{
	struct ctl_text out = { 0 };
	int status;

	ctl_verify_put(&out, v, files, json);
	status = ctl_answer(&out, ctl_verify_count(v) ? CTL_NO : CTL_OK);
	ctl_text_free(&out);
	return status;
}

bool ctl_verify_expect(struct ctl_verify *v, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t digits = strspn(text, "0123456789");

	memset(&v->expect, 0, sizeof(v->expect));
	if (!colon || colon != text + digits || !digits ||
	    digits > CTL_NUMBER_DIGITS || strlen(colon + 1) != CTL_HASH ||
	    strspn(colon + 1, "0123456789abcdef") != CTL_HASH)
		return false;
	memcpy(v->expect.hash, colon + 1, CTL_HASH);
	v->expect.number = strtoull(text, NULL, 10);
	return v->expect.number > 0;
}

void ctl_verify_run(struct ctl_verify *v, struct ctl_trail *trail)
{
	v->last.link = ctl_link_none;
	v->top.link = ctl_link_none;
	v->complete = ctl_trail_complete(trail);
	while (ctl_trail_next(trail, &v->now))
		take(v);
	settle_odd(v);
	if (!v->begun && v->unchained)
		fault(v, CTL_EDITED, "no record at all has a place in a chain");
	miss_expected(v);
}

void ctl_verify_free(struct ctl_verify *v)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		free(v->faults[i].file);
	free(v->faults);
	free(v->odd_file);
}

static int verify(const struct ctl_trail_opts *opts, struct ctl_verify *v,
		  bool json)
{
	struct ctl_trail *trail = ctl_trail_open(opts);
	int status = CTL_ERROR;
	size_t files;

	if (!trail)
		return CTL_ERROR;
	ctl_verify_run(v, trail);
	files = ctl_trail_files(trail);
	if (ctl_trail_close(trail))
		status = answer(v, files, json);
	return status;
}

int ctl_audit_verify(int argc, char **argv)
{
	struct ctl_trail_opts opts = { 0 };
	struct ctl_verify v = { 0 };
	struct ctl_list files = { 0 };
	const char *expect = NULL;
	bool json = false;
	const struct ctl_option options[] = {
		{ "config", CTL_TEXT, &opts.config },
		{ "expect", CTL_TEXT, &expect },
		{ "json", CTL_FLAG, &json },
		{ NULL, CTL_FLAG, NULL },
	};
	int status = CTL_USAGE;

	opts.files = &files;
	if (!ctl_parse(options, argc, argv, &files))
		;
	else if (expect && !ctl_verify_expect(&v, expect))
		ctl_fail("--expect '%s': want NUMBER:HASH, as verify has "
			 "printed it",
			 expect);
	else
		status = verify(&opts, &v, json);
	ctl_verify_free(&v);
	free(files.at);
	return status;
}
