/* SPDX-License-Identifier: MIT */
/*
 * In: a host whose mind changes, a disk that fails, and time that is passed
 * in. Out: whether the latch is in the right state with the right key, says
 * why, and comes back by itself.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/keyhost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* ---- getting a key ----------------------------------------------------- */

START_TEST(latch_acquires_stores_and_attests)
{
	check_latch(MSP_LATCH_UNKNOWN, NULL, "");
	ck_assert_uint_eq(msp_latch_deadline(latch), 0);
	latch_a();
	ck_assert(on_disk(GUID_A));
	ck_assert_ptr_nonnull(msp_latch_status(latch));
	ck_assert_uint_eq(msp_latch_changes(latch),
			  MSP_LATCH_CHANGED_STATE | MSP_LATCH_CHANGED_KEY |
				  MSP_LATCH_CHANGED_STATUS);
	ck_assert_uint_eq(msp_latch_changes(latch), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 15000);

	ck_assert_int_eq(drive(14999), 0);
	check_asked(1, 1, 1);
	ck_assert_int_eq(drive(15000), 0);
	check_asked(2, 1, 1);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	ck_assert_uint_eq(msp_latch_changes(latch), MSP_LATCH_CHANGED_STATUS);
}
END_TEST

START_TEST(latch_works_without_a_store)
{
	restart(false);
	latch_a();
	ck_assert(!on_disk(GUID_A));
	restart(false);
	mind.key = KEY(GUID_B);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
}
END_TEST

START_TEST(latch_uses_key_from_disk_without_asking)
{
	latch_a();
	restart(true);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	check_asked(2, 1, 1);
}
END_TEST

START_TEST(latch_acquires_when_file_is_damaged)
{
	char path[128];

	latch_a();
	snprintf(path, sizeof(path), "%s/%s.key", dir, GUID_A);
	ck_assert_int_eq(truncate(path, 40), 0);
	restart(true);
	mind.key = HANGS;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL, "");
	restart(true);
	mind.key = KEY(GUID_B);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	/* what was wrong can still be told when another key is latched */
	ck_assert_uint_ne(msp_latch_changes(latch) & MSP_LATCH_CHANGED_WARNING,
			  0);
	ck_assert_ptr_nonnull(strstr(msp_latch_warning(latch),
				     "key file '" GUID_A ".key': line 2"));
}
END_TEST

START_TEST(latch_refuses_guid_that_is_a_path)
{
	mind.status = ENABLED("../../../../../../tmp/x");
	mind.key = KEY(GUID_A);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_UNKNOWN, NULL, "Failed to get key status - ");
	check_asked(1, 0, 0);

	mind.status = ENABLED_NO_KEY;
	mind.key = KEY("../../../../../../tmp/x");
	ck_assert_int_eq(drive(1000), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL,
		    "Failed to acquire key details: ");
	check_asked(2, 1, 0);
}
END_TEST

/* ---- failures ---------------------------------------------------------- */

static const struct {
	const char *status;
	const char *key;
	const char *attest;
	enum msp_latch_state state;
	const char *message;
	uint64_t next;
} failures[] = {
	{ REFUSED, HANGS, HANGS, MSP_LATCH_UNKNOWN,
	  "Failed to get key status - Failed to get response from http://",
	  1000 },
	{ HEAD "{", HANGS, HANGS, MSP_LATCH_UNKNOWN,
	  "Failed to get key status - Deserialization failed: ", 1000 },
	{ "", HANGS, HANGS, MSP_LATCH_UNKNOWN, "Failed to get key status - ",
	  1000 },
	{ ENABLED_NO_KEY, REFUSED, HANGS, MSP_LATCH_ACQUIRING,
	  "Failed to acquire key details: Key error: Failed to acquire key "
	  "with status code: 401 Unauthorized",
	  15000 },
	{ ENABLED_NO_KEY, HEAD "{}", HANGS, MSP_LATCH_ACQUIRING,
	  "Failed to acquire key details: ", 15000 },
	{ ENABLED_NO_KEY, KEY(GUID_A), REFUSED, MSP_LATCH_ACQUIRING,
	  "Failed to attest the key: Key error: Failed to attest key with "
	  "status code: 401 Unauthorized",
	  15000 },
	{ ENABLED_NO_KEY, KEY(GUID_A), "", MSP_LATCH_ACQUIRING,
	  "Failed to attest the key: Key error: Failed to send attest key "
	  "with error: ",
	  15000 },
};

