/* SPDX-License-Identifier: MIT */
/*
 * In: the largest message and the heap. Out: pass or fail: what the signer
 * takes, what it does when there is none, what it leaves. Must never need a
 * network, a privilege, or a real key.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/signer.h>

#include "libmsp/key_priv.h"
#include "libmsp/mem.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/message.h"

#define LONG_BODY 102400

/* As many of all as fit; names fall so that sorting has something to do. */
struct large {
	struct msp_message m;
	struct msp_header headers[MSP_MAX_HEADERS];
	char names[MSP_MAX_HEADERS][8];
	char target[2000];
	char body[LONG_BODY];
};

static struct large *large_message(void)
{
	static struct large l;
	size_t n, at;

	l.m = get("/");
	l.m.method = "POST";
	l.m.method_len = 4;
	for (n = 0; n < MSP_MAX_HEADERS; n++) {
		snprintf(l.names[n], sizeof(l.names[n]), "X-%03zu", 999 - n);
		l.headers[n] = (struct msp_header){ l.names[n], 5, "v", 1 };
	}
	l.m.headers = l.headers;
	l.m.n_headers = MSP_MAX_HEADERS;
	at = (size_t)snprintf(l.target, sizeof(l.target), "/path?");
	for (n = 0; n < 200; n++)
		at += (size_t)snprintf(l.target + at, sizeof(l.target) - at,
				       "p%03zu=%zu&", (n * 77) % 200, n);
	l.m.target = l.target;
	l.m.target_len = at;
	memset(l.body, 'b', sizeof(l.body));
	l.m.body = l.body;
	l.m.body_len = sizeof(l.body);
	return &l;
}

START_TEST(large_message_is_signed_like_its_string)
{
	struct msp_signer *s = new_signer(GUID, HEX);
	struct large *l = large_message();
	unsigned char mac[EVP_MAX_MD_SIZE];
	char want[MSP_AUTHORIZATION_LEN + 1];
	unsigned int mac_len;
	const char *text;
	size_t len, i;
	int at;

	ck_assert_int_eq(msp_signer_string(s, &text, &len, &l->m), 0);
	ck_assert_uint_gt(len, LONG_BODY + MSP_MAX_HEADERS * 8);
	ck_assert_ptr_nonnull(HMAC(
		EVP_sha256(), msp_key_bytes(msp_signer_key(s)), MSP_KEY_BYTES,
		(const unsigned char *)text, len, mac, &mac_len));
	at = snprintf(want, sizeof(want), "Azure-HMAC-SHA256 " GUID " ");
	for (i = 0; i < mac_len; i++)
		at += snprintf(want + at, sizeof(want) - (size_t)at, "%02x",
			       mac[i]);
	assert_signed(s, &l->m, want, "large");
	msp_signer_free(s);
}
END_TEST

/* a few requests of all calls, none larger than large_message() */
static void use(struct msp_signer *s)
{
	struct large *l = large_message();
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message m = example();
	const char *text;
	size_t len;
	bool valid;

	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &l->m), 0);
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &l->m), 0);
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &m), 0);
	ck_assert_int_eq(msp_signer_verify(s, &valid, &m, value, strlen(value)),
			 0);
	ck_assert(valid);
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &m), 0);
}

START_TEST(nothing_is_allocated_once_the_largest_message_was_seen)
{
	struct msp_signer *s = new_signer(GUID, HEX);
	long live, round;

	use(s);
	live = failalloc_live();
	for (round = 0; round < 3; round++) {
		failalloc_arm(0);
		use(s);
		ck_assert(!failalloc_disarm());
	}
	ck_assert_int_eq(failalloc_live(), live);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(new_survives_every_failed_allocation)
{
	struct msp_key *key = new_key(GUID, HEX);
	long live = failalloc_live(), n;
	struct msp_signer *s;
	int rc;

	for (n = 0;; n++) {
		s = (void *)1;
		failalloc_arm(n);
		rc = msp_signer_new(&s, key);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(s);
		ck_assert_int_eq(failalloc_live(), live);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 1);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), live);
	msp_key_free(key);
}
END_TEST

