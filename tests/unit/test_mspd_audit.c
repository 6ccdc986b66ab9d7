/* SPDX-License-Identifier: MIT */
/*
 * In: decisions with hostile texts, and a disk that fills. Out: whether each
 * is one whole JSON line, in order, none missing.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/audit.h"
#include "mspd/text.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static const char *dir;
static struct mspd_audit *audit;
static struct msp_caller caller;
static struct msp_decision decision;
static struct mspd_audit_record record;

static void setup(void)
{
	dir = scratch_make();
	caller = (struct msp_caller){ .size = sizeof(caller),
				      .flags = MSP_CALLER_KNOWN,
				      .uid = 1000,
				      .pid = 42,
				      .comm = "curl",
				      .exe_path = "/usr/bin/curl" };
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
	ck_assert_int_eq(mspd_audit_open(&audit, dir), 0);
}

static void teardown(void)
{
	scratch_remove();
}

static char *close_and_read(void)
{
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	return scratch_read("audit.jsonl", NULL);
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
	"\"comm\":null,\"endpoint\":null,\"method\":null,\"path\":null,"       \
	"\"verdict\":\"deny\",\"reason\":\"refused\",\"rule\":null,"           \
	"\"privilege\":null,\"identity\":null,\"epoch\":null,"                 \
	"\"status\":421,\"us\":1234,\"mode\":null,\"port\":50000}\n"
	ck_assert_str_eq(text, LINE LINE);
	free(text);
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
	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	tree = parse_line(text, strlen(text) - 1);
	ck_assert_str_eq(string_at(tree, "verdict"), "allow");
	ck_assert_uint_eq(YAJL_GET_OBJECT(tree)->len, 20);
	if (mspd_utf8_step(hostile[_i], 4)) /* valid: it comes back as it was */
		ck_assert_str_eq(string_at(tree, "user"), hostile[_i]);
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

