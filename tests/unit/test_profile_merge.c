/* SPDX-License-Identifier: MIT */
/*
 * In: items of a host and local files. Out: pass or fail. Must never take the
 * number of entries for the entries: each is looked at.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/rules.h>

#include "libmsp/profile_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
/* {"id":"sig","useLocalFileRules":true}, ...false} */
#define USE_IT	  "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ=="
#define LEAVE_IT  "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjpmYWxzZX0="
#define USE_NO_ID "eyJ1c2VMb2NhbEZpbGVSdWxlcyI6dHJ1ZX0="

static char *with_quotes(const char *json)
{
	char *copy = strdup(json), *c;

	for (c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}

static struct msp_profile *parsed(const char *json, enum msp_profile_form form)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = with_quotes(json);
	struct msp_profile *p;

	opts.form = form;
	ck_assert_msg(msp_profile_read(&p, NULL, text, strlen(text), &opts,
				       &info) == 0,
		      "%s: %s\n%s", info.pointer, info.text, text);
	free(text);
	return p;
}

static struct msp_profile *host_item(const char *id, const char *rules)
{
	char json[4096];

	snprintf(json, sizeof(json),
		 "{'defaultAccess':'deny','mode':'audit','id':'%s'%s%s}", id,
		 rules ? ",'rules':" : "", rules ? rules : "");
	return parsed(json, MSP_PROFILE_WIRE);
}

