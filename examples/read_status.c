/* SPDX-License-Identifier: MIT */
/*
 * In: a key status, as the host answers GET /secure-channel/status.
 * Out: what it says of each endpoint, on stderr; the profile of IMDS, on
 * stdout. Never: takes a profile with a fault for none. read_status FILE
 */
#include <err.h>
#include <msp/msp.h>
#include <stdio.h>

static struct msp_keystatus *read_status(const char *path)
{
	static char text[MSP_KEYSTATUS_MAX_BYTES];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	FILE *file = fopen(path, "rb");
	struct msp_keystatus *status;
	size_t len;

	if (!file)
		err(1, "%s", path);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (msp_keystatus_parse(&status, text, len, &info) < 0)
		errx(1, "%s: %s: %s", path, info.pointer, info.text);
	warnx("version %s, channel %s, keys by %s",
	      msp_keystatus_version(status), msp_keystatus_channel(status),
	      msp_keystatus_delivery(status));
	return status;
}

static void tell(const struct msp_keystatus *status, enum msp_endpoint endpoint)
{
	const char *mode = msp_mode_name(msp_keystatus_mode(status, endpoint));
	const char *name = msp_endpoint_name(endpoint);
	const struct msp_profile *profile =
		msp_keystatus_profile(status, endpoint);
	const struct msp_error_info *fault =
		msp_keystatus_fault(status, endpoint);
	const struct msp_finding *odd;
	size_t i;

	if (fault)
		warnx("%s: mode %s, profile '%s' is refused: %s: %s", name,
		      mode, msp_keystatus_rule_id(status, endpoint),
		      fault->pointer, fault->text);
	else
		warnx("%s: mode %s, profile %s", name, mode,
		      profile ? msp_profile_id(profile) : "none");
	for (i = 0; (odd = msp_findings_get(msp_profile_findings(profile), i));
	     i++)
		warnx("%s: %s: %s", name, odd->pointer, odd->text);
}

int main(int argc, char **argv)
{
	const struct msp_profile *profile;
	struct msp_profile *kept = NULL;
	struct msp_keystatus *status;
	char *text = NULL;
	int i;

	if (argc != 2)
		errx(2, "usage: read_status FILE");
	status = read_status(argv[1]);
	if (msp_keystatus_guid(status))
		warnx("the host has latched %s", msp_keystatus_guid(status));
	for (i = 0; i < MSP_ENDPOINTS; i++)
		tell(status, (enum msp_endpoint)i);
	profile = msp_keystatus_profile(status, MSP_ENDPOINT_IMDS);
	if (profile)
		kept = msp_profile_ref(profile);
	msp_keystatus_free(status); /* what is kept lives on */
	if (kept && msp_profile_write(&text, NULL, kept, NULL, NULL) == 0)
		fputs(text, stdout);
	msp_text_free(text);
	msp_profile_free(kept);
	return 0;
}
