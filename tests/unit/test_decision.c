/* SPDX-License-Identifier: MIT */
/*
 * In: rules, requests and callers. Out: pass or fail. Must never need a
 * network, a file or a privilege. What rules say about requests is in
 * tests/sim; here is what holds whatever they say.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/decision.h>

#include "tests/lib/differ.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define PROFILE(mode, access, rules)                                           \
	"{\"id\":\"the-id\",\"mode\":\"" mode "\",\"defaultAccess\":\"" access \
	"\",\"rules\":{" rules "}}"
#define NOTHING                                                                \
	"\"privileges\":[],\"roles\":[],\"identities\":[],"                    \
	"\"roleAssignments\":[]"
#define ALICE_ON_A                                                             \
	"\"privileges\":[{\"name\":\"a\",\"path\":\"/a\"},"                    \
	"{\"name\":\"k\",\"path\":\"/k\",\"queryParameters\":"                 \
	"{\"k\":\"1\"}}],\"roles\":[{\"name\":\"r\",\"privileges\":"           \
	"[\"a\",\"k\"]}],\"identities\":[{\"name\":\"alice\","                 \
	"\"userName\":\"alice\"}],\"roleAssignments\":[{\"role\":"             \
	"\"r\",\"identities\":[\"alice\"]}]"

static struct msp_request *request;
static struct msp_rules *rules;
static struct msp_caller caller;
static struct msp_decision decision;

static void setup(void)
{
	static const struct msp_caller alice = {
		.size = sizeof(alice),
		.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES,
		.uid = 1000,
		.euid = 1000,
		.user_name = "alice",
	};

	ck_assert_int_eq(msp_request_new(&request), 0);
	rules = NULL;
	caller = alice;
	memset(&decision, 0xff, sizeof(decision));
	decision.size = sizeof(decision);
}

static void teardown(void)
{
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
	ck_assert_int_eq(msp_rules_compile(&rules, p, 42), 0);
	msp_profile_free(p);
}

static void decide(enum msp_endpoint endpoint, const char *method,
		   const char *target)
{
	ck_assert_int_eq(msp_request_set(request, method, strlen(method),
					 target, strlen(target)),
			 0);
	ck_assert_int_eq(
		msp_decision_make(&decision, rules, endpoint, request, &caller),
		0);
}

static void expect(enum msp_verdict verdict, enum msp_reason reason)
{
	ck_assert_msg(decision.verdict == verdict && decision.reason == reason,
		      "%s, %s", msp_verdict_name(decision.verdict),
		      msp_reason_name(decision.reason));
}

/* ---- what no mode softens ---------------------------------------------- */

static const char *const mode[] = {
	NULL, /* no rules at all */
	PROFILE("enforce", "allow", NOTHING),
	PROFILE("audit", "allow", NOTHING),
	PROFILE("disabled", "allow", NOTHING),
};

static void use_mode(int i)
{
	if (mode[i])
		use(mode[i]);
}

static const struct {
	uint32_t flags;
	enum msp_reason reason;
} refused_caller[] = {
	{ 0, MSP_REASON_UNKNOWN_CALLER },
	{ MSP_CALLER_NAMES, MSP_REASON_UNKNOWN_CALLER },
	{ MSP_CALLER_DIRECT, MSP_REASON_UNKNOWN_CALLER },
	{ MSP_CALLER_KNOWN | MSP_CALLER_KERNEL, MSP_REASON_UNKNOWN_CALLER },
	{ MSP_CALLER_KNOWN | MSP_CALLER_DIRECT, MSP_REASON_DIRECT },
};

START_TEST(decision_refuses_a_caller_it_does_not_know_in_every_mode)
{
	int i;

	use_mode(_i);
	for (i = 0; i < COUNT(refused_caller); i++) {
		caller.flags = refused_caller[i].flags;
		caller.uid = caller.euid = 0;
		decide(MSP_ENDPOINT_IMDS, "GET", "/a");
		expect(MSP_DENY, refused_caller[i].reason);
		decide(MSP_ENDPOINT_WIRESERVER, "PUT", "/vmAgentLog");
		expect(MSP_DENY, refused_caller[i].reason);
	}
}
END_TEST

