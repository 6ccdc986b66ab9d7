/* SPDX-License-Identifier: MIT */
/*
 * In: requests, right and wrong, and a host that is slow, gone or early. Out:
 * whether exactly the right bytes leave, signed as sent, in time, and on a
 * connection that may carry them.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/client.h>
#include <openssl/hmac.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define OK	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define GUID	 "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define KEY_HEX                                                                \
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

static struct fakehost host;
static struct msp_client *client;

static struct msp_time at(uint64_t boot_ms)
{
	struct msp_time t = { .boot_ms = boot_ms, .wall_s = 1745409600 };

	return t;
}

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

static const struct msp_header host_header[] = { { "HOST", 4, "h", 1 } };

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

static int run(uint64_t now)
{
	return msp_client_run(client, at(now), NULL);
}

static int send_get(uint64_t now)
{
	struct msp_message m = message("GET", "/", NULL);

	return msp_client_send(client, at(now), &m, 0, NULL, NULL);
}

static void start_stream(const char *method, uint64_t body_len)
{
	struct msp_message m = message(method, "/", NULL);

	ck_assert_int_eq(
		msp_client_send(client, at(0), &m, body_len, NULL, NULL), 0);
}

static void wait_for(short events)
{
	struct pollfd p = { .fd = msp_client_fd(client), .events = events };

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

/* Until that many bytes have arrived at the host. */
static void deliver(uint64_t now, size_t least)
{
	int i;

	for (i = 0; i < 10000; i++) {
		(void)run(now);
		fakehost_accept(&host);
		fakehost_hear(&host);
		if (host.len >= least)
			return;
	}
	ck_abort_msg("only %zu bytes arrived: %s", host.len, host.in);
}

static void answer(uint64_t now, const char *raw)
{
	int rc;

	fakehost_say(&host, raw, strlen(raw));
	while ((rc = run(now)) == MSP_ERR_AGAIN)
		wait_for(POLLIN);
	ck_assert_int_eq(rc, 0);
}

/* ---- the bytes that leave ---------------------------------------------- */

static const struct {
	const char *method;
	const char *target;
	const char *body;
	uint64_t body_len;
	const char *wire;
} requests[] = {
	{ "GET", "/", NULL, 0, "GET / HTTP/1.1\r\nhost: h\r\n\r\n" },
	{ "GET", "/a%2Fb?c=d&\"e\"", NULL, 0,
	  "GET /a%2Fb?c=d&\"e\" HTTP/1.1\r\nhost: h\r\n\r\n" },
	{ "GET", "/", NULL, MSP_BODY_EMPTY,
	  "GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n" },
	{ "OPTIONS", "*", NULL, 0, "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n" },
	{ "POST", "/", NULL, 0,
	  "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n" },
	{ "PUT", "/", NULL, 0,
	  "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n" },
	{ "PATCH", "/", NULL, 0,
	  "PATCH / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n" },
	{ "DELETE", "/", NULL, 0, "DELETE / HTTP/1.1\r\nhost: h\r\n\r\n" },
	{ "DELETE", "/", "x", 1,
	  "DELETE / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx" },
	{ "POST", "/", "a\r\n\r\nb", 6,
	  "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\na\r\n\r\nb" },
};

START_TEST(client_sends_exactly)
{
	struct msp_message m = message(requests[_i].method, requests[_i].target,
				       requests[_i].body);

	ck_assert_int_eq(msp_client_send(client, at(0), &m,
					 requests[_i].body_len, NULL, NULL),
			 0);
	deliver(0, strlen(requests[_i].wire));
	ck_assert_str_eq(host.in, requests[_i].wire);
}
END_TEST

#define H(n, v)                                                                \
	{                                                                      \
		n, sizeof(n) - 1, v, sizeof(v) - 1                             \
	}