START_TEST(latch_tells_failure_and_recovers)
{
	mind.status = failures[_i].status;
	mind.key = failures[_i].key;
	mind.attest = failures[_i].attest;
	ck_assert_int_eq(drive(0), 0);
	check_latch(failures[_i].state, NULL, failures[_i].message);
	ck_assert_uint_eq(msp_latch_deadline(latch), failures[_i].next);

	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_B);
	mind.attest = HEAD;
	ck_assert_int_eq(drive(failures[_i].next), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
}
END_TEST

START_TEST(latch_tells_of_each_failure)
{
	latch_a();
	msp_latch_changes(latch);
	mind.status = REFUSED;
	ck_assert_int_eq(drive(15000), 0);
	ck_assert_uint_eq(msp_latch_changes(latch),
			  MSP_LATCH_CHANGED_STATE | MSP_LATCH_CHANGED_FAILURE);
	ck_assert_int_eq(drive(29999), 0);
	ck_assert_uint_eq(msp_latch_changes(latch), 0);
	ck_assert_int_eq(drive(30000), 0);
	ck_assert_uint_eq(msp_latch_changes(latch), MSP_LATCH_CHANGED_FAILURE);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(45000), 0);
	ck_assert_uint_eq(msp_latch_changes(latch),
			  MSP_LATCH_CHANGED_STATE | MSP_LATCH_CHANGED_STATUS);
}
END_TEST

START_TEST(latch_keeps_state_and_key_while_host_fails)
{
	latch_a();
	msp_latch_changes(latch);
	mind.status = REFUSED;
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, "Failed to get key status - ");
	ck_assert_uint_eq(msp_latch_changes(latch),
			  MSP_LATCH_CHANGED_STATE | MSP_LATCH_CHANGED_FAILURE);
	ck_assert_uint_eq(msp_latch_deadline(latch), 30000);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
}
END_TEST

START_TEST(latch_is_not_held_up_by_hung_host)
{
	mind.status = HANGS;
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_ge(msp_latch_fd(latch), 0);
	ck_assert_int_eq(msp_latch_events(latch), POLLIN);
	ck_assert_uint_eq(msp_latch_deadline(latch), 10000);
	ck_assert_int_eq(msp_latch_run(latch, at(9999)), 0);
	check_latch(MSP_LATCH_UNKNOWN, NULL, "");
	ck_assert_int_eq(msp_latch_run(latch, at(10000)), 0);
	check_latch(MSP_LATCH_UNKNOWN, NULL,
		    "Failed to get key status - timed out: ");
	ck_assert_uint_eq(msp_latch_deadline(latch), 11000);
}
END_TEST

START_TEST(latch_polls_eagerly_only_at_first)
{
	mind.status = REFUSED;
	ck_assert_int_eq(drive(5000), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 6000);
	ck_assert_int_eq(drive(304999), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 305999);
	ck_assert_int_eq(drive(305999), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 320999);
}
END_TEST

START_TEST(latch_attests_nothing_it_cannot_store)
{
	char path[128];

	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_A);
	mind.attest = HEAD;
	/* what is written first, and cannot be removed when it is a directory
	 */
	snprintf(path, sizeof(path), "%s/%s.tmp", dir, GUID_A);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL,
		    "Failed to save key details to file: Key error: Failed to "
		    "store key locally with error: ");
	check_asked(1, 1, 0);
}
END_TEST

/* ---- a host that changes its mind -------------------------------------- */

