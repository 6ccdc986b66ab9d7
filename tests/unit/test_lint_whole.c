/* SPDX-License-Identifier: MIT */
/*
 * In: profiles in their documents, and very large ones. Out: pass or fail.
 * Must never depend on how long something takes.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/lint.h>
#include <msp/request.h>

/* ' becomes ", \' becomes ' */
static char *document(const char *text)
{
	char *json = malloc(strlen(text) + 1), *out = json;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] == '\'')
			*out++ = *++text;
		else
			*out++ = *text == '\'' ? '"' : *text;
	}
	*out = '\0';
	return json;
}

static struct msp_profile *profile_of(const char *text)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;
	char *json = document(text);
	int rc = msp_profile_parse(&profile, json, strlen(json), &info);

	ck_assert_msg(rc == 0, "%s\n%s", json, info.text);
	free(json);
	return profile;
}

#define RESOURCE                                                               \
	"{\n'type':'Microsoft.Compute/galleries/inVMAccessControlProfiles/"    \
	"versions','name':'g/p/1.0.0','location':'l',\n'properties':{"         \
	"'mode':'Enforce',\n'defaultAccess':'Allow','rules':{"                 \
	"'privileges':[\n{'name':'p','path':'/a'},\n{'name':'P','path':'/A'}]" \
	",'roles':[],'identities':[],'roleAssignments':[]}}}"
#define PARENT(endpoint)                                                       \
	"{'type':'Microsoft.Compute/galleries/inVMAccessControlProfiles',"     \
	"'name':'g/p','properties':{'osType':'Linux',"                         \
	"'applicableHostEndpoint':'" endpoint "'}}"

static void places(char *out, size_t size, const char *text)
{
	struct msp_profile *profile = profile_of(text);
	const struct msp_finding *f;
	struct msp_findings *list;
	size_t i, n = 0;

	ck_assert_int_eq(msp_profile_lint(&list, profile, NULL), 0);
	for (i = 0; (f = msp_findings_get(list, i)) && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%u:%u %s %s",
				      i ? "\n" : "", f->line, f->column,
				      msp_finding_code_name(f->code),
				      f->pointer);
	msp_findings_free(list);
	msp_profile_free(profile);
}

/* Those of reading among those of lint, in the order of the text, and where
 * they are in the document that was read. */
START_TEST(lint_points_into_the_document)
{
	char seen[1024];

	places(seen, sizeof(seen), RESOURCE);
	ck_assert_str_eq(seen,
			 "4:17 secret-open /properties/defaultAccess\n"
			 "4:17 secret-open /properties/defaultAccess\n"
			 "4:17 secret-open /properties/defaultAccess\n"
			 "4:17 secret-open /properties/defaultAccess\n"
			 "4:17 secret-open /properties/defaultAccess\n"
			 "4:17 secret-open /properties/defaultAccess\n"
			 "5:1 unused-privilege /properties/rules/privileges/0\n"
			 "6:1 unused-privilege /properties/rules/privileges/1\n"
			 "6:1 spelling /properties/rules/privileges/1/path\n"
			 "6:1 case /properties/rules/privileges/1/name");
	/* the profile of the version says what it is for */
	places(seen, sizeof(seen),
	       "{'resources':[" PARENT("IMDS") "," RESOURCE "]}");
	ck_assert_str_eq(
		seen,
		"4:17 secret-open /resources/1/properties/defaultAccess\n"
		"4:17 secret-open /resources/1/properties/defaultAccess\n"
		"5:1 unused-privilege "
		"/resources/1/properties/rules/privileges/0\n"
		"6:1 unused-privilege "
		"/resources/1/properties/rules/privileges/1\n"
		"6:1 spelling "
		"/resources/1/properties/rules/privileges/1/path\n"
		"6:1 case /resources/1/properties/rules/privileges/1/name");
	/* a local file; what it leaves to the host is not known */
	places(seen, sizeof(seen), "{\n 'defaultAccess': ' Allow','rules':{}}");
	ck_assert_str_eq(seen, "2:19 secret-open /defaultAccess\n"
			       "2:19 secret-open /defaultAccess\n"
			       "2:19 secret-open /defaultAccess\n"
			       "2:19 secret-open /defaultAccess\n"
			       "2:19 secret-open /defaultAccess\n"
			       "2:19 secret-open /defaultAccess");
}
END_TEST

