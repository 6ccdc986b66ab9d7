/* SPDX-License-Identifier: MIT */
/*
 * In: compiled rules. Out: pass or fail. Must never find it enough that JSON
 * comes out: it must be what decides.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/rules.h>
#include <msp/text.h>

#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct msp_rules *compiled(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = strdup(json), *c;
	struct msp_profile *p;
	struct msp_rules *r;

	for (c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	ck_assert_msg(msp_profile_parse(&p, text, strlen(text), &info) == 0,
		      "%s: %s", info.pointer, info.text);
	ck_assert_int_eq(msp_rules_compile(&r, p, 1), 0);
	msp_profile_free(p);
	free(text);
	return r;
}

/* Without what only makes it readable; no string here has a blank. */
static char *squeezed(const char *text)
{
	char *out = malloc(strlen(text) + 1), *o = out;

	for (; *text; text++)
		if (*text != ' ' && *text != '\n')
			*o++ = *text == '"' ? '\'' : *text;
	*o = '\0';
	return out;
}

#define RICH                                                                   \
	"{'defaultAccess':'deny','mode':'enforce','id':'x','rules':{"          \
	"'privileges':[{'name':'P','path':'/Meta%41/./a','queryParameters':{"  \
	"'Api':'ONE','b':''}},{'name':'nobody','path':''}],"                   \
	"'roles':[{'name':'r','privileges':['P']},"                            \
	"{'name':'s','privileges':['P']},"                                     \
	"{'name':'t','privileges':['nobody']}],"                               \
	"'identities':[{'name':'i','userName':'u','groupName':'g',"            \
	"'exePath':'/bin/X','processName':'X'},{'name':'j','userName':'v'}],"  \
	"'roleAssignments':[{'role':'r','identities':['i']},"                  \
	"{'role':'s','identities':['j','i']},"                                 \
	"{'role':'t','identities':[]}]}}"

static const struct {
	const char *json, *want;
} cases[] = {
	{ RICH,
	  "{'id':'x','defaultAllowed':false,'mode':'Enforce','privileges':{"
	  "'nobody':{'name':'nobody','path':'/'},"
	  "'P':{'name':'P','path':'/metaa/a','queryParameters':{'api':'one',"
	  "'b':''}}},'privilegeAssignments':{'P':['i','j']},'identities':{"
	  "'i':{'name':'i','userName':'u','groupName':'g','exePath':'/bin/X',"
	  "'processName':'X'},'j':{'name':'j','userName':'v'}}}" },
	{ "{'defaultAccess':'allow','mode':'audit','id':''}",
	  "{'id':'','defaultAllowed':true,'mode':'Audit','privileges':{},"
	  "'privilegeAssignments':{},'identities':{}}" },
	{ "{'defaultAccess':'allow','mode':'disabled','id':'d'}",
	  "{'id':'d','defaultAllowed':true,'mode':'Disabled','privileges':{},"
	  "'privilegeAssignments':{},'identities':{}}" },
};

START_TEST(it_says_who_is_granted_what)
{
	struct msp_rules *r = compiled(cases[_i].json);
	char *text, *bare;
	size_t len;

	ck_assert_int_eq(msp_rules_write(&text, &len, r), 0);
	ck_assert_uint_eq(strlen(text), len);
	bare = squeezed(text);
	ck_assert_str_eq(bare, cases[_i].want);
	free(bare);
	msp_text_free(text);
	msp_rules_free(r);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* A small document whose rules, written out, are hundreds of megabytes. */
START_TEST(what_grows_without_end_is_cut_short)
{
	const int n = 6000;
	char *json = malloc(2 * 1024 * 1024), *o = json, *text = (void *)1;
	struct msp_rules *r;
	size_t len = 1;
	int i, list;

	o += sprintf(o, "{'defaultAccess':'deny','mode':'audit','id':'','rules'"
			":{'privileges':[");
	for (i = 0; i < n; i++)
		o += sprintf(o, "%s{'name':'%d','path':'/%d'}", i ? "," : "", i,
			     i);
	o += sprintf(o, "],'identities':[");
	for (i = 0; i < n; i++)
		o += sprintf(o, "%s{'name':'identity%d'}", i ? "," : "", i);
	o += sprintf(o, "],'roles':[{'name':'r','privileges':[");
	for (list = 0; list < 2; list++) {
		for (i = 0; i < n; i++)
			o += sprintf(o, "%s'%s%d'", i ? "," : "",
				     list ? "identity" : "", i);
		o += sprintf(o, list ? "]}]}}"
				     : "]}],'roleAssignments':[{'role':'r',"
				       "'identities':[");
	}
	r = compiled(json);
	ck_assert_int_eq(msp_rules_write(&text, &len, r), MSP_ERR_LIMIT);
	ck_assert_ptr_null(text);
	ck_assert_uint_eq(len, 0);
	msp_rules_free(r);
	free(json);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(arguments_are_checked)
{
	struct msp_rules *r = compiled(RICH);
	char *text = (void *)1;

	ck_assert_int_eq(msp_rules_write(NULL, NULL, r), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_rules_write(&text, NULL, NULL), MSP_ERR_INVAL);
	ck_assert_ptr_null(text);
	msp_rules_free(r);
}
END_TEST

START_TEST(no_memory_is_said_and_leaves_nothing)
{
	struct msp_rules *r = compiled(RICH);
	long live = failalloc_live(), n;
	char *text;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_rules_write(&text, NULL, r);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(text);
		ck_assert_int_eq(failalloc_live(), live);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 1);
	msp_text_free(text);
	msp_rules_free(r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rules_write");
	TCase *t = tcase_create("rules_write");

	tcase_add_loop_test(t, it_says_who_is_granted_what, 0, COUNT(cases));
	tcase_add_test(t, what_grows_without_end_is_cut_short);
	tcase_add_test(t, arguments_are_checked);
	tcase_add_test(t, no_memory_is_said_and_leaves_nothing);
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
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
