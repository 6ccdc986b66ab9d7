/* SPDX-License-Identifier: MIT */
/*
 * In: audit trails. Out: the smallest profile that allows what they show. Must
 * never write one that refuses any of it, nor leave a line out in silence.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/audit_line.h"
#include "mspd/ctl/caller.h"
#include "mspd/ctl/learned.h"

static const char help[] =
	"Usage: mspctl learn [OPTION]... AUDITLOG...\n"
	"Write the smallest profile that allows what was allowed, by program.\n"
	"\n"
	"  --endpoint E      imds (default) or wireserver, with HostGAPlugin\n"
	"  --form FORM       arm (default): a template; wire; both\n"
	"  --mode MODE       audit (default) or enforce\n"
	"  --include-denied  also what was denied\n"
	"\n"
	"A path allows all that is below it. The trail has no values of query\n"
	"parameters, so what is learnt does not depend on them.\n"
	"\n"
	"Exit status: 0 written; 2 not.\n";

#define REPLACED "\xef\xbf\xbd" /* stands for what was not UTF-8 */

struct learn {
	struct ctl_number endpoint;
	struct ctl_number mode;
	const char *form;
	bool include_denied;
	bool json; /* errors are, as with the other commands */
	struct ctl_learned learned;
	struct msp_request *request;
	size_t lines;
	size_t taken;
	uint64_t merged; /* requests without a line of their own */
	size_t unreadable;
	size_t elsewhere; /* other endpoints */
	size_t denied;
	size_t exempt;	   /* allowed whatever the profile says */
	size_t impossible; /* refused whatever the profile says */
	size_t pathless;   /* merged with others that had other paths */
	size_t nameless;   /* the user has no name to be written */
	size_t cut;	   /* path not whole */
	size_t by_user;	   /* program not verified */
	size_t queries;
};

/* ---- one line ---------------------------------------------------------- */

static bool is(const struct ctl_audit_text *text, const char *word)
{
	return text->given && !strcmp(text->text, word);
}

static bool wanted_endpoint(const struct learn *l, const struct ctl_audit *a)
{
	enum msp_endpoint endpoint;

	if (!a->endpoint.given ||
	    !ctl_endpoint_named(a->endpoint.text, &endpoint))
		return false;
	/* one profile is for both */
	if (endpoint == MSP_ENDPOINT_HOSTGA)
		endpoint = MSP_ENDPOINT_WIRESERVER;
	return endpoint == (enum msp_endpoint)l->endpoint.value;
}

static bool refused(const struct ctl_audit *a)
{
	static const char *const reasons[] = { "refused", "unknown-caller",
					       "direct",  "not-root",
					       "canon",	  "error" };
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (is(&a->reason, reasons[i]))
			return true;
	return !a->known && !is(&a->reason, "other");
}

static bool impossible(const struct ctl_audit *a)
{
	return refused(a) || !a->path.given || !a->method.given;
}

/* A user who asks for too much has it merged, whatever the paths are. */
static bool pathless(const struct ctl_audit *a)
{
	return !refused(a) && !a->path.given;
}

static bool has_name(const struct ctl_audit *a)
{
	return a->user.given && a->user.text[0] &&
	       strlen(a->user.text) < CTL_AUDIT_TEXT &&
	       !strstr(a->user.text, REPLACED);
}

/* The program if the trail proves it, else "". */
static const char *program(const struct ctl_audit *a)
{
	if (!a->exe.given || strstr(a->exe.text, REPLACED) ||
	    a->exe.text[0] != '/' || strlen(a->exe.text) >= MSP_CALLER_PATH_MAX)
		return "";
	/* a replaced one matches too, where its agent takes it for verified */
	return is(&a->exe_state, "verified") || is(&a->exe_state, "replaced")
		       ? a->exe.text
		       : "";
}

/* Without the query; false, and counted: nothing that can be allowed. */
static bool canonical(struct learn *l, const struct ctl_audit *a, char *out,
		      size_t size)
{
	const char *path = a->path.text;
	size_t len = strcspn(path, "?");
	size_t n;

	if (!path[len] && len == CTL_AUDIT_TEXT) {
		l->cut++;
		return false;
	}
	if (!len ||
	    msp_request_set(l->request, a->method.text, strlen(a->method.text),
			    path, len) < 0 ||
	    msp_request_render(l->request, out, size, &n) < 0) {
		l->impossible++;
		return false;
	}
	if (n > 1 && out[n - 1] == '/')
		out[n - 1] = '\0'; /* shown, never matched */
	l->queries += path[len] == '?';
	return true;
}

