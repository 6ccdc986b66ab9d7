/* SPDX-License-Identifier: MIT */
/*
 * In: hosts and disks that fail. Out: whether the latch says what failed, and
 * where, as long as it does and no longer; and what date it gives.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/keyhost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct msp_error_info no_info(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	return info;
}

/* ---- failures ---------------------------------------------------------- */

static const struct {
	const char *status, *key, *attest;
	int rc;
	uint32_t http_status;
	uint32_t line;
	const char *pointer;
} failures[] = {
	{ "HTTP/1.1 503 Busy\r\n\r\n", NULL, NULL, MSP_ERR_STATUS, 503, 0, "" },
	{ "HTTP/1.1", NULL, NULL, MSP_ERR_CLOSED, 0, 0, "" },
	{ "nonsense\r\n\r\n", NULL, NULL, MSP_ERR_PROTOCOL, 0, 0, "" },
	{ HEAD "{\n}", NULL, NULL, MSP_ERR_SCHEMA, 0, 1,
	  "/authorizationScheme" },
	{ HEAD "{\n?}", NULL, NULL, MSP_ERR_SYNTAX, 0, 2, "" },
	{ HEAD "{\n \"authorizationScheme\": 5}", NULL, NULL, MSP_ERR_SCHEMA, 0,
	  2, "/authorizationScheme" },
	{ ENABLED_NO_KEY, REFUSED, NULL, MSP_ERR_STATUS, 401, 0, "" },
	{ ENABLED_NO_KEY, HEAD "{\"guid\": 1}", NULL, MSP_ERR_SCHEMA, 0, 1,
	  "/authorizationScheme" },
	{ ENABLED_NO_KEY, KEY(GUID_A), REFUSED, MSP_ERR_STATUS, 401, 0, "" },
};

START_TEST(latch_failure_is_what_the_host_did)
{
	struct msp_error_info info = no_info();

	mind.status = failures[_i].status;
	mind.key = failures[_i].key;
	mind.attest = failures[_i].attest;
	ck_assert_int_eq(msp_latch_failure(latch, &info), 0);
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_eq(msp_latch_failure(latch, &info), failures[_i].rc);
	ck_assert_uint_eq(info.http_status, failures[_i].http_status);
	ck_assert_uint_eq(info.line, failures[_i].line);
	ck_assert_str_eq(info.pointer, failures[_i].pointer);
	ck_assert_int_eq(info.endpoint, MSP_ENDPOINT_WIRESERVER);
	ck_assert_uint_eq(info.size, sizeof(info));
	/* the message, as far as there is room */
	ck_assert_int_eq(strncmp(info.text, msp_latch_message(latch),
				 sizeof(info.text) - 1),
			 0);
	ck_assert_ptr_null(strstr(info.text, KEY_HEX));
	ck_assert_int_eq(msp_latch_failure(latch, NULL), failures[_i].rc);

	/* over once all is well */
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_A);
	mind.attest = HEAD;
	ck_assert_int_eq(drive(100000), 0);
	info = no_info();
	ck_assert_int_eq(msp_latch_failure(latch, &info), 0);
	ck_assert_str_eq(info.text, "");
}
END_TEST

START_TEST(latch_failure_stays_while_the_key_does)
{
	latch_a();
	mind.status = "HTTP/1.1 503 Busy\r\n\r\n";
	ck_assert_int_eq(drive(15000), 0);
	ck_assert_int_eq(msp_latch_failure(latch, NULL), MSP_ERR_STATUS);
	ck_assert_ptr_nonnull(msp_latch_key(latch));
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(30000), 0);
	ck_assert_int_eq(msp_latch_failure(latch, NULL), 0);
}
END_TEST

START_TEST(latch_failure_is_over_when_the_channel_is_off)
{
	mind.status = "HTTP/1.1 503 Busy\r\n\r\n";
	ck_assert_int_eq(drive(0), 0);
	mind.status = DISABLED(GUID_A);
	ck_assert_int_eq(drive(15000), 0);
	ck_assert_int_eq(msp_latch_failure(latch, NULL), 0);
}
END_TEST

