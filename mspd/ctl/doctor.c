/* SPDX-License-Identifier: MIT */
/*
 * In: this machine, or the files of one. Out: what is wrong with it, a line
 * each, and what helps. Must never call well what could not be looked at.
 */
#include "mspd/ctl/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: mspctl doctor [OPTION]...\n"
	"       mspctl doctor --error TEXT\n"
	"What keeps the agent of this machine from working, and what helps.\n"
	"\n"
	"  --config FILE  of the agent; default: where the agent looks\n"
	"  --error TEXT   what helps against this error, of Azure or the "
	"agent:\n"
	"                 its code or its text\n"
	"  --root DIR     look at the files below DIR instead, as of a disk "
	"that\n"
	"                 is mounted there; no connection is made\n"
	"  --json         one object\n"
	"\n"
	"It asks each endpoint that MSP protects one question, by which it "
	"sees\n"
	"where connections end; the agent counts and records them as it does\n"
	"those of anybody.\n"
	"\n"
	"Exit status: 0 nothing failed; 1 something did, or the error is not\n"
	"known; 64 usage.\n";

static const char collect[] =
	"if that does not help: mspctl collect writes a file for the support";

void ctl_find(struct ctl_doctor *d, enum ctl_health health, const char *name,
	      const char *remedy, const char *format, ...)
{
	struct ctl_finding *f;
	va_list args;

	d->at = ctl_grow(d->at, &d->room, d->n + 1, sizeof(*d->at));
	f = &d->at[d->n++];
	*f = (struct ctl_finding){ .health = health, .name = name };
	va_start(args, format);
	if (vasprintf(&f->seen, format, args) < 0)
		ctl_no_memory();
	va_end(args);
	if (remedy)
		f->remedy = ctl_copy(remedy, strlen(remedy));
}

const char *ctl_doctor_remedy(const struct ctl_doctor *d, const char *text)
{
	const struct ctl_failure *known = ctl_failure_find(text);

	if (!known)
		return "not known: mspctl collect writes a file for the "
		       "support";
	if (known->remedy == ctl_remedy_mount && *d->mount)
		return "cgroup v2 is mounted now; an agent that does not go on "
		       "by itself: mspctl collect, for the support";
	return known->remedy;
}

/* ---- the answer --------------------------------------------------------- */

static size_t count(const struct ctl_doctor *d, enum ctl_health health)
{
	size_t i, n = 0;

	for (i = 0; i < d->n; i++)
		n += d->at[i].health == health;
	return n;
}

static void put_line(struct ctl_text *out, const struct ctl_finding *f)
{
	static const char *const words[] = { "ok", "warn", "FAIL" };
	char columns[64];

	snprintf(columns, sizeof(columns), "%-4s  %-18s  ", words[f->health],
		 f->name);
	ctl_put(out, columns);
	ctl_put_shown(out, f->seen);
	ctl_put(out, "\n");
	if (!f->remedy)
		return;
	ctl_put(out, "      ");
	ctl_put_shown(out, f->remedy);
	ctl_put(out, "\n");
}

static void put_text(struct ctl_text *out, const struct ctl_doctor *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		put_line(out, &d->at[i]);
	if (!count(d, CTL_ILL))
		return;
	ctl_put_number(out, count(d, CTL_ILL));
	ctl_put(out, " failed; ");
	ctl_put(out, collect);
	ctl_put(out, "\n");
}

static void put_finding(struct ctl_text *out, const struct ctl_finding *f)
{
	static const char *const words[] = { "ok", "warn", "fail" };

	ctl_put(out, "{");
	ctl_put_member(out, "result");
	ctl_put_json(out, words[f->health]);
	ctl_put_member(out, "name");
	ctl_put_json(out, f->name);
	ctl_put_member(out, "seen");
	ctl_put_json(out, f->seen);
	ctl_put_member(out, "remedy");
	ctl_put_json(out, f->remedy);
	ctl_put(out, "}");
}

static void put_json(struct ctl_text *out, const struct ctl_doctor *d)
{
	size_t i;

	ctl_put(out, "{");
	ctl_put_member(out, "failed");
	ctl_put_number(out, count(d, CTL_ILL));
	ctl_put_member(out, "warned");
	ctl_put_number(out, count(d, CTL_DOUBT));
	ctl_put_member(out, "checks");
	ctl_put(out, "[");
	for (i = 0; i < d->n; i++) {
		if (i)
			ctl_put(out, ",");
		put_finding(out, &d->at[i]);
	}
	ctl_put(out, "]}\n");
}

