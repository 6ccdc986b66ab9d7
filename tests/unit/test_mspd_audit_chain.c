/* SPDX-License-Identifier: MIT */
/*
 * In: trails that end in all kinds of ways, and records that are added. Out:
 * whether each line is tied to the one before it, as the man page tells.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mspd/audit.h"
#include "mspd/audit_chain.h"
#include "tests/lib/scratch.h"

#define ZERO "00000000000000000000000000000000"
#define OLD  "{\"time\":\"x\"}\n"

static struct mspd_audit *audit;
static struct msp_caller caller = { .size = sizeof(caller),
				    .flags = MSP_CALLER_KNOWN,
				    .comm = "curl",
				    .exe_path = "/usr/bin/curl" };
static struct mspd_audit_record record = {
	.time = { 1767323045, 678901234 },
	.caller = &caller,
	.endpoint = MSP_ENDPOINT_IMDS,
	.method = "GET",
	.path = "/x",
};
static struct mspd_audit_opts opts;

static void setup(void)
{
	opts = (struct mspd_audit_opts){ .dir = scratch_make(),
					 .records = 1000000,
					 .merge_ms = 100 };
	record.id = 0;
}

static void teardown(void)
{
	scratch_remove();
}

/* As after a start: so many records, and the end. What finds no room would be
 * merged, so the file is waited for. */
static void write_records(unsigned int n)
{
	ck_assert_int_eq(mspd_audit_open(&audit, &opts), 0);
	while (n--) {
		while (!mspd_audit_ready(audit))
			sched_yield(); /* the writer is behind */
		record.id++;
		mspd_audit_write(audit, &record);
		if (record.id % 100 == 0)
			ck_assert_int_eq(mspd_audit_flush(audit, 30000), 0);
	}
	ck_assert_int_eq(mspd_audit_close(audit), 0);
}

/* ---- the chain, once more ----------------------------------------------- */

static void hash_of(char out[33], const char *before, const char *at,
		    size_t len)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	char *all = malloc(32 + len);
	size_t i;

	ck_assert_ptr_nonnull(all);
	memcpy(all, before, 32);
	memcpy(all + 32, at, len);
	SHA256((unsigned char *)all, 32 + len, sum);
	for (i = 0; i < 16; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	free(all);
}

/* The line is number @number, behind @hash, which becomes its own. Returns
 * what is behind the line. */
static const char *check_line(const char *line, unsigned int number,
			      char hash[33])
{
	const char *lf = strchr(line, '\n');
	char want[128], own[33];

	ck_assert_msg(lf != NULL, "no line in %s", line);
	hash_of(own, hash, line, (size_t)(lf - line) - 34);
	snprintf(want, sizeof(want), ",\"chain\":\"%015u:%s\"}\n", number, own);
	ck_assert_int_gt(lf - line, (long)strlen(want));
	ck_assert_msg(memcmp(lf + 1 - strlen(want), want, strlen(want)) == 0,
		      "%s does not end %s", want, line);
	memcpy(hash, own, sizeof(own));
	return lf + 1;
}

/* @text is nothing but these lines. */
static void check_lines(const char *text, unsigned int first, unsigned int n,
			char hash[33])
{
	while (n--)
		text = check_line(text, first++, hash);
	ck_assert_str_eq(text, "");
}

static void check_file(unsigned int first, unsigned int n, char hash[33])
{
	char *text = scratch_read("audit.jsonl", NULL);

	check_lines(text, first, n, hash);
	free(text);
}

/* ---- tests -------------------------------------------------------------- */

START_TEST(chain_ties_each_record_to_the_one_before)
{
	char hash[33] = ZERO;

	write_records(1000);
	check_file(1, 1000, hash);
}
END_TEST

START_TEST(chain_goes_on_after_a_restart)
{
	char hash[33] = ZERO;

	write_records(3);
	write_records(0);
	write_records(2);
	check_file(1, 5, hash);
}
END_TEST

START_TEST(chain_begins_behind_records_that_have_none)
{
	char hash[33] = ZERO;
	char *text;

	scratch_write("audit.jsonl", OLD OLD, 2 * strlen(OLD));
	write_records(2);
	text = scratch_read("audit.jsonl", NULL);
	check_lines(text + 2 * strlen(OLD), 1, 2, hash);
	free(text);
}
END_TEST

#define OLDEST "audit.jsonl.2026-01-02T03.04.05.678-1.log"
#define OLDER  "audit.jsonl.2026-01-02T03.04.06.678-1.log"

static void rename_to(const char *name)
{
	char from[512];

	snprintf(from, sizeof(from), "%s", scratch_path("audit.jsonl"));
	ck_assert_int_eq(rename(from, scratch_path(name)), 0);
}

/* What a crash between the two steps of a rotation leaves. */
START_TEST(chain_goes_on_where_the_last_file_ended)
{
	char hash[33] = ZERO;
	char *text;

	write_records(1);
	rename_to(OLDEST);
	write_records(2);
	rename_to(OLDER);
	if (_i)
		scratch_write("audit.jsonl", "", 0);
	write_records(1);
	text = scratch_read(OLDEST, NULL);
	check_lines(text, 1, 1, hash);
	free(text);
	text = scratch_read(OLDER, NULL);
	check_lines(text, 2, 2, hash);
	free(text);
	check_file(4, 1, hash);
}
END_TEST

