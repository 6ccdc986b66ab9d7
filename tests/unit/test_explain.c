/* SPDX-License-Identifier: MIT */
/*
 * In: rules, requests and callers. Out: pass or fail. Must never need a
 * network, a file or a privilege. That explanations agree with decisions on
 * random profiles is in test_decision.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/explain.h>

#include "libmsp/json.h"
#include "libmsp/rules_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char usual[] =
	"{\"id\":\"id-7\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
	"\"rules\":{\"privileges\":["
	"{\"name\":\"vault\",\"path\":\"/identity/token\","
	"\"queryParameters\":{\"resource\":\"https://vault\"}},"
	"{\"name\":\"token\",\"path\":\"/identity/token/\"},"
	"{\"name\":\"both\",\"path\":\"/identity\",\"queryParameters\":"
	"{\"a\":\"1\",\"b\":\"2\"}},"
	"{\"name\":\"idle\",\"path\":\"/idle\"},"
	"{\"name\":\"open\",\"path\":\"/open\"}],"
	"\"roles\":[{\"name\":\"app\",\"privileges\":[\"vault\",\"token\"]},"
	"{\"name\":\"ops\",\"privileges\":[\"token\",\"open\"]}],"
	"\"identities\":[{\"name\":\"billing\",\"userName\":\"billing\","
	"\"exePath\":\"/opt/b\"},"
	"{\"name\":\"staff\",\"groupName\":\"staff\"},"
	"{\"name\":\"curl\",\"processName\":\"curl\"},"
	"{\"name\":\"exe\",\"exePath\":\"/bin/x\"},"
	"{\"name\":\"admin\",\"userName\":\"alice\"}],"
	"\"roleAssignments\":[{\"role\":\"app\",\"identities\":[\"billing\"]},"
	"{\"role\":\"ops\",\"identities\":[\"staff\",\"curl\",\"exe\"]}]}}";

static const char *const groups[] = { "users", NULL, "audio" };
static const char *const held[] = { "alice" };

static struct msp_request *request;
static struct msp_rules *rules;
static struct msp_caller caller;
static struct msp_explanation *e;

static void setup(void)
{
	static const struct msp_caller alice = {
		.size = sizeof(alice),
		.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES |
			 MSP_CALLER_EXE_VERIFIED,
		.uid = 1000,
		.euid = 1000,
		.gid = 100,
		.pid = 77,
		.user_name = "alice",
		.exe_path = "/usr/bin/curl",
		.groups = groups,
		.n_groups = 3,
		.process_groups = held,
		.n_process_groups = 1,
	};

	ck_assert_int_eq(msp_request_new(&request), 0);
	rules = NULL;
	e = NULL;
	caller = alice;
}

static void teardown(void)
{
	msp_explanation_free(e);
	msp_request_free(request);
	msp_rules_free(rules);
	ck_assert_int_eq(failalloc_live(), 0);
}

static void use(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p;
	int rc = msp_profile_parse(&p, json, strlen(json), &info);

	ck_assert_msg(rc == 0, "%s: %s", info.pointer, info.text);
	ck_assert_int_eq(msp_rules_compile(&rules, p, 3), 0);
	msp_profile_free(p);
}

static void explain(const char *method, const char *target)
{
	msp_explanation_free(e);
	ck_assert_int_eq(msp_request_set(request, method, strlen(method),
					 target, strlen(target)),
			 0);
	ck_assert_int_eq(msp_decision_explain(&e, rules, MSP_ENDPOINT_IMDS,
					      request, &caller),
			 0);
}

static void expect_text(const char *want)
{
	char *text;
	size_t len;

	ck_assert_int_eq(msp_explanation_text(e, &text, &len), 0);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(len, strlen(want));
	msp_text_free(text);
}

/* ---- for people -------------------------------------------------------- */

#define CALLER                                                                 \
	"caller     uid 1000, user \"alice\", program \"/usr/bin/curl\" "      \
	"(verified), groups \"users\" \"audio\", of the process \"alice\"\n"
