/* SPDX-License-Identifier: MIT */
/*
 * In: the same profile in its three forms, and templates around it. Out: pass
 * or fail. Must never need a network, a file or a privilege.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/profile_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ' stands for " in documents, so that they can be read */
#define RULES                                                                  \
	"'rules':{'privileges':[{'name':'p','path':'/metadata/instance',"      \
	"'queryParameters':{'A':'B'}}],'roles':[{'name':'r','privileges':"     \
	"['p']}],'identities':[{'name':'i','userName':'u'}],"                  \
	"'roleAssignments':[{'role':'r','identities':['i']}]}"
#define TYPE_NAME "Microsoft.Compute/galleries/inVMAccessControlProfiles"
#define TYPE	  "'type':'" TYPE_NAME
#define PROPS                                                                  \
	"'properties':{'mode':'Enforce','defaultAccess':'Allow'," RULES "}"
#define V1 "{" TYPE "/versions','name':'g/p/1.0.0'," PROPS "}"
#define V2                                                                     \
	"{'type':'MICROSOFT.COMPUTE/GALLERIES/INVMACCESSCONTROLPROFILES/"      \
	"VERSIONS','name':'g/q/2.0.0',"                                        \
	"'properties':{'mode':'Audit','defaultAccess':'Deny'}}"
#define PARENT(name, endpoint)                                                 \
	"{" TYPE "','name':'" name "','properties':{'osType':'Linux',"         \
	"'applicableHostEndpoint':'" endpoint "'}}"
#define OTHER		    "{'type':'Microsoft.Compute/galleries','name':'g'}"
#define TEMPLATE(resources) "{'$schema':'x','resources':[" resources "]}"

#define DOUBT(name)                                                            \
	"has '" name "' twice or in another letter case: what it is cannot "   \
	"be told"

static char *document(const char *text)
{
	char *json = strdup(text), *at;

	for (at = json; *at; at++)
		if (*at == '\'')
			*at = '"';
	return json;
}

static int read_as(struct msp_profile **out, const char *text,
		   enum msp_profile_form form, const char *select,
		   struct msp_error_info *info)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	char *json = document(text);
	int rc;

	opts.form = form;
	opts.select = select;
	rc = msp_profile_read(out, NULL, json, strlen(json), &opts, info);
	free(json);
	return rc;
}

static const struct {
	const char *json;
	const char *select;
	enum msp_profile_form form;
	const char *id;
	enum msp_mode mode;
	int endpoint; /* -1: not said */
} forms[] = {
	{ "{'mode':'Audit','defaultAccess':'deny','id':'x'}", NULL,
	  MSP_PROFILE_WIRE, "x", MSP_MODE_AUDIT, -1 },
	{ "{'id':'x'}", NULL, MSP_PROFILE_LOCAL, "x", MSP_MODE_ENFORCE, -1 },
	{ "{}", NULL, MSP_PROFILE_LOCAL, "", MSP_MODE_ENFORCE, -1 },
	{ "\xef\xbb\xbf{}", NULL, MSP_PROFILE_LOCAL, "", MSP_MODE_ENFORCE, -1 },
	{ "{" PROPS "}", NULL, MSP_PROFILE_ARM, "", MSP_MODE_ENFORCE, -1 },
	{ "{" PROPS ",'name':'1.0.0'}", NULL, MSP_PROFILE_ARM, "1.0.0",
	  MSP_MODE_ENFORCE, -1 },
	{ "{" PROPS ",'name':'1.0.0','id':'/s/versions/1.0.0'}", NULL,
	  MSP_PROFILE_ARM, "/s/versions/1.0.0", MSP_MODE_ENFORCE, -1 },
	{ V2, NULL, MSP_PROFILE_ARM, "g/q/2.0.0", MSP_MODE_AUDIT, -1 },
	{ TEMPLATE(OTHER "," V1), NULL, MSP_PROFILE_ARM, "g/p/1.0.0",
	  MSP_MODE_ENFORCE, -1 },
	/* the profile it belongs to says what it is for */
	{ TEMPLATE(V1
		   "," PARENT("g/q", "WireServer") "," PARENT("G/P", "imds")),
	  NULL, MSP_PROFILE_ARM, "g/p/1.0.0", MSP_MODE_ENFORCE,
	  MSP_ENDPOINT_IMDS },
	{ TEMPLATE(PARENT("g/p2", "IMDS") "," V1), NULL, MSP_PROFILE_ARM,
	  "g/p/1.0.0", MSP_MODE_ENFORCE, -1 },
	{ TEMPLATE(PARENT("[x]", "WireServer") ",{" TYPE
					       "/versions','name':'[y]'," PROPS
					       "}"),
	  NULL, MSP_PROFILE_ARM, "[y]", MSP_MODE_ENFORCE,
	  MSP_ENDPOINT_WIRESERVER },
	/* of two that contradict each other neither counts */
	{ TEMPLATE(V1 "," PARENT("g/p", "IMDS','applicableHostEndpoint':'"
					"WireServer")),
	  NULL, MSP_PROFILE_ARM, "g/p/1.0.0", MSP_MODE_ENFORCE, -1 },
	/* nested below it */
	{ TEMPLATE("{'type':'Microsoft.Compute/galleries','resources':[{"
		   "'type':'inVMAccessControlProfiles','properties':{"
		   "'applicableHostEndpoint':'IMDS'},'resources':[{"
		   "'type':'versions','name':'1.0.0'," PROPS "}]}]}"),
	  NULL, MSP_PROFILE_ARM, "1.0.0", MSP_MODE_ENFORCE, MSP_ENDPOINT_IMDS },
	/* resources with keys */
	{ "{'languageVersion':'2.0','resources':{'one':" V1 ",'two':" V2 "}}",
	  "two", MSP_PROFILE_ARM, "g/q/2.0.0", MSP_MODE_AUDIT, -1 },
	{ TEMPLATE(V1 "," V2), "g/p/1.0.0", MSP_PROFILE_ARM, "g/p/1.0.0",
	  MSP_MODE_ENFORCE, -1 },
	{ TEMPLATE(V1 "," V2), "2.0.0", MSP_PROFILE_ARM, "g/q/2.0.0",
	  MSP_MODE_AUDIT, -1 },
};

