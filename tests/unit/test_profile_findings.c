/* SPDX-License-Identifier: MIT */
/*
 * In: documents of the three forms with faults. Out: pass or fail. Must never
 * accept a fault more or less than the table has, or in other words.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/keystatus.h>

#include "libmsp/profile_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ' stands for " in documents, so that they can be read */
#define WIRE(rules)                                                            \
	"{'defaultAccess':'allow','mode':'enforce','id':'x','rules':{" rules   \
	"}}"
#define LOCAL(rules) "{'rules':{" rules "}}"
#define ARM(rules)                                                             \
	"{'properties':{'mode':'Enforce','defaultAccess':'Deny','rules':"      \
	"{" rules "}}}"
#define ROLE	  "'roles':[{'name':'r','privileges':['p']}]"
#define ASSIGNED  "'roleAssignments':[{'role':'r','identities':['i']}]"
#define IDENTITY  "'identities':[{'name':'i','userName':'u'}]"
#define REST	  "," ROLE "," IDENTITY "," ASSIGNED
#define PRIVILEGE "'privileges':[{'name':'p','path':'/'}]"
#define GOOD	  PRIVILEGE REST
#define VERSION                                                                \
	"'type':'Microsoft.Compute/galleries/"                                 \
	"inVMAccessControlProfiles/versions'"
#define PARENT                                                                 \
	"'type':'Microsoft.Compute/galleries/"                                 \
	"inVMAccessControlProfiles'"
#define PROPS "'properties':{'mode':'Audit','defaultAccess':'Allow'}"

