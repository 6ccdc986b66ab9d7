/* SPDX-License-Identifier: MIT */
/*
 * In: requests of a session, and hosts that answer, refuse, hang up or say
 * nothing. Out: whether each is signed as the host wants it, made as often as
 * it may be, and its answer is whole.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/sessionhost.h"
#include "tests/lib/sessionpoll.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define IMDS	 MSP_ENDPOINT_IMDS

static struct msp_error_info no_info(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	return info;
}

static void on(enum msp_endpoint endpoint, const char *begins, const char *text,
	       enum script_then then, unsigned int times)
{
	struct script_line line = { endpoint, begins, text, then, times };

	scripthost_add(&hosts, line);
}

/* A session with key A, and hosts that were asked nothing. */
static void session_with_a(void)
{
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(msp_session_latch(session, NULL), 0);
	scripthost_forget(&hosts);
}

static struct msp_message message(const char *method, const char *body)
{
	struct msp_message m = {
		.size = sizeof(m),
		.method = method,
		.method_len = strlen(method),
		.target = "/x?a=b",
		.target_len = 6,
		.body = body,
		.body_len = body ? strlen(body) : 0,
	};

	return m;
}

static int asks(const char *method, const char *body, struct msp_document **out,
		struct msp_error_info *info)
{
	struct msp_message m = message(method, body);

	*out = (struct msp_document *)&m;
	return msp_session_request(session, out, IMDS, &m, info);
}

static void check_body(struct msp_document *d, const char *body)
{
	size_t len;

	ck_assert_ptr_nonnull(d);
	ck_assert_str_eq(msp_document_body(d, &len), body);
	ck_assert_uint_eq(len, strlen(body));
	msp_document_free(d);
}

/* ---- what is sent ------------------------------------------------------ */

START_TEST(session_get_signs_what_the_host_can_verify)
{
	struct msp_document *d;
	char name[32];

	on(IMDS, "GET /metadata/instance?a=b HTTP/1.1\r\n", OK("{}", 2),
	   THEN_KEEP, 0);
	wireserver_gives_a();
	session_begin();
	ck_assert_int_eq(session_gets("/metadata/instance?a=b", &d, NULL), 0);
	ck_assert_uint_eq(msp_document_status(d), 200);
	check_body(d, "{}");
	ck_assert(session_signed(IMDS, GUID_A));
	ck_assert(!session_signed(IMDS, GUID_B));
	snprintf(name, sizeof(name), "127.0.0.1:%u", hosts.address[IMDS].port);
	ck_assert_str_eq(session_sent(IMDS, "host"), name);
	ck_assert_str_eq(session_sent(IMDS, "metadata"), "True");
	ck_assert_str_eq(session_sent(IMDS, MSP_HEADER_CLAIMS),
			 MSP_CLAIMS_ROOT);
	/* by the host's clock, not ours */
	ck_assert_str_eq(session_sent(IMDS, MSP_HEADER_DATE),
			 "Wed, 23 Apr 2025 12:00:00 GMT");
	ck_assert_ptr_null(session_sent(IMDS, "content-length"));
}
END_TEST

START_TEST(session_request_sends_headers_and_body_as_given)
{
	static const struct msp_header headers[] = {
		{ "Accept", 6, "text/xml", 8 },
		{ "X-Empty", 7, NULL, 0 },
	};
	struct msp_message m = message("PUT", "hello");
	struct msp_document *d;

	session_with_a();
	on(MSP_ENDPOINT_HOSTGA, "PUT /x?a=b ",
	   "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", THEN_KEEP, 0);
	m.headers = headers;
	m.n_headers = COUNT(headers);
	ck_assert_int_eq(
		msp_session_request(session, &d, MSP_ENDPOINT_HOSTGA, &m, NULL),
		0);
	ck_assert_uint_eq(msp_document_status(d), 404); /* an answer */
	check_body(d, "");
	ck_assert(session_signed(MSP_ENDPOINT_HOSTGA, GUID_A));
	ck_assert_str_eq(session_sent(MSP_ENDPOINT_HOSTGA, "accept"),
			 "text/xml");
	ck_assert_str_eq(session_sent(MSP_ENDPOINT_HOSTGA, "x-empty"), "");
	ck_assert_str_eq(session_sent(MSP_ENDPOINT_HOSTGA, "content-length"),
			 "5");
}
END_TEST