/* As it is at 10 MiB. */
START_TEST(chain_goes_on_when_a_file_is_full)
{
	char hash[33] = ZERO;
	const size_t size = 10 * 1024 * 1024;
	char *junk, *text;

	write_records(1);
	text = scratch_read("audit.jsonl", NULL);
	check_lines(text, 1, 1, hash);
	junk = calloc(1, size + strlen(text) + 1);
	ck_assert_ptr_nonnull(junk);
	memset(junk, 'x', size - 1);
	junk[size - 1] = '\n';
	strcpy(junk + size, text);
	scratch_write("audit.jsonl", junk, strlen(junk));
	write_records(1);
	check_file(2, 1, hash);
	free(text);
	free(junk);
}
END_TEST

/* Whatever of a line is there: it stays, and the next one says so. */
static void tear(size_t cut, bool first)
{
	char hash[33] = ZERO, want[64];
	const char *at;
	size_t len, one;
	char *text;

	write_records(first ? 1 : 2);
	text = scratch_read("audit.jsonl", &len);
	one = (size_t)(strchr(text, '\n') - text) + 1;
	if (first)
		one = 0;
	len = one + cut;
	scratch_write("audit.jsonl", text, len);
	write_records(2);
	free(text);
	text = scratch_read("audit.jsonl", NULL);
	at = text;
	if (!first)
		at = check_line(at, 1, hash);
	ck_assert_int_eq(text[len], '\n');
	hash_of(hash, hash, at, cut);
	at = text + len + 1;
	snprintf(want, sizeof(want), ",\"torn\":%zu,\"chain\":", cut);
	ck_assert_ptr_nonnull(strstr(at, want));
	check_lines(at, first ? 1 : 2, 3, hash);
	free(text);
}

START_TEST(chain_goes_on_behind_part_of_a_line)
{
	static const size_t cuts[] = { 1, 2, 37, 100, 300, 400 };

	tear(cuts[_i % 6], _i >= 6);
	/* no second time */
	write_records(1);
	free(scratch_read("audit.jsonl", NULL));
}
END_TEST

/* The disk was full again when it was to be told of. */
START_TEST(chain_goes_on_behind_part_of_a_line_that_was_ended)
{
	static const size_t cuts[] = { 1, 37, 300 };
	char hash[33] = ZERO, want[64];
	size_t cut = cuts[_i % 3];
	char *text, *part;
	const char *at;
	size_t len;

	write_records(2);
	text = scratch_read("audit.jsonl", &len);
	part = strchr(text, '\n') + 1;
	part[cut] = '\n';
	scratch_write("audit.jsonl", text, (size_t)(part - text) + cut + 1);
	if (_i >= 3)
		ck_assert_int_eq(
			rename(scratch_path("audit.jsonl"),
			       scratch_path("audit.jsonl.2020-01-01T00.00.00."
					    "000-1577836800000000000.log")),
			0);
	check_line(text, 1, hash);
	hash_of(hash, hash, part, cut);
	snprintf(want, sizeof(want), ",\"torn\":%zu,\"chain\":", cut);
	len = _i < 3 ? (size_t)(part - text) + cut + 1 : 0;
	free(text);
	write_records(2);
	text = scratch_read("audit.jsonl", NULL);
	at = text + len;
	ck_assert_ptr_nonnull(strstr(at, want));
	check_lines(at, 2, 3, hash);
	free(text);
}
END_TEST

START_TEST(chain_ends_a_line_that_misses_nothing_else)
{
	char hash[33] = ZERO;
	char *text;
	size_t len;

	write_records(2);
	text = scratch_read("audit.jsonl", &len);
	scratch_write("audit.jsonl", text, len - 1);
	free(text);
	write_records(1);
	check_file(1, 3, hash);
}
END_TEST