START_TEST(signing_survives_every_failed_allocation)
{
	static const char known[] = EXAMPLE_VALUE;
	struct large *l = large_message();
	struct msp_message m = example();
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_signer *s;
	long n;
	int rc;

	for (n = 0;; n++) {
		s = new_signer(GUID, HEX);
		/* odd rounds have buffers to grow, even ones have none */
		if (n % 2)
			assert_signed(s, &m, known, "small");
		memset(value, '~', sizeof(value));
		failalloc_arm(n / 2);
		rc = msp_signer_sign(s, value, sizeof(value), &l->m);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_str_eq(value, "");
		assert_signed(s, &m, known, "after a failure");
		msp_signer_free(s);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 4);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(string_and_verify_survive_every_failed_allocation)
{
	struct large *l = large_message();
	struct msp_signer *s;
	const char *text;
	size_t len;
	bool valid;
	long n;
	int rc;

	for (n = 0;; n++) {
		s = new_signer(GUID, HEX);
		valid = true;
		failalloc_arm(n);
		rc = msp_signer_verify(s, &valid, &l->m, "x", 1);
		ck_assert(!valid);
		ck_assert_int_eq(rc, failalloc_disarm() ? MSP_ERR_NOMEM : 0);
		msp_signer_free(s);

		s = new_signer(GUID, HEX);
		text = "~";
		len = 1;
		failalloc_arm(n);
		rc = msp_signer_string(s, &text, &len, &l->m);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(text);
		ck_assert_uint_eq(len, 0);
		msp_signer_free(s);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 3);
	msp_signer_free(s);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(signer_owns_its_key_and_two_may_share_one)
{
	static const char known[] = EXAMPLE_VALUE;
	struct msp_key *key = new_key(GUID, HEX);
	struct msp_message m = example();
	struct msp_signer *a, *b;

	ck_assert_int_eq(msp_signer_new(&a, key), 0);
	ck_assert_int_eq(msp_signer_new(&b, key), 0);
	ck_assert_ptr_eq(msp_signer_key(a), key);
	ck_assert_ptr_eq(msp_signer_key(b), key);
	msp_key_free(key);
	assert_signed(a, &m, known, "first");
	msp_signer_free(a);
	assert_signed(b, &m, known, "second");
	ck_assert_str_eq(msp_key_guid(msp_signer_key(b)), GUID);
	msp_signer_free(b);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* ---- nothing is left behind -------------------------------------------- */

/* Where the allocator of this process keeps small blocks. After a fork it may
 * be several mappings, one behind the other. */
static bool heap_range(const char **start, const char **end)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to, first = 0, last = 0;
	char line[512];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "[heap]") ||
		    sscanf(line, "%lx-%lx ", &from, &to) != 2)
			continue;
		if (!first)
			first = last = from;
		if (from == last)
			last = to;
	}
	fclose(f);
	*start = (const char *)first;
	*end = (const char *)last;
	return first != 0;
}

static bool holds(const char *at, const char *end, const char *wanted,
		  size_t len)
{
	size_t i;

	for (; (size_t)(end - at) >= len; at++) {
		for (i = 0; i < len && at[i] == wanted[i]; i++)
			;
		if (i == len)
			return true;
	}
	return false;
}

static bool heap_holds(const char *wanted, size_t len)
{
	const char *at, *end;

	return heap_range(&at, &end) && holds(at, end, wanted, len);
}

/* The middle of the key: the allocator writes over the ends of a freed
 * block. */
static const char key_middle[] = "8x/A?D(G+KbP";

START_TEST(string_holds_no_key_bytes)
{
	struct msp_signer *s = new_signer(GUID, HEX);
	struct msp_message m = example();
	const char *text;
	size_t len;

	ck_assert_mem_eq(msp_key_bytes(msp_signer_key(s)) + 14, key_middle,
			 sizeof(key_middle) - 1);
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &m), 0);
	ck_assert(!holds(text, text + len, key_middle, 4));
	ck_assert(!holds(text, text + len, HEX, 8));
	msp_signer_free(s);
}
END_TEST

/* Often, because freed blocks are in part written over. */
#define SECRET	"a secret of the client, "
#define SECRETS SECRET SECRET SECRET SECRET SECRET SECRET SECRET SECRET

START_TEST(free_leaves_neither_key_nor_message_on_the_heap)
{
	static const struct msp_header secret[] = { LINE("token", SECRETS) };
	struct msp_signer *s = new_signer(GUID, HEX);
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message m = get("/");
	const char *text;
	void *volatile barrier;
	size_t len;

	m.headers = secret;
	m.n_headers = 1;
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &m), 0);
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &m), 0);
	if (!heap_holds(TEXT(SECRET))) {
		msp_signer_free(s);
		return; /* an allocator without [heap], as under ASan */
	}
	/* where the buffers were before they grow, and where they are then */
	use(s);
	ck_assert(!heap_holds(TEXT(SECRET)));
	ck_assert_int_eq(msp_signer_sign(s, value, sizeof(value), &m), 0);
	ck_assert_int_eq(msp_signer_string(s, &text, &len, &m), 0);
	ck_assert(heap_holds(TEXT(SECRET)));
	/* keeps the end of the heap from being given back */
	barrier = msp_mem_alloc(1);
	msp_signer_free(s);
	ck_assert(!heap_holds(TEXT(SECRET)));
	ck_assert(!heap_holds(TEXT(key_middle)));
	msp_mem_free(barrier);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("signer_memory");
	TCase *t = tcase_create("memory");

	tcase_add_test(t, large_message_is_signed_like_its_string);
	tcase_add_test(t,
		       nothing_is_allocated_once_the_largest_message_was_seen);
	tcase_add_test(t, new_survives_every_failed_allocation);
	tcase_add_test(t, signing_survives_every_failed_allocation);
	tcase_add_test(t, string_and_verify_survive_every_failed_allocation);
	tcase_add_test(t, signer_owns_its_key_and_two_may_share_one);
	tcase_add_test(t, string_holds_no_key_bytes);
	tcase_add_test(t, free_leaves_neither_key_nor_message_on_the_heap);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
