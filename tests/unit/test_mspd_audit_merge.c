/* SPDX-License-Identifier: MIT */
/*
 * In: records of many users, at times made up here. Out: whether each is
 * written or counted, and what the lines that count say. Must never depend on
 * a clock.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/audit_merge.h"
#include "mspd/fair.h"

#define EVERY 30000

static struct mspd_merge *merge;
static struct msp_caller caller;
static struct msp_decision decision;
static struct mspd_audit_record record;
static uint64_t now;
static uint64_t sent, written, merged, lines;
static char last_line[MSPD_AUDIT_LINE];

static void start(uint32_t records, uint32_t per_second)
{
	const struct mspd_audit_opts opts = { .records = records,
					      .per_second = per_second,
					      .merge_ms = EVERY };

	mspd_merge_free(merge);
	ck_assert_int_eq(mspd_merge_new(&merge, &opts), 0);
}

static void setup(void)
{
	caller = (struct msp_caller){ .size = sizeof(caller),
				      .flags = MSP_CALLER_KNOWN,
				      .uid = 1000,
				      .exe_path = "/usr/bin/curl" };
	decision = (struct msp_decision){ .size = sizeof(decision),
					  .verdict = MSP_DENY,
					  .reason = MSP_REASON_DEFAULT_DENY,
					  .rule_id = "r" };
	record = (struct mspd_audit_record){ .time = { 1767323045, 0 },
					     .caller = &caller,
					     .method = "GET",
					     .path = "/p",
					     .decision = &decision,
					     .status = 403,
					     .owner = 1000 };
	sent = written = merged = lines = 0;
	now = 1000000;
	start(10, 1);
}

static void teardown(void)
{
	mspd_merge_free(merge);
	merge = NULL;
}

/* Was it written? */
static bool add(void)
{
	bool yes;

	sent++;
	record.id++;
	yes = mspd_merge_take(merge, &record, now, true);
	if (yes)
		mspd_merge_charge(merge, 1000);
	written += yes;
	return yes;
}

static unsigned int add_many(unsigned int n)
{
	unsigned int yes = 0;

	while (n--)
		yes += add();
	return yes;
}

static void add_as(uint32_t uid)
{
	caller.uid = uid;
	record.owner = uid;
	add();
}

static bool next_line(bool all)
{
	char buffer[MSPD_AUDIT_LINE];
	struct mspd_text line;
	const char *at;

	mspd_text_init(&line, buffer, sizeof(buffer));
	if (!mspd_merge_next(merge, now, all, &line))
		return false;
	strcpy(last_line, buffer);
	ck_assert_int_eq(last_line[line.len - 1], '\n');
	at = strstr(last_line, "\"merged\":");
	merged += 1 + (at ? strtoull(at + strlen("\"merged\":"), NULL, 10) : 0);
	lines++;
	return true;
}

static void expect_all_told(void)
{
	while (next_line(true))
		;
	ck_assert_uint_eq(written + merged, sent);
	ck_assert_uint_eq(mspd_merge_due(merge), MSP_NEVER);
}

START_TEST(merge_writes_what_the_budget_has_and_counts_the_rest)
{
	ck_assert_uint_eq(add_many(100), 10);
	ck_assert_uint_eq(mspd_merge_due(merge), now + EVERY);
	now += EVERY - 1;
	ck_assert(!next_line(false));
	now++;
	ck_assert(next_line(false));
	ck_assert_ptr_nonnull(strstr(last_line, "\"id\":11,"));
	ck_assert_ptr_nonnull(strstr(last_line, "\"merged\":89,"));
	ck_assert(!next_line(false));
	expect_all_told();
}
END_TEST

START_TEST(merge_budget_comes_back)
{
	add_many(20);
	now += 4999;
	record.path = "/other";
	ck_assert_uint_eq(add_many(10), 5);
	now += 1000000;
	record.path = "/third";
	ck_assert_uint_eq(add_many(100), 10);
	expect_all_told();
}
END_TEST

/* What goes on needs none of what comes back: that is for news. */
START_TEST(merge_goes_on_counting_what_goes_on)
{
	add_many(11);
	now += 9000;
	ck_assert_uint_eq(add_many(100), 0);
	record.path = "/news";
	ck_assert(add());
	expect_all_told();
}
END_TEST

START_TEST(merge_forgets_what_has_ended)
{
	add_many(12);
	now += EVERY;
	ck_assert(next_line(false));
	now += EVERY;
	ck_assert(!next_line(false));
	ck_assert_uint_eq(mspd_merge_due(merge), MSP_NEVER);
	now += 20000; /* the line itself had to be paid for, too */
	ck_assert(add());
	expect_all_told();
}
END_TEST

