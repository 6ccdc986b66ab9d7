/* SPDX-License-Identifier: MIT */
/*
 * In: configuration files that Azure's agent starts with, and that say what
 * makes no sense. Out: whether each starts this one, and with what.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/config.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define REQUIRED "\"logFolder\": \"/l\", \"latchKeyFolder\": \"/k\""

static struct mspd_config config;

static void setup(void)
{
	scratch_make();
}

static void teardown(void)
{
	mspd_config_free(&config);
	scratch_remove();
}

static void assert_loads(const char *text)
{
	char error[512];
	int rc;

	scratch_write("c.json", text, strlen(text));
	rc = mspd_config_load(&config, scratch_path("c.json"), error,
			      sizeof(error));
	ck_assert_msg(rc == 0, "%s", error);
}

/* A file that Azure's agent works with may have none of them (spec 2.2). */
START_TEST(config_takes_null_for_not_given)
{
	assert_loads("{" REQUIRED ", \"maxEventFileCount\": null"
		     ", \"ebpfFileFullPath\": null, \"fileLogLevel\": null"
		     ", \"cgroupRoot\": null, \"fileLogLevelForEvents\": null"
		     ", \"fileLogLevelForSystemEvents\": null"
		     ", \"enableHttpProxyTrace\": null"
		     ", \"canonicalRequestMode\": null"
		     ", \"monitorIntervalInSeconds\": 18446744073709551615"
		     ", \"imdsSupport\": null, \"imdsSupport\": 1}");
	ck_assert_uint_eq(config.max_event_files, 30);
	ck_assert_int_eq(config.file_log_level, MSPD_INFO);
	ck_assert_int_eq(config.system_log_level, MSPD_ERROR);
	ck_assert_int_eq(config.event_log_level, MSPD_NO_LEVEL);
	ck_assert_str_eq(config.cgroup_root, "/sys/fs/cgroup");
	ck_assert(!config.trace);
	ck_assert_uint_eq(config.n_warnings, 0);
}
END_TEST

static const struct {
	const char *fields;
	uint32_t poll_ms;
	uint32_t files;
} clamped[] = {
	{ "\"pollKeyStatusIntervalInSeconds\": 0", 1000, 30 },
	{ "\"pollKeyStatusIntervalInSeconds\": 86401", 86400000, 30 },
	{ "\"pollKeyStatusIntervalInSeconds\": 4294968", 86400000, 30 },
	{ "\"maxEventFileCount\": 18446744073709551615", 15000, UINT32_MAX },
};

START_TEST(config_uses_the_next_best_number)
{
	char text[256];

	snprintf(text, sizeof(text), "{ %s, " REQUIRED "}", clamped[_i].fields);
	assert_loads(text);
	ck_assert_uint_eq(config.poll_ms, clamped[_i].poll_ms);
	ck_assert_uint_eq(config.max_event_files, clamped[_i].files);
}
END_TEST

START_TEST(config_takes_folders_from_where_it_was_started)
{
	ck_assert_int_eq(chdir("/usr/lib"), 0);
	assert_loads("{\"logFolder\": \"%MSP_TEST_NONE%/l\", "
		     "\"latchKeyFolder\": \"keys\"}");
	ck_assert_str_eq(config.log_dir, "/usr/lib/MSP_TEST_NONE/l");
	ck_assert_str_eq(config.key_dir, "/usr/lib/keys");
	ck_assert_uint_eq(config.n_warnings, 2);
	mspd_config_free(&config);
	assert_loads("{\"logFolder\": \"\", \"latchKeyFolder\": \"\"}");
	ck_assert_str_eq(config.log_dir, "");
	ck_assert_str_eq(config.key_dir, "/var/lib/azure-proxy-agent/keys");
	ck_assert_uint_eq(config.n_warnings, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_config_lenient");
	TCase *tc = tcase_create("config_lenient");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, config_takes_null_for_not_given);
	tcase_add_loop_test(tc, config_uses_the_next_best_number, 0,
			    COUNT(clamped));
	tcase_add_test(tc, config_takes_folders_from_where_it_was_started);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
