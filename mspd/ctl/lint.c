/* SPDX-License-Identifier: MIT */
/*
 * In: profiles. Out: all that is wrong or odd about them. Must never call a
 * file clean that could not be read.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/exefile.h"

static const char help[] =
	"Usage: mspctl lint [OPTION]... FILE...\n"
	"What is wrong with a profile, and what its owner may not have meant.\n"
	"\n"
	"  --endpoint E    imds, wireserver or hostga, if the file does not "
	"say\n"
	"  --select NAME   which version of a template\n"
	"  --no-files      do not look for programs on this machine\n"
	"  --json          for programs\n"
	"\n"
	"Exit status: 0 neither errors nor warnings; 1 some; 2 a file could\n"
	"not be read.\n";

struct lint {
	const char *select;
	struct ctl_number endpoint;
	bool no_files;
	bool json;
	struct ctl_text out;
	size_t files;
	size_t count[3]; /* by enum msp_severity */
	bool unreadable;
};

/* ---- one file ---------------------------------------------------------- */

/* Findings of a document; NULL: out of memory or worse, said. */
static struct msp_findings *find(struct lint *l, const char *path,
				 const struct ctl_text *json, bool *refused)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_lint_opts how = MSP_LINT_OPTS_INIT;
	struct msp_findings *findings = NULL, *more = NULL;
	struct msp_profile *profile = NULL;
	int rc;

	opts.select = l->select;
	rc = msp_profile_read(&profile, &findings, json->at ? json->at : "",
			      json->len, &opts, NULL);
	*refused = rc < 0;
	if (rc < 0) {
		if (!findings)
			ctl_fail("%s: %s", path, msp_error_text(rc));
		return findings;
	}
	msp_findings_free(findings);
	if (l->endpoint.given) {
		how.flags = MSP_LINT_ENDPOINT;
		how.endpoint = (enum msp_endpoint)l->endpoint.value;
	}
	if (!l->no_files)
		how.file = ctl_exefile_look;
	rc = msp_profile_lint(&more, profile, &how);
	if (rc < 0)
		ctl_fail("%s: %s", path, msp_error_text(rc));
	msp_profile_free(profile);
	return more;
}

static void put_findings(struct lint *l, const char *path,
			 const struct msp_findings *findings)
{
	const struct msp_finding *f;
	size_t i;

	for (i = 0; (f = msp_findings_get(findings, i)); i++) {
		l->count[f->severity]++;
		if (l->json) {
			ctl_put(&l->out, i ? "," : "");
			ctl_put_finding_json(&l->out, f);
		} else {
			ctl_put_finding(&l->out, path, f);
			ctl_put(&l->out, "\n");
		}
	}
}

static void put_bool(struct ctl_text *text, const char *name, bool value)
{
	ctl_put_member(text, name);
	ctl_put(text, value ? "true" : "false");
}

/* @findings NULL: the file could not be read. */
static void put_file(struct lint *l, const char *path,
		     const struct msp_findings *findings, bool refused)
{
	if (!l->json) {
		put_findings(l, path, findings);
		if (msp_findings_cut(findings))
			ctl_note("%s: and more", path);
		return;
	}
	ctl_put(&l->out, l->files ? ",{" : "{");
	ctl_put_member(&l->out, "file");
	ctl_put_json(&l->out, path);
	put_bool(&l->out, "read", findings != NULL);
	put_bool(&l->out, "valid", findings && !refused);
	put_bool(&l->out, "cut", msp_findings_cut(findings));
	ctl_put_member(&l->out, "findings");
	ctl_put(&l->out, "[");
	put_findings(l, path, findings);
	ctl_put(&l->out, "]}");
}

static void lint_file(struct lint *l, const char *path)
{
	struct msp_findings *findings = NULL;
	struct ctl_text json = { 0 };
	bool refused = false;

	if (ctl_read_file(&json, path, MSP_PROFILE_MAX_BYTES))
		findings = find(l, ctl_file_name(path), &json, &refused);
	l->unreadable = l->unreadable || !findings;
	put_file(l, ctl_file_name(path), findings, refused);
	l->files++;
	msp_findings_free(findings);
	ctl_text_free(&json);
}

/* ---- all --------------------------------------------------------------- */

static int finish(struct lint *l)
{
	static const char *const names[] = { "warnings", "errors", "notes" };
	int status = CTL_OK;
	size_t i;

	if (l->json) {
		ctl_put(&l->out, "]");
		for (i = 0; i < 3; i++) {
			ctl_put_member(&l->out, names[i]);
			ctl_put_number(&l->out, l->count[i]);
		}
		ctl_put(&l->out, "}\n");
	}
	if (l->count[MSP_SEVERITY_WARNING] + l->count[MSP_SEVERITY_ERROR])
		status = CTL_NO;
	if (l->unreadable)
		status = CTL_ERROR;
	return ctl_answer(&l->out, status);
}

static bool complete(const struct ctl_list *files)
{
	size_t i, standard = 0;

	for (i = 0; i < files->n; i++)
		standard += strcmp(files->at[i], "-") == 0;
	if (!files->n)
		ctl_fail("no file; see mspctl lint --help");
	else if (standard > 1)
		ctl_fail("-: standard input can be read once");
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct lint l = { .select = NULL };
	const struct ctl_option options[] = {
		{ "endpoint", CTL_ENDPOINT, &l.endpoint },
		{ "select", CTL_TEXT, &l.select },
		{ "no-files", CTL_FLAG, &l.no_files },
		{ "json", CTL_FLAG, &l.json },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_list files = { 0 };
	int status = CTL_ERROR;
	size_t i;

	if (!ctl_parse(options, argc, argv, &files) || !complete(&files))
		goto out;
	if (l.json)
		ctl_put(&l.out, "{\"files\":[");
	for (i = 0; i < files.n; i++)
		lint_file(&l, files.at[i]);
	status = finish(&l);
out:
	ctl_text_free(&l.out);
	free(files.at);
	return status;
}

const struct ctl_command ctl_lint = {
	.name = "lint",
	.about = "what is wrong or odd about a profile",
	.help = help,
	.run = run,
};
