/* SPDX-License-Identifier: MIT */
/*
 * In: the host's profile, a local rule file. Out: the rules in force, and what
 * is odd about them. Never: opens what a bad file may be there to close.
 *   merge_rules PROFILE [LOCAL-FILE]
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>

static int read_profile(struct msp_profile **out, const char *path,
			enum msp_profile_form form)
{
	static char text[MSP_PROFILE_MAX_BYTES];
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	FILE *file = fopen(path, "rb");
	size_t len;
	int rc;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	opts.form = form;
	rc = msp_profile_read(out, NULL, text, len, &opts, &info);
	if (rc < 0)
		warnx("%s: %s: %s", path, info.pointer, info.text);
	return rc;
}

static void lint(const struct msp_profile *profile)
{
	struct msp_lint_opts opts = MSP_LINT_OPTS_INIT;
	const struct msp_finding *finding;
	struct msp_findings *list;
	size_t i;

	opts.flags = MSP_LINT_ENDPOINT;
	opts.endpoint = MSP_ENDPOINT_IMDS;
	if (msp_profile_lint(&list, profile, &opts) < 0)
		return;
	for (i = 0; (finding = msp_findings_get(list, i)); i++)
		warnx("%s: %s: %s", msp_finding_code_name(finding->code),
		      finding->pointer, finding->text);
	msp_findings_free(list);
}

int main(int argc, char **argv)
{
	struct msp_profile *host, *local = NULL, *both = NULL;
	struct msp_rules *rules = NULL;
	char *text = NULL;
	bool counts = false;
	int rc;

	if (argc != 2 && argc != 3)
		errx(2, "usage: merge_rules PROFILE [LOCAL-FILE]");
	if (read_profile(&host, argv[1], MSP_PROFILE_ANY) < 0)
		return 1;
	rc = msp_profile_uses_local(&counts, host);
	if (rc == 0 && counts && argc == 3)
		rc = read_profile(&local, argv[2], MSP_PROFILE_LOCAL);
	if (rc == 0)
		rc = msp_profile_merge(&both, host, local, NULL);
	if (rc < 0 && msp_profile_closed(&both, host) < 0)
		return 1;
	lint(both);
	rc = msp_rules_compile(&rules, both, 1);
	rc = rc ? rc : msp_rules_write(&text, NULL, rules);
	if (rc == 0)
		puts(text);
	msp_text_free(text);
	msp_rules_free(rules);
	msp_profile_free(both);
	msp_profile_free(local);
	msp_profile_free(host);
	return rc == 0 ? 0 : 1;
}
