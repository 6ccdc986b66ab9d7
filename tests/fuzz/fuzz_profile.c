/* SPDX-License-Identifier: MIT */
/*
 * In: any bytes. Out: nothing; aborts when a profile breaks what rules.c
 * relies on. Must never keep anything from one input to the next.
 */
#include <stdlib.h>
#include <string.h>

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
		     strcmp(param[-1].name.text, param->name.text) < 0);
	}
}

static void check_profile(const struct msp_profile *p)
{
	size_t i;

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
	for (i = 0; i < msp_profile_findings(p); i++)
		must(msp_profile_finding(p, i)->text[0]);
	must(msp_profile_equal(p, p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;
	int rc;

	rc = msp_profile_parse(&profile, (const char *)data, size, &info);
	if (rc == 0)
		check_profile(profile);
	else
		must(!profile && info.text[0] && info.offset <= size);
	msp_profile_free(profile);
	return 0;
}
