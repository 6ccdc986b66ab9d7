/* SPDX-License-Identifier: MIT */
/*
 * In: reports of modules. Out: whether the status document is that of spec
 * 4.2, byte for byte, whatever the messages contain.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "mspd/log.h"
#include "mspd/status.h"
#include "tests/lib/scratch.h"

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define TIMESTAMP_BYTES (sizeof("{\"timestamp\":\"\",") - 1 + 23)

static struct mspd_status *status;
static struct mspd_summary *summary;
static const char *dir;

static void setup(void)
{
	dir = scratch_make();
	/* Messages are also logged; not into the output of the tests. */
	ck_assert_int_eq(mspd_log_open(NULL, MSPD_ERROR, MSPD_ERROR), 0);
	ck_assert_int_eq(mspd_status_new(&status), 0);
	ck_assert_int_eq(mspd_summary_new(&summary, 0), 0);
}

static void teardown(void)
{
	mspd_log_close();
	mspd_status_free(status);
	mspd_summary_free(summary);
	scratch_remove();
}

static char *document(bool pretty)
{
	char *text;
	size_t len;

	ck_assert_int_eq(mspd_status_json(status, summary, pretty, &text, &len),
			 0);
	ck_assert_uint_eq(strlen(text), len);
	return text;
}

static const char *message(yajl_val tree, const char *module)
{
	const char *path[] = { "proxyAgentStatus", module, "message", NULL };

	return YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
}

#define UNKNOWN "{\"status\":\"UNKNOWN\",\"message\":\"Status unknown.\""

START_TEST(status_begins_unknown)
{
	char *text = document(false);

	ck_assert_str_eq(
		text + TIMESTAMP_BYTES,
		"\"proxyAgentStatus\":{\"version\":\"" MSP_VERSION
		"\",\"status\":\"ERROR\",\"monitorStatus\":" UNKNOWN
		"},\"keyLatchStatus\":" UNKNOWN
		",\"states\":{\"secureChannelState\":\"Unknown\","
		"\"wireServerRuleId\":\"\",\"imdsRuleId\":\"\","
		"\"hostGARuleId\":\"\"}},\"ebpfProgramStatus\":" UNKNOWN
		"},\"proxyListenerStatus\":" UNKNOWN
		"},\"telemetryLoggerStatus\":" UNKNOWN
		"},\"proxyConnectionsCount\":0},"
		"\"proxyConnectionSummary\":[],"
		"\"failedAuthenticateSummary\":[]}");
	free(text);
}
END_TEST

static void run_all(void)
{
	static const char guid[] = "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf";
	struct mspd_key_states states = {
		.channel = "WireServer Enforce -  IMDS Enforce - "
			   "HostGA Enforce",
		.key_guid = guid,
		.rule_id = { [MSP_ENDPOINT_WIRESERVER] = "ws",
			     [MSP_ENDPOINT_IMDS] = "im",
			     [MSP_ENDPOINT_HOSTGA] = "ga" },
		.has_incarnation = true,
		.incarnation = UINT32_MAX,
	};
	int i;

	for (i = 0; i < MSPD_MODULES; i++)
		mspd_status_module(status, (enum mspd_module)i,
				   MSPD_STATE_RUNNING, "module %d", i);
	ck_assert_int_eq(mspd_status_states(status, &states), 0);
}