/* false: cannot go on */
static bool learn_request(struct learn *l, const struct ctl_audit *a)
{
	char path[3 * CTL_AUDIT_TEXT + 4];
	const char *exe = program(a);

	if (!canonical(l, a, path, sizeof(path)))
		return true;
	l->taken++;
	l->by_user += !*exe;
	return ctl_learned_add(&l->learned, a->user.text, exe, path);
}

static bool learn_line(struct learn *l, const char *line, size_t len)
{
	struct ctl_audit a;

	l->lines++;
	if (!line || !ctl_audit_parse(&a, line, len)) {
		l->unreadable++;
		return true;
	}
	if (a.torn) { /* of no request */
		l->lines--;
		return true;
	}
	l->merged += a.merged;
	if (!is(&a.reason, "other") && !wanted_endpoint(l, &a))
		l->elsewhere++;
	else if (!is(&a.verdict, "allow") && !is(&a.verdict, "allow-audited") &&
		 !l->include_denied)
		l->denied++;
	else if (is(&a.reason, "exempt"))
		l->exempt++;
	else if (pathless(&a))
		l->pathless++;
	else if (impossible(&a))
		l->impossible++;
	else if (!has_name(&a))
		l->nameless++;
	else
		return learn_request(l, &a);
	return true;
}

static bool learn_file(struct learn *l, const char *path)
{
	struct ctl_lines *lines = ctl_lines_open(path);
	bool fine = true;
	const char *at;
	size_t len;

	if (!lines)
		return false;
	while (fine && ctl_lines_next(lines, &at, &len))
		fine = learn_line(l, at, len);
	return ctl_lines_close(lines) && fine;
}

/* ---- what is said ------------------------------------------------------ */

static void tell(size_t n, const char *what)
{
	if (n)
		ctl_note("%zu %s", n, what);
}

static void tell_counts(const struct learn *l)
{
	ctl_note("%zu lines, %zu learnt from", l->lines, l->taken);
	if (l->merged)
		ctl_note("%llu requests more are merged in these lines",
			 (unsigned long long)l->merged);
	tell(l->unreadable, "skipped: not readable");
	tell(l->elsewhere, "skipped: about other endpoints");
	tell(l->denied, "skipped: denied (--include-denied)");
	tell(l->exempt, "skipped: allowed whatever a profile says");
	tell(l->impossible, "skipped: refused whatever a profile says");
	tell(l->pathless, "skipped: merged, so that no path is told");
	tell(l->nameless, "skipped: the user has no name");
	tell(l->cut, "skipped: the path is cut");
	tell(l->by_user, "learnt by user: the program is not verified");
	tell(l->queries, "had query parameters: the trail has no values, so "
			 "no queryParameters were learnt");
}

static void tell_root_path(const struct learn *l)
{
	if (ctl_names_find(&l->learned.paths, "/", 1) != CTL_NONE)
		ctl_note("\"/\" was asked for: whoever did is allowed "
			 "everything");
}

/* ---- proof ------------------------------------------------------------- */

static bool granted(struct learn *l, const struct msp_rules *rules, size_t i)
{
	const struct ctl_pair pair = ctl_learned_pair(&l->learned, i);
	const char *path = l->learned.paths.at[pair.path];
	struct msp_decision d = { .size = sizeof(d) };
	struct ctl_caller who;
	bool fine;

	ctl_caller_init(&who);
	/* WireServer is root's, which is not what is looked at */
	who.facts.uid = who.facts.euid = 0;
	ctl_caller_set_user(&who, ctl_learned_user(&l->learned, pair.who));
	if (*ctl_learned_exe(&l->learned, pair.who))
		ctl_caller_set_exe(&who,
				   ctl_learned_exe(&l->learned, pair.who));
	fine = msp_request_set(l->request, "GET", 3, path, strlen(path)) == 0 &&
	       msp_decision_make(&d, rules,
				 (enum msp_endpoint)l->endpoint.value,
				 l->request, &who.facts) == 0 &&
	       d.reason == MSP_REASON_GRANTED;
	ctl_caller_free(&who);
	return fine;
}

/* The names of a profile come from a trail, and so from its callers: that it
 * means what it should is tried, not assumed. */