/* Every text at its longest once escaped: the line still fits, whole. */
START_TEST(audit_line_of_longest_texts_is_whole)
{
	char longest[2000];
	yajl_val tree;
	char *text;

	memset(longest, 1, sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	record.user = record.method = record.path = longest;
	decision.rule_id = decision.privilege = decision.identity = longest;
	memset(caller.exe_path, 1, sizeof(caller.exe_path) - 1);
	memset(caller.comm, 1, sizeof(caller.comm) - 1);
	record.us = record.id = decision.epoch = UINT64_MAX;
	mspd_audit_write(audit, &record);
	text = close_and_read();
	ck_assert_uint_lt(strlen(text), MSPD_AUDIT_LINE);
	ck_assert_str_eq(text + strlen(text) - 2, "}\n");
	tree = parse_line(text, strlen(text) - 1);
	ck_assert_uint_eq(strlen(string_at(tree, "user")), MSPD_AUDIT_TEXT);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

/* ---- order, room, failure ---------------------------------------------- */

static void assert_ids_in_order(const char *text, size_t n)
{
	const char *line = text;
	char id[32];
	size_t i;

	for (i = 0; i < n; i++) {
		const char *end = strchr(line, '\n');

		ck_assert_msg(end != NULL, "%zu lines of %zu", i, n);
		snprintf(id, sizeof(id), "\"id\":%zu,", i);
		ck_assert_ptr_nonnull(
			memmem(line, (size_t)(end - line), id, strlen(id)));
		line = end + 1;
	}
	ck_assert_str_eq(line, "");
}

/* 5 MiB through a ring of one: it goes round, and writers wait. */
START_TEST(audit_keeps_every_line_in_order)
{
	const size_t n = 10000;
	char path[300];
	char *text;
	size_t i;

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	record.path = path;
	for (i = 0; i < n; i++) {
		record.id = i;
		mspd_audit_write(audit, &record);
	}
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	text = close_and_read();
	assert_ids_in_order(text, n);
	free(text);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void wait_for_failure(void)
{
	int i;

	for (i = 0; i < 500 && !mspd_audit_failed(audit); i++)
		usleep(10000);
	ck_assert(mspd_audit_failed(audit));
}

START_TEST(audit_waits_for_a_full_disk)
{
	char *text;
	size_t i;

	for (i = 0; i < 10; i++) {
		if (i == 3) {
			ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
			limit_file_size(3 * 300 + 100);
		}
		record.id = i;
		mspd_audit_write(audit, &record);
	}
	wait_for_failure();
	ck_assert_int_eq(mspd_audit_flush(audit, 20), -ETIMEDOUT);
	text = scratch_read("audit.jsonl", NULL);
	ck_assert_int_eq(text[strlen(text) - 1], '\n'); /* never half a line */
	free(text);
	limit_file_size(RLIM_INFINITY);
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	ck_assert(!mspd_audit_failed(audit));
	text = close_and_read();
	assert_ids_in_order(text, 10);
	free(text);
}
END_TEST

static void wait_for_size(size_t size)
{
	size_t len = 0;
	int i;

	for (i = 0; i < 500 && len < size; i++) {
		usleep(10000);
		free(scratch_read("audit.jsonl", &len));
	}
	ck_assert_uint_ge(len, size);
}

/* More than one batch waits, and the disk has room for one. */
START_TEST(audit_batch_ends_with_a_line)
{
	const size_t batch = 2 * MSPD_AUDIT_LINE;
	char *text;
	size_t i;

	limit_file_size(0);
	for (i = 0; i < batch / 100; i++) {
		record.id = i;
		mspd_audit_write(audit, &record);
	}
	wait_for_failure();
	limit_file_size(batch + 1000);
	wait_for_size(batch - MSPD_AUDIT_LINE);
	wait_for_failure();
	text = scratch_read("audit.jsonl", NULL);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	free(text);
	limit_file_size(RLIM_INFINITY);
	text = close_and_read();
	assert_ids_in_order(text, i);
	free(text);
}
END_TEST

static void *write_two(void *arg)
{
	struct mspd_audit_record second = record;
	atomic_bool *finished = arg;

	second.id++;
	mspd_audit_write(audit, &record);
	mspd_audit_write(audit, &second);
	*finished = true;
	return NULL;
}

/* Lines so long that two of them never fit into what is left. */
START_TEST(audit_writer_waits_while_memory_is_full)
{
	atomic_bool finished = false;
	char longest[600];
	pthread_t thread;
	size_t n = 0;
	char *text;

	memset(longest, 1, sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	record.user = record.method = record.path = longest;
	decision.rule_id = decision.privilege = decision.identity = longest;
	limit_file_size(0);
	while (mspd_audit_ready(audit)) {
		record.id = n++;
		mspd_audit_write(audit, &record);
	}
	ck_assert_uint_gt(n, 40);
	record.id = n;
	ck_assert_int_eq(pthread_create(&thread, NULL, write_two, &finished),
			 0);
	usleep(50000);
	ck_assert(!finished);
	limit_file_size(RLIM_INFINITY);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(finished);
	text = close_and_read();
	assert_ids_in_order(text, n + 2);
	free(text);
}
END_TEST

START_TEST(audit_close_reports_lost_lines)
{
	limit_file_size(0);
	mspd_audit_write(audit, &record);
	wait_for_failure();
	ck_assert_int_eq(mspd_audit_close(audit), -EFBIG);
	limit_file_size(RLIM_INFINITY);
}
END_TEST

START_TEST(audit_open_reports_failure)
{
	struct mspd_audit *other;

	ck_assert_int_eq(mspd_audit_open(&other, ""), -EINVAL);
	ck_assert_ptr_null(other);
	scratch_write("file", "", 0);
	ck_assert_int_eq(mspd_audit_open(&other, scratch_path("file/d")),
			 -ENOTDIR);
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
		       audit_line_of_unknown_caller_shows_none_of_its_facts);
	tcase_add_test(tc, audit_line_names_canonical_code);
	tcase_add_loop_test(tc, audit_line_is_json_whatever_the_texts, 0,
			    COUNT(hostile));
	tcase_add_test(tc, audit_text_is_cut_at_a_character);
	tcase_add_test(tc, audit_line_of_longest_texts_is_whole);
	tcase_add_test(tc, audit_keeps_every_line_in_order);
	tcase_add_test(tc, audit_waits_for_a_full_disk);
	tcase_add_test(tc, audit_batch_ends_with_a_line);
	tcase_add_test(tc, audit_writer_waits_while_memory_is_full);
	tcase_add_test(tc, audit_close_reports_lost_lines);
	tcase_add_test(tc, audit_open_reports_failure);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
