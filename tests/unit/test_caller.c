/* SPDX-License-Identifier: MIT */
/*
 * In: callers with and without facts. Out: pass or fail. Must never need a
 * process but its own.
 */
#include <check.h>
#include <string.h>

#include <msp/caller.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
	uint32_t flags;
	uint32_t uid;
	uint32_t euid;
	bool elevated;
} elevated[] = {
	{ MSP_CALLER_KNOWN, 0, 0, true },
	{ MSP_CALLER_KNOWN | MSP_CALLER_V6_MAPPED, 0, 0, true },
	{ MSP_CALLER_KNOWN, 0, 1000, false },
	{ MSP_CALLER_KNOWN, 1000, 0, false },
	{ MSP_CALLER_KNOWN, 1000, 1000, false },
	{ MSP_CALLER_KNOWN | MSP_CALLER_KERNEL, 0, 0, false },
	{ 0, 0, 0, false },
	{ MSP_CALLER_NAMES | MSP_CALLER_EXE_VERIFIED, 0, 0, false },
};

START_TEST(caller_elevated_needs_a_known_process_with_both_uids_zero)
{
	struct msp_caller c = { .size = sizeof(c) };

	c.flags = elevated[_i].flags;
	c.uid = elevated[_i].uid;
	c.euid = elevated[_i].euid;
	/* groups play no part: gid 0 is not root (Q1) */
	c.gid = 0;
	c.egid = 0;
	ck_assert_int_eq(msp_caller_elevated(&c), elevated[_i].elevated);
}
END_TEST

START_TEST(caller_elevated_takes_gid_of_root_for_what_it_is)
{
	struct msp_caller c = { .size = sizeof(c),
				.flags = MSP_CALLER_KNOWN,
				.gid = 4321,
				.egid = 4321 };

	ck_assert(msp_caller_elevated(&c));
	ck_assert(!msp_caller_elevated(NULL));
}
END_TEST

static const struct {
	const char *path;
	const char *name;
} name[] = {
	{ "/usr/bin/curl", "curl" }, { "/init", "init" },
	{ "/a b/c d", "c d" },	     { "/usr/bin/", "" },
	{ "relative", "relative" },  { "", "" },
};

START_TEST(caller_process_name_is_the_last_component)
{
	struct msp_caller c = { .size = sizeof(c) };

	strcpy(c.exe_path, name[_i].path);
	ck_assert_str_eq(msp_caller_process_name(&c), name[_i].name);
	ck_assert_str_eq(msp_caller_process_name(NULL), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("caller");
	TCase *t = tcase_create("facts");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(
		t, caller_elevated_needs_a_known_process_with_both_uids_zero, 0,
		COUNT(elevated));
	tcase_add_test(t, caller_elevated_takes_gid_of_root_for_what_it_is);
	tcase_add_loop_test(t, caller_process_name_is_the_last_component, 0,
			    COUNT(name));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
