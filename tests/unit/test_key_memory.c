/* SPDX-License-Identifier: MIT */
/*
 * In: a random key, on every way it can come and go. Out: whether a byte or a
 * digit of it is anywhere in the process but where it must be, or in a text.
 * Must never hold a copy of its own where it looks.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <msp/signer.h>

#include "libmsp/key_priv.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/keyhost.h"
#include "tests/lib/memscan.h"

#define DOCUMENT_BEGIN                                                         \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": \"" GUID_A \
	"\", \"issued\": \"2021-05-05T 12:00:00Z\", \"key\": \""

/* ---- where it is ------------------------------------------------------- */

/* Only in the page of this key; key NULL: nowhere. */
static void check_nowhere_but_in(const struct msp_key *key)
{
	struct memscan m =
		memscan_find(key ? msp_key_bytes(key) : NULL, MSP_KEY_BYTES);

	ck_assert_uint_eq(m.kept, key ? 1 : 0);
	ck_assert_uint_eq(m.stack, 0);
	ck_assert_uint_eq(m.other, 0);
}

static struct msp_key *make_key(void)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_key_new(&key, GUID_A, strlen(GUID_A),
				     memscan_hex(), 2 * MSP_KEY_BYTES),
			 0);
	return key;
}

/* The first digit is escaped: a parser must put the text together then. */
static char *write_document(void)
{
	const char *hex = memscan_hex();
	char *text = memscan_text(512);
	int n;

	n = snprintf(text, 512, DOCUMENT_BEGIN "\\u%04x", hex[0]);
	snprintf(text + n, 512 - (size_t)n, "%s\"}", hex + 1);
	return text;
}

