/* SPDX-License-Identifier: MIT */
/*
 * In: the three calls, and a fake host's answers. Out: whether the requests
 * are those of spec 5.1 byte for byte, and whether each answer is taken or
 * refused for the right reason.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <msp/channel.h>
#include <openssl/hmac.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define DATE	 "Wed, 23 Apr 2025 12:00:00 GMT"
#define GUID	 "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define KEY_HEX                                                                \
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"
#define KEY_JSON                                                               \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": \"" GUID   \
	"\", \"issued\": \"2021-05-05T 12:00:00Z\", \"key\": \"" KEY_HEX "\"}"
#define STATUS_JSON                                                            \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "                    \
	"\"keyDeliveryMethod\": \"http\", \"keyGuid\": null, "                 \
	"\"secureChannelState\": \"Wireserver\", \"version\": \"1.0\"}"

static struct fakehost host;
static struct msp_channel *channel;

static struct msp_time at(uint64_t boot_ms)
{
	struct msp_time t = { .boot_ms = boot_ms, .wall_s = 1745409600 };

	return t;
}

static struct msp_channel_opts options(void)
{
	struct msp_channel_opts o = { .size = sizeof(o) };

	o.client.size = sizeof(o.client);
	o.client.address = host.address;
	return o;
}

static void setup(void)
{
	struct msp_channel_opts o;

	fakehost_open(&host);
	o = options();
	ck_assert_int_eq(msp_channel_new(&channel, &o), 0);
}

static void teardown(void)
{
	msp_channel_free(channel);
	channel = NULL;
	fakehost_close(&host);
	ck_assert_int_eq(failalloc_live(), 0);
}

enum call { STATUS, ACQUIRE, ATTEST };

static int start(enum call call, uint64_t now, struct msp_error_info *info)
{
	struct msp_key *key;
	int rc;

	if (call == STATUS)
		return msp_channel_status(channel, at(now), DATE, info);
	if (call == ACQUIRE)
		return msp_channel_acquire(channel, at(now), DATE, info);
	rc = msp_key_new(&key, GUID, 36, KEY_HEX, 64);
	if (rc < 0)
		return rc;
	rc = msp_channel_attest(channel, at(now), DATE, key, info);
	msp_key_free(key);
	return rc;
}

/* Until the request is there. */
static int deliver(uint64_t now)
{
	int i, rc = MSP_ERR_AGAIN;

	for (i = 0; i < 1000 && rc == MSP_ERR_AGAIN; i++) {
		rc = msp_channel_run(channel, at(now), NULL);
		fakehost_accept(&host);
		fakehost_hear(&host);
		if (fakehost_has_request(&host))
			break;
	}
	return rc;
}

static int finish(uint64_t now, struct msp_error_info *info)
{
	int rc;

	while ((rc = msp_channel_run(channel, at(now), info)) ==
	       MSP_ERR_AGAIN) {
		struct pollfd p = { .fd = msp_channel_fd(channel),
				    .events = msp_channel_events(channel) };

		ck_assert_int_eq(poll(&p, 1, 2000), 1);
	}
	return rc;
}

static int call_answered(enum call call, const char *answer,
			 struct msp_error_info *info)
{
	ck_assert_int_eq(start(call, 0, info), 0);
	ck_assert_int_eq(deliver(0), MSP_ERR_AGAIN);
	fakehost_say(&host, answer, strlen(answer));
	fakehost_hang_up(&host);
	return finish(0, info);
}

/* ---- requests ---------------------------------------------------------- */

#define COMMON                                                                 \
	"x-ms-azure-host-date: " DATE "\r\n"                                   \
	"host: 127.0.0.1\r\n"                                                  \
	"x-ms-azure-host-claims: { \"isRoot\": \"true\"}\r\n"                  \
	"metadata: True\r\n"

START_TEST(channel_asks_for_status)
{
	ck_assert_int_eq(start(STATUS, 0, NULL), 0);
	deliver(0);
	ck_assert_str_eq(host.in,
			 "GET /secure-channel/status HTTP/1.1\r\n" COMMON
			 "content-length: 0\r\n\r\n");
}
END_TEST

START_TEST(channel_asks_for_key)
{
	ck_assert_int_eq(start(ACQUIRE, 0, NULL), 0);
	deliver(0);
	ck_assert_str_eq(host.in,
			 "POST /secure-channel/key HTTP/1.1\r\n" COMMON
			 "content-type: application/json\r\n"
			 "content-length: 44\r\n\r\n"
			 "{\"authorizationScheme\": \"Azure-HMAC-SHA256\"}");
}
END_TEST