#define RULES "rules      \"id-7\", mode enforce\n"

static const struct {
	const char *target;
	const char *text;
} text[] = {
	{ "/Identity/token?Resource=https://store",
	  "allow: imds GET /Identity/token?Resource=https://store\n"
	  "reason     granted: a privilege matches, and the caller has "
	  "it\n" RULES
	  "canonical  /identity/token?resource=https://store\n" CALLER
	  "privilege  \"vault\", /identity/token, covers the path, not the "
	  "query: \"resource\" wants \"https://vault\", is "
	  "\"https://store\"\n"
	  "privilege  \"token\", /identity/token, matches\n"
	  "  identity \"billing\" (role \"app\") is not: userName wants "
	  "\"billing\", is \"alice\"\n"
	  "  identity \"staff\" (role \"ops\") is not: groupName wants "
	  "\"staff\", no group of the caller\n"
	  "  identity \"curl\" (role \"ops\") is the caller\n"
	  "  identity \"exe\" (role \"ops\") is not: exePath wants \"/bin/x\", "
	  "is \"/usr/bin/curl\"\n"
	  "privilege  \"both\", /identity, covers the path, not the query: "
	  "\"a\" is missing, wants \"1\"\n"
	  "others     2 privileges are about other paths\n"
	  "default    deny, not used: a privilege matches\n" },
	{ "/idle",
	  "deny: imds GET /idle\n"
	  "reason     no-identity: a privilege matches, and the caller does "
	  "not have it\n" RULES "canonical  /idle\n" CALLER
	  "privilege  \"idle\", /idle, matches, nobody has it\n"
	  "others     4 privileges are about other paths\n"
	  "default    deny, not used: a privilege matches\n" },
	{ "/x", "deny: imds GET /x\n"
		"reason     default-deny: no privilege matches: the default "
		"decides\n" RULES "canonical  /x\n" CALLER
		"others     5 privileges are about other paths\n"
		"default    deny, used: no privilege matches\n" },
	{ "/identity?a=1&A=2&b=%5c",
	  "deny: imds GET /identity?a=1&A=2&b=%5c\n"
	  "reason     canon: the request could be read in more than one "
	  "way\n" RULES "canonical  /identity?a=1&a=2&b=\\\\\n"
	  "refused    CANON_DUPLICATE_PARAM: constrained parameter given "
	  "twice\n" CALLER
	  "privilege  \"both\", /identity, covers the path, not the query: "
	  "\"a\" wants \"1\", is \"1\" and is given more than once\n"
	  "others     4 privileges are about other paths\n"
	  "default    deny, not used\n" },
	{ "/identity?%255c=9",
	  "deny: imds GET /identity?%255c=9\n"
	  "reason     canon: the request could be read in more than one "
	  "way\n" RULES "canonical  /identity?%255c=9\n"
	  "refused    CANON_AMBIGUOUS: backslash or escape left after "
	  "decoding\n" CALLER
	  "privilege  \"both\", /identity, covers the path, not the query: "
	  "\"%5c\" is \"9\", a backslash or escape is left\n"
	  "others     4 privileges are about other paths\n"
	  "default    deny, not used\n" },
	{ "/open/%zz\"\\",
	  "deny: imds GET /open/%zz\\\"\\\\\n"
	  "reason     canon: the request could be read in more than one "
	  "way\n" RULES
	  "refused    CANON_PCT: malformed percent-encoding, at byte 6: "
	  "\"%zz\\\"\\\\\"\n" CALLER "default    deny, not used\n" },
};

START_TEST(explain_text_says_all_there_is_to_say)
{
	use(usual);
	explain("GET", text[_i].target);
	expect_text(text[_i].text);
}
END_TEST

START_TEST(explain_text_without_rules_is_short)
{
	caller.flags = 0;
	explain("GET", "/a");
	expect_text("deny: imds GET /a\n"
		    "reason     unknown-caller: it is not known who asks\n"
		    "rules      none\n"
		    "canonical  /a\n"
		    "caller     not known\n");
}
END_TEST

