/* SPDX-License-Identifier: MIT */
/*
 * In: any bytes. Out: nothing; aborts when a profile breaks what rules.c
 * relies on, when its findings contradict the answer, or when it is written as
 * something else. Must never keep anything from one input to the next.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <msp/lint.h>

#include "libmsp/profile_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_text(const struct msp_text *text)
{
	must(text->text && strlen(text->text) == text->len);
}

static void check_list(const uint32_t *list, size_t n, size_t limit)
{
	size_t i;

	for (i = 0; i < n; i++)
		must(list[i] < limit);
}

static void check_privilege(const struct msp_privilege *privilege)
{
	size_t i;

	check_text(&privilege->name);
	check_text(&privilege->path);
	for (i = 0; i < privilege->n_params; i++) {
		const struct msp_param *param = &privilege->params[i];

		check_text(&param->name);
		check_text(&param->value);
		must(i == 0 ||
		     strcasecmp(param[-1].name.text, param->name.text) < 0);
	}
}

static void check_profile(const struct msp_profile *p)
{
	const struct msp_finding *f;
	size_t i;

	if (p->id.text)
		check_text(&p->id);
	for (i = 0; i < p->n_privileges; i++)
		check_privilege(&p->privileges[i]);
	for (i = 0; i < p->n_roles; i++) {
		check_text(&p->roles[i].name);
		check_list(p->roles[i].privileges, p->roles[i].n_privileges,
			   p->n_privileges);
	}
	for (i = 0; i < p->n_identities; i++)
		check_text(&p->identities[i].name);
	for (i = 0; i < p->n_assignments; i++) {
		must(p->assignments[i].role < p->n_roles);
		check_list(p->assignments[i].identities,
			   p->assignments[i].n_identities, p->n_identities);
	}
	for (i = 0; (f = msp_findings_get(msp_profile_findings(p), i)); i++)
		must(f->text[0]);
	must(msp_profile_equal(p, p));
}

static struct msp_profile *read_again(const char *text, size_t len,
				      enum msp_profile_form form)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_profile *again;
	int rc;

	rc = msp_profile_read(&again, NULL, text, len, &opts, NULL);
	must(rc == 0 || (rc == MSP_ERR_LIMIT && len > MSP_PROFILE_MAX_BYTES));
	must(!again || msp_profile_form(again) == form);
	return again;
}

/* Written and read it is the same, also what it warns of. */
static void check_form(const struct msp_profile *p, enum msp_profile_form form,
		       uint32_t flags)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;
	struct msp_profile *again;
	char *text;
	size_t len;
	int rc;

	opts.form = form;
	opts.flags = flags;
	opts.location = "westus";
	opts.endpoint = MSP_ENDPOINT_IMDS;
	rc = msp_profile_write(&text, &len, p, &opts, NULL);
	if (form == MSP_PROFILE_LOCAL &&
	    (rc == MSP_ERR_SCHEMA || rc == MSP_ERR_LIMIT))
		return;
	must(rc == 0 && strlen(text) == len);
	again = read_again(text, len, form);
	msp_text_free(text);
	if (!again)
		return;
	check_profile(again);
	/* a template has no id, a local file no mode */
	if (flags & MSP_PROFILE_TEMPLATE)
		again->id = p->id;
	if (form == MSP_PROFILE_LOCAL)
		again->mode = p->mode;
	must(msp_profile_equal(p, again));
	msp_profile_free(again);
}

static void check_findings(const struct msp_findings *list, int rc)
{
	const struct msp_finding *f;
	size_t i, errors = 0;

	for (i = 0; (f = msp_findings_get(list, i)); i++) {
		errors += f->severity == MSP_SEVERITY_ERROR;
		must(f->text[0] && msp_finding_code_name(f->code)[0]);
	}
	must((rc < 0) == (errors > 0));
	must(errors == msp_findings_errors(list) || msp_findings_cut(list));
}

static int lint_arg;

/* A file that is not what its path seems, told by the path alone. */
static int any_file(void *arg, const char *path, struct msp_lint_file *out)
{
	size_t len = strlen(path);

	must(arg == &lint_arg && out->size == sizeof(*out));
	must(path[0] == '/');
	if (len % 5 == 0)
		return -1;
	out->exists = len % 4 != 0;
	out->mode = (uint32_t)len * 0x1249;
	out->uid = len % 3;
	out->others_can_write = len % 2;
	memset(out->real, '/', sizeof(out->real)); /* not even terminated */
	return 0;
}

static void check_lint(const struct msp_profile *p)
{
	struct msp_lint_opts opts = MSP_LINT_OPTS_INIT;
	const struct msp_finding *f;
	struct msp_findings *list;
	size_t i;

	opts.file = any_file;
	opts.arg = &lint_arg;
	must(msp_profile_lint(&list, p, &opts) == 0);
	must(msp_findings_errors(list) == 0);
	must(msp_findings_count(list) >=
		     msp_findings_count(msp_profile_findings(p)) ||
	     msp_findings_cut(list));
	for (i = 0; (f = msp_findings_get(list, i)); i++)
		must(f->text[0] && (!f->pointer[0] || f->pointer[0] == '/'));
	msp_findings_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_findings *list;
	struct msp_profile *profile;
	int rc;

	rc = msp_profile_read(&profile, &list, (const char *)data, size, NULL,
			      &info);
	check_findings(list, rc);
	msp_findings_free(list);
	if (rc < 0) {
		must(!profile && info.text[0] && info.offset <= size);
		return 0;
	}
	check_profile(profile);
	check_lint(profile);
	check_form(profile, MSP_PROFILE_WIRE, 0);
	check_form(profile, MSP_PROFILE_ARM, MSP_PROFILE_COMPACT);
	check_form(profile, MSP_PROFILE_ARM,
		   MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT);
	check_form(profile, MSP_PROFILE_LOCAL, 0);
	msp_profile_free(profile);
	return 0;
}
