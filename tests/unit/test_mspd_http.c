/* SPDX-License-Identifier: MIT */
/*
 * Heads that two parsers could read differently are refused; others pass
 * unchanged.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/http_check.h"

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

#define HOST { "Host", "169.254.169.254" }

static const struct a_case cases[] = {
	{ "plain", "GET", "/a?b=c", "HTTP/1.1", { HOST }, 0, 0 },
	{ "length", "POST", "/", "HTTP/1.1",
	  { HOST, { "content-length", "12" } }, 0, 12 },
	{ "chunked", "POST", "/", "HTTP/1.1",
	  { HOST, { "transfer-encoding", "Chunked" } }, 0,
	  MSPD_LENGTH_UNKNOWN },
	{ "blanks around a value are no part of it", "POST", "/", "HTTP/1.1",
	  { HOST, { "content-length", " 7\t " } }, 0, 7 },
	{ "8-bit value", "GET", "/", "HTTP/1.1", { HOST, { "X", "\xc3\xa4" } },
	  0, 0 },
	{ "1.0 without host", "GET", "/", "HTTP/1.0", { { 0 } }, 0, 0 },
	{ "quote in path", "GET", "/\"", "HTTP/1.1", { HOST }, 0, 0 },
	{ "backquote in query", "GET", "/?`", "HTTP/1.1", { HOST }, 0, 0 },

	{ "1.1 without host", "GET", "/", "HTTP/1.1", { { 0 } }, 400, 0 },
	{ "two hosts", "GET", "/", "HTTP/1.1", { HOST, HOST }, 400, 0 },
	{ "two lengths", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "1" }, { "content-length", "1" } }, 400,
	  0 },
	{ "length and chunked", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "1" }, { "Transfer-Encoding", "chunked" } },
	  400, 0 },
	{ "two codings", "POST", "/", "HTTP/1.1",
	  { HOST, { "Transfer-Encoding", "chunked" },
	    { "Transfer-Encoding", "chunked" } }, 400, 0 },
	{ "other coding", "POST", "/", "HTTP/1.1",
	  { HOST, { "Transfer-Encoding", "gzip, chunked" } }, 400, 0 },
	{ "1.0 chunked", "POST", "/", "HTTP/1.0",
	  { HOST, { "Transfer-Encoding", "chunked" } }, 400, 0 },
	{ "signed length", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "+3" } }, 400, 0 },
	{ "empty length", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "" } }, 400, 0 },
	{ "list of lengths", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "3, 3" } }, 400, 0 },
	{ "length over 64 bits", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "18446744073709551616" } }, 400, 0 },
	{ "length that means unknown", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length", "18446744073709551615" } }, 400, 0 },
	{ "blank before colon", "POST", "/", "HTTP/1.1",
	  { HOST, { "Content-Length ", "3" } }, 400, 0 },
	{ "empty name", "GET", "/", "HTTP/1.1", { HOST, { "", "x" } }, 400, 0 },
	{ "bare CR in value", "GET", "/", "HTTP/1.1",
	  { HOST, { "X", "a\rX-Y: b" } }, 400, 0 },
	{ "DEL in value", "GET", "/", "HTTP/1.1", { HOST, { "X", "\x7f" } },
	  400, 0 },
	{ "blank in target", "GET", "/a b", "HTTP/1.1", { HOST }, 400, 0 },
	{ "8-bit target", "GET", "/\xff", "HTTP/1.1", { HOST }, 400, 0 },
	{ "control byte in target", "GET", "/\x01", "HTTP/1.1", { HOST }, 400,
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
		{ "Connection", true },		 { "keep-alive", true },
		{ "Proxy-Connection", true },	 { "Proxy-Authenticate", true },
		{ "Proxy-Authorization", true }, { "TE", true },
		{ "Trailer", true },		 { "Transfer-Encoding", true },
		{ "Upgrade", true },		 { "HTTP2-Settings", true },
		{ "Host", false },		 { "Expect", false },
		{ "X-Forwarded-For", false },	 { "Authorization", false },
		{ "Tea", false },		 { "T", false },
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

int main(void)
{
	Suite *suite = suite_create("mspd_http");
	TCase *tc = tcase_create("head");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, head_is_judged_as_the_table_says, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, exactly_the_hop_by_hop_headers_are_dropped);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
