/* SPDX-License-Identifier: MIT */
/*
 * In: requests of many callers over hours. Out: whether they are grouped as
 * spec 4.4 says, and within bounds.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "mspd/summary.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define MINUTE	 60
#define HOUR	 3600
#define START	 1000000

static struct mspd_summary *summary;
static struct mspd_summary_event event;
static const char *const groups[] = { "root", "wheel" };

static void setup(void)
{
	ck_assert_int_eq(mspd_summary_new(&summary, 0), 0);
	event = (struct mspd_summary_event){
		.known = true,
		.user_name = "root",
		.groups = groups,
		.n_groups = 2,
		.exe_path = "/usr/bin/python3",
		.command = "python3 -u waagent",
		.client_ip = inet_addr("127.0.0.1"),
		.destination = { inet_addr("168.63.129.16"), 80, 0 },
		.status = 200,
	};
}

static void teardown(void)
{
	mspd_summary_free(summary);
}

static bool add(uint64_t now)
{
	return mspd_summary_add(summary, MSPD_SUMMARY_CONNECTIONS, &event, now);
}

static char *write_table(enum mspd_summary_which which, uint64_t now)
{
	yajl_gen gen = yajl_gen_alloc(NULL);
	const unsigned char *at;
	char *text;
	size_t len;

	ck_assert_ptr_nonnull(gen);
	mspd_summary_write_json(summary, which, now, gen);
	ck_assert_int_eq(yajl_gen_get_buf(gen, &at, &len), yajl_gen_status_ok);
	text = strndup((const char *)at, len);
	ck_assert_ptr_nonnull(text);
	yajl_gen_free(gen);
	return text;
}

static void assert_table(uint64_t now, const char *expected)
{
	char *text = write_table(MSPD_SUMMARY_CONNECTIONS, now);

	ck_assert_str_eq(text, expected);
	free(text);
}

/* Groups in the table, and the sum of their counts. */
static size_t count_table(uint64_t now, uint64_t *total)
{
	const char *path[] = { "count", NULL };
	char *text = write_table(MSPD_SUMMARY_CONNECTIONS, now);
	yajl_val tree = yajl_tree_parse(text, NULL, 0);
	size_t n, i;

	ck_assert_ptr_nonnull(tree);
	n = YAJL_GET_ARRAY(tree)->len;
	*total = 0;
	for (i = 0; i < n; i++)
		*total += (uint64_t)YAJL_GET_INTEGER(yajl_tree_get(
			YAJL_GET_ARRAY(tree)->values[i], path, yajl_t_number));
	yajl_tree_free(tree);
	free(text);
	return n;
}

#define ROOT_GROUP(count)                                                      \
	"[{\"userName\":\"root\",\"ip\":\"168.63.129.16\",\"port\":80,"        \
	"\"processCmdLine\":\"python3 -u waagent\","                           \
	"\"responseStatus\":\"200 OK\",\"count\":" #count ","                  \
	"\"userGroups\":[\"root\",\"wheel\"],"                                 \
	"\"processFullPath\":\"/usr/bin/python3\"}]"

START_TEST(summary_counts_equal_requests_in_one_group)
{
	ck_assert(add(START));
	ck_assert(!add(START + 1));
	event.groups = NULL; /* not part of the key: the first one's stay */
	event.n_groups = 0;
	ck_assert(!add(START + 2));
	assert_table(START + 2, ROOT_GROUP(3));
}
END_TEST

/* Callers in turns, each with two statuses, and a group that goes in between:
 * what is remembered of it must go, too. */