static const struct {
	const char *method;
	const char *target;
	enum msp_canon canon;
} refused_request[] = {
	{ "GET", "/a//b", MSP_CANON_SLASHES },
	{ "GET", "/a/../b", MSP_CANON_TRAVERSAL },
	{ "GET", "/%2e%2e", MSP_CANON_TRAVERSAL },
	{ "get", "/a", MSP_CANON_METHOD },
	{ "CONNECT", "a:80", MSP_CANON_METHOD },
	{ "GET", "a:80", MSP_CANON_FORM },
	{ "GET", "*", MSP_CANON_FORM },
	{ "GET", "/a#b", MSP_CANON_FORM },
	{ "GET", "/a\r\nX: y", MSP_CANON_CTRL },
	{ "GET", "/a\xff", MSP_CANON_NON_ASCII },
	{ "GET", "https://h/a", MSP_CANON_SCHEME },
	{ "GET", "http://u@h/a", MSP_CANON_USERINFO },
	{ "GET", "http://h:x/a", MSP_CANON_PORT },
	{ "GET", "http://_/a", MSP_CANON_HOST },
};

START_TEST(decision_refuses_what_cannot_be_forwarded_in_every_mode)
{
	int i;

	use_mode(_i);
	for (i = 0; i < COUNT(refused_request); i++) {
		caller.uid = caller.euid = 0;
		decide(MSP_ENDPOINT_IMDS, refused_request[i].method,
		       refused_request[i].target);
		expect(MSP_DENY, MSP_REASON_CANON);
		ck_assert_int_eq(decision.canon, refused_request[i].canon);
	}
	/* an empty request is none */
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "", 0),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_decision_make(&decision, rules, MSP_ENDPOINT_IMDS,
					   request, &caller),
			 0);
	expect(MSP_DENY, MSP_REASON_CANON);
}
END_TEST

START_TEST(decision_keeps_wireserver_and_hostga_to_root_in_every_mode)
{
	use_mode(_i);
	decide(MSP_ENDPOINT_WIRESERVER, "GET", "/?comp=versions");
	expect(MSP_DENY, MSP_REASON_NOT_ROOT);
	decide(MSP_ENDPOINT_HOSTGA, "PUT", "/vmAgentLog");
	expect(MSP_DENY, MSP_REASON_NOT_ROOT);
	caller.uid = 0;
	decide(MSP_ENDPOINT_HOSTGA, "GET", "/x");
	expect(MSP_DENY, MSP_REASON_NOT_ROOT);
	caller.euid = 0;
	decide(MSP_ENDPOINT_HOSTGA, "GET", "/x");
	ck_assert_int_eq(decision.verdict, MSP_ALLOW);
	decide(MSP_ENDPOINT_WIRESERVER, "GET", "/?comp=versions");
	ck_assert_int_eq(decision.verdict, MSP_ALLOW);
}
END_TEST

START_TEST(decision_lets_roots_exempt_uploads_pass_closed_rules)
{
	ck_assert_int_eq(msp_rules_closed(&rules, "bad", 3, 5), 0);
	caller.uid = caller.euid = 0;
	decide(MSP_ENDPOINT_HOSTGA, "PUT", "/vmAgentLog");
	expect(MSP_ALLOW, MSP_REASON_EXEMPT);
	decide(MSP_ENDPOINT_IMDS, "POST", "/machine/?comp=telemetrydata");
	expect(MSP_ALLOW, MSP_REASON_EXEMPT);
	decide(MSP_ENDPOINT_HOSTGA, "PUT", "/vmAgentLog?x");
	expect(MSP_DENY, MSP_REASON_DEFAULT_DENY);
	/* exempt is root's: for anybody else it is a request like others */
	caller.euid = 1000;
	decide(MSP_ENDPOINT_IMDS, "PUT", "/vmAgentLog");
	expect(MSP_DENY, MSP_REASON_DEFAULT_DENY);
}
END_TEST