START_TEST(forms_are_told_apart_by_content)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	enum msp_endpoint endpoint = MSP_ENDPOINT_HOSTGA;
	struct msp_profile *p;

	ck_assert_msg(read_as(&p, forms[_i].json, MSP_PROFILE_ANY,
			      forms[_i].select, &info) == 0,
		      "%s: %s", info.pointer, info.text);
	ck_assert_int_eq(msp_profile_form(p), forms[_i].form);
	ck_assert_str_eq(msp_profile_id(p), forms[_i].id);
	ck_assert_int_eq(msp_profile_mode(p), forms[_i].mode);
	ck_assert_int_eq(msp_profile_endpoint(p, &endpoint),
			 forms[_i].endpoint >= 0);
	ck_assert_int_eq(endpoint,
			 forms[_i].endpoint >= 0
				 ? (enum msp_endpoint)forms[_i].endpoint
				 : MSP_ENDPOINT_HOSTGA);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* what was asked for, of a document that looks like another form */
static const struct {
	const char *json;
	enum msp_profile_form form;
	const char *select;
	const char *text; /* NULL: taken */
} asked[] = {
	{ "{'mode':7}", MSP_PROFILE_LOCAL, NULL, NULL },
	{ "{'id':'x'}", MSP_PROFILE_WIRE, NULL, "is missing" },
	{ "{'id':'x'}", MSP_PROFILE_ARM, NULL,
	  "is a local rule file, expected an Azure resource or template" },
	{ "{'mode':'audit'}", MSP_PROFILE_ARM, NULL,
	  "is a rule item of the wire form, expected an Azure resource or "
	  "template" },
	{ "{" PROPS "}", MSP_PROFILE_WIRE, NULL,
	  "is an Azure resource or template, expected a rule item of the wire "
	  "form" },
	{ "{" PROPS "}", MSP_PROFILE_LOCAL, NULL,
	  "is an Azure resource or template, expected a local rule file" },
	{ TEMPLATE(V1 "," V2), MSP_PROFILE_ARM, "3.0.0",
	  "has no version '3.0.0': it has 'g/p/1.0.0', 'g/q/2.0.0'" },
	{ TEMPLATE(V1 "," V1), MSP_PROFILE_ARM, "1.0.0",
	  "has 2 versions of profiles, one must be selected: 'g/p/1.0.0', "
	  "'g/p/1.0.0'" },
	{ V1, MSP_PROFILE_ARM, "2.0.0",
	  "has no version '2.0.0': it has 'g/p/1.0.0'" },
	{ TEMPLATE(V1 ",{" TYPE "/versions'," TYPE "/versions'," PROPS "}"),
	  MSP_PROFILE_ARM, NULL, DOUBT("type") },
	{ TEMPLATE(V1 ",{'Type':'" TYPE_NAME "/versions'," PROPS "}"),
	  MSP_PROFILE_ARM, NULL, DOUBT("type") },
	{ TEMPLATE(V1 ",{" TYPE "','resources':[],'resources':[" V2 "]}"),
	  MSP_PROFILE_ARM, NULL, DOUBT("resources") },
	{ "{'resources':[" V1 "],'Resources':[" V2 "]}", MSP_PROFILE_ARM, NULL,
	  DOUBT("resources") },
	{ "{" TYPE "/versions','Type':'x'," PROPS "}", MSP_PROFILE_ARM, NULL,
	  DOUBT("type") },
};

