/* SPDX-License-Identifier: MIT */
/*
 * In: explanations that few requests lead to. Out: what people are told.
 * Must never leave it to the reader what was left out.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

static struct msp_request *request;
static struct msp_rules *rules;
static struct msp_caller caller;
static struct msp_explanation *e;

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
	caller = alice;
}

static void teardown(void)
{
	msp_explanation_free(e);
	msp_request_free(request);
	msp_rules_free(rules);
}

static void use(const char *json)
{
	struct msp_profile *p;

	ck_assert_int_eq(msp_profile_parse(&p, json, strlen(json), NULL), 0);
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

static void expect_in_text(const char *want)
{
	char *said;
	size_t len;

	ck_assert_int_eq(msp_explanation_text(e, &said, &len), 0);
	ck_assert_msg(strstr(said, want) != NULL, "%s", said);
	msp_text_free(said);
}

START_TEST(explain_of_none_says_nothing)
{
	size_t at = 99;

	ck_assert_ptr_null(msp_explanation_decision(NULL));
	ck_assert_str_eq(msp_explanation_canonical(NULL), "");
	ck_assert(!msp_explanation_place(NULL, &at));
	ck_assert_uint_eq(at, 99);
	ck_assert_int_eq(msp_explanation_access(NULL), MSP_ACCESS_DENY);
	ck_assert_uint_eq(msp_explanation_privileges(NULL), 0);
	ck_assert_ptr_null(msp_explanation_privilege(NULL, 0));
	ck_assert_uint_eq(msp_explanation_others(NULL), 0);
	ck_assert_uint_eq(msp_explanation_identities(NULL), 0);
	ck_assert_ptr_null(msp_explanation_identity(NULL, 0));
	ck_assert(!msp_explanation_cut(NULL));
	msp_explanation_free(NULL);
}
END_TEST

static void expect_in_json(const char *want)
{
	char *said;

	ck_assert_int_eq(msp_explanation_json(e, &said, NULL), 0);
	ck_assert_msg(strstr(said, want) != NULL, "%s", said);
	msp_text_free(said);
}

/* A URL without a path: the "/" that is forwarded was not received. */
START_TEST(explain_shows_the_target_as_it_was_received)
{
	use("{\"id\":\"\",\"mode\":\"enforce\","
	    "\"defaultAccess\":\"deny\"}");
	explain("GET", "http://h");
	expect_in_text("GET http://h\n");
	expect_in_json("\"target\":\"http://h\"");
	expect_in_json("\"place\":null");
	explain("GET", "http://h?x=%zz");
	expect_in_text("GET http://h?x=%zz\n");
	expect_in_text("at byte 11: \"%zz\"");
	expect_in_json("\"target\":\"http://h?x=%zz\"");
	expect_in_json("\"place\":11");
}
END_TEST

START_TEST(explain_text_says_what_goes_before_rules)
{
	explain("GET", "/idle");
	expect_in_text("reason     no-rules: there are no rules\n");
	use("{\"id\":\"\",\"mode\":\"enforce\","
	    "\"defaultAccess\":\"deny\"}");
	caller.uid = 0;
	caller.euid = 0;
	explain("PUT", "/vmAgentLog");
	expect_in_text("reason     exempt: uploads of the platform's own agent "
		       "by root\n");
}
END_TEST

START_TEST(explain_text_shows_fifty_identities_and_counts_the_rest)
{
	static char json[8192];
	size_t n, i;

	n = (size_t)snprintf(
		json, sizeof(json),
		"{\"id\":\"\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":\"/p\"}],"
		"\"roles\":[{\"name\":\"r\",\"privileges\":[\"p\"]}],"
		"\"identities\":[");
	for (i = 0; i < 60; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "%s{\"name\":\"i%02zu\",\"userName\":"
				      "\"%s\"}",
				      i ? "," : "", i,
				      i == 57 ? "alice" : "bob");
	n += (size_t)snprintf(json + n, sizeof(json) - n,
			      "],\"roleAssignments\":[{\"role\":\"r\","
			      "\"identities\":[");
	for (i = 0; i < 60; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "%s\"i%02zu\"", i ? "," : "", i);
	snprintf(json + n, sizeof(json) - n, "]}]}}");
	use(json);
	explain("GET", "/p");
	expect_in_text("identity \"i49\"");
	expect_in_text("identity \"i57\" (role \"r\") is the caller\n"
		       "  9 more identities\n");
}
END_TEST