/* Standard base64 of a text. */
static void encode(char *out, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	size_t len = strlen(text), i;

	for (i = 0; i < len; i += 3) {
		unsigned int b = (unsigned int)(unsigned char)text[i] << 16;

		if (i + 1 < len)
			b |= (unsigned int)(unsigned char)text[i + 1] << 8;
		if (i + 2 < len)
			b |= (unsigned char)text[i + 2];
		*out++ = digits[b >> 18];
		*out++ = digits[b >> 12 & 63];
		*out++ = i + 1 < len ? digits[b >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[b & 63] : '=';
	}
	*out = '\0';
}

/* ---- the id ------------------------------------------------------------ */

static const struct {
	const char *id;
	const char *merged;
	bool use;
} ids[] = {
	{ "", "", false },
	{ "plain", "plain-useLocalFileRules-false", false },
	{ "  plain \\t", "plain-useLocalFileRules-false", false },
	{ " \\u00a0", " \xc2\xa0", false },
	{ USE_IT, "sig-useLocalFileRules-true", true },
	{ LEAVE_IT, "sig-useLocalFileRules-false", false },
	{ "\\u2003" USE_IT "\\n", "sig-useLocalFileRules-true", true },
	/* no logical id: it stays as it is */
	{ USE_NO_ID, USE_NO_ID, true },
	/* not the base64 of RFC 4648 section 4 */
	{ "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ",
	  "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ"
	  "-useLocalFileRules-false",
	  false },
	{ "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfR==",
	  "eyJpZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfR=="
	  "-useLocalFileRules-false",
	  false },
	{ "eyJp ZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ==",
	  "eyJp ZCI6InNpZyIsInVzZUxvY2FsRmlsZVJ1bGVzIjp0cnVlfQ=="
	  "-useLocalFileRules-false",
	  false },
	{ "====", "====-useLocalFileRules-false", false },
	{ "e30=====", "e30=====-useLocalFileRules-false", false },
};

START_TEST(the_id_says_whether_the_file_counts)
{
	struct msp_profile *host = host_item(ids[_i].id, NULL), *out;
	bool use;

	ck_assert_int_eq(msp_profile_uses_local(&use, host), 0);
	ck_assert_int_eq(use, ids[_i].use);
	ck_assert_int_eq(msp_profile_merge(&out, host, NULL, NULL), 0);
	ck_assert_str_eq(msp_profile_id(out), ids[_i].merged);
	ck_assert_int_eq(msp_profile_form(out), MSP_PROFILE_WIRE);
	msp_profile_free(host);
	msp_profile_free(out);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* what is in the base64, and the logical id; NULL: it is a plain id */
static const struct {
	const char *json;
	const char *logical;
	bool use;
} contracts[] = {
	{ "{\"id\":\"a\",\"useLocalFileRules\":true}", "a", true },
	{ "{\"useLocalFileRules\":true,\"id\":\"a\",\"more\":[{}]}", "a",
	  true },
	{ "{\"id\":\" a\"}", " a", false },
	{ "{ \"id\" : \"a\" , \"UseLocalFileRules\":true}", "a", false },
	{ "{\"id\":\"\",\"useLocalFileRules\":true}", "", true },
	{ "{}", "", false },
	{ "{\"id\":\"a\",\"useLocalFileRules\":\"true\"}", NULL, false },
	{ "{\"id\":\"a\",\"useLocalFileRules\":1}", NULL, false },
	{ "{\"id\":\"a\",\"useLocalFileRules\":null}", NULL, false },
	{ "{\"id\":7,\"useLocalFileRules\":true}", NULL, false },
	{ "{\"id\":null,\"useLocalFileRules\":true}", NULL, false },
	{ "{\"id\":\"a\",\"id\":\"b\",\"useLocalFileRules\":true}", NULL,
	  false },
	{ "{\"useLocalFileRules\":false,\"useLocalFileRules\":true}", NULL,
	  false },
	{ "[{\"useLocalFileRules\":true}]", NULL, false },
	{ "true", NULL, false },
	{ "{\"useLocalFileRules\":true", NULL, false },
	{ "{\"useLocalFileRules\":true} x", NULL, false },
	{ "\xef\xbb\xbf{\"useLocalFileRules\":true}", NULL, false },
};

START_TEST(the_contract_is_a_json_object)
{
	struct msp_profile *host, *out;
	char id[256], want[512];
	const char *logical = contracts[_i].logical;
	bool use;

	encode(id, contracts[_i].json);
	host = host_item(id, NULL);
	ck_assert_int_eq(msp_profile_uses_local(&use, host), 0);
	ck_assert_int_eq(use, contracts[_i].use);
	ck_assert_int_eq(msp_profile_merge(&out, host, NULL, NULL), 0);
	if (logical && !*logical)
		snprintf(want, sizeof(want), "%s", id);
	else
		snprintf(want, sizeof(want), "%s-useLocalFileRules-%s",
			 logical ? logical : id, use ? "true" : "false");
	ck_assert_str_eq(msp_profile_id(out), want);
	msp_profile_free(host);
	msp_profile_free(out);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* ---- the merge --------------------------------------------------------- */

#define RULES(who)                                                             \
	"{'privileges':[{'name':'p','path':'/" who "','queryParameters':{"     \
	"'a':'" who "'}},{'name':'q','path':'/q'}],"                           \
	"'roles':[{'name':'r','privileges':['q','p']}],"                       \
	"'identities':[{'name':'i','userName':'" who "'}],"                    \
	"'roleAssignments':[{'role':'r','identities':['i']}]}"
#define MERGED                                                                 \
	"{'privileges':[{'name':'p','path':'/host','queryParameters':{"        \
	"'a':'host'}},{'name':'q','path':'/q'},{'name':'LocalFileRules_p',"    \
	"'path':'/local','queryParameters':{'a':'local'}},"                    \
	"{'name':'LocalFileRules_q','path':'/q'}],"                            \
	"'roles':[{'name':'r','privileges':['q','p']},"                        \
	"{'name':'LocalFileRules_r','privileges':['LocalFileRules_q',"         \
	"'LocalFileRules_p']}],"                                               \
	"'identities':[{'name':'i','userName':'host'},"                        \
	"{'name':'LocalFileRules_i','userName':'local'}],"                     \
	"'roleAssignments':[{'role':'r','identities':['i']},"                  \
	"{'role':'LocalFileRules_r','identities':['LocalFileRules_i']}]}"

static const struct {
	const char *id;
	const char *host;  /* rules of the host's item, or NULL */
	const char *local; /* the file */
	const char *want_id;
	const char *want_rules; /* or NULL */
	enum msp_access access;
} merges[] = {
	{ USE_IT, RULES("host"),
	  "{'id':'mine','defaultAccess':' ALLOW ','rules':" RULES("local") "}",
	  "sig-useLocalFileRules-true_mine", MERGED, MSP_ACCESS_ALLOW },
	{ USE_IT, RULES("host"), "{'rules':" RULES("local") "}",
	  "sig-useLocalFileRules-true", MERGED, MSP_ACCESS_DENY },
	/* one side only: as it is */
	{ USE_IT, NULL, "{'rules':" RULES("local") "}",
	  "sig-useLocalFileRules-true", RULES("local"), MSP_ACCESS_DENY },
	{ USE_IT, RULES("host"), "{'defaultAccess':'allow','rules':null}",
	  "sig-useLocalFileRules-true", RULES("host"), MSP_ACCESS_ALLOW },
	{ USE_IT, NULL, "{'id':'x'}", "sig-useLocalFileRules-true_x", NULL,
	  MSP_ACCESS_DENY },
	/* both have rules, be they empty */
	{ USE_IT, "{}", "{'rules':{'privileges':[{'name':'p','path':'/'}]}}",
	  "sig-useLocalFileRules-true",
	  "{'privileges':[{'name':'LocalFileRules_p','path':'/'}]}",
	  MSP_ACCESS_DENY },
	/* no logical id */
	{ USE_NO_ID, NULL, "{'id':'x','defaultAccess':'allow'}", USE_NO_ID "_x",
	  NULL, MSP_ACCESS_ALLOW },
	/* the host does not ask for it */
	{ LEAVE_IT, RULES("host"),
	  "{'id':'mine','defaultAccess':'allow','rules':" RULES("local") "}",
	  "sig-useLocalFileRules-false", RULES("host"), MSP_ACCESS_DENY },
	{ "plain", NULL, "{'defaultAccess':'allow','rules':" RULES("local") "}",
	  "plain-useLocalFileRules-false", NULL, MSP_ACCESS_DENY },
};

START_TEST(the_merged_item_is_that_of_both)
{
	struct msp_profile *host = host_item(merges[_i].id, merges[_i].host);
	struct msp_profile *local = parsed(merges[_i].local, MSP_PROFILE_LOCAL);
	struct msp_profile *out, *want;
	struct msp_rules *rules;

	ck_assert_int_eq(msp_profile_merge(&out, host, local, NULL), 0);
	/* what it came from may go */
	msp_profile_free(host);
	msp_profile_free(local);
	want = host_item(merges[_i].want_id, merges[_i].want_rules);
	want->access = merges[_i].access;
	ck_assert_str_eq(msp_profile_id(out), merges[_i].want_id);
	ck_assert_int_eq(msp_profile_access(out), merges[_i].access);
	ck_assert_int_eq(msp_profile_mode(out), MSP_MODE_AUDIT);
	ck_assert(msp_profile_equal(out, want));
	ck_assert_int_eq(msp_rules_compile(&rules, out, 1), 0);
	msp_rules_free(rules);
	msp_profile_free(out);
	msp_profile_free(want);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(the_closed_item_grants_nothing_and_keeps_the_mode)
{
	struct msp_profile *host = host_item(USE_IT, RULES("host")), *out;

	host->access = MSP_ACCESS_ALLOW;
	ck_assert_int_eq(msp_profile_closed(&out, host), 0);
	ck_assert_str_eq(msp_profile_id(out), "sig-useLocalFileRules-true");
	ck_assert_int_eq(msp_profile_access(out), MSP_ACCESS_DENY);
	ck_assert_int_eq(msp_profile_mode(out), MSP_MODE_AUDIT);
	ck_assert_uint_eq(out->n_privileges + out->n_roles + out->n_identities +
				  out->n_assignments,
			  0);
	msp_profile_free(host);
	msp_profile_free(out);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* the kinds of names that can meet */
static const struct {
	const char *host, *local, *text;
} meetings[] = {
	{ "{'privileges':[{'name':'LocalFileRules_p','path':'/'}]}",
	  "{'rules':{'privileges':[{'name':'p','path':'/'}]}}",
	  "privilege 'LocalFileRules_p' of the host has the name that one of "
	  "the local "
	  "rules would get" },
	{ "{'roles':[{'name':'LocalFileRules_r','privileges':[]}]}",
	  "{'rules':{'privileges':[{'name':'p','path':'/'}],"
	  "'roles':[{'name':'r','privileges':['p']}]}}",
	  "role 'LocalFileRules_r' of the host has the name that one of the "
	  "local "
	  "rules would get" },
	{ "{'identities':[{'name':'LocalFileRules_i'}]}",
	  "{'rules':{'identities':[{'name':'i','userName':'u'}]}}",
	  "identity 'LocalFileRules_i' of the host has the name that one of "
	  "the local "
	  "rules would get" },
};

START_TEST(names_of_both_must_not_meet)
{
	struct msp_profile *host = host_item(USE_IT, meetings[_i].host);
	struct msp_profile *local =
		parsed(meetings[_i].local, MSP_PROFILE_LOCAL);
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *out = (void *)1;

	ck_assert_int_eq(msp_profile_merge(&out, host, local, &info),
			 MSP_ERR_SCHEMA);
	ck_assert_str_eq(info.text, meetings[_i].text);
	ck_assert_ptr_null(out);
	msp_profile_free(host);
	msp_profile_free(local);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* n identities that differ */
static struct msp_profile *crowd(const char *head, enum msp_profile_form form,
				 int n)
{
	size_t size = (size_t)n * 40 + 256, len;
	char *json = malloc(size);
	struct msp_profile *p;
	int i;

	len = (size_t)snprintf(json, size, "{%s'rules':{'identities':[", head);
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(json + len, size - len,
					"%s{'name':'%d','userName':'u'}",
					i ? "," : "", i);
	snprintf(json + len, size - len, "]}}");
	p = parsed(json, form);
	free(json);
	return p;
}

START_TEST(both_together_are_not_more_than_a_profile_may_have)
{
	struct msp_profile *host = crowd(
		"'defaultAccess':'deny','mode':'audit','id':'" USE_IT "',",
		MSP_PROFILE_WIRE, 32768);
	struct msp_profile *fits = crowd("", MSP_PROFILE_LOCAL, 32768);
	struct msp_profile *more = crowd("", MSP_PROFILE_LOCAL, 32769);
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *out;

	ck_assert_int_eq(msp_profile_merge(&out, host, more, &info),
			 MSP_ERR_LIMIT);
	ck_assert_ptr_null(out);
	ck_assert_str_eq(info.text, "with those of the host they are too many");
	ck_assert_int_eq(msp_profile_merge(&out, host, fits, NULL), 0);
	ck_assert_uint_eq(out->n_identities, 65536);
	msp_profile_free(out);
	msp_profile_free(host);
	msp_profile_free(fits);
	msp_profile_free(more);
}
END_TEST

START_TEST(arguments_are_checked)
{
	struct msp_profile *host = host_item(USE_IT, NULL);
	struct msp_profile *local = parsed("{}", MSP_PROFILE_LOCAL), *out;
	bool use;

	ck_assert_int_eq(msp_profile_uses_local(NULL, host), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_uses_local(&use, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_merge(NULL, host, local, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_merge(&out, NULL, local, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_merge(&out, local, local, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_merge(&out, host, host, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_closed(NULL, host), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_closed(&out, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_closed(&out, local), MSP_ERR_INVAL);
	msp_profile_free(host);
	msp_profile_free(local);
}
END_TEST

/* ---- merged, and merged again ------------------------------------------- */

#define DEEP 20000
/* enough for what is called here, not for a frame each */
#define SMALL_STACK ((size_t)256 * 1024)

static void *give_up(void *profile)
{
	msp_profile_free(profile);
	return NULL;
}

START_TEST(what_is_merged_is_merged_again_as_often_as_one_likes)
{
	struct msp_profile *local = parsed("{}", MSP_PROFILE_LOCAL);
	struct msp_profile *item = host_item(USE_NO_ID, NULL), *out;
	pthread_attr_t small;
	pthread_t thread;
	int i;

	for (i = 0; i < DEEP; i++) {
		ck_assert_int_eq(msp_profile_merge(&out, item, local, NULL), 0);
		msp_profile_free(item); /* out has it, and nobody else */
		item = out;
	}
	msp_profile_free(local);
	ck_assert_int_eq(pthread_attr_init(&small), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&small, SMALL_STACK), 0);
	ck_assert_int_eq(pthread_create(&thread, &small, give_up, item), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&small);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(no_memory_is_said_and_leaves_nothing)
{
	struct msp_profile *host = host_item(USE_IT, RULES("host"));
	struct msp_profile *local = parsed(
		"{'id':'x','rules':" RULES("local") "}", MSP_PROFILE_LOCAL);
	long live = failalloc_live(), n;
	struct msp_profile *out;
	bool use, failed;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = _i == 0   ? msp_profile_merge(&out, host, local, NULL)
		     : _i == 1 ? msp_profile_closed(&out, host)
			       : msp_profile_uses_local(&use, host);
		failed = failalloc_disarm();
		if (_i == 2)
			out = NULL;
		if (!failed)
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert(_i != 2 || !use);
		ck_assert_ptr_null(out);
		ck_assert_int_eq(failalloc_live(), live);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 3);
	msp_profile_free(out);
	msp_profile_free(host);
	msp_profile_free(local);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("profile_merge");
	TCase *t = tcase_create("profile_merge");

	tcase_add_loop_test(t, the_id_says_whether_the_file_counts, 0,
			    COUNT(ids));
	tcase_add_loop_test(t, the_contract_is_a_json_object, 0,
			    COUNT(contracts));
	tcase_add_loop_test(t, the_merged_item_is_that_of_both, 0,
			    COUNT(merges));
	tcase_add_test(t, the_closed_item_grants_nothing_and_keeps_the_mode);
	tcase_add_loop_test(t, names_of_both_must_not_meet, 0, COUNT(meetings));
	tcase_add_test(t, both_together_are_not_more_than_a_profile_may_have);
	tcase_add_test(t, arguments_are_checked);
	tcase_add_test(t, what_is_merged_is_merged_again_as_often_as_one_likes);
	tcase_add_loop_test(t, no_memory_is_said_and_leaves_nothing, 0, 3);
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
