/* SPDX-License-Identifier: MIT */
/*
 * In: two profiles, and requests. Out: which of them get another verdict. Must
 * never call two profiles the same when a request could not be tried.
 */
#include "mspd/ctl/diff.h"

#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/request.h"

static const char help[] =
	"Usage: mspctl diff [OPTION]... OLD NEW\n"
	"Which requests would get another verdict?\n"
	"\n"
	"  --requests FILE  lines of audit.jsonl, or lines\n"
	"                     METHOD ENDPOINT URL [user=NAME] [exe=PATH]\n"
	"                     [group=NAME]...\n"
	"                   with \"...\" around what has blanks. Without it\n"
	"                   requests are made of the two profiles: each path,\n"
	"                   its parent, one below and one beside it, as each\n"
	"                   identity, as root and as nobody in particular\n"
	"  --endpoint E     of these requests: imds, wireserver or hostga;\n"
	"                   default: what the profiles say, else imds\n"
	"  --select-old NAME, --select-new NAME\n"
	"                   which version of a template\n"
	"  --json           for programs\n"
	"\n"
	"Exit status: 0 all the same; 1 some change; 2 no answer, or not a\n"
	"whole one.\n";

struct options {
	const char *requests;
	const char *select[2];
	struct ctl_number endpoint;
	bool json;
};

/* ---- what changes ------------------------------------------------------ */

static void put_member(struct ctl_text *out, const char *name, const char *text)
{
	ctl_put_member(out, name);
	ctl_put_json(out, text);
}

static void put_decision(struct ctl_text *out, const char *name,
			 const struct msp_decision *d)
{
	ctl_put_member(out, name);
	ctl_put(out, "{");
	put_member(out, "verdict", msp_verdict_name(d->verdict));
	put_member(out, "reason", msp_reason_name(d->reason));
	put_member(out, "privilege", d->privilege);
	put_member(out, "identity", d->identity);
	ctl_put(out, "}");
}

/* Those of the user, and those of the process. */
static void put_groups(struct ctl_text *out, const struct ctl_caller *who)
{
	size_t i;

	ctl_put(out, "[");
	for (i = 0; i < who->facts.n_groups; i++) {
		ctl_put(out, i ? "," : "");
		ctl_put_json(out, who->groups[i]);
	}
	for (i = 0; i < who->facts.n_process_groups; i++) {
		ctl_put(out, i || who->facts.n_groups ? "," : "");
		ctl_put_json(out, who->process_groups[i]);
	}
	ctl_put(out, "]");
}

static void put_json(struct ctl_diff *diff, const char *url,
		     const struct ctl_caller *who, const char *label,
		     const struct msp_decision d[2])
{
	struct ctl_text *out = &diff->out;
	const char *exe = who->facts.exe_path;

	ctl_put(out, diff->changed > 1 ? ",{" : "{");
	put_decision(out, "old", &d[0]);
	put_decision(out, "new", &d[1]);
	put_member(out, "endpoint", ctl_endpoint_word(diff->endpoint));
	put_member(out, "method", msp_request_method(diff->request));
	put_member(out, "url", url);
	put_member(out, "caller", label);
	put_member(out, "user", who->facts.user_name);
	put_member(out, "exe", *exe ? exe : NULL);
	ctl_put_member(out, "groups");
	put_groups(out, who);
	ctl_put(out, "}");
}

/* What of the two says most about the change. */
static void put_why(struct ctl_text *out, const struct msp_decision d[2])
{
	const size_t side = d[1].privilege || !d[0].privilege;

	ctl_put(out, " (");
	if (d[side].privilege) {
		ctl_put(out, "privilege \"");
		ctl_put_shown(out, d[side].privilege);
		ctl_put(out, "\"");
	} else {
		ctl_put(out, msp_reason_name(d[side].reason));
	}
	ctl_put(out, side ? " in NEW)\n" : " in OLD)\n");
}

static void put_line(struct ctl_diff *diff, const char *url, const char *label,
		     const struct msp_decision d[2])
{
	struct ctl_text *out = &diff->out;

	ctl_put(out, msp_verdict_name(d[0].verdict));
	ctl_put(out, " -> ");
	ctl_put(out, msp_verdict_name(d[1].verdict));
	ctl_put(out, "  ");
	ctl_put(out, ctl_endpoint_word(diff->endpoint));
	ctl_put(out, " ");
	ctl_put_shown(out, msp_request_method(diff->request));
	ctl_put(out, " ");
	ctl_put_shown(out, url);
	ctl_put(out, " as ");
	ctl_put_shown(out, label);
	put_why(out, d);
}

bool ctl_diff_request(struct ctl_diff *diff, enum msp_endpoint endpoint,
		      const char *method, const char *url)
{
	diff->endpoint = endpoint;
	if (!ctl_request_set(diff->request, method, url))
		return false;
	diff->misdirected = ctl_request_misdirected(diff->request, endpoint);
	return true;
}

