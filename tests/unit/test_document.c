/* SPDX-License-Identifier: MIT */
/*
 * In: answers of a fake host, whole and in pieces. Out: whether a document
 * holds all of an answer, nothing before it is complete, and never more than
 * it may.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <msp/document.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define CHUNKED	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static struct fakehost fake;
static struct msp_client *client;
static struct msp_document *document;
static const struct msp_time t0 = { .boot_ms = 1000, .wall_s = 1745409600 };

static void setup(void)
{
	struct msp_client_opts o = { .size = sizeof(o) };

	fakehost_open(&fake);
	o.address = fake.address;
	ck_assert_int_eq(msp_client_new(&client, &o), 0);
}

static void teardown(void)
{
	msp_document_free(document);
	document = NULL;
	msp_client_free(client);
	client = NULL;
	fakehost_close(&fake);
	ck_assert_int_eq(failalloc_live(), 0);
}

static void ask(const char *method)
{
	static const struct msp_header h = { "host", 4, "h", 1 };
	struct msp_message m = {
		.size = sizeof(m),
		.method = method,
		.method_len = strlen(method),
		.target = "/",
		.target_len = 1,
		.headers = &h,
		.n_headers = 1,
	};

	ck_assert_int_eq(msp_client_send(client, t0, &m, 0, NULL, NULL), 0);
	while (!fakehost_has_request(&fake)) {
		ck_assert_int_eq(msp_client_run(client, t0, NULL),
				 MSP_ERR_AGAIN);
		fakehost_accept(&fake);
		fakehost_hear(&fake);
	}
	fakehost_forget(&fake);
}

/* Loopback bytes may take a moment. */
static int fill(struct msp_error_info *info)
{
	int i, rc = MSP_ERR_AGAIN;

	for (i = 0; i < 2000 && rc == MSP_ERR_AGAIN; i++) {
		struct timespec ms = { 0, 1000000 };

		rc = msp_document_fill(document, client, t0, info);
		if (rc == MSP_ERR_AGAIN)
			nanosleep(&ms, NULL);
	}
	return rc;
}

static void check_empty(void)
{
	size_t len = 1;

	ck_assert_uint_eq(msp_document_status(document), 0);
	ck_assert_str_eq(msp_document_body(document, &len), "");
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(msp_document_header(document, "a", 1));
}

/* ---- answers ----------------------------------------------------------- */

static const struct {
	const char *method;
	const char *answer;
	bool closes;
	uint64_t max;
	int rc;
	unsigned int status;
	const char *body;
} answers[] = {
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 0,
	  0, 200, "hello" },
	{ "GET", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", false, 0, 0,
	  999, "" },
	{ "GET",
	  "HTTP/1.1 100 Go on\r\n\r\n"
	  "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx",
	  false, 0, 0, 404, "x" },
	{ "GET", "HTTP/1.1 204 None\r\n\r\n", false, 0, 0, 204, "" },
	{ "GET", "HTTP/1.1 304 Same\r\nContent-Length: 99\r\n\r\n", false, 8, 0,
	  304, "" },
	{ "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", false, 8, 0,
	  200, "" },
	{ "GET", CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, 0, 0,
	  200, "hello world" },
	{ "GET", CHUNKED "0\r\n\r\n", false, 0, 0, 200, "" },
	{ "GET", "HTTP/1.1 200 OK\r\n\r\nto the end", true, 0, 0, 200,
	  "to the end" },
	{ "GET", "HTTP/1.0 200 OK\r\n\r\n", true, 0, 0, 200, "" },
	/* limits: as much as that, and not one byte more */
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", false,
	  8, 0, 200, "12345678" },
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, 8,
	  MSP_ERR_LIMIT, 0, NULL },
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", false, 1, 0,
	  200, "1" },
	{ "GET", CHUNKED "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n", false, 8, 0,
	  200, "12345678" },
	{ "GET", CHUNKED "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n", false, 8,
	  MSP_ERR_LIMIT, 0, NULL },
	{ "GET", CHUNKED "fffffff\r\n123456789", false, 8, MSP_ERR_LIMIT, 0,
	  NULL },
	{ "GET", "HTTP/1.1 200 OK\r\n\r\n12345678", true, 8, 0, 200,
	  "12345678" },
	{ "GET", "HTTP/1.1 200 OK\r\n\r\n123456789", false, 8, MSP_ERR_LIMIT, 0,
	  NULL },
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n", false, 0,
	  MSP_ERR_LIMIT, 0, NULL },
	/* not complete */
	{ "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, 0,
	  MSP_ERR_CLOSED, 0, NULL },
	{ "GET", CHUNKED "5\r\nhello\r\n", true, 0, MSP_ERR_CLOSED, 0, NULL },
	{ "GET", "HTTP/1.1 200", true, 0, MSP_ERR_CLOSED, 0, NULL },
	{ "GET", CHUNKED "z\r\n", false, 0, MSP_ERR_PROTOCOL, 0, NULL },
};

