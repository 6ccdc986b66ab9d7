/* SPDX-License-Identifier: MIT */
/*
 * In: hosts with a key, without one, and ones that fail. Out: whether a
 * session comes to a key when it can, says why when it cannot, and is never
 * later than its time.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/scratch.h"
#include "tests/lib/sessionhost.h"
#include "tests/lib/sessionpoll.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct msp_error_info no_info(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	return info;
}

static void check_key(const char *guid)
{
	struct msp_key *key = msp_session_key(session);

	if (!guid) {
		ck_assert_ptr_null(key);
		return;
	}
	ck_assert_ptr_nonnull(key);
	ck_assert_str_eq(msp_key_guid(key), guid);
}

/* ---- options ----------------------------------------------------------- */

static void begins_with(const char *text, const char *begin)
{
	ck_assert_msg(strncmp(text, begin, strlen(begin)) == 0, "%s", text);
}

struct longer {
	struct msp_session_opts opts;
	uint32_t more[2];
};

START_TEST(session_new_refuses_bad_options)
{
	static const struct msp_address no_port = { .ip = 1 };
	static const struct msp_address no_ip = { .port = 80 };
	static const struct msp_address odd = { 1, 80, 1 };
	struct longer bad[9];
	int i;

	for (i = 0; i < COUNT(bad); i++) {
		memset(&bad[i], 0, sizeof(bad[i]));
		bad[i].opts = session_opts;
	}
	bad[0].opts.size--;
	bad[1].opts.size = sizeof(bad[1]);
	bad[1].more[1] = 1;
	bad[2].opts.flags = 4;
	bad[3].opts.endpoints[MSP_ENDPOINT_IMDS] = no_port;
	bad[4].opts.endpoints[MSP_ENDPOINT_HOSTGA] = no_ip;
	bad[5].opts.endpoints[MSP_ENDPOINT_WIRESERVER] = odd;
	bad[6].opts.document_max = UINT64_MAX;
	bad[7].opts.directory_len = 0;
	bad[8].opts.flags = MSP_SESSION_IN_MEMORY;
	for (i = 0; i < COUNT(bad); i++) {
		struct msp_error_info info = no_info();

		session = (struct msp_session *)&bad;
		ck_assert_msg(msp_session_new(&session, &bad[i].opts, &info) ==
				      MSP_ERR_INVAL,
			      "%d", i);
		ck_assert_ptr_null(session);
		ck_assert_int_ne(info.text[0], '\0');
		ck_assert_int_eq(info.endpoint, -1);
	}
	ck_assert_int_eq(msp_session_new(NULL, &session_opts, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(session_new_takes_options_of_a_newer_caller)
{
	struct longer longer = { .opts = session_opts };

	longer.opts.size = sizeof(longer);
	ck_assert_int_eq(msp_session_new(&session, &longer.opts, NULL), 0);
}
END_TEST

START_TEST(session_new_makes_the_directory_for_its_owner_only)
{
	struct stat st;

	session_begin();
	ck_assert_int_eq(stat(session_dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(session_new_says_which_directory_it_cannot_have)
{
	struct msp_error_info info = no_info();

	scratch_write("keys", "", 0);
	ck_assert_int_eq(msp_session_new(&session, &session_opts, &info),
			 MSP_ERR_SYS);
	ck_assert_ptr_null(session);
	ck_assert_ptr_nonnull(strstr(info.text, session_dir));
	ck_assert_int_eq(info.sys_errno, ENOTDIR);
}
END_TEST

/* Without a flag it would be the directory of an agent of this machine. */
START_TEST(session_new_needs_few_options)
{
	struct msp_session_opts opts = { .size = sizeof(opts),
					 .flags = MSP_SESSION_IN_MEMORY };

	ck_assert_int_eq(msp_session_new(&session, &opts, NULL), 0);
	check_key(NULL);
}
END_TEST

START_TEST(session_answers_null)
{
	struct msp_error_info info = no_info();
	struct msp_document *d = (struct msp_document *)&info;

	msp_session_free(NULL);
	ck_assert_ptr_null(msp_session_key(NULL));
	ck_assert_int_eq(msp_session_latch(NULL, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_session_get(NULL, &d, MSP_ENDPOINT_IMDS, "/", 1, &info),
		MSP_ERR_INVAL);
	ck_assert_ptr_null(d);
}
END_TEST

/* ---- ways to a key ----------------------------------------------------- */

static void on_disk_already(void)
{
	session_saves(GUID_A);
	wireserver(ASK_STATUS, ENABLED(GUID_A), 1);
}

static void on_disk_another(void)
{
	session_saves(GUID_B);
	wireserver(ASK_STATUS, ENABLED(GUID_A), 1);
	wireserver(ASK_KEY, KEY(GUID_A), 1);
	wireserver(ASK_ATTEST, HEAD, 1);
}

static void in_memory(void)
{
	session_opts.directory = NULL;
	session_opts.flags = MSP_SESSION_IN_MEMORY;
	wireserver_gives_a();
}

static void no_channel(void)
{
	wireserver(ASK_STATUS, DISABLED(GUID_A), 1);
}

static void after_a_503(void)
{
	wireserver(ASK_STATUS, "HTTP/1.1 503 Busy\r\n\r\n", 2);
	wireserver_gives_a();
}

static void after_a_refused_key(void)
{
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 2);
	wireserver(ASK_KEY, FORBIDDEN, 1);
	wireserver(ASK_KEY, KEY(GUID_A), 1);
	wireserver(ASK_ATTEST, HEAD, 1);
}

static void after_a_host_that_hangs(void)
{
	wireserver(ASK_STATUS, HANGS, 1);
	wireserver_gives_a();
}

static const struct {
	const char *name;
	void (*host)(void);
	const char *guid;
	unsigned int asked;
	uint64_t ms; /* it takes */
} ways[] = {
	{ "a new one", wireserver_gives_a, GUID_A, 3, 0 },
	{ "of the disk", on_disk_already, GUID_A, 1, 0 },
	{ "the disk has another", on_disk_another, GUID_A, 3, 0 },
	{ "in memory", in_memory, GUID_A, 3, 0 },
	{ "no channel", no_channel, NULL, 1, 0 },
	{ "503 first", after_a_503, GUID_A, 5, 2000 },
	{ "refused first", after_a_refused_key, GUID_A, 5, 15000 },
	{ "hangs first", after_a_host_that_hangs, GUID_A, 4, 11000 },
};

START_TEST(session_latch_comes_to_a_key)
{
	struct msp_error_info info = no_info();
	int rc;

	ways[_i].host();
	session_begin();
	rc = msp_session_latch(session, &info);
	ck_assert_msg(rc == 0, "%s: %s", ways[_i].name, info.text);
	check_key(ways[_i].guid);
	ck_assert_uint_eq(hosts.requests[MSP_ENDPOINT_WIRESERVER],
			  ways[_i].asked);
	ck_assert_uint_eq(session_ms - 1000, ways[_i].ms);
	ck_assert_uint_eq(session_sockets, ways[_i].asked);
	ck_assert_str_eq(info.text, ""); /* it is left alone */
}
END_TEST

START_TEST(session_latch_keeps_the_key_for_the_next_session)
{
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
	ck_assert_uint_eq(hosts.requests[MSP_ENDPOINT_WIRESERVER], 4);
}
END_TEST

START_TEST(session_latch_asks_no_more_often_than_a_latch)
{
	int i;

	wireserver_gives_a();
	session_begin();
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(msp_session_latch(session, NULL), 0);
		session_ms += 1000;
	}
	ck_assert_uint_eq(hosts.requests[MSP_ENDPOINT_WIRESERVER], 3);
	session_ms += 6000;
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	ck_assert_uint_eq(hosts.requests[MSP_ENDPOINT_WIRESERVER], 4);
}
END_TEST

START_TEST(session_latch_goes_on_with_its_key_while_the_host_fails)
{
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	scripthost_forget(&hosts);
	wireserver(ASK_STATUS, "HTTP/1.1 500 No\r\n\r\n", 0);
	session_ms += 15000;
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
	ck_assert_uint_eq(hosts.requests[MSP_ENDPOINT_WIRESERVER], 1);
}
END_TEST

/* ---- no way to a key --------------------------------------------------- */

static void no_key_503(void)
{
	wireserver(ASK_STATUS, "HTTP/1.1 503 Busy\r\n\r\n", 0);
}

static void no_key_silence(void)
{
	wireserver(ASK_STATUS, HANGS, 0);
}

static void no_key_silence_at_once(void)
{
	session_opts.timeout_ms = 5000;
	no_key_silence();
}

static void no_key_closed(void)
{
	wireserver(ASK_STATUS, "", 0);
}

static void no_key_cut(void)
{
	wireserver(ASK_STATUS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
		   0);
}

static void no_key_not_http(void)
{
	wireserver(ASK_STATUS, "SSH-2.0-OpenSSH_9.2\r\n", 0);
}

static void no_key_xml(void)
{
	wireserver(ASK_STATUS,
		   "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<a/>", 0);
}

static void no_key_no_json(void)
{
	wireserver(ASK_STATUS, HEAD "{\"a\": }", 0);
}

static void no_key_other_json(void)
{
	wireserver(ASK_STATUS, HEAD "{}", 0);
}

static void no_key_huge(void)
{
	wireserver(ASK_STATUS,
		   "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", 0);
}

static void no_key_refused(void)
{
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 0);
	wireserver(ASK_KEY, FORBIDDEN, 0);
}

static void no_key_not_attested(void)
{
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 0);
	wireserver(ASK_KEY, KEY(GUID_A), 0);
	wireserver(ASK_ATTEST, REFUSED, 0);
}

static void no_key_no_socket(void)
{
	session_refuses_sockets = true;
}

static void no_key_no_listener(void)
{
	close(hosts.listeners[MSP_ENDPOINT_WIRESERVER]);
	hosts.listeners[MSP_ENDPOINT_WIRESERVER] = open("/dev/null", O_RDONLY);
}

static void no_key_directory_gone(void)
{
	/* a file in its place: neither to be made nor to be written */
	ck_assert_int_eq(rmdir(session_dir), 0);
	scratch_write("keys", "", 0);
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 0);
	wireserver(ASK_KEY, KEY(GUID_A), 0);
}

static const struct {
	const char *name;
	void (*host)(void);
	int rc;
	uint32_t http_status;
	int32_t endpoint;
	const char *text;
} no_ways[] = {
	{ "503", no_key_503, MSP_ERR_STATUS, 503, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - " },
	{ "silence", no_key_silence, MSP_ERR_TIMEOUT, 0,
	  MSP_ENDPOINT_WIRESERVER, "Failed to get key status - timed out" },
	{ "silence, before its time is up", no_key_silence_at_once,
	  MSP_ERR_TIMEOUT, 0, MSP_ENDPOINT_WIRESERVER,
	  "no key within 5000 ms" },
	{ "closed", no_key_closed, MSP_ERR_CLOSED, 0, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - " },
	{ "cut", no_key_cut, MSP_ERR_CLOSED, 0, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - " },
	{ "not HTTP", no_key_not_http, MSP_ERR_PROTOCOL, 0,
	  MSP_ENDPOINT_WIRESERVER, "Failed to get key status - " },
	{ "XML", no_key_xml, MSP_ERR_PROTOCOL, 0, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - Deserialization" },
	{ "no JSON", no_key_no_json, MSP_ERR_SYNTAX, 0, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - " },
	{ "other JSON", no_key_other_json, MSP_ERR_SCHEMA, 0,
	  MSP_ENDPOINT_WIRESERVER, "Failed to get key status - " },
	{ "huge", no_key_huge, MSP_ERR_LIMIT, 0, MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - " },
	{ "refused", no_key_refused, MSP_ERR_STATUS, 403,
	  MSP_ENDPOINT_WIRESERVER, "Failed to acquire key details: " },
	{ "not attested", no_key_not_attested, MSP_ERR_STATUS, 401,
	  MSP_ENDPOINT_WIRESERVER, "Failed to attest the key: " },
	{ "no socket", no_key_no_socket, MSP_ERR_SYS, 0,
	  MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - socket refused" },
	{ "no listener", no_key_no_listener, MSP_ERR_SYS, 0,
	  MSP_ENDPOINT_WIRESERVER,
	  "Failed to get key status - cannot connect" },
	{ "directory gone", no_key_directory_gone, MSP_ERR_SYS, 0, -1,
	  "Failed to save key details to file: " },
};

START_TEST(session_latch_says_why_there_is_no_key)
{
	struct msp_error_info info = no_info();
	uint32_t limit;
	int rc;

	session_begin();
	no_ways[_i].host();
	if (session_opts.timeout_ms)
		session_begin();
	limit = session_opts.timeout_ms ? session_opts.timeout_ms : 30000;
	rc = msp_session_latch(session, &info);
	ck_assert_msg(rc == no_ways[_i].rc, "%s: %d, %s", no_ways[_i].name, rc,
		      info.text);
	check_key(NULL);
	ck_assert_uint_eq(info.http_status, no_ways[_i].http_status);
	ck_assert_int_eq(info.endpoint, no_ways[_i].endpoint);
	ck_assert_int_eq(info.sys_errno != 0,
			 rc == MSP_ERR_SYS && !session_refuses_sockets);
	begins_with(info.text, no_ways[_i].text);
	ck_assert_ptr_null(strstr(info.text, KEY_HEX));
	/* as long as that, and no longer */
	ck_assert_uint_eq(session_ms - 1000, limit);
}
END_TEST

START_TEST(session_latch_needs_no_info)
{
	session_opts.timeout_ms = 10;
	session_begin();
	no_ways[_i].host();
	ck_assert_int_lt(msp_session_latch(session, NULL), 0);
}
END_TEST

START_TEST(session_latch_recovers_when_called_again)
{
	no_key_503();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), MSP_ERR_STATUS);
	scripthost_forget(&hosts);
	wireserver_gives_a();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
}
END_TEST

START_TEST(session_latch_is_not_for_an_unsigned_session)
{
	struct msp_error_info info = no_info();

	session_opts.flags = MSP_SESSION_UNSIGNED;
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, &info), MSP_ERR_STATE);
	check_key(NULL);
	ck_assert_int_ne(access(session_dir, F_OK), 0); /* not even made */
	ck_assert_uint_eq(session_sockets, 0);
}
END_TEST

/* ---- somebody else has the directory ----------------------------------- */

START_TEST(session_latch_is_busy_at_once_beside_another)
{
	struct msp_error_info info = no_info();
	struct msp_keystore *other;
	char holder[32];

	ck_assert_int_eq(msp_keystore_open(&other, session_dir,
					   strlen(session_dir), NULL),
			 0);
	ck_assert_int_eq(msp_keystore_lock(other, NULL), 0);
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, &info), MSP_ERR_BUSY);
	snprintf(holder, sizeof(holder), "process %ld", (long)getpid());
	ck_assert_ptr_nonnull(strstr(info.text, session_dir));
	ck_assert_ptr_nonnull(strstr(info.text, holder));
	ck_assert_int_eq(info.endpoint, -1);
	ck_assert_int_eq(msp_session_latch(session, NULL), MSP_ERR_BUSY);
	ck_assert_uint_eq(session_ms, 1000);
	ck_assert_uint_eq(session_sockets, 0);

	/* the other goes: the next call does not have to wait for it */
	msp_keystore_free(other);
	wireserver_gives_a();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
	ck_assert_uint_eq(session_ms, 1000);
}
END_TEST

START_TEST(session_latch_is_busy_beside_another_session)
{
	struct msp_session *first;

	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	first = session;
	ck_assert_int_eq(msp_session_new(&session, &session_opts, NULL), 0);
	ck_assert_int_eq(msp_session_latch(session, NULL), MSP_ERR_BUSY);
	msp_session_free(first);
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
}
END_TEST

/* ---- what it says meanwhile -------------------------------------------- */

START_TEST(session_tells_each_event_once)
{
	char want[512];

	after_a_503();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	snprintf(want, sizeof(want),
		 "Failed to get key status - Failed to get response from "
		 "http://127.0.0.1:%u/secure-channel/status, status code: 503 "
		 "Busy\n" ATTESTED "\n",
		 hosts.address[MSP_ENDPOINT_WIRESERVER].port);
	ck_assert_str_eq(session_events, want);
}
END_TEST

START_TEST(session_tells_of_a_key_file_that_is_of_no_use)
{
	char name[64];

	session_saves(GUID_A);
	snprintf(name, sizeof(name), "keys/%s.key", GUID_A);
	scratch_write(name, "{}", 2);
	ck_assert_int_eq(chmod(scratch_path(name), 0600), 0);
	on_disk_another();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	begins_with(session_events, "Failed to fetch local key details with "
				    "error: key file '" GUID_A ".key': ");
	ck_assert_ptr_nonnull(strstr(session_events, "\n" ATTESTED "\n"));
}
END_TEST

START_TEST(session_needs_no_callbacks)
{
	session_opts.on_event = NULL;
	session_opts.on_socket = NULL;
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
}
END_TEST

START_TEST(session_reads_the_clock_if_nobody_tells_the_time)
{
	session_opts.on_time = NULL;
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
}
END_TEST

/* ---- waiting ----------------------------------------------------------- */

START_TEST(session_latch_ends_no_sooner_for_signals)
{
	session_signals = 1000;
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
	ck_assert_uint_eq(session_signals, 0);
}
END_TEST

START_TEST(session_latch_ends_no_later_for_signals)
{
	session_signals = 1000000;
	no_key_silence();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), MSP_ERR_TIMEOUT);
	ck_assert_uint_eq(session_ms - 1000, 30000);
}
END_TEST

START_TEST(session_latch_says_that_it_cannot_wait)
{
	struct msp_error_info info = no_info();

	session_poll_errno = ENOMEM;
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ENOMEM);
	/* nothing is lost */
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	check_key(GUID_A);
}
END_TEST