/* findings: "severity code pointer text", one a line; "" is none */
static const struct {
	const char *json;
	const char *findings;
} cases[] = {
	/* ---- not a document ---- */
	{ "{", "error syntax  is not JSON: parse error: premature EOF" },
	{ "[]", "error form  is an array, expected an object" },

	/* ---- wire: several faults at once ---- */
	{ WIRE(GOOD), "" },
	{ "{'defaultAccess':'x','mode':1,'rules':[]}",
	  "error missing /id is missing\n"
	  "error value /defaultAccess is 'x', expected allow or deny\n"
	  "error type /mode is a number, expected a string\n"
	  "error type /rules is an array, expected an object" },
	{ WIRE("'privileges':[{'name':'p','path':'/%zz','queryParameters':"
	       "{'A':'1','':'2','a':'3','b':4}},{'path':7},{'name':''},"
	       "9,{'name':'p','path':''}]" REST),
	  "error path /rules/privileges/0/path cannot be canonicalized: "
	  "malformed percent-encoding\n"
	  "error value /rules/privileges/0/queryParameters/ has an empty name\n"
	  "error twice /rules/privileges/0/queryParameters/a is given twice "
	  "(letter case does not count)\n"
	  "error type /rules/privileges/0/queryParameters/b is a number, "
	  "expected a string\n"
	  "error missing /rules/privileges/1/name is missing\n"
	  "error type /rules/privileges/1/path is a number, expected a string\n"
	  "error missing /rules/privileges/2/path is missing\n"
	  "error value /rules/privileges/2/name is empty\n"
	  "error type /rules/privileges/3 is a number, expected an object\n"
	  "error twice /rules/privileges/4/name is 'p', as is that of another "
	  "privilege" },
	/* a name that cannot be read may be the one that is referred to */
	{ WIRE("'privileges':[{'name':5,'path':'/'}]" REST),
	  "error type /rules/privileges/0/name is a number, expected a "
	  "string" },
	{ WIRE("'privileges':{}" REST),
	  "error type /rules/privileges is an object, expected an array" },
	{ WIRE(PRIVILEGE ",'roles':0," IDENTITY "," ASSIGNED),
	  "error type /rules/roles is a number, expected an array" },
	{ WIRE(PRIVILEGE "," ROLE ",'identities':[{'name':null}]," ASSIGNED),
	  "warning everyone /rules/identities/0 has no selector: matches "
	  "everyone\n"
	  "error type /rules/identities/0/name is null, expected a string" },
	{ WIRE(PRIVILEGE "," ROLE "," IDENTITY ",'roleAssignments':7"),
	  "error type /rules/roleAssignments is a number, expected an array" },
	{ WIRE(PRIVILEGE "," ROLE
			 ",'identities':[{'name':'i','exePath':[]}]," ASSIGNED),
	  "error type /rules/identities/0/exePath is an array, expected a "
	  "string" },

	/* ---- wire: taken, with remarks ---- */
	{ WIRE("'privileges':[{'name':'q','path':'/'}]" REST),
	  "warning unused-privilege /rules/privileges/0 is in no role: denied "
	  "to everyone\n"
	  "warning dangling /rules/roles/0/privileges/0 there is no privilege "
	  "'p': grants nothing" },
	{ WIRE("'roles':[{'name':'r','privileges':['']}],"
	       "'roleAssignments':[{'role':'r','identities':[]},"
	       "{'role':'R','identities':['I']}]"),
	  "warning dangling /rules/roles/0/privileges/0 there is no privilege "
	  "'': grants nothing\n"
	  "warning empty /rules/roleAssignments/0/identities is empty: grants "
	  "nothing\n"
	  "warning dangling /rules/roleAssignments/1/role there is no role "
	  "'R': grants nothing\n"
	  "warning dangling /rules/roleAssignments/1/identities/0 there is no "
	  "identity 'I': grants nothing" },
	{ WIRE("'roles':[{'name':'r','privileges':[]}]"),
	  "warning unused-role /rules/roles/0 is never assigned\n"
	  "warning empty /rules/roles/0/privileges is empty: grants nothing" },
	{ WIRE("'identities':[{'name':'i','userName':null},"
	       "{'name':'j','groupName':''}]"),
	  "warning everyone /rules/identities/0 has no selector: matches "
	  "everyone\n"
	  "warning unused-identity /rules/identities/0 is assigned to no "
	  "role\n"
	  "warning unused-identity /rules/identities/1 is assigned to no "
	  "role\n"
	  "warning nobody /rules/identities/1/groupName is empty: matches "
	  "nobody" },
	{ WIRE(PRIVILEGE
	       ",'roles':[{'name':'r','privileges':['p','p']}]," IDENTITY
	       ",'roleAssignments':[{'role':'r','identities':"
	       "['i','i']},{'role':'r','identities':['i']}]"),
	  "warning repeated /rules/roles/0/privileges/1 is 'p', as is another "
	  "of this list\n"
	  "warning repeated /rules/roleAssignments/0/identities/1 is 'i', as "
	  "is another of this list" },

	/* ---- unknown fields ---- */
	{ "{'defaultAccess':'deny','mode':'audit','id':'','Rules':{},"
	  "'extra':[1,{'name':2}]}",
	  "warning unknown-field /Rules is not known, but 'rules' is: letter "
	  "case counts, ignored\n"
	  "warning unknown-field /extra is not known: ignored" },
	{ WIRE("'privileges':[{'name':'p','path':'/','Path':'/"
	       "x','note':1}]" REST),
	  "warning unknown-field /rules/privileges/0/Path differs from 'path' "
	  "in letter case only: ignored\n"
	  "warning unknown-field /rules/privileges/0/note is not known: "
	  "ignored" },
	{ "{'defaultAccess':'deny','Mode':'audit','id':''}",
	  "error missing /mode is missing\n"
	  "warning unknown-field /Mode is not known, but 'mode' is: letter "
	  "case counts, ignored" },

	/* ---- local file: spec 8.5 in its words ---- */
	{ "{}", "" },
	{ "{'id':null,'defaultAccess':null,'rules':null}", "" },
	{ "{'id':'i','defaultAccess':' \\u3000Allow\\t'}", "" },
	{ LOCAL(GOOD), "" },
	{ "{'id':' \\u2003\\u00a0','defaultAccess':'Perhaps '}",
	  "error value /id local rules id cannot be empty when provided\n"
	  "error value /defaultAccess local rules defaultAccess must be "
	  "'allow' or 'deny', got 'Perhaps '" },
	{ LOCAL("'privileges':[{'name':' ','path':'/'},{'name':'n','path':''},"
		"{'name':'p','path':'/','queryParameters':{' ':'a'}},"
		"{'name':'o','path':'/','queryParameters':{'a':''}},"
		"{'name':'p','path':'/'}]" REST),
	  "error value /rules/privileges/0/name privilege name cannot be "
	  "empty\n"
	  "error value /rules/privileges/1/path privilege 'n' path cannot be "
	  "empty\n"
	  "error value /rules/privileges/2/queryParameters/  privilege 'p' "
	  "queryParameters cannot contain empty keys or values\n"
	  "error value /rules/privileges/3/queryParameters/a privilege 'o' "
	  "queryParameters cannot contain empty keys or values\n"
	  "error twice /rules/privileges/4/name duplicate privilege name "
	  "'p'" },
	{ LOCAL(PRIVILEGE
		",'roles':[{'name':'','privileges':['p']},"
		"{'name':'r','privileges':[]},{'name':'s','privileges':"
		"['p',' ','p','q']},{'name':'s','privileges':['p']}]," IDENTITY
		"," ASSIGNED),
	  "error value /rules/roles/0/name role name cannot be empty\n"
	  "error empty /rules/roles/1/privileges role 'r' must reference at "
	  "least one privilege\n"
	  "error value /rules/roles/2/privileges/1 role 's' contains an empty "
	  "privilege reference\n"
	  "error repeated /rules/roles/2/privileges/2 role 's' contains "
	  "duplicate privilege reference 'p'\n"
	  "error dangling /rules/roles/2/privileges/3 role 's' references "
	  "unknown privilege 'q'\n"
	  "error twice /rules/roles/3/name duplicate role name 's'" },
	{ LOCAL(PRIVILEGE "," ROLE ",'identities':[{'name':'i','userName':'u'},"
			  "{'name':'\\t','userName':'u'},{'name':'k'},"
			  "{'name':'i','exePath':'/x','processName':' '},"
			  "{'name':'l','groupName':' '}]," ASSIGNED),
	  "error value /rules/identities/1/name identity name cannot be empty\n"
	  "error everyone /rules/identities/2 identity 'k' must specify at "
	  "least one selector\n"
	  "error twice /rules/identities/3/name duplicate identity name 'i'\n"
	  "error everyone /rules/identities/4 identity 'l' must specify at "
	  "least one selector" },
	{ LOCAL(PRIVILEGE "," ROLE "," IDENTITY ",'roleAssignments':["
			  "{'role':' ','identities':['i']},"
			  "{'role':'x','identities':['i']},"
			  "{'role':'r','identities':[]},"
			  "{'role':'r','identities':['i','','i','j']}]"),
	  "error value /rules/roleAssignments/0/role roleAssignment role "
	  "cannot be empty\n"
	  "error dangling /rules/roleAssignments/1/role roleAssignment "
	  "references unknown role 'x'\n"
	  "error empty /rules/roleAssignments/2/identities roleAssignment for "
	  "role 'r' must reference at least one identity\n"
	  "error value /rules/roleAssignments/3/identities/1 roleAssignment "
	  "for role 'r' contains an empty identity reference\n"
	  "error repeated /rules/roleAssignments/3/identities/2 roleAssignment "
	  "for role 'r' contains duplicate identity reference 'i'\n"
	  "error dangling /rules/roleAssignments/3/identities/3 roleAssignment "
	  "for role 'r' references unknown identity 'j'" },

	/* ---- ARM ---- */
	{ ARM(GOOD), "" },
	{ "{'properties':{'mode':'Enforce','defaultAccess':'Deny',"
	  "'targetLocations':[],'excludeFromLatest':false,'Rules':{}},"
	  "'location':'westus','tags':{},'kind':1}",
	  "error unknown-field /properties/Rules is 'rules' in another letter "
	  "case: Azure takes it, the agent does not\n"
	  "warning unknown-field /kind is not known: ignored" },
	/* without its parameter the privilege would be wider */
	{ ARM("'privileges':[{'name':'p','path':'/','QueryParameters':"
	      "{'a':'1'}}]" REST),
	  "error unknown-field "
	  "/properties/rules/privileges/0/QueryParameters is "
	  "'queryParameters' in another letter case: Azure takes it, the "
	  "agent does not" },
	{ "{'properties':{}}",
	  "error missing /properties/mode is missing\n"
	  "error missing /properties/defaultAccess is missing" },
	{ "{'Properties':{}}", "error form  has no resource of type "
			       ".../inVMAccessControlProfiles/versions" },
	{ ARM("'privileges':[]"),
	  "warning missing /properties/rules/roles is missing: Azure refuses "
	  "rules without it, here it counts as empty\n"
	  "warning missing /properties/rules/identities is missing: Azure "
	  "refuses rules without it, here it counts as empty\n"
	  "warning missing /properties/rules/roleAssignments is missing: Azure "
	  "refuses rules without it, here it counts as empty" },
	{ "{'properties':{'osType':'Linux','applicableHostEndpoint':'IMDS'}}",
	  "error form  is a profile without rules: one of its versions is "
	  "needed" },
	{ "{" PARENT ",'properties':{}}",
	  "error form  is a profile without rules: one of its versions is "
	  "needed" },
	{ "{'type':'Microsoft.Compute/virtualMachines','properties':{}}",
	  "error form  is of type 'Microsoft.Compute/virtualMachines', "
	  "expected .../inVMAccessControlProfiles/versions" },
	{ "{'type':'x/NotinVMAccessControlProfiles/versions',"
	  "'properties':{}}",
	  "error form  is of type 'x/NotinVMAccessControlProfiles/versions', "
	  "expected .../inVMAccessControlProfiles/versions" },
	{ "{'$schema':'s','resources':[]}",
	  "error form  has no resource of type "
	  ".../inVMAccessControlProfiles/versions" },
	{ "{'resources':[{" PARENT ",'name':'g/p'}]}",
	  "error form /resources/0 is a profile without rules: one of its "
	  "versions is needed" },
	{ "{'resources':[{" VERSION ",'name':'g/p/1'},{" VERSION
	  ",'name':'g/p/2'}]}",
	  "error form  has 2 versions of profiles, one must be selected: "
	  "'g/p/1', 'g/p/2'" },
	{ "{'resources':[{" VERSION ",'name':'g/p/1'," PROPS "},{" PARENT
	  ",'name':'g/p','properties':{'osType':'Windows',"
	  "'applicableHostEndpoint':'hostga'}}]}",
	  "warning value /resources/1/properties/osType is Windows: Azure "
	  "refuses the profile for a VM that runs Linux\n"
	  "warning value /resources/1/properties/applicableHostEndpoint is not "
	  "WireServer or IMDS: Azure refuses it" },
	{ "{'resources':[{" VERSION ",'properties':{'mode':"
	  "'[parameters(\\'m\\')]','defaultAccess':'[variables(\\'d\\')]',"
	  "'rules':'[variables(\\'r\\')]'}}]}",
	  "error value /resources/0/properties/mode is a template expression, "
	  "which only Azure can evaluate\n"
	  "error value /resources/0/properties/defaultAccess is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /resources/0/properties/rules is a template expression, "
	  "which only Azure can evaluate" },
	{ ARM("'privileges':[{'name':'[a]','path':'[b]','queryParameters':"
	      "{'[c]':'d','e':'[f]'}}],'roles':[{'name':'r','privileges':"
	      "['[a]']}],'identities':[{'name':'i','userName':'[u]'}],"
	      "'roleAssignments':[{'role':'[r]','identities':['[i]']}],"
	      "'COPY':[]"),
	  "error value /properties/rules/privileges/0/name is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /properties/rules/privileges/0/path is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /properties/rules/privileges/0/queryParameters/[c] is a "
	  "template expression, which only Azure can evaluate\n"
	  "error value /properties/rules/privileges/0/queryParameters/e is a "
	  "template expression, which only Azure can evaluate\n"
	  "error value /properties/rules/roles/0/privileges/0 is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /properties/rules/identities/0/userName is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /properties/rules/roleAssignments/0/role is a template "
	  "expression, which only Azure can evaluate\n"
	  "error value /properties/rules/roleAssignments/0/identities/0 is a "
	  "template expression, which only Azure can evaluate\n"
	  "error value /properties/rules/COPY is a template loop, which only "
	  "Azure can evaluate" },
};

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

