/* SPDX-License-Identifier: MIT */
/*
 * In: decisions with hostile texts. Out: whether each is one whole JSON line
 * that says what it must.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "mspd/audit.h"
#include "mspd/text.h"
#include "tests/lib/scratch.h"
#include "tests/lib/unchain.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *dir;
static struct mspd_audit *audit;
static struct msp_caller caller;
static struct msp_decision decision;
static struct mspd_audit_record record;

static struct mspd_audit_opts opts;

static void start(void)
{
	ck_assert_int_eq(mspd_audit_open(&audit, &opts), 0);
}

static void setup(void)
{
	dir = scratch_make();
	caller = (struct msp_caller){
		.size = sizeof(caller),
		.flags = MSP_CALLER_KNOWN,
		.uid = 1000,
		.pid = 42,
		.gid = 100,
		.euid = 1001,
		.loginuid = 1002,
		.n_gids = 2,
		.gids = { 4, 27 },
		.net_ns = 4026531840,
		.mnt_ns = 4026531841,
		.pid_ns = 4026531836,
		.user_ns = 4026531837,
		.exe = { .inode = 3, .nlink = 1 },
		.parents = { { .pid = 41, .comm = "bash" },
			     { .pid = 1, .comm = "init" } },
		.cgroup_path = "/system.slice/a.service",
		.comm = "curl",
		.exe_path = "/usr/bin/curl"
	};
	decision = (struct msp_decision){ .size = sizeof(decision),
					  .verdict = MSP_ALLOW,
					  .reason = MSP_REASON_GRANTED,
					  .epoch = 7,
					  .rule_id = "r1",
					  .privilege = "p1",
					  .identity = "i1" };
	record = (struct mspd_audit_record){
		.time = { 1767323045, 678901234 },
		.id = 5,
		.caller = &caller,
		.user = "alice",
		.endpoint = MSP_ENDPOINT_IMDS,
		.method = "GET",
		.path = "/metadata/instance?api-version",
		.decision = &decision,
		.status = 200,
		.us = 1234,
		.client_port = 50000,
	};
	opts = (struct mspd_audit_opts){
		.dir = dir, .records = 1000000, .per_second = 1, .merge_ms = 100
	};
	start();
}

static void teardown(void)
{
	scratch_remove();
}

static char *close_and_read(void)
{
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	return unchain(scratch_read("audit.jsonl", NULL));
}

START_TEST(audit_line_has_all_keys_in_order)
{
	char *text;

	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_str_eq(
		text,
		"{\"time\":\"2026-01-02T03:04:05.678901Z\",\"id\":5,"
		"\"uid\":1000,\"user\":\"alice\",\"pid\":42,"
		"\"exe\":\"/usr/bin/curl\",\"comm\":\"curl\","
		"\"exe_state\":\"unchecked\",\"gid\":100,"
		"\"groups\":[4,27],\"euid\":1001,\"loginuid\":1002,"
		"\"parents\":[\"bash[41]\",\"init[1]\"],"
		"\"cgroup\":\"/system.slice/a.service\","
		"\"unit\":\"a.service\",\"container\":null,"
		"\"netns\":4026531840,\"mntns\":4026531841,"
		"\"pidns\":4026531836,\"userns\":4026531837,"
		"\"flags\":[],"
		"\"endpoint\":\"IMDS\",\"method\":\"GET\","
		"\"path\":\"/metadata/instance?api-version\","
		"\"verdict\":\"allow\",\"reason\":\"granted\","
		"\"rule\":\"r1\",\"privilege\":\"p1\",\"identity\":\"i1\","
		"\"epoch\":7,\"status\":200,\"us\":1234,"
		"\"mode\":\"Enforce\",\"port\":50000}\n");
	ck_assert_uint_eq(scratch_mode("audit.jsonl"), 0640);
	free(text);
}
END_TEST

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* As many callers as there are, in turns, each with two versions. */
START_TEST(audit_line_is_of_this_caller_whoever_was_there_before)
{
	const unsigned int n = 600;
	unsigned int i, turn;
	char what[64];
	char *text;

	for (turn = 0; turn < 4; turn++)
		for (i = 1; i <= n; i++) {
			caller.uid = 10000 + i;
			record.user = turn < 2 ? NULL : "bob";
			record.version = turn < 2 ? i : n + i;
			mspd_audit_write(audit, &record);
			/* what finds no room is merged */
			if (i % 100 == 0)
				ck_assert_int_eq(mspd_audit_flush(audit, 9000),
						 0);
		}
	record.version = 0; /* not to be relied on */
	for (i = 0; i < 3; i++) {
		caller.uid = 9000 + i;
		mspd_audit_write(audit, &record);
	}
	text = close_and_read();
	for (i = 1; i <= n; i++) {
		snprintf(what, sizeof(what), "\"uid\":%u,\"user\":null,",
			 10000 + i);
		ck_assert_uint_eq(count(text, what), 2);
		snprintf(what, sizeof(what), "\"uid\":%u,\"user\":\"bob\",",
			 10000 + i);
		ck_assert_uint_eq(count(text, what), 2);
	}
	for (i = 0; i < 3; i++) {
		snprintf(what, sizeof(what), "\"uid\":%u,", 9000 + i);
		ck_assert_uint_eq(count(text, what), 1);
	}
	free(text);
}
END_TEST

