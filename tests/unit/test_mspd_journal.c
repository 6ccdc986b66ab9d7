/* SPDX-License-Identifier: MIT */
/*
 * In: messages, some of them forged. Out: whether a journal that reads its
 * protocol gets each of them once, as it is.
 */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mspd/journal.h"
#include "tests/lib/scratch.h"

static int server = -1;
static int client = -1;

static void setup(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	scratch_make();
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", scratch_path("j"));
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(server, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	client = mspd_journal_open(scratch_path("j"));
	ck_assert_int_ge(client, 0);
}

static void teardown(void)
{
	close(client);
	close(server);
	scratch_remove();
}

/* As the journal does: NAME=VALUE LF, or NAME LF length value LF. Sets @out to
 * the value of a field, which must be there once; NULL: it is not. */
static void field(const char *data, size_t len, const char *name, char *out)
{
	size_t at = 0;
	int found = 0;

	while (at < len) {
		const char *lf = memchr(data + at, '\n', len - at);
		const char *equals;
		const char *value;
		size_t name_len, n;
		uint64_t size;

		ck_assert_ptr_nonnull(lf);
		equals = memchr(data + at, '=', (size_t)(lf - data) - at);
		if (equals) {
			name_len = (size_t)(equals - data) - at;
			value = equals + 1;
			n = (size_t)(lf - value);
		} else {
			name_len = (size_t)(lf - data) - at;
			memcpy(&size, lf + 1, sizeof(size));
			value = lf + 1 + sizeof(size);
			n = (size_t)le64toh(size);
			ck_assert(value[n] == '\n');
		}
		if (name_len == strlen(name) &&
		    memcmp(data + at, name, name_len) == 0) {
			memcpy(out, value, n);
			out[n] = '\0';
			found++;
		}
		at = (size_t)(value + n + 1 - data);
	}
	ck_assert_uint_eq(at, len);
	ck_assert_int_eq(found, 1);
}

static char data[65536];
static char value[65536];

static size_t take(void)
{
	ssize_t n = recv(server, data, sizeof(data), 0);

	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

START_TEST(journal_gets_level_place_and_text)
{
	static const char *const priorities[] = { "3", "4", "6", "7", "7" };
	const struct mspd_code here = { "mspd/x.c", "do_it", 42 };
	enum mspd_level level;
	size_t n;

	for (level = MSPD_ERROR; level <= MSPD_TRACE; level++) {
		ck_assert_int_eq(
			mspd_journal_send(client, level, &here, "text", 4), 0);
		n = take();
		field(data, n, "PRIORITY", value);
		ck_assert_str_eq(value, priorities[level]);
		field(data, n, "MESSAGE", value);
		ck_assert_str_eq(value, "text");
		field(data, n, "CODE_FILE", value);
		ck_assert_str_eq(value, "mspd/x.c");
		field(data, n, "CODE_LINE", value);
		ck_assert_str_eq(value, "42");
		field(data, n, "CODE_FUNC", value);
		ck_assert_str_eq(value, "do_it");
		field(data, n, "SYSLOG_IDENTIFIER", value);
		ck_assert_str_eq(value, program_invocation_short_name);
	}
}
END_TEST

START_TEST(journal_takes_no_field_out_of_a_message)
{
	const char text[] = "a\nPRIORITY=0\nMESSAGE=b\n";
	size_t n;

	ck_assert_int_eq(
		mspd_journal_send(client, MSPD_INFO, NULL, text, strlen(text)),
		0);
	n = take();
	field(data, n, "MESSAGE", value);
	ck_assert_str_eq(value, text);
	field(data, n, "PRIORITY", value);
	ck_assert_str_eq(value, "6");
}
END_TEST

START_TEST(journal_cuts_between_characters)
{
	static char text[MSPD_JOURNAL_MESSAGE + 10];
	size_t n;

	memset(text, 'x', sizeof(text));
	memcpy(text + MSPD_JOURNAL_MESSAGE - 1, "\xc3\xa4", 2);
	ck_assert_int_eq(
		mspd_journal_send(client, MSPD_INFO, NULL, text, sizeof(text)),
		0);
	n = take();
	field(data, n, "MESSAGE", value);
	ck_assert_uint_eq(strlen(value), MSPD_JOURNAL_MESSAGE - 1);
}
END_TEST

START_TEST(journal_is_not_waited_for)
{
	int i;
	int rc = 0;

	for (i = 0; i < 100000 && rc == 0; i++)
		rc = mspd_journal_send(client, MSPD_INFO, NULL, "x", 1);
	ck_assert_int_eq(rc, -EAGAIN);
	take();
	ck_assert_int_eq(mspd_journal_send(client, MSPD_INFO, NULL, "x", 1), 0);
}
END_TEST

START_TEST(journal_that_is_gone_is_an_error)
{
	close(server);
	ck_assert_int_lt(mspd_journal_send(client, MSPD_INFO, NULL, "x", 1), 0);
	ck_assert_int_lt(mspd_journal_open(scratch_path("none")), 0);
	server = socket(AF_UNIX, SOCK_DGRAM, 0);
}
END_TEST

START_TEST(journal_is_told_by_device_and_inode)
{
	char stream[64];
	struct stat st;
	int fd = open(scratch_path("out"), O_CREAT | O_RDWR, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	ck_assert(mspd_journal_behind(fd, stream));
	ck_assert(!mspd_journal_behind(fd, NULL));
	ck_assert(!mspd_journal_behind(fd, ""));
	ck_assert(!mspd_journal_behind(-1, stream));
	stream[strlen(stream) - 1]++;
	ck_assert(!mspd_journal_behind(fd, stream));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd journal");
	TCase *tc = tcase_create("journal");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, journal_gets_level_place_and_text);
	tcase_add_test(tc, journal_takes_no_field_out_of_a_message);
	tcase_add_test(tc, journal_cuts_between_characters);
	tcase_add_test(tc, journal_is_not_waited_for);
	tcase_add_test(tc, journal_that_is_gone_is_an_error);
	tcase_add_test(tc, journal_is_told_by_device_and_inode);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