START_TEST(session_request_takes_one_of_a_later_version)
{
	struct {
		struct msp_message now;
		unsigned char more[1024]; /* other things are behind a copy */
	} later = { .now = message("GET", NULL) };
	struct msp_document *d;

	later.now.size = sizeof(later);
	session_with_a();
	on(IMDS, "GET /x", OK("{}", 2), THEN_KEEP, 0);
	ck_assert_int_eq(
		msp_session_request(session, &d, IMDS, &later.now, NULL), 0);
	check_body(d, "{}");
	ck_assert(session_signed(IMDS, GUID_A));
}
END_TEST

START_TEST(session_get_is_for_2xx_only)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_with_a();
	on(IMDS, "GET ", "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
	   THEN_KEEP, 0);
	d = (struct msp_document *)&info;
	ck_assert_int_eq(session_gets("/x", &d, &info), MSP_ERR_STATUS);
	ck_assert_ptr_null(d);
	ck_assert_uint_eq(info.http_status, 404);
	ck_assert_int_eq(info.endpoint, IMDS);
	ck_assert_str_eq(info.text, "IMDS answered with status 404");
	ck_assert_int_eq(session_gets("/x", &d, NULL), MSP_ERR_STATUS);
}
END_TEST

START_TEST(session_request_gives_the_head_of_a_head)
{
	struct msp_document *d;

	session_with_a();
	on(IMDS, "HEAD ",
	   "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nETag: \"x\"\r\n\r\n",
	   THEN_KEEP, 0);
	ck_assert_int_eq(asks("HEAD", NULL, &d, NULL), 0);
	ck_assert_str_eq(msp_document_header(d, "etag", 4), "\"x\"");
	check_body(d, "");
	ck_assert_int_eq(asks("HEAD", NULL, &d, NULL), 0);
	msp_document_free(d);
	ck_assert_uint_eq(hosts.accepted[IMDS], 1);
}
END_TEST

/* ---- signed or not ----------------------------------------------------- */

START_TEST(session_sends_unsigned_where_the_host_wants_no_channel)
{
	struct msp_document *d;

	wireserver(ASK_STATUS, DISABLED(GUID_A), 0);
	on(IMDS, "GET ", OK("x", 1), THEN_KEEP, 0);
	session_begin();
	ck_assert_int_eq(session_gets("/x", &d, NULL), 0);
	check_body(d, "x");
	ck_assert_ptr_null(session_sent(IMDS, MSP_HEADER_AUTHORIZATION));
}
END_TEST

START_TEST(session_signs_once_the_host_wants_a_channel)
{
	struct msp_document *d;

	wireserver(ASK_STATUS, DISABLED(GUID_A), 1);
	wireserver_gives_a();
	on(IMDS, "GET ", OK("x", 1), THEN_KEEP, 0);
	session_begin();
	ck_assert_int_eq(session_gets("/x", &d, NULL), 0);
	msp_document_free(d);
	session_ms += 15000;
	ck_assert_int_eq(session_gets("/x", &d, NULL), 0);
	msp_document_free(d);
	ck_assert(session_signed(IMDS, GUID_A));
}
END_TEST

START_TEST(session_that_does_not_sign_never_asks_for_a_key)
{
	struct msp_document *d;

	session_opts.flags = MSP_SESSION_UNSIGNED;
	on(IMDS, "GET ", OK("x", 1), THEN_KEEP, 0);
	on(IMDS, "POST ", FORBIDDEN, THEN_KEEP, 0);
	session_begin();
	ck_assert_int_eq(session_gets("/x", &d, NULL), 0);
	check_body(d, "x");
	ck_assert_ptr_null(session_sent(IMDS, MSP_HEADER_AUTHORIZATION));
	ck_assert_int_eq(asks("POST", "b", &d, NULL), 0);
	check_body(d, "no");
	ck_assert_uint_eq(hosts.accepted[MSP_ENDPOINT_WIRESERVER], 0);
	ck_assert_uint_eq(hosts.requests[IMDS], 2);
}
END_TEST