/* ---- modes ------------------------------------------------------------- */

START_TEST(decision_allows_without_rules_and_in_mode_disabled)
{
	decide(MSP_ENDPOINT_IMDS, "GET", "/a%");
	expect(MSP_ALLOW, MSP_REASON_NO_RULES);
	ck_assert_uint_eq(decision.epoch, 0);
	ck_assert_str_eq(decision.rule_id, "");
	ck_assert_int_eq(decision.mode, MSP_MODE_ENFORCE);
	use(PROFILE("disabled", "deny", ALICE_ON_A));
	decide(MSP_ENDPOINT_IMDS, "GET", "/a%");
	expect(MSP_ALLOW, MSP_REASON_DISABLED);
	ck_assert_int_eq(decision.mode, MSP_MODE_DISABLED);
	ck_assert_ptr_null(decision.privilege);
}
END_TEST

static const struct {
	const char *target;
	enum msp_reason reason;
	enum msp_canon canon;
} denied[] = {
	{ "/a", MSP_REASON_NO_IDENTITY, MSP_CANON_OK },
	{ "/b", MSP_REASON_DEFAULT_DENY, MSP_CANON_OK },
	{ "/%", MSP_REASON_CANON, MSP_CANON_PCT },
	{ "/%ff", MSP_REASON_CANON, MSP_CANON_UTF8 },
	{ "/%c3%a9", MSP_REASON_CANON, MSP_CANON_NON_ASCII },
	{ "/%00", MSP_REASON_CANON, MSP_CANON_CTRL },
	{ "/a%3f", MSP_REASON_CANON, MSP_CANON_EMBQ },
	{ "/a%5c", MSP_REASON_CANON, MSP_CANON_AMBIGUOUS },
	{ "/a?%", MSP_REASON_CANON, MSP_CANON_PCT },
	{ "/k?k=1&k=1", MSP_REASON_CANON, MSP_CANON_DUPLICATE_PARAM },
	{ "/k?k=%2531", MSP_REASON_CANON, MSP_CANON_AMBIGUOUS },
};

START_TEST(decision_audit_softens_what_enforce_denies)
{
	static const char *const json[] = {
		PROFILE("enforce", "deny", ALICE_ON_A),
		PROFILE("audit", "deny", ALICE_ON_A),
	};
	enum msp_verdict verdict[] = { MSP_DENY, MSP_ALLOW_AUDITED };
	int i;

	use(json[_i]);
	caller.user_name = "bob";
	for (i = 0; i < COUNT(denied); i++) {
		decide(MSP_ENDPOINT_IMDS, "GET", denied[i].target);
		expect(verdict[_i], denied[i].reason);
		ck_assert_int_eq(decision.canon, denied[i].canon);
	}
	caller.user_name = "alice";
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	expect(MSP_ALLOW, MSP_REASON_GRANTED);
}
END_TEST

START_TEST(decision_names_what_led_to_it)
{
	use(PROFILE("enforce", "allow", ALICE_ON_A));
	decide(MSP_ENDPOINT_IMDS, "GET", "/a/b");
	expect(MSP_ALLOW, MSP_REASON_GRANTED);
	ck_assert_uint_eq(decision.epoch, 42);
	ck_assert_str_eq(decision.rule_id, "the-id");
	ck_assert_str_eq(decision.privilege, "a");
	ck_assert_str_eq(decision.identity, "alice");
	caller.user_name = "bob";
	decide(MSP_ENDPOINT_IMDS, "GET", "/a/b");
	expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
	ck_assert_str_eq(decision.privilege, "a");
	ck_assert_ptr_null(decision.identity);
	decide(MSP_ENDPOINT_IMDS, "GET", "/c");
	expect(MSP_ALLOW, MSP_REASON_DEFAULT_ALLOW);
	ck_assert_ptr_null(decision.privilege);
	ck_assert_ptr_null(decision.identity);
}
END_TEST