/* The string-to-sign of spec 6.9, written out by hand. */
static const char to_sign[] = "POST\n\n"
			      "content-length:0\n"
			      "host:127.0.0.1\n"
			      "metadata:True\n"
			      "x-ms-azure-host-claims:{ \"isRoot\": \"true\"}\n"
			      "x-ms-azure-host-date:" DATE "\n"
			      "/secure-channel/key/" GUID "/key-attestation\n";

START_TEST(channel_signs_attestation)
{
	static const char key[] = "J@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkY";
	char expected[1024], hex[65];
	unsigned char mac[32];
	unsigned int len = 0;
	int i;

	ck_assert_int_eq(start(ATTEST, 0, NULL), 0);
	deliver(0);
	ck_assert_ptr_nonnull(HMAC(EVP_sha256(), key, 32,
				   (const unsigned char *)to_sign,
				   sizeof(to_sign) - 1, mac, &len));
	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", mac[i]);
	snprintf(expected, sizeof(expected),
		 "POST /secure-channel/key/" GUID
		 "/key-attestation HTTP/1.1\r\n"
		 "%scontent-length: 0\r\nx-ms-azure-host-authorization: "
		 "Azure-HMAC-SHA256 " GUID " %s\r\n\r\n",
		 COMMON, hex);
	ck_assert_str_eq(host.in, expected);
}
END_TEST

/* ---- answers ----------------------------------------------------------- */

#define ANSWER(code, type, body)                                               \
	"HTTP/1.1 " code "\r\nContent-Type: " type "\r\n\r\n" body
#define JSON "application/json; charset=utf-8"

static const struct {
	enum call call;
	const char *answer;
	int rc;
	unsigned int http_status;
	const char *text;
} answers[] = {
	{ STATUS, ANSWER("200 OK", JSON, STATUS_JSON), 0, 0, "" },
	{ STATUS, ANSWER("206 Part", JSON, STATUS_JSON), 0, 0, "" },
	{ STATUS, ANSWER("200 OK", "text/plain", STATUS_JSON), 0, 0, "" },
	{ STATUS, "HTTP/1.1 200 OK\r\n\r\n" STATUS_JSON, 0, 0, "" },
	{ STATUS, ANSWER("500 Internal Server Error", JSON, STATUS_JSON),
	  MSP_ERR_STATUS, 500,
	  "/secure-channel/status, status code: 500 Internal Server Error" },
	{ STATUS, ANSWER("304 \x80\xff\t", JSON, ""), MSP_ERR_STATUS, 304,
	  "status code: 304 ???" },
	{ STATUS, ANSWER("200 OK", "Text/XML", "<a/>"), MSP_ERR_PROTOCOL, 0,
	  "Deserialization failed: " },
	{ STATUS, ANSWER("200 OK", "application/json;charset=UTF-16", "x"),
	  MSP_ERR_PROTOCOL, 0, "Deserialization failed: " },
	{ STATUS, ANSWER("200 OK", "application/json; charset=utf-32", "x"),
	  MSP_ERR_PROTOCOL, 0, "Deserialization failed: " },
	{ STATUS, ANSWER("200 OK", JSON, "<html>"), MSP_ERR_SYNTAX, 0,
	  "Deserialization failed: " },
	{ STATUS, ANSWER("200 OK", JSON, ""), MSP_ERR_SYNTAX, 0,
	  "Deserialization failed: " },
	{ STATUS, ANSWER("200 OK", JSON, "{}"), MSP_ERR_SCHEMA, 0,
	  "Deserialization failed: " },
	{ STATUS, "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n",
	  MSP_ERR_LIMIT, 0, "4194304" },
	{ STATUS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
	  MSP_ERR_CLOSED, 0, "" },
	{ STATUS, "HTTP/1.1 200 OK\n\n", MSP_ERR_PROTOCOL, 0, "" },
	{ STATUS, "", MSP_ERR_CLOSED, 0, "without an answer" },
	{ ACQUIRE, ANSWER("200 OK", JSON, KEY_JSON), 0, 0, "" },
	{ ACQUIRE, ANSWER("201 OK", JSON, KEY_JSON), MSP_ERR_STATUS, 201,
	  "Key error: Failed to acquire key with status code: 201 OK" },
	{ ACQUIRE, ANSWER("403 Forbidden", JSON, ""), MSP_ERR_STATUS, 403,
	  "Key error: Failed to acquire key with status code: 403 Forbidden" },
	{ ACQUIRE, ANSWER("200 OK", JSON, "{\"key\": \"" KEY_HEX "\"}"),
	  MSP_ERR_SCHEMA, 0, "Deserialization failed: " },
	{ ACQUIRE, ANSWER("200 OK", JSON, "\"" KEY_HEX), MSP_ERR_SYNTAX, 0,
	  "Deserialization failed: " },
	{ ACQUIRE, "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
	  MSP_ERR_LIMIT, 0, "65536" },
	{ ACQUIRE, "", MSP_ERR_CLOSED, 0,
	  "Key error: Failed to send acquire key with error: " },
	{ ATTEST, "HTTP/1.1 200 OK\r\n\r\n", 0, 0, "" },
	{ ATTEST, ANSWER("200 OK", "text/xml", "whatever"), 0, 0, "" },
	{ ATTEST, "HTTP/1.1 204 No\r\n\r\n", MSP_ERR_STATUS, 204,
	  "Key error: Failed to attest key with status code: 204 No" },
	{ ATTEST, "HTTP/1.1 401 Unauthorized\r\n\r\n", MSP_ERR_STATUS, 401,
	  "Key error: Failed to attest key with status code: 401 " },
	{ ATTEST, "HTTP/1.1 200 OK\r\n", MSP_ERR_CLOSED, 0,
	  "Key error: Failed to send attest key with error: " },
};