/* What a client chooses cannot pass for a line of ours, nor for a color. */
START_TEST(explain_text_escapes_what_is_not_printable)
{
	char *out;

	use(usual);
	caller.user_name = "a\"\nallow: \x1b[31m\xc3\xa9\\";
	strcpy(caller.exe_path, "/bin/\x7f\r");
	explain("GET", "/a\r\nallow: all");
	ck_assert_int_eq(msp_explanation_text(e, &out, NULL), 0);
	ck_assert_ptr_nonnull(strstr(
		out, "user \"a\\\"\\x0aallow: \\x1b[31m\\xc3\\xa9\\\\\""));
	ck_assert_ptr_nonnull(strstr(out, "program \"/bin/\\x7f\\x0d\""));
	ck_assert_ptr_nonnull(strstr(out, "GET /a\\x0d\\x0aallow: all\n"));
	ck_assert_ptr_nonnull(strstr(out, "at byte 2: \"\\x0d\\x0aallow"));
	ck_assert_ptr_null(strstr(out, "\nallow:"));
	msp_text_free(out);
}
END_TEST

/* ---- selectors --------------------------------------------------------- */

static const struct {
	uint32_t on, off;
	const char *user;
	const char *exe;
	enum msp_try tried[3]; /* staff, curl, exe */
} selector[] = {
	{ 0,
	  0,
	  "alice",
	  "/usr/bin/curl",
	  { MSP_TRY_GROUP, MSP_TRY_MATCHED, MSP_TRY_EXE } },
	{ 0,
	  0,
	  "alice",
	  "/bin//./x/",
	  { MSP_TRY_GROUP, MSP_TRY_PROCESS, MSP_TRY_MATCHED } },
	{ 0,
	  0,
	  "alice",
	  "bin/x",
	  { MSP_TRY_GROUP, MSP_TRY_PROCESS, MSP_TRY_EXE } },
	{ 0,
	  0,
	  "alice",
	  "",
	  { MSP_TRY_GROUP, MSP_TRY_EXE_UNVERIFIED, MSP_TRY_EXE_UNVERIFIED } },
	{ 0,
	  MSP_CALLER_EXE_VERIFIED,
	  "alice",
	  "/bin/x",
	  { MSP_TRY_GROUP, MSP_TRY_EXE_UNVERIFIED, MSP_TRY_EXE_UNVERIFIED } },
	{ MSP_CALLER_PATH_CUT,
	  0,
	  "alice",
	  "/bin/x",
	  { MSP_TRY_GROUP, MSP_TRY_EXE_UNVERIFIED, MSP_TRY_EXE_UNVERIFIED } },
	{ MSP_CALLER_NO_PATH,
	  0,
	  "alice",
	  "/bin/x",
	  { MSP_TRY_GROUP, MSP_TRY_EXE_UNVERIFIED, MSP_TRY_EXE_UNVERIFIED } },
	{ MSP_CALLER_GROUPS_CUT,
	  0,
	  "alice",
	  "/bin/y",
	  { MSP_TRY_GROUPS_CUT, MSP_TRY_PROCESS, MSP_TRY_EXE } },
	{ 0,
	  MSP_CALLER_NAMES,
	  "alice",
	  "/bin/y",
	  { MSP_TRY_NAMES_UNKNOWN, MSP_TRY_PROCESS, MSP_TRY_EXE } },
};

START_TEST(explain_names_the_selector_that_failed)
{
	const struct msp_tried_identity *t;
	char *out;
	int i;

	use(usual);
	caller.flags |= selector[_i].on;
	caller.flags &= ~selector[_i].off;
	caller.user_name = selector[_i].user;
	strcpy(caller.exe_path, selector[_i].exe);
	explain("GET", "/open");
	ck_assert_uint_eq(msp_explanation_identities(e), 3);
	for (i = 0; i < 3; i++) {
		t = msp_explanation_identity(e, (size_t)i);
		ck_assert_msg(t->result == selector[_i].tried[i], "%s: %s",
			      t->name, msp_try_name(t->result));
		ck_assert_str_eq(t->role, "ops");
		ck_assert_int_eq(!t->wanted, t->result == MSP_TRY_MATCHED);
	}
	ck_assert_int_eq(msp_explanation_text(e, &out, NULL), 0);
	msp_text_free(out);
}
END_TEST

