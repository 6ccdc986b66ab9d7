/* SPDX-License-Identifier: MIT */
/*
 * In: more records than a user may have, or the disk takes. Out: whether lines
 * and what is merged in them are all there were, in order.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/audit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/unchain.h"

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
	caller = (struct msp_caller){ .size = sizeof(caller),
				      .flags = MSP_CALLER_KNOWN,
				      .uid = 1000,
				      .comm = "curl",
				      .exe_path = "/usr/bin/curl" };
	decision = (struct msp_decision){ .size = sizeof(decision),
					  .verdict = MSP_ALLOW,
					  .reason = MSP_REASON_GRANTED,
					  .rule_id = "r1",
					  .privilege = "p1",
					  .identity = "i1" };
	record = (struct mspd_audit_record){
		.time = { 1767323045, 678901234 },
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
	opts = (struct mspd_audit_opts){ .dir = scratch_make(),
					 .records = 1000000,
					 .per_second = 1,
					 .merge_ms = 100 };
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

/* One line of the trail -> its JSON, or the test fails. */
static yajl_val parse_line(const char *line, size_t len)
{
	char error[256];
	char *copy = strndup(line, len);
	yajl_val tree;

	ck_assert_ptr_nonnull(copy);
	tree = yajl_tree_parse(copy, error, sizeof(error));
	ck_assert_msg(tree != NULL, "%s in %s", error, copy);
	free(copy);
	return tree;
}

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

static void wait_for_room(void)
{
	struct pollfd room = { .fd = mspd_audit_room_fd(audit),
			       .events = POLLIN };
	uint64_t n;

	while (!mspd_audit_ready(audit)) {
		ck_assert_int_eq(poll(&room, 1, 10000), 1);
		ck_assert_int_eq(read(room.fd, &n, sizeof(n)), sizeof(n));
	}
}

