/* SPDX-License-Identifier: MIT */
/*
 * In: the state machine as a table - where the latch is, what the host says,
 * how late it is. Out: whether it goes where it must, with which key, in which
 * words, and when it asks again.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/keyhost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define FORBIDS	 "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
#define BREAKS	 "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
#define V2_OFF                                                                 \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "               \
	     "\"keyDeliveryMethod\": \"http\", \"keyGuid\": \"" GUID_A         \
	     "\", \"secureChannelEnabled\": false, \"version\": \"2.0\", "     \
	     "\"authorizationRules\": {\"imds\": {\"id\": \"x\", \"mode\": "   \
	     "\"enforce\", \"defaultAccess\": \"deny\"}}}"

#define POLL  15000
#define EAGER 1000
#define UNTIL 300000 /* the latch is eager that long */

/* ---- where it is ------------------------------------------------------- */

enum from { FRESH, OFF_NOW, NO_KEY_YET, HAS_A, HAD_A, WAS_RESET };

/* Brought there at time 0. */
static void go(enum from from)
{
	switch (from) {
	case FRESH:
		mind.status = BREAKS;
		ck_assert_int_eq(drive(0), 0);
		check_latch(MSP_LATCH_UNKNOWN, NULL, "Failed to get");
		return;
	case OFF_NOW:
		mind.status = DISABLED(GUID_A);
		ck_assert_int_eq(drive(0), 0);
		check_latch(MSP_LATCH_DISABLED, NULL, OFF);
		return;
	case NO_KEY_YET:
		mind.status = ENABLED_NO_KEY;
		mind.key = FORBIDS;
		ck_assert_int_eq(drive(0), 0);
		check_latch(MSP_LATCH_ACQUIRING, NULL, "Failed to acquire");
		return;
	case HAS_A:
		latch_a();
		return;
	case HAD_A:
		latch_a();
		mind.status = ENABLED(GUID_B);
		mind.key = FORBIDS;
		msp_latch_poll_now(latch);
		ck_assert_int_eq(drive(0), 0);
		check_latch(MSP_LATCH_LOST, NULL, "Failed to acquire");
		return;
	case WAS_RESET:
		latch_a();
		msp_latch_reset(latch);
		check_latch(MSP_LATCH_UNKNOWN, GUID_A, ATTESTED);
		return;
	}
}

/* ---- what the host says ------------------------------------------------ */

