/* SPDX-License-Identifier: MIT */
/*
 * In: what becomes ready, when, and who asks. Out: whether cloud-init is told
 * the truth, in the answer, in the two tags and on the console.
 */
#include <check.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mspd/log.h"
#include "mspd/provision.h"
#include "tests/lib/scratch.h"

#define COUNT(a)  ((int)(sizeof(a) / sizeof((a)[0])))
#define TIMEOUT	  120000
#define HASTEN	  15000
#define START	  5000
#define REDIRECT  MSPD_PROVISION_REDIRECTOR
#define KEY	  MSPD_PROVISION_KEY
#define LISTEN	  MSPD_PROVISION_LISTENER
#define NO_EBPF	  "ebpfProgramStatus - Status unknown.\r\n"
#define NO_KEY	  "keyLatchStatus - Status unknown.\r\n"
#define NO_LISTEN "proxyListenerStatus - Status unknown.\r\n"

static struct mspd_status *status;
static struct mspd_console console;
static struct mspd_provision *provision;

static void setup(void)
{
	static char path[256];
	struct mspd_provision_opts opts = {
		.tag_dir = scratch_make(),
		.timeout_ms = TIMEOUT,
		.hasten_ms = HASTEN,
		.console = &console,
	};

	/* What goes wrong is also logged; not into the output of the tests. */
	ck_assert_int_eq(mkdir(scratch_path("log"), 0700), 0);
	ck_assert_int_eq(
		mspd_log_open(scratch_path("log"), MSPD_TRACE, MSPD_ERROR), 0);
	ck_assert_int_eq(mspd_status_new(&status), 0);
	opts.status = status;
	scratch_write("console", "", 0);
	snprintf(path, sizeof(path), "%s", scratch_path("console"));
	mspd_console_init(&console, path);
	ck_assert_int_eq(mspd_provision_new(&provision, &opts, START), 0);
}

