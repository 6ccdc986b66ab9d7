/* SPDX-License-Identifier: MIT */
/*
 * In: a fake host that says odd things. Out: whether the client takes what is
 * right, refuses what is not, and keeps its limits and deadlines.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/client.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct fakehost host;
static struct msp_client *client;
static const struct msp_time t0 = { .boot_ms = 1000, .wall_s = 1745409600 };

static struct msp_client_opts options(void)
{
	struct msp_client_opts o = { .size = sizeof(o) };

	o.address = host.address;
	return o;
}

static void setup(void)
{
	struct msp_client_opts o;

	fakehost_open(&host);
	o = options();
	ck_assert_int_eq(msp_client_new(&client, &o), 0);
}

static void teardown(void)
{
	msp_client_free(client);
	client = NULL;
	fakehost_close(&host);
	ck_assert_int_eq(failalloc_live(), 0);
}

static const struct msp_header host_header[] = { { "host", 4, "h", 1 } };

static struct msp_message message(const char *method, const char *target,
				  const char *body)
{
	struct msp_message m = {
		.size = sizeof(m),
		.method = method,
		.method_len = strlen(method),
		.target = target,
		.target_len = strlen(target),
		.headers = host_header,
		.n_headers = 1,
		.body = body,
		.body_len = body ? strlen(body) : 0,
	};

	return m;
}

static int send_simple(const char *method, struct msp_time now)
{
	struct msp_message m = message(method, "/", NULL);

	return msp_client_send(client, now, &m, 0, NULL, NULL);
}

static void wait_for(short events)
{
	struct pollfd p = { .fd = msp_client_fd(client), .events = events };

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

/* Until the request has arrived; the answer is still to be given. */
static void deliver(struct msp_time now)
{
	int i;

	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(msp_client_run(client, now, NULL),
				 MSP_ERR_AGAIN);
		fakehost_accept(&host);
		fakehost_hear(&host);
		if (fakehost_has_request(&host))
			return;
	}
	ck_abort_msg("the request did not arrive");
}

/* Until the head is there or an error. */
static int run_until(struct msp_time now, struct msp_error_info *info)
{
	int rc;

	while ((rc = msp_client_run(client, now, info)) == MSP_ERR_AGAIN)
		wait_for(msp_client_events(client));
	return rc;
}

static char body[1 << 20];
static size_t body_len;

static int read_all(struct msp_time now, size_t piece)
{
	size_t got;
	int rc;

	for (body_len = 0;; body_len += got) {
		rc = msp_client_read(client, now, body + body_len, piece, &got,
				     NULL);
		if (rc == MSP_ERR_AGAIN) {
			wait_for(POLLIN);
			continue;
		}
		if (rc < 0 || !got)
			return rc;
	}
}

static int exchange(const char *method, const char *raw, size_t len,
		    bool hang_up)
{
	ck_assert_int_eq(send_simple(method, t0), 0);
	deliver(t0);
	fakehost_say(&host, raw, len);
	if (hang_up)
		fakehost_hang_up(&host);
	return run_until(t0, NULL);
}