static const struct {
	enum from from;
	uint64_t now;
	const char *status;
	const char *key;
	enum msp_latch_state state;
	const char *guid; /* of the key in use, or NULL */
	const char *message;
	uint32_t wait;
} moves[] = {
	/* nothing of use: state and key stay, eager only while unknown */
	{ FRESH, EAGER, BREAKS, NULL, MSP_LATCH_UNKNOWN, NULL, "Failed",
	  EAGER },
	{ FRESH, UNTIL - 1, BREAKS, NULL, MSP_LATCH_UNKNOWN, NULL, "Failed",
	  EAGER },
	{ FRESH, UNTIL, BREAKS, NULL, MSP_LATCH_UNKNOWN, NULL, "Failed", POLL },
	{ OFF_NOW, POLL, BREAKS, NULL, MSP_LATCH_DISABLED, NULL, "Failed",
	  POLL },
	{ NO_KEY_YET, POLL, BREAKS, NULL, MSP_LATCH_ACQUIRING, NULL, "Failed",
	  POLL },
	{ HAS_A, POLL, BREAKS, NULL, MSP_LATCH_LATCHED, GUID_A, "Failed",
	  POLL },
	{ HAD_A, POLL, BREAKS, NULL, MSP_LATCH_LOST, NULL, "Failed", POLL },
	{ WAS_RESET, 1, BREAKS, NULL, MSP_LATCH_UNKNOWN, GUID_A, "Failed",
	  EAGER },
	{ WAS_RESET, UNTIL + 1, BREAKS, NULL, MSP_LATCH_UNKNOWN, GUID_A,
	  "Failed", EAGER },

	/* disabled: the key is forgotten (Q28: whatever the items say) */
	{ FRESH, EAGER, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL, OFF,
	  POLL },
	{ OFF_NOW, POLL, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL, OFF,
	  POLL },
	{ NO_KEY_YET, POLL, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL,
	  OFF, POLL },
	{ HAS_A, POLL, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL, OFF,
	  POLL },
	{ HAS_A, POLL, V2_OFF, NULL, MSP_LATCH_DISABLED, NULL, OFF, POLL },
	{ HAD_A, POLL, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL, OFF,
	  POLL },
	{ WAS_RESET, 1, DISABLED(GUID_A), NULL, MSP_LATCH_DISABLED, NULL, OFF,
	  POLL },

	/* it names a key: ours, one on disk, or one that nobody here has */
	{ HAS_A, POLL, ENABLED(GUID_A), NULL, MSP_LATCH_LATCHED, GUID_A,
	  ATTESTED, POLL },
	{ WAS_RESET, 1, ENABLED(GUID_A), NULL, MSP_LATCH_LATCHED, GUID_A,
	  ATTESTED, POLL },
	{ HAD_A, POLL, ENABLED(GUID_A), NULL, MSP_LATCH_LATCHED, GUID_A, FOUND,
	  POLL },
	{ FRESH, EAGER, ENABLED(GUID_B), FORBIDS, MSP_LATCH_ACQUIRING, NULL,
	  "Failed to acquire", POLL },
	{ OFF_NOW, POLL, ENABLED(GUID_B), FORBIDS, MSP_LATCH_ACQUIRING, NULL,
	  "Failed to acquire", POLL },
	{ HAS_A, POLL, ENABLED(GUID_B), FORBIDS, MSP_LATCH_LOST, NULL,
	  "Failed to acquire", POLL },
	{ HAD_A, POLL, ENABLED(GUID_B), FORBIDS, MSP_LATCH_LOST, NULL,
	  "Failed to acquire", POLL },
	{ HAS_A, POLL, ENABLED(GUID_B), KEY(GUID_B), MSP_LATCH_LATCHED, GUID_B,
	  ATTESTED, POLL },

	/* it names none: a new one, and ours until that one is attested */
	{ FRESH, EAGER, ENABLED_NO_KEY, KEY(GUID_B), MSP_LATCH_LATCHED, GUID_B,
	  ATTESTED, POLL },
	{ OFF_NOW, POLL, ENABLED_NO_KEY, KEY(GUID_B), MSP_LATCH_LATCHED, GUID_B,
	  ATTESTED, POLL },
	{ NO_KEY_YET, POLL, ENABLED_NO_KEY, KEY(GUID_B), MSP_LATCH_LATCHED,
	  GUID_B, ATTESTED, POLL },
	{ HAS_A, POLL, ENABLED_NO_KEY, KEY(GUID_B), MSP_LATCH_LATCHED, GUID_B,
	  ATTESTED, POLL },
	{ HAS_A, POLL, ENABLED_NO_KEY, FORBIDS, MSP_LATCH_LATCHED, GUID_A,
	  "Failed to acquire", POLL },
	{ HAD_A, POLL, ENABLED_NO_KEY, KEY(GUID_B), MSP_LATCH_LATCHED, GUID_B,
	  ATTESTED, POLL },
};

START_TEST(latch_goes_where_the_host_says)
{
	go(moves[_i].from);
	mind.status = moves[_i].status;
	mind.key = moves[_i].key;
	mind.attest = HEAD;
	ck_assert_int_eq(drive(moves[_i].now), 0);
	check_latch(moves[_i].state, moves[_i].guid, moves[_i].message);
	ck_assert_uint_eq(msp_latch_deadline(latch),
			  moves[_i].now + moves[_i].wait);
}
END_TEST

