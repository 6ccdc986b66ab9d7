/* SPDX-License-Identifier: MIT */
/*
 * In: remarks, few and many. Out: pass or fail. Must never need a network, a
 * file or a privilege.
 */
#include <check.h>
#include <stdio.h>

#include <msp/text.h>

#include "libmsp/finding_priv.h"
#include "tests/lib/failalloc.h"

static int add(struct msp_findings *list, enum msp_severity severity,
	       uint32_t line, const char *text)
{
	struct msp_finding finding = {
		.severity = severity,
		.pointer = "/x",
		.text = text,
		.code = MSP_FINDING_VALUE,
		.line = line,
		.column = 1,
	};

	return msp_findings_add(list, &finding);
}

START_TEST(findings_are_copied_clean_and_ordered_by_place)
{
	struct msp_findings *list = msp_findings_new();
	char text[] = "b\n\x7fz";

	ck_assert_int_eq(add(list, MSP_SEVERITY_NOTE, 7, "last"), 0);
	ck_assert_int_eq(add(list, MSP_SEVERITY_ERROR, 2, text), 0);
	ck_assert_int_eq(add(list, MSP_SEVERITY_WARNING, 2, "c"), 0);
	ck_assert_int_eq(add(list, MSP_SEVERITY_WARNING, 0, "a"), 0);
	text[0] = '!';
	msp_findings_sort(list);
	ck_assert_uint_eq(msp_findings_count(list), 4);
	ck_assert_uint_eq(msp_findings_errors(list), 1);
	ck_assert(!msp_findings_cut(list));
	ck_assert_str_eq(msp_findings_get(list, 0)->text, "a");
	ck_assert_str_eq(msp_findings_get(list, 1)->text, "b??z");
	ck_assert_str_eq(msp_findings_get(list, 1)->pointer, "/x");
	ck_assert_int_eq(msp_findings_get(list, 1)->code, MSP_FINDING_VALUE);
	ck_assert_str_eq(msp_findings_get(list, 2)->text, "c");
	ck_assert_uint_eq(msp_findings_get(list, 3)->line, 7);
	ck_assert_ptr_null(msp_findings_get(list, 4));
	msp_findings_free(list);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(errors_are_kept_when_warnings_are_many)
{
	struct msp_findings *list = msp_findings_new();
	size_t i;

	for (i = 0; i < MSP_FINDINGS_MAX; i++)
		ck_assert_int_eq(add(list, MSP_SEVERITY_WARNING, 1, "w"), 0);
	ck_assert(!msp_findings_cut(list));
	ck_assert(msp_findings_full(list, MSP_SEVERITY_NOTE));
	ck_assert(!msp_findings_full(list, MSP_SEVERITY_ERROR));
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(add(list, MSP_SEVERITY_ERROR, 2, "e"), 0);
	ck_assert(msp_findings_cut(list));
	ck_assert_uint_eq(msp_findings_count(list), MSP_FINDINGS_MAX);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
			msp_findings_get(list, MSP_FINDINGS_MAX - 1 - i)
				->severity,
			MSP_SEVERITY_ERROR);
	for (i = 0; i < MSP_FINDINGS_MAX; i++)
		ck_assert_int_eq(add(list, MSP_SEVERITY_ERROR, 3, "f"), 0);
	ck_assert(msp_findings_full(list, MSP_SEVERITY_ERROR));
	ck_assert_uint_eq(msp_findings_count(list), MSP_FINDINGS_MAX);
	ck_assert_uint_eq(msp_findings_errors(list), MSP_FINDINGS_MAX + 3);
	ck_assert_str_eq(msp_findings_get(list, 2)->text, "e");
	msp_findings_free(list);
}
END_TEST

START_TEST(no_list_is_an_empty_one)
{
	ck_assert_uint_eq(msp_findings_count(NULL), 0);
	ck_assert_uint_eq(msp_findings_errors(NULL), 0);
	ck_assert_ptr_null(msp_findings_get(NULL, 0));
	ck_assert(!msp_findings_cut(NULL));
	ck_assert_ptr_null(msp_findings_ref(NULL));
	msp_findings_free(NULL);
	msp_text_free(NULL);
}
END_TEST

