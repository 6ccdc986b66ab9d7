/* SPDX-License-Identifier: MIT */
/*
 * In: profiles, some made by hand and broken. Out: pass or fail. Must never
 * need a network, a file or a privilege.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/profile_priv.h"
#include "libmsp/rules_priv.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char usual[] =
	"{\"id\":\"rule-1\",\"mode\":\"audit\",\"defaultAccess\":\"allow\","
	"\"rules\":{\"privileges\":["
	"{\"name\":\"token\",\"path\":\"/metadata/identity/oauth2/token\","
	"\"queryParameters\":{\"api-version\":\"2018-02-01\","
	"\"resource\":\"https://vault\"}},"
	"{\"name\":\"store\",\"path\":\"/metadata/identity/oauth2/token\","
	"\"queryParameters\":{\"api-version\":\"2018-02-01\","
	"\"resource\":\"https://store\"}},"
	"{\"name\":\"instance\",\"path\":\"/Metadata/./Instance/\"},"
	"{\"name\":\"root\",\"path\":\"/\"}],"
	"\"roles\":[{\"name\":\"r\",\"privileges\":[\"token\",\"instance\"]},"
	"{\"name\":\"idle\",\"privileges\":[\"root\"]},"
	"{\"name\":\"empty\",\"privileges\":[]}],"
	"\"identities\":[{\"name\":\"u\",\"userName\":\"alice\"},"
	"{\"name\":\"g\",\"groupName\":\"staff\"},"
	"{\"name\":\"x\",\"exePath\":\"/usr/bin/curl\"},"
	"{\"name\":\"all\"}],"
	"\"roleAssignments\":[{\"role\":\"r\",\"identities\":[\"u\",\"all\","
	"\"u\"]},{\"role\":\"r\",\"identities\":[\"all\"]},"
	"{\"role\":\"empty\",\"identities\":[\"x\"]}]}}";

static char *many_privileges(size_t n)
{
	char *json = malloc(n * 64 + 256);
	size_t i, at;

	at = (size_t)sprintf(json, "{\"id\":\"m\",\"mode\":\"enforce\","
				   "\"defaultAccess\":\"deny\",\"rules\":{"
				   "\"privileges\":[");
	for (i = 0; i < n; i++)
		at += (size_t)sprintf(
			json + at, "%s{\"name\":\"%zu\",\"path\":\"/a/%zu\"}",
			i ? "," : "", i, i);
	strcpy(json + at, "],\"roles\":[],\"identities\":[],"
			  "\"roleAssignments\":[]}}");
	return json;
}

static struct msp_profile *parse(const char *json)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *p;
	int rc = msp_profile_parse(&p, json, strlen(json), &info);

	ck_assert_msg(rc == 0, "%d: %s %s", rc, info.pointer, info.text);
	return p;
}

static struct msp_rules *compile(const char *json)
{
	struct msp_profile *p = parse(json);
	struct msp_rules *r;

	ck_assert_int_eq(msp_rules_compile(&r, p, 7), 0);
	/* nothing of the profile is needed any more */
	msp_profile_free(p);
	return r;
}