START_TEST(latch_follows_disabled_and_back)
{
	latch_a();
	msp_latch_changes(latch);
	mind.status = DISABLED(GUID_A);
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	ck_assert_uint_eq(msp_latch_changes(latch),
			  MSP_LATCH_CHANGED_STATE | MSP_LATCH_CHANGED_KEY |
				  MSP_LATCH_CHANGED_STATUS);
	ck_assert_uint_eq(msp_latch_deadline(latch), 30000);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	mind.status = DISABLED(GUID_A);
	ck_assert_int_eq(drive(45000), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	check_asked(4, 1, 1);
}
END_TEST

START_TEST(latch_drops_key_the_host_replaced)
{
	mind.key = KEY_OF(GUID_A, "1");
	latch_acquired_a();
	mind.status = ENABLED(GUID_B);
	mind.key = HANGS;
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LOST, NULL, ATTESTED);
	mind.key = REFUSED;
	ck_assert_int_eq(msp_latch_run(latch, at(25000)), 0);
	check_latch(MSP_LATCH_LOST, NULL,
		    "Failed to acquire key details: Key error: Failed to send "
		    "acquire key with error: timed out");
	ck_assert_int_eq(drive(40000), 0);
	check_latch(MSP_LATCH_LOST, NULL, "Failed to acquire key details: ");
	mind.key = KEY_OF(GUID_B, "1");
	ck_assert_int_eq(drive(55000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	ck_assert(on_disk(GUID_A));
	ck_assert(on_disk(GUID_B));
	/* and back again, both are known: it was another machine's host */
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(70000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
}
END_TEST

START_TEST(latch_signs_with_old_key_until_new_one_is_attested)
{
	latch_a();
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_B);
	mind.attest = HANGS;
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_asked(2, 2, 2);
	mind.attest = HEAD;
	ck_assert_int_eq(msp_latch_run(latch, at(25000)), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, "Failed to attest the key: ");
	msp_latch_changes(latch);
	ck_assert_int_eq(drive(40000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	ck_assert(msp_latch_changes(latch) & MSP_LATCH_CHANGED_KEY);
	/* still none named: one more each time, as in the reference */
	ck_assert_int_eq(drive(55000), 0);
	check_asked(4, 4, 4);
}
END_TEST

START_TEST(latch_takes_guid_in_any_case)
{
	latch_a();
	mind.status = ENABLED("AAAAAAAA-0316-4AD3-94A7-8CCBDEE8CCBF");
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_asked(2, 1, 1);
}
END_TEST

START_TEST(latch_polls_when_told)
{
	latch_a();
	msp_latch_poll_now(latch);
	msp_latch_poll_now(latch);
	ck_assert_uint_eq(msp_latch_deadline(latch), 0);
	ck_assert_int_eq(drive(100), 0);
	ck_assert_int_eq(drive(101), 0);
	check_asked(2, 1, 1);
	ck_assert_uint_eq(msp_latch_deadline(latch), 15100);

	/* told while a poll is under way: once more after it */
	mind.status = HANGS;
	ck_assert_int_eq(drive(15100), 0);
	msp_latch_poll_now(latch);
	ck_assert_int_eq(msp_latch_run(latch, at(25100)), 0);
	ck_assert_int_eq(msp_latch_fd(latch), -1);
	ck_assert_uint_eq(msp_latch_deadline(latch), 0);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(25100), 0);
	check_asked(4, 1, 1);
}
END_TEST

START_TEST(latch_looks_anew_after_a_reset)
{
	latch_a();
	mind.status = DISABLED(GUID_A);
	ck_assert_int_eq(drive(400000), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	ck_assert_uint_eq(msp_latch_deadline(latch), 415000);
	msp_latch_changes(latch);

	msp_latch_reset(latch);
	ck_assert_uint_eq(msp_latch_changes(latch), MSP_LATCH_CHANGED_STATE);
	check_latch(MSP_LATCH_UNKNOWN, NULL, OFF);
	ck_assert_uint_eq(msp_latch_deadline(latch), 0);
	mind.status = REFUSED;
	ck_assert_int_eq(drive(400100), 0);
	/* eagerly again, long after the first 300 s of the latch */
	ck_assert_uint_eq(msp_latch_deadline(latch), 401100);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(401100), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	ck_assert_uint_eq(msp_latch_deadline(latch), 416100);
	check_asked(4, 1, 1);
}
END_TEST

/* Of a machine that has become another one it would be the old one's. */
START_TEST(latch_does_not_use_what_was_asked_before_a_reset)
{
	static const char late[] = DISABLED(GUID_A);

	latch_a();
	mind.status = HANGS;
	ck_assert_int_eq(drive(15000), 0);
	msp_latch_reset(latch);
	fakehost_say(&host, late, strlen(late));
	fakehost_hang_up(&host);
	while (msp_latch_fd(latch) >= 0)
		ck_assert_int_eq(msp_latch_run(latch, at(15001)), 0);
	check_latch(MSP_LATCH_UNKNOWN, GUID_A, ATTESTED);
	ck_assert_uint_eq(msp_latch_deadline(latch), 0);
	/* what is asked after it is used, and the key is still there */
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(15002), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_asked(3, 1, 1);
	msp_latch_reset(NULL);
}
END_TEST

/* ---- the host's time (spec 5.9) ---------------------------------------- */

#define AT_NOON	 INT64_C(1745409600000)
#define TOMORROW "Thu, 24 Apr 2025 12:00:00 GMT"

static void poll_at(uint64_t now)
{
	msp_latch_poll_now(latch);
	ck_assert_int_eq(drive(now), 0);
}

START_TEST(latch_keeps_the_host_time)
{
	int64_t offset = 0;

	mind.status = REFUSED;
	poll_at(5000);
	ck_assert(!msp_latch_clock(latch, &offset));
	ck_assert_str_eq(mind.date, "Sun, 09 Sep 2001 01:46:40 GMT");
	mind.status = DISABLED(GUID_A);
	poll_at(6000);
	ck_assert_str_eq(mind.date, "Sun, 09 Sep 2001 01:46:40 GMT");
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 6000);

	/* from now on it goes by the boot clock alone */
	poll_at(6000 + 59000);
	ck_assert_str_eq(mind.date, "Wed, 23 Apr 2025 12:00:59 GMT");

	mind.status = "HTTP/1.1 200 OK\r\nDate: " TOMORROW "\r\n\r\n{}";
	poll_at(6000 + 900000); /* no good status: no time either */
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 6000);

	mind.status = DISABLED(GUID_A);
	poll_at(6000 + 60000); /* not a minute off yet */
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 6000);
	poll_at(6000 + 900001);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 906001);
}
END_TEST