START_TEST(latch_failure_is_a_host_that_cannot_be_reached)
{
	struct msp_error_info info = no_info();

	close(host.listener);
	host.listener = dup(0);
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_eq(msp_latch_failure(latch, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ECONNREFUSED);
	ck_assert_int_eq(info.endpoint, MSP_ENDPOINT_WIRESERVER);
}
END_TEST

START_TEST(latch_failure_is_a_host_that_hangs)
{
	struct msp_error_info info = no_info();

	mind.status = HANGS;
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_eq(msp_latch_failure(latch, NULL), 0);
	ck_assert_int_eq(msp_latch_run(latch, at(msp_latch_deadline(latch))),
			 0);
	ck_assert_int_eq(msp_latch_failure(latch, &info), MSP_ERR_TIMEOUT);
	ck_assert_int_eq(info.endpoint, MSP_ENDPOINT_WIRESERVER);
}
END_TEST

START_TEST(latch_failure_is_somebody_else_until_he_has_gone)
{
	struct msp_error_info info = no_info();
	struct msp_keystore *other;

	ck_assert_int_eq(msp_keystore_open(&other, dir, strlen(dir), NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(other, NULL), 0);
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_eq(msp_latch_failure(latch, &info), MSP_ERR_BUSY);
	ck_assert_int_eq(info.endpoint, -1); /* no endpoint's fault */
	check_asked(0, 0, 0);

	/* no longer, though no answer has come yet */
	msp_keystore_free(other);
	mind.status = HANGS;
	ck_assert_int_eq(drive(15000), 0);
	check_asked(1, 0, 0);
	ck_assert_int_eq(msp_latch_failure(latch, NULL), 0);
}
END_TEST

/* A struct of a caller with fields that this version does not have. */
START_TEST(latch_failure_fills_in_what_it_knows)
{
	struct {
		struct msp_error_info info;
		char more[16];
	} newer = { .info = MSP_ERROR_INFO_INIT, .more = "untouched" };
	struct msp_error_info older = no_info();

	mind.status = "HTTP/1.1 503 Busy\r\n\r\n";
	ck_assert_int_eq(drive(0), 0);
	newer.info.size = sizeof(newer);
	ck_assert_int_eq(msp_latch_failure(latch, &newer.info), MSP_ERR_STATUS);
	ck_assert_uint_eq(newer.info.size, sizeof(newer));
	ck_assert_uint_eq(newer.info.http_status, 503);
	ck_assert_str_eq(newer.more, "untouched");
	older.size = sizeof(older) - 1;
	ck_assert_int_eq(msp_latch_failure(latch, &older), MSP_ERR_STATUS);
	ck_assert_uint_eq(older.http_status, 0);
}
END_TEST

/* ---- dates ------------------------------------------------------------- */

static void check_date(const struct msp_latch *l, uint64_t boot_ms,
		       int64_t wall_s, const char *want)
{
	struct msp_time now = { boot_ms, wall_s };
	char date[MSP_DATE_SIZE];

	memset(date, 'x', sizeof(date));
	msp_latch_date(l, now, date);
	ck_assert_str_eq(date, want);
}

START_TEST(latch_date_is_the_callers_until_the_host_has_told_its_own)
{
	check_date(NULL, 0, WALL, "Sun, 09 Sep 2001 01:46:40 GMT");
	check_date(latch, 0, WALL, "Sun, 09 Sep 2001 01:46:40 GMT");
	check_date(latch, 0, -5, "Thu, 01 Jan 1970 00:00:00 GMT");
	latch_a(); /* at boot 0, noon of the host */
	check_date(latch, 0, WALL, "Wed, 23 Apr 2025 12:00:00 GMT");
	check_date(latch, 1999, -5, "Wed, 23 Apr 2025 12:00:01 GMT");
	check_date(latch, 86400000, 0, "Thu, 24 Apr 2025 12:00:00 GMT");
	/* of another machine, or of none */
	check_date(NULL, 1999, WALL, "Sun, 09 Sep 2001 01:46:40 GMT");
}
END_TEST

START_TEST(latch_answers_null)
{
	struct msp_error_info info = no_info();

	ck_assert_int_eq(msp_latch_failure(NULL, &info), 0);
	ck_assert_str_eq(info.text, "");
}
END_TEST

static Suite *latch_suite(void)
{
	Suite *s = suite_create("latch failures");
	TCase *tc = tcase_create("failures");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, latch_failure_is_what_the_host_did, 0,
			    COUNT(failures));
	tcase_add_test(tc, latch_failure_stays_while_the_key_does);
	tcase_add_test(tc, latch_failure_is_over_when_the_channel_is_off);
	tcase_add_test(tc, latch_failure_is_a_host_that_cannot_be_reached);
	tcase_add_test(tc, latch_failure_is_a_host_that_hangs);
	tcase_add_test(tc, latch_failure_is_somebody_else_until_he_has_gone);
	tcase_add_test(tc, latch_failure_fills_in_what_it_knows);
	tcase_add_test(
		tc, latch_date_is_the_callers_until_the_host_has_told_its_own);
	tcase_add_test(tc, latch_answers_null);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(latch_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