/* ---- missing facts ----------------------------------------------------- */

#define ONE(selector)                                                          \
	PROFILE("enforce", "deny",                                             \
		"\"privileges\":[{\"name\":\"p\",\"path\":\"/\"}],"            \
		"\"roles\":[{\"name\":\"r\",\"privileges\":[\"p\"]}],"         \
		"\"identities\":[{\"name\":\"i\"" selector "}],"               \
		"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"i\""   \
		"]}]")

static const char *const staff[] = { "users", "staff" };
static const char *const held[] = { "alice", "adm" };

static const struct {
	const char *json;
	uint32_t flags;
	const char *exe;
	bool granted;
} fact[] = {
	{ ONE(""), 0, "", true },
	{ ONE(",\"userName\":\"alice\""), MSP_CALLER_NAMES, "", true },
	{ ONE(",\"userName\":\"alice\""), 0, "", false },
	{ ONE(",\"userName\":\"Alice\""), MSP_CALLER_NAMES, "", false },
	{ ONE(",\"userName\":\"\""), MSP_CALLER_NAMES, "", false },
	{ ONE(",\"groupName\":\"staff\""), MSP_CALLER_NAMES, "", true },
	{ ONE(",\"groupName\":\"staff\""), 0, "", false },
	{ ONE(",\"groupName\":\"sta\""), MSP_CALLER_NAMES, "", false },
	{ ONE(",\"groupName\":\"adm\""), MSP_CALLER_NAMES, "", true },
	{ ONE(",\"groupName\":\"adm\""), 0, "", false },
	{ ONE(",\"groupName\":\"adm\""),
	  MSP_CALLER_NAMES | MSP_CALLER_GROUPS_CUT, "", false },
	{ ONE(",\"userName\":\"alice\""),
	  MSP_CALLER_NAMES | MSP_CALLER_GROUPS_CUT, "", true },
	{ ONE(",\"exePath\":\"/b/c\""), MSP_CALLER_EXE_VERIFIED, "/b/c", true },
	{ ONE(",\"exePath\":\"//b/./c//\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  true },
	{ ONE(",\"exePath\":\"/b/c\""), 0, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/c\""), MSP_CALLER_NAMES, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/c\""),
	  MSP_CALLER_EXE_VERIFIED | MSP_CALLER_PATH_CUT, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/c\""),
	  MSP_CALLER_EXE_VERIFIED | MSP_CALLER_NO_PATH, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/C\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  false },
	{ ONE(",\"exePath\":\"b/c\""), MSP_CALLER_EXE_VERIFIED, "/b/c", false },
	{ ONE(",\"exePath\":\"/b\""), MSP_CALLER_EXE_VERIFIED, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/c/d\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  false },
	{ ONE(",\"exePath\":\"/b/../b/c\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  false },
	{ ONE(",\"exePath\":\"/\""), MSP_CALLER_EXE_VERIFIED, "", false },
	{ ONE(",\"processName\":\"c\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  true },
	{ ONE(",\"processName\":\"c\""), 0, "/b/c", false },
	{ ONE(",\"processName\":\"c\""),
	  MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_REPLACED, "/b/c", false },
	{ ONE(",\"exePath\":\"/b/c\""),
	  MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_REPLACED, "/b/c", false },
	{ ONE(",\"processName\":\"/b/c\""), MSP_CALLER_EXE_VERIFIED, "/b/c",
	  false },
	{ ONE(",\"processName\":\"\""), MSP_CALLER_EXE_VERIFIED, "", false },
	{ ONE(",\"userName\":\"alice\",\"exePath\":\"/b/c\""),
	  MSP_CALLER_EXE_VERIFIED | MSP_CALLER_NAMES, "/b/c", true },
	{ ONE(",\"userName\":\"alice\",\"exePath\":\"/b/c\""), MSP_CALLER_NAMES,
	  "/b/c", false },
	{ ONE(",\"userName\":\"alice\",\"groupName\":\"x\""), MSP_CALLER_NAMES,
	  "", false },
};

START_TEST(decision_takes_no_missing_fact_for_a_match)
{
	use(fact[_i].json);
	caller.flags = MSP_CALLER_KNOWN | fact[_i].flags;
	strcpy(caller.exe_path, fact[_i].exe);
	caller.groups = staff;
	caller.n_groups = COUNT(staff);
	caller.process_groups = held;
	caller.n_process_groups = COUNT(held);
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	ck_assert_msg((decision.verdict == MSP_ALLOW) == fact[_i].granted, "%s",
		      fact[_i].json);
}
END_TEST

/* An empty selector is nobody's, an empty fact is nobody. */
START_TEST(decision_takes_no_empty_name_for_an_empty_selector)
{
	static const char *const json[] = {
		ONE(",\"userName\":\"\""),
		ONE(",\"groupName\":\"\""),
		ONE(",\"userName\":\"\",\"groupName\":\"\""),
		ONE(",\"processName\":\"\""),
		ONE(",\"exePath\":\"\""),
	};
	static const char *const empty[] = { "" };
	size_t i;

	for (i = 0; i < COUNT(json); i++) {
		use(json[i]);
		caller.flags |= MSP_CALLER_NAMES | MSP_CALLER_EXE_VERIFIED;
		strcpy(caller.exe_path, "/");
		caller.user_name = "";
		caller.groups = caller.process_groups = empty;
		caller.n_groups = caller.n_process_groups = 1;
		decide(MSP_ENDPOINT_IMDS, "GET", "/a");
		expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
		msp_rules_free(rules);
		rules = NULL;
	}
}
END_TEST

/* One of the two lists of groups. */
static void set_list(bool process, const char *const *names, size_t n)
{
	caller.groups = process ? NULL : names;
	caller.n_groups = process ? 0 : n;
	caller.process_groups = process ? names : NULL;
	caller.n_process_groups = process ? n : 0;
}

static void expect_group(bool process, const char *const *names, size_t n,
			 bool granted)
{
	set_list(process, names, n);
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	if (granted)
		expect(MSP_ALLOW, MSP_REASON_GRANTED);
	else
		expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
}

static const char *const by_group[] = {
	ONE(",\"groupName\":\"staff\""),
	ONE(",\"userName\":\"alice\",\"groupName\":\"staff\""),
};

START_TEST(decision_survives_names_that_are_not_there)
{
	static const char *const none[] = { NULL, "staff" };
	int i;

	for (i = 0; i < 2; i++) {
		use(by_group[_i]);
		expect_group(i, NULL, 3, false);
		expect_group(i, none, 0, false);
		expect_group(i, none, 1, false);
		expect_group(i, none, 2, true);
		caller.user_name = NULL;
		expect_group(i, none, 2, _i == 0);
		caller.user_name = "alice";
		msp_rules_free(rules);
		rules = NULL;
	}
}
END_TEST

/* Both lists at their longest, with every name of use to some identity, and
 * then longer than they can be. */
START_TEST(decision_looks_at_no_more_groups_than_it_can)
{
	const size_t most[] = { MSP_CALLER_GROUPS_MAX,
				1 + MSP_CALLER_GROUPS_MAX };
	const char *many[200];
	size_t i;
	int k;

	use(by_group[_i]);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < COUNT(many); i++)
			many[i] = "other";
		many[most[k]] = "staff";
		expect_group(k, many, COUNT(many), false);
		expect_group(k, many, SIZE_MAX, false);
		many[most[k] - 1] = "staff";
		expect_group(k, many, most[k], true);
		expect_group(k, many, COUNT(many), true);
		caller.flags |= MSP_CALLER_GROUPS_CUT;
		expect_group(k, many, COUNT(many), false);
		many[0] = "staff";
		expect_group(k, many, 1, false);
		caller.flags &= ~(uint32_t)MSP_CALLER_GROUPS_CUT;
		expect_group(k, many, 1, true);
	}
}
END_TEST

#define IDENTITY  "{\"name\":\"i%zu\",\"groupName\":\"g%zu\"},"
#define EVERYBODY 200

/* Each of its groups leads to an identity: all ranges there can be. */
START_TEST(decision_follows_every_group_of_both_lists)
{
	static char json[EVERYBODY * 64], name[EVERYBODY][8];
	const char *list[EVERYBODY];
	char *at = json;
	size_t i;

	at += sprintf(at, "{\"id\":\"x\",\"mode\":\"enforce\","
			  "\"defaultAccess\":\"deny\",\"rules\":{"
			  "\"privileges\":[{\"name\":\"p\",\"path\":\"/\"}],"
			  "\"roles\":[{\"name\":\"r\",\"privileges\":["
			  "\"p\"]}],\"identities\":[");
	for (i = 0; i < EVERYBODY; i++) {
		at += sprintf(at, IDENTITY, i, i);
		sprintf(name[i], "g%zu", i);
		list[i] = name[i];
	}
	sprintf(at, "{\"name\":\"z\",\"userName\":\"alice\"}],"
		    "\"roleAssignments\":[{\"role\":\"r\",\"identities\":["
		    "\"i128\"]}]}}");
	use(json);
	caller.groups = list;
	caller.n_groups = EVERYBODY;
	/* the last that is looked at */
	caller.process_groups = list + MSP_CALLER_GROUPS_MAX;
	caller.n_process_groups = EVERYBODY - MSP_CALLER_GROUPS_MAX;
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	expect(MSP_ALLOW, MSP_REASON_GRANTED);
	ck_assert_str_eq(decision.identity, "i128");
	caller.process_groups--; /* and the first that is not */
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
}
END_TEST

/* ---- arguments, names, memory ---------------------------------------------
 */

START_TEST(decision_denies_on_every_wrong_argument)
{
	struct msp_decision small = { .size = sizeof(small) - 1 };
	struct msp_decision d = { .size = sizeof(d) };
	const struct msp_decision stale = { .size = sizeof(d),
					    .verdict = MSP_ALLOW,
					    .privilege = "p" };
	struct msp_caller short_caller = { .size = 8 };

	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	ck_assert_int_eq(msp_decision_make(NULL, NULL, MSP_ENDPOINT_IMDS,
					   request, &caller),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_decision_make(&small, NULL, MSP_ENDPOINT_IMDS,
					   request, &caller),
			 MSP_ERR_INVAL);
	d = stale;
	ck_assert_int_eq(
		msp_decision_make(&d, NULL, MSP_ENDPOINT_IMDS, NULL, &caller),
		MSP_ERR_INVAL);
	ck_assert_int_eq(d.verdict, MSP_DENY);
	ck_assert_int_eq(d.reason, MSP_REASON_ERROR);
	ck_assert_ptr_null(d.privilege);
	d = stale;
	ck_assert_int_eq(
		msp_decision_make(&d, NULL, MSP_ENDPOINT_IMDS, request, NULL),
		MSP_ERR_INVAL);
	ck_assert_int_eq(d.verdict, MSP_DENY);
	d = stale;
	ck_assert_int_eq(msp_decision_make(&d, NULL, MSP_ENDPOINT_IMDS, request,
					   &short_caller),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(d.verdict, MSP_DENY);
	d = stale;
	ck_assert_int_eq(msp_decision_make(&d, NULL, (enum msp_endpoint)3,
					   request, &caller),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(d.verdict, MSP_DENY);
}
END_TEST

START_TEST(decision_names_are_distinct)
{
	int i, k;

	for (i = 0; i <= MSP_REASON_DEFAULT_DENY; i++) {
		for (k = 0; k < i; k++)
			ck_assert_str_ne(msp_reason_name((enum msp_reason)i),
					 msp_reason_name((enum msp_reason)k));
		ck_assert_str_ne(msp_reason_name((enum msp_reason)i),
				 "unknown");
	}
	ck_assert_str_eq(msp_reason_name((enum msp_reason)99), "unknown");
	ck_assert_str_eq(msp_verdict_name(MSP_DENY), "deny");
	ck_assert_str_eq(msp_verdict_name(MSP_ALLOW), "allow");
	ck_assert_str_eq(msp_verdict_name(MSP_ALLOW_AUDITED), "allow-audited");
	ck_assert_str_eq(msp_verdict_name((enum msp_verdict)3), "unknown");
}
END_TEST

START_TEST(decision_allocates_nothing)
{
	int i;

	use(PROFILE("audit", "deny", ALICE_ON_A));
	decide(MSP_ENDPOINT_IMDS, "GET", "/a");
	failalloc_arm(0);
	for (i = 0; i < COUNT(denied); i++)
		decide(MSP_ENDPOINT_IMDS, "GET", denied[i].target);
	decide(MSP_ENDPOINT_IMDS, "GET", "/k?x=2&k=1");
	expect(MSP_ALLOW, MSP_REASON_GRANTED);
	ck_assert(!failalloc_disarm());
}
END_TEST

/* ---- against the naive walk -------------------------------------------- */

START_TEST(decision_agrees_with_the_naive_walk)
{
	uint8_t data[1000];
	int i, granted = 0;
	size_t k;

	srand(20240301U + (unsigned int)_i);
	for (i = 0; i < 5000; i++) {
		for (k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)(rand() >> 8);
		granted += differ_run(data, sizeof(data));
	}
	/* and the comparison is about something */
	ck_assert_int_gt(granted, 500);
}
END_TEST

/* Thousands of privileges and identities, most of them beside the point. */
START_TEST(decision_finds_one_among_thousands)
{
	enum { MANY = 5000 };
	static char path[MANY][32], user[MANY][16], name[MANY][16];
	static struct msp_privilege privilege[MANY];
	static struct msp_identity identity[MANY];
	static struct msp_role role[MANY];
	static struct msp_assignment assignment[MANY];
	static uint32_t index[MANY];
	struct msp_profile p = { .privileges = privilege,
				 .n_privileges = MANY,
				 .identities = identity,
				 .n_identities = MANY,
				 .roles = role,
				 .n_roles = MANY,
				 .assignments = assignment,
				 .n_assignments = MANY };
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		index[i] = i;
		snprintf(path[i], sizeof(path[i]), "/s%u/x%u", i % 70, i);
		snprintf(user[i], sizeof(user[i]), "u%u", i);
		snprintf(name[i], sizeof(name[i]), "n%u", i);
		privilege[i].path = differ_text(path[i]);
		privilege[i].name = differ_text(name[i]);
		identity[i].user_name = differ_text(user[i]);
		identity[i].name = differ_text(name[i]);
		role[i].privileges = assignment[i].identities = &index[i];
		role[i].n_privileges = assignment[i].n_identities = 1;
		assignment[i].role = i;
	}
	ck_assert_int_eq(msp_rules_compile(&rules, &p, 1), 0);
	for (i = 0; i < MANY; i++) {
		caller.user_name = user[i];
		decide(MSP_ENDPOINT_IMDS, "GET", path[i]);
		expect(MSP_ALLOW, MSP_REASON_GRANTED);
		ck_assert_str_eq(decision.privilege, name[i]);
		ck_assert_str_eq(decision.identity, name[i]);
		decide(MSP_ENDPOINT_IMDS, "GET", path[(i + 1) % MANY]);
		expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
	}
}
END_TEST

/* Privileges of one path times identities of one role are millions, and a
 * client may ask as often as it likes: with all of them gone through, this
 * takes minutes, and Check ends it. */
START_TEST(decision_does_not_multiply_privileges_by_identities)
{
	enum { MANY = 6000 };
	static struct msp_privilege privilege[MANY];
	static struct msp_identity identity[MANY];
	static uint32_t index[MANY];
	struct msp_role role = { .privileges = index, .n_privileges = MANY };
	struct msp_assignment assignment = { .identities = index,
					     .n_identities = MANY };
	struct msp_profile p = { .privileges = privilege,
				 .n_privileges = MANY,
				 .identities = identity,
				 .n_identities = MANY,
				 .roles = &role,
				 .n_roles = 1,
				 .assignments = &assignment,
				 .n_assignments = 1 };
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		index[i] = i;
		privilege[i].name = differ_text("p");
		privilege[i].path = differ_text("/a");
		identity[i].name = differ_text("i");
		identity[i].exe_path = differ_text("/opt/x");
	}
	identity[MANY - 1].exe_path = differ_text("/opt/y");
	ck_assert_int_eq(msp_rules_compile(&rules, &p, 1), 0);
	caller.flags |= MSP_CALLER_EXE_VERIFIED;
	for (i = 0; i < 200; i++) {
		strcpy(caller.exe_path, "/opt/z");
		decide(MSP_ENDPOINT_IMDS, "GET", "/a/b");
		expect(MSP_DENY, MSP_REASON_NO_IDENTITY);
		strcpy(caller.exe_path, "/opt/y");
		decide(MSP_ENDPOINT_IMDS, "GET", "/a/b");
		expect(MSP_ALLOW, MSP_REASON_GRANTED);
	}
}
END_TEST

static Suite *decision_suite(void)
{
	Suite *s = suite_create("decision");
	TCase *t = tcase_create("always");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
		t, decision_refuses_a_caller_it_does_not_know_in_every_mode, 0,
		COUNT(mode));
	tcase_add_loop_test(
		t, decision_refuses_what_cannot_be_forwarded_in_every_mode, 0,
		COUNT(mode));
	tcase_add_loop_test(
		t, decision_keeps_wireserver_and_hostga_to_root_in_every_mode,
		0, COUNT(mode));
	tcase_add_test(t, decision_lets_roots_exempt_uploads_pass_closed_rules);
	suite_add_tcase(s, t);

	t = tcase_create("rules");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, decision_allows_without_rules_and_in_mode_disabled);
	tcase_add_loop_test(t, decision_audit_softens_what_enforce_denies, 0,
			    2);
	tcase_add_test(t, decision_names_what_led_to_it);
	tcase_add_loop_test(t, decision_takes_no_missing_fact_for_a_match, 0,
			    COUNT(fact));
	tcase_add_loop_test(t, decision_survives_names_that_are_not_there, 0,
			    COUNT(by_group));
	tcase_add_test(t, decision_takes_no_empty_name_for_an_empty_selector);
	tcase_add_loop_test(t, decision_looks_at_no_more_groups_than_it_can, 0,
			    COUNT(by_group));
	tcase_add_test(t, decision_follows_every_group_of_both_lists);
	tcase_add_test(t, decision_finds_one_among_thousands);
	tcase_add_test(t, decision_does_not_multiply_privileges_by_identities);
	suite_add_tcase(s, t);

	t = tcase_create("contract");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, decision_denies_on_every_wrong_argument);
	tcase_add_test(t, decision_names_are_distinct);
	tcase_add_test(t, decision_allocates_nothing);
	tcase_add_loop_test(t, decision_agrees_with_the_naive_walk, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(decision_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
