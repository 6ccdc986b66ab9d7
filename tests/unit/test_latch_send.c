/* SPDX-License-Identifier: MIT */
/*
 * In: a latch in each of its states, and requests of an agent's own. Out:
 * whether they go out with what the host expects of its agent, signed, or not
 * at all.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/keyhost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define TEXT(s)	 (s), sizeof(s) - 1

static struct fakehost imds;
static struct msp_client *client;

static void setup_imds(void)
{
	struct msp_client_opts o = { .size = sizeof(o) };

	setup();
	fakehost_open(&imds);
	o.address = imds.address;
	ck_assert_int_eq(msp_client_new(&client, &o), 0);
}

static void teardown_imds(void)
{
	msp_client_free(client);
	client = NULL;
	fakehost_close(&imds);
	teardown();
}

static const struct msp_header given[] = {
	{ TEXT("Host"), TEXT("169.254.169.254") },
	{ TEXT("Accept"), TEXT("*/*") },
};

static struct msp_message request(void)
{
	struct msp_message m = { sizeof(m), TEXT("GET"),  TEXT("/a?b=c"),
				 given,	    COUNT(given), NULL,
				 0 };

	return m;
}

/* What the host gets of a request that is under way. */
static const char *heard(void)
{
	int i;

	for (i = 0; i < 1000 && !fakehost_has_request(&imds); i++) {
		ck_assert_int_eq(msp_client_run(client, at(0), NULL),
				 MSP_ERR_AGAIN);
		fakehost_accept(&imds);
		fakehost_hear(&imds);
	}
	return imds.in;
}

/* ---- what is sent ------------------------------------------------------- */

START_TEST(latch_send_signs_with_the_key_in_use)
{
	/* the host's time is that of its last answer */
	static const char head[] =
		"GET /a?b=c HTTP/1.1\r\nhost: 169.254.169.254\r\n"
		"accept: */*\r\nmetadata: True\r\n"
		"x-ms-azure-host-claims: { \"isRoot\": \"true\"}\r\n"
		"x-ms-azure-host-date: Wed, 23 Apr 2025 12:00:00 GMT\r\n"
		"x-ms-azure-host-authorization: Azure-HMAC-SHA256 " GUID_A " ";
	struct msp_message m = request();
	struct msp_header all[] = {
		given[0],
		given[1],
		{ TEXT("metadata"), TEXT("True") },
		{ TEXT(MSP_HEADER_CLAIMS), TEXT(MSP_CLAIMS_ROOT) },
		{ TEXT(MSP_HEADER_DATE),
		  TEXT("Wed, 23 Apr 2025 12:00:00 GMT") },
	};
	struct msp_signer *signer;
	const char *in;
	bool valid;

	latch_a();
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL), 0);
	in = heard();
	ck_assert_msg(strncmp(in, head, sizeof(head) - 1) == 0, "%s", in);
	ck_assert_str_eq(in + sizeof(head) - 1 + 64, "\r\n\r\n");

	m.headers = all;
	m.n_headers = COUNT(all);
	ck_assert_int_eq(msp_signer_new(&signer, msp_latch_key(latch)), 0);
	ck_assert_int_eq(msp_signer_verify(signer, &valid, &m,
					   in + sizeof(head) - 1 - 55,
					   MSP_AUTHORIZATION_LEN),
			 0);
	ck_assert(valid);
	msp_signer_free(signer);
}
END_TEST

START_TEST(latch_send_takes_a_body)
{
	struct msp_message m = request();
	const char *in;

	latch_a();
	m.method = "POST";
	m.method_len = 4;
	m.body = "xyz";
	m.body_len = 3;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL), 0);
	in = heard();
	ck_assert_ptr_nonnull(strstr(in, "\r\ncontent-length: 3\r\n"));
	ck_assert_str_eq(in + strlen(in) - 7, "\r\n\r\nxyz");
}
END_TEST

START_TEST(latch_send_takes_a_request_of_a_later_version)
{
	struct {
		struct msp_message now;
		unsigned char more[1024]; /* other things are behind a copy */
	} later = { .now = request(), .more = { 1 } };

	latch_a();
	later.now.size = sizeof(later);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &later.now, NULL),
			 MSP_ERR_INVAL);
	later.more[0] = 0;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &later.now, NULL),
			 0);
	ck_assert_ptr_nonnull(
		strstr(heard(), "\r\n" MSP_HEADER_AUTHORIZATION ": "));
}
END_TEST

START_TEST(latch_send_is_unsigned_when_the_host_wants_no_channel)
{
	struct msp_message m = request();
	const char *in;

	mind.status = DISABLED(GUID_A);
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_DISABLED, NULL, OFF);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL), 0);
	in = heard();
	ck_assert_ptr_nonnull(strstr(in, "\r\nmetadata: True\r\n"));
	ck_assert_ptr_nonnull(strstr(in, "\r\nx-ms-azure-host-date: "));
	ck_assert_ptr_null(strstr(in, "authorization"));
}
END_TEST

/* ---- what is not -------------------------------------------------------- */