bool ctl_diff_try(struct ctl_diff *diff, const char *url,
		  const struct ctl_caller *who, const char *label)
{
	struct msp_decision d[2] = { { .size = sizeof(d[0]) },
				     { .size = sizeof(d[1]) } };
	int i, rc;

	diff->tried++;
	if (diff->misdirected)
		return true;
	for (i = 0; i < 2; i++) {
		rc = msp_decision_make(&d[i], diff->rules[i], diff->endpoint,
				       diff->request, &who->facts);
		if (rc < 0) {
			ctl_fail("%s", msp_error_text(rc));
			return false;
		}
	}
	if (d[0].verdict == d[1].verdict)
		return true;
	diff->changed++;
	if (diff->json)
		put_json(diff, url, who, label, d);
	else
		put_line(diff, url, label, d);
	return true;
}

/* ---- the end ----------------------------------------------------------- */

static void tell(const struct ctl_diff *diff)
{
	ctl_note("%zu requests tried, %zu change", diff->tried, diff->changed);
	if (diff->skipped)
		ctl_note("%zu lines skipped: refused before any rules, or "
			 "merged without a path",
			 diff->skipped);
	if (diff->queries)
		ctl_note("%zu lines have query parameters without values: "
			 "tried without",
			 diff->queries);
	if (diff->unreadable)
		ctl_fail("%zu lines are not readable", diff->unreadable);
}

static int finish(struct ctl_diff *diff)
{
	int status = diff->changed ? CTL_NO : CTL_OK;

	tell(diff);
	if (diff->unreadable)
		status = CTL_ERROR;
	if (diff->json) {
		ctl_put(&diff->out, "]");
		ctl_put_member(&diff->out, "tried");
		ctl_put_number(&diff->out, diff->tried);
		ctl_put_member(&diff->out, "changed");
		ctl_put_number(&diff->out, diff->changed);
		ctl_put_member(&diff->out, "skipped");
		ctl_put_number(&diff->out, diff->skipped);
		ctl_put_member(&diff->out, "unreadable");
		ctl_put_number(&diff->out, diff->unreadable);
		ctl_put(&diff->out, "}\n");
	}
	return ctl_answer(&diff->out, status);
}

/* What the option says, else a profile, else IMDS. */
static enum msp_endpoint endpoint_of(const struct options *o,
				     struct msp_profile *const profiles[2])
{
	enum msp_endpoint endpoint = MSP_ENDPOINT_IMDS;

	if (o->endpoint.given)
		return (enum msp_endpoint)o->endpoint.value;
	if (!msp_profile_endpoint(profiles[1], &endpoint) &&
	    !msp_profile_endpoint(profiles[0], &endpoint))
		return MSP_ENDPOINT_IMDS;
	return endpoint;
}

static int compare(struct ctl_diff *diff, const struct options *o,
		   const char *const paths[2])
{
	struct msp_profile *profiles[2] = { NULL, NULL };
	int status = CTL_ERROR;
	bool fine = true;
	int i;

	for (i = 0; i < 2; i++) {
		profiles[i] = ctl_read_profile(paths[i], o->select[i]);
		if (profiles[i])
			diff->rules[i] = ctl_compile(profiles[i], paths[i]);
		fine = fine && diff->rules[i];
	}
	if (fine && o->requests)
		fine = ctl_diff_corpus(diff, o->requests);
	else if (fine)
		fine = ctl_diff_generate(diff, profiles, paths,
					 endpoint_of(o, profiles));
	if (fine)
		status = finish(diff);
	for (i = 0; i < 2; i++) {
		msp_profile_free(profiles[i]);
		msp_rules_free(diff->rules[i]);
	}
	return status;
}

static bool complete(const struct options *o, const struct ctl_list *files)
{
	int from_stdin = 0;
	size_t i;

	for (i = 0; i < files->n; i++)
		from_stdin += !strcmp(files->at[i], "-");
	from_stdin += o->requests && !strcmp(o->requests, "-");
	if (files->n != 2)
		ctl_fail("two profiles; see mspctl diff --help");
	else if (from_stdin > 1)
		ctl_fail("-: standard input can be read once");
	else if (o->requests && o->endpoint.given)
		ctl_fail("--endpoint: not with --requests, which say theirs");
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct options o = { .requests = NULL };
	const struct ctl_option options[] = {
		{ "requests", CTL_TEXT, &o.requests },
		{ "select-old", CTL_TEXT, &o.select[0] },
		{ "select-new", CTL_TEXT, &o.select[1] },
		{ "endpoint", CTL_ENDPOINT, &o.endpoint },
		{ "json", CTL_FLAG, &o.json },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_diff diff = { .request = NULL };
	struct ctl_list files = { 0 };
	int status = CTL_ERROR;

	if (msp_request_new(&diff.request) < 0)
		ctl_no_memory();
	if (ctl_parse(options, argc, argv, &files) && complete(&o, &files)) {
		diff.json = o.json;
		if (o.json)
			ctl_put(&diff.out, "{\"changes\":[");
		status = compare(&diff, &o, files.at);
	}
	msp_request_free(diff.request);
	ctl_text_free(&diff.out);
	free(files.at);
	return status;
}

const struct ctl_command ctl_diff = {
	.name = "diff",
	.about = "which requests get another verdict",
	.help = help,
	.run = run,
};