static void check_answer(int i, int rc, const struct msp_error_info *info)
{
	size_t len;

	ck_assert_msg(rc == answers[i].rc, "%d: %d, %s", i, rc, info->text);
	if (rc < 0) {
		check_empty();
		ck_assert_int_ne(info->text[0], '\0');
		return;
	}
	ck_assert_uint_eq(msp_document_status(document), answers[i].status);
	ck_assert_str_eq(msp_document_body(document, &len), answers[i].body);
	ck_assert_uint_eq(len, strlen(answers[i].body));
	ck_assert_ptr_nonnull(msp_document_body(document, NULL));
	ck_assert_str_eq(info->text, "");
	ck_assert_int_eq(fill(NULL), 0); /* ever after */
}

START_TEST(document_holds_all_of_an_answer)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	ask(answers[_i].method);
	ck_assert_int_eq(msp_document_new(&document, answers[_i].max), 0);
	fakehost_say(&fake, answers[_i].answer, strlen(answers[_i].answer));
	if (answers[_i].closes)
		fakehost_hang_up(&fake);
	check_answer(_i, fill(&info), &info);
}
END_TEST

START_TEST(document_holds_an_answer_that_comes_byte_by_byte)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *at = answers[_i].answer;
	int rc = MSP_ERR_AGAIN;

	ask(answers[_i].method);
	ck_assert_int_eq(msp_document_new(&document, answers[_i].max), 0);
	for (; *at && rc == MSP_ERR_AGAIN; at++) {
		check_empty();
		fakehost_say(&fake, at, 1);
		rc = msp_document_fill(document, client, t0, &info);
	}
	if (rc == MSP_ERR_AGAIN) {
		check_empty();
		if (answers[_i].closes)
			fakehost_hang_up(&fake);
		rc = fill(&info);
	}
	check_answer(_i, rc, &info);
}
END_TEST

/* More than any buffer has at first, and than one read gives. */
START_TEST(document_grows_up_to_its_limit)
{
	static char big[100000];
	char head[64];
	const char *body;
	size_t len;
	int n;

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 'y';
	ask("GET");
	ck_assert_int_eq(msp_document_new(&document, sizeof(big)), 0);
	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
		     sizeof(big));
	fakehost_say(&fake, head, (size_t)n);
	fakehost_say(&fake, big, 50000);
	ck_assert_int_eq(msp_document_fill(document, client, t0, NULL),
			 MSP_ERR_AGAIN);
	check_empty();
	fakehost_say(&fake, big + 50000, sizeof(big) - 50000);
	ck_assert_int_eq(fill(NULL), 0);
	body = msp_document_body(document, &len);
	ck_assert_uint_eq(len, sizeof(big));
	ck_assert_mem_eq(body, big, sizeof(big));
	ck_assert_int_eq(body[len], '\0');
}
END_TEST

/* ---- headers ----------------------------------------------------------- */

START_TEST(document_finds_headers)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
				     "ETag:  \"a b\" \r\nEmpty:\r\n"
				     "Twice: 1\r\ntwice: 2\r\n\r\n";
	static const struct {
		const char *name;
		const char *value;
	} lookups[] = {
		{ "content-length", "0" },
		{ "ETAG", "\"a b\"" },
		{ "Empty", "" },
		{ "TWICE", "1" },
		{ "etags", NULL },
		{ "eta", NULL },
		{ "", NULL },
		{ "1", NULL },
		{ "\"a b\"", NULL },
	};
	int i;

	ask("GET");
	ck_assert_int_eq(msp_document_new(&document, 0), 0);
	fakehost_say(&fake, answer, sizeof(answer) - 1);
	ck_assert_int_eq(fill(NULL), 0);
	ask("GET"); /* what the client had is gone */
	for (i = 0; i < COUNT(lookups); i++)
		ck_assert_pstr_eq(msp_document_header(document, lookups[i].name,
						      strlen(lookups[i].name)),
				  lookups[i].value);
	/* its length counts */
	ck_assert_str_eq(msp_document_header(document, "etagged", 4),
			 "\"a b\"");
	ck_assert_ptr_null(msp_document_header(document, NULL, 0));
}
END_TEST

