/* SPDX-License-Identifier: MIT */
/*
 * In: a profile of any form. Out: the same in the form asked for. Must never
 * leave out what counts, nor without a word what does not.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/ctl.h"

static const char help[] =
	"Usage: mspctl convert --to FORM [OPTION]... FILE\n"
	"Write a profile in another of its forms to standard output.\n"
	"\n"
	"  --to FORM         arm, wire or local\n"
	"  --select NAME     which version of a template\n"
	"  --compact         on one line\n"
	"ARM only:\n"
	"  --template        a template that deploys the profile and its "
	"version\n"
	"  --name NAME       gallery/profile/1.0.0\n"
	"  --location PLACE  needed without --template, if the file has none\n"
	"  --endpoint E      imds or wireserver, needed with --template, if "
	"the\n"
	"                    file does not say\n"
	"\n"
	"Exit status: 0 written; 2 not.\n";

struct convert {
	struct ctl_number to;
	struct ctl_number endpoint;
	const char *select;
	const char *name;
	const char *location;
	bool template;
	bool compact;
	bool json; /* errors are, as with the other commands */
};

/* What was not understood is not written. */
static void tell_warnings(const struct msp_profile *profile, const char *path)
{
	const struct msp_findings *list = msp_profile_findings(profile);
	const struct msp_finding *f;
	struct ctl_text line = { 0 };
	size_t i;

	for (i = 0; (f = msp_findings_get(list, i)); i++) {
		if (f->code != MSP_FINDING_UNKNOWN_FIELD &&
		    f->code != MSP_FINDING_DANGLING &&
		    f->code != MSP_FINDING_REPEATED)
			continue;
		line.len = 0;
		ctl_put_finding(&line, ctl_file_name(path), f);
		ctl_note("not written: %s", line.at);
	}
	if (msp_findings_cut(list))
		ctl_note("%s: perhaps more is not written",
			 ctl_file_name(path));
	ctl_text_free(&line);
}

/* What the other form cannot say. */
static void tell_losses(const struct msp_profile *profile, const char *path,
			enum msp_profile_form to)
{
	const char *name = ctl_file_name(path);

	if (to == MSP_PROFILE_LOCAL &&
	    msp_profile_form(profile) != MSP_PROFILE_LOCAL)
		ctl_note("%s: mode %s is not written: a local file has none",
			 name, msp_mode_name(msp_profile_mode(profile)));
	if (to == MSP_PROFILE_LOCAL ||
	    msp_profile_form(profile) != MSP_PROFILE_LOCAL)
		return;
	ctl_note("%s: a local file has no mode: written as %s", name,
		 msp_mode_name(msp_profile_mode(profile)));
	if (!msp_profile_has_access(profile))
		ctl_note("%s: it leaves defaultAccess to the host: written as "
			 "deny",
			 name);
}

static int write_as(const struct convert *c, const struct msp_profile *profile,
		    const char *path)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;
	struct ctl_text text = { 0 };
	int status = CTL_ERROR;

	opts.form = (enum msp_profile_form)c->to.value;
	opts.flags = (c->compact ? MSP_PROFILE_COMPACT : 0) |
		     (c->template ? MSP_PROFILE_TEMPLATE : 0) |
		     (c->endpoint.given ? MSP_PROFILE_ENDPOINT : 0);
	opts.name = c->name;
	opts.location = c->location;
	opts.endpoint = (enum msp_endpoint)c->endpoint.value;
	if (ctl_put_profile(&text, profile, &opts, path))
		status = ctl_answer(&text, CTL_OK);
	ctl_text_free(&text);
	return status;
}

static int convert(const struct convert *c, const char *path)
{
	struct msp_profile *profile = ctl_read_profile(path, c->select);
	int status = CTL_ERROR;

	if (profile) {
		tell_warnings(profile, path);
		tell_losses(profile, path, (enum msp_profile_form)c->to.value);
		status = write_as(c, profile, path);
	}
	msp_profile_free(profile);
	return status;
}

static bool complete(const struct convert *c, const struct ctl_list *files)
{
	const bool arm = c->to.value == MSP_PROFILE_ARM;

	if (!c->to.given)
		ctl_fail("--to: is missing");
	else if (files->n != 1)
		ctl_fail("one file; see mspctl convert --help");
	else if (!arm && (c->template || c->name || c->location))
		ctl_fail("--template, --name, --location: only with --to arm");
	else if (c->endpoint.given && !c->template)
		ctl_fail("--endpoint: only with --template");
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct convert c = { .select = NULL };
	const struct ctl_option options[] = {
		{ "to", CTL_FORM, &c.to },
		{ "select", CTL_TEXT, &c.select },
		{ "compact", CTL_FLAG, &c.compact },
		{ "template", CTL_FLAG, &c.template },
		{ "name", CTL_TEXT, &c.name },
		{ "location", CTL_TEXT, &c.location },
		{ "endpoint", CTL_ENDPOINT, &c.endpoint },
		{ "json", CTL_FLAG, &c.json },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_list files = { 0 };
	int status = CTL_ERROR;

	if (ctl_parse(options, argc, argv, &files) && complete(&c, &files))
		status = convert(&c, files.at[0]);
	free(files.at);
	return status;
}

const struct ctl_command ctl_convert = {
	.name = "convert",
	.about = "write a profile in another form",
	.help = help,
	.run = run,
};