/* What a WireServer says that wants a channel, and gives no key. */
static const struct {
	const char *status, *key, *attest;
	int rc;
} no_keys[] = {
	{ "HTTP/1.1 500 No\r\n\r\n", "", "", MSP_ERR_STATUS },
	{ HANGS, "", "", MSP_ERR_TIMEOUT },
	{ "", "", "", MSP_ERR_CLOSED },
	{ ENABLED_NO_KEY, "HTTP/1.1 403 No\r\n\r\n", "", MSP_ERR_STATUS },
	{ ENABLED_NO_KEY, HEAD "{}", "", MSP_ERR_SCHEMA },
	{ ENABLED_NO_KEY, KEY(GUID_A), REFUSED, MSP_ERR_STATUS },
	{ ENABLED_NO_KEY, KEY(GUID_A), HANGS, MSP_ERR_TIMEOUT },
	{ ENABLED(GUID_B), "HTTP/1.1 403 No\r\n\r\n", "", MSP_ERR_STATUS },
};

START_TEST(session_sends_nothing_unsigned_that_the_host_wants_signed)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	wireserver(ASK_STATUS, no_keys[_i].status, 0);
	wireserver(ASK_ATTEST, no_keys[_i].attest, 0);
	wireserver(ASK_KEY, no_keys[_i].key, 0);
	on(IMDS, "", OK("x", 1), THEN_KEEP, 0);
	session_begin();
	ck_assert_int_eq(session_gets("/x", &d, &info), no_keys[_i].rc);
	ck_assert_ptr_null(d);
	ck_assert_int_eq(info.endpoint, MSP_ENDPOINT_WIRESERVER);
	ck_assert_uint_eq(hosts.accepted[IMDS], 0);
	ck_assert_uint_eq(session_ms, 31000);
}
END_TEST

/* ---- connections ------------------------------------------------------- */

static const struct {
	const char *name;
	const char *method;
	const char *second; /* answer on the kept connection */
	enum script_then then;
	const char *third; /* on a new one */
	int rc;
	unsigned int requests;
	unsigned int accepted;
} kept[] = {
	{ "kept", "GET", OK("2", 1), THEN_KEEP, NULL, 0, 2, 1 },
	{ "closed", "GET", "", THEN_CLOSE, OK("3", 1), 0, 3, 2 },
	{ "reset", "GET", "", THEN_RESET, OK("3", 1), 0, 3, 2 },
	{ "closed, HEAD", "HEAD", "", THEN_CLOSE, "HTTP/1.1 200 OK\r\n\r\n", 0,
	  3, 2 },
	{ "closed twice", "GET", "", THEN_CLOSE, "", MSP_ERR_CLOSED, 3, 2 },
	{ "something came", "GET", "HTTP/1.1 2", THEN_CLOSE, OK("3", 1),
	  MSP_ERR_CLOSED, 2, 1 },
	{ "part of a body", "GET",
	  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"
	  "\r\n1234",
	  THEN_CLOSE, OK("3", 1), MSP_ERR_CLOSED, 2, 1 },
	{ "not HTTP", "GET", "hello\r\n\r\n", THEN_CLOSE, OK("3", 1),
	  MSP_ERR_PROTOCOL, 2, 1 },
	{ "nothing", "GET", NULL, THEN_KEEP, OK("3", 1), MSP_ERR_TIMEOUT, 2,
	  1 },
	{ "closed, POST", "POST", "", THEN_CLOSE, OK("3", 1), MSP_ERR_CLOSED, 2,
	  1 },
	{ "closed, PUT", "PUT", "", THEN_CLOSE, OK("3", 1), MSP_ERR_CLOSED, 2,
	  1 },
	{ "closed, get", "get", "", THEN_CLOSE, OK("3", 1), MSP_ERR_CLOSED, 2,
	  1 },
	{ "closed, GETS", "GETS", "", THEN_CLOSE, OK("3", 1), MSP_ERR_CLOSED, 2,
	  1 },
};

