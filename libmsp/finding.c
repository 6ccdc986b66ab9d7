/* SPDX-License-Identifier: MIT */
/*
 * In: remarks about a document. Out: a bounded list of them. Must never lose
 * an error to a warning, nor grow with what a document deserves.
 */
#include <stdatomic.h>
#include <string.h>

#include "libmsp/finding_priv.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"

struct msp_findings {
	atomic_uint owners;
	struct msp_finding *items; /* pointer and text owned */
	size_t n;
	size_t room; /* items */
	size_t errors;
	bool cut;
};

struct msp_findings *msp_findings_new(void)
{
	struct msp_findings *findings = msp_mem_zalloc(sizeof(*findings));

	if (findings)
		atomic_init(&findings->owners, 1);
	return findings;
}

struct msp_findings *msp_findings_ref(struct msp_findings *findings)
{
	if (findings)
		atomic_fetch_add_explicit(&findings->owners, 1,
					  memory_order_relaxed);
	return findings;
}

static void free_item(struct msp_finding *item)
{
	msp_mem_free((char *)(uintptr_t)item->pointer);
	msp_mem_free((char *)(uintptr_t)item->text);
}

void msp_findings_free(struct msp_findings *findings)
{
	size_t i;

	if (!findings || atomic_fetch_sub_explicit(&findings->owners, 1,
						   memory_order_acq_rel) != 1)
		return;
	for (i = 0; i < findings->n; i++)
		free_item(&findings->items[i]);
	msp_mem_free(findings->items);
	msp_mem_free(findings);
}

/* Of the last one that an error may push out; n if all are errors. */
static size_t last_lesser(const struct msp_findings *findings)
{
	size_t i;

	for (i = findings->n; i > 0; i--)
		if (findings->items[i - 1].severity != MSP_SEVERITY_ERROR)
			return i - 1;
	return findings->n;
}

bool msp_findings_full(const struct msp_findings *findings,
		       enum msp_severity severity)
{
	if (findings->n < MSP_FINDINGS_MAX)
		return false;
	return severity != MSP_SEVERITY_ERROR ||
	       last_lesser(findings) == findings->n;
}

static int make_room(struct msp_findings *findings)
{
	size_t room = findings->room ? 2 * findings->room : 8;
	struct msp_finding *items;

	if (findings->n < findings->room)
		return 0;
	items = msp_mem_realloc(findings->items, room * sizeof(*items));
	if (!items)
		return MSP_ERR_NOMEM;
	findings->items = items;
	findings->room = room;
	return 0;
}

static char *clean_copy(const char *text)
{
	size_t len = strlen(text);
	char *copy = msp_mem_alloc(len + 1);

	if (copy)
		msp_info_copy(copy, len + 1, text, len);
	return copy;
}

static void push_out(struct msp_findings *findings)
{
	size_t i = last_lesser(findings);

	free_item(&findings->items[i]);
	findings->n--;
	memmove(&findings->items[i], &findings->items[i + 1],
		(findings->n - i) * sizeof(findings->items[0]));
	findings->cut = true;
}

static int keep(struct msp_findings *findings,
		const struct msp_finding *finding)
{
	struct msp_finding copy = *finding;

	copy.reserved = 0;
	copy.pointer = clean_copy(finding->pointer);
	copy.text = clean_copy(finding->text);
	if (!copy.pointer || !copy.text || make_room(findings) < 0) {
		free_item(&copy);
		return MSP_ERR_NOMEM;
	}
	findings->items[findings->n++] = copy;
	return 0;
}

int msp_findings_add(struct msp_findings *findings,
		     const struct msp_finding *finding)
{
	int rc = 0;

	if (msp_findings_full(findings, finding->severity)) {
		findings->cut = true;
	} else {
		if (findings->n == MSP_FINDINGS_MAX)
			push_out(findings);
		rc = keep(findings, finding);
	}
	if (rc == 0 && finding->severity == MSP_SEVERITY_ERROR)
		findings->errors++;
	return rc;
}

static bool before(const struct msp_finding *a, const struct msp_finding *b)
{
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

/* They come nearly sorted, and are few. */
void msp_findings_sort(struct msp_findings *findings)
{
	struct msp_finding *items = findings->items;
	size_t i, at;

	for (i = 1; i < findings->n; i++) {
		struct msp_finding moved = items[i];

		for (at = i; at > 0 && before(&moved, &items[at - 1]); at--)
			items[at] = items[at - 1];
		items[at] = moved;
	}
}

size_t msp_findings_count(const struct msp_findings *findings)
{
	return findings ? findings->n : 0;
}

size_t msp_findings_errors(const struct msp_findings *findings)
{
	return findings ? findings->errors : 0;
}

const struct msp_finding *msp_findings_get(const struct msp_findings *findings,
					   size_t i)
{
	return findings && i < findings->n ? &findings->items[i] : NULL;
}

bool msp_findings_cut(const struct msp_findings *findings)
{
	return findings && findings->cut;
}

const char *msp_severity_name(enum msp_severity severity)
{
	switch (severity) {
	case MSP_SEVERITY_WARNING:
		return "warning";
	case MSP_SEVERITY_ERROR:
		return "error";
	case MSP_SEVERITY_NOTE:
		return "note";
	}
	return "unknown";
}

const char *msp_finding_code_name(enum msp_finding_code code)
{
	switch (code) {
	case MSP_FINDING_SYNTAX:
		return "syntax";
	case MSP_FINDING_FORM:
		return "form";
	case MSP_FINDING_TYPE:
		return "type";
	case MSP_FINDING_MISSING:
		return "missing";
	case MSP_FINDING_TWICE:
		return "twice";
	case MSP_FINDING_VALUE:
		return "value";
	case MSP_FINDING_PATH:
		return "path";
	case MSP_FINDING_LIMIT:
		return "limit";
	case MSP_FINDING_DANGLING:
		return "dangling";
	case MSP_FINDING_EVERYONE:
		return "everyone";
	case MSP_FINDING_NOBODY:
		return "nobody";
	case MSP_FINDING_UNKNOWN_FIELD:
		return "unknown-field";
	case MSP_FINDING_UNUSED_PRIVILEGE:
		return "unused-privilege";
	case MSP_FINDING_UNUSED_ROLE:
		return "unused-role";
	case MSP_FINDING_UNUSED_IDENTITY:
		return "unused-identity";
	case MSP_FINDING_EMPTY:
		return "empty";
	case MSP_FINDING_REPEATED:
		return "repeated";
	case MSP_FINDING_SHADOWED:
		return "shadowed";
	case MSP_FINDING_NEVER:
		return "never";
	case MSP_FINDING_SPELLING:
		return "spelling";
	case MSP_FINDING_SECRET_OPEN:
		return "secret-open";
	case MSP_FINDING_INTERPRETER:
		return "interpreter";
	case MSP_FINDING_WRITABLE:
		return "writable";
	case MSP_FINDING_NO_FILE:
		return "no-file";
	case MSP_FINDING_CASE:
		return "case";
	case MSP_FINDING_PROCESS_ONLY:
		return "process-only";
	}
	return "unknown";
}