/* ---- the examination ---------------------------------------------------- */

static void (*const checks[])(struct ctl_doctor *d) = {
	ctl_check_features,	ctl_check_btf,		ctl_check_cgroup,
	ctl_check_lockdown,	ctl_check_agent,	ctl_check_service,
	ctl_check_listener,	ctl_check_capabilities, ctl_check_hooks,
	ctl_check_probes,	ctl_check_host,		ctl_check_clock,
	ctl_check_keys,		ctl_check_modes,	ctl_check_status,
	ctl_check_protection,	ctl_check_rules,	ctl_check_trail,
	ctl_check_disk,		ctl_check_others,	ctl_check_cloud_init,
	ctl_check_provisioning,
};

void ctl_doctor_run(struct ctl_doctor *d, const char *config, const char *root)
{
	size_t i;

	d->root = root ? root : "";
	d->live = !root;
	d->path = config;
	ctl_check_config(d, config != NULL);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](d);
}

void ctl_doctor_put(struct ctl_text *out, const struct ctl_doctor *d, bool json)
{
	if (json)
		put_json(out, d);
	else
		put_text(out, d);
}

bool ctl_doctor_failed(const struct ctl_doctor *d)
{
	return count(d, CTL_ILL) > 0;
}

void ctl_doctor_free(struct ctl_doctor *d)
{
	size_t i;

	for (i = 0; i < d->n; i++) {
		free(d->at[i].seen);
		free(d->at[i].remedy);
	}
	free(d->at);
	yajl_tree_free(d->told);
	mspd_config_free(&d->config);
	memset(d, 0, sizeof(*d));
}

/* ---- an error that somebody got ----------------------------------------- */

static int explain(const char *text, bool json)
{
	const struct ctl_failure *known = ctl_failure_find(text);
	struct ctl_doctor d = { .root = "" };
	struct ctl_text out = { 0 };
	int status;

	if (known)
		ctl_find(&d, CTL_ILL, "error", known->remedy, "%s",
			 known->means);
	else
		ctl_find(&d, CTL_DOUBT, "error",
			 "mspctl doctor in the VM, then mspctl collect, which "
			 "writes a file for the support",
			 "not known: %s", text);
	if (json)
		put_json(&out, &d);
	else
		put_line(&out, &d.at[0]);
	status = ctl_answer(&out, known ? CTL_OK : CTL_NO);
	ctl_text_free(&out);
	ctl_doctor_free(&d);
	return status;
}

/* ---- the command -------------------------------------------------------- */

static int report(const char *config, const char *root, bool json)
{
	struct ctl_doctor *d = ctl_alloc(1, sizeof(*d));
	struct ctl_text out = { 0 };
	int status;

	ctl_doctor_run(d, config, root);
	ctl_doctor_put(&out, d, json);
	status = ctl_answer(&out, ctl_doctor_failed(d) ? CTL_NO : CTL_OK);
	ctl_text_free(&out);
	ctl_doctor_free(d);
	free(d);
	return status;
}

static int run(int argc, char **argv)
{
	const char *config = NULL, *root = NULL, *error = NULL;
	struct ctl_list operands = { 0 };
	bool json = false;
	const struct ctl_option options[] = {
		{ "config", CTL_TEXT, &config }, { "error", CTL_TEXT, &error },
		{ "root", CTL_TEXT, &root },	 { "json", CTL_FLAG, &json },
		{ NULL, CTL_FLAG, NULL },
	};
	int status = CTL_USAGE;

	if (!ctl_parse(options, argc, argv, &operands))
		status = CTL_USAGE;
	else if (operands.n)
		ctl_fail("%s: not an option", operands.at[0]);
	else if (error && (config || root))
		ctl_fail("--error: alone, or with --json");
	else if (error)
		status = explain(error, json);
	else
		status = report(config, root, json);
	free(operands.at);
	return status;
}

const struct ctl_command ctl_doctor_command = {
	.name = "doctor",
	.about = "what keeps the agent from working, and what helps",
	.help = help,
	.run = run,
};
