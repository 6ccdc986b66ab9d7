/* SPDX-License-Identifier: MIT */
/*
 * In: a profile of IMDS in any form, a user name and a request target.
 * Out: what became of each privilege and identity that was tried, a line each.
 * Never: asks the machine anything; the user need not exist.
 *
 *   list_tries PROFILE USER TARGET
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

static struct msp_rules *read_rules(const char *path)
{
	static char text[MSP_PROFILE_MAX_BYTES];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	FILE *file = fopen(path, "rb");
	struct msp_profile *profile;
	struct msp_rules *rules;
	size_t len;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (msp_profile_parse(&profile, text, len, &info) < 0)
		errx(1, "%s: %s: %s", path, info.pointer, info.text);
	if (msp_rules_compile(&rules, profile, 1) < 0)
		errx(1, "%s: cannot be compiled", path);
	msp_profile_free(profile);
	return rules;
}

static void list_tries(const struct msp_explanation *e)
{
	const struct msp_tried_privilege *p;
	const struct msp_tried_identity *who;
	size_t i, k;

	for (i = 0; (p = msp_explanation_privilege(e, i)); i++) {
		printf("%s: %s%s%s\n", p->name, msp_try_name(p->result),
		       p->param ? " " : "", p->param ? p->param : "");
		for (k = 0; (who = msp_explanation_identity(e, k)); k++)
			if (who->privilege == i)
				printf("  %s: %s\n", who->name,
				       msp_try_name(who->result));
	}
	printf("%zu more are about other paths\n", msp_explanation_others(e));
}

int main(int argc, char **argv)
{
	struct msp_caller caller = { .size = sizeof(caller) };
	struct msp_explanation *explanation = NULL;
	struct msp_request *request = NULL;
	struct msp_rules *rules;
	int rc;

	if (argc != 4)
		errx(2, "usage: PROFILE USER TARGET");
	rules = read_rules(argv[1]);
	caller.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES;
	caller.uid = caller.euid = 1000;
	caller.user_name = argv[2];
	rc = msp_request_new(&request);
	rc = rc ? rc
		: msp_request_set(request, "GET", 3, argv[3], strlen(argv[3]));
	rc = rc ? rc
		: msp_decision_explain(&explanation, rules, MSP_ENDPOINT_IMDS,
				       request, &caller);
	if (rc < 0)
		errx(1, "%s", msp_error_text(rc));
	list_tries(explanation);
	msp_explanation_free(explanation);
	msp_request_free(request);
	msp_rules_free(rules);
	return 0;
}
