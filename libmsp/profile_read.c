/* SPDX-License-Identifier: MIT */
/*
 * In: one profile document, or one rule item of the key status. Out: a profile
 * with all references resolved, and all there is to say about it; nothing in
 * between. Must never take an item in part (design D4).
 */
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"
#include "libmsp/profile_reader.h"

/* Templates are nested deeper than what a host sends. */
#define PROFILE_DEPTH 64

/* ---- wire form --------------------------------------------------------- */

void msp_reader_access(struct msp_reader *r, const struct msp_json_value *value)
{
	char quote[MSP_QUOTE_MAX];
	const char *text;
	size_t len;

	r->profile->has_access = true;
	if (value)
		msp_reader_place(r, &r->profile->access_place, value);
	if (!value || !msp_reader_string(r, &text, &len, value))
		return;
	if (msp_access_parse(&r->profile->access, text, len))
		return;
	msp_info_copy(quote, sizeof(quote), text, len);
	msp_reader_error(r, MSP_FINDING_VALUE, value,
			 "is '%s', expected allow or deny", quote);
}

void msp_reader_mode(struct msp_reader *r, const struct msp_json_value *value)
{
	char quote[MSP_QUOTE_MAX];
	const char *text;
	size_t len;

	if (!value || !msp_reader_string(r, &text, &len, value))
		return;
	if (msp_mode_parse(&r->profile->mode, text, len))
		return;
	msp_info_copy(quote, sizeof(quote), text, len);
	msp_reader_error(r, MSP_FINDING_VALUE, value,
			 "is '%s', expected disabled, audit or enforce", quote);
}

void msp_reader_wire(struct msp_reader *r, const struct msp_json_value *item)
{
	struct msp_field fields[] = {
		{ .name = "defaultAccess",
		  MSP_JSON_STRING,
		  MSP_FIELD_REQUIRED },
		{ .name = "mode", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "id", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "rules", MSP_JSON_OBJECT },
	};
	const char *text;
	size_t len;

	if (!msp_reader_room(r, item) || !msp_reader_owner(r, item))
		return;
	msp_reader_fields(r, item, fields, 4);
	msp_reader_access(r, fields[0].value);
	msp_reader_mode(r, fields[1].value);
	if (fields[2].value) {
		text = msp_json_text(fields[2].value, &len);
		r->profile->id = msp_reader_keep(r, text, len);
	}
	msp_reader_rules(r, fields[3].value);
}

/* ---- which form is it? ------------------------------------------------- */

static bool has_member(const struct msp_json_value *object, const char *name)
{
	const struct msp_json_value *member = msp_json_first(object);
	const char *text;
	size_t len;

	for (; member; member = msp_json_next(member)) {
		text = msp_json_name(member, &len);
		if (msp_ascii_equal(text, len, name, strlen(name)))
			return true;
	}
	return false;
}

/* In any letter case: a document whose names are misspelled must be refused
 * for that, and not pass for a local file that says nothing. */
static enum msp_profile_form tell_form(const struct msp_json_value *root)
{
	if (has_member(root, "properties") || has_member(root, "resources") ||
	    has_member(root, "$schema"))
		return MSP_PROFILE_ARM;
	return has_member(root, "mode") ? MSP_PROFILE_WIRE : MSP_PROFILE_LOCAL;
}

static const char *form_text(enum msp_profile_form form)
{
	switch (form) {
	case MSP_PROFILE_WIRE:
		return "a rule item of the wire form";
	case MSP_PROFILE_ARM:
		return "an Azure resource or template";
	case MSP_PROFILE_LOCAL:
		return "a local rule file";
	case MSP_PROFILE_ANY:
		break;
	}
	return "a profile";
}

/* What was asked for counts, unless the document is plainly something else: of
 * the wire form and the local file each may look like the other. */
static bool choose_form(struct msp_reader *r, const struct msp_json_value *root,
			enum msp_profile_form wanted)
{
	enum msp_profile_form seen = tell_form(root);

	r->form = wanted == MSP_PROFILE_ANY ? seen : wanted;
	if (r->form == seen ||
	    (r->form != MSP_PROFILE_ARM && seen != MSP_PROFILE_ARM))
		return true;
	msp_reader_error(r, MSP_FINDING_FORM, root, "is %s, expected %s",
			 form_text(seen), form_text(r->form));
	return false;
}

/* ---- reading ----------------------------------------------------------- */

static int open_reader(struct msp_reader *r, struct msp_error_info *info)
{
	memset(r, 0, sizeof(*r));
	r->info = info;
	r->privileges.noun = "privilege";
	r->roles.noun = "role";
	r->identities.noun = "identity";
	r->findings = msp_findings_new();
	r->profile = msp_mem_zalloc(sizeof(*r->profile));
	if (r->profile)
		atomic_init(&r->profile->owners, 1);
	if (!r->findings || !r->profile)
		return msp_reader_no_memory(r);
	return 0;
}