START_TEST(merge_long_lines_cost_more)
{
	int i;

	for (i = 0; i < 2; i++) {
		ck_assert(mspd_merge_take(merge, &record, now, true));
		mspd_merge_charge(merge, 5 * 1024);
	}
	ck_assert(!mspd_merge_take(merge, &record, now, true));
}
END_TEST

/* The lines that count are paid for, too, even if there is nothing left. */
START_TEST(merge_lines_that_count_cost_as_much)
{
	start(2, 1);
	add_many(5);
	now += 1000;
	ck_assert(next_line(true));
	record.path = "/other";
	ck_assert(!add());
	expect_all_told();
}
END_TEST

static struct msp_decision other_decision;

/* Each changes one thing by which requests are told apart. */
static void change(int what)
{
	other_decision = decision;
	record.decision = &other_decision;
	switch (what) {
	case 0:
		record.path = "/P";
		break;
	case 1:
		record.method = "PUT";
		break;
	case 2:
		record.status = 503;
		break;
	case 3:
		record.endpoint = 1;
		break;
	case 4:
		strcpy(caller.exe_path, "/usr/bin/wget");
		break;
	case 5:
		caller.uid = 1001; /* same owner: in a namespace */
		break;
	case 6:
		other_decision.verdict = MSP_ALLOW;
		break;
	case 7:
		other_decision.reason = MSP_REASON_CANON;
		break;
	case 8:
		other_decision.privilege = "p";
		break;
	case 9:
		other_decision.identity = "p";
		break;
	case 10:
		other_decision.canon = MSP_CANON_PCT;
		break;
	case 11:
		other_decision.mode = MSP_MODE_AUDIT;
		break;
	case 12:
		record.decision = NULL;
		break;
	default:
		record.caller = NULL;
	}
}
#define CHANGES 14

START_TEST(merge_keeps_what_differs_apart)
{
	add_many(12);
	change(_i);
	add_many(3);
	expect_all_told();
	ck_assert_uint_eq(lines, 2);
	ck_assert_uint_eq(merged, 5);
}
END_TEST

START_TEST(merge_takes_other_processes_of_a_program_for_the_same)
{
	add_many(11);
	caller.pid = 99;
	strcpy(caller.comm, "x");
	record.us = 7;
	record.client_port = 7;
	add_many(3);
	expect_all_told();
	ck_assert_uint_eq(lines, 1);
}
END_TEST

static void name_path(char path[32], unsigned int i)
{
	snprintf(path, 32, "/%u", i);
	record.path = path;
}

START_TEST(merge_of_too_many_paths_still_tells_the_privilege)
{
	char path[32];
	unsigned int i;

	add_many(10);
	decision.verdict = MSP_ALLOW;
	decision.privilege = "token";
	for (i = 0; i < MSPD_MERGE_GROUPS + 100; i++) {
		name_path(path, i);
		add();
	}
	for (i = 0; i < MSPD_MERGE_GROUPS; i++)
		ck_assert(next_line(true));
	ck_assert_ptr_nonnull(strstr(last_line, "\"path\":\"/31\""));
	ck_assert(next_line(true));
	ck_assert_ptr_nonnull(strstr(last_line,
				     "\"method\":null,\"path\":null,"
				     "\"verdict\":\"allow\",\"reason\":"));
	ck_assert_ptr_nonnull(strstr(last_line, "\"privilege\":\"token\""));
	ck_assert_ptr_nonnull(strstr(last_line, "\"merged\":99,"));
	expect_all_told();
}
END_TEST

START_TEST(merge_of_anything_else_tells_user_and_verdict)
{
	char path[32];
	unsigned int i;

	add_many(10);
	for (i = 0; i < 1000; i++) {
		name_path(path, i);
		decision.verdict = (enum msp_verdict)(i % 3);
		record.status = i;
		add();
	}
	while (next_line(true))
		if (strstr(last_line, "\"reason\":\"other\""))
			break;
	ck_assert_ptr_nonnull(strstr(last_line, "\"uid\":1000,\"user\":null,"));
	ck_assert_ptr_nonnull(strstr(last_line, "\"status\":null,"));
	expect_all_told();
	ck_assert_uint_eq(lines, MSPD_MERGE_GROUPS + MSPD_MERGE_COARSE + 3);
}
END_TEST