/* 5 MiB through a memory of one, by somebody who asks whether there is room. */
START_TEST(audit_keeps_every_line_in_order)
{
	const size_t n = 6000;
	char path[300];
	char *text;
	size_t i;

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	record.path = path;
	for (i = 0; i < n; i++) {
		record.id = i;
		wait_for_room();
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

	for (i = 0; i < 3000 && !mspd_audit_failed(audit); i++)
		usleep(10000);
	ck_assert(mspd_audit_failed(audit));
}

START_TEST(audit_waits_for_a_full_disk)
{
	size_t i, len = 0;
	char *text;

	for (i = 0; i < 10; i++) {
		if (i == 3) {
			ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
			free(scratch_read("audit.jsonl", &len));
			limit_file_size(len + 100); /* and a bit of a line */
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

/* Requests that these lines stand for; of @uid, or with -1 of anybody. */
static uint64_t requests_in(const char *text, long long uid, size_t *n_lines)
{
	const char *merged[] = { "merged", NULL }, *who[] = { "uid", NULL };
	uint64_t n = 0;
	size_t lines = 0;
	yajl_val tree, v;

	for (; *text; text = strchr(text, '\n') + 1) {
		tree = parse_line(text, (size_t)(strchr(text, '\n') - text));
		v = yajl_tree_get(tree, who, yajl_t_number);
		if (uid < 0 || (v && YAJL_GET_INTEGER(v) == uid)) {
			v = yajl_tree_get(tree, merged, yajl_t_number);
			n += 1 + (v ? (uint64_t)YAJL_GET_INTEGER(v) : 0);
			lines++;
		}
		yajl_tree_free(tree);
	}
	if (n_lines)
		*n_lines = lines;
	return n;
}

/* Ten times what memory holds, and nobody asked whether there is room: what
 * has none is counted. */
START_TEST(audit_loses_nothing_when_memory_is_full)
{
	const size_t n = 20000;
	char path[300];
	char *text;
	size_t i;

	limit_file_size(0);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/%zu/%250d", i, 0);
		record.path = path;
		record.id = i;
		decision.verdict = (enum msp_verdict)(i % 3);
		caller.uid = 1000 + (uint32_t)(i % 1000);
		record.owner = caller.uid;
		mspd_audit_write(audit, &record);
	}
	wait_for_failure();
	limit_file_size(RLIM_INFINITY);
	text = close_and_read();
	ck_assert_uint_eq(requests_in(text, -1, &i), n);
	ck_assert_uint_lt(i, n / 2);
	free(text);
}
END_TEST

START_TEST(audit_is_not_ready_while_the_disk_is_full)
{
	struct pollfd room = { .fd = mspd_audit_room_fd(audit),
			       .events = POLLIN };

	ck_assert(mspd_audit_ready(audit));
	limit_file_size(0);
	mspd_audit_write(audit, &record);
	wait_for_failure();
	ck_assert(!mspd_audit_ready(audit));
	ck_assert_int_eq(poll(&room, 1, 0), 0);
	limit_file_size(RLIM_INFINITY);
	ck_assert_int_eq(poll(&room, 1, 10000), 1);
	ck_assert(mspd_audit_ready(audit));
	free(close_and_read());
}
END_TEST

static atomic_int faults[2];

static void on_fault(void *arg, int err)
{
	ck_assert_ptr_eq(arg, faults);
	faults[0] += err == EFBIG;
	faults[1] += err == 0;
}

START_TEST(audit_tells_of_a_fault_and_of_its_end)
{
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	opts.on_fault = on_fault;
	opts.arg = faults;
	start();
	mspd_audit_write(audit, &record);
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	ck_assert_int_eq(faults[0] + faults[1], 0);
	limit_file_size(0);
	mspd_audit_write(audit, &record);
	wait_for_failure();
	limit_file_size(RLIM_INFINITY);
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	free(close_and_read());
	ck_assert_int_eq(faults[0], 1);
	ck_assert_int_eq(faults[1], 1);
}
END_TEST

/* ---- budgets ------------------------------------------------------------ */

static void restart_with(uint32_t records, uint32_t merge_ms)
{
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	opts.records = records;
	opts.merge_ms = merge_ms;
	start();
}

static void write_as(uint32_t uid, size_t n)
{
	size_t i;

	caller.uid = uid;
	record.owner = uid;
	for (i = 0; i < n; i++) {
		record.id++;
		mspd_audit_write(audit, &record);
	}
}

START_TEST(audit_counts_what_repeats_beyond_a_budget)
{
	size_t lines;
	char *text;

	opts.per_second = 0; /* however long it takes */
	restart_with(10, 3600000);
	decision.verdict = MSP_DENY;
	record.status = 403;
	record.id = 100;
	write_as(1000, 12);
	record.time.tv_sec += 60;
	write_as(1000, 1);
	write_as(2000, 5);
	text = close_and_read();
	ck_assert_uint_eq(requests_in(text, 1000, &lines), 13);
	ck_assert_uint_eq(lines, 11);
	ck_assert_uint_eq(requests_in(text, 2000, &lines), 5);
	ck_assert_uint_eq(lines, 5);
	/* that of the first that was counted, and when the last one came */
	ck_assert_ptr_nonnull(strstr(
		text, "{\"time\":\"2026-01-02T03:04:05.678901Z\",\"id\":111,"));
	ck_assert_ptr_nonnull(
		strstr(text, "\"port\":50000,\"merged\":2,"
			     "\"last\":\"2026-01-02T03:05:05.678901Z\"}\n"));
	free(text);
}
END_TEST

/* While it goes on, from time to time. */
START_TEST(audit_tells_what_is_counted_before_it_ends)
{
	char *text = NULL;
	size_t lines = 0;
	int i;

	restart_with(1, 50);
	for (i = 0; i < 3000 && lines < 4; i++) {
		write_as(1000, 3);
		usleep(10000);
		free(text);
		text = scratch_read("audit.jsonl", NULL);
		requests_in(text, -1, &lines);
	}
	free(text);
	ck_assert_uint_ge(lines, 4);
	text = close_and_read();
	ck_assert_uint_eq(requests_in(text, -1, NULL), 3 * (unsigned int)i);
	free(text);
}
END_TEST

static void grow_file(size_t size)
{
	char *lines = malloc(size);

	ck_assert_ptr_nonnull(lines);
	memset(lines, '\n', size);
	scratch_write("audit.jsonl", lines, size);
	free(lines);
}

/* And if nothing else happens any more. */
START_TEST(audit_tells_what_was_counted_last)
{
	size_t before = 0, len = 0;
	int i;

	opts.per_second = 0;
	restart_with(1, 50);
	write_as(1000, 1);
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	free(scratch_read("audit.jsonl", &before));
	usleep(50000); /* the writer has nothing to wait for */
	write_as(1000, 1);
	for (i = 0; i < 3000 && len <= before; i++) {
		usleep(10000);
		free(scratch_read("audit.jsonl", &len));
	}
	ck_assert_uint_gt(len, before);
	free(close_and_read());
}
END_TEST

START_TEST(audit_tells_what_is_counted_in_the_file_it_began_in)
{
	size_t lines;
	char *text;

	grow_file(10 * 1024 * 1024 - 1500);
	restart_with(1, 3600000);
	write_as(1000, 100);
	write_as(2000, 1);
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	write_as(2001, 1); /* with which it is full */
	ck_assert_int_eq(mspd_audit_flush(audit, 10000), 0);
	write_as(2002, 1);
	text = close_and_read();
	requests_in(text, -1, &lines);
	ck_assert_uint_eq(lines, 1);
	ck_assert_int_eq(scratch_count("audit.jsonl."), 1);
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

int main(void)
{
	Suite *s = suite_create("mspd_audit_budget");
	TCase *tc = tcase_create("audit");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, audit_keeps_every_line_in_order);
	tcase_add_test(tc, audit_waits_for_a_full_disk);
	tcase_add_test(tc, audit_loses_nothing_when_memory_is_full);
	tcase_add_test(tc, audit_is_not_ready_while_the_disk_is_full);
	tcase_add_test(tc, audit_tells_of_a_fault_and_of_its_end);
	tcase_add_test(tc, audit_counts_what_repeats_beyond_a_budget);
	tcase_add_test(tc, audit_tells_what_is_counted_before_it_ends);
	tcase_add_test(tc, audit_tells_what_was_counted_last);
	tcase_add_test(tc, audit_tells_what_is_counted_in_the_file_it_began_in);
	tcase_add_test(tc, audit_close_reports_lost_lines);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