/* ---- wrong use, no memory ---------------------------------------------- */

START_TEST(latch_checks_arguments)
{
	struct msp_latch_opts o = { .size = sizeof(o) - 1 };
	struct msp_latch_opts odd = { .size = sizeof(odd), .reserved = 1 };
	struct msp_latch *l;

	ck_assert_int_eq(msp_latch_new(NULL, channel, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_new(&l, NULL, NULL, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_new(&l, channel, NULL, &o), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_new(&l, channel, NULL, &odd), MSP_ERR_INVAL);
	ck_assert_ptr_null(l);
	ck_assert_int_eq(msp_latch_run(NULL, at(0)), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_run(latch, at(UINT64_MAX)), MSP_ERR_INVAL);
	msp_latch_free(NULL);
	ck_assert_str_eq(msp_latch_state_name((enum msp_latch_state)99),
			 "unknown");
}
END_TEST

START_TEST(latch_takes_intervals_from_options)
{
	struct msp_latch_opts o = { sizeof(o), 7, 5, 11, 3, 0, 0 };

	msp_latch_free(latch);
	ck_assert_int_eq(msp_latch_new(&latch, channel, store, &o), 0);
	mind.status = REFUSED;
	ck_assert_int_eq(drive(100), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 105);
	ck_assert_int_eq(drive(111), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 114);
	/* unless the next poll is sooner */
	msp_latch_free(latch);
	o.retry_ms = 9;
	ck_assert_int_eq(msp_latch_new(&latch, channel, store, &o), 0);
	ck_assert_int_eq(drive(150), 0);
	ck_assert_int_eq(drive(161), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 168);
	msp_latch_free(latch);
	o.retry_ms = 3;
	ck_assert_int_eq(msp_latch_new(&latch, channel, store, &o), 0);
	mind.status = ENABLED_NO_KEY;
	mind.key = REFUSED;
	ck_assert_int_eq(drive(200), 0);
	ck_assert_uint_eq(msp_latch_deadline(latch), 203);
}
END_TEST

START_TEST(latch_takes_the_hosts_time_as_often_as_it_is_told)
{
	struct msp_latch_opts o = { .size = sizeof(o), .clock_ms = 1000 };
	int64_t offset;

	msp_latch_free(latch);
	ck_assert_int_eq(msp_latch_new(&latch, channel, store, &o), 0);
	mind.status = DISABLED(GUID_A);
	poll_at(0);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON);
	poll_at(1000);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON);
	poll_at(1001);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 1001);
}
END_TEST