/* A file may be as large as what is in it now and a bit. */
START_TEST(chain_is_whole_after_the_disk_was_full)
{
	const struct rlimit none = { 100, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char hash[33] = ZERO;
	unsigned int i;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(mspd_audit_open(&audit, &opts), 0);
	setrlimit(RLIMIT_FSIZE, &none);
	for (i = 0; i < 5; i++) {
		record.id++;
		mspd_audit_write(audit, &record);
	}
	while (!mspd_audit_failed(audit))
		usleep(1000);
	setrlimit(RLIMIT_FSIZE, &all);
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	write_records(1);
	check_file(1, 6, hash);
}
END_TEST

/* The LF behind part of a line needs room, too. */
START_TEST(chain_ends_part_of_a_line_once_there_is_room)
{
	const struct rlimit none = { 10, RLIM_INFINITY };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char hash[33];
	char *text;

	signal(SIGXFSZ, SIG_IGN);
	scratch_write("audit.jsonl", "0123456789", 10);
	setrlimit(RLIMIT_FSIZE, &none);
	ck_assert_int_eq(mspd_audit_open(&audit, &opts), 0);
	while (!mspd_audit_failed(audit))
		usleep(1000);
	setrlimit(RLIMIT_FSIZE, &all);
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	hash_of(hash, ZERO, "0123456789", 10);
	text = scratch_read("audit.jsonl", NULL);
	ck_assert_int_eq(memcmp(text, "0123456789\n", 11), 0);
	check_lines(text + 11, 1, 1, hash);
	free(text);
}
END_TEST

/* It is said that nothing can be written, and what is decided waits. */
START_TEST(chain_goes_on_where_the_disk_was_full_at_the_start)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	const struct rlimit none = { 0, RLIM_INFINITY };
	char hash[33] = ZERO, own[33];
	const char *at;
	size_t part;
	char *text;

	write_records(3);
	signal(SIGXFSZ, SIG_IGN);
	text = scratch_read("audit.jsonl", NULL);
	scratch_write("audit.jsonl", text, strlen(text) - 10);
	free(text);
	setrlimit(RLIMIT_FSIZE, &none);
	ck_assert_int_eq(mspd_audit_open(&audit, &opts), 0);
	ck_assert(mspd_audit_failed(audit));
	ck_assert(!mspd_audit_ready(audit));
	setrlimit(RLIMIT_FSIZE, &all);
	while (mspd_audit_failed(audit))
		usleep(1000);
	ck_assert_int_eq(mspd_audit_close(audit), 0);
	text = scratch_read("audit.jsonl", NULL);
	at = check_line(text, 1, hash);
	at = check_line(at, 2, hash);
	part = strcspn(at, "\n");
	hash_of(own, hash, at, part);
	check_lines(at + part + 1, 3, 1, own);
	free(text);
}
END_TEST

START_TEST(chain_fill_refuses_what_has_no_room_for_a_place)
{
	struct mspd_chain chain;
	char line[] = "{\"time\":1}\n";

	ck_assert_int_eq(mspd_chain_init(&chain), 0);
	ck_assert_int_eq(mspd_chain_fill(&chain, line, strlen(line)), -EIO);
	ck_assert_uint_eq(chain.number, 0);
	ck_assert_int_eq(mspd_chain_fill(&chain, line, 3), -EIO);
	mspd_chain_free(&chain);
}
END_TEST

static const char *const set_back[] = {
	"2099-01-01T00.00.00.000-4070908800000000000",
	"2099-12-31T23.59.59.999-4102444799999999999",
	/* not by us: the time is said twice, and differs */
	"2020-01-01T00.00.00.000-9",
};

/* Which is the oldest, and so is deleted first, is told by their names. */
START_TEST(rotation_keeps_the_newest_when_the_clock_was_set_back)
{
	struct mspd_rotate file;
	char name[128], text[16];
	ssize_t n;
	int i, fd;

	snprintf(name, sizeof(name), "audit.jsonl.%s.log", set_back[_i]);
	scratch_write(name, "0\n", 2);
	ck_assert_int_eq(
		mspd_rotate_open(&file, scratch_path(""), "audit.jsonl"), 0);
	file.limit = 2;
	for (i = 1; i < 4 * MSPD_ROTATE_FILES; i++) {
		snprintf(text, sizeof(text), "%d\n", i);
		ck_assert_int_eq(mspd_rotate_append(&file, text, strlen(text)),
				 0);
		fd = mspd_rotate_predecessor(&file);
		ck_assert_int_ge(fd, 0);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		ck_assert_int_gt(n, 0);
		text[n] = '\0';
		ck_assert_int_eq(atoi(text), i - 1);
	}
	mspd_rotate_close(&file);
	ck_assert_int_eq(scratch_count("audit.jsonl."), MSPD_ROTATE_FILES - 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_audit_chain");
	TCase *tc = tcase_create("chain");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, chain_ties_each_record_to_the_one_before);
	tcase_add_test(tc, chain_goes_on_after_a_restart);
	tcase_add_test(tc, chain_begins_behind_records_that_have_none);
	tcase_add_loop_test(tc, chain_goes_on_where_the_last_file_ended, 0, 2);
	tcase_add_test(tc, chain_goes_on_when_a_file_is_full);
	tcase_add_loop_test(tc, chain_goes_on_behind_part_of_a_line, 0, 12);
	tcase_add_loop_test(
		tc, chain_goes_on_behind_part_of_a_line_that_was_ended, 0, 6);
	tcase_add_test(tc, chain_ends_a_line_that_misses_nothing_else);
	tcase_add_test(tc, chain_is_whole_after_the_disk_was_full);
	tcase_add_test(tc, chain_ends_part_of_a_line_once_there_is_room);
	tcase_add_test(tc, chain_goes_on_where_the_disk_was_full_at_the_start);
	tcase_add_test(tc, chain_fill_refuses_what_has_no_room_for_a_place);
	tcase_add_loop_test(
		tc, rotation_keeps_the_newest_when_the_clock_was_set_back, 0,
		sizeof(set_back) / sizeof(set_back[0]));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