START_TEST(scan_finds_what_is_there)
{
	char copy[2 * MSP_KEY_BYTES + 1];
	struct memscan m;

	memcpy(copy, memscan_hex(), sizeof(copy));
	m = memscan_find(NULL, 0);
	ck_assert_uint_ge(m.stack, 1);
	ck_assert(memscan_shows(copy + 20, 40));
	explicit_bzero(copy, sizeof(copy));
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(key_is_in_a_page_of_its_own_that_is_not_dumped)
{
	struct msp_key *key = make_key();
	struct rlimit limit;
	char flags[256];

	check_nowhere_but_in(key);
	memscan_flags(flags, sizeof(flags), msp_key_bytes(key));
	ck_assert_ptr_nonnull(strstr(flags, " dd"));
	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (limit.rlim_cur >= (rlim_t)sysconf(_SC_PAGESIZE))
		ck_assert_ptr_nonnull(strstr(flags, " lo"));
	msp_key_free(key);
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(last_owner_wipes_it)
{
	struct msp_key *key = make_key();
	struct msp_key *same = msp_key_ref(key);

	msp_key_free(key);
	check_nowhere_but_in(same);
	msp_key_free(same);
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(reading_a_document_leaves_nothing)
{
	const char *text = write_document();
	struct msp_key *key;

	ck_assert_int_eq(msp_key_parse(&key, text, strlen(text), NULL), 0);
	check_nowhere_but_in(key);
	msp_key_free(key);
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(reading_without_memory_leaves_nothing)
{
	const char *text = write_document();
	struct msp_key *key;
	long n;
	int rc;

	for (n = 0;; n++) {
		failalloc_arm(n);
		rc = msp_key_parse(&key, text, strlen(text), NULL);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		check_nowhere_but_in(NULL);
	}
	ck_assert_int_ge(n, 3);
	msp_key_free(key);
	check_nowhere_but_in(NULL);
}
END_TEST

/* Its digits in another place, or too few of them. */
START_TEST(refused_documents_leave_nothing_and_are_not_quoted)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = write_document();
	size_t len = strlen(text), i;
	struct msp_key *key;
	char byte;

	for (i = 0; i < len; i++) {
		byte = text[i];
		text[i] = i % 2 ? '"' : '}';
		if (msp_key_parse(&key, text, len, &info) < 0)
			ck_assert(!memscan_shows(&info, sizeof(info)));
		msp_key_free(key);
		if (msp_key_parse(&key, text, i, &info) < 0)
			ck_assert(!memscan_shows(&info, sizeof(info)));
		msp_key_free(key);
		text[i] = byte;
	}
	check_nowhere_but_in(NULL);
}
END_TEST

/* ---- signing ----------------------------------------------------------- */

START_TEST(signer_leaves_nothing_not_even_in_openssl)
{
	struct msp_message m = { .size = sizeof(m),
				 .method = "GET",
				 .method_len = 3,
				 .target = "/",
				 .target_len = 1 };
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_key *key = make_key();
	struct msp_signer *signer;
	struct memscan while_alive;
	bool valid;

	ck_assert_int_eq(msp_signer_new(&signer, key), 0);
	ck_assert_int_eq(msp_signer_sign(signer, value, sizeof(value), &m), 0);
	ck_assert_int_eq(
		msp_signer_verify(signer, &valid, &m, value, strlen(value)), 0);
	ck_assert(valid);
	while_alive = memscan_find(msp_key_bytes(key), MSP_KEY_BYTES);
	ck_assert_uint_eq(while_alive.kept, 1);
	ck_assert_uint_eq(while_alive.stack, 0);
	/* OpenSSL's own; ours is the page */
	ck_assert_uint_le(while_alive.other, 1);
	ck_assert(!memscan_shows(value, sizeof(value)));
	msp_signer_free(signer);
	check_nowhere_but_in(key);
	msp_key_free(key);
	check_nowhere_but_in(NULL);
}
END_TEST

/* ---- on disk, and over the wire ---------------------------------------- */

START_TEST(keystore_leaves_nothing_in_memory)
{
	struct msp_key *key = make_key(), *again;

	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	check_nowhere_but_in(key);
	msp_key_free(key);
	check_nowhere_but_in(NULL);
	ck_assert_int_eq(msp_keystore_load(store, &again, GUID_A, NULL), 0);
	check_nowhere_but_in(again);
	msp_key_free(again);
	check_nowhere_but_in(NULL);
}
END_TEST

/* With blanks in front: the key is where a buffer that is used again, for
 * something shorter, is not written over. */
static void write_answer(const char *head)
{
	char *text = memscan_text(16384);

	snprintf(text, 16384, "%s%12000s" DOCUMENT_BEGIN "%s\"}", head, "",
		 memscan_hex());
	mind.status = ENABLED_NO_KEY;
	mind.key = text;
}

START_TEST(latch_has_the_key_once_and_frees_it)
{
	write_answer(HEAD);
	mind.attest = HEAD;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_nowhere_but_in(msp_latch_key(latch));
	restart(true); /* another latch: the first one is freed */
	check_nowhere_but_in(NULL);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	check_nowhere_but_in(msp_latch_key(latch));
	restart(true);
	check_nowhere_but_in(NULL);
}
END_TEST

/* The host's answer is no key document: what it shows must not be shown. */
START_TEST(latch_does_not_quote_what_it_refuses)
{
	char *text = memscan_text(1024);

	snprintf(text, 1024, HEAD "{\"guid\": \"%s\", \"%s\": 1}",
		 memscan_hex(), memscan_hex());
	mind.status = ENABLED_NO_KEY;
	mind.key = text;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL, "Failed to acquire key");
	ck_assert(!memscan_shows(msp_latch_message(latch),
				 strlen(msp_latch_message(latch))));
	check_nowhere_but_in(NULL);
}
END_TEST

/* The answer stays in the client's buffer until the next one comes. */
START_TEST(latch_freed_between_acquire_and_attest_leaves_nothing)
{
	write_answer(HEAD);
	mind.attest = HANGS;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ATTESTING, NULL, "");
	ck_assert_uint_eq(mind.n_key, 1);
	restart(true);
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(answer_cut_short_leaves_nothing)
{
	write_answer("HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n");
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL, "Failed to acquire key");
	check_nowhere_but_in(NULL);
}
END_TEST

static struct msp_message message(const char *method)
{
	static const struct msp_header h = { "host", 4, "h", 1 };
	struct msp_message m = { .size = sizeof(m),
				 .method = method,
				 .method_len = strlen(method),
				 .target = "/",
				 .target_len = 1,
				 .headers = &h,
				 .n_headers = 1 };

	return m;
}

/* A head may hold a cookie, or where else to go with a token. */
static void get_head(struct msp_client *client, const char *answer)
{
	struct msp_message m = message("GET");
	bool said = false;
	char c;
	size_t n;
	int rc;

	ck_assert_int_eq(msp_client_send(client, at(0), &m, 0, NULL, NULL), 0);
	while ((rc = msp_client_run(client, at(0), NULL)) == MSP_ERR_AGAIN) {
		fakehost_accept(&host);
		if (host.conn < 0 || !fakehost_hear(&host) || said ||
		    !fakehost_has_request(&host))
			continue;
		fakehost_forget(&host);
		fakehost_say(&host, answer, strlen(answer));
		said = true;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(msp_client_read(client, at(0), &c, 1, &n, NULL), 0);
	ck_assert_uint_eq(n, 0);
}

START_TEST(head_of_an_answer_leaves_nothing)
{
	struct msp_client_opts o = { .size = sizeof(o),
				     .address = host.address };
	char *text = memscan_text(8192);
	struct msp_client *client;

	ck_assert_int_eq(msp_client_new(&client, &o), 0);
	/* before what makes the head grow, and behind where the next ends */
	snprintf(text, 8192,
		 "HTTP/1.1 200 OK\r\nA: %500s%s\r\nB: %4000s\r\n"
		 "C: %s\r\nContent-Length: 0\r\n\r\n",
		 "", memscan_hex(), "b", memscan_hex());
	get_head(client, text);
	get_head(client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	ck_assert_uint_eq(host.accepted, 1);
	msp_client_free(client);
	check_nowhere_but_in(NULL);
}
END_TEST

static void send_all(struct msp_client *client)
{
	while (msp_client_events(client) & POLLOUT) {
		ck_assert_int_eq(msp_client_run(client, at(0), NULL),
				 MSP_ERR_AGAIN);
		if (fakehost_accept(&host) || host.conn >= 0)
			ck_assert(fakehost_hear(&host));
	}
}

/* What was sent makes room for what is next, which is shorter. */
START_TEST(streamed_body_leaves_nothing)
{
	struct msp_client_opts o = { .size = sizeof(o),
				     .address = host.address };
	struct msp_message m = message("PUT");
	char *text = memscan_text(16384);
	struct msp_client *client;
	size_t n;
	int i;

	ck_assert_int_eq(msp_client_new(&client, &o), 0);
	ck_assert_int_eq(msp_client_send(client, at(0), &m, MSP_BODY_CHUNKED,
					 NULL, NULL),
			 0);
	snprintf(text, 16384, "%16000s%s", "", memscan_hex());
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
			msp_client_write(client, text, strlen(text), &n), 0);
	send_all(client);
	ck_assert_int_eq(msp_client_write(client, text, 1, &n), 0);
	ck_assert_uint_eq(n, 1);
	msp_client_free(client);
	fakehost_hear(&host);
	memset(host.in, 0, sizeof(host.in)); /* here it is all right */
	check_nowhere_but_in(NULL);
}
END_TEST

START_TEST(memory_is_searched_in_other_builds)
{
	ck_assert(!memscan_works());
}
END_TEST

static void add_tests(Suite *s)
{
	TCase *memory = tcase_create("memory");
	TCase *wire = tcase_create("wire");

	suite_add_tcase(s, memory);
	suite_add_tcase(s, wire);
	if (!memscan_works()) {
		tcase_add_test(memory, memory_is_searched_in_other_builds);
		return;
	}
	tcase_add_checked_fixture(memory, memscan_begin, memscan_end);
	tcase_add_test(memory, scan_finds_what_is_there);
	tcase_add_test(memory, key_is_in_a_page_of_its_own_that_is_not_dumped);
	tcase_add_test(memory, last_owner_wipes_it);
	tcase_add_test(memory, reading_a_document_leaves_nothing);
	tcase_add_test(memory, reading_without_memory_leaves_nothing);
	tcase_add_test(memory,
		       refused_documents_leave_nothing_and_are_not_quoted);
	tcase_add_test(memory, signer_leaves_nothing_not_even_in_openssl);

	tcase_add_checked_fixture(wire, memscan_begin, memscan_end);
	tcase_add_checked_fixture(wire, setup, teardown);
	tcase_add_test(wire, keystore_leaves_nothing_in_memory);
	tcase_add_test(wire, latch_has_the_key_once_and_frees_it);
	tcase_add_test(wire, latch_does_not_quote_what_it_refuses);
	tcase_add_test(wire,
		       latch_freed_between_acquire_and_attest_leaves_nothing);
	tcase_add_test(wire, answer_cut_short_leaves_nothing);
	tcase_add_test(wire, head_of_an_answer_leaves_nothing);
	tcase_add_test(wire, streamed_body_leaves_nothing);
}

int main(void)
{
	Suite *s = suite_create("key_memory");
	SRunner *sr;
	int failed;

	add_tests(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
