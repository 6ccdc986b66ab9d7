/* SPDX-License-Identifier: MIT */
/*
 * In: callers that are the same process, or nearly. Out: whether each is told
 * as it is, however much of it was told before.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/audit_text.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct mspd_audit_stamp stamp;
static struct msp_caller caller;
static struct mspd_audit_record record;
static char cgroup[8192];
static char user[2048];

static void setup(void)
{
	memset(&stamp, 0, sizeof(stamp));
	caller = (struct msp_caller){
		.size = sizeof(caller),
		.flags = MSP_CALLER_KNOWN,
		.uid = 1000,
		.gid = 100,
		.euid = 1001,
		.pid = 42,
		.tid = 43,
		.loginuid = 1002,
		.net_ns = 11,
		.mnt_ns = 12,
		.pid_ns = 13,
		.user_ns = 14,
		.n_gids = 2,
		.gids = { 4, 27, 5 },
		.exe = { .inode = 3, .nlink = 1 },
		.comm = "curl",
		.exe_path = "/usr/bin/curl",
		.parents = { { .pid = 41, .comm = "bash" },
			     { .pid = 1, .comm = "init" } },
		.cgroup_path = cgroup,
	};
	strcpy(cgroup, "/system.slice/a.service");
	strcpy(user, "alice");
	record = (struct mspd_audit_record){
		.caller = &caller, .user = user, .endpoint = -1, .version = 1
	};
}

/* A line of the next connection. Borrowed until the next but one. */
static const char *tell(struct mspd_audit_stamp *with)
{
	static char lines[2][MSPD_AUDIT_LINE];
	static int turn;
	struct mspd_text line;

	turn = !turn;
	mspd_text_init(&line, lines[turn], sizeof(lines[turn]));
	record.version++;
	mspd_audit_text(&line, &record, with);
	return lines[turn];
}

/* As if nothing had been told before. */
static const char *tell_anew(void)
{
	static struct mspd_audit_stamp fresh;

	memset(&fresh, 0, sizeof(fresh));
	return tell(&fresh);
}

/* The second time it is taken from what was kept. */
static void check_told_as_it_is(void)
{
	ck_assert_str_eq(tell(&stamp), tell_anew());
	ck_assert_str_eq(tell(&stamp), tell_anew());
}

START_TEST(caller_is_composed_once_for_a_process)
{
	check_told_as_it_is();
	/* what no line shows may differ */
	caller.tid++;
	caller.socket_cookie++;
	caller.connect_ns++;
	caller.start_ns++;
	caller.gids[2]++;
	caller.exe.inode++;
	caller.exe.nlink++;
	record.client_port++;
	check_told_as_it_is();
	ck_assert_uint_eq(stamp.turns, 1);
}
END_TEST

START_TEST(caller_is_not_taken_for_one_with_the_same_number_of_a_version)
{
	unsigned int i;

	tell(&stamp);
	for (i = 0; i < 3; i++) {
		record.version += MSPD_AUDIT_WHO_SLOTS - 1;
		caller.uid++;
		check_told_as_it_is();
	}
	/* nor one without */
	record.version = UINT64_MAX;
	caller.uid++;
	check_told_as_it_is();
	record.version = UINT64_MAX;
	caller.uid++;
	check_told_as_it_is();
}
END_TEST

static void other_uid(void)
{
	caller.uid++;
}

static void other_gid(void)
{
	caller.gid++;
}

static void other_euid(void)
{
	caller.euid++;
}

static void other_loginuid(void)
{
	caller.loginuid++;
}

static void no_loginuid(void)
{
	caller.loginuid = UINT32_MAX;
}

static void other_pid(void)
{
	caller.pid++;
}

static void other_net_ns(void)
{
	caller.net_ns++;
}

static void other_mnt_ns(void)
{
	caller.mnt_ns++;
}

static void other_pid_ns(void)
{
	caller.pid_ns++;
}

static void no_user_ns(void)
{
	caller.user_ns = 0;
}

static void other_group(void)
{
	caller.gids[1]++;
}

static void one_group_more(void)
{
	caller.n_gids++;
}

static void one_group_less(void)
{
	caller.n_gids--;
}

static void other_parent(void)
{
	caller.parents[1].pid++;
}

static void other_name_of_a_parent(void)
{
	caller.parents[1].comm[3] = 'n';
}

static void one_parent_more(void)
{
	caller.parents[2].pid = 5;
}

static void one_parent_less(void)
{
	caller.parents[1].pid = 0;
}

static void other_comm(void)
{
	caller.comm[3] = 'x';
}

static void no_comm(void)
{
	caller.comm[0] = '\0';
}

static void other_exe(void)
{
	caller.exe_path[12] = 'x';
}

static void no_exe(void)
{
	caller.exe_path[0] = '\0';
}

static void text_of_another_field(void)
{
	strcpy(caller.exe_path, "/usr/bin/curla");
	strcpy(user, "lice");
}

static void deleted(void)
{
	caller.exe.nlink = 0;
}

static void checked(void)
{
	caller.flags |= MSP_CALLER_EXE_CHECKED;
}

static void verified(void)
{
	caller.flags |= MSP_CALLER_EXE_VERIFIED;
}

static void replaced(void)
{
	caller.flags |= MSP_CALLER_EXE_VERIFIED | MSP_CALLER_EXE_REPLACED;
}

static void other_flags(void)
{
	caller.flags |= MSP_CALLER_V6_MAPPED;
}