START_TEST(audit_line_of_unknown_caller_shows_none_of_its_facts)
{
	char *text;

	caller.flags = 0; /* the numbers in it mean nothing */
	record.endpoint = -1;
	record.method = NULL;
	record.path = NULL;
	record.decision = NULL;
	record.status = 421;
	mspd_audit_write(audit, &record);
	record.caller = NULL;
	mspd_audit_write(audit, &record);
	text = close_and_read();
#define LINE                                                                   \
	"{\"time\":\"2026-01-02T03:04:05.678901Z\",\"id\":5,"                  \
	"\"uid\":null,\"user\":null,\"pid\":null,\"exe\":null,"                \
	"\"comm\":null,\"exe_state\":null,\"gid\":null,"                       \
	"\"groups\":null,\"euid\":null,\"loginuid\":null,"                     \
	"\"parents\":null,\"cgroup\":null,\"unit\":null,"                      \
	"\"container\":null,\"netns\":null,\"mntns\":null,"                    \
	"\"pidns\":null,\"userns\":null,\"flags\":null,"                       \
	"\"endpoint\":null,\"method\":null,\"path\":null,"                     \
	"\"verdict\":\"deny\",\"reason\":\"refused\",\"rule\":null,"           \
	"\"privilege\":null,\"identity\":null,\"epoch\":null,"                 \
	"\"status\":421,\"us\":1234,\"mode\":null,\"port\":50000}\n"
	ck_assert_str_eq(text, LINE LINE);
	free(text);
}
END_TEST

/* One line is written; does it have this piece? */
static void expect_piece(const char *piece)
{
	char *text;

	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_msg(strstr(text, piece) != NULL, "%s\nin %s", piece, text);
	free(text);
}

static const struct {
	uint32_t flags;
	uint32_t nlink;
	const char *path;
	const char *state;
} exe_states[] = {
	{ MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED, 1, "/b",
	  "verified" },
	{ MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED |
		  MSP_CALLER_EXE_REPLACED,
	  0, "/b", "replaced" },
	{ MSP_CALLER_EXE_CHECKED, 0, "/b", "deleted" },
	{ 0, 0, "/b", "deleted" },
	{ 0, 0, "", "deleted" },
	{ MSP_CALLER_NO_PATH, 0, "", "deleted" },
	{ MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_REPLACED, 0, "/b",
	  "deleted" },
	{ MSP_CALLER_EXE_CHECKED, 1, "/b", "not-at-path" },
	{ 0, 1, "/b", "unchecked" },
	{ 0, 1, "", "unknown" },
	{ MSP_CALLER_EXE_CHECKED | MSP_CALLER_PATH_CUT, 1, "", "unknown" },
	{ MSP_CALLER_NO_PATH, 1, "", "unknown" },
	{ MSP_CALLER_KERNEL, 0, "", "unknown" },
};