START_TEST(session_retries_only_what_did_no_harm)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;
	int rc;

	session_with_a();
	on(IMDS, "GET /first", OK("1", 1), THEN_KEEP, 1);
	on(IMDS, kept[_i].method, kept[_i].second, kept[_i].then, 1);
	on(IMDS, kept[_i].method, kept[_i].third, THEN_CLOSE, 0);
	ck_assert_int_eq(session_gets("/first", &d, NULL), 0);
	check_body(d, "1");
	rc = asks(kept[_i].method, NULL, &d, &info);
	ck_assert_msg(rc == kept[_i].rc, "%s: %d, %s", kept[_i].name, rc,
		      info.text);
	ck_assert_msg(hosts.requests[IMDS] == kept[_i].requests, "%s: %u",
		      kept[_i].name, hosts.requests[IMDS]);
	ck_assert_msg(hosts.accepted[IMDS] == kept[_i].accepted, "%s: %u",
		      kept[_i].name, hosts.accepted[IMDS]);
	ck_assert_int_eq(info.endpoint, rc < 0 ? (int)IMDS : -1);
	ck_assert_int_eq(d == NULL, rc < 0);
	msp_document_free(d);

	/* whatever it was, the next one is in step */
	scripthost_forget(&hosts);
	wireserver(ASK_STATUS, ENABLED(GUID_A), 0);
	on(IMDS, "GET /next", OK("4", 1), THEN_KEEP, 0);
	ck_assert_int_eq(session_gets("/next", &d, NULL), 0);
	check_body(d, "4");
	ck_assert(session_signed(IMDS, GUID_A));
}
END_TEST

START_TEST(session_does_not_retry_on_a_new_connection)
{
	struct msp_document *d;

	session_with_a();
	on(IMDS, "GET ", "", THEN_CLOSE, 0);
	ck_assert_int_eq(session_gets("/x", &d, NULL), MSP_ERR_CLOSED);
	ck_assert_uint_eq(hosts.requests[IMDS], 1);
}
END_TEST

START_TEST(session_keeps_a_connection_for_each_endpoint)
{
	struct msp_document *d;
	int i, round;

	session_with_a();
	for (i = 0; i < MSP_ENDPOINTS; i++)
		on((enum msp_endpoint)i, "GET /x", OK("x", 1), THEN_KEEP, 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MSP_ENDPOINTS; i++) {
			ck_assert_int_eq(msp_session_get(session, &d,
							 (enum msp_endpoint)i,
							 "/x", 2, NULL),
					 0);
			check_body(d, "x");
		}
	}
	for (i = 0; i < MSP_ENDPOINTS; i++)
		ck_assert_uint_eq(hosts.accepted[i], 1);
	ck_assert_uint_eq(session_sockets, 3 + MSP_ENDPOINTS);
}
END_TEST

START_TEST(session_says_that_a_socket_was_refused)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_with_a();
	session_refuses_sockets = true;
	ck_assert_int_eq(session_gets("/x", &d, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.endpoint, IMDS);
	ck_assert_uint_eq(hosts.accepted[IMDS], 0);
}
END_TEST

/* ---- a key the host does not take -------------------------------------- */

enum opinion { SAME_KEY, NEW_KEY, NO_CHANNEL, NO_ANSWER };

static void wireserver_thinks(enum opinion opinion)
{
	switch (opinion) {
	case SAME_KEY:
		wireserver(ASK_STATUS, ENABLED(GUID_A), 0);
		break;
	case NEW_KEY:
		wireserver(ASK_STATUS, ENABLED_NO_KEY, 1);
		wireserver(ASK_KEY, KEY(GUID_B), 1);
		wireserver(ASK_ATTEST, HEAD, 1);
		wireserver(ASK_STATUS, ENABLED(GUID_B), 0);
		break;
	case NO_CHANNEL:
		wireserver(ASK_STATUS, DISABLED(GUID_A), 0);
		break;
	case NO_ANSWER:
		wireserver(ASK_STATUS, HANGS, 0);
		break;
	}
}

#define UNAUTHORIZED "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"

static const struct {
	const char *name;
	const char *method;
	const char *refusal;
	enum opinion opinion;
	unsigned int times; /* it is refused */
	unsigned int requests;
	unsigned int wireserver; /* was asked */
	const char *body;	 /* of the last answer */
	const char *key;	 /* of the last request */
} refusals[] = {
	{ "403, new key", "GET", FORBIDDEN, NEW_KEY, 1, 2, 3, "ok", GUID_B },
	{ "401, new key", "GET", UNAUTHORIZED, NEW_KEY, 1, 2, 3, "ok", GUID_B },
	{ "403 again", "GET", FORBIDDEN, NEW_KEY, 0, 2, 3, "no", GUID_B },
	{ "403, same key", "GET", FORBIDDEN, SAME_KEY, 1, 1, 1, "no", GUID_A },
	{ "403, no channel", "GET", FORBIDDEN, NO_CHANNEL, 1, 1, 1, "no",
	  GUID_A },
	{ "403, no answer", "GET", FORBIDDEN, NO_ANSWER, 1, 1, 1, "no",
	  GUID_A },
	{ "403, POST", "POST", FORBIDDEN, NEW_KEY, 1, 1, 0, "no", GUID_A },
	{ "400", "GET", "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno",
	  NEW_KEY, 1, 1, 0, "no", GUID_A },
	{ "503", "GET", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno",
	  NEW_KEY, 1, 1, 0, "no", GUID_A },
};