static void teardown(void)
{
	mspd_provision_free(provision);
	mspd_console_close(&console);
	mspd_status_free(status);
	mspd_log_close();
	scratch_remove();
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void make_ready(unsigned int flags)
{
	unsigned int flag;

	for (flag = 1; flag <= MSPD_PROVISION_ALL; flag <<= 1)
		if (flags & flag)
			mspd_provision_ready(provision,
					     (enum mspd_provision_flag)flag);
}

static bool finished_since(uint64_t tick)
{
	char error[MSPD_PROVISION_ERROR];

	return mspd_provision_ask(provision, tick, error);
}

static void check_tag(const char *expected)
{
	size_t len;
	char *tag = scratch_read("status.tag", &len);

	ck_assert_str_eq(tag, expected);
	ck_assert_uint_eq(len, strlen(expected));
	free(tag);
	ck_assert_uint_eq(scratch_mode("status.tag"), 0600);
}

/* ---- what is ready ------------------------------------------------------ */

static const struct {
	unsigned int ready;
	const char *error;
} flags[] = {
	{ 0, NO_EBPF NO_KEY NO_LISTEN }, { REDIRECT, NO_KEY NO_LISTEN },
	{ KEY, NO_EBPF NO_LISTEN },	 { REDIRECT | KEY, NO_LISTEN },
	{ LISTEN, NO_EBPF NO_KEY },	 { LISTEN | REDIRECT, NO_KEY },
	{ LISTEN | KEY, NO_EBPF },	 { LISTEN | KEY | REDIRECT, "" },
};

START_TEST(provision_has_finished_when_all_three_are_ready)
{
	char error[MSPD_PROVISION_ERROR];
	uint64_t before = now_ns();
	bool all = flags[_i].ready == MSPD_PROVISION_ALL;

	make_ready(flags[_i].ready);
	ck_assert_int_eq(mspd_provision_ask(provision, before, error), all);
	ck_assert_str_eq(error, flags[_i].error);
	ck_assert_int_eq(scratch_count("status.tag"), all);
	ck_assert_int_eq(scratch_count("provisioned.tag"), all);
	ck_assert_int_eq(mspd_provision_deadline(provision) == MSP_NEVER, all);
}
END_TEST

START_TEST(provision_tells_the_modules_own_words)
{
	char error[MSPD_PROVISION_ERROR];

	mspd_status_module(status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_STOPPED,
			   "Failed to start redirector: no <bpf>");
	make_ready(KEY | LISTEN);
	ck_assert(!mspd_provision_ask(provision, now_ns(), error));
	ck_assert_str_eq(error, "ebpfProgramStatus - Failed to start "
				"redirector: no <bpf>\r\n");
}
END_TEST

/* ---- tags --------------------------------------------------------------- */

START_TEST(provision_tags_of_success)
{
	char *stamp;
	int n = 0;

	make_ready(MSPD_PROVISION_ALL);
	check_tag("");
	stamp = scratch_read("provisioned.tag", NULL);
	ck_assert_uint_eq(strlen(stamp), 23);
	ck_assert_int_eq(
		sscanf(stamp, "%*4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*3u%n", &n), 0);
	ck_assert_int_eq(n, 23);
	free(stamp);
	ck_assert_uint_eq(scratch_mode("provisioned.tag"), 0600);
	ck_assert_int_eq(scratch_count("status"), 1);
	ck_assert_int_eq(scratch_count("provisioned"), 1);
}
END_TEST

START_TEST(provision_tags_of_failure)
{
	mspd_status_module(status, MSPD_MODULE_KEY_KEEPER, MSPD_STATE_RUNNING,
			   "a & b < c > d ' e \" f &amp;");
	make_ready(LISTEN);
	mspd_provision_run(provision, START + TIMEOUT);
	check_tag("ebpfProgramStatus - Status unknown.\r\n"
		  "keyLatchStatus - a &amp; b &lt; c &gt; d &apos; e &quot; f "
		  "&amp;amp;\r\n");
	ck_assert_int_eq(scratch_count("provisioned.tag"), 1);
}
END_TEST

/* It is looked at with cat(1), and what is in it may be the host's. */
START_TEST(provision_tag_does_not_drive_a_terminal)
{
	char error[MSPD_PROVISION_ERROR];

	make_ready(REDIRECT | LISTEN);
	mspd_status_module(status, MSPD_MODULE_KEY_KEEPER, MSPD_STATE_STOPPED,
			   "%s",
			   "a\033[2J \177 \302\233 \342\200\250\t\303\274");
	mspd_provision_run(provision, START + TIMEOUT);
	check_tag("keyLatchStatus - a\\x1b[2J \\x7f \\u009b \\u2028\t\303\274"
		  "\r\n");
	/* as it is, for a document that escapes it */
	mspd_provision_ask(provision, 1, error);
	ck_assert_ptr_nonnull(strstr(error, "a\033[2J"));
}
END_TEST

/* All that can be in it, escaped, fits. */
START_TEST(provision_tags_have_room_for_the_worst)
{
	char long_one[2000];
	size_t len;
	char *tag;

	memset(long_one, '"', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	mspd_status_module(status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_STOPPED,
			   "%s", long_one);
	mspd_status_module(status, MSPD_MODULE_KEY_KEEPER, MSPD_STATE_STOPPED,
			   "%s", long_one);
	mspd_status_module(status, MSPD_MODULE_LISTENER, MSPD_STATE_STOPPED,
			   "%s", long_one);
	mspd_provision_run(provision, START + TIMEOUT);
	tag = scratch_read("status.tag", &len);
	ck_assert_uint_gt(len, 3 * 6 * 1024);
	ck_assert_str_eq(tag + len - 5, "...\r\n");
	free(tag);
}
END_TEST

/* ---- time --------------------------------------------------------------- */

START_TEST(provision_fails_once_when_its_time_has_passed)
{
	uint64_t before = now_ns();

	ck_assert_uint_eq(mspd_provision_deadline(provision), START + TIMEOUT);
	make_ready(REDIRECT | LISTEN);
	mspd_provision_run(provision, START + TIMEOUT - 1);
	ck_assert(!finished_since(before));
	ck_assert_int_eq(scratch_count("status.tag"), 0);
	mspd_provision_run(provision, START + TIMEOUT);
	ck_assert(finished_since(before));
	check_tag(NO_KEY);
	ck_assert_uint_eq(mspd_provision_deadline(provision), MSP_NEVER);

	scratch_write("status.tag", "untouched", 9);
	mspd_provision_run(provision, START + 2 * TIMEOUT);
	ck_assert_int_eq(scratch_count("status.tag"), 1);
	make_ready(KEY); /* better late than never */
	check_tag("");
}
END_TEST

START_TEST(provision_fails_before_who_reset_it_gives_up)
{
	uint64_t before = now_ns();

	make_ready(MSPD_PROVISION_ALL);
	ck_assert(finished_since(before));
	mspd_provision_reset(provision, 200000);
	ck_assert(!finished_since(before));
	ck_assert_uint_eq(mspd_provision_deadline(provision),
			  200000 + TIMEOUT - 500);
	mspd_provision_run(provision, 200000 + TIMEOUT - 501);
	ck_assert(!finished_since(before));
	mspd_provision_run(provision, 200000 + TIMEOUT - 500);
	check_tag(NO_KEY);
	make_ready(KEY);
	ck_assert(finished_since(before));
}
END_TEST

/* ---- who asks about what ------------------------------------------------ */

static const struct {
	const char *text;
	uint64_t tick;
} ticks[] = {
	{ "1", 1 },
	{ "1745409600000000000", UINT64_C(1745409600000000000) },
	{ "+7", 7 },
	{ "0007", 7 },
	{ "7 \t", 7 },
	{ "99999999999999999999", UINT64_MAX },
	{ "170141183460469231731687303715884105727", UINT64_MAX },
	/* whatever is none would have been answered with "finished" */
	{ "170141183460469231731687303715884105728", 0 },
	{ "1701411834604692317316873037158841057270", 0 },
	{ "", 0 },
	{ "0", 0 },
	{ "000", 0 },
	{ "+", 0 },
	{ "-1", 0 },
	{ "1.5", 0 },
	{ "1e9", 0 },
	{ "0x10", 0 },
	{ "1 2", 0 },
	{ "now", 0 },
};

START_TEST(provision_reads_ticks)
{
	ck_assert_uint_eq(
		mspd_provision_tick(ticks[_i].text, strlen(ticks[_i].text)),
		ticks[_i].tick);
}
END_TEST

START_TEST(provision_tick_of_zero_has_never_finished)
{
	make_ready(MSPD_PROVISION_ALL);
	mspd_provision_channel(provision, true);
	ck_assert(finished_since(1));
	ck_assert(!finished_since(0));
}
END_TEST

START_TEST(provision_of_before_counts_only_with_a_channel)
{
	make_ready(MSPD_PROVISION_ALL);
	ck_assert(!finished_since(now_ns()));
	ck_assert(!finished_since(UINT64_MAX));
	mspd_provision_channel(provision, true);
	ck_assert(finished_since(now_ns()));
	mspd_provision_channel(provision, false);
	ck_assert(!finished_since(now_ns()));
	make_ready(KEY); /* once more */
	ck_assert(!finished_since(now_ns()));
}
END_TEST

/* What is broken in the machine itself stays so whoever asks, and when. */
START_TEST(provision_that_failed_without_redirection_is_told_later_too)
{
	char error[MSPD_PROVISION_ERROR];

	make_ready(LISTEN);
	ck_assert(!finished_since(now_ns()));
	mspd_provision_run(provision, START + TIMEOUT);
	ck_assert(mspd_provision_ask(provision, UINT64_MAX, error));
	ck_assert_str_eq(error, NO_EBPF NO_KEY);
	ck_assert(!finished_since(0));
	/* once it is up, the host has a say */
	make_ready(REDIRECT);
	ck_assert(!finished_since(UINT64_MAX));
	make_ready(KEY);
	ck_assert(!finished_since(UINT64_MAX));
}
END_TEST

START_TEST(provision_finished_later_than_asked)
{
	uint64_t between;

	make_ready(MSPD_PROVISION_ALL);
	between = now_ns();
	ck_assert(!finished_since(between));
	make_ready(KEY);
	ck_assert(finished_since(between));
}
END_TEST

/* ---- notifications ------------------------------------------------------ */

static bool is_readable(void)
{
	struct pollfd fd = { .fd = mspd_provision_fd(provision),
			     .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

START_TEST(provision_remembers_one_notice_of_each_kind)
{
	int i;

	ck_assert(!is_readable());
	ck_assert_uint_eq(mspd_provision_notices(provision), 0);
	for (i = 0; i < 3; i++)
		ck_assert(mspd_provision_notify(provision, true, START));
	ck_assert(is_readable());
	ck_assert_uint_eq(mspd_provision_notices(provision), MSPD_NOTICE_ROOT);
	ck_assert(!is_readable());
	ck_assert_uint_eq(mspd_provision_notices(provision), 0);
	ck_assert(mspd_provision_notify(provision, false, START));
	ck_assert(mspd_provision_notify(provision, true, START));
	ck_assert_uint_eq(mspd_provision_notices(provision),
			  MSPD_NOTICE_ROOT | MSPD_NOTICE_OTHER);
}
END_TEST

START_TEST(provision_notices_of_others_have_a_budget)
{
	int i, taken = 0;

	for (i = 0; i < 1000; i++)
		taken += mspd_provision_notify(provision, false, START + i);
	ck_assert_int_eq(taken, 1);
	mspd_provision_notices(provision);
	ck_assert(!mspd_provision_notify(provision, false, START + HASTEN - 1));
	ck_assert_uint_eq(mspd_provision_notices(provision), 0);
	/* root's is not theirs, and theirs not root's */
	ck_assert(mspd_provision_notify(provision, true, START + 1));
	ck_assert_uint_eq(mspd_provision_notices(provision), MSPD_NOTICE_ROOT);
	ck_assert(!mspd_provision_notify(provision, false, START + 2));
	ck_assert(mspd_provision_notify(provision, false, START + HASTEN));
}
END_TEST

/* ---- console ------------------------------------------------------------ */

static int console_lines(const char *text)
{
	char *said = scratch_read("console", NULL);
	char *at = said;
	int n = 0;

	for (; (at = strstr(at, text)); at++)
		n++;
	free(said);
	return n;
}

START_TEST(provision_is_told_on_the_console_once)
{
	mspd_provision_run(provision, START + TIMEOUT);
	ck_assert_int_eq(console_lines(") - ebpfProgramStatus - Status unknown."
				       "\n"),
			 1);
	ck_assert_int_eq(console_lines(") - keyLatchStatus"), 1);
	make_ready(MSPD_PROVISION_ALL);
	make_ready(MSPD_PROVISION_ALL);
	ck_assert_int_eq(console_lines(") - Provision finished successfully\n"),
			 1);
	mspd_provision_reset(provision, 0);
	make_ready(MSPD_PROVISION_ALL);
	ck_assert_int_eq(console_lines("Provision finished successfully"), 2);
}
END_TEST

/* A directory that cannot be written loses the tags, not the answer. */
START_TEST(provision_goes_on_without_its_tags)
{
	uint64_t before = now_ns();
	struct mspd_provision_opts opts = {
		.tag_dir = "/nonexistent",
		.timeout_ms = 1,
		.status = status,
		.console = &console,
	};

	mspd_provision_free(provision);
	ck_assert_int_eq(mspd_provision_new(&provision, &opts, 0), 0);
	mspd_log_close();
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	make_ready(MSPD_PROVISION_ALL);
	ck_assert(finished_since(before));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("mspd_provision");
	TCase *tc = tcase_create("provision");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, provision_has_finished_when_all_three_are_ready,
			    0, COUNT(flags));
	tcase_add_test(tc, provision_tells_the_modules_own_words);
	tcase_add_test(tc, provision_tags_of_success);
	tcase_add_test(tc, provision_tags_of_failure);
	tcase_add_test(tc, provision_tag_does_not_drive_a_terminal);
	tcase_add_test(tc, provision_tags_have_room_for_the_worst);
	tcase_add_test(tc, provision_fails_once_when_its_time_has_passed);
	tcase_add_test(tc, provision_fails_before_who_reset_it_gives_up);
	tcase_add_loop_test(tc, provision_reads_ticks, 0, COUNT(ticks));
	tcase_add_test(tc, provision_tick_of_zero_has_never_finished);
	tcase_add_test(tc, provision_of_before_counts_only_with_a_channel);
	tcase_add_test(
		tc,
		provision_that_failed_without_redirection_is_told_later_too);
	tcase_add_test(tc, provision_finished_later_than_asked);
	tcase_add_test(tc, provision_remembers_one_notice_of_each_kind);
	tcase_add_test(tc, provision_notices_of_others_have_a_budget);
	tcase_add_test(tc, provision_is_told_on_the_console_once);
	tcase_add_test(tc, provision_goes_on_without_its_tags);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(make_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