static void print(char *out, size_t size, const struct msp_findings *list)
{
	const struct msp_finding *f;
	size_t i, n = 0;

	out[0] = '\0';
	for (i = 0; (f = msp_findings_get(list, i)) && n < size; i++)
		n += (size_t)snprintf(
			out + n, size - n, "%s%s %s %s %s", i ? "\n" : "",
			msp_severity_name(f->severity),
			msp_finding_code_name(f->code), f->pointer, f->text);
}

START_TEST(reading_says_all_there_is_to_say)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *json = document(cases[_i].json);
	struct msp_findings *list = NULL;
	struct msp_profile *profile;
	char seen[8192];
	size_t i;
	int rc;

	rc = msp_profile_read(&profile, &list, json, strlen(json), NULL, &info);
	print(seen, sizeof(seen), list);
	ck_assert_msg(strcmp(seen, cases[_i].findings) == 0,
		      "%s\nsaid:\n%s\nexpected:\n%s", json, seen,
		      cases[_i].findings);
	ck_assert_int_eq(rc<0, msp_findings_errors(list)> 0);
	ck_assert_int_eq(rc < 0, profile == NULL);
	ck_assert_int_eq(rc < 0, info.text[0] != '\0');
	for (i = 0; i < msp_findings_count(list); i++)
		ck_assert_uint_ge(msp_findings_get(list, i)->column, 1);
	if (profile)
		ck_assert_uint_eq(
			msp_findings_count(msp_profile_findings(profile)),
			msp_findings_count(list));
	msp_profile_free(profile);
	msp_findings_free(list);
	free(json);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* what the caller is told who asks for one: the same as one of all */