START_TEST(the_form_asked_for_is_the_one_read)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p;
	int rc;

	rc = read_as(&p, asked[_i].json, asked[_i].form, asked[_i].select,
		     &info);
	ck_assert_int_eq(rc, asked[_i].text ? MSP_ERR_SCHEMA : 0);
	if (asked[_i].text)
		ck_assert_str_eq(info.text, asked[_i].text);
	else
		ck_assert_int_eq(msp_profile_form(p), asked[_i].form);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(the_same_profile_is_equal_in_all_forms)
{
	static const char *const texts[] = {
		"{'mode':'enforce','defaultAccess':'allow','id':'x'," RULES "}",
		"{'id':'x'," PROPS "}",
		TEMPLATE("{" TYPE "/versions','name':'x'," PROPS "}"),
		"{'id':'x','defaultAccess':'Allow'," RULES "}",
	};
	struct msp_profile *p[4];
	size_t i;

	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(
			read_as(&p[i], texts[i], MSP_PROFILE_ANY, NULL, NULL),
			0);
		ck_assert(msp_profile_equal(p[0], p[i]));
		ck_assert(msp_profile_has_access(p[i]));
		ck_assert_uint_eq(
			msp_findings_count(msp_profile_findings(p[i])), 0);
	}
	for (i = 0; i < 4; i++)
		msp_profile_free(p[i]);
}
END_TEST

START_TEST(a_local_file_need_not_say_its_default)
{
	struct msp_profile *p;

	ck_assert_int_eq(
		read_as(&p, "{" RULES "}", MSP_PROFILE_ANY, NULL, NULL), 0);
	ck_assert(!msp_profile_has_access(p));
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_DENY);
	msp_profile_free(p);
}
END_TEST

/* an expression is one only where Azure would evaluate it */
static const struct {
	const char *json;
	const char *user; /* NULL: refused */
} texts[] = {
	{ "{'id':'x',%s}", "[u]" },
	{ "{'id':'x','apiVersion':'2024-03-03',%s}", NULL },
	{ "{%s}", NULL },
	{ "{'$schema':'','resources':[{" TYPE "/versions','id':'x',%s}]}",
	  NULL },
};

START_TEST(expressions_are_refused_where_they_are_evaluated)
{
	struct msp_profile *p;
	const char *hole = strstr(texts[_i].json, "%s");
	char json[1024];
	static const char body[] =
		"'properties':{'mode':'audit','defaultAccess':'deny','rules':{"
		"'identities':[{'name':'i','userName':'%s'}]}}";
	static const struct {
		const char *written, *literal;
	} users[] = { { "[[u]", "[u]" }, { "[[u", "[[u" }, { "[u", "[u" } };
	char filled[512];
	size_t i;

	snprintf(filled, sizeof(filled), body, "[u]");
	snprintf(json, sizeof(json), "%.*s%s%s", (int)(hole - texts[_i].json),
		 texts[_i].json, filled, hole + 2);
	ck_assert_int_eq(read_as(&p, json, MSP_PROFILE_ANY, NULL, NULL),
			 texts[_i].user ? 0 : MSP_ERR_SCHEMA);
	if (p)
		ck_assert_str_eq(p->identities[0].user_name.text,
				 texts[_i].user);
	msp_profile_free(p);
	for (i = 0; i < 3; i++) {
		snprintf(filled, sizeof(filled), body, users[i].written);
		snprintf(json, sizeof(json), "%.*s%s%s",
			 (int)(hole - texts[_i].json), texts[_i].json, filled,
			 hole + 2);
		ck_assert_int_eq(read_as(&p, json, MSP_PROFILE_ANY, NULL, NULL),
				 0);
		ck_assert_str_eq(p->identities[0].user_name.text,
				 texts[_i].user ? users[i].written
						: users[i].literal);
		msp_profile_free(p);
	}
}
END_TEST

START_TEST(options_are_checked)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_findings *list = (void *)1;
	struct msp_profile *p = (void *)1;

	opts.reserved = 1;
	ck_assert_int_eq(msp_profile_read(&p, &list, "{}", 2, &opts, NULL),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(p);
	ck_assert_ptr_null(list);
	opts.reserved = 0;
	opts.form = (enum msp_profile_form)4;
	ck_assert_int_eq(msp_profile_read(&p, NULL, "{}", 2, &opts, NULL),
			 MSP_ERR_INVAL);
	opts.form = MSP_PROFILE_ANY;
	opts.size--;
	ck_assert_int_eq(msp_profile_read(&p, NULL, "{}", 2, &opts, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_read(NULL, NULL, "{}", 2, NULL, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("profile_forms");
	TCase *t = tcase_create("profile_forms");

	tcase_add_loop_test(t, forms_are_told_apart_by_content, 0,
			    COUNT(forms));
	tcase_add_loop_test(t, the_form_asked_for_is_the_one_read, 0,
			    COUNT(asked));
	tcase_add_test(t, the_same_profile_is_equal_in_all_forms);
	tcase_add_test(t, a_local_file_need_not_say_its_default);
	tcase_add_loop_test(t, expressions_are_refused_where_they_are_evaluated,
			    0, COUNT(texts));
	tcase_add_test(t, options_are_checked);
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