START_TEST(status_shows_what_was_reported)
{
	char *text;

	run_all();
	mspd_status_count(status);
	mspd_status_count(status);
	text = document(false);
	ck_assert_str_eq(
		text + TIMESTAMP_BYTES,
		"\"proxyAgentStatus\":{\"version\":\"" MSP_VERSION
		"\",\"status\":\"SUCCESS\",\"monitorStatus\":"
		"{\"status\":\"RUNNING\",\"message\":\"module 3\"},"
		"\"keyLatchStatus\":"
		"{\"status\":\"RUNNING\",\"message\":\"module 0\","
		"\"states\":{\"secureChannelState\":"
		"\"WireServer Enforce -  IMDS Enforce - HostGA Enforce\","
		"\"keyGuid\":\"9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf\","
		"\"wireServerRuleId\":\"ws\",\"imdsRuleId\":\"im\","
		"\"hostGARuleId\":\"ga\","
		"\"keyIncarnationId\":\"4294967295\"}},"
		"\"ebpfProgramStatus\":"
		"{\"status\":\"RUNNING\",\"message\":\"module 1\"},"
		"\"proxyListenerStatus\":"
		"{\"status\":\"RUNNING\",\"message\":\"module 2\"},"
		"\"telemetryLoggerStatus\":"
		"{\"status\":\"RUNNING\",\"message\":\"module 4\"},"
		"\"proxyConnectionsCount\":2},"
		"\"proxyConnectionSummary\":[],"
		"\"failedAuthenticateSummary\":[]}");
	free(text);
}
END_TEST