START_TEST(summary_counts_each_caller_by_its_version)
{
	const unsigned int n = 300;
	unsigned int turn, i;
	char name[32];
	uint64_t total;

	for (turn = 0; turn < 6; turn++)
		for (i = 1; i <= n; i++) {
			snprintf(name, sizeof(name), "u%u", i);
			event.user_name = name;
			event.version = i;
			event.status = turn % 2 ? 200 : 403;
			ck_assert(add(START) == (turn < 2));
		}
	ck_assert_uint_eq(count_table(START, &total), 2 * n);
	ck_assert_uint_eq(total, 6 * n);
	ck_assert_uint_eq(count_table(START + 5 * HOUR, &total), 0);
	ck_assert(add(START + 5 * HOUR));
	event.version++; /* the same names of another connection */
	ck_assert(!add(START + 5 * HOUR));
	event.user_name = "other";
	event.version++;
	ck_assert(add(START + 5 * HOUR));
	ck_assert_uint_eq(count_table(START + 5 * HOUR, &total), 2);
	ck_assert_uint_eq(total, 3);
}
END_TEST

START_TEST(summary_keeps_its_tables_apart)
{
	char *text;

	ck_assert(add(START));
	text = write_table(MSPD_SUMMARY_FAILED, START);
	ck_assert_str_eq(text, "[]");
	free(text);
	ck_assert(
		mspd_summary_add(summary, MSPD_SUMMARY_FAILED, &event, START));
	text = write_table(MSPD_SUMMARY_FAILED, START);
	ck_assert_str_eq(text, ROOT_GROUP(1));
	free(text);
}
END_TEST

START_TEST(summary_shows_unknown_caller)
{
	event.known = false;
	event.destination.ip = 0;
	event.status = 421;
	ck_assert(add(START));
	assert_table(START,
		     "[{\"userName\":\"empty\",\"ip\":\"None\",\"port\":0,"
		     "\"processCmdLine\":\"empty\","
		     "\"responseStatus\":\"421 Misdirected Request\","
		     "\"count\":1,\"userGroups\":null,"
		     "\"processFullPath\":null}]");
}
END_TEST

START_TEST(summary_shows_unknown_user)
{
	event.user_name = NULL;
	event.groups = NULL;
	event.n_groups = 0;
	event.exe_path = NULL;
	event.command = NULL;
	event.status = 599;
	ck_assert(add(START));
	assert_table(START,
		     "[{\"userName\":\"undefined\",\"ip\":\"168.63.129.16\","
		     "\"port\":80,\"processCmdLine\":\"undefined\","
		     "\"responseStatus\":\"599 <unknown status code>\","
		     "\"count\":1,\"userGroups\":[],"
		     "\"processFullPath\":null}]");
}
END_TEST

static void other_user(void)
{
	event.user_name = "alice";
}

static void other_exe(void)
{
	event.exe_path = "/usr/bin/curl";
}

static void no_exe(void)
{
	event.exe_path = NULL;
}

static void empty_exe(void)
{
	event.exe_path = "";
}

static void other_command(void)
{
	event.command = "python3";
}

static void other_client(void)
{
	event.client_ip = inet_addr("127.0.0.2");
}

static void other_ip(void)
{
	event.destination.ip = inet_addr("169.254.169.254");
}

static void other_port(void)
{
	event.destination.port = 32526;
}

static void other_status(void)
{
	event.status = 403;
}

static void shifted_texts(void)
{
	event.user_name = "root/usr/bin/python3";
	event.exe_path = "";
}

static void (*const differences[])(void) = {
	other_user,   other_exe, no_exe,     empty_exe,	   other_command,
	other_client, other_ip,	 other_port, other_status, shifted_texts,
};

START_TEST(summary_groups_by_each_part_of_the_key)
{
	uint64_t total;

	ck_assert(add(START));
	differences[_i]();
	ck_assert(add(START));
	ck_assert(!add(START));
	ck_assert_uint_eq(count_table(START, &total), 2);
	ck_assert_uint_eq(total, 3);
}
END_TEST

/* ---- time -------------------------------------------------------------- */

START_TEST(summary_opens_a_bucket_after_15_minutes)
{
	ck_assert(add(START));
	ck_assert(!add(START + 15 * MINUTE - 1));
	ck_assert(add(START + 15 * MINUTE));
	ck_assert(!add(START + 29 * MINUTE));
	ck_assert(add(START + 30 * MINUTE));
}
END_TEST