START_TEST(rules_show_what_they_were_made_from)
{
	struct msp_rules *r = compile(usual);

	ck_assert_str_eq(msp_rules_id(r), "rule-1");
	ck_assert_uint_eq(msp_rules_epoch(r), 7);
	ck_assert_int_eq(msp_rules_mode(r), MSP_MODE_AUDIT);
	msp_rules_free(r);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* "x" has a role without privileges and "g" has none: nobody asks for them */
START_TEST(rules_need_only_what_assigned_identities_ask_for)
{
	struct msp_rules *r = compile(usual);

	ck_assert_uint_eq(msp_rules_needs(r), MSP_NEED_USER);
	msp_rules_free(r);
}
END_TEST

static const struct {
	const char *identity;
	unsigned int needs;
} need[] = {
	{ "", 0 },
	{ ",\"userName\":\"a\"", MSP_NEED_USER },
	{ ",\"groupName\":\"a\"", MSP_NEED_GROUPS },
	{ ",\"exePath\":\"/a\"", MSP_NEED_EXE },
	{ ",\"processName\":\"a\"", MSP_NEED_EXE },
	{ ",\"userName\":\"a\",\"groupName\":\"b\",\"exePath\":\"/a\"",
	  MSP_NEED_USER | MSP_NEED_GROUPS | MSP_NEED_EXE },
};

START_TEST(rules_need_follows_each_selector)
{
	struct msp_rules *r;
	char json[512];

	snprintf(json, sizeof(json),
		 "{\"id\":\"i\",\"mode\":\"enforce\",\"defaultAccess\":"
		 "\"deny\",\"rules\":{\"privileges\":[{\"name\":\"p\","
		 "\"path\":\"/\"}],\"roles\":[{\"name\":\"r\",\"privileges\":"
		 "[\"p\"]}],\"identities\":[{\"name\":\"i\"%s}],"
		 "\"roleAssignments\":[{\"role\":\"r\",\"identities\":"
		 "[\"i\"]}]}}",
		 need[_i].identity);
	r = compile(json);
	ck_assert_uint_eq(msp_rules_needs(r), need[_i].needs);
	msp_rules_free(r);
}
END_TEST

START_TEST(rules_tree_has_a_node_per_segment)
{
	static const char *const segment[] = { "",	   "metadata",
					       "identity", "instance",
					       "oauth2",   "token" };
	struct msp_rules *r = compile(usual);
	uint32_t i;

	ck_assert_uint_eq(r->n_nodes, COUNT(segment));
	for (i = 1; i < r->n_nodes; i++) {
		ck_assert_uint_eq(r->nodes[i].segment_len, strlen(segment[i]));
		ck_assert_int_eq(memcmp(r->nodes[i].segment, segment[i],
					strlen(segment[i])),
				 0);
	}
	ck_assert_uint_eq(r->nodes[0].n_plain, 1);
	ck_assert_uint_eq(r->nodes[3].n_plain, 1);
	ck_assert_uint_eq(r->nodes[5].n_keyed, 2);
	msp_rules_free(r);
}
END_TEST

START_TEST(rules_key_is_the_rarest_parameter)
{
	struct msp_rules *r = compile(usual);
	uint32_t i;

	for (i = 0; i < r->n_rules; i++) {
		if (r->rules[i].n_params)
			ck_assert_str_eq(r->rules[i].key->name, "resource");
	}
	msp_rules_free(r);
}
END_TEST

START_TEST(rules_role_members_are_unique)
{
	struct msp_rules *r = compile(usual);
	uint32_t i;

	for (i = 0; i < r->n_rules; i++) {
		if (strcmp(r->rules[i].name, "token") != 0)
			continue;
		ck_assert_uint_eq(r->rules[i].n_roles, 1);
		ck_assert_uint_eq(r->rules[i].roles[0]->n, 2);
	}
	msp_rules_free(r);
}
END_TEST

/* Multiplied out, these members would take 3.6 gigabytes. */
START_TEST(rules_stay_linear_in_the_profile)
{
	enum { MANY = 30000 };
	struct msp_profile p = { .id = { NULL, 0 } };
	struct msp_role role = { .n_privileges = MANY };
	struct msp_assignment a = { .n_identities = MANY };
	uint32_t *all = calloc(MANY, sizeof(*all));
	struct msp_rules *r;
	uint32_t i;

	p.privileges = calloc(MANY, sizeof(*p.privileges));
	p.identities = calloc(MANY, sizeof(*p.identities));
	p.n_privileges = p.n_identities = MANY;
	p.roles = &role;
	p.assignments = &a;
	p.n_roles = p.n_assignments = 1;
	role.privileges = a.identities = all;
	for (i = 0; i < MANY; i++)
		all[i] = i;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), 0);
	ck_assert_uint_eq(r->rules[MANY - 1].roles[0]->n, MANY);
	ck_assert_ptr_eq(r->rules[0].roles[0], r->rules[MANY - 1].roles[0]);
	msp_rules_free(r);
	free(p.privileges);
	free(p.identities);
	free(all);
}
END_TEST