START_TEST(status_timestamp_has_23_characters)
{
	const char *path[] = { "timestamp", NULL };
	char *text = document(true);
	yajl_val tree = yajl_tree_parse(text, NULL, 0);
	const char *stamp;

	ck_assert_ptr_nonnull(tree);
	stamp = YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
	ck_assert_ptr_nonnull(stamp);
	ck_assert_uint_eq(strlen(stamp), 23);
	ck_assert_int_eq(stamp[10], 'T');
	ck_assert_int_eq(stamp[19], '.');
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(status_pretty_has_two_blanks_and_no_last_newline)
{
	char *text = document(true);

	ck_assert_int_eq(strncmp(text, "{\n  \"timestamp\": \"", 18), 0);
	ck_assert_ptr_nonnull(strstr(text, "\",\n  \"proxyAgentStatus\": {\n"
					   "    \"version\": \"" MSP_VERSION
					   "\",\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  \"failedAuthenticateSummary\": "
					   "[]\n}"));
	ck_assert_int_eq(text[strlen(text) - 1], '}');
	free(text);
}
END_TEST

/* ---- SUCCESS needs three ----------------------------------------------- */

static const struct {
	enum mspd_state keeper;
	enum mspd_state redirector;
	enum mspd_state listener;
	bool success;
} states[] = {
	{ MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, true },
	{ MSPD_STATE_UNKNOWN, MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, false },
	{ MSPD_STATE_RUNNING, MSPD_STATE_UNKNOWN, MSPD_STATE_RUNNING, false },
	{ MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, MSPD_STATE_UNKNOWN, false },
	{ MSPD_STATE_STOPPED, MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, false },
	{ MSPD_STATE_RUNNING, MSPD_STATE_STOPPED, MSPD_STATE_RUNNING, false },
	{ MSPD_STATE_RUNNING, MSPD_STATE_RUNNING, MSPD_STATE_STOPPED, false },
};

START_TEST(status_is_success_only_if_all_three_run)
{
	char *text;

	mspd_status_module(status, MSPD_MODULE_KEY_KEEPER, states[_i].keeper,
			   "k");
	mspd_status_module(status, MSPD_MODULE_REDIRECTOR,
			   states[_i].redirector, "r");
	mspd_status_module(status, MSPD_MODULE_LISTENER, states[_i].listener,
			   "l");
	ck_assert(mspd_status_success(status) == states[_i].success);
	text = document(false);
	ck_assert((strstr(text, "\"status\":\"SUCCESS\"") != NULL) ==
		  states[_i].success);
	ck_assert((strstr(text, "\"status\":\"ERROR\"") != NULL) !=
		  states[_i].success);
	ck_assert_int_eq(mspd_status_state(status, MSPD_MODULE_LISTENER),
			 states[_i].listener);
	free(text);
}
END_TEST

/* Whoever reports meanwhile that it runs does not know of the fault. */
START_TEST(status_fault_hides_what_is_reported)
{
	char message[64];
	char *text;
	int i;

	for (i = 0; i < 3; i++)
		mspd_status_module(status, (enum mspd_module)i,
				   MSPD_STATE_RUNNING, "runs");
	mspd_status_fault(status, MSPD_MODULE_LISTENER, "full\xff");
	mspd_status_module(status, MSPD_MODULE_LISTENER, MSPD_STATE_RUNNING,
			   "goes on");
	ck_assert(!mspd_status_success(status));
	ck_assert_int_eq(mspd_status_state(status, MSPD_MODULE_LISTENER),
			 MSPD_STATE_STOPPED);
	mspd_status_message(status, MSPD_MODULE_LISTENER, message,
			    sizeof(message));
	ck_assert_str_eq(message, "full\xef\xbf\xbd");
	text = document(false);
	ck_assert_ptr_nonnull(
		strstr(text, "\"proxyListenerStatus\":{\"status\":\"STOPPED\","
			     "\"message\":\"full\xef\xbf\xbd\""));
	free(text);
	mspd_status_fault(status, MSPD_MODULE_LISTENER, NULL);
	ck_assert(mspd_status_success(status));
	mspd_status_message(status, MSPD_MODULE_LISTENER, message,
			    sizeof(message));
	ck_assert_str_eq(message, "goes on");
}
END_TEST

/* ---- messages ---------------------------------------------------------- */

static const struct {
	const char *unit;
	size_t units;
	size_t kept; /* bytes before "...", or all if not cut */
	bool cut;
} messages[] = {
	{ "a", 1024, 1024, false },
	{ "a", 1025, 1024, true },
	{ "a", 100000, 1024, true },
	{ "\xc3\xa9", 512, 1024, false },
	{ "\xe2\x82\xac", 341, 1023, false },
	{ "\xe2\x82\xac", 342, 1023, true }, /* byte 1024 is inside of one */
	{ "\xf0\x9f\x98\x80", 300, 1024, true },
	{ "\xff", 400, 1023, true }, /* becomes U+FFFD, three bytes */
};

START_TEST(status_cuts_message_at_a_character)
{
	size_t unit = strlen(messages[_i].unit);
	size_t len = unit * messages[_i].units;
	char *raw = malloc(len + 1);
	const char *shown;
	yajl_val tree;
	char *text;
	size_t i;

	ck_assert_ptr_nonnull(raw);
	for (i = 0; i < len; i += unit)
		memcpy(raw + i, messages[_i].unit, unit);
	raw[len] = '\0';
	mspd_status_module(status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_STOPPED,
			   "%s", raw);
	text = document(false);
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	shown = message(tree, "ebpfProgramStatus");
	ck_assert_ptr_nonnull(shown);
	ck_assert_uint_eq(strlen(shown),
			  messages[_i].kept + (messages[_i].cut ? 3 : 0));
	ck_assert_str_eq(shown + messages[_i].kept,
			 messages[_i].cut ? "..." : "");
	yajl_tree_free(tree);
	free(text);
	free(raw);
}
END_TEST

START_TEST(status_message_cannot_break_the_document)
{
	static const char odd[] = "a\"},\n\x01\\\xc0\xaf";
	char *text;
	yajl_val tree;

	mspd_status_module(status, MSPD_MODULE_MONITOR, MSPD_STATE_RUNNING,
			   "%s", odd);
	text = document(false);
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	ck_assert_str_eq(message(tree, "monitorStatus"),
			 "a\"},\n\x01\\\xef\xbf\xbd\xef\xbf\xbd");
	yajl_tree_free(tree);
	free(text);
}
END_TEST

/* Neither as it is in memory nor as a file that somebody shows. */
START_TEST(status_drives_no_terminal)
{
	static const char odd[] = "a\"\xc2\x80\xc2\x9b\x7f\xe2\x80\xa8\n"
				  "\xc2\xa0\xc3\xa9";
	char *text;
	yajl_val tree;

	mspd_status_module(status, MSPD_MODULE_LISTENER, MSPD_STATE_RUNNING,
			   "%s", odd);
	text = document(true);
	ck_assert_ptr_null(strstr(text, "\xc2\x80"));
	ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
	ck_assert_ptr_null(strstr(text, "\x7f"));
	ck_assert_ptr_null(strstr(text, "\xe2\x80\xa8"));
	ck_assert_ptr_nonnull(strstr(text, "\xc2\xa0\xc3\xa9"));
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	ck_assert_str_eq(message(tree, "proxyListenerStatus"), odd);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

START_TEST(status_logs_a_changed_message_once)
{
	char *text;
	int i;

	ck_assert_int_eq(mspd_log_open(dir, MSPD_WARN, MSPD_ERROR), 0);
	for (i = 0; i < 3; i++)
		mspd_status_module(status, MSPD_MODULE_LISTENER,
				   MSPD_STATE_RUNNING, "hello");
	mspd_log_close();
	text = scratch_read("ProxyAgent.log", NULL);
	ck_assert_ptr_nonnull(strstr(text, "[WARN]    hello\n"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}
END_TEST

START_TEST(status_forgets_a_key_that_is_gone)
{
	struct mspd_key_states none = { .channel = "disabled" };
	char *text;

	run_all();
	ck_assert_int_eq(mspd_status_states(status, &none), 0);
	text = document(false);
	ck_assert_ptr_nonnull(
		strstr(text, "\"states\":{\"secureChannelState\":\"disabled\","
			     "\"wireServerRuleId\":\"\",\"imdsRuleId\":\"\","
			     "\"hostGARuleId\":\"\"}"));
	free(text);
}
END_TEST

/* ---- sources ----------------------------------------------------------- */

static void put_two(void *arg, struct mspd_states *out)
{
	mspd_states_put(out, "number", "%d", *(int *)arg);
	mspd_states_put(out, "odd", "a\"},\n\x01\xff");
}

static void put_long(void *arg, struct mspd_states *out)
{
	(void)arg;
	mspd_states_put(out, "long", "%2000d", 1);
}

START_TEST(status_asks_sources_for_each_document)
{
	int n = 1;
	char *text;

	run_all();
	ck_assert_int_eq(
		mspd_status_source(status, MSPD_MODULE_REDIRECTOR, put_two, &n),
		0);
	text = document(false);
	ck_assert_ptr_nonnull(
		strstr(text, "\"ebpfProgramStatus\":{\"status\":\"RUNNING\","
			     "\"message\":\"module 1\",\"states\":{"
			     "\"number\":\"1\",\"odd\":\"a\\\"},\\n\\u0001"
			     "\xef\xbf\xbd\"}}"));
	ck_assert_ptr_nonnull(strstr(text, "\"message\":\"module 2\"}"));
	free(text);
	n = 2;
	/* a new message does not forget them */
	mspd_status_module(status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_STOPPED,
			   "gone");
	text = document(false);
	ck_assert_ptr_nonnull(strstr(text, "\"message\":\"gone\",\"states\":{"
					   "\"number\":\"2\","));
	free(text);
}
END_TEST

START_TEST(status_takes_so_many_sources_and_cuts_what_they_say)
{
	static const char *const path[] = { "proxyAgentStatus",
					    "proxyListenerStatus", "states",
					    "long", NULL };
	const char *shown;
	yajl_val tree;
	char *text;
	int i, n = 1;

	ck_assert_int_eq(
		mspd_status_source(status, MSPD_MODULE_KEY_KEEPER, put_two, &n),
		-EINVAL);
	ck_assert_int_eq(mspd_status_source(status, MSPD_MODULE_LISTENER,
					    put_long, NULL),
			 0);
	for (i = 1; i < MSPD_SOURCES; i++)
		ck_assert_int_eq(mspd_status_source(status,
						    MSPD_MODULE_LISTENER,
						    put_two, &n),
				 0);
	ck_assert_int_eq(
		mspd_status_source(status, MSPD_MODULE_LISTENER, put_two, &n),
		-ENOSPC);
	text = document(false);
	tree = yajl_tree_parse(text, NULL, 0);
	ck_assert_ptr_nonnull(tree);
	shown = YAJL_GET_STRING(
		yajl_tree_get(tree, (const char **)path, yajl_t_string));
	ck_assert_ptr_nonnull(shown);
	ck_assert_uint_eq(strlen(shown), 1024 + 3);
	yajl_tree_free(tree);
	free(text);
}
END_TEST

/* ---- file -------------------------------------------------------------- */

START_TEST(status_write_replaces_the_file)
{
	struct mspd_summary_event event = { .status = 421 };
	struct timespec now;
	char *text;

	clock_gettime(CLOCK_BOOTTIME, &now);
	mspd_summary_add(summary, MSPD_SUMMARY_FAILED, &event,
			 (uint64_t)now.tv_sec);
	ck_assert_int_eq(mspd_status_write(status, summary, dir), 0);
	ck_assert_int_eq(mspd_status_write(status, summary, dir), 0);
	text = scratch_read("status.json", NULL);
	ck_assert_ptr_nonnull(
		strstr(text, "\"message\": \"Aggregate status written to "
			     "status file: "));
	ck_assert_ptr_nonnull(strstr(text, "\"proxyConnectionSummary\": []"));
	ck_assert_ptr_nonnull(strstr(
		text, "\"responseStatus\": \"421 Misdirected Request\""));
	ck_assert_uint_eq(scratch_mode("status.json"), 0640);
	ck_assert_int_eq(scratch_count("status"), 1);
	free(text);
}
END_TEST

START_TEST(status_write_says_why_it_failed)
{
	char *text;

	ck_assert_int_eq(mspd_status_write(status, NULL, scratch_path("no")),
			 -ENOENT);
	text = document(false);
	ck_assert_ptr_nonnull(
		strstr(text, "{\"status\":\"RUNNING\",\"message\":\"Error "
			     "writing aggregate status to status file: "
			     "No such file or directory\"}"));
	free(text);
}
END_TEST

START_TEST(status_tells_elapsed_time)
{
	uint64_t before = mspd_status_elapsed_ms(status);

	usleep(20000);
	ck_assert_uint_ge(mspd_status_elapsed_ms(status), before + 19);
	ck_assert_uint_lt(mspd_status_elapsed_ms(status), 60000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mspd_status");
	TCase *tc = tcase_create("status");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, status_begins_unknown);
	tcase_add_test(tc, status_fault_hides_what_is_reported);
	tcase_add_test(tc, status_shows_what_was_reported);
	tcase_add_test(tc, status_timestamp_has_23_characters);
	tcase_add_test(tc, status_pretty_has_two_blanks_and_no_last_newline);
	tcase_add_loop_test(tc, status_is_success_only_if_all_three_run, 0,
			    COUNT(states));
	tcase_add_loop_test(tc, status_cuts_message_at_a_character, 0,
			    COUNT(messages));
	tcase_add_test(tc, status_message_cannot_break_the_document);
	tcase_add_test(tc, status_drives_no_terminal);
	tcase_add_test(tc, status_logs_a_changed_message_once);
	tcase_add_test(tc, status_forgets_a_key_that_is_gone);
	tcase_add_test(tc, status_asks_sources_for_each_document);
	tcase_add_test(tc, status_takes_so_many_sources_and_cuts_what_they_say);
	tcase_add_test(tc, status_write_replaces_the_file);
	tcase_add_test(tc, status_write_says_why_it_failed);
	tcase_add_test(tc, status_tells_elapsed_time);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
