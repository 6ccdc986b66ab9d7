/* SPDX-License-Identifier: MIT */
/*
 * In: a profile, a request and a caller. Out: the verdict and its reasons.
 * Must never exit with 0 for what the agent would refuse.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/ctl/caller.h"
#include "mspd/ctl/request.h"

static const char help[] =
	"Usage: mspctl explain --profile FILE --endpoint ENDPOINT --url URL\n"
	"                      [OPTION]...\n"
	"Would this request be allowed, and why?\n"
	"\n"
	"  --profile FILE   in any form; '-': standard input\n"
	"  --select NAME    which version of a template\n"
	"  --endpoint E     imds, wireserver or hostga\n"
	"  --url URL        /path?query, or http://...\n"
	"  --method METHOD  default GET\n"
	"  --mode MODE      enforce, audit or disabled, whatever the profile\n"
	"                   says\n"
	"Who asks; default: the user who runs this, program unknown:\n"
	"  --user NAME      with the groups the user database has\n"
	"  --uid N          likewise\n"
	"  --group NAME     one more group; may be given again\n"
	"  --exe PATH       runs this program, taken as verified\n"
	"  --pid N          a process as it is now\n"
	"\n"
	"  --json           for programs\n"
	"\n"
	"Exit status: 0 allowed, also by mode audit; 1 denied; 2 no answer.\n";

struct request {
	const char *profile;
	const char *select;
	const char *url;
	const char *method;
	const char *user;
	const char *exe;
	struct ctl_list groups;
	struct ctl_number endpoint;
	struct ctl_number mode;
	struct ctl_number uid;
	struct ctl_number pid;
	bool json;
};

/* ---- who --------------------------------------------------------------- */

static bool one_user(const struct request *r)
{
	const int ways = !!r->user + r->uid.given + r->pid.given;

	if (ways > 1)
		ctl_fail("--user, --uid, --pid: only one of them");
	else if (r->pid.given && r->exe)
		ctl_fail("--pid: has a program, so not with --exe");
	else if (r->pid.given && (!r->pid.value || r->pid.value > INT32_MAX))
		ctl_fail("--pid: is no process");
	else
		return true;
	return false;
}

static void find_user(struct ctl_caller *who, const struct request *r)
{
	const uid_t uid = r->uid.given ? r->uid.value : getuid();

	if (!r->user) {
		if (!ctl_nss_uid(who, uid))
			ctl_note("user %u: has no name here",
				 (unsigned int)uid);
		return;
	}
	if (ctl_nss_user(who, r->user))
		return;
	ctl_caller_set_user(who, r->user);
	ctl_note("user %s: is not known here; taken as a name without groups",
		 r->user);
}

static bool find_caller(struct ctl_caller *who, const struct request *r)
{
	size_t i;

	if (!one_user(r))
		return false;
	if (r->pid.given) {
		if (!ctl_process_caller(who, (pid_t)r->pid.value))
			return false;
	} else {
		find_user(who, r);
	}
	if (r->exe && !ctl_caller_set_exe(who, r->exe)) {
		ctl_fail("--exe: longer than %d bytes",
			 MSP_CALLER_PATH_MAX - 1);
		return false;
	}
	if (r->exe)
		ctl_note("program %s: taken as verified", r->exe);
	for (i = 0; i < r->groups.n; i++) {
		if (ctl_caller_add_process_group(who, r->groups.at[i]))
			continue;
		ctl_fail("--group: more than are looked at");
		return false;
	}
	return true;
}

/* ---- what -------------------------------------------------------------- */

static int answer_misdirected(const struct request *r,
			      enum msp_endpoint endpoint)
{
	const char *why = "the URL names another endpoint: refused with 421 "
			  "before the rules are asked";
	struct ctl_text text = { 0 };
	int status;

	if (r->json) {
		ctl_put(&text, "{");
		ctl_put_member(&text, "verdict");
		ctl_put_json(&text, msp_verdict_name(MSP_DENY));
		ctl_put_member(&text, "reason");
		ctl_put_json(&text, "misdirected");
		ctl_put_member(&text, "reasonText");
		ctl_put_json(&text, why);
		ctl_put_member(&text, "endpoint");
		ctl_put_json(&text, ctl_endpoint_word(endpoint));
		ctl_put_member(&text, "method");
		ctl_put_json(&text, r->method);
		ctl_put_member(&text, "target");
		ctl_put_json(&text, r->url);
		ctl_put(&text, "}\n");
	} else {
		ctl_put(&text, "deny: ");
		ctl_put(&text, ctl_endpoint_word(endpoint));
		ctl_put(&text, " ");
		ctl_put_shown(&text, r->method);
		ctl_put(&text, " ");
		ctl_put_shown(&text, r->url);
		ctl_put(&text, "\nreason     misdirected: ");
		ctl_put(&text, why);
		ctl_put(&text, "\n");
	}
	status = ctl_answer(&text, CTL_NO);
	ctl_text_free(&text);
	return status;
}