START_TEST(summary_forgets_after_four_hours)
{
	add(START);
	add(START + 1);
	add(START + 15 * MINUTE);
	assert_table(START + 4 * HOUR, ROOT_GROUP(3));
	assert_table(START + 4 * HOUR + 1, ROOT_GROUP(1));
	assert_table(START + 4 * HOUR + 15 * MINUTE, ROOT_GROUP(1));
	assert_table(START + 4 * HOUR + 15 * MINUTE + 1, "[]");
	ck_assert(add(START + 5 * HOUR)); /* a new group, like the first */
	assert_table(START + 5 * HOUR, ROOT_GROUP(1));
}
END_TEST

/* A request a second for 12 hours: the window never holds more than 17
 * buckets, and the count is that of the window. */
START_TEST(summary_slides_over_hours)
{
	uint64_t now, total;

	for (now = START; now < START + 12 * HOUR; now++)
		add(now);
	ck_assert_uint_eq(count_table(now, &total), 1);
	ck_assert_uint_ge(total, 4 * HOUR - 15 * MINUTE);
	ck_assert_uint_le(total, 4 * HOUR + 1);
}
END_TEST

START_TEST(summary_survives_a_clock_that_goes_back)
{
	uint64_t total;

	add(START);
	ck_assert(!add(START - HOUR));
	ck_assert(!add(0));
	ck_assert_uint_eq(count_table(0, &total), 1);
	ck_assert_uint_eq(total, 3);
}
END_TEST

/* ---- bounds ------------------------------------------------------------ */

static bool contains(uint64_t now, const char *piece)
{
	char *text = write_table(MSPD_SUMMARY_CONNECTIONS, now);
	bool yes = strstr(text, piece) != NULL;

	free(text);
	return yes;
}

START_TEST(summary_merges_what_has_no_room)
{
	char command[32];
	uint64_t total;
	int i;

	for (i = 0; i < 3000; i++) {
		snprintf(command, sizeof(command), "sh -c %d", i);
		event.command = command;
		event.user_name = i % 2 ? "alice" : "bob";
		event.status = i % 3 ? 200 : 403;
		add(START);
	}
	ck_assert_uint_eq(count_table(START, &total), MSPD_SUMMARY_GROUPS + 4);
	ck_assert_uint_eq(total, 3000);
	ck_assert(contains(START, "{\"userName\":\"bob\",\"ip\":\"None\","
				  "\"port\":0,\"processCmdLine\":\"other\","
				  "\"responseStatus\":\"403 Forbidden\","
				  "\"count\":333,\"userGroups\":null,"
				  "\"processFullPath\":\"other\"}"));
}
END_TEST

START_TEST(summary_is_bounded_whatever_users_there_are)
{
	char user[32];
	uint64_t total;
	int i;

	for (i = 0; i < 5000; i++) {
		snprintf(user, sizeof(user), "user%d", i);
		event.user_name = user;
		add(START);
	}
	ck_assert_uint_eq(count_table(START, &total),
			  MSPD_SUMMARY_GROUPS + 256 + 1);
	ck_assert_uint_eq(total, 5000);
	ck_assert(contains(START, "{\"userName\":\"other\",\"ip\":\"None\","
				  "\"port\":0,\"processCmdLine\":\"other\","
				  "\"responseStatus\":\"other\",\"count\":3744,"
				  "\"userGroups\":null,"
				  "\"processFullPath\":\"other\"}"));
}
END_TEST

START_TEST(summary_makes_room_when_groups_are_over)
{
	char command[32];
	uint64_t total;
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(command, sizeof(command), "sh -c %d", i);
		event.command = command;
		add(START);
	}
	event.command = "late";
	add(START + 4 * HOUR + 1); /* no status was built in between */
	ck_assert(contains(START + 4 * HOUR + 1, "\"late\""));
	ck_assert_uint_eq(count_table(START + 4 * HOUR + 1, &total), 1);
}
END_TEST