static const struct {
	const char *why;
	struct msp_header h;
} bad_headers[] = {
	{ "a second host", H("Host", "x") },
	{ "not a token", H("a b", "x") },
	{ "not a token", H("a:", "x") },
	{ "not a token", H("", "x") },
	{ "not a token", H("a\r\nb", "x") },
	{ "line end", H("a", "x\r\nb: c") },
	{ "line feed", H("a", "x\n") },
	{ "carriage return", H("a", "\rx") },
	{ "NUL", H("a", "x\0y") },
	{ "control", H("a", "x\x1b") },
	{ "DEL", H("a", "x\x7f") },
	{ "framing", H("Content-Length", "0") },
	{ "framing", H("transfer-encoding", "chunked") },
	{ "connection", H("Connection", "close") },
	{ "connection", H("keep-alive", "x") },
	{ "connection", H("proxy-connection", "x") },
	{ "connection", H("TE", "trailers") },
	{ "connection", H("Trailer", "x") },
	{ "connection", H("Upgrade", "x") },
	{ "own signature", H("X-MS-Azure-Host-Authorization", "x") },
};

START_TEST(client_refuses_bad_header)
{
	struct msp_header headers[2] = { host_header[0], bad_headers[_i].h };
	struct msp_message m = message("GET", "/", NULL);
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	m.headers = headers;
	m.n_headers = 2;
	ck_assert_msg(msp_client_send(client, at(0), &m, 0, NULL, &info) ==
			      MSP_ERR_INVAL,
		      "%s", bad_headers[_i].why);
	ck_assert_uint_gt(strlen(info.text), 0);
	ck_assert_int_eq(msp_client_fd(client), -1);
}
END_TEST

static const struct {
	const char *method;
	const char *target;
} bad_lines[] = {
	{ "", "/" },	    { "G T", "/" },	    { "G\r\n", "/" },
	{ "CONNECT", "/" }, { "GET", "" },	    { "GET", "a" },
	{ "GET", "*" },	    { "OPTIONS", "**" },    { "GET", "/a b" },
	{ "GET", "/\r\n" }, { "GET", "/#f" },	    { "GET", "/\x80" },
	{ "GET", "/\x7f" }, { "GET", "http://h/" },
};

START_TEST(client_refuses_bad_request_line)
{
	struct msp_message m =
		message(bad_lines[_i].method, bad_lines[_i].target, NULL);

	ck_assert_int_eq(msp_client_send(client, at(0), &m, 0, NULL, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(client_refuses_message_without_host_or_with_half_a_body)
{
	struct msp_message m = message("POST", "/", NULL);

	m.n_headers = 0;
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 0, NULL, NULL),
			 MSP_ERR_INVAL);
	m = message("POST", "/", "abc");
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 2, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 4, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(
		msp_client_send(client, at(0), &m, MSP_BODY_EMPTY, NULL, NULL),
		MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_send(client, at(0), &m, MSP_BODY_CHUNKED,
					 NULL, NULL),
			 MSP_ERR_INVAL);
	m.body = NULL;
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 3, NULL, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(client_counts_its_own_header_among_a_hundred)
{
	struct msp_header headers[MSP_MAX_HEADERS];
	struct msp_message m = message("GET", "/", NULL);
	int i;

	for (i = 0; i < MSP_MAX_HEADERS; i++) {
		struct msp_header h = H("a", "b");

		headers[i] = i ? h : host_header[0];
	}
	m.headers = headers;
	m.n_headers = MSP_MAX_HEADERS;
	ck_assert_int_eq(
		msp_client_send(client, at(0), &m, MSP_BODY_EMPTY, NULL, NULL),
		MSP_ERR_LIMIT);
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 0, NULL, NULL), 0);
}
END_TEST

START_TEST(client_refuses_request_that_is_too_large)
{
	static char big[MSP_CLIENT_REQUEST_MAX];
	struct msp_message m = message("POST", "/", NULL);

	m.body = big;
	m.body_len = sizeof(big) - 64;
	ck_assert_int_eq(
		msp_client_send(client, at(0), &m, m.body_len, NULL, NULL), 0);
	msp_client_free(client);
	setup();
	m.body_len = sizeof(big) - 50;
	ck_assert_int_eq(
		msp_client_send(client, at(0), &m, m.body_len, NULL, NULL),
		MSP_ERR_LIMIT);
}
END_TEST

