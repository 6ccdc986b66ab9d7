/* SPDX-License-Identifier: MIT */
/*
 * In: requests, and a clock that moves. Out: what is counted, for how long, and
 * who is remembered of those that were refused.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/log.h"
#include "mspd/meter.h"
#include "mspd/refused.h"

#define START_MS 1234567

static struct mspd_meter meter;
static struct mspd_refused refused;
static struct msp_request *request;
static struct msp_caller caller;

static void setup(void)
{
	memset(&meter, 0, sizeof(meter));
	memset(&refused, 0, sizeof(refused));
	memset(&caller, 0, sizeof(caller));
	caller.size = sizeof(caller);
	caller.flags = MSP_CALLER_KNOWN;
	caller.uid = 1000;
	caller.euid = 1000;
	strcpy(caller.exe_path, "/usr/bin/curl");
	ck_assert_int_eq(msp_request_new(&request), 0);
}

static void teardown(void)
{
	mspd_refused_close(&refused);
	msp_request_free(request);
	request = NULL;
}

static void count(uint64_t now_ms)
{
	mspd_meter_count(&meter, MSP_ENDPOINT_IMDS, MSPD_METER_ALLOW,
			 MSP_REASON_GRANTED, now_ms);
}

static uint64_t minute(uint64_t now_ms)
{
	struct mspd_meter_counts n;

	mspd_meter_minute(&meter, now_ms, &n);
	return n.n[MSPD_METER_ALLOW];
}

static uint64_t hour(uint64_t now_ms)
{
	struct mspd_meter_counts n;

	mspd_meter_hour(&meter, now_ms, &n);
	return n.n[MSPD_METER_ALLOW];
}

START_TEST(meter_forgets_after_a_minute_and_after_an_hour)
{
	count(START_MS);
	ck_assert_uint_eq(minute(START_MS), 1);
	ck_assert_uint_eq(hour(START_MS), 1);
	ck_assert_uint_eq(minute(START_MS + 54000), 1);
	ck_assert_uint_eq(minute(START_MS + 61000), 0);
	ck_assert_uint_eq(hour(START_MS + 61000), 1);
	ck_assert_uint_eq(hour(START_MS + 3500000), 1);
	ck_assert_uint_eq(hour(START_MS + 3661000), 0);
	ck_assert_uint_eq(meter.requests[MSP_ENDPOINT_IMDS][MSPD_METER_ALLOW]
					[MSP_REASON_GRANTED],
			  1);
}
END_TEST

/* Whenever it is looked at, nothing is counted twice, or lost too early. */
START_TEST(meter_hour_is_the_sum_of_its_requests)
{
	uint64_t now = START_MS;
	int i;

	for (i = 0; i < 1000; i++, now += 3000) {
		count(now);
		ck_assert_uint_eq(hour(now), (uint64_t)i + 1);
	}
	for (; i < 4000; i++, now += 3000)
		count(now);
	/* 20 a minute, and the current minute is not over */
	ck_assert_uint_ge(hour(now), 59 * 20);
	ck_assert_uint_le(hour(now), 60 * 20);
	ck_assert_uint_ge(minute(now), 11 * 5000 / 3000);
	ck_assert_uint_le(minute(now), 20);
}
END_TEST

START_TEST(meter_is_empty_after_a_long_rest)
{
	count(START_MS);
	ck_assert_uint_eq(hour(START_MS + 100ull * 86400 * 1000), 0);
	count(START_MS + 100ull * 86400 * 1000);
	ck_assert_uint_eq(hour(START_MS + 100ull * 86400 * 1000), 1);
	/* the clock of a loop does not go back; if it did, nothing breaks */
	count(START_MS);
	ck_assert_uint_eq(minute(START_MS), 2);
}
END_TEST

START_TEST(meter_takes_what_is_none_for_refused)
{
	struct mspd_meter_counts n;

	mspd_meter_count(&meter, -1, MSPD_METER_DENY, 4711, START_MS);
	mspd_meter_count(&meter, 99, MSPD_METER_DENY, MSPD_METER_REFUSED,
			 START_MS);
	ck_assert_uint_eq(meter.requests[MSP_ENDPOINTS][MSPD_METER_DENY]
					[MSPD_METER_REFUSED],
			  2);
	mspd_meter_total(&meter, &n);
	ck_assert_uint_eq(n.n[MSPD_METER_DENY], 2);
	ck_assert_str_eq(mspd_meter_endpoint_name(MSP_ENDPOINTS), "none");
	ck_assert_str_eq(mspd_meter_reason_name(MSPD_METER_REFUSED), "refused");
	ck_assert_str_eq(mspd_meter_reason_name(MSP_REASON_DEFAULT_DENY),
			 "default-deny");
}
END_TEST

