/* SPDX-License-Identifier: MIT */
/*
 * In: files. Out: profiles and rules, or all that is wrong with them. Must
 * never go on with a profile that the agent would refuse.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/ctl.h"
#include "mspd/ctl/wire.h"

/* ---- findings ---------------------------------------------------------- */

void ctl_put_finding(struct ctl_text *text, const char *path,
		     const struct msp_finding *f)
{
	ctl_put_shown(text, path);
	if (f->line) {
		ctl_put(text, ":");
		ctl_put_number(text, f->line);
		ctl_put(text, ":");
		ctl_put_number(text, f->column);
	}
	ctl_put(text, ": ");
	ctl_put(text, msp_severity_name(f->severity));
	ctl_put(text, ": ");
	if (*f->pointer) {
		ctl_put_shown(text, f->pointer);
		ctl_put(text, ": ");
	}
	ctl_put_shown(text, f->text);
	ctl_put(text, " [");
	ctl_put(text, msp_finding_code_name(f->code));
	ctl_put(text, "]");
}

void ctl_put_finding_json(struct ctl_text *text, const struct msp_finding *f)
{
	ctl_put(text, "{");
	ctl_put_member(text, "severity");
	ctl_put_json(text, msp_severity_name(f->severity));
	ctl_put_member(text, "code");
	ctl_put_json(text, msp_finding_code_name(f->code));
	ctl_put_member(text, "line");
	ctl_put_number(text, f->line);
	ctl_put_member(text, "column");
	ctl_put_number(text, f->column);
	ctl_put_member(text, "pointer");
	ctl_put_json(text, f->pointer);
	ctl_put_member(text, "text");
	ctl_put_json(text, f->text);
	ctl_put(text, "}");
}

/* Errors only: warnings are what lint is for. */
static void tell_errors(const char *path, const struct msp_findings *findings)
{
	const struct msp_finding *f;
	struct ctl_text line = { 0 };
	size_t i;

	for (i = 0; (f = msp_findings_get(findings, i)); i++) {
		if (f->severity != MSP_SEVERITY_ERROR)
			continue;
		line.len = 0;
		ctl_put_finding(&line, path, f);
		ctl_fail("%s", line.at);
	}
	if (msp_findings_cut(findings))
		ctl_note("%s: and more", path);
	ctl_text_free(&line);
}

/* ---- profiles ---------------------------------------------------------- */

struct msp_profile *ctl_read_profile(const char *path, const char *select)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_findings *findings = NULL;
	struct msp_profile *profile = NULL;
	struct ctl_text json = { 0 };
	int rc;

	opts.select = select;
	if (!ctl_read_file(&json, path, MSP_PROFILE_MAX_BYTES)) {
		ctl_text_free(&json);
		return NULL;
	}
	rc = msp_profile_read(&profile, &findings, json.at ? json.at : "",
			      json.len, &opts, NULL);
	if (rc < 0) {
		tell_errors(ctl_file_name(path), findings);
		if (!msp_findings_errors(findings))
			ctl_fail("%s: %s", ctl_file_name(path),
				 msp_error_text(rc));
	}
	msp_findings_free(findings);
	ctl_text_free(&json);
	return profile;
}

struct msp_rules *ctl_compile(const struct msp_profile *profile,
			      const char *path)
{
	struct msp_rules *rules = NULL;
	int rc = msp_rules_compile(&rules, profile, 1);

	if (rc < 0)
		ctl_fail("%s: %s", ctl_file_name(path), msp_error_text(rc));
	return rules;
}

struct msp_profile *ctl_with_mode(const struct msp_profile *profile,
				  enum msp_mode mode, const char *path)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *changed = NULL;
	struct ctl_text text = { 0 };
	struct ctl_wire wire = { 0 };

	if (!ctl_wire_open(&wire, profile, path))
		return NULL;
	ctl_wire_put(&text, &wire, mode);
	ctl_wire_close(&wire);
	if (msp_profile_parse(&changed, text.at, text.len, &info) < 0)
		ctl_fail("%s: in another mode: %s", ctl_file_name(path),
			 info.text);
	ctl_text_free(&text);
	return changed;
}

/* Appends it; false: what is wrong was said. */
static bool put_profile(struct ctl_text *out, const struct msp_profile *profile,
			const struct msp_profile_write_opts *opts,
			const char *path)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *words = NULL;
	size_t len = 0;
	int rc = msp_profile_write(&words, &len, profile, opts, &info);

	if (rc < 0) {
		ctl_fail("%s: %s", ctl_file_name(path),
			 *info.text ? info.text : msp_error_text(rc));
		return false;
	}
	ctl_put_json_text(out, words);
	if (!len || words[len - 1] != '\n')
		ctl_put(out, "\n");
	msp_text_free(words);
	return true;
}

bool ctl_put_profile(struct ctl_text *out, const struct msp_profile *profile,
		     const struct msp_profile_write_opts *opts,
		     const char *path)
{
	struct msp_profile_write_opts compact = *opts;
	const size_t before = out->len;

	if (!put_profile(out, profile, opts, path))
		return false;
	if (out->len - before <= MSP_PROFILE_MAX_BYTES)
		return true;
	out->len = before;
	compact.flags |= MSP_PROFILE_COMPACT;
	if (!put_profile(out, profile, &compact, path))
		return false;
	if (out->len - before <= MSP_PROFILE_MAX_BYTES)
		return true;
	ctl_fail("%s: has %zu bytes in that form, at most %d are read back",
		 ctl_file_name(path), out->len - before, MSP_PROFILE_MAX_BYTES);
	return false;
}