/* ---- signing ----------------------------------------------------------- */

/* The string-to-sign of spec 6.9, written out by hand. */
static const char to_sign[] = "POST\nhello\n"
			      "content-length:5\n"
			      "host:h\n"
			      "x:2\n"
			      "/p\n"
			      "a=1&b=2";

START_TEST(client_signs_what_it_sends)
{
	static const struct msp_header headers[] = { H("X", "1"),
						     H("Host", "h"),
						     H("x", "2") };
	static const char key_bytes[] = "J@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkY";
	struct msp_message m = message("POST", "/p?b=2&a=1", "hello");
	unsigned char mac[32];
	char expected[512];
	struct msp_signer *signer;
	struct msp_key *key;
	unsigned int len = 0;
	char hex[65];
	int i;

	ck_assert_int_eq(msp_key_new(&key, GUID, 36, KEY_HEX, 64), 0);
	ck_assert_int_eq(msp_signer_new(&signer, key), 0);
	m.headers = headers;
	m.n_headers = 3;
	ck_assert_int_eq(msp_client_send(client, at(0), &m, MSP_BODY_CHUNKED,
					 signer, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_send(client, at(0), &m, 5, signer, NULL),
			 0);
	msp_signer_free(signer);
	msp_key_free(key);

	ck_assert_ptr_nonnull(HMAC(EVP_sha256(), key_bytes, 32,
				   (const unsigned char *)to_sign,
				   sizeof(to_sign) - 1, mac, &len));
	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	snprintf(expected, sizeof(expected),
		 "POST /p?b=2&a=1 HTTP/1.1\r\nx: 1\r\nhost: h\r\nx: 2\r\n"
		 "content-length: 5\r\n"
		 "x-ms-azure-host-authorization: Azure-HMAC-SHA256 " GUID
		 " %s\r\n\r\nhello",
		 hex);
	deliver(0, strlen(expected));
	ck_assert_str_eq(host.in, expected);
}
END_TEST

/* ---- streaming --------------------------------------------------------- */

static void write_all(const char *data, size_t len)
{
	size_t taken;

	while (len) {
		ck_assert_int_eq(msp_client_write(client, data, len, &taken),
				 0);
		data += taken;
		len -= taken;
		(void)run(0);
		fakehost_accept(&host);
		fakehost_hear(&host);
	}
}

START_TEST(client_streams_known_length)
{
	static const char wire[] =
		"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello";
	size_t taken;

	start_stream("PUT", 5);
	ck_assert_int_eq(msp_client_finish(client), MSP_ERR_STATE);
	write_all("he", 2);
	ck_assert_int_eq(msp_client_write(client, "llo!", 4, &taken),
			 MSP_ERR_STATE);
	write_all("llo", 3);
	ck_assert_int_eq(msp_client_write(client, "x", 1, &taken),
			 MSP_ERR_STATE);
	deliver(0, sizeof(wire) - 1);
	ck_assert_str_eq(host.in, wire);
	answer(0, OK);
	ck_assert(msp_client_reusable(client));
}
END_TEST

START_TEST(client_frames_chunks)
{
	static const char wire[] =
		"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n"
		"\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
	size_t taken;

	start_stream("POST", MSP_BODY_CHUNKED);
	write_all("hello", 5);
	ck_assert_int_eq(msp_client_write(client, "", 0, &taken), 0);
	write_all("0123456789abcdef", 16);
	ck_assert_int_eq(msp_client_finish(client), 0);
	ck_assert_int_eq(msp_client_finish(client), MSP_ERR_STATE);
	ck_assert_int_eq(msp_client_write(client, "x", 1, &taken),
			 MSP_ERR_STATE);
	deliver(0, sizeof(wire) - 1);
	ck_assert_str_eq(host.in, wire);
	answer(0, OK);
	ck_assert(msp_client_reusable(client));
}
END_TEST

/* Write until the client takes no more though the host hears nothing. */
static size_t fill_up(void)
{
	static const char block[4096];
	size_t taken, sum = 0;

	do {
		ck_assert_int_eq(
			msp_client_write(client, block, sizeof(block), &taken),
			0);
		sum += taken;
		(void)run(0);
		ck_assert_uint_lt(sum, 64U << 20);
	} while (taken);
	return sum;
}

START_TEST(client_holds_little_of_a_large_body)
{
	bool chunked = _i;
	size_t sum, total;

	start_stream("PUT", chunked ? MSP_BODY_CHUNKED : UINT64_C(1) << 40);
	deliver(0, 10);
	sum = fill_up();
	ck_assert(msp_client_events(client) & POLLOUT);
	ck_assert_int_eq(failalloc_live(), 2); /* client, out */
	ck_assert_int_eq(msp_client_finish(client),
			 chunked ? 0 : MSP_ERR_STATE);
	for (total = host.len; total < sum;) {
		fakehost_forget(&host);
		ck_assert(fakehost_hear(&host));
		total += host.len;
		(void)run(0);
	}
}
END_TEST

START_TEST(client_takes_early_answer)
{
	size_t taken;

	start_stream("PUT", 10);
	deliver(0, 10);
	answer(0, "HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n");
	ck_assert_uint_eq(msp_client_response(client)->status, 413);
	ck_assert(!msp_client_reusable(client));
	/* the rest may still be sent, and then all is in step again */
	ck_assert_int_eq(msp_client_write(client, "0123456789", 10, &taken), 0);
	ck_assert_uint_eq(taken, 10);
	ck_assert(!msp_client_reusable(client));
	ck_assert_int_eq(run(0), 0);
	ck_assert(msp_client_reusable(client));
}
END_TEST

START_TEST(client_takes_answer_of_host_that_stopped_reading)
{
	static const char raw[] =
		"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\nno";
	char text[8];
	size_t got, taken;
	int i;

	start_stream("PUT", UINT64_C(1) << 30);
	deliver(0, 10);
	fakehost_say(&host, raw, sizeof(raw) - 1);
	fakehost_slam(&host);
	for (i = 0; i < 100; i++) {
		static const char block[65536];

		ck_assert_int_eq(
			msp_client_write(client, block, sizeof(block), &taken),
			0);
		ck_assert_int_eq(run(0), 0);
	}
	ck_assert_uint_eq(taken, 65536); /* dropped by now */
	ck_assert_int_eq(msp_client_read(client, at(0), text, 8, &got, NULL),
			 0);
	ck_assert_uint_eq(got, 2);
	ck_assert(!msp_client_reusable(client));
}
END_TEST

/* ---- deadlines: the time is passed in, nobody sleeps ------------------- */

START_TEST(client_gives_up_connecting)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd[8], i;

	/* a full backlog: the kernel drops further SYNs */
	ck_assert_int_eq(listen(host.listener, 0), 0);
	sin.sin_addr.s_addr = host.address.ip;
	sin.sin_port = htons(host.address.port);
	for (i = 0; i < 8; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fd[i], (struct sockaddr *)&sin, sizeof(sin));
	}
	ck_assert_int_eq(send_get(7), 0);
	ck_assert_int_eq(run(7), MSP_ERR_AGAIN);
	ck_assert_int_eq(msp_client_events(client), POLLOUT);
	ck_assert_uint_eq(msp_client_deadline(client), 5007);
	ck_assert_int_eq(run(5006), MSP_ERR_AGAIN);
	ck_assert_int_eq(msp_client_run(client, at(5007), &info),
			 MSP_ERR_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(info.text, "connection"));
	ck_assert_int_eq(msp_client_fd(client), -1);
	for (i = 0; i < 8; i++)
		close(fd[i]);
}
END_TEST