START_TEST(meter_puts_durations_into_the_bucket_they_fit_in)
{
	const struct mspd_histogram *h = &meter.stages[MSPD_METER_TOTAL];
	const uint64_t bound = mspd_meter_bound(0);

	mspd_meter_took(&meter, MSPD_METER_TOTAL, bound);
	mspd_meter_took(&meter, MSPD_METER_TOTAL, bound + 1);
	mspd_meter_took(&meter, MSPD_METER_TOTAL, UINT32_MAX);
	ck_assert_uint_eq(h->bucket[0], 1);
	ck_assert_uint_eq(h->bucket[1], 1);
	ck_assert_uint_eq(h->bucket[MSPD_METER_BOUNDS], 1);
	ck_assert_uint_eq(h->sum_us, 2 * bound + 1 + (uint64_t)UINT32_MAX);
}
END_TEST

/* ---- who is refused ----------------------------------------------------- */

static void refuse(const char *target, unsigned int reason)
{
	struct mspd_refusal r = {
		.caller = &caller,
		.endpoint = MSP_ENDPOINT_IMDS,
		.method = "GET",
		.target = target,
		.target_len = strlen(target),
		.request = request,
		.reason = reason,
		.wall_s = 1700000000,
	};

	ck_assert_int_eq(
		msp_request_set(request, "GET", 3, target, strlen(target)), 0);
	mspd_refused_note(&refused, &r);
}

static const struct mspd_refused_entry *first(void)
{
	const struct mspd_refused_entry *top[1];

	ck_assert_uint_eq(mspd_refused_top(&refused, top, 1), 1);
	return top[0];
}

START_TEST(refused_counts_what_is_alike)
{
	refuse("/a?token=1", MSP_REASON_DEFAULT_DENY);
	refuse("/b", MSP_REASON_DEFAULT_DENY);
	refuse("/a?token=2", MSP_REASON_DEFAULT_DENY);
	refuse("/a?token=2", MSP_REASON_NO_IDENTITY);
	caller.uid = 1001;
	refuse("/a?token=2", MSP_REASON_DEFAULT_DENY);
	ck_assert_uint_eq(refused.n, 4);
	ck_assert_uint_eq(first()->count, 2);
	ck_assert_str_eq(first()->path, "/a?token");
	ck_assert_uint_eq(first()->caller.uid, 1000);
}
END_TEST

START_TEST(refused_drops_who_was_refused_longest_ago)
{
	const struct mspd_refused_entry *top[MSPD_REFUSED_MAX];
	char target[32];
	int i;

	refuse("/old", MSP_REASON_DEFAULT_DENY);
	refuse("/kept", MSP_REASON_DEFAULT_DENY);
	for (i = 0; i < 200; i++) {
		snprintf(target, sizeof(target), "/x%d", i);
		refuse(target, MSP_REASON_DEFAULT_DENY);
		refuse("/kept", MSP_REASON_DEFAULT_DENY);
	}
	ck_assert_uint_eq(mspd_refused_top(&refused, top, MSPD_REFUSED_MAX),
			  MSPD_REFUSED_MAX);
	ck_assert_str_eq(top[0]->path, "/kept");
	ck_assert_uint_eq(top[0]->count, 201);
	for (i = 0; i < MSPD_REFUSED_MAX; i++)
		ck_assert_str_ne(top[i]->path, "/old");
	ck_assert_str_eq(top[1]->path, "/x199");
}
END_TEST

/* However many paths it thinks of. */
START_TEST(refused_keeps_others_when_one_user_asks_for_everything)
{
	const struct mspd_refused_entry *top[MSPD_REFUSED_MAX];
	char target[32];
	size_t i, n, others = 0;

	for (i = 0; i < 40; i++) {
		caller.uid = 1000 + (uint32_t)i;
		refuse("/kept", MSP_REASON_DEFAULT_DENY);
	}
	caller.uid = 1;
	for (i = 0; i < 1000; i++) {
		snprintf(target, sizeof(target), "/x%zu", i);
		refuse(target, MSP_REASON_DEFAULT_DENY);
	}
	n = mspd_refused_top(&refused, top, MSPD_REFUSED_MAX);
	for (i = 0; i < n; i++)
		others += top[i]->caller.uid != 1;
	ck_assert_uint_eq(others, 40);
	ck_assert_uint_le(n, MSPD_REFUSED_MAX);
}
END_TEST

