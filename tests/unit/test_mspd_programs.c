/* SPDX-License-Identifier: MIT */
/*
 * In: callers that run the same executable, or nearly. Out: whether only the
 * very same is taken for verified, and only for a moment.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/programs.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define VERIFIED                                                               \
	(MSP_CALLER_KNOWN | MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED)
#define EPOCH 7

static struct mspd_programs *programs;
static struct msp_caller caller;
static struct msp_time now;

static void setup(void)
{
	ck_assert_int_eq(mspd_programs_new(&programs), 0);
	caller = (struct msp_caller){ .size = sizeof(caller),
				      .flags = VERIFIED,
				      .mnt_ns = 5,
				      .exe = { .inode = 3,
					       .ctime_s = 1000,
					       .ctime_ns = 9,
					       .device = 1,
					       .generation = 2,
					       .mode = 0100755,
					       .nlink = 2 },
				      .exe_path = "/usr/bin/curl" };
	now = (struct msp_time){ .boot_ms = 500, .wall_s = 2000 };
}

static void teardown(void)
{
	mspd_programs_free(programs);
}

static void put(void)
{
	mspd_programs_put(programs, &caller, 0, EPOCH, now);
}

/* As at the next connection, before it is looked up. */
static bool verified(void)
{
	caller.flags &=
		~(uint32_t)(MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED);
	return mspd_programs_verified(programs, &caller, 0, EPOCH, now);
}

START_TEST(program_is_verified_for_a_moment)
{
	ck_assert(!verified());
	caller.flags = VERIFIED;
	put();
	ck_assert(verified());
	/* whoever runs it, from wherever it calls */
	caller.pid = 4;
	caller.uid = 1000;
	caller.flags |= MSP_CALLER_V6_MAPPED | MSP_CALLER_NAMES;
	ck_assert(verified());
	now.boot_ms += MSPD_PROGRAMS_KEPT_MS - 1;
	ck_assert(verified());
	now.boot_ms++;
	ck_assert(!verified());
}
END_TEST

static void other_device(void)
{
	caller.exe.device++;
}

static void other_inode(void)
{
	caller.exe.inode++;
}

static void other_generation(void)
{
	caller.exe.generation++;
}

static void changed_a_second_later(void)
{
	caller.exe.ctime_s++;
}

static void changed_a_nanosecond_later(void)
{
	caller.exe.ctime_ns++;
}

static void one_link_less(void)
{
	caller.exe.nlink--;
}

static void no_link(void)
{
	caller.exe.nlink = 0;
}

static void other_mode(void)
{
	caller.exe.mode |= 02;
}

static void other_owner(void)
{
	caller.exe.uid++;
}

static void other_group(void)
{
	caller.exe.gid++;
}

static void other_path(void)
{
	caller.exe_path[1] = 'x';
}

static void longer_path(void)
{
	strcat(caller.exe_path, "x");
}

static void no_path(void)
{
	caller.exe_path[0] = '\0';
}

static void other_mount_namespace(void)
{
	caller.mnt_ns++;
}

static void from_elsewhere(void)
{
	caller.flags |= MSP_CALLER_EXE_ELSEWHERE;
}

static void path_cut(void)
{
	caller.flags |= MSP_CALLER_PATH_CUT;
}

static void path_refused(void)
{
	caller.flags |= MSP_CALLER_NO_PATH;
}

static void kernel(void)
{
	caller.flags |= MSP_CALLER_KERNEL;
}

static void nobody_known(void)
{
	caller.flags &= ~(uint32_t)MSP_CALLER_KNOWN;
}

static void (*const differ[])(void) = { other_device,
					other_inode,
					other_generation,
					changed_a_second_later,
					changed_a_nanosecond_later,
					one_link_less,
					no_link,
					other_mode,
					other_owner,
					other_group,
					other_path,
					longer_path,
					no_path,
					other_mount_namespace,
					from_elsewhere,
					path_cut,
					path_refused,
					kernel,
					nobody_known };

START_TEST(program_that_differs_in_anything_is_looked_up)
{
	put();
	ck_assert(verified());
	differ[_i]();
	ck_assert(!verified());
}
END_TEST

START_TEST(program_is_looked_up_for_other_rules)
{
	put();
	ck_assert(
		!mspd_programs_verified(programs, &caller, 0, EPOCH + 1, now));
	ck_assert(!mspd_programs_verified(programs, &caller,
					  MSP_PEER_EXE_REPLACED, EPOCH, now));
}
END_TEST

static const uint32_t verdicts[] = {
	0,
	MSP_CALLER_EXE_CHECKED,
	MSP_CALLER_EXE_VERIFIED,
	MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_REPLACED,
	MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED |
		MSP_CALLER_EXE_REPLACED,
};

START_TEST(program_is_not_kept_with_another_verdict)
{
	caller.flags = MSP_CALLER_KNOWN | verdicts[_i];
	put();
	ck_assert(!verified());
}
END_TEST

/* Another change in the same step of the clock would not show. */
START_TEST(program_that_has_just_changed_is_not_kept)
{
	caller.exe.ctime_s = now.wall_s - MSPD_PROGRAMS_REST_S + 1 + _i;
	put();
	ck_assert(!verified());
	caller.exe.ctime_s = now.wall_s - MSPD_PROGRAMS_REST_S;
	caller.flags = VERIFIED;
	put();
	ck_assert(verified());
}
END_TEST

START_TEST(programs_are_bounded_and_told_apart)
{
	uint64_t i;
	int n = 0;

	for (i = 0; i < 1000; i++) {
		caller.exe.inode = i;
		caller.flags = VERIFIED;
		put();
		ck_assert(verified());
	}
	for (i = 0; i < 1000; i++) {
		caller.exe.inode = i;
		n += verified();
	}
	ck_assert_int_le(n, MSPD_PROGRAMS);
	ck_assert_int_gt(n, MSPD_PROGRAMS / 2);
	mspd_programs_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_programs");
	TCase *tc = tcase_create("programs");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, program_is_verified_for_a_moment);
	tcase_add_loop_test(tc, program_that_differs_in_anything_is_looked_up,
			    0, COUNT(differ));
	tcase_add_test(tc, program_is_looked_up_for_other_rules);
	tcase_add_loop_test(tc, program_is_not_kept_with_another_verdict, 0,
			    COUNT(verdicts));
	/* also of a time to come */
	tcase_add_loop_test(tc, program_that_has_just_changed_is_not_kept, 0,
			    2 * MSPD_PROGRAMS_REST_S);
	tcase_add_test(tc, programs_are_bounded_and_told_apart);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