START_TEST(session_asks_once_more_with_a_new_key)
{
	struct msp_document *d;

	session_with_a();
	wireserver_thinks(refusals[_i].opinion);
	on(IMDS, refusals[_i].method, refusals[_i].refusal, THEN_KEEP,
	   refusals[_i].times);
	on(IMDS, refusals[_i].method, OK("ok", 2), THEN_KEEP, 0);
	ck_assert_int_eq(asks(refusals[_i].method, NULL, &d, NULL), 0);
	ck_assert_msg(hosts.requests[IMDS] == refusals[_i].requests, "%s: %u",
		      refusals[_i].name, hosts.requests[IMDS]);
	ck_assert_msg(hosts.requests[MSP_ENDPOINT_WIRESERVER] ==
			      refusals[_i].wireserver,
		      "%s: %u", refusals[_i].name,
		      hosts.requests[MSP_ENDPOINT_WIRESERVER]);
	check_body(d, refusals[_i].body);
	ck_assert_msg(session_signed(IMDS, refusals[_i].key), "%s",
		      refusals[_i].name);
}
END_TEST

#define REISSUED                                                               \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": "     \
	     "\"" GUID_A                                                       \
	     "\", \"issued\": \"2022-05-05T 12:00:00Z\", \"key\": "            \
	     "\"00000000000000000000000000000000"                              \
	     "11111111111111111111111111111111\"}"

START_TEST(session_asks_once_more_with_another_key_of_the_same_guid)
{
	struct msp_document *d;

	session_with_a();
	wireserver(ASK_STATUS, ENABLED_NO_KEY, 1);
	wireserver(ASK_KEY, REISSUED, 1);
	wireserver(ASK_ATTEST, HEAD, 1);
	on(IMDS, "GET ", UNAUTHORIZED, THEN_KEEP, 1);
	on(IMDS, "GET ", OK("ok", 2), THEN_KEEP, 0);
	ck_assert_int_eq(asks("GET", NULL, &d, NULL), 0);
	check_body(d, "ok");
	ck_assert(!session_signed(IMDS, GUID_A)); /* with the first one */
	ck_assert_uint_eq(hosts.requests[IMDS], 2);
}
END_TEST

START_TEST(session_looks_for_another_key_after_a_refused_post)
{
	struct msp_document *d;

	session_with_a();
	wireserver_thinks(NEW_KEY);
	on(IMDS, "POST ", FORBIDDEN, THEN_KEEP, 1);
	on(IMDS, "POST ", OK("ok", 2), THEN_KEEP, 0);
	ck_assert_int_eq(asks("POST", "b", &d, NULL), 0);
	check_body(d, "no");
	ck_assert_int_eq(asks("POST", "b", &d, NULL), 0);
	check_body(d, "ok");
	ck_assert(session_signed(IMDS, GUID_B));
	ck_assert_uint_eq(hosts.requests[IMDS], 2);
}
END_TEST

START_TEST(session_says_why_asking_once_more_failed)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_with_a();
	wireserver_thinks(NEW_KEY);
	on(IMDS, "GET ", FORBIDDEN, THEN_KEEP, 1);
	on(IMDS, "GET ", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1",
	   THEN_CLOSE, 0);
	ck_assert_int_eq(asks("GET", NULL, &d, &info), MSP_ERR_CLOSED);
	ck_assert_ptr_null(d);
	ck_assert_int_eq(info.endpoint, IMDS);
}
END_TEST

/* ---- time -------------------------------------------------------------- */