START_TEST(client_gives_up_waiting_for_answer)
{
	ck_assert_int_eq(send_get(0), 0);
	deliver(100, 10);
	ck_assert_uint_eq(msp_client_deadline(client), 60100);
	ck_assert_int_eq(run(60099), MSP_ERR_AGAIN);
	ck_assert_int_eq(run(60100), MSP_ERR_TIMEOUT);
	ck_assert(msp_client_untouched(client));
}
END_TEST

START_TEST(client_gives_up_on_half_a_head)
{
	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	fakehost_say(&host, "HTTP/1.1 200", 12);
	wait_for(POLLIN);
	ck_assert_int_eq(run(50000), MSP_ERR_AGAIN);
	ck_assert_int_eq(run(109999), MSP_ERR_AGAIN);
	ck_assert_int_eq(run(110000), MSP_ERR_TIMEOUT);
	ck_assert(!msp_client_untouched(client));
}
END_TEST

START_TEST(client_gives_up_on_half_a_body_but_not_on_a_slow_caller)
{
	char text[8];
	size_t got;

	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
	ck_assert_uint_eq(msp_client_deadline(client), MSP_NEVER);
	/* the caller comes back very late */
	ck_assert_int_eq(
		msp_client_read(client, at(1000000), text, 8, &got, NULL), 0);
	ck_assert_uint_eq(got, 3);
	ck_assert_int_eq(
		msp_client_read(client, at(2000000), text, 8, &got, NULL),
		MSP_ERR_AGAIN);
	ck_assert_uint_eq(msp_client_deadline(client), 2060000);
	ck_assert_int_eq(
		msp_client_read(client, at(2059999), text, 8, &got, NULL),
		MSP_ERR_AGAIN);
	ck_assert_int_eq(
		msp_client_read(client, at(2060000), text, 8, &got, NULL),
		MSP_ERR_TIMEOUT);
	ck_assert_int_eq(msp_client_fd(client), -1);
}
END_TEST