START_TEST(channel_takes_or_refuses_answer)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = answers[_i].rc;
	struct msp_keystatus *status;
	struct msp_key *key;

	ck_assert_int_eq(
		call_answered(answers[_i].call, answers[_i].answer, &info), rc);
	ck_assert_uint_eq(info.http_status, answers[_i].http_status);
	ck_assert_int_eq(info.endpoint,
			 rc < 0 ? (int)MSP_ENDPOINT_WIRESERVER : -1);
	ck_assert_msg(strstr(info.text, answers[_i].text), "%s", info.text);
	ck_assert_ptr_null(strstr(info.text, "4A404E"));
	status = msp_channel_take_status(channel);
	key = msp_channel_take_key(channel);
	ck_assert((status != NULL) == (rc == 0 && answers[_i].call == STATUS));
	ck_assert((key != NULL) == (rc == 0 && answers[_i].call == ACQUIRE));
	if (key)
		ck_assert_str_eq(msp_key_guid(key), GUID);
	msp_keystatus_free(status);
	msp_key_free(key);
	ck_assert_ptr_null(msp_channel_take_status(channel));
	ck_assert_ptr_null(msp_channel_take_key(channel));
	ck_assert_int_eq(msp_channel_fd(channel), -1);
	ck_assert_int_eq(msp_channel_run(channel, at(0), NULL), MSP_ERR_STATE);
}
END_TEST

static int endless_body(enum call call)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	static const char block[4096] = { ' ' };
	int rc, i;

	ck_assert_int_eq(start(call, 0, NULL), 0);
	deliver(0);
	fakehost_say(&host, head, sizeof(head) - 1);
	for (i = 0; i < 2000; i++) {
		fakehost_say(&host, block, sizeof(block));
		rc = msp_channel_run(channel, at(0), NULL);
		if (rc != MSP_ERR_AGAIN)
			return rc;
	}
	return 0;
}

START_TEST(channel_bounds_endless_body)
{
	ck_assert_int_eq(endless_body(_i ? ACQUIRE : STATUS), MSP_ERR_LIMIT);
}
END_TEST

static const struct {
	const char *headers;
	bool known;
} dates[] = {
	{ "X-MS-Azure-Host-Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n", true },
	{ "Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n", true },
	{ "Date: Thu, 24 Apr 2025 12:00:00 GMT\r\n"
	  "x-ms-azure-host-date: Wed, 23 Apr 2025 12:00:00 GMT\r\n",
	  true },
	{ "x-ms-azure-host-date: Wed, 23 Apr 2025\r\n"
	  "Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n",
	  false },
	{ "Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n"
	  "Date: Wed, 23 Apr 2025 12:00:00 GMT\r\n",
	  false },
	{ "Date: yesterday\r\n", false },
	{ "", false },
};

START_TEST(channel_tells_host_time)
{
	char answer[1024];
	int64_t seconds = 0;

	snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n%s\r\n%s",
		 dates[_i].headers, STATUS_JSON);
	ck_assert(!msp_channel_host_time(channel, &seconds));
	ck_assert_int_eq(call_answered(STATUS, answer, NULL), 0);
	ck_assert(msp_channel_host_time(channel, &seconds) == dates[_i].known);
	ck_assert_int_eq(seconds, dates[_i].known ? 1745409600 : 0);
}
END_TEST

/* ---- time and connections ---------------------------------------------- */

START_TEST(channel_ends_hung_call)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	ck_assert_int_eq(start(ACQUIRE, 1000, NULL), 0);
	ck_assert_int_eq(deliver(1000), MSP_ERR_AGAIN);
	ck_assert_uint_eq(msp_channel_deadline(channel), 11000);
	ck_assert_int_eq(start(STATUS, 1000, NULL), MSP_ERR_STATE);
	ck_assert_int_eq(msp_channel_run(channel, at(10999), &info),
			 MSP_ERR_AGAIN);
	ck_assert_int_eq(msp_channel_run(channel, at(11000), &info),
			 MSP_ERR_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(info.text, "acquire"));
	ck_assert_uint_eq(msp_channel_deadline(channel), MSP_NEVER);
	ck_assert_int_eq(msp_channel_fd(channel), -1);
}
END_TEST

