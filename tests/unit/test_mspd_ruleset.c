/* SPDX-License-Identifier: MIT */
/*
 * Rules are swapped when content changes, and bad items open nothing.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mspd/log.h"
#include "mspd/ruleset.h"
#include "tests/lib/scratch.h"

#define GOOD(mode, id)                                                         \
	"{\"defaultAccess\":\"deny\",\"mode\":\"" mode "\",\"id\":\"" id "\"}"
#define BAD "{\"defaultAccess\":\"maybe\",\"mode\":\"audit\",\"id\":\"bad\"}"

static struct mspd_ruleset set;
static struct msp_time now;

static bool update_channel(const char *enabled, const char *imds,
			   const char *wireserver)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystatus *status = NULL;
	char json[8192];
	bool changed;
	int rc;

	snprintf(json, sizeof(json),
		 "{\"authorizationScheme\":\"Azure-HMAC-SHA256\","
		 "\"keyDeliveryMethod\":\"http\",\"keyGuid\":null,"
		 "\"secureChannelEnabled\":%s,\"version\":\"2.0\","
		 "\"authorizationRules\":{\"imds\":%s,\"wireserver\":%s}}",
		 enabled, imds, wireserver);
	rc = msp_keystatus_parse(&status, json, strlen(json), &info);
	ck_assert_msg(rc == 0, "%s", info.text);
	changed = mspd_ruleset_update(&set, status, now);
	msp_keystatus_free(status);
	return changed;
}

static bool update(const char *imds, const char *wireserver)
{
	return update_channel("true", imds, wireserver);
}

static void setup(void)
{
	memset(&set, 0, sizeof(set));
	memset(&now, 0, sizeof(now));
	scratch_make();
	ck_assert_int_eq(
		mspd_localrules_open(&set.local, scratch_path("keys"), 1000),
		0);
}

static void teardown(void)
{
	mspd_ruleset_close(&set);
	scratch_remove();
}

START_TEST(same_content_keeps_the_epoch)
{
	struct msp_rules *before;

	ck_assert(update(GOOD("enforce", "a"), GOOD("audit", "b")));
	before = set.rules[MSP_ENDPOINT_IMDS];
	ck_assert(!update(GOOD("enforce", "a"), GOOD("audit", "b")));
	ck_assert_ptr_eq(set.rules[MSP_ENDPOINT_IMDS], before);
}
END_TEST

START_TEST(change_under_the_same_id_is_taken)
{
	uint64_t epoch;

	update(GOOD("audit", "a"), GOOD("audit", "b"));
	epoch = msp_rules_epoch(set.rules[MSP_ENDPOINT_IMDS]);
	ck_assert(update(GOOD("enforce", "a"), GOOD("audit", "b")));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
	ck_assert_uint_gt(msp_rules_epoch(set.rules[MSP_ENDPOINT_IMDS]), epoch);
}
END_TEST

START_TEST(bad_item_keeps_the_last_good_rules_and_says_so)
{
	struct msp_rules *before;

	update(GOOD("enforce", "a"), GOOD("audit", "b"));
	before = set.rules[MSP_ENDPOINT_IMDS];
	update(BAD, GOOD("enforce", "b2"));
	ck_assert_ptr_eq(set.rules[MSP_ENDPOINT_IMDS], before);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
	ck_assert_ptr_nonnull(strstr(set.fault, "IMDS rules are not valid"));
	ck_assert_ptr_nonnull(
		strstr(set.fault, "/authorizationRules/imds/defaultAccess"));
	/* the other endpoint goes on */
	ck_assert_str_eq(msp_rules_id(set.rules[MSP_ENDPOINT_WIRESERVER]),
			 "b2-useLocalFileRules-false");
	update(GOOD("enforce", "c"), GOOD("enforce", "b2"));
	ck_assert_str_eq(set.fault, "");
}
END_TEST

START_TEST(bad_item_without_good_ones_before_closes)
{
	update(BAD, GOOD("audit", "b"));
	ck_assert_ptr_nonnull(set.rules[MSP_ENDPOINT_IMDS]);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
	ck_assert_int_eq(msp_rules_mode(set.rules[MSP_ENDPOINT_IMDS]),
			 MSP_MODE_ENFORCE);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_WIRESERVER], MSP_MODE_AUDIT);
}
END_TEST

START_TEST(bad_item_closes_an_endpoint_that_had_no_rules)
{
	update("null", GOOD("audit", "b"));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_DISABLED);
	ck_assert(update(BAD, GOOD("audit", "b")));
	ck_assert_ptr_nonnull(set.rules[MSP_ENDPOINT_IMDS]);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
}
END_TEST

START_TEST(bad_item_of_a_channel_enabled_again_keeps_the_rules)
{
	update(GOOD("enforce", "a"), GOOD("audit", "b"));
	update_channel("false", GOOD("enforce", "a"), GOOD("audit", "b"));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_DISABLED);
	ck_assert(update(BAD, GOOD("audit", "b")));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
}
END_TEST

START_TEST(item_that_disappears_is_removed)
{
	update(GOOD("enforce", "a"), GOOD("audit", "b"));
	ck_assert(update("null", GOOD("audit", "b")));
	ck_assert_ptr_null(set.rules[MSP_ENDPOINT_IMDS]);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_DISABLED);
}
END_TEST

START_TEST(hostga_follows_wireserver)
{
	update(GOOD("enforce", "a"), GOOD("audit", "b"));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_HOSTGA], MSP_MODE_AUDIT);
	ck_assert_str_eq(msp_rules_id(set.rules[MSP_ENDPOINT_HOSTGA]),
			 "b-useLocalFileRules-false");
}
END_TEST

