/* SPDX-License-Identifier: MIT */
/*
 * In: a profile of IMDS in any form, a user name and a request target.
 * Out: what the profile says about that, and all that is odd about the profile.
 * Never: asks the machine anything; the user need not exist.
 *
 *   check_profile PROFILE USER TARGET
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct msp_profile *read_profile(const char *path)
{
	static char text[MSP_PROFILE_MAX_BYTES];
	const struct msp_finding *finding;
	struct msp_findings *list;
	struct msp_profile *profile;
	FILE *file = fopen(path, "rb");
	size_t i, len;
	int rc;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	rc = msp_profile_read(&profile, &list, text, len, NULL, NULL);
	for (i = 0; (finding = msp_findings_get(list, i)); i++)
		printf("%s:%u:%u: %s: %s: %s\n", path, finding->line,
		       finding->column, msp_severity_name(finding->severity),
		       finding->pointer, finding->text);
	msp_findings_free(list);
	if (rc < 0)
		exit(1);
	return profile;
}

int main(int argc, char **argv)
{
	struct msp_caller caller = { .size = sizeof(caller) };
	struct msp_decision decision = { .size = sizeof(decision) };
	struct msp_request *request = NULL;
	struct msp_rules *rules = NULL;
	struct msp_profile *profile;
	int rc;

	if (argc != 4)
		errx(2, "usage: PROFILE USER TARGET");
	profile = read_profile(argv[1]);
	caller.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES;
	caller.uid = caller.euid = 1000;
	caller.user_name = argv[2];
	rc = msp_rules_compile(&rules, profile, 1);
	if (rc == 0)
		rc = msp_request_new(&request);
	if (rc == 0)
		rc = msp_request_set(request, "GET", 3, argv[3],
				     strlen(argv[3]));
	if (rc == 0)
		rc = msp_decision_make(&decision, rules, MSP_ENDPOINT_IMDS,
				       request, &caller);
	if (rc == 0)
		printf("%s: %s, privilege %s, identity %s\n",
		       msp_verdict_name(decision.verdict),
		       decision.reason == MSP_REASON_CANON
			       ? msp_canon_name(decision.canon)
			       : msp_reason_name(decision.reason),
		       decision.privilege ? decision.privilege : "-",
		       decision.identity ? decision.identity : "-");
	else
		fprintf(stderr, "%s\n", msp_error_text(rc));
	msp_request_free(request);
	msp_rules_free(rules);
	msp_profile_free(profile);
	return rc == 0 && decision.verdict != MSP_DENY ? 0 : 1;
}
