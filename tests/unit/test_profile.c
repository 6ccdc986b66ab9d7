/* SPDX-License-Identifier: MIT */
/*
 * In: rule items, good and odd. Out: pass or fail. Must never need a network,
 * a file or a privilege.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/profile_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define HEAD		  "\"defaultAccess\":\"allow\",\"mode\":\"enforce\",\"id\":\"x\""
#define RULES(rules)	  "{" HEAD ",\n\"rules\":{" rules "}}"
#define PRIVILEGES(list)  RULES("\"privileges\":[" list "]")
#define ROLES(list)	  RULES("\"roles\":[" list "]")
#define IDENTITIES(list)  RULES("\"identities\":[" list "]")
#define ASSIGNMENTS(list) RULES("\"roleAssignments\":[" list "]")
#define PARAMS(list)                                                           \
	PRIVILEGES("{\"name\":\"p\",\"path\":\"/\",\"queryParameters\":" list  \
		   "}")

/* spec 5.2 */
static const char full[] = RULES(
	"\"privileges\":[{\"name\":\"p\",\"path\":\"/metadata/instance\","
	"\"queryParameters\":{\"b\":\"Yes\",\"API-version\":\"2021-02-01\"}}],"
	"\"roles\":[{\"name\":\"r\",\"privileges\":[\"p\"]}],"
	"\"identities\":[{\"name\":\"i\",\"userName\":\"root\","
	"\"groupName\":\"Root\",\"exePath\":\"/usr/bin/curl\","
	"\"processName\":\"curl\"}],"
	"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"i\"]}]");

static int parse(struct msp_profile **out, const char *json,
		 struct msp_error_info *info)
{
	size_t len = strlen(json);
	char *copy = malloc(len + 1);
	int rc;

	memcpy(copy, json, len);
	rc = msp_profile_parse(out, copy, len, info);
	free(copy);
	return rc;
}

static int parse_wire(struct msp_profile **out, const char *json,
		      struct msp_error_info *info)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;

	opts.form = MSP_PROFILE_WIRE;
	return msp_profile_read(out, NULL, json, strlen(json), &opts, info);
}

static struct msp_profile *parsed(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile;

	ck_assert_msg(parse(&profile, json, &info) == 0, "%s: %s %s", json,
		      info.pointer, info.text);
	return profile;
}

