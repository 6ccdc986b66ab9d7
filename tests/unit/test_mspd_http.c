/* SPDX-License-Identifier: MIT */
/*
 * Heads that two parsers could read differently are refused; others pass
 * unchanged.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/http_check.h"
#include "mspd/server_probe.h"

#define MAX_HEADERS 4

struct line {
	const char *name;
	const char *value;
};

struct a_case {
	const char *claim;
	const char *method;
	const char *target;
	const char *version;
	struct line lines[MAX_HEADERS];
	unsigned int status; /* 0: passes */
	uint64_t length;
};

#define HOST                                                                   \
	{                                                                      \
		"Host", "169.254.169.254"                                      \
	}

static const struct a_case cases[] = {
	{ "plain", "GET", "/a?b=c", "HTTP/1.1", { HOST }, 0, 0 },
	{ "length",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "content-length", "12" } },
	  0,
	  12 },
	{ "chunked",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "transfer-encoding", "Chunked" } },
	  0,
	  MSPD_LENGTH_UNKNOWN },
	{ "blanks around a value are no part of it",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "content-length", " 7\t " } },
	  0,
	  7 },
	{ "8-bit value",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "X", "\xc3\xa4" } },
	  0,
	  0 },
	{ "1.0 without host", "GET", "/", "HTTP/1.0", { { 0 } }, 0, 0 },
	{ "quote in path", "GET", "/\"", "HTTP/1.1", { HOST }, 0, 0 },
	{ "backquote in query", "GET", "/?`", "HTTP/1.1", { HOST }, 0, 0 },

	{ "options that are about the connection",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST,
	    { "Connection", "Upgrade, ,close,\tHTTP2-Settings ,TE" },
	    { "TE", "x" },
	    { "Upgrade", "h2c" } },
	  0,
	  0 },
	{ "option that names nothing",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Connection", "x-not-there" } },
	  0,
	  0 },
	{ "option that is no token",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Connection", "keep-alive; x" } },
	  0,
	  0 },
	{ "host with port",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { { "Host", "[fe80::1%25a]:80" } },
	  0,
	  0 },
	{ "empty host", "GET", "/", "HTTP/1.1", { { "Host", " " } }, 0, 0 },

	{ "option that names a header",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST,
	    { "X-Forwarded-For", "1" },
	    { "Connection", "close,x-forwarded-FOR" } },
	  400,
	  0 },
	{ "second Connection names one",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Connection", "close" }, { "Connection", " Host" } },
	  400,
	  0 },
	{ "option that names the length",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST,
	    { "Content-Length", "0" },
	    { "Connection", "content-length" } },
	  400,
	  0 },
	{ "option that names one of ours",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Connection", "X-MS-Azure-Host-Claims" } },
	  400,
	  0 },
	{ "host with a path",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { { "Host", "a/b" } },
	  400,
	  0 },
	{ "host with a user",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { { "Host", "a@b" } },
	  400,
	  0 },
	{ "two hosts in one",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { { "Host", "a, b" } },
	  400,
	  0 },
	{ "8-bit host",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { { "Host", "\xe9" } },
	  400,
	  0 },
	{ "1.1 without host", "GET", "/", "HTTP/1.1", { { 0 } }, 400, 0 },
	{ "two hosts", "GET", "/", "HTTP/1.1", { HOST, HOST }, 400, 0 },
	{ "two lengths",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "1" }, { "content-length", "1" } },
	  400,
	  0 },
	{ "length and chunked",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST,
	    { "Content-Length", "1" },
	    { "Transfer-Encoding", "chunked" } },
	  400,
	  0 },
	{ "two codings",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST,
	    { "Transfer-Encoding", "chunked" },
	    { "Transfer-Encoding", "chunked" } },
	  400,
	  0 },
	{ "other coding",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Transfer-Encoding", "gzip, chunked" } },
	  400,
	  0 },
	{ "1.0 chunked",
	  "POST",
	  "/",
	  "HTTP/1.0",
	  { HOST, { "Transfer-Encoding", "chunked" } },
	  400,
	  0 },
	{ "signed length",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "+3" } },
	  400,
	  0 },
	{ "empty length",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "" } },
	  400,
	  0 },
	{ "list of lengths",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "3, 3" } },
	  400,
	  0 },
	{ "length over 64 bits",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "18446744073709551616" } },
	  400,
	  0 },
	{ "length that means unknown",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length", "18446744073709551615" } },
	  400,
	  0 },
	{ "blank before colon",
	  "POST",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "Content-Length ", "3" } },
	  400,
	  0 },
	{ "empty name", "GET", "/", "HTTP/1.1", { HOST, { "", "x" } }, 400, 0 },
	{ "bare CR in value",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "X", "a\rX-Y: b" } },
	  400,
	  0 },
	{ "DEL in value",
	  "GET",
	  "/",
	  "HTTP/1.1",
	  { HOST, { "X", "\x7f" } },
	  400,
	  0 },
	{ "blank in target", "GET", "/a b", "HTTP/1.1", { HOST }, 400, 0 },
	{ "8-bit target", "GET", "/\xff", "HTTP/1.1", { HOST }, 400, 0 },
	{ "control byte in target",
	  "GET",
	  "/\x01",
	  "HTTP/1.1",
	  { HOST },
	  400,
	  0 },
	{ "angle in path", "GET", "/<", "HTTP/1.1", { HOST }, 400, 0 },
	{ "angle in query", "GET", "/?>", "HTTP/1.1", { HOST }, 400, 0 },
	{ "backquote in path", "GET", "/`", "HTTP/1.1", { HOST }, 400, 0 },
	{ "quote in query", "GET", "/?\"", "HTTP/1.1", { HOST }, 400, 0 },
	{ "method is no token", "G\x01T", "/", "HTTP/1.1", { HOST }, 400, 0 },
	{ "HTTP/1.2", "GET", "/", "HTTP/1.2", { HOST }, 400, 0 },
	{ "HTTP/2.0", "GET", "/", "HTTP/2.0", { HOST }, 400, 0 },
};