/* The last of 60 that cover the path, behind all that are shown. */
START_TEST(explain_text_names_what_decides_behind_what_is_shown)
{
	static char json[8192];
	size_t n, i;

	n = (size_t)snprintf(
		json, sizeof(json),
		"{\"id\":\"\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[");
	for (i = 0; i < 60; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "%s{\"name\":\"p%02zu\",\"path\":\"/p\","
				      "\"queryParameters\":{\"k\":\"%zu\"}}",
				      i ? "," : "", i, i);
	snprintf(json + n, sizeof(json) - n,
		 "],\"roles\":[{\"name\":\"r\",\"privileges\":[\"p59\"]}],"
		 "\"identities\":[{\"name\":\"i\",\"userName\":\"alice\"}],"
		 "\"roleAssignments\":[{\"role\":\"r\","
		 "\"identities\":[\"i\"]}]}}");
	use(json);
	explain("GET", "/p?k=59");
	expect_in_text("and        10 more that cover the path\n"
		       "decided by privilege \"p59\", identity \"i\"\n");
	explain("GET", "/p?k=58");
	expect_in_text("decided by privilege \"p58\"\n");
}
END_TEST

START_TEST(explain_text_names_what_refuses_behind_what_is_shown)
{
	static char json[8192];
	size_t n, i;

	n = (size_t)snprintf(
		json, sizeof(json),
		"{\"id\":\"\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[");
	for (i = 0; i < 60; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "{\"name\":\"p%02zu\",\"path\":\"/p\"},",
				      i);
	snprintf(json + n, sizeof(json) - n,
		 "{\"name\":\"q\",\"path\":\"/p\",\"queryParameters\":"
		 "{\"k\":\"v\"}},{\"name\":\"r\",\"path\":\"/p\","
		 "\"queryParameters\":{\"l\":\"v\"}}]}}");
	use(json);
	explain("GET", "/p?l=v&l=v");
	expect_in_text("decided by privilege \"r\"\n");
	explain("GET", "/p?k=%2541");
	expect_in_text("decided by privilege \"q\"\n");
}
END_TEST

/* More identities than are kept, and one that is not is the caller. */
START_TEST(explain_text_names_an_identity_that_was_not_kept)
{
	static char json[512 * 1024];
	size_t n, i;
	char *said;

	n = (size_t)snprintf(
		json, sizeof(json),
		"{\"id\":\"\",\"mode\":\"enforce\",\"defaultAccess\":\"deny\","
		"\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":\"/p\"}],"
		"\"roles\":[{\"name\":\"r\",\"privileges\":[\"p\"]}],"
		"\"identities\":[");
	for (i = 0; i <= MSP_EXPLAIN_MAX; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
				      "%s{\"name\":\"i%zu\",\"userName\":"
				      "\"%s\"}",
				      i ? "," : "", i,
				      i == MSP_EXPLAIN_MAX ? "alice" : "abe");
	n += (size_t)snprintf(json + n, sizeof(json) - n,
			      "],\"roleAssignments\":[{\"role\":\"r\","
			      "\"identities\":[");
	for (i = 0; i <= MSP_EXPLAIN_MAX; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n, "%s\"i%zu\"",
				      i ? "," : "", i);
	snprintf(json + n, sizeof(json) - n, "]}]}}");
	use(json);
	explain("GET", "/p");
	ck_assert(msp_explanation_cut(e));
	expect_in_text("decided by privilege \"p\", identity \"i4096\"\n");
	ck_assert_int_eq(msp_explanation_text(e, &said, NULL), 0);
	/* there is one privilege, and it is shown */
	ck_assert_ptr_null(strstr(said, "cover the path"));
	ck_assert_ptr_null(strstr(said, "is the caller"));
	msp_text_free(said);
}
END_TEST

/* A list without entries, whatever its length says, and one that is longer
 * than is looked at. */
START_TEST(explain_takes_odd_lists_of_groups)
{
	static const char *many[MSP_CALLER_GROUPS_MAX + 3];
	size_t i;

	use("{\"id\":\"\",\"mode\":\"enforce\","
	    "\"defaultAccess\":\"deny\"}");
	caller.groups = NULL;
	explain("GET", "/idle");
	for (i = 0; i < MSP_CALLER_GROUPS_MAX + 3; i++)
		many[i] = "g";
	caller.groups = many;
	caller.n_groups = MSP_CALLER_GROUPS_MAX + 3;
	explain("GET", "/idle");
	ck_assert_int_eq(msp_explanation_decision(e)->verdict, MSP_DENY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("explain_text");
	TCase *t = tcase_create("explain_text");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, explain_of_none_says_nothing);
	tcase_add_test(t, explain_shows_the_target_as_it_was_received);
	tcase_add_test(t, explain_text_says_what_goes_before_rules);
	tcase_add_test(t,
		       explain_text_shows_fifty_identities_and_counts_the_rest);
	tcase_add_test(t, explain_text_names_what_decides_behind_what_is_shown);
	tcase_add_test(t, explain_text_names_what_refuses_behind_what_is_shown);
	tcase_add_test(t, explain_text_names_an_identity_that_was_not_kept);
	tcase_add_test(t, explain_takes_odd_lists_of_groups);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
