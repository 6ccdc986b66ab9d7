/* SPDX-License-Identifier: MIT */
/*
 * In: requests and answers of a session that are too large, or that are none.
 * Out: whether each is refused as a whole, and the next one is not.
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

static void check_body(struct msp_document *d, const char *body)
{
	size_t len;

	ck_assert_ptr_nonnull(d);
	ck_assert_str_eq(msp_document_body(d, &len), body);
	ck_assert_uint_eq(len, strlen(body));
	msp_document_free(d);
}

/* ---- limits ------------------------------------------------------------ */

static const struct {
	const char *answer;
	int rc;
} sizes[] = {
	{ OK("12345678", 8), 0 },
	{ OK("123456789", 9), MSP_ERR_LIMIT },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n",
	  0 },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n",
	  MSP_ERR_LIMIT },
	{ "HTTP/1.1 200 OK\r\n\r\n12345678", 0 },
	{ "HTTP/1.1 200 OK\r\n\r\n123456789", MSP_ERR_LIMIT },
};

START_TEST(session_keeps_the_limit_of_a_document)
{
	struct msp_error_info info = no_info();
	struct msp_document *d;

	session_opts.document_max = 8;
	session_with_a();
	on(IMDS, "GET ", sizes[_i].answer, THEN_CLOSE, 1);
	on(IMDS, "GET ", OK("next", 4), THEN_CLOSE, 0);
	ck_assert_int_eq(session_gets("/x", &d, &info), sizes[_i].rc);
	if (sizes[_i].rc == 0) {
		check_body(d, "12345678");
	} else {
		ck_assert_ptr_null(d);
		ck_assert_int_eq(info.endpoint, IMDS);
		ck_assert_ptr_nonnull(strstr(info.text, "8 bytes"));
	}
	ck_assert_int_eq(session_gets("/x", &d, &info), 0);
	check_body(d, "next");
}
END_TEST

START_TEST(session_keeps_the_limits_of_a_request)
{
	static struct msp_header headers[MSP_MAX_HEADERS];
	static char body[MSP_CLIENT_REQUEST_MAX];
	struct msp_error_info info = no_info();
	struct msp_message m = message("PUT", "x");
	struct msp_document *d;
	int i;

	session_with_a();
	on(IMDS, "PUT ", OK("x", 1), THEN_KEEP, 0);
	for (i = 0; i < MSP_MAX_HEADERS; i++)
		headers[i] = (struct msp_header){ "a", 1, "b", 1 };
	m.headers = headers;
	m.n_headers = MSP_SESSION_HEADERS;
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, &m, &info), 0);
	msp_document_free(d);
	ck_assert(session_signed(IMDS, GUID_A));
	m.n_headers++;
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, &m, &info),
			 MSP_ERR_LIMIT);
	ck_assert_ptr_null(d);
	m.n_headers = SIZE_MAX;
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, &m, &info),
			 MSP_ERR_LIMIT);
	m.n_headers = 0;
	m.body_len = sizeof(body);
	m.body = body;
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, &m, &info),
			 MSP_ERR_LIMIT);
	ck_assert_uint_eq(hosts.requests[IMDS], 1);
}
END_TEST

static const struct msp_header ours[] = {
	{ "Host", 4, "h", 1 },
	{ "METADATA", 8, "True", 4 },
	{ "x-ms-azure-host-claims", 22, "{}", 2 },
	{ "x-ms-azure-host-date", 20, "d", 1 },
	{ "x-ms-azure-host-authorization", 29, "a", 1 },
	{ "Content-Length", 14, "1", 1 },
	{ "Transfer-Encoding", 17, "chunked", 7 },
	{ NULL, 4, "h", 1 },
	{ "a", 1, NULL, 1 },
	{ "a b", 3, "x", 1 },
	{ "a", 1, "x\r\nb: c", 7 },
};

START_TEST(session_refuses_headers_that_it_adds_or_that_are_none)
{
	struct msp_error_info info = no_info();
	struct msp_message m = message("GET", NULL);
	struct msp_document *d = (struct msp_document *)&m;

	session_with_a();
	m.headers = &ours[_i];
	m.n_headers = 1;
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, &m, &info),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(d);
	ck_assert_int_ne(info.text[0], '\0');
	ck_assert_uint_eq(hosts.accepted[IMDS], 0);
}
END_TEST

START_TEST(session_refuses_requests_that_are_none)
{
	struct {
		struct msp_message now;
		uint64_t more;
	} later;
	struct msp_message bad[8];
	struct msp_document *d;
	int i;

	session_with_a();
	for (i = 0; i < COUNT(bad); i++)
		bad[i] = message("GET", NULL);
	bad[0].size--;
	bad[1].method = NULL;
	bad[2].target = NULL;
	bad[3].n_headers = 1;
	bad[4].body_len = 1;
	bad[5].method_len = 0;
	bad[6].target = "x?a=b ";
	bad[7].method = "G T";
	for (i = 0; i < COUNT(bad); i++) {
		d = (struct msp_document *)&bad;
		ck_assert_msg(msp_session_request(session, &d, IMDS, &bad[i],
						  NULL) == MSP_ERR_INVAL,
			      "%d", i);
		ck_assert_ptr_null(d);
	}
	later.now = message("GET", NULL);
	later.now.size = sizeof(later);
	later.more = 1; /* asks for what this version cannot do */
	ck_assert_int_eq(
		msp_session_request(session, &d, IMDS, &later.now, NULL),
		MSP_ERR_INVAL);
	bad[0] = message("GET", NULL);
	ck_assert_int_eq(
		msp_session_request(session, NULL, IMDS, &bad[0], NULL),
		MSP_ERR_INVAL);
	ck_assert_int_eq(msp_session_request(session, &d, IMDS, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_session_request(session, &d,
					     (enum msp_endpoint)MSP_ENDPOINTS,
					     &bad[0], NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_session_get(session, &d, IMDS, NULL, 0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_session_get(session, NULL, IMDS, "/", 1, NULL),
			 MSP_ERR_INVAL);
	ck_assert_uint_eq(hosts.accepted[IMDS], 0);
}
END_TEST

/* ---- a host that hangs ------------------------------------------------- */

/* The key it named last is as good as before. */
START_TEST(session_signs_on_while_a_poll_hangs)
{
	struct msp_document *d = NULL;
	int i;

	session_opts.timeout_ms = 2500;
	session_with_a();
	wireserver(ASK_STATUS, HANGS, 0);
	on(IMDS, "GET ", OK("ok", 2), THEN_KEEP, 0);
	session_ms += 20000; /* a poll is due */
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(session_gets("/x", &d, NULL), 0);
		ck_assert(session_signed(IMDS, GUID_A));
		check_body(d, "ok");
	}
}
END_TEST

static Suite *session_suite(void)
{
	Suite *s = suite_create("session limits");
	TCase *tc = tcase_create("limits");

	tcase_add_checked_fixture(tc, session_setup, session_teardown);
	tcase_add_loop_test(tc, session_keeps_the_limit_of_a_document, 0,
			    COUNT(sizes));
	tcase_add_test(tc, session_keeps_the_limits_of_a_request);
	tcase_add_loop_test(
		tc, session_refuses_headers_that_it_adds_or_that_are_none, 0,
		COUNT(ours));
	tcase_add_test(tc, session_refuses_requests_that_are_none);
	tcase_add_test(tc, session_signs_on_while_a_poll_hangs);
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