static bool allows_all(struct learn *l, const struct msp_profile *profile)
{
	struct msp_rules *rules = ctl_compile(profile, "what was learnt");
	bool fine = rules != NULL;
	size_t i;

	for (i = 0; fine && i < l->learned.pairs.n; i++) {
		fine = granted(l, rules, i);
		if (!fine)
			ctl_fail("what was learnt does not allow %s",
				 l->learned.paths
					 .at[ctl_learned_pair(&l->learned, i)
						     .path]);
	}
	msp_rules_free(rules);
	return fine;
}

/* ---- output ------------------------------------------------------------ */

static bool put_form(struct ctl_text *out, const struct learn *l,
		     const struct msp_profile *profile,
		     enum msp_profile_form form)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;

	opts.form = form;
	if (form == MSP_PROFILE_ARM)
		opts.flags = MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT;
	opts.endpoint = (enum msp_endpoint)l->endpoint.value;
	return ctl_put_profile(out, profile, &opts, "what was learnt");
}

static int write_profile(const struct learn *l,
			 const struct msp_profile *profile)
{
	const bool wire = strcmp(l->form, "arm") != 0;
	const bool arm = strcmp(l->form, "wire") != 0;
	struct ctl_text out = { 0 };
	int status = CTL_ERROR;

	if ((!arm || put_form(&out, l, profile, MSP_PROFILE_ARM)) &&
	    (!wire || put_form(&out, l, profile, MSP_PROFILE_WIRE)))
		status = ctl_answer(&out, CTL_OK);
	ctl_text_free(&out);
	return status;
}

static int finish(struct learn *l)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile = NULL;
	struct ctl_text json = { 0 };
	int status = CTL_ERROR;

	tell_counts(l);
	if (!l->taken)
		return ctl_fail("nothing to learn from");
	ctl_learned_write(&json, &l->learned,
			  (enum msp_endpoint)l->endpoint.value,
			  (enum msp_mode)l->mode.value);
	if (msp_profile_parse(&profile, json.at, json.len, &info) < 0)
		ctl_fail("more than a profile can have: %s", info.text);
	else if (allows_all(l, profile))
		status = write_profile(l, profile);
	if (status == CTL_OK)
		tell_root_path(l);
	msp_profile_free(profile);
	ctl_text_free(&json);
	return status;
}

static bool complete(const struct learn *l, const struct ctl_list *files)
{
	if (!files->n)
		ctl_fail("no audit trail; see mspctl learn --help");
	else if (l->endpoint.value == MSP_ENDPOINT_HOSTGA)
		ctl_fail("--endpoint hostga: follows the profile of "
			 "wireserver");
	else if (l->mode.value == MSP_MODE_DISABLED)
		ctl_fail("--mode disabled: allows everything");
	else if (strcmp(l->form, "arm") != 0 && strcmp(l->form, "wire") != 0 &&
		 strcmp(l->form, "both") != 0)
		ctl_fail("--form '%s': want arm, wire or both", l->form);
	else if (l->json && strcmp(l->form, "both") == 0)
		ctl_fail("--form both: not with --json, which is one object");
	else
		return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct learn l = { .form = "arm",
			   .endpoint = { .value = MSP_ENDPOINT_IMDS },
			   .mode = { .value = MSP_MODE_AUDIT } };
	const struct ctl_option options[] = {
		{ "endpoint", CTL_ENDPOINT, &l.endpoint },
		{ "form", CTL_TEXT, &l.form },
		{ "mode", CTL_MODE, &l.mode },
		{ "include-denied", CTL_FLAG, &l.include_denied },
		{ "json", CTL_FLAG, &l.json },
		{ NULL, CTL_FLAG, NULL },
	};
	struct ctl_list files = { 0 };
	int status = CTL_ERROR;
	bool fine;
	size_t i;

	if (msp_request_new(&l.request) < 0)
		ctl_no_memory();
	fine = ctl_parse(options, argc, argv, &files) && complete(&l, &files);
	for (i = 0; fine && i < files.n; i++)
		fine = learn_file(&l, files.at[i]);
	if (fine)
		status = finish(&l);
	msp_request_free(l.request);
	ctl_learned_free(&l.learned);
	free(files.at);
	return status;
}

const struct ctl_command ctl_learn = {
	.name = "learn",
	.about = "the smallest profile for what an audit trail shows",
	.help = help,
	.run = run,
};