START_TEST(explain_knows_a_user_without_a_name)
{
	const struct msp_tried_identity *t;

	use(usual);
	caller.user_name = NULL;
	explain("GET", "/identity/token");
	t = msp_explanation_identity(e, 0);
	ck_assert_str_eq(t->name, "billing");
	ck_assert_int_eq(t->result, MSP_TRY_USER);
	ck_assert_ptr_null(t->seen);
	caller.user_name = "billing";
	explain("GET", "/identity/token");
	ck_assert_int_eq(msp_explanation_identity(e, 0)->result, MSP_TRY_EXE);
}
END_TEST

/* ---- for programs ------------------------------------------------------ */

static const struct msp_json_value *member(const struct msp_json_value *of,
					   const char *name)
{
	const struct msp_json_value *value;

	ck_assert_int_eq(msp_json_member(&value, of, name, NULL), 0);
	ck_assert_msg(value != NULL, "no %s", name);
	return value;
}

static const char *string(const struct msp_json_value *of, const char *name)
{
	const struct msp_json_value *value = member(of, name);
	size_t len;

	return msp_json_type(value) == MSP_JSON_NULL
		       ? "(null)"
		       : msp_json_text(value, &len);
}

static struct msp_json *parse(char **out)
{
	static const struct msp_json_limits limits = { .bytes = 1 << 20,
						       .values = 10000 };
	struct msp_json *doc;
	size_t len;

	ck_assert_int_eq(msp_explanation_json(e, out, &len), 0);
	ck_assert_uint_eq(len, strlen(*out));
	ck_assert_int_eq(msp_json_parse(&doc, *out, len, &limits, NULL), 0);
	return doc;
}

START_TEST(explain_json_has_every_field)
{
	const struct msp_json_value *root, *one;
	struct msp_json *doc;
	char *out;

	use(usual);
	explain("GET", "/Identity/token?resource=x");
	doc = parse(&out);
	root = msp_json_root(doc);
	ck_assert_str_eq(string(root, "verdict"), "allow");
	ck_assert_str_eq(string(root, "reason"), "granted");
	ck_assert_str_eq(string(root, "mode"), "enforce");
	ck_assert_str_eq(string(root, "code"), "(null)");
	ck_assert_str_eq(string(root, "codeText"), "(null)");
	ck_assert_str_eq(string(root, "place"), "(null)");
	ck_assert_str_eq(string(root, "endpoint"), "imds");
	ck_assert_str_eq(string(root, "ruleId"), "id-7");
	ck_assert_str_eq(string(root, "epoch"), "3");
	ck_assert_str_eq(string(root, "privilege"), "token");
	ck_assert_str_eq(string(root, "identity"), "curl");
	ck_assert_str_eq(string(root, "method"), "GET");
	ck_assert_str_eq(string(root, "target"), "/Identity/token?resource=x");
	ck_assert_str_eq(string(root, "canonical"),
			 "/identity/token?resource=x");
	ck_assert_str_eq(string(root, "otherPrivileges"), "2");
	ck_assert_str_eq(string(root, "defaultAccess"), "deny");
	ck_assert(!msp_json_true(member(root, "defaultUsed")));
	ck_assert(!msp_json_true(member(root, "cut")));
	one = member(root, "caller");
	ck_assert_str_eq(string(one, "uid"), "1000");
	ck_assert_str_eq(string(one, "pid"), "77");
	ck_assert_str_eq(string(one, "userName"), "alice");
	ck_assert_str_eq(string(one, "exePath"), "/usr/bin/curl");
	ck_assert_uint_eq(msp_json_count(member(one, "groups")), 2);
	ck_assert_uint_eq(msp_json_count(member(one, "processGroups")), 1);
	ck_assert_uint_eq(msp_json_count(member(one, "flags")), 3);
	one = member(root, "privileges");
	ck_assert_uint_eq(msp_json_count(one), 3);
	one = msp_json_first(one);
	ck_assert_str_eq(string(one, "name"), "vault");
	ck_assert_str_eq(string(one, "path"), "/identity/token");
	ck_assert_str_eq(string(one, "result"), "param-value");
	ck_assert_str_eq(string(one, "parameter"), "resource");
	ck_assert_str_eq(string(one, "wanted"), "https://vault");
	ck_assert_str_eq(string(one, "seen"), "x");
	ck_assert_str_eq(string(one, "identities"), "1");
	one = member(root, "identities");
	ck_assert_uint_eq(msp_json_count(one), 4);
	one = msp_json_first(one);
	ck_assert_str_eq(string(one, "privilege"), "token");
	ck_assert_str_eq(string(one, "role"), "app");
	ck_assert_str_eq(string(one, "identity"), "billing");
	ck_assert_str_eq(string(one, "result"), "user");
	ck_assert_str_eq(string(one, "wanted"), "billing");
	ck_assert_str_eq(string(one, "seen"), "alice");
	msp_json_free(doc);
	msp_text_free(out);
}
END_TEST