START_TEST(a_list_lives_as_long_as_its_last_owner)
{
	struct msp_findings *list = msp_findings_new();

	ck_assert_ptr_eq(msp_findings_ref(list), list);
	ck_assert_int_eq(add(list, MSP_SEVERITY_NOTE, 1, "n"), 0);
	msp_findings_free(list);
	ck_assert_str_eq(msp_findings_get(list, 0)->text, "n");
	msp_findings_free(list);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(add_survives_every_failed_allocation)
{
	struct msp_findings *list = msp_findings_new();
	long n;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = add(list, MSP_SEVERITY_ERROR, 1, "x");
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_uint_eq(msp_findings_count(list), 0);
		ck_assert_uint_eq(msp_findings_errors(list), 0);
	}
	ck_assert_int_eq(n, 3);
	msp_findings_free(list);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(names_never_change)
{
	static const struct {
		enum msp_finding_code code;
		int number;
		const char *name;
	} codes[] = {
		{ MSP_FINDING_SYNTAX, 1, "syntax" },
		{ MSP_FINDING_FORM, 2, "form" },
		{ MSP_FINDING_TYPE, 3, "type" },
		{ MSP_FINDING_MISSING, 4, "missing" },
		{ MSP_FINDING_TWICE, 5, "twice" },
		{ MSP_FINDING_VALUE, 6, "value" },
		{ MSP_FINDING_PATH, 7, "path" },
		{ MSP_FINDING_LIMIT, 8, "limit" },
		{ MSP_FINDING_DANGLING, 20, "dangling" },
		{ MSP_FINDING_EVERYONE, 21, "everyone" },
		{ MSP_FINDING_NOBODY, 22, "nobody" },
		{ MSP_FINDING_UNKNOWN_FIELD, 23, "unknown-field" },
		{ MSP_FINDING_UNUSED_PRIVILEGE, 24, "unused-privilege" },
		{ MSP_FINDING_UNUSED_ROLE, 25, "unused-role" },
		{ MSP_FINDING_UNUSED_IDENTITY, 26, "unused-identity" },
		{ MSP_FINDING_EMPTY, 27, "empty" },
		{ MSP_FINDING_REPEATED, 28, "repeated" },
		{ MSP_FINDING_SHADOWED, 40, "shadowed" },
		{ MSP_FINDING_NEVER, 41, "never" },
		{ MSP_FINDING_SPELLING, 42, "spelling" },
		{ MSP_FINDING_SECRET_OPEN, 43, "secret-open" },
		{ MSP_FINDING_INTERPRETER, 44, "interpreter" },
		{ MSP_FINDING_WRITABLE, 45, "writable" },
		{ MSP_FINDING_NO_FILE, 46, "no-file" },
		{ MSP_FINDING_CASE, 47, "case" },
		{ MSP_FINDING_PROCESS_ONLY, 48, "process-only" },
		{ (enum msp_finding_code)0, 0, "unknown" },
		{ (enum msp_finding_code)99, 99, "unknown" },
	};
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		ck_assert_int_eq(codes[i].code, codes[i].number);
		ck_assert_str_eq(msp_finding_code_name(codes[i].code),
				 codes[i].name);
	}
	ck_assert_str_eq(msp_severity_name(MSP_SEVERITY_WARNING), "warning");
	ck_assert_str_eq(msp_severity_name(MSP_SEVERITY_ERROR), "error");
	ck_assert_str_eq(msp_severity_name(MSP_SEVERITY_NOTE), "note");
	ck_assert_str_eq(msp_severity_name((enum msp_severity)9), "unknown");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("finding");
	TCase *t = tcase_create("finding");

	tcase_add_test(t, findings_are_copied_clean_and_ordered_by_place);
	tcase_add_test(t, errors_are_kept_when_warnings_are_many);
	tcase_add_test(t, no_list_is_an_empty_one);
	tcase_add_test(t, a_list_lives_as_long_as_its_last_owner);
	tcase_add_test(t, add_survives_every_failed_allocation);
	tcase_add_test(t, names_never_change);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