/* As where the host's clock was set: the answers carry noon. */
START_TEST(latch_takes_a_time_that_has_jumped_at_once)
{
	int64_t offset;

	mind.status = DISABLED(GUID_A);
	poll_at(0);
	poll_at(60000);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON);
	poll_at(60001);
	ck_assert(msp_latch_clock(latch, &offset));
	ck_assert(offset == AT_NOON - 60001);
}
END_TEST

START_TEST(latch_survives_every_failed_allocation)
{
	uint64_t now = 0;
	bool failed;
	long n;
	int rc;

	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_A);
	mind.attest = HEAD;
	for (n = 0;; n++, now += 20000) {
		failalloc_arm(n);
		rc = drive(now);
		failed = failalloc_disarm();
		ck_assert(rc == 0 || rc == MSP_ERR_NOMEM);
		if (!failed)
			break;
		ck_assert_int_eq(msp_latch_fd(latch), -1);
		ck_assert_ptr_null(msp_latch_key(latch));
		ck_assert_uint_gt(strlen(msp_latch_message(latch)), 0);
	}
	ck_assert_int_gt(n, 20);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
}
END_TEST

static TCase *keys_case(void)
{
	TCase *tc = tcase_create("keys");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, latch_acquires_stores_and_attests);
	tcase_add_test(tc, latch_works_without_a_store);
	tcase_add_test(tc, latch_uses_key_from_disk_without_asking);
	tcase_add_test(tc, latch_acquires_when_file_is_damaged);
	tcase_add_test(tc, latch_refuses_guid_that_is_a_path);
	tcase_add_loop_test(tc, latch_tells_failure_and_recovers, 0,
			    COUNT(failures));
	tcase_add_test(tc, latch_tells_of_each_failure);
	tcase_add_test(tc, latch_keeps_state_and_key_while_host_fails);
	tcase_add_test(tc, latch_is_not_held_up_by_hung_host);
	tcase_add_test(tc, latch_polls_eagerly_only_at_first);
	tcase_add_test(tc, latch_attests_nothing_it_cannot_store);
	return tc;
}

static TCase *changes_case(void)
{
	TCase *tc = tcase_create("changes");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, latch_follows_disabled_and_back);
	tcase_add_test(tc, latch_drops_key_the_host_replaced);
	tcase_add_test(tc, latch_signs_with_old_key_until_new_one_is_attested);
	tcase_add_test(tc, latch_takes_guid_in_any_case);
	tcase_add_test(tc, latch_polls_when_told);
	tcase_add_test(tc, latch_looks_anew_after_a_reset);
	tcase_add_test(tc, latch_does_not_use_what_was_asked_before_a_reset);
	tcase_add_test(tc, latch_keeps_the_host_time);
	tcase_add_test(tc, latch_checks_arguments);
	tcase_add_test(tc, latch_takes_intervals_from_options);
	tcase_add_test(tc, latch_takes_the_hosts_time_as_often_as_it_is_told);
	tcase_add_test(tc, latch_takes_a_time_that_has_jumped_at_once);
	tcase_add_test(tc, latch_survives_every_failed_allocation);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("latch");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, keys_case());
	suite_add_tcase(s, changes_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