START_TEST(the_first_error_is_one_of_all)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *json = document(cases[_i].json);
	struct msp_findings *list = NULL;
	struct msp_profile *profile;
	const struct msp_finding *f;
	bool found = false;
	size_t i;

	if (msp_profile_read(&profile, &list, json, strlen(json), NULL, &info))
		for (i = 0; (f = msp_findings_get(list, i)); i++)
			found = found ||
				(f->severity == MSP_SEVERITY_ERROR &&
				 strcmp(f->text, info.text) == 0 &&
				 strcmp(f->pointer, info.pointer) == 0 &&
				 f->line == info.line &&
				 f->column == info.column);
	ck_assert(found || profile);
	msp_profile_free(profile);
	msp_findings_free(list);
	free(json);
}
END_TEST

START_TEST(read_survives_every_failed_allocation)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *json = document(cases[_i].json);
	struct msp_findings *list;
	struct msp_profile *profile;
	long n;
	int rc;

	for (n = 0;; n++) {
		profile = (void *)1;
		list = (void *)1;
		failalloc_arm(n);
		rc = msp_profile_read(&profile, &list, json, strlen(json), NULL,
				      &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(profile);
		ck_assert_ptr_null(list);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_ne(rc, MSP_ERR_NOMEM);
	msp_profile_free(profile);
	msp_findings_free(list);
	free(json);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(findings_say_line_and_column)
{
	char *json = document("{'defaultAccess':'deny',\n 'mode':'audit','id':"
			      "'',\n\n  'x':1,'rules':{'roles':\n[{},7]}}");
	struct msp_findings *list = NULL;
	struct msp_profile *profile;
	char seen[512] = "";
	size_t i, n = 0;

	ck_assert_int_eq(msp_profile_read(&profile, &list, json, strlen(json),
					  NULL, NULL),
			 MSP_ERR_SCHEMA);
	for (i = 0; i < msp_findings_count(list); i++)
		n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%u:%u %s, ",
				      msp_findings_get(list, i)->line,
				      msp_findings_get(list, i)->column,
				      msp_findings_get(list, i)->pointer);
	ck_assert_str_eq(seen, "4:3 /x, 5:2 /rules/roles/0/name, "
			       "5:2 /rules/roles/0/privileges, "
			       "5:5 /rules/roles/1, ");
	msp_findings_free(list);
	free(json);
}
END_TEST

/* who lints a profile says the place of an entry as its reader does */
START_TEST(entries_know_their_place)
{
	char *json = document("{" VERSION ",'properties':{'mode':'Audit',\n"
			      "'defaultAccess':'Deny','rules':{\n" PRIVILEGE
			      ",'roles':[{'name':'q','privileges':['p']},\n {"
			      "'name':'r','privileges':['p']}]," IDENTITY
			      ",'roleAssignments':[{'role':'x','identities':"
			      "['i']},\n{'role':'r','identities':['i']}]}}}");
	struct msp_profile *p;
	char pointer[64];

	ck_assert_int_eq(msp_profile_parse(&p, json, strlen(json), NULL), 0);
	ck_assert_uint_eq(p->privileges[0].place.line, 3);
	ck_assert_uint_eq(p->privileges[0].place.column, 15);
	ck_assert_uint_eq(p->roles[1].place.line, 4);
	ck_assert_uint_eq(p->roles[1].place.column, 2);
	/* the first assignment is to nothing and was left out */
	ck_assert_uint_eq(p->n_assignments, 1);
	ck_assert_uint_eq(p->assignments[0].place.line, 5);
	msp_profile_pointer(p, pointer, sizeof(pointer), "roleAssignments",
			    &p->assignments[0].place, "role");
	ck_assert_str_eq(pointer, "/properties/rules/roleAssignments/1/role");
	msp_profile_pointer(p, pointer, sizeof(pointer), "roles",
			    &p->roles[1].place, NULL);
	ck_assert_str_eq(pointer, "/properties/rules/roles/1");
	msp_profile_free(p);
	free(json);
}
END_TEST

/* an item of the key status is read no other way: places of the document */
START_TEST(items_of_the_key_status_have_the_same_findings)
{
	char *json = document(
		"{'authorizationScheme':'Azure-HMAC-SHA256',"
		"'keyDeliveryMethod':'http','version':'2.0',"
		"'secureChannelEnabled':true,'authorizationRules':{'imds'"
		":" WIRE(GOOD ",'X':1") ",'wireserver':" WIRE(GOOD) "}}");
	const struct msp_profile *imds, *wireserver;
	struct msp_keystatus *status;

	ck_assert_int_eq(msp_keystatus_parse(&status, json, strlen(json), NULL),
			 0);
	imds = msp_keystatus_profile(status, MSP_ENDPOINT_IMDS);
	wireserver = msp_keystatus_profile(status, MSP_ENDPOINT_WIRESERVER);
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(wireserver)),
			  0);
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(imds)), 1);
	ck_assert_str_eq(
		msp_findings_get(msp_profile_findings(imds), 0)->pointer,
		"/authorizationRules/imds/rules/X");
	ck_assert_int_eq(msp_profile_form(imds), MSP_PROFILE_WIRE);
	msp_keystatus_free(status);
	free(json);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("profile_findings");
	TCase *t = tcase_create("profile_findings");

	tcase_add_loop_test(t, reading_says_all_there_is_to_say, 0,
			    COUNT(cases));
	tcase_add_loop_test(t, the_first_error_is_one_of_all, 0, COUNT(cases));
	tcase_add_loop_test(t, read_survives_every_failed_allocation, 0,
			    COUNT(cases));
	tcase_add_test(t, findings_say_line_and_column);
	tcase_add_test(t, entries_know_their_place);
	tcase_add_test(t, items_of_the_key_status_have_the_same_findings);
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