START_TEST(audit_line_tells_the_state_of_the_executable)
{
	char want[64];

	caller.flags |= exe_states[_i].flags;
	caller.exe.nlink = exe_states[_i].nlink;
	strcpy(caller.exe_path, exe_states[_i].path);
	snprintf(want, sizeof(want), "\"exe_state\":\"%s\",",
		 exe_states[_i].state);
	expect_piece(want);
}
END_TEST

static const struct {
	uint32_t flags;
	const char *names;
} flags[] = {
	{ MSP_CALLER_NAMES | MSP_CALLER_EXE_CHECKED | MSP_CALLER_PROBE, "" },
	{ MSP_CALLER_DIRECT, "\"direct\"" },
	{ MSP_CALLER_V6_MAPPED, "\"v6-mapped\"" },
	{ MSP_CALLER_KERNEL, "\"kernel\"" },
	{ MSP_CALLER_PATH_CUT, "\"path-cut\"" },
	{ MSP_CALLER_DEVICE, "\"device\"" },
	{ MSP_CALLER_GROUPS_CUT, "\"groups-cut\"" },
	{ MSP_CALLER_NO_PATH, "\"no-path\"" },
	{ MSP_CALLER_EXE_ELSEWHERE, "\"exe-elsewhere\"" },
	{ UINT32_MAX,
	  "\"direct\",\"v6-mapped\",\"kernel\",\"path-cut\","
	  "\"device\",\"groups-cut\",\"no-path\",\"exe-elsewhere\"" },
};

START_TEST(audit_line_names_the_flags)
{
	char want[128];

	caller.flags |= flags[_i].flags;
	snprintf(want, sizeof(want), "\"flags\":[%s],", flags[_i].names);
	expect_piece(want);
}
END_TEST

START_TEST(audit_line_has_null_for_what_is_not_known)
{
	caller.loginuid = UINT32_MAX;
	caller.n_gids = 0;
	caller.parents[0].pid = 0; /* and what is behind it means nothing */
	caller.cgroup_path = NULL;
	caller.net_ns = caller.mnt_ns = caller.pid_ns = caller.user_ns = 0;
	expect_piece("\"groups\":[],\"euid\":1001,\"loginuid\":null,"
		     "\"parents\":[],\"cgroup\":null,\"unit\":null,"
		     "\"container\":null,\"netns\":null,\"mntns\":null,"
		     "\"pidns\":null,\"userns\":null,");
}
END_TEST

START_TEST(audit_line_has_login_uid_of_root)
{
	caller.loginuid = 0;
	expect_piece("\"loginuid\":0,");
}
END_TEST

#define CONTAINER                                                              \
	"3f4e6b0c9a7d8e1f2a3b4c5d6e7f80910a1b2c3d4e5f60718293a4b5c6d7e8f9"

START_TEST(audit_line_has_unit_and_container_of_the_cgroup)
{
	caller.cgroup_path = "/system.slice/docker-" CONTAINER ".scope/x";
	expect_piece("\"cgroup\":\"/system.slice/docker-" CONTAINER
		     ".scope/x\",\"unit\":\"docker-" CONTAINER
		     ".scope\",\"container\":\"" CONTAINER "\",");
}
END_TEST

/* What is shown of the path ends before the container's number does. */
START_TEST(audit_line_has_container_of_a_path_that_is_cut)
{
	char path[600];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	strcpy(path + 480, "/docker-" CONTAINER);
	caller.cgroup_path = path;
	expect_piece("\"container\":\"" CONTAINER "\",");
}
END_TEST

START_TEST(audit_line_names_canonical_code)
{
	char *text;

	decision.verdict = MSP_DENY;
	decision.reason = MSP_REASON_CANON;
	decision.canon = MSP_CANON_PCT;
	decision.mode = MSP_MODE_AUDIT;
	decision.privilege = NULL;
	decision.identity = NULL;
	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_ptr_nonnull(
		strstr(text, "\"verdict\":\"deny\",\"reason\":\"canon\","
			     "\"canon\":\"CANON_PCT\",\"rule\":\"r1\","
			     "\"privilege\":null,\"identity\":null,"));
	ck_assert_ptr_nonnull(strstr(text, "\"mode\":\"Audit\""));
	free(text);
}
END_TEST

/* ---- hostile texts ----------------------------------------------------- */

