/* SPDX-License-Identifier: MIT */
/*
 * In: structs of a program that was built with a later version of the library,
 * or with none. Out: whether each is taken, refused, filled in or left alone
 * by the one rule that msp/defs.h states.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

#include "libmsp/opts.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"
#include "tests/lib/message.h"

static const struct msp_header host_line[] = { LINE("host", "h") };

/* What a later version may have added: enough that a copy of what is known
 * today, with that size, has something else behind it. */
struct later_message {
	struct msp_message now;
	unsigned char more[1024];
};

static struct later_message later_get(unsigned char more)
{
	struct later_message m = { .now = get("/a"), .more = { more } };

	m.now.size = sizeof(m);
	m.now.headers = host_line;
	m.now.n_headers = 1;
	return m;
}

START_TEST(opts_may_be_longer_if_the_rest_is_zero)
{
	unsigned char bytes[16] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	size_t i;

	ck_assert(!msp_opts_ok(bytes, 0, 8));
	ck_assert(!msp_opts_ok(bytes, 7, 8));
	ck_assert(msp_opts_ok(bytes, 8, 8));
	ck_assert(msp_opts_ok(bytes, 16, 8));
	for (i = 8; i < 16; i++) {
		bytes[i] = 1;
		ck_assert(!msp_opts_ok(bytes, 16, 8));
		ck_assert(msp_opts_ok(bytes, i, 8));
		bytes[i] = 0;
	}
}
END_TEST

START_TEST(later_message_is_signed_as_one_of_today)
{
	struct later_message zero = later_get(0), asks = later_get(1);
	struct msp_signer *s = new_signer(GUID, HEX);
	char value[MSP_AUTHORIZATION_LEN + 1];
	char expected[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message today = zero.now;
	const char *text;
	size_t len;
	bool valid;

	today.size = sizeof(today);
	ck_assert_int_eq(msp_signer_sign(s, expected, sizeof(expected), &today),
			 0);
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &zero.now),
			 0);
	ck_assert_str_eq(value, expected);
	ck_assert_int_eq(
		msp_signer_verify(s, &valid, &zero.now, value, strlen(value)),
		0);
	ck_assert(valid);
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &asks.now),
			 MSP_ERR_INVAL);
	ck_assert_str_eq(value, "");
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &asks.now),
			 MSP_ERR_INVAL);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(later_message_is_sent_as_one_of_today)
{
	struct later_message zero = later_get(0), asks = later_get(1);
	struct msp_client_opts opts = { .size = sizeof(opts) };
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_time now = { 0, 0 };
	struct msp_client *client;
	struct fakehost host;

	fakehost_open(&host);
	opts.address = host.address;
	ck_assert_int_eq(msp_client_new(&client, &opts), 0);
	ck_assert_int_eq(msp_client_send(client, now, &asks.now, 0, s, NULL),
			 MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_fd(client), -1);
	/* signed: a copy of it goes to the signer */
	ck_assert_int_eq(msp_client_send(client, now, &zero.now, 0, s, NULL),
			 0);
	msp_client_free(client);
	fakehost_close(&host);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(later_options_ask_for_nothing_unknown)
{
	struct {
		struct msp_redirect_opts now;
		uint64_t more;
	} redirect = { .now = { .size = sizeof(redirect) }, .more = 1 };
	struct {
		struct msp_client_opts now;
		uint64_t more;
	} opts = { .now = { .size = sizeof(opts),
			    .address = { .ip = htonl(INADDR_LOOPBACK),
					 .port = 1 } } };
	struct msp_client *client;
	struct msp_redirect *r;

	ck_assert_int_eq(msp_redirect_open(&r, &redirect.now, NULL),
			 MSP_ERR_INVAL);
	/* what it may do then is another question: nothing to attach to */
	redirect.more = 0;
	redirect.now.cgroup = "/nonexistent";
	redirect.now.cgroup_len = strlen(redirect.now.cgroup);
	ck_assert_int_ne(msp_redirect_open(&r, &redirect.now, NULL),
			 MSP_ERR_INVAL);
	ck_assert_ptr_null(r);
	ck_assert_int_eq(msp_client_new(&client, &opts.now), 0);
	msp_client_free(client);
	opts.more = 1;
	ck_assert_int_eq(msp_client_new(&client, &opts.now), MSP_ERR_INVAL);
}
END_TEST

START_TEST(later_decision_is_filled_in_as_far_as_it_is_known)
{
	struct {
		struct msp_decision now;
		uint64_t more;
	} d = { .now = { .size = sizeof(d) }, .more = 7 };
	struct {
		struct msp_caller now;
		uint64_t more;
	} caller = { .now = { .size = sizeof(caller),
			      .flags = MSP_CALLER_KNOWN },
		     .more = 7 };
	struct msp_explanation *e;
	struct msp_request *request;

	ck_assert_int_eq(msp_request_new(&request), 0);
	ck_assert_int_eq(msp_request_set(request, "GET", 3, "/a", 2), 0);
	ck_assert_int_eq(msp_decision_make(&d.now, NULL, MSP_ENDPOINT_IMDS,
					   request, &caller.now),
			 0);
	ck_assert_int_eq(d.now.verdict, MSP_ALLOW);
	ck_assert_uint_eq(d.now.size, sizeof(d));
	ck_assert_uint_eq(d.more, 7);
	ck_assert_int_eq(msp_decision_explain(&e, NULL, MSP_ENDPOINT_IMDS,
					      request, &caller.now),
			 0);
	msp_explanation_free(e);
	msp_request_free(request);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opts");
	TCase *tc = tcase_create("opts");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, opts_may_be_longer_if_the_rest_is_zero);
	tcase_add_test(tc, later_message_is_signed_as_one_of_today);
	tcase_add_test(tc, later_message_is_sent_as_one_of_today);
	tcase_add_test(tc, later_options_ask_for_nothing_unknown);
	tcase_add_test(tc, later_decision_is_filled_in_as_far_as_it_is_known);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
