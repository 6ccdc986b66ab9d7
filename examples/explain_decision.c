/* SPDX-License-Identifier: MIT */
/*
 * In: a profile of IMDS in any form, a user name and a request target.
 * Out: the verdict, and how it came about: what was tried, and what failed.
 * Never: asks the machine anything; the user need not exist.
 *
 *   explain_decision [--json] PROFILE USER TARGET
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <string.h>

static struct msp_profile *read_profile(const char *path)
{
	static char text[MSP_PROFILE_MAX_BYTES];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (msp_profile_parse(&profile, text, len, &info) < 0)
		errx(1, "%s:%u:%u: %s: %s", path, info.line, info.column,
		     info.pointer, info.text);
	return profile;
}

int main(int argc, char **argv)
{
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct msp_caller caller = { .size = sizeof(caller) };
	struct msp_explanation *explanation = NULL;
	struct msp_request *request = NULL;
	struct msp_rules *rules = NULL;
	struct msp_profile *profile;
	char *text = NULL;
	int rc;

	argv += json;
	if (argc - json != 4)
		errx(2, "usage: [--json] PROFILE USER TARGET");
	profile = read_profile(argv[1]);
	caller.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES;
	caller.uid = caller.euid = 1000;
	caller.user_name = argv[2];
	rc = msp_rules_compile(&rules, profile, 1);
	rc = rc ? rc : msp_request_new(&request);
	rc = rc ? rc
		: msp_request_set(request, "GET", 3, argv[3], strlen(argv[3]));
	rc = rc ? rc
		: msp_decision_explain(&explanation, rules, MSP_ENDPOINT_IMDS,
				       request, &caller);
	if (rc == 0)
		rc = json ? msp_explanation_json(explanation, &text, NULL)
			  : msp_explanation_text(explanation, &text, NULL);
	if (rc == 0)
		fputs(text, stdout);
	else
		fprintf(stderr, "%s\n", msp_error_text(rc));
	msp_text_free(text);
	msp_explanation_free(explanation);
	msp_request_free(request);
	msp_rules_free(rules);
	msp_profile_free(profile);
	return rc == 0 ? 0 : 1;
}