START_TEST(lint_refuses_wrong_arguments)
{
	struct msp_lint_opts opts = MSP_LINT_OPTS_INIT;
	struct msp_profile *profile = profile_of("{}");
	struct {
		struct msp_lint_opts opts;
		char more[8];
	} newer = { MSP_LINT_OPTS_INIT, "" };
	struct msp_findings *list = (void *)1;

	ck_assert_int_eq(msp_profile_lint(NULL, profile, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_lint(&list, NULL, NULL), MSP_ERR_INVAL);
	ck_assert_ptr_null(list);
	opts.size--;
	ck_assert_int_eq(msp_profile_lint(&list, profile, &opts),
			 MSP_ERR_INVAL);
	opts.size++;
	opts.flags = 2;
	ck_assert_int_eq(msp_profile_lint(&list, profile, &opts),
			 MSP_ERR_INVAL);
	opts.flags = MSP_LINT_ENDPOINT;
	opts.endpoint = (enum msp_endpoint)MSP_ENDPOINTS;
	ck_assert_int_eq(msp_profile_lint(&list, profile, &opts),
			 MSP_ERR_INVAL);
	newer.opts.size = sizeof(newer);
	ck_assert_int_eq(msp_profile_lint(&list, profile, &newer.opts), 0);
	msp_findings_free(list);
	newer.more[0] = 1;
	ck_assert_int_eq(msp_profile_lint(&list, profile, &newer.opts),
			 MSP_ERR_INVAL);
	msp_profile_free(profile);
}
END_TEST

/* ---- large ones -------------------------------------------------------- */

static char text[MSP_PROFILE_MAX_BYTES + 1];
static size_t text_len;

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_len += (size_t)vsnprintf(text + text_len, sizeof(text) - text_len,
				      format, args);
	va_end(args);
	ck_assert_uint_lt(text_len, sizeof(text));
}

/* n entries: format has one %d or more of the same number */
static void add_array(const char *name, const char *format, int n)
{
	int i;

	add("'%s':[", name);
	for (i = 0; i < n; i++) {
		add("%s", i ? "," : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		add(format, i, i);
#pragma GCC diagnostic pop
	}
	add("]");
}

static struct msp_findings *lint_of(const char *json)
{
	struct msp_profile *profile = profile_of(json);
	struct msp_findings *list;

	ck_assert_int_eq(msp_profile_lint(&list, profile, NULL), 0);
	msp_profile_free(profile);
	return list;
}

static size_t count(const struct msp_findings *list, enum msp_finding_code code)
{
	size_t i, n = 0;

	for (i = 0; i < msp_findings_count(list); i++)
		n += msp_findings_get(list, i)->code == code;
	return n;
}

/* n privileges for one path, each of an identity of its own */
static void many_for_one_path(int n)
{
	text_len = 0;
	add("{'mode':'audit','id':'','defaultAccess':'deny','rules':{");
	add_array("privileges", "{'name':'%d','path':'/'}", n);
	add(",");
	add_array("roles", "{'name':'%d','privileges':['%d']}", n);
	add(",");
	add_array("identities", "{'name':'%d','userName':'%d'}", n);
	add(",");
	add_array("roleAssignments", "{'role':'%d','identities':['%d']}", n);
	add("}}");
}

START_TEST(lint_compares_all_that_is_not_too_much)
{
	struct msp_findings *list;

	many_for_one_path(500);
	list = lint_of(text);
	ck_assert_uint_eq(msp_findings_count(list), 0);
	msp_findings_free(list);
}
END_TEST

START_TEST(lint_says_what_it_did_not_compare)
{
	struct msp_findings *list;

	many_for_one_path(7500);
	list = lint_of(text);
	ck_assert_uint_eq(msp_findings_count(list), 1);
	ck_assert_uint_eq(msp_findings_get(list, 0)->severity,
			  MSP_SEVERITY_NOTE);
	ck_assert_uint_eq(msp_findings_get(list, 0)->code, MSP_FINDING_LIMIT);
	ck_assert_str_eq(msp_findings_get(list, 0)->pointer, "");
	msp_findings_free(list);
}
END_TEST

/* Each wide privilege in one role, which everybody has: the roles times the
 * privileges times the secrets would be billions. */
START_TEST(lint_goes_through_identities_once)
{
	struct msp_findings *list;
	int i, n = 9000;

	text_len = 0;
	add("{'mode':'audit','id':'','defaultAccess':'deny','rules':{");
	add_array("privileges", "{'name':'%d','path':'/a%d'}", n);
	add(",'roles':[{'name':'r','privileges':[");
	for (i = 0; i < n; i++)
		add("%s'%d'", i ? "," : "", i);
	add("]}],");
	add_array("identities", "{'name':'%d','exePath':'/a%d'}", n);
	add(",'roleAssignments':[{'role':'r','identities':[");
	for (i = 0; i < n; i++)
		add("%s'%d'", i ? "," : "", i);
	add("]}]}}");
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_PROCESS_ONLY),
			  MSP_FINDINGS_MAX);
	ck_assert(msp_findings_cut(list));
	msp_findings_free(list);
}
END_TEST