START_TEST(explain_json_says_why_there_is_no_canonical_form)
{
	struct msp_json *doc;
	char *out;

	explain("GET", "/a/%3f");
	doc = parse(&out);
	ck_assert_str_eq(string(msp_json_root(doc), "defaultAccess"), "(null)");
	ck_assert_str_eq(string(msp_json_root(doc), "reason"), "no-rules");
	msp_json_free(doc);
	msp_text_free(out);
	use(usual);
	explain("GET", "/a/%3f");
	doc = parse(&out);
	ck_assert_str_eq(string(msp_json_root(doc), "code"), "CANON_EMBQ");
	ck_assert_str_eq(string(msp_json_root(doc), "codeText"),
			 msp_canon_text(MSP_CANON_EMBQ));
	ck_assert_str_eq(string(msp_json_root(doc), "place"), "3");
	ck_assert_str_eq(string(msp_json_root(doc), "canonical"), "");
	msp_json_free(doc);
	msp_text_free(out);
}
END_TEST

static const struct {
	const char *user;
	const char *json; /* as it stands there */
	const char *read; /* and is read */
} hostile[] = {
	{ "a\"b\\c/", "\"a\\\"b\\\\c/\"", "a\"b\\c/" },
	{ "\x01\n\x1f\x7f", "\"\\u0001\\u000a\\u001f\\u007f\"",
	  "\x01\n\x1f\x7f" },
	{ "\xc3\xa9\xe2\x82\xac", "\"\\u00e9\\u20ac\"",
	  "\xc3\xa9\xe2\x82\xac" },
	{ "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
	{ "\xff"
	  "a",
	  "\"\\ufffda\"",
	  "\xef\xbf\xbd"
	  "a" },
	{ "\xc3", "\"\\ufffd\"", "\xef\xbf\xbd" },
	{ "\xc0\xaf", "\"\\ufffd\\ufffd\"", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"",
	  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"",
	  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

START_TEST(explain_json_is_json_whatever_is_in_it)
{
	struct msp_json *doc;
	char *out;

	use(usual);
	caller.user_name = hostile[_i].user;
	explain("GET", "/a");
	doc = parse(&out);
	ck_assert_ptr_nonnull(strstr(out, hostile[_i].json));
	ck_assert_str_eq(
		string(member(msp_json_root(doc), "caller"), "userName"),
		hostile[_i].read);
	msp_json_free(doc);
	msp_text_free(out);
}
END_TEST

/* ---- places ------------------------------------------------------------ */

static const struct {
	const char *target;
	enum msp_canon canon;
	int place; /* -1: none */
} place[] = {
	{ "/a", MSP_CANON_OK, -1 },
	{ "/a//b", MSP_CANON_SLASHES, 3 },
	{ "http://h/a//b", MSP_CANON_SLASHES, 11 },
	{ "/a/%2e./b", MSP_CANON_TRAVERSAL, 6 },
	{ "https://h/", MSP_CANON_SCHEME, 0 },
	{ "http://u@h/", MSP_CANON_USERINFO, 7 },
	{ "http://h:x/", MSP_CANON_PORT, 7 },
	{ "http://_/", MSP_CANON_HOST, 7 },
	{ "/a#b", MSP_CANON_FORM, 2 },
	{ "/a`b", MSP_CANON_FORM, 2 },
	{ "/a?\"", MSP_CANON_FORM, 3 },
	{ "a:80", MSP_CANON_FORM, 0 },
	{ "/a b", MSP_CANON_CTRL, 2 },
	{ "/a?b\x80", MSP_CANON_NON_ASCII, 4 },
	{ "/a%41%4", MSP_CANON_PCT, 5 },
	{ "/a?b=%41&c=%", MSP_CANON_PCT, 11 },
	{ "/a%c3%a9%00", MSP_CANON_CTRL, 8 },
	{ "/a%c3%a9", MSP_CANON_NON_ASCII, 2 },
	{ "/a%C3%A9%c3", MSP_CANON_UTF8, 8 },
	{ "/a%c3b", MSP_CANON_UTF8, 2 },
	{ "/a?b=%c3&c", MSP_CANON_UTF8, 5 },
	{ "/a?b=%0a", MSP_CANON_CTRL, 5 },
	{ "/a%3f", MSP_CANON_EMBQ, 2 },
	{ "/%41%5c", MSP_CANON_AMBIGUOUS, 4 },
	{ "/%25%41%2541", MSP_CANON_AMBIGUOUS, 7 },
	/* a URL without a path: the "/" that is added was not received */
	{ "http://h?x=%zz", MSP_CANON_PCT, 11 },
	{ "http://h?x= ", MSP_CANON_CTRL, 11 },
	{ "http://h?\"", MSP_CANON_FORM, 9 },
	{ "http://h#f", MSP_CANON_FORM, 8 },
	{ "http://h#", MSP_CANON_FORM, 8 },
	{ "http://h \x80", MSP_CANON_CTRL, 8 },
	{ "http://u@h?x=%", MSP_CANON_USERINFO, 7 },
	{ "x://?%", MSP_CANON_SCHEME, 0 },
	{ "http://h?x", MSP_CANON_OK, -1 },
};

START_TEST(explain_finds_the_place_of_the_fault)
{
	size_t at = 99;

	explain("GET", place[_i].target);
	ck_assert_int_eq(msp_request_canon(request), place[_i].canon);
	ck_assert_int_eq(msp_explanation_place(e, &at), place[_i].place >= 0);
	if (place[_i].place >= 0)
		ck_assert_uint_eq(at, (size_t)place[_i].place);
	ck_assert_int_eq(msp_explanation_place(e, NULL), place[_i].place >= 0);
}
END_TEST

START_TEST(explain_takes_a_request_that_is_none)
{
	char *out;

	use(usual);
	ck_assert_int_eq(msp_request_set(request, "", 0, "", 0), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_decision_explain(&e, rules, MSP_ENDPOINT_IMDS,
					      request, &caller),
			 0);
	ck_assert_int_eq(msp_explanation_decision(e)->verdict, MSP_DENY);
	ck_assert_str_eq(msp_explanation_canonical(e), "");
	ck_assert_int_eq(msp_explanation_json(e, &out, NULL), 0);
	msp_text_free(out);
	ck_assert_int_eq(msp_explanation_text(e, &out, NULL), 0);
	msp_text_free(out);
}
END_TEST

/* ---- contract ---------------------------------------------------------- */

START_TEST(explain_outlives_what_it_was_made_from)
{
	char *before, *after;

	use(usual);
	caller.user_name = strdup("alice");
	explain("GET", "/identity/token?resource=x");
	ck_assert_int_eq(msp_explanation_json(e, &before, NULL), 0);
	free((char *)caller.user_name);
	memset(&caller, 0xff, sizeof(caller));
	msp_rules_free(rules);
	rules = NULL;
	ck_assert_int_eq(msp_request_set(request, "PUT", 3, "/zzzzzzzzzzzz", 9),
			 0);
	ck_assert_int_eq(msp_explanation_json(e, &after, NULL), 0);
	ck_assert_str_eq(before, after);
	msp_text_free(before);
	msp_text_free(after);
}
END_TEST

/* The tree has lost a privilege that the walk still finds. */
START_TEST(explain_does_not_pass_when_the_engine_is_wrong)
{
	use(usual);
	rules->nodes[0].n_children = 0;
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "/open", 5), 0);
	ck_assert_int_eq(msp_decision_explain(&e, rules, MSP_ENDPOINT_IMDS,
					      request, &caller),
			 MSP_ERR_BUG);
	ck_assert_ptr_null(e);
}
END_TEST

START_TEST(explain_keeps_no_more_than_it_says)
{
	enum { MANY = MSP_EXPLAIN_MAX + 10 };
	char *json = malloc(MANY * 64), *out;
	size_t n;
	int i;

	n = (size_t)sprintf(json, "{\"id\":\"m\",\"mode\":\"enforce\","
				  "\"defaultAccess\":\"deny\",\"rules\":{"
				  "\"privileges\":[");
	for (i = 0; i < MANY; i++)
		n += (size_t)sprintf(json + n,
				     "%s{\"name\":\"%d\",\"path\":"
				     "\"/a\"}",
				     i ? "," : "", i);
	sprintf(json + n,
		"],\"roles\":[{\"name\":\"r\",\"privileges\":[\"0\","
		"\"%d\"]}],\"identities\":[{\"name\":\"i\","
		"\"userName\":\"x\"}],\"roleAssignments\":[{\"role\":"
		"\"r\",\"identities\":[\"i\"]}]}}",
		MANY - 1);
	use(json);
	free(json);
	explain("GET", "/a/b");
	ck_assert_uint_eq(msp_explanation_privileges(e), MSP_EXPLAIN_MAX);
	ck_assert_ptr_null(msp_explanation_privilege(e, MSP_EXPLAIN_MAX));
	ck_assert_uint_eq(msp_explanation_identities(e), 1);
	ck_assert_ptr_null(msp_explanation_identity(e, 1));
	ck_assert_uint_eq(msp_explanation_others(e), 0);
	ck_assert(msp_explanation_cut(e));
	ck_assert_int_eq(msp_explanation_text(e, &out, NULL), 0);
	ck_assert_uint_lt(strlen(out), 8192);
	ck_assert_ptr_nonnull(
		strstr(out, "and        4046 or more that cover the path\n"));
	msp_text_free(out);
}
END_TEST

START_TEST(explain_refuses_bad_arguments)
{
	struct msp_explanation *out = (struct msp_explanation *)&out;
	struct msp_caller shorter = caller;
	char *text_out;

	ck_assert_int_eq(msp_request_set(request, "GET", 3, "/", 1), 0);
	ck_assert_int_eq(msp_decision_explain(NULL, NULL, MSP_ENDPOINT_IMDS,
					      request, &caller),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_decision_explain(&out, NULL, MSP_ENDPOINT_IMDS,
					      NULL, &caller),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(msp_decision_explain(&out, NULL, MSP_ENDPOINT_IMDS,
					      request, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_decision_explain(&out, NULL, (enum msp_endpoint)3,
					      request, &caller),
			 MSP_ERR_INVAL);
	shorter.size--;
	ck_assert_int_eq(msp_decision_explain(&out, NULL, MSP_ENDPOINT_IMDS,
					      request, &shorter),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_explanation_text(NULL, &text_out, NULL),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(text_out);
	ck_assert_int_eq(msp_explanation_json(NULL, &text_out, NULL),
			 MSP_ERR_INVAL);
	explain("GET", "/");
	ck_assert_int_eq(msp_explanation_text(e, NULL, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_explanation_json(e, NULL, NULL), MSP_ERR_INVAL);
}
END_TEST

START_TEST(explain_names_are_distinct)
{
	int i, k;

	for (i = 0; i <= MSP_TRY_GROUPS_CUT; i++) {
		for (k = 0; k < i; k++)
			ck_assert(strcmp(msp_try_name((enum msp_try)i),
					 msp_try_name((enum msp_try)k)) != 0 ||
				  !strcmp(msp_try_name((enum msp_try)i),
					  "unknown"));
	}
	ck_assert_str_eq(msp_try_name((enum msp_try)1), "unknown");
	ck_assert_str_eq(msp_try_name(MSP_TRY_MATCHED), "matched");
	ck_assert_str_eq(msp_try_name(MSP_TRY_GROUPS_CUT), "groups-cut");
}
END_TEST

static int explain_all(char **json, char **lines)
{
	int rc;

	*json = *lines = NULL;
	rc = msp_decision_explain(&e, rules, MSP_ENDPOINT_IMDS, request,
				  &caller);
	if (rc == 0)
		rc = msp_explanation_json(e, json, NULL);
	if (rc == 0)
		rc = msp_explanation_text(e, lines, NULL);
	return rc;
}

START_TEST(explain_survives_every_failing_allocation)
{
	static const char target[] = "/identity/token?resource=x&b=y";
	char *json, *lines;
	bool failed;
	long before, n;
	int rc;

	use(usual);
	ck_assert_int_eq(
		msp_request_set(request, "GET", 3, target, strlen(target)), 0);
	before = failalloc_live();
	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = explain_all(&json, &lines);
		failed = failalloc_disarm();
		ck_assert_int_eq(rc, failed ? MSP_ERR_NOMEM : 0);
		ck_assert_int_eq(!lines, failed);
		msp_text_free(json);
		msp_text_free(lines);
		msp_explanation_free(e);
		e = NULL;
		ck_assert_int_eq(failalloc_live(), before);
		if (!failed)
			break;
	}
	ck_assert_int_gt(n, 6);
}
END_TEST

static Suite *explain_suite(void)
{
	Suite *s = suite_create("explain");
	TCase *t = tcase_create("text");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, explain_text_says_all_there_is_to_say, 0,
			    COUNT(text));
	tcase_add_test(t, explain_text_without_rules_is_short);
	tcase_add_test(t, explain_text_escapes_what_is_not_printable);
	tcase_add_loop_test(t, explain_names_the_selector_that_failed, 0,
			    COUNT(selector));
	tcase_add_test(t, explain_knows_a_user_without_a_name);
	suite_add_tcase(s, t);

	t = tcase_create("JSON");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, explain_json_has_every_field);
	tcase_add_test(t, explain_json_says_why_there_is_no_canonical_form);
	tcase_add_loop_test(t, explain_json_is_json_whatever_is_in_it, 0,
			    COUNT(hostile));
	suite_add_tcase(s, t);

	t = tcase_create("contract");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, explain_finds_the_place_of_the_fault, 0,
			    COUNT(place));
	tcase_add_test(t, explain_takes_a_request_that_is_none);
	tcase_add_test(t, explain_outlives_what_it_was_made_from);
	tcase_add_test(t, explain_does_not_pass_when_the_engine_is_wrong);
	tcase_add_test(t, explain_keeps_no_more_than_it_says);
	tcase_add_test(t, explain_refuses_bad_arguments);
	tcase_add_test(t, explain_names_are_distinct);
	tcase_add_test(t, explain_survives_every_failing_allocation);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(explain_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