START_TEST(channel_ends_call_of_dripping_host)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyy";
	uint64_t now = 0;
	int rc;

	ck_assert_int_eq(start(STATUS, 0, NULL), 0);
	deliver(0);
	for (;;) {
		ck_assert_uint_lt(now, 12000);
		fakehost_say(&host, answer + now / 1000, 1);
		rc = msp_channel_run(channel, at(now), NULL);
		if (rc != MSP_ERR_AGAIN)
			break;
		now += 1000;
	}
	ck_assert_int_eq(rc, MSP_ERR_TIMEOUT);
	ck_assert_uint_eq(now, 10000);
}
END_TEST

START_TEST(channel_connects_anew_for_each_call)
{
	unsigned int i;

	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(start(ATTEST, 0, NULL), 0);
		ck_assert_int_eq(deliver(0), MSP_ERR_AGAIN);
		fakehost_say(&host,
			     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			     38);
		ck_assert_int_eq(finish(0, NULL), 0);
		ck_assert_uint_eq(host.accepted, i);
	}
}
END_TEST

START_TEST(channel_reports_refused_connection)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	fakehost_close(&host);
	ck_assert_int_eq(start(STATUS, 0, NULL), 0);
	ck_assert_int_eq(finish(0, &info), MSP_ERR_SYS);
	ck_assert_int_eq(info.sys_errno, ECONNREFUSED);
}
END_TEST

START_TEST(channel_checks_arguments)
{
	struct msp_channel_opts o = options();
	struct msp_channel *c;

	ck_assert_int_eq(msp_channel_new(NULL, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_channel_new(&c, NULL), 0);
	msp_channel_free(c);
	o.reserved = 1;
	ck_assert_int_eq(msp_channel_new(&c, &o), MSP_ERR_INVAL);
	o = options();
	o.client.size = 8;
	ck_assert_int_eq(msp_channel_new(&c, &o), MSP_ERR_INVAL);
	o = options();
	o.client.address.port = 0;
	ck_assert_int_eq(msp_channel_new(&c, &o), MSP_ERR_INVAL);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(msp_channel_status(NULL, at(0), DATE, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_channel_status(channel, at(0), NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_channel_status(channel, at(0), "a\r\nb: c", NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_channel_attest(channel, at(0), DATE, NULL, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_channel_run(channel, at(0), NULL), MSP_ERR_STATE);
	msp_channel_free(NULL);
}
END_TEST

/* msp_channel_new and one whole call with allocation n failing */
static int whole_call(enum call call, const char *answer)
{
	struct msp_channel_opts o = options();
	int rc;

	rc = msp_channel_new(&channel, &o);
	if (rc == 0)
		rc = start(call, 0, NULL);
	if (rc < 0)
		return rc;
	rc = deliver(0);
	if (rc != MSP_ERR_AGAIN)
		return rc;
	fakehost_say(&host, answer, strlen(answer));
	fakehost_hang_up(&host);
	return finish(0, NULL);
}

static const char *const fine[] = {
	[STATUS] = ANSWER("200 OK", JSON, STATUS_JSON),
	[ACQUIRE] = ANSWER("200 OK", JSON, KEY_JSON),
	[ATTEST] = "HTTP/1.1 200 OK\r\n\r\n",
};

START_TEST(channel_survives_every_failed_allocation)
{
	long n;
	int rc;

	for (n = 0;; n++) {
		msp_channel_free(channel);
		channel = NULL;
		failalloc_arm(n);
		rc = whole_call((enum call)_i, fine[_i]);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		if (channel)
			ck_assert_ptr_null(msp_channel_take_key(channel));
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel");
	TCase *tc = tcase_create("channel");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, channel_asks_for_status);
	tcase_add_test(tc, channel_asks_for_key);
	tcase_add_test(tc, channel_signs_attestation);
	tcase_add_loop_test(tc, channel_takes_or_refuses_answer, 0,
			    COUNT(answers));
	tcase_add_loop_test(tc, channel_bounds_endless_body, 0, 2);
	tcase_add_loop_test(tc, channel_tells_host_time, 0, COUNT(dates));
	tcase_add_test(tc, channel_ends_hung_call);
	tcase_add_test(tc, channel_ends_call_of_dripping_host);
	tcase_add_test(tc, channel_connects_anew_for_each_call);
	tcase_add_test(tc, channel_reports_refused_connection);
	tcase_add_test(tc, channel_checks_arguments);
	tcase_add_loop_test(tc, channel_survives_every_failed_allocation, 0,
			    COUNT(fine));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