static void not_known(void)
{
	caller.flags = 0;
}

static void nobody(void)
{
	record.caller = NULL;
}

static void other_user(void)
{
	user[0] = 'A';
}

static void user_without_a_name(void)
{
	user[0] = '\0';
}

static void no_user(void)
{
	record.user = NULL;
}

static void other_cgroup(void)
{
	cgroup[14] = 'b';
}

static void no_cgroup(void)
{
	caller.cgroup_path = NULL;
}

static void empty_cgroup(void)
{
	cgroup[0] = '\0';
}

static void (*const differ[])(void) = { other_uid,
					other_gid,
					other_euid,
					other_loginuid,
					no_loginuid,
					other_pid,
					other_net_ns,
					other_mnt_ns,
					other_pid_ns,
					no_user_ns,
					other_group,
					one_group_more,
					one_group_less,
					other_parent,
					other_name_of_a_parent,
					one_parent_more,
					one_parent_less,
					other_comm,
					no_comm,
					other_exe,
					no_exe,
					text_of_another_field,
					deleted,
					checked,
					verified,
					replaced,
					other_flags,
					not_known,
					nobody,
					other_user,
					user_without_a_name,
					no_user,
					other_cgroup,
					no_cgroup,
					empty_cgroup };

START_TEST(caller_that_differs_in_anything_told_is_told_so)
{
	char before[MSPD_AUDIT_LINE];

	strcpy(before, tell(&stamp));
	ck_assert_str_eq(before, tell(&stamp));
	differ[_i]();
	ck_assert_str_ne(before, tell(&stamp));
	check_told_as_it_is();
}
END_TEST

START_TEST(caller_without_a_name_is_not_one_without_a_cgroup)
{
	record.user = NULL;
	check_told_as_it_is();
	record.user = cgroup;
	caller.cgroup_path = NULL;
	check_told_as_it_is();
}
END_TEST

/* A path is told in part, but what it says of unit and container is not. */
static void long_cgroup(char last)
{
	memset(cgroup, 'x', 3000);
	cgroup[0] = '/';
	memcpy(cgroup + 2900, "/docker-", 8);
	memset(cgroup + 2908, last, 64);
	strcpy(cgroup + 2972, ".scope");
}

static void long_user(char last)
{
	memset(user, 'u', MSPD_AUDIT_TEXT);
	user[MSPD_AUDIT_TEXT - 1] = last;
}

static void many_groups(char last)
{
	uint32_t i;

	caller.n_gids = MSP_CALLER_GROUPS_MAX;
	for (i = 0; i < MSP_CALLER_GROUPS_MAX; i++)
		caller.gids[i] = 1000000000u + (uint32_t)last;
}

static void more_groups_than_there_are(char last)
{
	many_groups(last);
	caller.n_gids = UINT32_MAX;
}

static void (*const sizes[])(char last) = { long_cgroup, long_user, many_groups,
					    more_groups_than_there_are };

START_TEST(caller_that_is_too_long_to_keep_is_told_as_it_is)
{
	sizes[_i]('a');
	check_told_as_it_is();
	sizes[_i]('b');
	check_told_as_it_is();
	setup();
	check_told_as_it_is();
}
END_TEST

/* More processes than are kept, each with some connections in turns. */
START_TEST(callers_in_turns_are_told_as_they_are)
{
	const uint32_t n = 3 * MSPD_AUDIT_WHO_SLOTS;
	uint32_t i, turn;

	for (turn = 0; turn < 4; turn++)
		for (i = 0; i < n; i++) {
			caller.pid = 1 + i;
			snprintf(caller.comm, sizeof(caller.comm), "c%u",
				 turn < 2 ? 0 : i);
			record.version = 4 * (turn < 2 ? i : n + i);
			check_told_as_it_is();
		}
}
END_TEST

/* Each by the version that it had before, though some have lost their place. */
START_TEST(callers_told_again_are_told_as_they_are)
{
	const uint32_t n = MSPD_AUDIT_WHO_SLOTS - 1;
	char what[32];
	uint32_t i;

	for (i = 0; i < 2 * n; i++) {
		caller.pid = 1 + i % n;
		record.version = i % n;
		snprintf(what, sizeof(what), "\"pid\":%u,", caller.pid);
		ck_assert_ptr_nonnull(strstr(tell(&stamp), what));
	}
}
END_TEST

START_TEST(threads_with_many_names_are_told_apart)
{
	uint32_t i;

	for (i = 0; i < 3 * MSPD_AUDIT_WHO_SLOTS; i++) {
		snprintf(caller.comm, sizeof(caller.comm), "c%u", i);
		check_told_as_it_is();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_audit_text");
	TCase *tc = tcase_create("callers");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, caller_is_composed_once_for_a_process);
	tcase_add_test(
		tc,
		caller_is_not_taken_for_one_with_the_same_number_of_a_version);
	tcase_add_loop_test(tc, caller_that_differs_in_anything_told_is_told_so,
			    0, COUNT(differ));
	tcase_add_loop_test(tc,
			    caller_that_is_too_long_to_keep_is_told_as_it_is, 0,
			    COUNT(sizes));
	tcase_add_test(tc, caller_without_a_name_is_not_one_without_a_cgroup);
	tcase_add_test(tc, callers_told_again_are_told_as_they_are);
	tcase_add_test(tc, threads_with_many_names_are_told_apart);
	tcase_add_test(tc, callers_in_turns_are_told_as_they_are);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
