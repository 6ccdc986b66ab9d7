/* SPDX-License-Identifier: MIT */
/*
 * In: one exchange after the other on a connection that is kept. Out: whether
 * each takes no more than one write and one read, and no memory; and whether
 * what is kept for the next one holds nothing of the last.
 */
#undef _FORTIFY_SOURCE /* send() and recv() are functions here */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <msp/client.h>

#include "libmsp/http_write.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/fakehost.h"

#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
#define GUID "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define KEY_HEX                                                                \
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

static struct fakehost host;
static struct msp_client *client;
static struct msp_signer *signer;

static struct {
	unsigned int writes;
	unsigned int reads;
	unsigned int looks; /* reads that take nothing away */
} calls;

/* The C library's, and counted: that of the client is the one that matters. */
ssize_t send(int fd, const void *data, size_t len, int flags)
{
	calls.writes += fd == msp_client_fd(client);
	return sendto(fd, data, len, flags, NULL, 0);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	if (fd == msp_client_fd(client)) {
		calls.looks += (flags & MSG_PEEK) != 0;
		calls.reads += (flags & MSG_PEEK) == 0;
	}
	return recvfrom(fd, data, len, flags, NULL, NULL);
}

static struct msp_time now(void)
{
	struct msp_time t = { .boot_ms = 1000, .wall_s = 1745409600 };

	return t;
}

static void open_client(uint32_t flags)
{
	struct msp_client_opts o = { .size = sizeof(o), .flags = flags };

	o.address = host.address;
	msp_client_free(client);
	ck_assert_int_eq(msp_client_new(&client, &o), 0);
}

static void setup(void)
{
	struct msp_key *key;

	fakehost_open(&host);
	open_client(0);
	ck_assert_int_eq(
		msp_key_new(&key, GUID, strlen(GUID), KEY_HEX, strlen(KEY_HEX)),
		0);
	ck_assert_int_eq(msp_signer_new(&signer, key), 0);
	msp_key_free(key);
}

static void teardown(void)
{
	msp_client_free(client);
	client = NULL;
	msp_signer_free(signer);
	fakehost_close(&host);
	ck_assert_int_eq(failalloc_live(), 0);
}

static int run(void)
{
	return msp_client_run(client, now(), NULL);
}

static int send_get(const char *target, const char *name)
{
	const struct msp_header headers[] = {
		{ "Host", 4, "h", 1 },
		{ name, strlen(name), "true", 4 },
	};
	const struct msp_message m = { .size = sizeof(m),
				       .method = "GET",
				       .method_len = 3,
				       .target = target,
				       .target_len = strlen(target),
				       .headers = headers,
				       .n_headers = 2 };

	return msp_client_send(client, now(), &m, 0, signer, NULL);
}