START_TEST(session_waits_no_longer_than_its_time)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_opts.timeout_ms = 2000;
	session_with_a();
	on(IMDS, "GET ",
	   _i ? "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1" : NULL,
	   THEN_KEEP, 1);
	on(IMDS, "GET ", OK("x", 1), THEN_KEEP, 0);
	session_signals = 50;
	ck_assert_int_eq(session_gets("/x", &d, &info), MSP_ERR_TIMEOUT);
	ck_assert_ptr_null(d);
	ck_assert_uint_eq(session_ms, 3000);
	ck_assert_int_eq(info.endpoint, IMDS);
	ck_assert_str_eq(info.text, "no answer within 2000 ms");
	ck_assert_uint_eq(hosts.requests[IMDS], 1);
	/* an answer that comes late is not taken for the next one's */
	ck_assert_int_eq(session_gets("/x", &d, &info), 0);
	check_body(d, "x");
	ck_assert_uint_eq(hosts.accepted[IMDS], 2);
}
END_TEST

START_TEST(session_says_that_it_cannot_wait)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_with_a();
	on(IMDS, "GET ", OK("x", 1), THEN_KEEP, 0);
	session_poll_errno = ENOMEM;
	ck_assert_int_eq(session_gets("/x", &d, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ENOMEM);
	ck_assert_int_eq(info.endpoint, IMDS);
	ck_assert_ptr_null(d);
	ck_assert_int_eq(session_gets("/x", &d, &info), 0);
	msp_document_free(d);
}
END_TEST

/* ---- memory ------------------------------------------------------------ */

START_TEST(session_request_survives_every_failed_allocation)
{
	long n;

	for (n = 0;; n++) {
		struct msp_error_info info = no_info();
		struct msp_document *d;
		bool failed;
		int rc;

		scripthost_forget(&hosts);
		session_end();
		session_with_a();
		wireserver_thinks(NEW_KEY);
		on(IMDS, "GET ", FORBIDDEN, THEN_CLOSE, 1);
		on(IMDS, "GET ", OK("ok", 2), THEN_KEEP, 0);
		failalloc_arm(n);
		rc = asks("GET", NULL, &d, &info);
		failed = failalloc_disarm();
		ck_assert_msg(rc == 0 || (failed && rc == MSP_ERR_NOMEM),
			      "%ld: %d, %s", n, rc, info.text);
		ck_assert_int_eq(d == NULL, rc < 0);
		ck_assert_int_eq(rc < 0, info.text[0] != '\0');
		msp_document_free(d);
		if (!failed)
			break;
		if (rc == 0) /* it was the question for another key */
			continue;
		ck_assert_int_eq(asks("GET", NULL, &d, NULL), 0);
		msp_document_free(d);
	}
	ck_assert_int_gt(n, 20);
	ck_assert(session_signed(IMDS, GUID_B));
}
END_TEST

static Suite *session_suite(void)
{
	Suite *s = suite_create("session requests");
	TCase *tc = tcase_create("requests");

	tcase_add_checked_fixture(tc, session_setup, session_teardown);
	tcase_add_test(tc, session_get_signs_what_the_host_can_verify);
	tcase_add_test(tc, session_request_sends_headers_and_body_as_given);
	tcase_add_test(tc, session_request_takes_one_of_a_later_version);
	tcase_add_test(tc, session_get_is_for_2xx_only);
	tcase_add_test(tc, session_request_gives_the_head_of_a_head);
	tcase_add_test(tc,
		       session_sends_unsigned_where_the_host_wants_no_channel);
	tcase_add_test(tc, session_signs_once_the_host_wants_a_channel);
	tcase_add_test(tc, session_that_does_not_sign_never_asks_for_a_key);
	tcase_add_loop_test(
		tc, session_sends_nothing_unsigned_that_the_host_wants_signed,
		0, COUNT(no_keys));
	tcase_add_loop_test(tc, session_retries_only_what_did_no_harm, 0,
			    COUNT(kept));
	tcase_add_test(tc, session_does_not_retry_on_a_new_connection);
	tcase_add_test(tc, session_keeps_a_connection_for_each_endpoint);
	tcase_add_test(tc, session_says_that_a_socket_was_refused);
	tcase_add_loop_test(tc, session_asks_once_more_with_a_new_key, 0,
			    COUNT(refusals));
	tcase_add_test(
		tc, session_asks_once_more_with_another_key_of_the_same_guid);
	tcase_add_test(tc, session_looks_for_another_key_after_a_refused_post);
	tcase_add_test(tc, session_says_why_asking_once_more_failed);
	tcase_add_loop_test(tc, session_waits_no_longer_than_its_time, 0, 2);
	tcase_add_test(tc, session_says_that_it_cannot_wait);
	tcase_add_test(tc, session_request_survives_every_failed_allocation);
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