/* Hand out what there is; *findings may be NULL if nobody asked. */
static int close_reader(struct msp_reader *r, struct msp_profile **out,
			struct msp_findings **findings)
{
	if (r->findings)
		msp_findings_sort(r->findings);
	if (r->rc == 0) {
		r->profile->form = r->form;
		r->profile->findings = msp_findings_ref(r->findings);
		*out = r->profile;
		r->profile = NULL;
	}
	if (findings && r->rc != MSP_ERR_NOMEM) {
		*findings = r->findings;
		r->findings = NULL;
	}
	msp_names_free(&r->privileges.names);
	msp_names_free(&r->roles.names);
	msp_names_free(&r->identities.names);
	msp_findings_free(r->findings);
	msp_profile_free(r->profile);
	return r->rc;
}

static void read_item(struct msp_reader *r, const struct msp_json_value *item)
{
	if (!msp_reader_object(r, item))
		return;
	if (msp_json_span(item) > MSP_PROFILE_MAX_BYTES)
		msp_reader_error(r, MSP_FINDING_LIMIT, item,
				 "has %zu bytes, at most %d are read",
				 msp_json_span(item), MSP_PROFILE_MAX_BYTES);
	else
		msp_reader_wire(r, item);
}

int msp_profile_from_json(struct msp_profile **out,
			  const struct msp_json_value *item,
			  struct msp_error_info *info)
{
	struct msp_reader r;

	*out = NULL;
	if (open_reader(&r, info) == 0) {
		r.form = MSP_PROFILE_WIRE;
		read_item(&r, item);
	}
	return close_reader(&r, out, NULL);
}

static void read_form(struct msp_reader *r, const struct msp_json_value *root,
		      enum msp_profile_form form, const char *select)
{
	if (!choose_form(r, root, form))
		return;
	switch (r->form) {
	case MSP_PROFILE_ARM:
		msp_reader_arm(r, root, select);
		return;
	case MSP_PROFILE_LOCAL:
		msp_reader_local(r, root);
		return;
	case MSP_PROFILE_WIRE:
	case MSP_PROFILE_ANY:
		break;
	}
	msp_reader_wire(r, root);
}

/* Not even a document: one finding says so. */
static int refuse_text(struct msp_findings **findings,
		       const struct msp_error_info *cause, int rc)
{
	struct msp_finding finding = {
		.severity = MSP_SEVERITY_ERROR,
		.pointer = cause->pointer,
		.text = cause->text,
		.code = rc == MSP_ERR_LIMIT    ? MSP_FINDING_LIMIT
			: rc == MSP_ERR_SCHEMA ? MSP_FINDING_FORM
					       : MSP_FINDING_SYNTAX,
		.line = cause->line,
		.column = cause->column,
	};
	struct msp_findings *list;

	if (!findings || rc == MSP_ERR_NOMEM || rc == MSP_ERR_INVAL)
		return rc;
	list = msp_findings_new();
	if (!list || msp_findings_add(list, &finding) < 0) {
		msp_findings_free(list);
		return MSP_ERR_NOMEM;
	}
	*findings = list;
	return rc;
}

static int read_text(struct msp_json **doc, struct msp_findings **findings,
		     const char *json, size_t len, struct msp_error_info *info)
{
	static const struct msp_json_limits limits = {
		.bytes = MSP_PROFILE_MAX_BYTES,
		.depth = PROFILE_DEPTH,
		.values = MSP_PROFILE_MAX_BYTES / 8,
		.flags = MSP_JSON_BOM,
	};
	struct msp_error_info cause = MSP_ERROR_INFO_INIT;
	int rc;

	rc = msp_json_parse(doc, json, len, &limits, &cause);
	if (rc == 0)
		return 0;
	rc = refuse_text(findings, &cause, rc);
	if (rc == MSP_ERR_NOMEM)
		return msp_fail(info, rc, "no memory for a profile");
	msp_fail_at(info, rc, cause.pointer, "%s", cause.text);
	if (cause.line)
		msp_info_place(info, json, len, cause.offset);
	return rc;
}

int msp_profile_read(struct msp_profile **out, struct msp_findings **findings,
		     const char *json, size_t len,
		     const struct msp_profile_opts *opts,
		     struct msp_error_info *info)
{
	static const struct msp_profile_opts none = MSP_PROFILE_OPTS_INIT;
	struct msp_json *doc = NULL;
	struct msp_reader r;
	int rc;

	if (findings)
		*findings = NULL;
	if (out)
		*out = NULL;
	if (!opts)
		opts = &none;
	if (!out || !msp_opts_ok(opts, opts->size, sizeof(*opts)) ||
	    (unsigned int)opts->form > MSP_PROFILE_LOCAL || opts->reserved)
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	rc = read_text(&doc, findings, json, len, info);
	if (rc < 0)
		return rc;
	if (open_reader(&r, info) == 0)
		read_form(&r, msp_json_root(doc), opts->form, opts->select);
	rc = close_reader(&r, out, findings);
	msp_json_free(doc);
	return rc;
}

int msp_profile_parse(struct msp_profile **out, const char *json, size_t len,
		      struct msp_error_info *info)
{
	return msp_profile_read(out, NULL, json, len, NULL, info);
}
