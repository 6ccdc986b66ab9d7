/* SPDX-License-Identifier: MIT */
/*
 * In: what a configuration says of limits. Out: whether each is taken as it is
 * said, has its default, or is refused with its place.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/config.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define REQUIRED "\"logFolder\": \"/l\", \"latchKeyFolder\": \"/k\""

static struct mspd_config config;
static char error[512];

static void setup(void)
{
	scratch_make();
}

static void teardown(void)
{
	mspd_config_free(&config);
	scratch_remove();
}

static int load(const char *text)
{
	scratch_write("c.json", text, strlen(text));
	return mspd_config_load(&config, scratch_path("c.json"), error,
				sizeof(error));
}

START_TEST(config_has_limits_without_being_asked)
{
	ck_assert_msg(load("{" REQUIRED "}") == 0, "%s", error);
	ck_assert_uint_eq(config.requests_per_second, 2000);
	ck_assert_uint_eq(config.request_burst, 4000);
	ck_assert_uint_eq(config.rate_exempt.n, 1);
	ck_assert_uint_eq(config.rate_exempt.uid[0], 0);
	ck_assert_uint_eq(config.max_line_bytes, 4096);
	ck_assert_uint_eq(config.max_head_bytes, 8192);
	ck_assert_uint_eq(config.max_headers, 94);
	ck_assert_uint_eq(config.body_timeout_ms, 30000);
	ck_assert_uint_eq(config.min_body_rate, 500);
	ck_assert_uint_eq(config.total_timeout_ms, 3600000);
}
END_TEST

static const struct {
	const char *said;
	const uint32_t *field;
	uint32_t want;
} taken[] = {
	{ "\"requestsPerSecondPerUser\": 0", &config.requests_per_second, 0 },
	{ "\"requestBurstPerUser\": 1", &config.request_burst, 1 },
	{ "\"requestRateExemptUids\": \"\"", &config.rate_exempt.n, 0 },
	{ "\"requestRateExemptUids\": \"7,0,4294967294\"",
	  &config.rate_exempt.n, 3 },
	{ "\"requestRateExemptUids\": \"7,0,4294967294\"",
	  &config.rate_exempt.uid[0], 7 },
	{ "\"requestRateExemptUids\": \"7,0,4294967294\"",
	  &config.rate_exempt.uid[2], 4294967294 },
	{ "\"maxRequestLineBytes\": 64", &config.max_line_bytes, 64 },
	{ "\"maxRequestHeadBytes\": 131072", &config.max_head_bytes, 131072 },
	{ "\"maxRequestHeaders\": 1", &config.max_headers, 1 },
	{ "\"bodyTimeoutInSeconds\": 0.5", &config.body_timeout_ms, 500 },
	{ "\"minBodyBytesPerSecond\": 0", &config.min_body_rate, 0 },
	{ "\"totalTimeoutInSeconds\": 86400", &config.total_timeout_ms,
	  86400000 },
};

START_TEST(config_takes_limits)
{
	char text[256];

	snprintf(text, sizeof(text), "{" REQUIRED ", %s}", taken[_i].said);
	ck_assert_msg(load(text) == 0, "%s", error);
	ck_assert_uint_eq(*taken[_i].field, taken[_i].want);
	ck_assert_uint_eq(config.n_warnings, 0);
}
END_TEST

#define UIDS	 "requestRateExemptUids: "
#define NOT_UIDS UIDS "must be uids separated by commas, as in \"0,105\""

static const struct {
	const char *said;
	const char *cause;
} refused[] = {
	{ "\"requestRateExemptUids\": 0", UIDS "must be a string" },
	{ "\"requestRateExemptUids\": \"root\"", NOT_UIDS },
	{ "\"requestRateExemptUids\": \"0,\"", NOT_UIDS },
	{ "\"requestRateExemptUids\": \",0\"", NOT_UIDS },
	{ "\"requestRateExemptUids\": \"0, 1\"", NOT_UIDS },
	{ "\"requestRateExemptUids\": \"4294967295\"", NOT_UIDS },
	{ "\"requestRateExemptUids\": \"0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,"
	  "9,0,1,2,3,4,5,6,7,8,9,0,1,2\"",
	  UIDS "more than 32 uids" },
	{ "\"maxRequestHeaders\": 95",
	  "maxRequestHeaders: must be a whole number from 1 to 94" },
	{ "\"maxRequestHeadBytes\": 2047",
	  "maxRequestHeadBytes: must be a whole number from 2048 to 131072" },
	{ "\"totalTimeoutInSeconds\": 0",
	  "totalTimeoutInSeconds: must be from 0.05 to 86400 seconds" },
};

START_TEST(config_refuses_limits_that_make_no_sense)
{
	char text[256];

	snprintf(text, sizeof(text), "{%s, " REQUIRED "}", refused[_i].said);
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, refused[_i].cause));
	ck_assert_ptr_nonnull(strstr(error, ": line 1 column "));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_config_limits");
	TCase *tc = tcase_create("config_limits");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, config_has_limits_without_being_asked);
	tcase_add_loop_test(tc, config_takes_limits, 0, COUNT(taken));
	tcase_add_loop_test(tc, config_refuses_limits_that_make_no_sense, 0,
			    COUNT(refused));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