/* Nodes are counted before they are made; both must agree. */
START_TEST(rules_tree_is_as_large_as_it_was_counted)
{
	static const char *const part[] = { "/a", "/ab", "/a b", "/b",
					    "/",  "/a!", "/%2f", "/c" };
	struct msp_privilege privilege[40];
	struct msp_profile p = { .privileges = privilege };
	char path[COUNT(privilege)][64];
	struct msp_rules *r;
	uint32_t node, i, sum;
	int n, round;

	srand(11);
	for (round = 0; round < 300; round++) {
		memset(privilege, 0, sizeof(privilege));
		p.n_privileges = (size_t)rand() % COUNT(privilege);
		for (i = 0; i < p.n_privileges; i++) {
			path[i][0] = '\0';
			for (n = rand() % 6; n > 0; n--)
				strcat(path[i], part[rand() % COUNT(part)]);
			privilege[i].path.text = path[i];
			privilege[i].path.len = strlen(path[i]);
		}
		ck_assert_int_eq(msp_rules_compile(&r, &p, 1), 0);
		for (node = 0, sum = 0; node < r->n_nodes; node++)
			sum += r->nodes[node].n_plain;
		ck_assert_uint_eq(sum, p.n_privileges);
		ck_assert_uint_eq(r->n_nodes, r->max_nodes);
		msp_rules_free(r);
	}
}
END_TEST

static size_t memory_of(size_t n)
{
	char *json = many_privileges(n);
	struct msp_rules *r = compile(json);
	size_t bytes = msp_rules_memory(r);

	msp_rules_free(r);
	free(json);
	return bytes;
}

START_TEST(rules_memory_grows_with_the_profile)
{
	size_t one = memory_of(1), thousand = memory_of(1000);

	ck_assert_uint_eq(msp_rules_memory(NULL), 0);
	/* a path, a name, and what finds them */
	ck_assert_uint_gt(one, sizeof(struct msp_rules));
	ck_assert_uint_gt(thousand, 1000 * sizeof(struct msp_rule));
	ck_assert_uint_lt(thousand, 1000 * 512);
	ck_assert_uint_lt(memory_of(2000), 2 * thousand + 65536);
}
END_TEST

START_TEST(rules_closed_deny_in_mode_enforce)
{
	struct msp_rules *r;

	ck_assert_int_eq(msp_rules_closed(&r, "id-of-it", 5, 9), 0);
	ck_assert_str_eq(msp_rules_id(r), "id-of");
	ck_assert_uint_eq(msp_rules_epoch(r), 9);
	ck_assert_int_eq(msp_rules_mode(r), MSP_MODE_ENFORCE);
	ck_assert_int_eq(r->access, MSP_ACCESS_DENY);
	ck_assert_uint_eq(msp_rules_needs(r), 0);
	msp_rules_free(r);
	ck_assert_int_eq(msp_rules_closed(&r, NULL, 0, 9), 0);
	ck_assert_str_eq(msp_rules_id(r), "");
	msp_rules_free(r);
}
END_TEST

START_TEST(rules_refuse_bad_arguments)
{
	struct msp_rules *r = (struct msp_rules *)&r;
	struct msp_profile p = { .mode = MSP_MODE_ENFORCE };

	ck_assert_int_eq(msp_rules_compile(NULL, &p, 1), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_rules_compile(&r, NULL, 1), MSP_ERR_INVAL);
	ck_assert_ptr_null(r);
	ck_assert_int_eq(msp_rules_closed(NULL, "", 0, 1), MSP_ERR_INVAL);
	r = (struct msp_rules *)&r;
	ck_assert_int_eq(msp_rules_closed(&r, NULL, 1, 1), MSP_ERR_INVAL);
	ck_assert_ptr_null(r);
	ck_assert_ptr_null(msp_rules_ref(NULL));
	msp_rules_free(NULL);
	ck_assert_str_eq(msp_rules_id(NULL), "");
	ck_assert_int_eq(msp_rules_mode(NULL), MSP_MODE_ENFORCE);
}
END_TEST