static const struct {
	const char *unit;
	size_t kept;
} longs[] = {
	{ "a", MSPD_SUMMARY_TEXT },
	{ "\xe2\x82\xac", MSPD_SUMMARY_TEXT / 3 * 3 },
	{ "\xff", MSPD_SUMMARY_TEXT / 3 * 3 }, /* U+FFFD has three bytes */
};

START_TEST(summary_cuts_long_texts_at_a_character)
{
	const char *path[] = { "processCmdLine", NULL };
	size_t unit = strlen(longs[_i].unit);
	char command[4000];
	const char *shown;
	yajl_val tree;
	char *text;
	size_t i;

	for (i = 0; i + unit < sizeof(command); i += unit)
		memcpy(command + i, longs[_i].unit, unit);
	command[i] = '\0';
	event.command = command;
	add(START);
	text = write_table(MSPD_SUMMARY_CONNECTIONS, START);
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	shown = YAJL_GET_STRING(yajl_tree_get(YAJL_GET_ARRAY(tree)->values[0],
					      path, yajl_t_string));
	ck_assert_ptr_nonnull(shown);
	ck_assert_uint_eq(strlen(shown), longs[_i].kept);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(summary_drives_no_terminal)
{
	char *text;

	event.command = "cat \xc2\x9b"
			"31m";
	event.exe_path = "/opt/\xc2\x9d";
	event.user_name = "u\xe2\x80\xa9";
	add(START);
	text = write_table(MSPD_SUMMARY_CONNECTIONS, START);
	ck_assert_ptr_nonnull(strstr(text, "\"cat \\u009b31m\""));
	ck_assert_ptr_nonnull(strstr(text, "\"/opt/\\u009d\""));
	ck_assert_ptr_nonnull(strstr(text, "\"u\\u2029\""));
	free(text);
}
END_TEST

START_TEST(summary_bounds_the_names_of_groups)
{
	const char *many[64];
	char name[101];
	uint64_t total;
	char *text;
	size_t i;

	memset(name, 'g', 100);
	name[100] = '\0';
	for (i = 0; i < 64; i++)
		many[i] = name;
	event.groups = many;
	event.n_groups = 64;
	add(START);
	text = write_table(MSPD_SUMMARY_CONNECTIONS, START);
	ck_assert_uint_lt(strlen(text), 1500);
	ck_assert_ptr_nonnull(strstr(text, name));
	ck_assert_uint_eq(count_table(START, &total), 1);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_summary");
	TCase *tc = tcase_create("summary");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, summary_counts_equal_requests_in_one_group);
	tcase_add_test(tc, summary_counts_each_caller_by_its_version);
	tcase_add_test(tc, summary_keeps_its_tables_apart);
	tcase_add_test(tc, summary_shows_unknown_caller);
	tcase_add_test(tc, summary_shows_unknown_user);
	tcase_add_loop_test(tc, summary_groups_by_each_part_of_the_key, 0,
			    COUNT(differences));
	tcase_add_test(tc, summary_opens_a_bucket_after_15_minutes);
	tcase_add_test(tc, summary_forgets_after_four_hours);
	tcase_add_test(tc, summary_slides_over_hours);
	tcase_add_test(tc, summary_survives_a_clock_that_goes_back);
	tcase_add_test(tc, summary_merges_what_has_no_room);
	tcase_add_test(tc, summary_is_bounded_whatever_users_there_are);
	tcase_add_test(tc, summary_makes_room_when_groups_are_over);
	tcase_add_loop_test(tc, summary_cuts_long_texts_at_a_character, 0,
			    COUNT(longs));
	tcase_add_test(tc, summary_drives_no_terminal);
	tcase_add_test(tc, summary_bounds_the_names_of_groups);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