static const char *const hostile[] = {
	"",
	"a\"b\\c",
	"x\n{\"verdict\":\"allow\"}",
	"\x01\x02\x1f\x7f",
	"\xff\xfe\xc0\xaf\xed\xa0\x80",
	"\xe2\x82\xac\xf0\x9f\x98\x80",
	"\"},{\"",
};

/* One line of the trail -> its JSON, or the test fails. */
static yajl_val parse_line(const char *line, size_t len)
{
	char error[256];
	char *copy = strndup(line, len);
	yajl_val tree;
	size_t i, n;

	ck_assert_ptr_nonnull(copy);
	for (i = 0; i < len; i += n) {
		n = mspd_utf8_step(copy + i, len - i);
		ck_assert_uint_gt(n, 0);
	}
	tree = yajl_tree_parse(copy, error, sizeof(error));
	ck_assert_msg(tree != NULL, "%s in %s", error, copy);
	free(copy);
	return tree;
}

static yajl_val array_at(yajl_val tree, const char *key)
{
	const char *path[] = { key, NULL };

	return yajl_tree_get(tree, path, yajl_t_array);
}

static const char *string_at(yajl_val tree, const char *key)
{
	const char *path[] = { key, NULL };

	return YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
}

START_TEST(audit_line_is_json_whatever_the_texts)
{
	yajl_val tree;
	char *text;

	record.user = hostile[_i];
	record.method = hostile[_i];
	record.path = hostile[_i];
	decision.rule_id = hostile[_i];
	decision.privilege = hostile[_i];
	decision.identity = hostile[_i];
	snprintf(caller.exe_path, sizeof(caller.exe_path), "%s", hostile[_i]);
	snprintf(caller.comm, sizeof(caller.comm), "%s", hostile[_i]);
	memcpy(caller.parents[0].comm, caller.comm, sizeof(caller.comm));
	caller.cgroup_path = hostile[_i];
	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	tree = parse_line(text, strlen(text) - 1);
	ck_assert_str_eq(string_at(tree, "verdict"), "allow");
	ck_assert_uint_eq(YAJL_GET_OBJECT(tree)->len, 34);
	if (mspd_utf8_step(hostile[_i], 4)) /* valid: it comes back as it was */
		ck_assert_str_eq(string_at(tree, "user"), hostile[_i]);
	if (mspd_utf8_step(hostile[_i], 4))
		ck_assert_str_eq(string_at(tree, "cgroup"), hostile[_i]);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(audit_text_is_cut_at_a_character)
{
	char user[2048];
	yajl_val tree;
	char *text;
	size_t i;

	for (i = 0; i + 3 < sizeof(user); i += 3)
		memcpy(user + i, "\xe2\x82\xac", 3);
	user[i] = '\0';
	record.user = user;
	mspd_audit_write(audit, &record);
	text = close_and_read();
	tree = parse_line(text, strlen(text) - 1);
	ck_assert_uint_eq(strlen(string_at(tree, "user")), 510);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

static void set_longest(char *at, size_t size)
{
	memset(at, 1, size - 1);
	at[size - 1] = '\0';
}

/* A cgroup whose unit and container are as long as can be, too. */
static void set_longest_cgroup(char *at, size_t size)
{
	static const char unit[] = "/x.slice/", end[] = ".service/";

	set_longest(at, size);
	memcpy(at, unit, strlen(unit));
	memset(at + strlen(unit), '\\', 255);
	memcpy(at + strlen(unit) + 256 - strlen(end), end, strlen(end));
	memcpy(at + size - 1 - 65, "/" CONTAINER, 65);
}

static void set_longest_caller(void)
{
	size_t i;

	caller.flags = UINT32_MAX & ~(uint32_t)MSP_CALLER_EXE_VERIFIED;
	caller.uid = caller.gid = caller.euid = caller.pid = UINT32_MAX;
	caller.loginuid = UINT32_MAX - 1;
	caller.net_ns = caller.mnt_ns = UINT32_MAX;
	caller.pid_ns = caller.user_ns = UINT32_MAX;
	caller.n_gids = UINT32_MAX; /* no more are there than there is room */
	memset(caller.gids, 0xff, sizeof(caller.gids));
	set_longest(caller.exe_path, sizeof(caller.exe_path));
	set_longest(caller.comm, sizeof(caller.comm));
	for (i = 0; i < MSP_CALLER_PARENTS; i++) {
		caller.parents[i].pid = UINT32_MAX;
		memset(caller.parents[i].comm, 1, 16); /* without a NUL */
	}
}

/* Everything at its longest once escaped: the line still fits, whole. */
START_TEST(audit_line_of_longest_texts_is_whole)
{
	char longest[2000], cgroup[4096];
	yajl_val tree, last;
	char *text;

	set_longest(longest, sizeof(longest));
	set_longest_cgroup(cgroup, sizeof(cgroup));
	set_longest_caller();
	caller.cgroup_path = cgroup;
	record.user = record.method = record.path = longest;
	decision.rule_id = decision.privilege = decision.identity = longest;
	decision.reason = MSP_REASON_CANON;
	decision.canon = MSP_CANON_DUPLICATE_PARAM;
	record.us = record.id = decision.epoch = UINT64_MAX;
	record.status = UINT32_MAX;
	record.client_port = UINT16_MAX;
	mspd_audit_write(audit, &record);
	text = close_and_read();
	/* seven texts of one escape after the other, and half of an eighth */
	ck_assert_uint_gt(strlen(text), 7 * 6 * MSPD_AUDIT_TEXT);
	ck_assert_uint_lt(strlen(text), MSPD_AUDIT_LINE);
	ck_assert_str_eq(text + strlen(text) - 14, "\"port\":65535}\n");
	tree = parse_line(text, strlen(text) - 1);
	ck_assert_uint_eq(strlen(string_at(tree, "user")), MSPD_AUDIT_TEXT);
	ck_assert_uint_eq(strlen(string_at(tree, "cgroup")), MSPD_AUDIT_TEXT);
	ck_assert_uint_eq(strlen(string_at(tree, "unit")), 255);
	ck_assert_str_eq(string_at(tree, "container"), CONTAINER);
	ck_assert_uint_eq(YAJL_GET_ARRAY(array_at(tree, "groups"))->len,
			  MSP_CALLER_GROUPS_MAX);
	last = YAJL_GET_ARRAY(array_at(tree, "parents"))
		       ->values[MSP_CALLER_PARENTS - 1];
	ck_assert_str_eq(YAJL_GET_STRING(last),
			 "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1[4294967295]");
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(audit_open_reports_failure)
{
	struct mspd_audit *other;

	opts.dir = "";
	ck_assert_int_eq(mspd_audit_open(&other, &opts), -EINVAL);
	ck_assert_ptr_null(other);
	scratch_write("file", "", 0);
	opts.dir = scratch_path("file/d");
	ck_assert_int_eq(mspd_audit_open(&other, &opts), -ENOTDIR);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(mspd_audit_close(NULL), 0);
	ck_assert_int_eq(mspd_audit_close(audit), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_audit");
	TCase *tc = tcase_create("audit");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, audit_line_has_all_keys_in_order);
	tcase_add_test(tc,
		       audit_line_is_of_this_caller_whoever_was_there_before);
	tcase_add_test(tc,
		       audit_line_of_unknown_caller_shows_none_of_its_facts);
	tcase_add_test(tc, audit_line_names_canonical_code);
	tcase_add_loop_test(tc, audit_line_tells_the_state_of_the_executable, 0,
			    COUNT(exe_states));
	tcase_add_loop_test(tc, audit_line_names_the_flags, 0, COUNT(flags));
	tcase_add_test(tc, audit_line_has_null_for_what_is_not_known);
	tcase_add_test(tc, audit_line_has_login_uid_of_root);
	tcase_add_test(tc, audit_line_has_unit_and_container_of_the_cgroup);
	tcase_add_test(tc, audit_line_has_container_of_a_path_that_is_cut);
	tcase_add_loop_test(tc, audit_line_is_json_whatever_the_texts, 0,
			    COUNT(hostile));
	tcase_add_test(tc, audit_text_is_cut_at_a_character);
	tcase_add_test(tc, audit_line_of_longest_texts_is_whole);
	tcase_add_test(tc, audit_open_reports_failure);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