START_TEST(latch_that_was_switched_off_uses_its_key_again)
{
	latch_a();
	mind.status = V2_OFF;
	ck_assert_int_eq(drive(POLL), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	ck_assert(on_disk(GUID_A));
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(POLL * 2), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	check_asked(3, 1, 1);
}
END_TEST

/* ---- in which words (spec 4.3, 5.3, 5.10) ------------------------------ */

#define GET    "Failed to get key status - "
#define VALID  "Key error: Key status validation failed with the error: "
#define DECODE "Deserialization failed: Failed to json deserialize response "
#define FIELDS                                                                 \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "               \
	     "\"keyDeliveryMethod\": \"http\", "

/* The words come first and whole; behind them a place may follow. In them
 * @ stands for the host's address. */
static const struct {
	const char *status;
	const char *key;
	const char *attest;
	const char *words;
} texts[] = {
	{ BREAKS, NULL, NULL,
	  GET "Failed to get response from http://@/secure-channel/status, "
	      "status code: 500 Internal Server Error" },
	{ FORBIDS, NULL, NULL,
	  GET "Failed to get response from http://@/secure-channel/status, "
	      "status code: 403 Forbidden" },
	{ HEAD "oops", NULL, NULL,
	  GET DECODE
	  "body with error is not JSON: lexical error: invalid char in "
	  "json text." },
	{ HEAD "{}", NULL, NULL, GET DECODE "body with error is missing" },
	{ FIELDS "\"version\": \"2.0\"}", NULL, NULL,
	  GET VALID "Both secureChannelEnabled and secureChannelState are "
		    "missing in version: 2.0" },
	{ FIELDS "\"version\": \"1.0\", \"secureChannelState\": \"On\"}", NULL,
	  NULL, GET VALID "secureChannelState 'on' is invalid; " },
	{ FIELDS "\"version\": \"1.0\", \"secureChannelEnabled\": true}", NULL,
	  NULL, GET VALID "secureChannelState is missing in version: 1.0" },
	{ FIELDS "\"version\": \"2.0\", \"secureChannelState\": "
		 "\"Disabled\"}",
	  NULL, NULL,
	  GET VALID "secureChannelEnabled is missing in version: 2.0" },
	{ DISABLED(GUID_A), NULL, NULL, OFF },
	{ V2_OFF, NULL, NULL, OFF },
	{ ENABLED_NO_KEY, FORBIDS, NULL,
	  "Failed to acquire key details: Key error: Failed to acquire key "
	  "with status code: 403 Forbidden" },
	{ ENABLED_NO_KEY, HEAD "{}", NULL,
	  "Failed to acquire key details: " DECODE
	  "body with error is missing" },
	{ ENABLED_NO_KEY, KEY(GUID_A), FORBIDS,
	  "Failed to attest the key: Key error: Failed to attest key with "
	  "status code: 403 Forbidden" },
	{ ENABLED_NO_KEY, KEY(GUID_A), HEAD, ATTESTED },
};

START_TEST(latch_says_what_the_reference_says)
{
	const char *hole = strchr(texts[_i].words, '@');
	const char *message;
	char words[512];

	if (hole)
		snprintf(words, sizeof(words), "%.*s127.0.0.1:%u%s",
			 (int)(hole - texts[_i].words), texts[_i].words,
			 (unsigned int)host.address.port, hole + 1);
	else
		snprintf(words, sizeof(words), "%s", texts[_i].words);
	mind.status = texts[_i].status;
	mind.key = texts[_i].key;
	mind.attest = texts[_i].attest;
	ck_assert_int_eq(drive(0), 0);
	message = msp_latch_message(latch);
	ck_assert_msg(strncmp(message, words, strlen(words)) == 0, "%s",
		      message);
	message += strlen(words);
	ck_assert_msg(!*message || strncmp(message, " (", 2) == 0, "%s",
		      message);
}
END_TEST

/* ---- dates ------------------------------------------------------------- */

/* Eight hours with the lid closed: only the boot clock has counted them, and
 * the host cannot be asked yet. */
START_TEST(latch_dates_requests_right_after_a_suspend)
{
	latch_a();
	mind.status = BREAKS;
	ck_assert_int_eq(drive(15000), 0);
	ck_assert_str_eq(mind.date, "Wed, 23 Apr 2025 12:00:15 GMT");
	ck_assert_int_eq(drive(15000 + 8 * 3600 * 1000), 0);
	ck_assert_str_eq(mind.date, "Wed, 23 Apr 2025 20:00:15 GMT");
}
END_TEST

#define NOON "Wed, 23 Apr 2025 12:00:00 GMT"
#define NOT_ENABLED                                                            \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "                    \
	"\"keyDeliveryMethod\": \"http\", \"secureChannelState\": "            \
	"\"Disabled\", \"version\": \"1.0\"}"

static const struct {
	const char *headers;
	bool known;
} dates[] = {
	{ "x-ms-azure-host-date: " NOON "\r\n", true },
	{ "Date: " NOON "\r\n", true },
	{ "Date: Thu, 24 Apr 2025 12:00:00 GMT\r\nx-ms-azure-host-date: " NOON
	  "\r\n",
	  true },
	{ "Date: " NOON "\r\nx-ms-azure-host-date: now\r\n", false },
	{ "Date: " NOON "\r\nx-ms-azure-host-date: \r\n", false },
	{ "", false },
};

START_TEST(latch_takes_the_hosts_date_only_if_it_is_one)
{
	char answer[512];
	int64_t offset;

	snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%s\r\n%s",
		 dates[_i].headers, NOT_ENABLED);
	mind.status = answer;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	ck_assert(msp_latch_clock(latch, &offset) == dates[_i].known);
	ck_assert_int_eq(drive(60000), 0);
	ck_assert_str_eq(mind.date, dates[_i].known
					    ? "Wed, 23 Apr 2025 12:01:00 GMT"
					    : "Sun, 09 Sep 2001 01:46:40 GMT");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("latch_states");
	TCase *tc = tcase_create("states");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, latch_goes_where_the_host_says, 0,
			    COUNT(moves));
	tcase_add_test(tc, latch_that_was_switched_off_uses_its_key_again);
	tcase_add_loop_test(tc, latch_says_what_the_reference_says, 0,
			    COUNT(texts));
	tcase_add_test(tc, latch_dates_requests_right_after_a_suspend);
	tcase_add_loop_test(tc, latch_takes_the_hosts_date_only_if_it_is_one, 0,
			    COUNT(dates));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