START_TEST(session_latch_refuses_a_clock_that_is_mad)
{
	session_ms = UINT64_MAX - 5;
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), MSP_ERR_INVAL);
	session_ms = 1000;
	wireserver_gives_a();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
}
END_TEST

/* ---- memory ------------------------------------------------------------ */

START_TEST(session_survives_every_failed_allocation)
{
	long n;

	for (n = 0;; n++) {
		struct msp_error_info info = no_info();
		bool failed;
		int rc;

		session_end();
		scripthost_forget(&hosts);
		wireserver(ASK_STATUS, ENABLED_NO_KEY, 1);
		wireserver(ASK_KEY, KEY(GUID_A), 0);
		wireserver(ASK_ATTEST, HEAD, 0);
		wireserver(ASK_STATUS, ENABLED(GUID_A), 0);
		failalloc_arm(n);
		rc = msp_session_new(&session, &session_opts, &info);
		if (rc == 0)
			rc = msp_session_latch(session, &info);
		else
			ck_assert_ptr_null(session);
		failed = failalloc_disarm();
		ck_assert_msg(rc == 0 || (failed && rc == MSP_ERR_NOMEM),
			      "%ld: %d, %s", n, rc, info.text);
		ck_assert_int_eq(rc < 0, info.text[0] != '\0');
		if (!failed)
			break;
		if (session && rc < 0) /* and goes on when there is memory */
			ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	}
	ck_assert_int_gt(n, 20);
	check_key(GUID_A);
}
END_TEST