/* Very many of two kinds leave room for the few of another. */
START_TEST(lint_gives_each_code_its_share)
{
	struct msp_findings *list;

	text_len = 0;
	add("{'mode':'audit','id':'','defaultAccess':'allow','rules':{");
	add_array("privileges", "{'name':'%d','path':'/metadata/%d/'}", 400);
	add(",");
	add_array("identities", "{'name':'i%d','exePath':'/a%d'}", 400);
	add("}}");
	list = lint_of(text);
	ck_assert_uint_eq(msp_findings_count(list), MSP_FINDINGS_MAX);
	ck_assert(msp_findings_cut(list));
	ck_assert_uint_eq(count(list, MSP_FINDING_SECRET_OPEN), 2);
	ck_assert_uint_ge(count(list, MSP_FINDING_UNUSED_PRIVILEGE), 84);
	ck_assert_uint_ge(count(list, MSP_FINDING_SPELLING), 84);
	ck_assert_uint_ge(count(list, MSP_FINDING_PROCESS_ONLY), 84);
	msp_findings_free(list);
}
END_TEST

/* A list that reading has cut stays cut. */
START_TEST(lint_says_that_reading_had_more)
{
	struct msp_findings *list;

	text_len = 0;
	add("{'mode':'audit','id':'','defaultAccess':'deny','rules':{");
	add_array("privileges", "{'name':'%d','path':'/b/%d'}", 300);
	add("}}");
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_UNUSED_PRIVILEGE),
			  MSP_FINDINGS_MAX);
	ck_assert(msp_findings_cut(list));
	msp_findings_free(list);
}
END_TEST

static void long_privilege(int path, int value)
{
	text_len = 0;
	add("{'mode':'audit','id':'','defaultAccess':'deny','rules':{"
	    "'privileges':[{'name':'p','path':'/%0*d','queryParameters':"
	    "{'k':'%0*d'}}]}}",
	    path, 0, value, 0);
}

START_TEST(lint_knows_how_long_a_target_can_be)
{
	struct msp_findings *list;

	/* "/" path "?k=" value */
	long_privilege(MSP_TARGET_MAX - 1004, 1000);
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_NEVER), 0);
	msp_findings_free(list);
	long_privilege(MSP_TARGET_MAX - 1003, 1000);
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_NEVER), 1);
	msp_findings_free(list);
}
END_TEST

static void long_exe(int len)
{
	text_len = 0;
	add("{'rules':{'identities':[{'name':'i','userName':'u','exePath':"
	    "'//.//%0*d/'}]}}",
	    len, 0);
}

START_TEST(lint_knows_how_long_the_path_of_a_program_can_be)
{
	struct msp_findings *list;

	long_exe(MSP_CALLER_PATH_MAX - 2);
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_NEVER), 0);
	msp_findings_free(list);
	long_exe(MSP_CALLER_PATH_MAX - 1);
	list = lint_of(text);
	ck_assert_uint_eq(count(list, MSP_FINDING_NEVER), 1);
	msp_findings_free(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lint_whole");
	TCase *tc = tcase_create("lint");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, lint_points_into_the_document);
	tcase_add_test(tc, lint_refuses_wrong_arguments);
	tcase_add_test(tc, lint_compares_all_that_is_not_too_much);
	tcase_add_test(tc, lint_says_what_it_did_not_compare);
	tcase_add_test(tc, lint_goes_through_identities_once);
	tcase_add_test(tc, lint_gives_each_code_its_share);
	tcase_add_test(tc, lint_says_that_reading_had_more);
	tcase_add_test(tc, lint_knows_how_long_a_target_can_be);
	tcase_add_test(tc, lint_knows_how_long_the_path_of_a_program_can_be);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