START_TEST(client_gives_up_on_host_that_does_not_read)
{
	size_t taken;

	start_stream("PUT", UINT64_C(1) << 40);
	deliver(0, 10);
	ck_assert_uint_eq(msp_client_deadline(client), MSP_NEVER);
	fill_up();
	ck_assert_uint_eq(msp_client_deadline(client), 60000);
	ck_assert_int_eq(msp_client_write(client, "x", 1, &taken), 0);
	ck_assert_int_eq(run(59999), MSP_ERR_AGAIN);
	ck_assert_int_eq(run(60000), MSP_ERR_TIMEOUT);
	ck_assert_int_eq(msp_client_write(client, "x", 1, &taken),
			 MSP_ERR_STATE);
}
END_TEST

START_TEST(client_waits_for_ever_for_its_caller)
{
	size_t taken;

	start_stream("PUT", 2);
	deliver(0, 10);
	ck_assert_int_eq(run(1000000), MSP_ERR_AGAIN);
	ck_assert_int_eq(msp_client_write(client, "ab", 2, &taken), 0);
	ck_assert_int_eq(run(2000000), MSP_ERR_AGAIN);
	ck_assert_uint_eq(msp_client_deadline(client), 2060000);
}
END_TEST

/* ---- connections ------------------------------------------------------- */

START_TEST(client_uses_connection_again)
{
	int fd;

	ck_assert_int_eq(send_get(0), 0);
	ck_assert_int_eq(send_get(0), MSP_ERR_STATE);
	deliver(0, 10);
	fd = msp_client_fd(client);
	answer(0, OK);
	fakehost_forget(&host);
	ck_assert_int_eq(send_get(0), 0);
	ck_assert_ptr_null(msp_client_response(client));
	ck_assert_int_eq(msp_client_fd(client), fd);
	deliver(0, 10);
	answer(0, OK);
	ck_assert_uint_eq(host.accepted, 1);
}
END_TEST

static const char *const spoilers[] = { "HTTP/1.1 200 OK\r\n", "x", "" };