/* ---- answers that are right -------------------------------------------- */

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *method;
	const char *raw;
	bool hang_up;
	unsigned int status;
	const char *body;
	bool reusable;
} good[] = {
	{ "GET", OK "Content-Length: 5\r\n\r\nhello", 0, 200, "hello", true },
	{ "GET", OK "content-length:\t5 \r\n\r\nhello", 0, 200, "hello", true },
	{ "GET", OK "Content-Length: 0\r\n\r\n", 0, 200, "", true },
	{ "GET", OK "Content-Length: 000\r\n\r\n", 0, 200, "", true },
	{ "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 200, "",
	  true },
	{ "GET", "HTTP/1.1 999 \x80 ?\r\nContent-Length: 0\r\n\r\n", 0, 999, "",
	  true },
	{ "GET", OK "Connection: keep-alive\r\nContent-Length: 2\r\n\r\nab", 0,
	  200, "ab", true },
	{ "GET", OK "Connection: x , ClOsE\r\nContent-Length: 2\r\n\r\nab", 0,
	  200, "ab", false },
	{ "GET",
	  OK "Connection: a\r\nConnection: close\r\n"
	     "Content-Length: 2\r\n\r\nab",
	  0, 200, "ab", false },
	{ "GET", OK "Connection: closed\r\nContent-Length: 2\r\n\r\nab", 0, 200,
	  "ab", true },
	{ "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 0, 200, "ab",
	  false },
	{ "GET", OK "Content-Length: 2\r\n\r\nabc", 0, 200, "ab", false },
	{ "GET", OK "Content-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n", 0, 200,
	  "ab", false },
	{ "GET", OK "Content-Length: 2\r\n\r\nab", true, 200, "ab", false },
	{ "GET", OK "\r\nuntil the end", true, 200, "until the end", false },
	{ "GET", OK "\r\n", true, 200, "", false },
	{ "GET", OK "Empty:\r\nX:  a\tb \r\nContent-Length: 0\r\n\r\n", 0, 200,
	  "", true },
	{ "HEAD", OK "Content-Length: 9\r\n\r\n", 0, 200, "", true },
	{ "HEAD", OK "Transfer-Encoding: chunked\r\n\r\n", 0, 200, "", true },
	{ "HEAD", OK "Content-Length: 1\r\n\r\nx", 0, 200, "", false },
	{ "GET", "HTTP/1.1 204 No\r\n\r\n", 0, 204, "", true },
	{ "GET", "HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n", 0, 304, "",
	  true },
	{ "GET", "HTTP/1.1 204 No\r\n\r\nx", 0, 204, "", false },
	{ "GET",
	  "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", 0,
	  200, "x", true },
	{ "GET",
	  "HTTP/1.1 103 Hints\r\nContent-Length: 99\r\n\r\n"
	  "HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx",
	  0, 404, "x", true },
	{ "GET", OK "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	  0, 200, "hello", true },
	{ "GET", OK "Transfer-Encoding: chunked\r\n\r\n0;a=\"b\";c\r\n\r\n", 0,
	  200, "", true },
	{ "GET",
	  OK "Transfer-Encoding: chunked\r\n\r\n"
	     "0000000000000002 ;x\r\nab\r\nA\r\n0123456789\r\n0\r\n"
	     "Trailer: one\r\nother: two\r\n\r\n",
	  0, 200, "ab0123456789", true },
	{ "GET", OK "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nmore",
	  0, 200, "x", false },
};

static void check_good(int i, size_t piece)
{
	const struct msp_response *r;

	ck_assert_int_eq(exchange(good[i].method, good[i].raw,
				  strlen(good[i].raw), good[i].hang_up),
			 0);
	r = msp_client_response(client);
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->status, good[i].status);
	ck_assert_int_eq(read_all(t0, piece), 0);
	ck_assert_uint_eq(body_len, strlen(good[i].body));
	ck_assert_mem_eq(body, good[i].body, body_len);
	if (good[i].hang_up || good[i].reusable)
		ck_assert(msp_client_reusable(client) == good[i].reusable);
	else /* excess may still be on its way */
		while (msp_client_reusable(client))
			usleep(1000);
	ck_assert_uint_eq(msp_client_deadline(client), MSP_NEVER);
	ck_assert_int_eq(msp_client_events(client), 0);
}

START_TEST(client_takes_good_answer)
{
	check_good(_i, sizeof(body) / 2);
}
END_TEST

START_TEST(client_takes_good_answer_byte_by_byte)
{
	check_good(_i, 1);
}
END_TEST

START_TEST(client_waits_at_every_cut_of_an_answer)
{
	const char *raw = good[_i].raw;
	size_t len = strlen(raw);
	size_t got = 1;
	int rc = MSP_ERR_AGAIN;

	ck_assert_int_eq(send_simple(good[_i].method, t0), 0);
	deliver(t0);
	for (body_len = 0; len; len--, raw++) {
		fakehost_say(&host, raw, 1);
		if (rc == MSP_ERR_AGAIN) {
			wait_for(POLLIN);
			rc = msp_client_run(client, t0, NULL);
			ck_assert(rc == 0 || rc == MSP_ERR_AGAIN);
			continue;
		}
		if (!got || (msp_client_events(client) & POLLIN) == 0)
			break; /* the rest is excess */
		wait_for(POLLIN);
		rc = msp_client_read(client, t0, body + body_len, 99, &got,
				     NULL);
		ck_assert(rc == 0 || rc == MSP_ERR_AGAIN);
		body_len += got;
		got = rc == 0 ? got : 1;
		rc = 0;
	}
	if (good[_i].hang_up)
		fakehost_hang_up(&host);
	while (msp_client_read(client, t0, body + body_len, 99, &got, NULL) ==
		       MSP_ERR_AGAIN ||
	       got)
		body_len += got;
	ck_assert_uint_eq(body_len, strlen(good[_i].body));
	ck_assert_mem_eq(body, good[_i].body, body_len);
}
END_TEST