START_TEST(rules_refuse_an_index_out_of_range)
{
	uint32_t two = 2, zero = 0;
	struct msp_identity who = { .name = { NULL, 0 } };
	struct msp_privilege privilege = { .name = { NULL, 0 } };
	struct msp_role role = { .privileges = &zero, .n_privileges = 1 };
	struct msp_assignment a = { .identities = &zero, .n_identities = 1 };
	struct msp_profile p = { .privileges = &privilege,
				 .n_privileges = 1,
				 .identities = &who,
				 .n_identities = 1,
				 .roles = &role,
				 .n_roles = 1,
				 .assignments = &a,
				 .n_assignments = 1 };
	char above_root[] = "/..";
	struct msp_rules *r;

	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), 0);
	msp_rules_free(r);
	role.privileges = &two;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), MSP_ERR_INVAL);
	role.privileges = &zero;
	a.identities = &two;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), MSP_ERR_INVAL);
	a.identities = &zero;
	a.role = 1;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), MSP_ERR_INVAL);
	a.role = 0;
	privilege.path.text = above_root;
	privilege.path.len = 3;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), MSP_ERR_INVAL);
	ck_assert_ptr_null(r);
	p.n_privileges = MSP_RULES_MAX_ITEMS + 1;
	p.n_roles = p.n_assignments = 0;
	ck_assert_int_eq(msp_rules_compile(&r, &p, 1), MSP_ERR_LIMIT);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(rules_survive_every_failing_allocation)
{
	struct msp_profile *p = parse(usual);
	long before = failalloc_live(), n;
	struct msp_rules *r;
	int rc;

	for (n = 0;; n++) {
		r = (struct msp_rules *)&r;
		failalloc_arm(n);
		rc = msp_rules_compile(&r, p, 1);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(r);
		ck_assert_int_eq(failalloc_live(), before);
	}
	ck_assert_int_gt(n, 3);
	ck_assert_int_eq(rc, 0);
	msp_rules_free(r);
	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_rules_closed(&r, "id", 2, 1);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(r);
		ck_assert_int_eq(failalloc_live(), before);
	}
	msp_rules_free(r);
	msp_profile_free(p);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static void *use(void *arg)
{
	struct msp_rules *r = arg;
	int i;

	for (i = 0; i < 20000; i++) {
		msp_rules_ref(r);
		if (strcmp(msp_rules_id(r), "rule-1") != 0)
			abort();
		msp_rules_free(r);
	}
	msp_rules_free(r);
	return NULL;
}

START_TEST(rules_live_as_long_as_any_owner)
{
	struct msp_rules *r = compile(usual);
	pthread_t thread[4];
	int i;

	for (i = 0; i < COUNT(thread); i++)
		ck_assert_int_eq(
			pthread_create(&thread[i], NULL, use, msp_rules_ref(r)),
			0);
	msp_rules_free(r);
	for (i = 0; i < COUNT(thread); i++)
		pthread_join(thread[i], NULL);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules");
	TCase *t = tcase_create("compile");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, rules_show_what_they_were_made_from);
	tcase_add_test(t, rules_need_only_what_assigned_identities_ask_for);
	tcase_add_loop_test(t, rules_need_follows_each_selector, 0,
			    COUNT(need));
	tcase_add_test(t, rules_tree_has_a_node_per_segment);
	tcase_add_test(t, rules_key_is_the_rarest_parameter);
	tcase_add_test(t, rules_role_members_are_unique);
	tcase_add_test(t, rules_stay_linear_in_the_profile);
	tcase_add_test(t, rules_tree_is_as_large_as_it_was_counted);
	tcase_add_test(t, rules_memory_grows_with_the_profile);
	tcase_add_test(t, rules_closed_deny_in_mode_enforce);
	t = tcase_create("arguments");
	suite_add_tcase(s, t);
	tcase_add_test(t, rules_refuse_bad_arguments);
	tcase_add_test(t, rules_refuse_an_index_out_of_range);
	tcase_add_test(t, rules_survive_every_failing_allocation);
	tcase_add_test(t, rules_live_as_long_as_any_owner);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}