START_TEST(client_leaves_spoiled_connection)
{
	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, OK);
	ck_assert(msp_client_reusable(client));
	fakehost_say(&host, spoilers[_i], strlen(spoilers[_i]));
	if (!*spoilers[_i])
		fakehost_hang_up(&host);
	while (msp_client_reusable(client))
		usleep(1000);
	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, "HTTP/1.1 204 No\r\n\r\n");
	ck_assert_uint_eq(msp_client_response(client)->status, 204);
	ck_assert_uint_eq(host.accepted, 2);
}
END_TEST

START_TEST(client_tells_that_reused_connection_was_closed)
{
	int rc;

	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, OK);
	ck_assert_int_eq(send_get(0), 0);
	if (_i)
		fakehost_slam(&host);
	else
		fakehost_hang_up(&host);
	while ((rc = run(0)) == MSP_ERR_AGAIN)
		wait_for(POLLIN);
	ck_assert_int_eq(rc, MSP_ERR_CLOSED);
	ck_assert(msp_client_untouched(client));
	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, OK);
}
END_TEST

START_TEST(client_reports_refused_connection)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc;

	fakehost_close(&host);
	rc = send_get(0);
	while (rc == 0 || rc == MSP_ERR_AGAIN)
		rc = msp_client_run(client, at(0), &info);
	ck_assert_int_eq(rc, MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(info.text, "127.0.0.1:"));
}
END_TEST

static int note_socket(void *arg, int fd)
{
	int *seen = arg;

	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	*seen += 1;
	return *seen > 1;
}

START_TEST(client_shows_each_socket_to_its_owner)
{
	struct msp_client_opts o = options();
	int seen = 0;

	o.on_socket = note_socket;
	o.on_socket_arg = &seen;
	msp_client_free(client);
	ck_assert_int_eq(msp_client_new(&client, &o), 0);
	ck_assert_int_eq(send_get(0), 0);
	deliver(0, 10);
	answer(0, "HTTP/1.0 204 No\r\n\r\n");
	ck_assert_int_eq(send_get(0), MSP_ERR_SYS);
	ck_assert_int_eq(seen, 2);
	ck_assert_int_eq(msp_client_fd(client), -1);
}
END_TEST

static TCase *requests_case(void)
{
	TCase *tc = tcase_create("requests");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, client_sends_exactly, 0, COUNT(requests));
	tcase_add_loop_test(tc, client_refuses_bad_header, 0,
			    COUNT(bad_headers));
	tcase_add_loop_test(tc, client_refuses_bad_request_line, 0,
			    COUNT(bad_lines));
	tcase_add_test(tc,
		       client_refuses_message_without_host_or_with_half_a_body);
	tcase_add_test(tc, client_counts_its_own_header_among_a_hundred);
	tcase_add_test(tc, client_refuses_request_that_is_too_large);
	tcase_add_test(tc, client_signs_what_it_sends);
	tcase_add_test(tc, client_streams_known_length);
	tcase_add_test(tc, client_frames_chunks);
	tcase_add_loop_test(tc, client_holds_little_of_a_large_body, 0, 2);
	tcase_add_test(tc, client_takes_early_answer);
	tcase_add_test(tc, client_takes_answer_of_host_that_stopped_reading);
	return tc;
}

static TCase *connections_case(void)
{
	TCase *tc = tcase_create("connections");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, client_gives_up_connecting);
	tcase_add_test(tc, client_gives_up_waiting_for_answer);
	tcase_add_test(tc, client_gives_up_on_half_a_head);
	tcase_add_test(tc,
		       client_gives_up_on_half_a_body_but_not_on_a_slow_caller);
	tcase_add_test(tc, client_gives_up_on_host_that_does_not_read);
	tcase_add_test(tc, client_waits_for_ever_for_its_caller);
	tcase_add_test(tc, client_uses_connection_again);
	tcase_add_loop_test(tc, client_leaves_spoiled_connection, 0,
			    COUNT(spoilers));
	tcase_add_loop_test(tc, client_tells_that_reused_connection_was_closed,
			    0, 2);
	tcase_add_test(tc, client_reports_refused_connection);
	tcase_add_test(tc, client_shows_each_socket_to_its_owner);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("client requests");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, requests_case());
	suite_add_tcase(s, connections_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