START_TEST(document_needs_no_headers)
{
	static const char answer[] = "HTTP/1.1 204 None\r\n\r\n";

	ask("GET");
	ck_assert_int_eq(msp_document_new(&document, 0), 0);
	fakehost_say(&fake, answer, sizeof(answer) - 1);
	ck_assert_int_eq(fill(NULL), 0);
	ck_assert_ptr_null(msp_document_header(document, "a", 1));
	ck_assert_ptr_null(msp_document_header(document, "", 0));
}
END_TEST

/* ---- arguments, time, memory ------------------------------------------- */

START_TEST(document_answers_null_and_idle)
{
	struct msp_document *none = (struct msp_document *)&fake;
	size_t len = 1;

	ck_assert_int_eq(msp_document_new(NULL, 0), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_document_new(&none, UINT64_MAX), MSP_ERR_INVAL);
	ck_assert_ptr_null(none);
	msp_document_free(NULL);
	ck_assert_uint_eq(msp_document_status(NULL), 0);
	ck_assert_str_eq(msp_document_body(NULL, &len), "");
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_null(msp_document_header(NULL, "a", 1));
	ck_assert_int_eq(msp_document_new(&document, 0), 0);
	check_empty();
	ck_assert_int_eq(msp_document_fill(NULL, client, t0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_document_fill(document, NULL, t0, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_document_fill(document, client, t0, NULL),
			 MSP_ERR_STATE);
}
END_TEST

START_TEST(document_ends_with_the_deadline_of_its_client)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_time late = t0;

	ask("GET");
	ck_assert_int_eq(msp_document_new(&document, 0), 0);
	if (_i)
		fakehost_say(&fake, CHUNKED "1\r\nx", strlen(CHUNKED) + 4);
	ck_assert_int_eq(msp_document_fill(document, client, t0, NULL),
			 MSP_ERR_AGAIN);
	late.boot_ms = msp_client_deadline(client);
	ck_assert_uint_ne(late.boot_ms, MSP_NEVER);
	ck_assert_int_eq(msp_document_fill(document, client, late, &info),
			 MSP_ERR_TIMEOUT);
	check_empty();
	/* and stays of no use */
	ck_assert_int_eq(msp_document_fill(document, client, t0, &info),
			 MSP_ERR_TIMEOUT);
}
END_TEST

START_TEST(document_survives_every_failed_allocation)
{
	static const char answer[] = CHUNKED "2000\r\n";
	static char piece[0x2000];
	long n;

	memset(piece, 'x', sizeof(piece));
	for (n = 0;; n++) {
		struct msp_error_info info = MSP_ERROR_INFO_INIT;
		struct msp_document *out = (struct msp_document *)&fake;
		bool failed;
		int rc;

		teardown();
		setup();
		ask("GET");
		fakehost_say(&fake, answer, sizeof(answer) - 1);
		fakehost_say(&fake, piece, sizeof(piece));
		fakehost_say(&fake, "\r\n0\r\n\r\n", 7);
		failalloc_arm(n);
		rc = msp_document_new(&out, 0);
		document = out;
		if (rc == 0)
			rc = fill(&info);
		failed = failalloc_disarm();
		if (!failed)
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		check_empty();
	}
	ck_assert_int_ge(n, 4);
	ck_assert_uint_eq(msp_document_status(document), 200);
}
END_TEST

static Suite *document_suite(void)
{
	Suite *s = suite_create("document");
	TCase *tc = tcase_create("document");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, document_holds_all_of_an_answer, 0,
			    COUNT(answers));
	tcase_add_loop_test(tc,
			    document_holds_an_answer_that_comes_byte_by_byte, 0,
			    COUNT(answers));
	tcase_add_test(tc, document_grows_up_to_its_limit);
	tcase_add_test(tc, document_finds_headers);
	tcase_add_test(tc, document_needs_no_headers);
	tcase_add_test(tc, document_answers_null_and_idle);
	tcase_add_loop_test(tc, document_ends_with_the_deadline_of_its_client,
			    0, 2);
	tcase_add_test(tc, document_survives_every_failed_allocation);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(document_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
