/* SPDX-License-Identifier: MIT */
/*
 * In: any bytes. Out: nothing; aborts when a status contradicts itself. Must
 * never keep anything from one input to the next.
 */
#include <msp/key.h>
#include <msp/keystatus.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void check_endpoint(const struct msp_keystatus *status,
			   enum msp_endpoint endpoint)
{
	const struct msp_profile *profile;
	const struct msp_error_info *fault;
	enum msp_mode mode;

	profile = msp_keystatus_profile(status, endpoint);
	fault = msp_keystatus_fault(status, endpoint);
	mode = msp_keystatus_mode(status, endpoint);
	must(!profile || !fault);
	must(!fault || fault->text[0]);
	must(msp_keystatus_rule_id(status, endpoint) != NULL);
	must(mode <= MSP_MODE_DISABLED);
	if (!msp_keystatus_enabled(status))
		must(mode == MSP_MODE_DISABLED);
	else if (profile && strcmp(msp_keystatus_version(status), "2.0") == 0)
		must(mode == msp_profile_mode(profile));
}

static void check_status(const struct msp_keystatus *status)
{
	const char *channel = msp_keystatus_channel(status);
	const char *guid = msp_keystatus_guid(status);
	uint32_t number;
	int i;

	for (i = 0; i < MSP_ENDPOINTS; i++)
		check_endpoint(status, (enum msp_endpoint)i);
	must(msp_keystatus_mode(status, MSP_ENDPOINT_HOSTGA) ==
	     msp_keystatus_mode(status, MSP_ENDPOINT_WIRESERVER));
	must(strlen(channel) < MSP_CHANNEL_STATE_MAX);
	must((strcmp(channel, "disabled") == 0) ==
	     !msp_keystatus_enabled(status));
	must(!guid || (strlen(guid) == MSP_GUID_LEN && !strchr(guid, '/')));
	(void)msp_keystatus_incarnation(status, &number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystatus *status;
	int rc;

	rc = msp_keystatus_parse(&status, (const char *)data, size, &info);
	if (rc == 0)
		check_status(status);
	else
		must(!status && info.text[0] && info.offset <= size);
	msp_keystatus_free(status);
	return 0;
}