/* Texts as long as can be: bytes are bounded, not only groups. */
START_TEST(merge_of_long_texts_is_bounded)
{
	char path[600];
	unsigned int i;
	size_t len = 0;

	memset(path, 1, sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	record.path = record.user = path;
	add_many(10);
	for (i = 0; i < 1000; i++) {
		path[0] = (char)('A' + i % 60);
		add();
	}
	while (next_line(true))
		len += strlen(last_line);
	ck_assert_uint_lt(len, MSPD_MERGE_USER_BYTES + 2 * MSPD_AUDIT_LINE);
	expect_all_told();
}
END_TEST

START_TEST(merge_users_do_not_pay_for_each_other)
{
	add_many(1000);
	add_as(2000);
	ck_assert_uint_eq(written, 11);
	add_as(0);
	ck_assert_uint_eq(written, 12);
	ck_assert_uint_eq(add_many(100), 39); /* root's is four times as much */
	expect_all_told();
}
END_TEST

/* More users than there are places for: those beyond share one budget, and
 * places come free with time. */
START_TEST(merge_of_too_many_users_loses_nobody)
{
	uint32_t i, round;

	start(2, 1);
	for (round = 0; round < 3; round++)
		for (i = 0; i < 1000; i++)
			add_as(5000 + i);
	ck_assert_uint_le(written, 2 * (MSPD_MERGE_USERS + 1));
	ck_assert_uint_ge(written, 2 * MSPD_MERGE_USERS);
	expect_all_told();
	now += 1000000;
	written = sent = merged = 0;
	for (i = 0; i < MSPD_MERGE_USERS; i++)
		add_as(90000 + i);
	ck_assert_uint_eq(written, MSPD_MERGE_USERS);
	expect_all_told();
}
END_TEST

/* Of whom something is counted nobody takes the place. */
START_TEST(merge_forgets_nobody_too_soon)
{
	uint32_t i;

	start(2, 1);
	for (i = 0; i < 4 * MSPD_MERGE_USERS; i++)
		add_as(5000 + i / 4);
	now += 5000;
	for (i = 0; i < 4 * MSPD_MERGE_USERS; i++)
		add_as(90000 + i / 4);
	ck_assert_uint_le(written, 2 * (MSPD_MERGE_USERS + 1));
	expect_all_told();
}
END_TEST

START_TEST(merge_uids_of_a_namespace_are_one_user)
{
	uint32_t i;

	for (i = 0; i < 100; i++) {
		caller.uid = 100000 + i;
		record.owner = mspd_fair_key(MSPD_FAIR_NESTED, 100000 + i);
		add();
	}
	ck_assert_uint_eq(written, 10);
	expect_all_told();
}
END_TEST

START_TEST(merge_without_room_counts_everybody)
{
	ck_assert(!mspd_merge_take(merge, &record, now, false));
	ck_assert(!mspd_merge_take(merge, &record, now, false));
	sent = 2;
	expect_all_told();
	ck_assert_ptr_nonnull(strstr(last_line, "\"merged\":1,"));
	ck_assert(add());
}
END_TEST

/* The first that is counted anew may have a longer line than the last one. */
START_TEST(merge_line_may_grow)
{
	char cgroup[1000];

	add_many(12);
	now += EVERY;
	ck_assert(next_line(false));
	memset(cgroup, 'x', sizeof(cgroup) - 1);
	cgroup[sizeof(cgroup) - 1] = '\0';
	caller.cgroup_path = cgroup;
	add_many(2);
	expect_all_told();
	ck_assert_ptr_nonnull(strstr(last_line, "xxxxxxxxxxxxxxxxxxxxxxx"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_audit_merge");
	TCase *tc = tcase_create("merge");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc,
		       merge_writes_what_the_budget_has_and_counts_the_rest);
	tcase_add_test(tc, merge_budget_comes_back);
	tcase_add_test(tc, merge_goes_on_counting_what_goes_on);
	tcase_add_test(tc, merge_forgets_what_has_ended);
	tcase_add_test(tc, merge_long_lines_cost_more);
	tcase_add_test(tc, merge_lines_that_count_cost_as_much);
	tcase_add_test(tc, merge_forgets_nobody_too_soon);
	tcase_add_loop_test(tc, merge_keeps_what_differs_apart, 0, CHANGES);
	tcase_add_test(tc,
		       merge_takes_other_processes_of_a_program_for_the_same);
	tcase_add_test(tc, merge_of_too_many_paths_still_tells_the_privilege);
	tcase_add_test(tc, merge_of_anything_else_tells_user_and_verdict);
	tcase_add_test(tc, merge_of_long_texts_is_bounded);
	tcase_add_test(tc, merge_users_do_not_pay_for_each_other);
	tcase_add_test(tc, merge_of_too_many_users_loses_nobody);
	tcase_add_test(tc, merge_uids_of_a_namespace_are_one_user);
	tcase_add_test(tc, merge_without_room_counts_everybody);
	tcase_add_test(tc, merge_line_may_grow);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