START_TEST(refused_says_what_no_rule_can_change)
{
	char allow[MSPD_REFUSED_ALLOW];
	unsigned int reason;

	for (reason = 0; reason <= MSPD_METER_REFUSED; reason++) {
		refuse("/a", reason);
		mspd_refused_allow(refused.entries[refused.n - 1], NULL, allow);
		ck_assert_str_ne(allow, "");
	}
}
END_TEST

START_TEST(refused_does_not_explain_by_half_a_target)
{
	char target[MSPD_REFUSED_TARGET + 16], allow[MSPD_REFUSED_ALLOW];

	memset(target, 'a', sizeof(target) - 1);
	target[0] = '/';
	target[sizeof(target) - 1] = '\0';
	refuse(target, MSP_REASON_DEFAULT_DENY);
	mspd_refused_allow(first(), NULL, allow);
	ck_assert_ptr_nonnull(strstr(allow, "too long"));
}
END_TEST

/* Values that a caller sent stay out of what is said. */
START_TEST(refused_names_the_privilege_that_is_missing)
{
	static const char profile[] =
		"{\"id\":\"i\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":\"/a\","
		"\"queryParameters\":{\"kind\":\"good\"}}],"
		"\"roles\":[{\"name\":\"r\",\"privileges\":[\"p\"]}],"
		"\"identities\":[{\"name\":\"n\",\"userName\":\"x\"}],"
		"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"n\"]}]"
		"}}";
	char allow[MSPD_REFUSED_ALLOW], longer[150] = "/";
	struct msp_profile *parsed;
	struct msp_rules *rules;

	ck_assert_int_eq(
		msp_profile_parse(&parsed, profile, sizeof(profile) - 1, NULL),
		0);
	ck_assert_int_eq(msp_rules_compile(&rules, parsed, 1), 0);
	refuse("/a?kind=secret", MSP_REASON_DEFAULT_DENY);
	mspd_refused_allow(first(), rules, allow);
	ck_assert_ptr_nonnull(strstr(allow, "add a privilege with path '/a'"));
	ck_assert_ptr_nonnull(strstr(allow, "parameter 'kind'"));
	ck_assert_ptr_null(strstr(allow, "secret"));
	refuse("/a?kind=good", MSP_REASON_NO_IDENTITY);
	mspd_refused_allow(refused.entries[1], rules, allow);
	ck_assert_ptr_nonnull(strstr(allow, "privilege 'p'"));
	ck_assert_ptr_nonnull(strstr(allow, "identity 'n'"));
	/* what begins the same is more than was asked for */
	memset(longer + 1, 'b', sizeof(longer) - 2);
	refuse(longer, MSP_REASON_DEFAULT_DENY);
	mspd_refused_allow(refused.entries[2], rules, allow);
	ck_assert_ptr_nonnull(strstr(allow, "add a privilege with this path"));
	ck_assert_ptr_null(strstr(allow, "bbb"));
	msp_rules_free(rules);
	msp_profile_free(parsed);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mspd_meter");
	TCase *t = tcase_create("meter");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, meter_forgets_after_a_minute_and_after_an_hour);
	tcase_add_test(t, meter_hour_is_the_sum_of_its_requests);
	tcase_add_test(t, meter_is_empty_after_a_long_rest);
	tcase_add_test(t, meter_takes_what_is_none_for_refused);
	tcase_add_test(t, meter_puts_durations_into_the_bucket_they_fit_in);
	tcase_add_test(t, refused_counts_what_is_alike);
	tcase_add_test(t, refused_drops_who_was_refused_longest_ago);
	tcase_add_test(t,
		       refused_keeps_others_when_one_user_asks_for_everything);
	tcase_add_test(t, refused_says_what_no_rule_can_change);
	tcase_add_test(t, refused_does_not_explain_by_half_a_target);
	tcase_add_test(t, refused_names_the_privilege_that_is_missing);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	mspd_log_open("", MSPD_NO_LEVEL, MSPD_NO_LEVEL);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