START_TEST(head_is_judged_as_the_table_says)
{
	const struct a_case *c = &cases[_i];
	struct msp_header headers[MAX_HEADERS] = { { 0 } };
	struct mspd_head head = { .method = c->method, .target = c->target };
	unsigned int status;

	head.target_len = strlen(c->target);
	head.headers = headers;
	for (; head.n_headers < MAX_HEADERS && c->lines[head.n_headers].name;
	     head.n_headers++) {
		const struct line *line = &c->lines[head.n_headers];

		headers[head.n_headers] =
			(struct msp_header){ line->name, strlen(line->name),
					     line->value, strlen(line->value) };
	}
	status = mspd_http_check(&head, headers, c->version);
	ck_assert_msg(status == c->status, "%s: status %u", c->claim, status);
	if (status == 0)
		ck_assert_msg(head.length == c->length, "%s: length", c->claim);
}
END_TEST

START_TEST(exactly_the_hop_by_hop_headers_are_dropped)
{
	static const struct {
		const char *name;
		bool hop;
	} names[] = {
		{ "Connection", true },
		{ "keep-alive", true },
		{ "Proxy-Connection", true },
		{ "Proxy-Authenticate", true },
		{ "Proxy-Authorization", true },
		{ "TE", true },
		{ "Trailer", true },
		{ "Transfer-Encoding", true },
		{ "Upgrade", true },
		{ "HTTP2-Settings", true },
		{ "Host", false },
		{ "Expect", false },
		{ "X-Forwarded-For", false },
		{ "Authorization", false },
		{ "Tea", false },
		{ "T", false },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct msp_header h = { names[i].name, strlen(names[i].name),
					"x", 1 };

		ck_assert_msg(mspd_http_hop_by_hop(&h) == names[i].hop, "%s",
			      names[i].name);
	}
}
END_TEST

START_TEST(expect_is_100_continue_in_any_case)
{
	struct msp_header header = { "EXPECT", 6, "100-Continue", 12 };
	const struct mspd_head head = { .headers = &header, .n_headers = 1 };

	ck_assert(mspd_http_expects_continue(&head));
	header.value_len = 11;
	ck_assert(!mspd_http_expects_continue(&head));
	header = (struct msp_header){ "expected", 8, "100-continue", 12 };
	ck_assert(!mspd_http_expects_continue(&head));
}
END_TEST

/* A head as libmicrohttpd leaves it. */
static const char left[] = "GET\0/a\0HTTP/1.1\0\0A\0\t b\0\0C\0\0\0\0\0";

START_TEST(head_is_whole_if_its_pieces_are_all_of_it)
{
	struct msp_header headers[] = {
		{ left + 17, 1, left + 21, 1 },
		{ left + 24, 1, left + 26, 0 },
	};
	struct mspd_head head = { .method = left,
				  .target_len = 2,
				  .headers = headers,
				  .n_headers = 2 };
	const size_t size = sizeof(left) - 1;

	ck_assert(mspd_http_is_whole(&head, left + 4, left + 7, size));
	ck_assert(!mspd_http_is_whole(&head, left + 5, left + 7, size));
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 8, size));
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 7, size - 1));
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 7, size + 1));
	headers[0].name = "A";
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 7, size));
	headers[0].name = left + 17;
	headers[0].value = "b";
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 7, size));
	/* the second is not known */
	headers[0].value = left + 21;
	head.n_headers = 1;
	ck_assert(!mspd_http_is_whole(&head, left + 4, left + 7, size));
}
END_TEST

START_TEST(text_for_the_last_line_is_noticed)
{
	static const char text[] = "GET\0/a\0HTTP/1.1\0\0A\0b\0\0x\0";
	struct msp_header header = { text + 17, 1, text + 19, 1 };
	const struct mspd_head head = { .method = text,
					.target_len = 2,
					.headers = &header,
					.n_headers = 1 };

	ck_assert(!mspd_http_is_whole(&head, text + 4, text + 7,
				      sizeof(text) - 1));
}
END_TEST

START_TEST(library_leaves_heads_in_place)
{
	ck_assert(mspd_server_probe());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_http");
	TCase *tc = tcase_create("head");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, head_is_judged_as_the_table_says, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, expect_is_100_continue_in_any_case);
	tcase_add_test(tc, head_is_whole_if_its_pieces_are_all_of_it);
	tcase_add_test(tc, text_for_the_last_line_is_noticed);
	tcase_add_test(tc, library_leaves_heads_in_place);
	tcase_add_test(tc, exactly_the_hop_by_hop_headers_are_dropped);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