static Suite *session_suite(void)
{
	Suite *s = suite_create("session");
	TCase *tc = tcase_create("latch");

	tcase_add_checked_fixture(tc, session_setup, session_teardown);
	tcase_add_test(tc, session_new_refuses_bad_options);
	tcase_add_test(tc, session_new_takes_options_of_a_newer_caller);
	tcase_add_test(tc, session_new_makes_the_directory_for_its_owner_only);
	tcase_add_test(tc, session_new_says_which_directory_it_cannot_have);
	tcase_add_test(tc, session_new_needs_few_options);
	tcase_add_test(tc, session_answers_null);
	tcase_add_loop_test(tc, session_latch_comes_to_a_key, 0, COUNT(ways));
	tcase_add_test(tc, session_latch_keeps_the_key_for_the_next_session);
	tcase_add_test(tc, session_latch_asks_no_more_often_than_a_latch);
	tcase_add_test(tc,
		       session_latch_goes_on_with_its_key_while_the_host_fails);
	tcase_add_loop_test(tc, session_latch_says_why_there_is_no_key, 0,
			    COUNT(no_ways));
	tcase_add_loop_test(tc, session_latch_needs_no_info, 0, COUNT(no_ways));
	tcase_add_test(tc, session_latch_recovers_when_called_again);
	tcase_add_test(tc, session_latch_is_not_for_an_unsigned_session);
	tcase_add_test(tc, session_latch_is_busy_at_once_beside_another);
	tcase_add_test(tc, session_latch_is_busy_beside_another_session);
	tcase_add_test(tc, session_tells_each_event_once);
	tcase_add_test(tc, session_tells_of_a_key_file_that_is_of_no_use);
	tcase_add_test(tc, session_needs_no_callbacks);
	tcase_add_test(tc, session_reads_the_clock_if_nobody_tells_the_time);
	tcase_add_test(tc, session_latch_ends_no_sooner_for_signals);
	tcase_add_test(tc, session_latch_ends_no_later_for_signals);
	tcase_add_test(tc, session_latch_says_that_it_cannot_wait);
	tcase_add_test(tc, session_latch_refuses_a_clock_that_is_mad);
	tcase_add_test(tc, session_survives_every_failed_allocation);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(session_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