START_TEST(client_gives_head_as_received)
{
	static const char raw[] =
		"HTTP/1.1 404 Not  Found\r\nServer: a b \r\nX-Y:\r\n"
		"x-y: \t2\r\nContent-Length: 7\r\n\r\n";
	const struct msp_response *r;

	ck_assert_ptr_null(msp_client_response(client));
	ck_assert_int_eq(exchange("GET", raw, sizeof(raw) - 1, false), 0);
	r = msp_client_response(client);
	ck_assert_uint_eq(r->status, 404);
	ck_assert_str_eq(r->reason, "Not  Found");
	ck_assert_uint_eq(r->n_headers, 4);
	ck_assert_mem_eq(r->headers[0].name, "Server", 6);
	ck_assert_uint_eq(r->headers[0].value_len, 3);
	ck_assert_mem_eq(r->headers[0].value, "a b", 3);
	ck_assert_uint_eq(r->headers[1].value_len, 0);
	ck_assert_mem_eq(r->headers[2].value, "2", 1);
	ck_assert_uint_eq(r->headers[2].value_len, 1);
	ck_assert_uint_eq(r->length, 7);
}
END_TEST

/* ---- answers that are wrong -------------------------------------------- */

#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define CLEN	OK "Content-Length: "

static const struct {
	const char *raw;
	int rc;
} bad_heads[] = {
	{ "SSH-2.0-OpenSSH_9.2", MSP_ERR_PROTOCOL },
	{ "\r\n" OK, MSP_ERR_PROTOCOL },
	{ "HTTP/2.0 200 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.2 200 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "http/1.1 200 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1  200 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 20 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 2000 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 099 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 2x0 OK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 200\tOK\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 200 \x01\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.1 200 OK\n\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\r\n\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\rC: d\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\r\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\r\n c\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\r\n\tc: d\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A : b\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK ": b\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A(: b\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "\x80: b\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: b\x7f\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "A: \x1b[2J\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "-1\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "+1\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "1 2\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "1,1\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "0x1\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "9223372036854775808\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "18446744073709551616\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "99999999999999999999999\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CLEN "1\r\nContent-Length: 1\r\n\r\nx", MSP_ERR_PROTOCOL },
	{ CLEN "1\r\nContent-Length: 2\r\n\r\nx", MSP_ERR_PROTOCOL },
	{ CLEN "1\r\nTransfer-Encoding: chunked\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	  MSP_ERR_PROTOCOL },
	{ OK "Transfer-Encoding: gzip, chunked\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "Transfer-Encoding: chunkedx\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "Transfer-Encoding: identity\r\n\r\n", MSP_ERR_PROTOCOL },
	{ OK "Transfer-Encoding:\r\n\r\n", MSP_ERR_PROTOCOL },
	{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	  MSP_ERR_PROTOCOL },
	{ "", MSP_ERR_CLOSED },
	{ "HTTP/1.1 2", MSP_ERR_CLOSED },
	{ OK "A: b\r\n\r", MSP_ERR_CLOSED },
	{ "HTTP/1.1 100 Continue\r\n\r\n", MSP_ERR_CLOSED },
};

static void check_failed(int rc)
{
	size_t got;

	ck_assert_int_eq(msp_client_fd(client), -1);
	ck_assert_ptr_null(msp_client_response(client));
	ck_assert(!msp_client_reusable(client));
	ck_assert_int_eq(msp_client_run(client, t0, NULL), rc);
	ck_assert_int_eq(msp_client_read(client, t0, body, 9, &got, NULL), rc);
}

START_TEST(client_refuses_bad_head)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *raw = bad_heads[_i].raw;

	ck_assert_int_eq(send_simple("GET", t0), 0);
	deliver(t0);
	fakehost_say(&host, raw, strlen(raw));
	fakehost_hang_up(&host);
	ck_assert_int_eq(run_until(t0, &info), bad_heads[_i].rc);
	ck_assert_uint_gt(strlen(info.text), 0);
	ck_assert(msp_client_untouched(client) == !*raw);
	check_failed(bad_heads[_i].rc);
}
END_TEST

START_TEST(client_refuses_nul_in_head)
{
	static const char name[] = OK "A\0: b\r\n\r\n";
	static const char value[] = OK "A: b\0c\r\n\r\n";

	ck_assert_int_eq(exchange("GET", name, sizeof(name) - 1, false),
			 MSP_ERR_PROTOCOL);
	ck_assert_int_eq(exchange("GET", value, sizeof(value) - 1, false),
			 MSP_ERR_PROTOCOL);
}
END_TEST

static const struct {
	const char *raw;
	int rc;
} bad_bodies[] = {
	{ CLEN "5\r\n\r\nhell", MSP_ERR_CLOSED },
	{ CLEN "9223372036854775807\r\n\r\nhell", MSP_ERR_CLOSED },
	{ CHUNKED, MSP_ERR_CLOSED },
	{ CHUNKED "5\r\nhell", MSP_ERR_CLOSED },
	{ CHUNKED "5\r\nhello\r\n", MSP_ERR_CLOSED },
	{ CHUNKED "0\r\n", MSP_ERR_CLOSED },
	{ CHUNKED "0\r\nA: b\r\n", MSP_ERR_CLOSED },
	{ CHUNKED "\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED ";x\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "-1\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "+1\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED " 1\r\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "0x1\r\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "g\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "00000000000000001\r\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "10000000000000000\r\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "ffffffffffffffff\r\nx", MSP_ERR_CLOSED },
	{ CHUNKED "1\nx\r\n0\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1\rx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1;a\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1;\x01\r\nx\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1\r\nxy\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1\r\nx\n0\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "1\r\nx\r0\r\n\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "0\r\n\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "0\r\n\rx", MSP_ERR_PROTOCOL },
	{ CHUNKED "0\r\nA: b\n\r\n", MSP_ERR_PROTOCOL },
	{ CHUNKED "0\r\nA: b\r\r\n", MSP_ERR_PROTOCOL },
};

START_TEST(client_refuses_bad_body)
{
	const char *raw = bad_bodies[_i].raw;

	ck_assert_int_eq(exchange("GET", raw, strlen(raw), true), 0);
	ck_assert_int_eq(read_all(t0, 4096), bad_bodies[_i].rc);
	check_failed(bad_bodies[_i].rc);
}
END_TEST

/* ---- limits ------------------------------------------------------------ */

/* start, then n times unit, then end */
static int exchange_many(const char *start, const char *unit, size_t n,
			 const char *end)
{
	size_t len = strlen(start) + n * strlen(unit) + strlen(end);
	char *raw = malloc(len + 1);
	char *p = raw;
	int rc;

	ck_assert_ptr_nonnull(raw);
	p = stpcpy(p, start);
	while (n--)
		p = stpcpy(p, unit);
	stpcpy(p, end);
	rc = exchange("GET", raw, len, true);
	free(raw);
	return rc;
}

static const struct {
	const char *start;
	const char *unit;
	size_t n;
	const char *end;
	int head;
	int body;
} limits[] = {
	{ OK, "A: b\r\n", 100, "\r\n", 0, 0 },
	{ OK, "A: b\r\n", 101, "\r\n", MSP_ERR_LIMIT, 0 },
	{ OK "A: ", "b", MSP_CLIENT_HEAD_MAX - 24, "\r\n\r\n", 0, 0 },
	{ OK "A: ", "b", MSP_CLIENT_HEAD_MAX - 23, "\r\n\r\n", MSP_ERR_LIMIT,
	  0 },
	{ "HTTP/1.1 200 ", "b", MSP_CLIENT_HEAD_MAX, "", MSP_ERR_LIMIT, 0 },
	{ "", "HTTP/1.1 100 C\r\n\r\n", 8, OK "\r\n", 0, 0 },
	{ "", "HTTP/1.1 100 C\r\n\r\n", 9, OK "\r\n", MSP_ERR_LIMIT, 0 },
	{ CHUNKED "0;", "x", 1000, "\r\n\r\n", 0, 0 },
	{ CHUNKED "0;", "x", 1025, "\r\n\r\n", 0, MSP_ERR_PROTOCOL },
	{ CHUNKED "0\r\n", "A: b\r\n", 2000, "\r\n", 0, 0 },
	{ CHUNKED "0\r\n", "A: b\r\n", 3000, "\r\n", 0, MSP_ERR_PROTOCOL },
};

START_TEST(client_keeps_limit)
{
	ck_assert_int_eq(exchange_many(limits[_i].start, limits[_i].unit,
				       limits[_i].n, limits[_i].end),
			 limits[_i].head);
	if (limits[_i].head == 0)
		ck_assert_int_eq(read_all(t0, 4096), limits[_i].body);
}
END_TEST

START_TEST(client_reads_only_what_the_caller_takes)
{
	static const char head[] = CLEN "1000000000000\r\n\r\n";
	static char block[65536];
	unsigned int full = 0;
	size_t got;
	char one;
	int i;

	ck_assert_int_eq(exchange("GET", head, sizeof(head) - 1, false), 0);
	/* the sockets' buffers fill up, and ours take next to nothing */
	for (i = 0; i < 4096 && full < 3; i++) {
		if (send(host.conn, block, sizeof(block), MSG_NOSIGNAL) < 0)
			full++;
		ck_assert_int_eq(msp_client_run(client, t0, NULL), 0);
	}
	ck_assert_uint_eq(full, 3);
	ck_assert_int_eq(msp_client_read(client, t0, &one, 1, &got, NULL), 0);
	ck_assert_uint_eq(got, 1);
}
END_TEST

/* ---- wrong use --------------------------------------------------------- */

START_TEST(client_refuses_bad_options)
{
	struct {
		struct msp_client_opts o;
		uint64_t more;
	} wide = { options(), 0 };
	struct msp_client_opts o = options();
	struct msp_client *c;

	ck_assert_int_eq(msp_client_new(NULL, &o), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_new(&c, NULL), MSP_ERR_INVAL);
	o.size--;
	ck_assert_int_eq(msp_client_new(&c, &o), MSP_ERR_INVAL);
	o = options();
	o.address.port = 0;
	ck_assert_int_eq(msp_client_new(&c, &o), MSP_ERR_INVAL);
	o = options();
	o.address.ip = 0;
	ck_assert_int_eq(msp_client_new(&c, &o), MSP_ERR_INVAL);
	o = options();
	o.flags = MSP_CLIENT_WATCHED << 1;
	ck_assert_int_eq(msp_client_new(&c, &o), MSP_ERR_INVAL);
	ck_assert_ptr_null(c);
	wide.o.size = sizeof(wide);
	ck_assert_int_eq(msp_client_new(&c, &wide.o), 0);
	msp_client_free(c);
	wide.more = 1;
	ck_assert_int_eq(msp_client_new(&c, &wide.o), MSP_ERR_INVAL);
}
END_TEST

START_TEST(client_answers_null_and_idle)
{
	char c;
	size_t n;

	ck_assert_int_eq(msp_client_send(NULL, t0, NULL, 0, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_run(NULL, t0, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_fd(NULL), -1);
	ck_assert_int_eq(msp_client_events(NULL), 0);
	ck_assert_ptr_null(msp_client_response(NULL));
	ck_assert(!msp_client_reusable(NULL));
	msp_client_free(NULL);
	ck_assert_int_eq(msp_client_send(client, t0, NULL, 0, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_run(client, t0, NULL), MSP_ERR_STATE);
	ck_assert_int_eq(msp_client_read(client, t0, &c, 1, &n, NULL),
			 MSP_ERR_STATE);
	ck_assert_int_eq(msp_client_write(client, &c, 1, &n), MSP_ERR_STATE);
	ck_assert_int_eq(msp_client_finish(client), MSP_ERR_STATE);
	ck_assert_uint_eq(msp_client_deadline(client), MSP_NEVER);
}
END_TEST

/* ---- fail every allocation --------------------------------------------- */

START_TEST(client_survives_every_failed_allocation)
{
	static const char raw[] = OK "Content-Length: 3\r\n\r\nabc";
	struct msp_client_opts o = options();
	long n;
	int rc;

	for (n = 0;; n++) {
		msp_client_free(client);
		client = NULL;
		failalloc_arm(n);
		rc = msp_client_new(&client, &o);
		if (rc == 0)
			rc = send_simple("GET", t0);
		if (rc == 0) {
			deliver(t0);
			fakehost_say(&host, raw, sizeof(raw) - 1);
			rc = run_until(t0, NULL);
		}
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 3);
	ck_assert_int_eq(read_all(t0, 10), 0);
	ck_assert_uint_eq(body_len, 3);
}
END_TEST

static Suite *client_suite(void)
{
	Suite *s = suite_create("client answers");
	TCase *tc = tcase_create("answers");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, client_takes_good_answer, 0, COUNT(good));
	tcase_add_loop_test(tc, client_takes_good_answer_byte_by_byte, 0,
			    COUNT(good));
	tcase_add_loop_test(tc, client_waits_at_every_cut_of_an_answer, 0,
			    COUNT(good));
	tcase_add_test(tc, client_gives_head_as_received);
	tcase_add_loop_test(tc, client_refuses_bad_head, 0, COUNT(bad_heads));
	tcase_add_test(tc, client_refuses_nul_in_head);
	tcase_add_loop_test(tc, client_refuses_bad_body, 0, COUNT(bad_bodies));
	tcase_add_loop_test(tc, client_keeps_limit, 0, COUNT(limits));
	tcase_add_test(tc, client_reads_only_what_the_caller_takes);
	tcase_add_test(tc, client_refuses_bad_options);
	tcase_add_test(tc, client_answers_null_and_idle);
	tcase_add_test(tc, client_survives_every_failed_allocation);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(client_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