static const struct {
	const char *json;
	int rc;
	const char *pointer;
	const char *text;
} bad[] = {
	{ "7", MSP_ERR_SCHEMA, "", "is a number, expected an object" },
	{ "{\"mode\":\"audit\",\"id\":\"x\"}", MSP_ERR_SCHEMA, "/defaultAccess",
	  "is missing" },
	{ "{\"defaultAccess\":\"allow\",\"id\":\"x\"}", MSP_ERR_SCHEMA, "/mode",
	  "is missing" },
	{ "{\"defaultAccess\":\"allow\",\"mode\":\"audit\"}", MSP_ERR_SCHEMA,
	  "/id", "is missing" },
	{ "{\"defaultAccess\":\"allow \",\"mode\":\"audit\",\"id\":\"x\"}",
	  MSP_ERR_SCHEMA, "/defaultAccess",
	  "is 'allow ', expected allow or deny" },
	{ "{\"defaultAccess\":null,\"mode\":\"audit\",\"id\":\"x\"}",
	  MSP_ERR_SCHEMA, "/defaultAccess", "is null, expected a string" },
	{ "{\"defaultAccess\":\"deny\",\"mode\":\"Enforced\",\"id\":\"x\"}",
	  MSP_ERR_SCHEMA, "/mode",
	  "is 'Enforced', expected disabled, audit or enforce" },
	{ "{\"defaultAccess\":\"deny\",\"mode\":\"\\n\",\"id\":\"x\"}",
	  MSP_ERR_SCHEMA, "/mode",
	  "is '?', expected disabled, audit or enforce" },
	{ "{\"defaultAccess\":\"deny\",\"mode\":\"\",\"id\":\"x\"}",
	  MSP_ERR_SCHEMA, "/mode",
	  "is '', expected disabled, audit or enforce" },
	{ "{\"defaultAccess\":\"deny\",\"mode\":\"audit\",\"id\":null}",
	  MSP_ERR_SCHEMA, "/id", "is null, expected a string" },
	{ "{" HEAD ",\"mode\":\"audit\"}", MSP_ERR_SCHEMA, "/mode",
	  "is given twice" },
	{ "{" HEAD ",\"rules\":[]}", MSP_ERR_SCHEMA, "/rules",
	  "is an array, expected an object" },
	{ RULES("\"roles\":{}"), MSP_ERR_SCHEMA, "/rules/roles",
	  "is an object, expected an array" },
	{ RULES("\"roles\":[],\"roles\":[]"), MSP_ERR_SCHEMA, "/rules/roles",
	  "is given twice" },

	{ PRIVILEGES("7"), MSP_ERR_SCHEMA, "/rules/privileges/0",
	  "is a number, expected an object" },
	{ PRIVILEGES("{\"path\":\"/\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/name", "is missing" },
	{ PRIVILEGES("{\"name\":\"\",\"path\":\"/\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/name", "is empty" },
	{ PRIVILEGES("{\"name\":\"p\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/path", "is missing" },
	{ PRIVILEGES("{\"name\":\"p\",\"path\":17}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/path", "is a number, expected a string" },
	{ PRIVILEGES("{\"name\":\"p\",\"path\":\"/%zz\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/path",
	  "cannot be canonicalized: malformed percent-encoding" },
	{ PRIVILEGES("{\"name\":\"p\",\"path\":\"/..\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/path",
	  "cannot be canonicalized: path traversal past root" },
	{ PRIVILEGES("{\"name\":\"p\",\"path\":\"/a?b=c\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/path",
	  "cannot be canonicalized: embedded '?' after decoding" },
	{ PRIVILEGES("{\"name\":\"a\",\"path\":\"/\"},"
		     "{\"name\":\"b\",\"path\":\"/\"},"
		     "{\"name\":\"c\",\"path\":\"/\"},"
		     "{\"name\":\"b\",\"path\":\"/\"},"
		     "{\"name\":\"a\",\"path\":\"/\"}"),
	  MSP_ERR_SCHEMA, "/rules/privileges/3/name",
	  "is 'b', as is that of another privilege" },

	{ PARAMS("[]"), MSP_ERR_SCHEMA, "/rules/privileges/0/queryParameters",
	  "is an array, expected an object" },
	{ PARAMS("{\"a\":1}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/queryParameters/a",
	  "is a number, expected a string" },
	{ PARAMS("{\"a\":null}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/queryParameters/a",
	  "is null, expected a string" },
	{ PARAMS("{\"\":\"v\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/queryParameters/", "has an empty name" },
	{ PARAMS("{\"a\":\"1\",\"b\":\"2\",\"a\":\"1\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/queryParameters/a",
	  "is given twice (letter case does not count)" },
	{ PARAMS("{\"aB\":\"1\",\"b\":\"2\",\"Ab\":\"3\"}"), MSP_ERR_SCHEMA,
	  "/rules/privileges/0/queryParameters/Ab",
	  "is given twice (letter case does not count)" },

	{ ROLES("{\"name\":\"r\"}"), MSP_ERR_SCHEMA,
	  "/rules/roles/0/privileges", "is missing" },
	{ ROLES("{\"name\":\"r\",\"privileges\":null}"), MSP_ERR_SCHEMA,
	  "/rules/roles/0/privileges", "is null, expected an array" },
	{ ROLES("{\"name\":\"r\",\"privileges\":[\"p\",{}]}"), MSP_ERR_SCHEMA,
	  "/rules/roles/0/privileges/1", "is an object, expected a string" },
	{ ROLES("{\"name\":\"r\",\"privileges\":[]},"
		"{\"name\":\"r\",\"privileges\":[]}"),
	  MSP_ERR_SCHEMA, "/rules/roles/1/name",
	  "is 'r', as is that of another role" },

	{ IDENTITIES("{\"name\":\"i\",\"userName\":0}"), MSP_ERR_SCHEMA,
	  "/rules/identities/0/userName", "is a number, expected a string" },
	{ IDENTITIES("{\"name\":\"i\",\"exePath\":[\"/x\"]}"), MSP_ERR_SCHEMA,
	  "/rules/identities/0/exePath", "is an array, expected a string" },
	{ IDENTITIES("{\"name\":\"i\",\"userName\":\"a\",\"userName\":\"b\"}"),
	  MSP_ERR_SCHEMA, "/rules/identities/0/userName", "is given twice" },
	{ IDENTITIES("{\"name\":\"i\"},{\"name\":\"i\"}"), MSP_ERR_SCHEMA,
	  "/rules/identities/1/name",
	  "is 'i', as is that of another identity" },

	{ ASSIGNMENTS("{\"identities\":[]}"), MSP_ERR_SCHEMA,
	  "/rules/roleAssignments/0/role", "is missing" },
	{ ASSIGNMENTS("{\"role\":\"nobody's\",\"identities\":7}"),
	  MSP_ERR_SCHEMA, "/rules/roleAssignments/0/identities",
	  "is a number, expected an array" },
	{ ASSIGNMENTS("{\"role\":\"nobody's\",\"identities\":[null]}"),
	  MSP_ERR_SCHEMA, "/rules/roleAssignments/0/identities/0",
	  "is null, expected a string" },
};

START_TEST(parse_refuses_whole_with_pointer_and_cause)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile = (void *)1;

	ck_assert_int_eq(parse_wire(&profile, bad[_i].json, &info), bad[_i].rc);
	ck_assert_ptr_null(profile);
	ck_assert_str_eq(info.pointer, bad[_i].pointer);
	ck_assert_str_eq(info.text, bad[_i].text);
	ck_assert_uint_ge(info.line, 1);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(parse_reads_every_field)
{
	struct msp_profile *p = parsed(full);

	ck_assert_str_eq(msp_profile_id(p), "x");
	ck_assert_int_eq(msp_profile_mode(p), MSP_MODE_ENFORCE);
	ck_assert_int_eq(msp_profile_access(p), MSP_ACCESS_ALLOW);
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(p)), 0);
	ck_assert_ptr_null(msp_findings_get(msp_profile_findings(p), 0));

	ck_assert_uint_eq(p->n_privileges, 1);
	ck_assert_str_eq(p->privileges[0].name.text, "p");
	ck_assert_str_eq(p->privileges[0].path.text, "/metadata/instance");
	ck_assert_uint_eq(p->privileges[0].n_params, 2);
	ck_assert_str_eq(p->privileges[0].params[0].name.text, "API-version");
	ck_assert_str_eq(p->privileges[0].params[0].value.text, "2021-02-01");
	ck_assert_str_eq(p->privileges[0].params[1].name.text, "b");
	ck_assert_str_eq(p->privileges[0].params[1].value.text, "Yes");
	ck_assert_uint_eq(p->n_roles, 1);
	ck_assert_uint_eq(p->roles[0].n_privileges, 1);
	ck_assert_uint_eq(p->roles[0].privileges[0], 0);
	ck_assert_uint_eq(p->n_identities, 1);
	ck_assert_str_eq(p->identities[0].user_name.text, "root");
	ck_assert_str_eq(p->identities[0].group_name.text, "Root");
	ck_assert_str_eq(p->identities[0].exe_path.text, "/usr/bin/curl");
	ck_assert_str_eq(p->identities[0].process_name.text, "curl");
	ck_assert_uint_eq(p->n_assignments, 1);
	ck_assert_uint_eq(p->assignments[0].role, 0);
	ck_assert_uint_eq(p->assignments[0].n_identities, 1);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static const struct {
	const char *mode;
	const char *access;
	enum msp_mode want_mode;
	enum msp_access want_access;
} words[] = {
	{ "Enforce", "Allow", MSP_MODE_ENFORCE, MSP_ACCESS_ALLOW },
	{ "AUDIT", "DENY", MSP_MODE_AUDIT, MSP_ACCESS_DENY },
	{ "dIsAbLeD", "deny", MSP_MODE_DISABLED, MSP_ACCESS_DENY },
};

START_TEST(words_are_read_in_any_letter_case)
{
	struct msp_profile *p;
	char json[256];

	snprintf(json, sizeof(json),
		 "{\"defaultAccess\":\"%s\",\"mode\":\"%s\",\"id\":\"\"}",
		 words[_i].access, words[_i].mode);
	p = parsed(json);
	ck_assert_int_eq(msp_profile_mode(p), words[_i].want_mode);
	ck_assert_int_eq(msp_profile_access(p), words[_i].want_access);
	ck_assert_str_eq(msp_profile_id(p), "");
	msp_profile_free(p);
}
END_TEST

static const char *const without_rules[] = {
	"{" HEAD "}",
	"{" HEAD ",\"rules\":null}",
	RULES(""),
	RULES("\"privileges\":null,\"roles\":null,\"identities\":null,"
	      "\"roleAssignments\":null"),
	RULES("\"privileges\":[],\"roles\":[],\"identities\":[],"
	      "\"roleAssignments\":[]"),
};

START_TEST(absent_null_and_empty_arrays_are_the_same)
{
	struct msp_profile *p = parsed(without_rules[_i]);
	struct msp_profile *plain = parsed(without_rules[0]);

	ck_assert_uint_eq(p->n_privileges + p->n_roles + p->n_identities +
				  p->n_assignments,
			  0);
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(p)), 0);
	ck_assert(msp_profile_equal(p, plain));
	msp_profile_free(p);
	msp_profile_free(plain);
}
END_TEST

/* design D6: GPA would drop all of them and use the default */
START_TEST(privileges_stay_when_another_array_is_missing)
{
	struct msp_profile *p =
		parsed(PRIVILEGES("{\"name\":\"p\",\"path\":\"\"}"));

	ck_assert_uint_eq(p->n_privileges, 1);
	ck_assert_uint_eq(p->privileges[0].path.len, 0);
	ck_assert_str_eq(msp_findings_get(msp_profile_findings(p), 0)->pointer,
			 "/rules/privileges/0");
	ck_assert_str_eq(msp_findings_get(msp_profile_findings(p), 0)->text,
			 "is in no role: denied to everyone");
	msp_profile_free(p);
}
END_TEST

START_TEST(dangling_references_are_left_out)
{
	struct msp_profile *p = parsed(
		RULES("\"privileges\":[{\"name\":\"b\",\"path\":\"/b\"},"
		      "{\"name\":\"a\",\"path\":\"/a\"}],"
		      "\"roles\":[{\"name\":\"s\",\"privileges\":[]},"
		      "{\"name\":\"r\",\"privileges\":[\"x\",\"a\",\"B\","
		      "\"b\"]}],"
		      "\"identities\":[{\"name\":\"i\",\"userName\":\"u\"}],"
		      "\"roleAssignments\":[{\"role\":\"x\",\"identities\":"
		      "[\"i\"]},{\"role\":\"r\",\"identities\":[\"y\"]}]"));

	ck_assert_uint_eq(p->roles[1].n_privileges, 2);
	ck_assert_uint_eq(p->roles[1].privileges[0], 1);
	ck_assert_uint_eq(p->roles[1].privileges[1], 0);
	ck_assert_uint_eq(p->n_assignments, 1);
	ck_assert_uint_eq(p->assignments[0].role, 1);
	ck_assert_uint_eq(p->assignments[0].n_identities, 0);
	/* x, B; role x; y; role s and identity i unused, s empty */
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(p)), 7);
	msp_profile_free(p);
}
END_TEST

/* full with one place changed: that decides, so they differ */
static const struct {
	const char *from;
	const char *to;
	bool equal;
} changes[] = {
	{ "enforce", "Enforce", true },
	{ "API-version", "api-version", true },
	{ "\"x\"", "\"y\"", false },
	{ "enforce", "audit", false },
	{ "allow", "deny", false },
	{ "instance", "instances", false },
	{ "2021-02-01", "2021-02-02", false },
	{ "\"b\":\"Yes\",", "", false },
	{ "\"b\":", "\"c\":", false },
	{ "\"Yes\"", "\"yES\"", true },
	{ "\"privileges\":[\"p\"]", "\"privileges\":[]", false },
	{ "\"root\"", "\"Root\"", false },
	{ "\"root\"", "null", false },
	{ "\"groupName\":\"Root\",", "", false },
	{ "/curl", "/wget", false },
	{ "Name\":\"curl\"", "Name\":\"\"", false },
	{ "\"identities\":[\"i\"]", "\"identities\":[]", false },
};

START_TEST(equal_sees_every_change_that_decides)
{
	struct msp_profile *a = parsed(full), *b;
	const char *at = strstr(full, changes[_i].from);
	char json[2048];

	ck_assert_ptr_nonnull(at);
	snprintf(json, sizeof(json), "%.*s%s%s", (int)(at - full), full,
		 changes[_i].to, at + strlen(changes[_i].from));
	b = parsed(json);
	ck_assert_int_eq(msp_profile_equal(a, b), changes[_i].equal);
	ck_assert_int_eq(msp_profile_equal(b, a), changes[_i].equal);
	ck_assert(!msp_profile_equal(a, NULL));
	ck_assert(!msp_profile_equal(NULL, a));
	msp_profile_free(a);
	msp_profile_free(b);
}
END_TEST

/* {HEAD, rules: {array: [entry, entry, ...]}} with n entries; %zu in entry */
static char *many(const char *array, const char *entry, size_t n)
{
	size_t size = n * (strlen(entry) + 16) + 256, len, i;
	char *json = malloc(size);

	len = (size_t)snprintf(json, size, "{" HEAD ",\"rules\":{\"%s\":[",
			       array);
	for (i = 0; i < n; i++) {
		const char *hole = strchr(entry, '%');

		len += (size_t)snprintf(json + len, size - len, "%s%.*s%zu%s",
					i ? "," : "", (int)(hole - entry),
					entry, i, hole + 1);
	}
	snprintf(json + len, size - len, "]}}");
	return json;
}

START_TEST(tens_of_thousands_of_names_are_read_fast)
{
	char *json =
		many("privileges", "{\"name\":\"%\",\"path\":\"\"}", 30000);
	struct msp_profile *p = parsed(json);

	ck_assert_uint_eq(p->n_privileges, 30000);
	ck_assert_uint_eq(msp_findings_count(msp_profile_findings(p)), 256);
	ck_assert_ptr_null(msp_findings_get(msp_profile_findings(p), 256));
	ck_assert_int_eq(msp_findings_get(msp_profile_findings(p), 255)->code,
			 MSP_FINDING_UNUSED_PRIVILEGE);
	ck_assert(msp_findings_cut(msp_profile_findings(p)));
	msp_profile_free(p);
	free(json);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* several faults per entry, each with a place and a pointer to be found */
static const struct {
	const char *entry;
	size_t errors;
} faulty[] = {
	{ "{\"name\":\"%\"}", 30000 },
	/* the first has no name before it that it could repeat */
	{ "{\"name\":\"a\",\"name\":%}", 89999 },
};

START_TEST(tens_of_thousands_of_faults_are_said_fast)
{
	struct msp_findings *list = NULL;
	char *json = many("privileges", faulty[_i].entry, 30000);
	struct msp_profile *p;

	ck_assert_int_eq(
		msp_profile_read(&p, &list, json, strlen(json), NULL, NULL),
		MSP_ERR_SCHEMA);
	ck_assert_uint_eq(msp_findings_count(list), 256);
	ck_assert_uint_eq(msp_findings_errors(list), faulty[_i].errors);
	ck_assert(msp_findings_cut(list));
	msp_findings_free(list);
	free(json);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(more_entries_than_allowed_are_refused)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *json = many("privileges", "%", MSP_PROFILE_MAX_ITEMS + 1);
	struct msp_profile *p;

	ck_assert_int_eq(parse(&p, json, &info), MSP_ERR_LIMIT);
	ck_assert_str_eq(info.pointer, "/rules/privileges");
	ck_assert_str_eq(info.text, "has 65537 entries, at most 65536 are "
				    "taken");
	free(json);
}
END_TEST

START_TEST(more_than_a_megabyte_is_refused)
{
	size_t len = MSP_PROFILE_MAX_BYTES + 1;
	char *json = malloc(len);
	struct msp_profile *p;

	memset(json, ' ', len);
	memcpy(json, without_rules[0], strlen(without_rules[0]));
	ck_assert_int_eq(msp_profile_parse(&p, json, len - 1, NULL), 0);
	msp_profile_free(p);
	ck_assert_int_eq(msp_profile_parse(&p, json, len, NULL), MSP_ERR_LIMIT);
	ck_assert_ptr_null(p);
	free(json);
}
END_TEST

START_TEST(errors_say_where)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p;

	ck_assert_int_eq(parse(&p,
			       PRIVILEGES("{\"name\":\"p\",\n  \"path\":17}"),
			       &info),
			 MSP_ERR_SCHEMA);
	ck_assert_uint_eq(info.line, 3);
	ck_assert_uint_eq(info.column, 10);
	ck_assert_int_eq(msp_profile_parse(NULL, "{}", 2, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_profile_parse(&p, NULL, 0, NULL), MSP_ERR_INVAL);
	msp_profile_free(NULL);
}
END_TEST

START_TEST(none_says_what_grants_nothing)
{
	enum msp_endpoint endpoint = MSP_ENDPOINT_HOSTGA;

	ck_assert_ptr_null(msp_profile_ref(NULL));
	ck_assert_str_eq(msp_profile_id(NULL), "");
	ck_assert_int_eq(msp_profile_form(NULL), MSP_PROFILE_ANY);
	ck_assert_int_eq(msp_profile_mode(NULL), MSP_MODE_ENFORCE);
	ck_assert_int_eq(msp_profile_access(NULL), MSP_ACCESS_DENY);
	ck_assert(!msp_profile_has_access(NULL));
	ck_assert(!msp_profile_endpoint(NULL, &endpoint));
	ck_assert_int_eq(endpoint, MSP_ENDPOINT_HOSTGA);
	ck_assert_ptr_null(msp_profile_findings(NULL));
}
END_TEST

static const char *const alloc_docs[] = {
	full,
	RULES("\"privileges\":[{\"name\":\"p\",\"path\":\"/\","
	      "\"queryParameters\":{}}],"
	      "\"roles\":[{\"name\":\"r\",\"privileges\":[\"x\",\"p\"]}],"
	      "\"identities\":[{\"name\":\"i\",\"exePath\":\"\"},"
	      "{\"name\":\"j\"}],"
	      "\"roleAssignments\":[{\"role\":\"y\",\"identities\":[\"i\"]},"
	      "{\"role\":\"r\",\"identities\":[\"z\"]}]"),
};

START_TEST(parse_survives_every_failed_allocation)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *json = alloc_docs[_i];
	struct msp_profile *p;
	long n;
	int rc;

	for (n = 0;; n++) {
		p = (void *)1;
		failalloc_arm(n);
		rc = msp_profile_parse(&p, json, strlen(json), &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(p);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 10);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("profile");
	TCase *t = tcase_create("profile");

	tcase_add_loop_test(t, parse_refuses_whole_with_pointer_and_cause, 0,
			    COUNT(bad));
	tcase_add_test(t, parse_reads_every_field);
	tcase_add_loop_test(t, words_are_read_in_any_letter_case, 0,
			    COUNT(words));
	tcase_add_loop_test(t, absent_null_and_empty_arrays_are_the_same, 0,
			    COUNT(without_rules));
	tcase_add_test(t, privileges_stay_when_another_array_is_missing);
	tcase_add_test(t, dangling_references_are_left_out);
	tcase_add_loop_test(t, equal_sees_every_change_that_decides, 0,
			    COUNT(changes));
	tcase_add_test(t, tens_of_thousands_of_names_are_read_fast);
	tcase_add_loop_test(t, tens_of_thousands_of_faults_are_said_fast, 0,
			    COUNT(faulty));
	tcase_add_test(t, more_entries_than_allowed_are_refused);
	tcase_add_test(t, more_than_a_megabyte_is_refused);
	tcase_add_test(t, errors_say_where);
	tcase_add_test(t, none_says_what_grants_nothing);
	tcase_add_loop_test(t, parse_survives_every_failed_allocation, 0,
			    COUNT(alloc_docs));
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