/* {"id":"sig","useLocalFileRules":true} */
#define USE_IT "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ=="

START_TEST(local_file_governs_wireserver_and_hostga)
{
	const char *allow = "{\"defaultAccess\":\"allow\"}";

	scratch_write("rules/WireServer_Rules.json", allow, strlen(allow));
	ck_assert_int_eq(
		chmod(scratch_path("rules/WireServer_Rules.json"), 0600), 0);
	ck_assert(update(GOOD("enforce", "a"), GOOD("enforce", USE_IT)));
	ck_assert_str_eq(msp_rules_id(set.rules[MSP_ENDPOINT_WIRESERVER]),
			 "sig-useLocalFileRules-true");
	ck_assert_str_eq(msp_rules_id(set.rules[MSP_ENDPOINT_HOSTGA]),
			 "sig-useLocalFileRules-true");
	ck_assert_int_eq(
		msp_profile_access(set.profile[MSP_ENDPOINT_WIRESERVER]),
		MSP_ACCESS_ALLOW);
	ck_assert_int_eq(msp_profile_access(set.profile[MSP_ENDPOINT_HOSTGA]),
			 MSP_ACCESS_ALLOW);
	ck_assert_int_eq(msp_profile_access(set.profile[MSP_ENDPOINT_IMDS]),
			 MSP_ACCESS_DENY);
}
END_TEST

START_TEST(bad_local_file_closes_and_says_so)
{
	scratch_write("rules/IMDS_Rules.json", "{}", 2);
	ck_assert_int_eq(chmod(scratch_path("rules/IMDS_Rules.json"), 0666), 0);
	/* it is tried again: nothing is open meanwhile */
	update(GOOD("audit", USE_IT), GOOD("enforce", "b"));
	ck_assert_ptr_nonnull(set.rules[MSP_ENDPOINT_IMDS]);
	ck_assert_int_eq(msp_profile_access(set.profile[MSP_ENDPOINT_IMDS]),
			 MSP_ACCESS_DENY);
	ck_assert_str_eq(set.local_fault, "");
	while (mspd_ruleset_deadline(&set) < 1000) {
		now.boot_ms = mspd_ruleset_deadline(&set);
		update(GOOD("audit", USE_IT), GOOD("enforce", "b"));
	}
	ck_assert_ptr_nonnull(
		strstr(set.local_fault, "can be written to by everybody"));
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_AUDIT);
	ck_assert_str_eq(set.fault, "");
	/* the switch off: the host's item, and nothing more to say */
	ck_assert(update(GOOD("audit", "plain"), GOOD("enforce", "b")));
	ck_assert_str_eq(set.local_fault, "");
	ck_assert_uint_eq(mspd_ruleset_deadline(&set), UINT64_MAX);
}
END_TEST

START_TEST(local_file_counts_while_the_hosts_item_is_bad)
{
	const char *allow = "{\"defaultAccess\":\"allow\"}";

	update(GOOD("enforce", USE_IT), GOOD("enforce", "b"));
	scratch_write("rules/IMDS_Rules.json", allow, strlen(allow));
	ck_assert_int_eq(chmod(scratch_path("rules/IMDS_Rules.json"), 0600), 0);
	ck_assert(update(BAD, GOOD("enforce", "b")));
	ck_assert_int_eq(msp_profile_access(set.profile[MSP_ENDPOINT_IMDS]),
			 MSP_ACCESS_ALLOW);
	ck_assert_int_eq(set.mode[MSP_ENDPOINT_IMDS], MSP_MODE_ENFORCE);
}
END_TEST

static size_t times(const char *log, const char *words)
{
	size_t n = 0;

	while ((log = strstr(log, words))) {
		log++;
		n++;
	}
	return n;
}

START_TEST(all_remarks_are_logged_and_that_there_are_more)
{
	char item[6144], *log;
	size_t n, i;

	n = (size_t)snprintf(item, sizeof(item), "{");
	for (i = 0; i < MSP_FINDINGS_MAX + (size_t)_i; i++)
		n += (size_t)snprintf(item + n, sizeof(item) - n, "\"x%zu\":1,",
				      i);
	snprintf(item + n, sizeof(item) - n, "%s", &GOOD("enforce", "a")[1]);
	ck_assert_int_eq(
		mspd_log_open(scratch_path("."), MSPD_WARN, MSPD_ERROR), 0);
	update(item, GOOD("audit", "b"));
	mspd_log_close();
	log = scratch_read("ProxyAgent.log", NULL);
	ck_assert_uint_eq(times(log, "IMDS rules: /"), MSP_FINDINGS_MAX);
	ck_assert_uint_eq(times(log, "IMDS rules: more remarks are left out"),
			  _i);
	free(log);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_ruleset");
	TCase *tc = tcase_create("ruleset");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, same_content_keeps_the_epoch);
	tcase_add_test(tc, change_under_the_same_id_is_taken);
	tcase_add_test(tc, bad_item_keeps_the_last_good_rules_and_says_so);
	tcase_add_test(tc, bad_item_without_good_ones_before_closes);
	tcase_add_test(tc, bad_item_closes_an_endpoint_that_had_no_rules);
	tcase_add_test(tc, bad_item_of_a_channel_enabled_again_keeps_the_rules);
	tcase_add_test(tc, item_that_disappears_is_removed);
	tcase_add_test(tc, hostga_follows_wireserver);
	tcase_add_test(tc, local_file_governs_wireserver_and_hostga);
	tcase_add_test(tc, bad_local_file_closes_and_says_so);
	tcase_add_test(tc, local_file_counts_while_the_hosts_item_is_bad);
	tcase_add_loop_test(tc, all_remarks_are_logged_and_that_there_are_more,
			    0, 2);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
