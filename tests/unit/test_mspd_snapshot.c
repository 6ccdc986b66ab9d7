/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of the rules: what they say, how many stay, and who may read them.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/snapshot.h"
#include "tests/lib/scratch.h"

static const char item[] =
	"{\"defaultAccess\":\"deny\",\"mode\":\"audit\",\"id\":\"a\\nb\","
	"\"rules\":{\"privileges\":[{\"name\":\"p\",\"path\":\"/Meta\","
	"\"queryParameters\":{\"Q\":\"V\"}}],\"roles\":[{\"name\":\"r\","
	"\"privileges\":[\"p\"]}],\"identities\":[{\"name\":\"i\","
	"\"userName\":\"root\"}],\"roleAssignments\":[{\"role\":\"r\","
	"\"identities\":[\"i\"]}]}}";

static struct msp_profile *items[MSP_ENDPOINTS];
static struct msp_rules *rules[MSP_ENDPOINTS];

static void setup(void)
{
	scratch_make();
	ck_assert_int_eq(msp_profile_parse(&items[MSP_ENDPOINT_IMDS], item,
					   strlen(item), NULL),
			 0);
	ck_assert_int_eq(msp_rules_compile(&rules[MSP_ENDPOINT_IMDS],
					   items[MSP_ENDPOINT_IMDS], 1),
			 0);
	ck_assert_int_eq(
		msp_rules_closed(&rules[MSP_ENDPOINT_HOSTGA], "x", 1, 2), 0);
}

static void teardown(void)
{
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		msp_profile_free(items[i]);
		msp_rules_free(rules[i]);
		items[i] = NULL;
		rules[i] = NULL;
	}
	scratch_remove();
}

static int write_at(long ns)
{
	struct timespec when = { 1767323045, ns };

	return mspd_snapshot_write(scratch_path("."), items, rules, when);
}

#define AT(time, ns)                                                           \
	"AuthorizationRules_2026-01-02T03.04.05." time "-1767323045" ns ".jso" \
	"n"

static const char *text_at(yajl_val tree, const char *a, const char *b,
			   const char *c, const char *d, const char *e)
{
	const char *path[] = { a, b, c, d, e, NULL };

	return YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
}

START_TEST(a_snapshot_shows_what_came_in_and_what_decides)
{
	const char *assigned[] = { "computedRules", "imds",
				   "privilegeAssignments", "p", NULL };
	const char *absent[] = { "inputRules", "hostga", NULL };
	char *text;
	yajl_val tree, list;

	ck_assert_int_eq(write_at(678901234), 0);
	text = scratch_read(AT("678", "678901234"), NULL);
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	ck_assert_str_eq(
		text_at(tree, "inputRules", "imds", "mode", NULL, NULL),
		"audit");
	ck_assert_str_eq(text_at(tree, "inputRules", "imds", "id", NULL, NULL),
			 "a\nb");
	ck_assert_str_eq(
		text_at(tree, "computedRules", "imds", "mode", NULL, NULL),
		"Audit");
	ck_assert_str_eq(text_at(tree, "computedRules", "imds", "privileges",
				 "p", "path"),
			 "/meta");
	ck_assert_str_eq(
		text_at(tree, "computedRules", "hostga", "mode", NULL, NULL),
		"Enforce");
	list = yajl_tree_get(tree, assigned, yajl_t_array);
	ck_assert_uint_eq(YAJL_GET_ARRAY(list)->len, 1);
	ck_assert_ptr_null(yajl_tree_get(tree, absent, yajl_t_any));
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(nobody_but_its_owner_may_write_it)
{
	umask(0);
	ck_assert_int_eq(write_at(1), 0);
	ck_assert_uint_eq(scratch_mode(AT("000", "000000001")), 0644);
}
END_TEST

START_TEST(five_stay_and_nothing_else_is_deleted)
{
	long i;

	scratch_write("AuthorizationRules_0.json.tmp", "x", 1);
	scratch_write("AuthorizationRules_0.txt", "x", 1);
	scratch_write("Authorization.json", "x", 1);
	scratch_write("status.json", "x", 1);
	for (i = 0; i < 12; i++)
		ck_assert_int_eq(write_at(i), 0);
	ck_assert_int_eq(scratch_count("AuthorizationRules_2026"), 5);
	ck_assert_int_eq(scratch_count(AT("000", "000000007")), 1);
	ck_assert_int_eq(scratch_count(AT("000", "000000011")), 1);
	ck_assert_int_eq(scratch_count("AuthorizationRules_0.txt"), 1);
	ck_assert_int_eq(scratch_count("AuthorizationRules_0.json.tmp"), 0);
	ck_assert_int_eq(scratch_count("Authorization.json"), 1);
	ck_assert_int_eq(scratch_count("status.json"), 1);
}
END_TEST

/* Nobody but root can put it there, and it is not ours to remove. */
START_TEST(what_only_has_the_name_of_a_snapshot_is_in_nobodys_way)
{
	long i;

	ck_assert_int_eq(
		mkdir(scratch_path("AuthorizationRules_2025.json"), 0700), 0);
	ck_assert_int_eq(
		symlink("/nowhere", scratch_path("AuthorizationRules_1.json")),
		0);
	ck_assert_int_eq(
		mkdir(scratch_path("AuthorizationRules_0.json.tmp"), 0700), 0);
	for (i = 0; i < 12; i++)
		ck_assert_int_eq(write_at(i), 0);
	ck_assert_int_eq(scratch_count("AuthorizationRules_2026"), 5);
	ck_assert_int_eq(scratch_count("AuthorizationRules_2025.json"), 1);
	ck_assert_int_eq(scratch_count("AuthorizationRules_1.json"), 1);
}
END_TEST

START_TEST(what_cannot_be_listed_is_not_written_to)
{
	struct timespec when = { 1, 1 };

	ck_assert_int_eq(
		mspd_snapshot_write(scratch_path("none"), items, rules, when),
		-ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_snapshot");
	TCase *tc = tcase_create("snapshot");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_snapshot_shows_what_came_in_and_what_decides);
	tcase_add_test(tc, nobody_but_its_owner_may_write_it);
	tcase_add_test(tc, five_stay_and_nothing_else_is_deleted);
	tcase_add_test(tc,
		       what_only_has_the_name_of_a_snapshot_is_in_nobodys_way);
	tcase_add_test(tc, what_cannot_be_listed_is_not_written_to);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