static void wait_for(short events)
{
	struct pollfd p = { .fd = msp_client_fd(client), .events = events };

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

static void exchange(const char *raw)
{
	char body[16];
	size_t got;

	ck_assert_int_eq(send_get("/", "Metadata"), 0);
	while (msp_client_events(client) & POLLOUT) {
		wait_for(POLLOUT);
		ck_assert_int_eq(run(), MSP_ERR_AGAIN);
	}
	fakehost_accept(&host);
	while (!fakehost_has_request(&host))
		fakehost_hear(&host);
	fakehost_forget(&host);
	fakehost_say(&host, raw, strlen(raw));
	wait_for(POLLIN);
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(
		msp_client_read(client, now(), body, sizeof(body), &got, NULL),
		0);
	ck_assert_mem_eq(body, "abc", 3);
	ck_assert_int_eq(
		msp_client_read(client, now(), body, sizeof(body), &got, NULL),
		0);
	ck_assert_uint_eq(got, 0);
}

START_TEST(next_exchange_is_one_write_and_one_read)
{
	exchange(OK);
	memset(&calls, 0, sizeof(calls));
	exchange(OK);
	ck_assert_uint_eq(host.accepted, 1);
	ck_assert_uint_eq(calls.writes, 1);
	ck_assert_uint_eq(calls.reads, 1);
	/* that nothing came unasked is worth a look */
	ck_assert_uint_eq(calls.looks, 1);
}
END_TEST

/* Whoever says that it looks itself has to: nothing else does. */
START_TEST(client_that_is_watched_does_not_look)
{
	int fd;

	open_client(MSP_CLIENT_WATCHED);
	exchange(OK);
	fd = msp_client_fd(client);
	fakehost_say(&host, "x", 1);
	while (msp_client_reusable(client))
		usleep(1000);
	memset(&calls, 0, sizeof(calls));
	ck_assert_int_eq(send_get("/", "Metadata"), 0);
	ck_assert_uint_eq(calls.looks, 0);
	ck_assert_int_eq(msp_client_fd(client), fd);
}
END_TEST

START_TEST(client_that_is_watched_knows_what_it_has_seen)
{
	open_client(MSP_CLIENT_WATCHED);
	exchange(OK "x");
	exchange(OK);
	ck_assert_uint_eq(host.accepted, 2);
}
END_TEST

/* Without a look; not so where the last read filled what it was given. */
START_TEST(client_knows_whether_it_is_in_step)
{
	static char body[32768];
	char head[64];
	size_t got, sum = 0;

	ck_assert(!msp_client_in_step(NULL));
	ck_assert(!msp_client_in_step(client));
	exchange(OK);
	memset(&calls, 0, sizeof(calls));
	ck_assert(msp_client_in_step(client));
	ck_assert_uint_eq(calls.looks, 0);
	exchange(OK "x");
	ck_assert(!msp_client_in_step(client));

	ck_assert_int_eq(send_get("/", "Metadata"), 0);
	wait_for(POLLOUT);
	while (run() == MSP_ERR_AGAIN && !fakehost_has_request(&host)) {
		fakehost_accept(&host);
		fakehost_hear(&host);
	}
	snprintf(head, sizeof(head),
		 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
		 sizeof(body));
	fakehost_say(&host, head, strlen(head));
	wait_for(POLLIN);
	ck_assert_int_eq(run(), 0);
	fakehost_say(&host, body, sizeof(body));
	while (sum < sizeof(body)) {
		ck_assert(!msp_client_in_step(client));
		wait_for(POLLIN);
		ck_assert_int_eq(msp_client_read(client, now(), body,
						 sizeof(body), &got, NULL),
				 0);
		sum += got;
	}
	ck_assert(!msp_client_in_step(client));
	ck_assert(msp_client_reusable(client));
}
END_TEST

START_TEST(next_exchange_takes_no_memory)
{
	long live;
	int i;

	exchange(OK);
	live = failalloc_live();
	for (i = 0; i < 3; i++) {
		failalloc_arm(0);
		exchange(OK);
		ck_assert(!failalloc_disarm());
	}
	ck_assert_int_eq(failalloc_live(), live);
	ck_assert_uint_eq(host.accepted, 1);
}
END_TEST

START_TEST(connection_that_ends_keeps_no_buffer)
{
	long live;

	exchange(OK);
	live = failalloc_live();
	exchange("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
		 "Connection: close\r\n\r\nabc");
	ck_assert_int_lt(failalloc_live(), live);
}
END_TEST

/* The request is refused before anything is written over the last one. */
START_TEST(refused_request_leaves_what_was_not_sent)
{
	struct msp_message m = { .size = sizeof(m),
				 .method = "PUT",
				 .method_len = 3,
				 .target = "/",
				 .target_len = 1,
				 .headers = &(struct msp_header){ "Host", 4,
								  "h", 1 },
				 .n_headers = 1 };
	static char piece[32768];
	size_t taken;

	ck_assert_int_eq(
		msp_client_send(client, now(), &m, 1 << 30, NULL, NULL), 0);
	wait_for(POLLOUT);
	ck_assert_int_eq(run(), MSP_ERR_AGAIN);
	fakehost_accept(&host);
	fakehost_say(&host, OK, strlen(OK));
	do { /* until neither side has room */
		ck_assert_int_eq(
			msp_client_write(client, piece, sizeof(piece), &taken),
			0);
		ck_assert_int_ne(run(), MSP_ERR_SYS);
	} while (taken);
	while (run() == MSP_ERR_AGAIN)
		wait_for(POLLIN);
	ck_assert_int_eq(msp_client_read(client, now(), piece, sizeof(piece),
					 &taken, NULL),
			 0);
	ck_assert_int_eq(send_get("no target", "Metadata"), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_client_events(client), POLLOUT);
}
END_TEST

START_TEST(buffer_that_is_kept_holds_nothing)
{
	const struct msp_header headers[] = { { "Host", 4, "secret", 6 } };
	struct msp_message m = { .size = sizeof(m),
				 .method = "GET",
				 .method_len = 3,
				 .target = "/",
				 .target_len = 1,
				 .headers = headers,
				 .n_headers = 1 };
	struct msp_http_out out = { 0 };
	const char *data;
	size_t i;

	ck_assert_int_eq(msp_http_write(&out, &m, 0, NULL, 0, NULL), 0);
	data = out.data;
	ck_assert_uint_gt(out.end, 20);
	for (i = 0; i < out.end; i++)
		ck_assert_int_ne(out.data[i], 0);
	ck_assert_uint_lt(i, out.cap);
	memset(out.data + i, 0, out.cap - i); /* never written */
	msp_http_out_rest(&out);
	ck_assert_ptr_eq(out.data, data);
	ck_assert_uint_eq(out.end, 0);
	for (i = 0; i < out.cap; i++)
		ck_assert_int_eq(out.data[i], 0);
	ck_assert_int_eq(msp_http_write(&out, &m, 0, NULL, 65536, NULL), 0);
	msp_http_out_rest(&out);
	ck_assert_ptr_null(out.data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client exchange");
	TCase *tc = tcase_create("exchange");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, next_exchange_is_one_write_and_one_read);
	tcase_add_test(tc, client_that_is_watched_does_not_look);
	tcase_add_test(tc, client_that_is_watched_knows_what_it_has_seen);
	tcase_add_test(tc, client_knows_whether_it_is_in_step);
	tcase_add_test(tc, next_exchange_takes_no_memory);
	tcase_add_test(tc, connection_that_ends_keeps_no_buffer);
	tcase_add_test(tc, refused_request_leaves_what_was_not_sent);
	tcase_add_test(tc, buffer_that_is_kept_holds_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