static const struct {
	const char *status;
	const char *key;
	enum msp_latch_state state;
} keyless[] = {
	{ HANGS, HANGS, MSP_LATCH_UNKNOWN },
	{ REFUSED, HANGS, MSP_LATCH_UNKNOWN },
	{ ENABLED_NO_KEY, HANGS, MSP_LATCH_ACQUIRING },
	{ ENABLED(GUID_B), HANGS, MSP_LATCH_ACQUIRING },
	{ ENABLED_NO_KEY, KEY(GUID_A), MSP_LATCH_ATTESTING },
};

START_TEST(latch_send_waits_for_a_key)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_message m = request();

	mind.status = keyless[_i].status;
	mind.key = keyless[_i].key;
	mind.attest = HANGS;
	ck_assert_int_eq(drive(0), 0);
	ck_assert_int_eq(msp_latch_state(latch), keyless[_i].state);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, &info),
			 MSP_ERR_STATE);
	ck_assert_str_eq(info.text, "there is no key to sign with");
	ck_assert_int_eq(msp_client_fd(client), -1);
}
END_TEST

START_TEST(latch_send_does_not_sign_with_a_key_that_was_lost)
{
	struct msp_message m = request();

	latch_a();
	mind.status = ENABLED(GUID_B);
	mind.key = HANGS;
	ck_assert_int_eq(drive(15000), 0);
	ck_assert_int_eq(msp_latch_state(latch), MSP_LATCH_LOST);
	ck_assert_int_eq(msp_latch_send(latch, client, at(15000), &m, NULL),
			 MSP_ERR_STATE);
}
END_TEST

static const struct msp_header added[] = {
	{ TEXT("Metadata"), TEXT("true") },
	{ TEXT("X-MS-Azure-Host-Claims"), TEXT("x") },
	{ TEXT("x-ms-azure-host-date"), TEXT("x") },
	/* and one that a client refuses */
	{ TEXT("x-ms-azure-host-authorization"), TEXT("x") },
	{ TEXT("connection"), TEXT("close") },
	{ NULL, 8, TEXT("x") },
};

START_TEST(latch_send_refuses_headers_that_are_its_own)
{
	struct msp_header headers[] = { given[0], added[_i] };
	struct msp_message m = request();

	latch_a();
	m.headers = headers;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_fd(client), -1);
}
END_TEST

START_TEST(latch_send_refuses_what_is_no_request)
{
	struct msp_message m = request();
	struct msp_message bad;

	latch_a();
	ck_assert_int_eq(msp_latch_send(NULL, client, at(0), &m, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_send(latch, NULL, at(0), &m, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), NULL, NULL),
			 MSP_ERR_INVAL);
	bad = m;
	bad.size--;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &bad, NULL),
			 MSP_ERR_INVAL);
	bad = m;
	bad.headers = NULL;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &bad, NULL),
			 MSP_ERR_INVAL);
	bad = m;
	bad.target = NULL;
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &bad, NULL),
			 MSP_ERR_INVAL);
	bad = m;
	bad.n_headers = 0; /* Host must be there */
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &bad, NULL),
			 MSP_ERR_INVAL);
}
END_TEST

START_TEST(latch_send_has_room_for_what_it_adds)
{
	struct msp_header headers[MSP_MAX_HEADERS + 1];
	struct msp_message m = request();
	size_t i;

	headers[0] = given[0];
	for (i = 1; i < MSP_MAX_HEADERS + 1; i++)
		headers[i] = given[1];
	latch_a();
	m.headers = headers;
	for (m.n_headers = MSP_MAX_HEADERS + 1;
	     m.n_headers > MSP_MAX_HEADERS - 3; m.n_headers--)
		ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL),
				 MSP_ERR_LIMIT);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL), 0);
	ck_assert_int_eq(msp_latch_send(latch, client, at(0), &m, NULL),
			 MSP_ERR_STATE); /* one at a time */
}
END_TEST

START_TEST(latch_send_without_memory_sends_nothing)
{
	struct msp_message m = request();
	long n;
	int rc;

	latch_a();
	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_latch_send(latch, client, at(0), &m, NULL);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_int_eq(msp_client_fd(client), -1);
	}
	ck_assert_int_gt(n, 2);
	ck_assert_int_eq(rc, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("latch_send");
	TCase *tc = tcase_create("send");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup_imds, teardown_imds);
	tcase_add_test(tc, latch_send_signs_with_the_key_in_use);
	tcase_add_test(tc, latch_send_takes_a_body);
	tcase_add_test(tc, latch_send_takes_a_request_of_a_later_version);
	tcase_add_test(tc,
		       latch_send_is_unsigned_when_the_host_wants_no_channel);
	tcase_add_loop_test(tc, latch_send_waits_for_a_key, 0, COUNT(keyless));
	tcase_add_test(tc, latch_send_does_not_sign_with_a_key_that_was_lost);
	tcase_add_loop_test(tc, latch_send_refuses_headers_that_are_its_own, 0,
			    COUNT(added));
	tcase_add_test(tc, latch_send_refuses_what_is_no_request);
	tcase_add_test(tc, latch_send_has_room_for_what_it_adds);
	tcase_add_test(tc, latch_send_without_memory_sends_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