/* ---- why --------------------------------------------------------------- */

static int answer(const struct msp_explanation *e, bool json)
{
	struct ctl_text text = { 0 };
	char *words = NULL;
	int status = CTL_NO;
	int rc = json ? msp_explanation_json(e, &words, NULL)
		      : msp_explanation_text(e, &words, NULL);

	if (rc < 0)
		return ctl_fail("%s", msp_error_text(rc));
	ctl_put(&text, words);
	if (json)
		ctl_put(&text, "\n");
	msp_text_free(words);
	if (msp_explanation_decision(e)->verdict != MSP_DENY)
		status = CTL_OK;
	status = ctl_answer(&text, status);
	ctl_text_free(&text);
	return status;
}

static int decide(const struct request *r, const struct msp_rules *rules,
		  const struct msp_request *request,
		  const struct ctl_caller *who)
{
	enum msp_endpoint endpoint = (enum msp_endpoint)r->endpoint.value;
	struct msp_explanation *e = NULL;
	int status, rc;

	if (ctl_request_misdirected(request, endpoint))
		return answer_misdirected(r, endpoint);
	rc = msp_decision_explain(&e, rules, endpoint, request, &who->facts);
	if (rc < 0)
		return ctl_fail("%s", msp_error_text(rc));
	status = answer(e, r->json);
	msp_explanation_free(e);
	return status;
}

static struct msp_rules *load_rules(const struct request *r)
{
	struct msp_profile *profile = ctl_read_profile(r->profile, r->select);
	struct msp_profile *changed = NULL;
	struct msp_rules *rules = NULL;

	if (profile && r->mode.given) {
		changed = ctl_with_mode(profile, (enum msp_mode)r->mode.value,
					r->profile);
		msp_profile_free(profile);
		profile = changed;
	}
	if (profile)
		rules = ctl_compile(profile, r->profile);
	msp_profile_free(profile);
	return rules;
}

static int explain(const struct request *r)
{
	struct msp_request *request = NULL;
	struct msp_rules *rules = NULL;
	struct ctl_caller who;
	int status = CTL_ERROR;

	ctl_caller_init(&who);
	if (msp_request_new(&request) < 0)
		ctl_no_memory();
	if (ctl_request_set(request, r->method, r->url) && find_caller(&who, r))
		rules = load_rules(r);
	if (rules)
		status = decide(r, rules, request, &who);
	msp_rules_free(rules);
	msp_request_free(request);
	ctl_caller_free(&who);
	return status;
}

static bool complete(const struct request *r, const struct ctl_list *operands)
{
	if (operands->n)
		ctl_fail("%s: not expected; see mspctl explain --help",
			 operands->at[0]);
	else if (!r->profile)
		ctl_fail("--profile: is missing");
	else if (!r->endpoint.given)
		ctl_fail("--endpoint: is missing");
	else if (!r->url)
		ctl_fail("--url: is missing");
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct request r = { .method = "GET" };
	const struct ctl_option options[] = {
		{ "profile", CTL_TEXT, &r.profile },
		{ "select", CTL_TEXT, &r.select },
		{ "endpoint", CTL_ENDPOINT, &r.endpoint },
		{ "method", CTL_TEXT, &r.method },
		{ "url", CTL_TEXT, &r.url },
		{ "mode", CTL_MODE, &r.mode },
		{ "user", CTL_TEXT, &r.user },
		{ "uid", CTL_NUMBER, &r.uid },
		{ "group", CTL_LIST, &r.groups },
		{ "exe", CTL_TEXT, &r.exe },
		{ "pid", CTL_NUMBER, &r.pid },
		{ "json", CTL_FLAG, &r.json },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_list operands = { 0 };
	int status = CTL_ERROR;

	if (ctl_parse(options, argc, argv, &operands) &&
	    complete(&r, &operands))
		status = explain(&r);
	free(operands.at);
	free(r.groups.at);
	return status;
}

const struct ctl_command ctl_explain = {
	.name = "explain",
	.about = "would a request be allowed, and why",
	.help = help,
	.run = run,
};
