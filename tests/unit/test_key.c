/* SPDX-License-Identifier: MIT */
/*
 * In: guids, hex and key documents. Out: pass or fail. Must never need a
 * network, a privilege, or a real key.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libmsp/key_priv.h"
#include "libmsp/mem.h"
#include "tests/lib/failalloc.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define GUID	"9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define GUID_UP "9CF81E97-0316-4AD3-94A7-8CCBDEE8CCBF"
#define HEX	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"

static const struct {
	const char *text;
	bool valid;
} guids[] = {
	{ GUID, true },
	{ GUID_UP, true },
	{ "00000000-0000-0000-0000-000000000000", true },
	{ "", false },
	{ "9cf81e97-0316-4ad3-94a7-8ccbdee8ccb", false },
	{ GUID "0", false },
	{ "{9cf81e97-0316-4ad3-94a7-8ccbdee8cc}", false },
	{ "9cf81e9700316-4ad3-94a7-8ccbdee8ccbf", false },
	{ "9cf81e97-03160-4ad3-94a7-8cbdee8ccbf", false },
	{ "9cf81e97-0316-4ad3-94a7_8ccbdee8ccbf", false },
	{ "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbg", false },
	{ "../../../../../../../../etc/shadow00", false },
	{ "9cf81e97/0316/4ad3/94a7/8ccbdee8ccbf", false },
	{ " cf81e97-0316-4ad3-94a7-8ccbdee8ccbf", false },
	{ "9cf81e97-0316-4ad3-94a7-8ccbdee8ccb\n", false },
};

START_TEST(guid_is_8_4_4_4_12_hex_and_nothing_else)
{
	const char *text = guids[_i].text;
	struct msp_key *key;
	int rc;

	ck_assert_int_eq(msp_guid_valid(text, strlen(text)), guids[_i].valid);
	rc = msp_key_new(&key, text, strlen(text), HEX, strlen(HEX));
	ck_assert_int_eq(rc, guids[_i].valid ? 0 : MSP_ERR_SYNTAX);
	ck_assert_int_eq(key != NULL, guids[_i].valid);
	msp_key_free(key);
}
END_TEST

START_TEST(guid_equal_ignores_case_only)
{
	ck_assert(msp_guid_equal(GUID, GUID_UP));
	ck_assert(
		!msp_guid_equal(GUID, "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbe"));
	ck_assert(!msp_guid_equal(GUID, GUID "0"));
	ck_assert(!msp_guid_equal(NULL, GUID));
	ck_assert(!msp_guid_equal(GUID, NULL));
	ck_assert(!msp_guid_equal(NULL, NULL));
	ck_assert(!msp_guid_valid(NULL, MSP_GUID_LEN));
}
END_TEST

static const char *const bad_hex[] = {
	"",
	"4A",
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B5",
	HEX "0",
	HEX "00",
	"0x404E635266556A586E3272357538782F413F4428472B4B6250645367566B59",
	"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B5G",
	"G A404E635266556A586E3272357538782F413F4428472B4B6250645367566B5",
	"4A 04E635266556A586E3272357538782F413F4428472B4B6250645367566B590",
};

START_TEST(new_refuses_all_but_64_hex_digits)
{
	struct msp_key *key = (void *)1;

	ck_assert_int_eq(msp_key_new(&key, GUID, MSP_GUID_LEN, bad_hex[_i],
				     strlen(bad_hex[_i])),
			 MSP_ERR_SYNTAX);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(new_reads_bytes_and_keeps_the_guid_as_written)
{
	static const unsigned char start[] = { 0x4a, 0x40, 0x4e, 0x63 };
	struct msp_key *key;
	char lower[sizeof(HEX)];
	uint32_t number;
	size_t i;

	for (i = 0; i < sizeof(HEX); i++)
		lower[i] = HEX[i] >= 'A' ? (char)(HEX[i] | 0x20) : HEX[i];
	ck_assert_int_eq(msp_key_new(&key, GUID_UP, MSP_GUID_LEN, lower, 64),
			 0);
	ck_assert_mem_eq(msp_key_bytes(key), start, sizeof(start));
	ck_assert_uint_eq(msp_key_bytes(key)[31], 0x59);
	ck_assert_str_eq(msp_key_guid(key), GUID_UP);
	ck_assert_str_eq(msp_key_issued(key), "");
	ck_assert(!msp_key_incarnation(key, &number));
	msp_key_free(key);
}
END_TEST

START_TEST(new_refuses_null)
{
	struct msp_key *key = (void *)1;

	ck_assert_int_eq(msp_key_new(NULL, GUID, 36, HEX, 64), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_key_new(&key, NULL, 36, HEX, 64), MSP_ERR_INVAL);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(msp_key_new(&key, GUID, 36, NULL, 64), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_key_parse(NULL, "{}", 2, NULL), MSP_ERR_INVAL);
	ck_assert_int_eq(msp_key_parse(&key, NULL, 2, NULL), MSP_ERR_INVAL);
	msp_key_free(NULL);
}
END_TEST

#define DOC(scheme, guid, issued, key, more)                                   \
	"{ \"authorizationScheme\": " scheme ", \"guid\": " guid               \
	",\n  \"issued\": " issued ", \"key\": " key more " }"
#define S "\"Azure-HMAC-SHA256\""
#define G "\"" GUID "\""
#define I "\"2021-05-05T 12:00:00Z\""
#define K "\"" HEX "\""

struct doc {
	const char *json;
	int rc;
	const char *pointer;
	const char *text;
};

static const struct doc docs[] = {
	{ DOC(S, G, I, K, ""), 0, NULL, NULL },
	{ DOC(S, G, I, K, ", \"incarnationId\": null"), 0, NULL, NULL },
	{ DOC(S, G, I, K, ", \"other\": [], \"other\": 1"), 0, NULL, NULL },
	{ DOC("\"azure-hmac-sha256\"", G, I, K, ""), MSP_ERR_SCHEMA,
	  "/authorizationScheme", "is not 'Azure-HMAC-SHA256'" },
	{ DOC("null", G, I, K, ""), MSP_ERR_SCHEMA, "/authorizationScheme",
	  "is null, expected a string" },
	{ DOC(S, K, I, K, ""), MSP_ERR_SCHEMA, "/guid", "is not a guid" },
	{ DOC(S, "\"../../x\"", I, K, ""), MSP_ERR_SCHEMA, "/guid",
	  "is not a guid" },
	{ DOC(S, "7", I, K, ""), MSP_ERR_SCHEMA, "/guid",
	  "is a number, expected a string" },
	{ DOC(S, G, "null", K, ""), MSP_ERR_SCHEMA, "/issued",
	  "is null, expected a string" },
	{ DOC(S, G, I, "\"" HEX "0\"", ""), MSP_ERR_SCHEMA, "/key",
	  "is not 64 hex digits" },
	{ DOC(S, G, I, "\"xy" HEX "\"", ""), MSP_ERR_SCHEMA, "/key",
	  "is not 64 hex digits" },
	{ DOC(S, G, I, "null", ""), MSP_ERR_SCHEMA, "/key",
	  "is null, expected a string" },
	{ DOC(S, G, I, K, ", \"key\": " K), MSP_ERR_SCHEMA, "/key",
	  "is given twice" },
	{ DOC(S, G, I, K, ", \"guid\": " G), MSP_ERR_SCHEMA, "/guid",
	  "is given twice" },
	{ DOC(S, G, I, K, ", \"incarnationId\": -1"), MSP_ERR_SCHEMA,
	  "/incarnationId", "is not a whole number from 0 to 4294967295" },
	{ DOC(S, G, I, K, ", \"incarnationId\": \"1\""), MSP_ERR_SCHEMA,
	  "/incarnationId", "is a string, expected a number" },
	{ "{}", MSP_ERR_SCHEMA, "/authorizationScheme", "is missing" },
	{ "{\"authorizationScheme\":" S ",\"guid\":" G ",\"issued\":" I "}",
	  MSP_ERR_SCHEMA, "/key", "is missing" },
	{ "[" K "]", MSP_ERR_SCHEMA, "", "is an array, expected an object" },
	{ "{\"" HEX "\": [1 2]}", MSP_ERR_SYNTAX, "",
	  "is not JSON: parse error: after array element, I expect ',' or "
	  "']'" },
	{ "{\"key\": " HEX "}", MSP_ERR_SYNTAX, "",
	  "is not JSON: lexical error: invalid char in json text." },
	{ "\xef\xbb\xbf{}", MSP_ERR_SYNTAX, "",
	  "starts with a byte order mark" },
};

START_TEST(parse_takes_valid_documents_and_names_the_fault)
{
	const struct doc *d = &docs[_i];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = (void *)1;

	ck_assert_int_eq(msp_key_parse(&key, d->json, strlen(d->json), &info),
			 d->rc);
	ck_assert_int_eq(key != NULL, d->rc == 0);
	msp_key_free(key);
	ck_assert_int_eq(failalloc_live(), 0);
	if (d->rc == 0)
		return;
	ck_assert_str_eq(info.text, d->text);
	ck_assert_str_eq(info.pointer, d->pointer);
	ck_assert_uint_ge(info.line, 1);
	/* no part of the key, wherever it stood (defect Q12) */
	ck_assert_ptr_null(strstr(info.text, "404E63"));
	ck_assert_ptr_null(strstr(info.pointer, "404E63"));
}
END_TEST

START_TEST(parse_keeps_what_the_host_said)
{
	static const char json[] = DOC(S, G, I, K, ",\"incarnationId\": 7");
	struct msp_key *key, *same, *other;
	uint32_t number = 0;

	ck_assert_int_eq(msp_key_parse(&key, json, strlen(json), NULL), 0);
	ck_assert_str_eq(msp_key_guid(key), GUID);
	ck_assert_str_eq(msp_key_issued(key), "2021-05-05T 12:00:00Z");
	ck_assert(msp_key_incarnation(key, &number));
	ck_assert_uint_eq(number, 7);

	ck_assert_int_eq(msp_key_new(&same, GUID_UP, 36, HEX, 64), 0);
	ck_assert(msp_key_equal(key, same));
	msp_key_free(same);
	ck_assert_int_eq(msp_key_new(&other, GUID, 36,
				     "5" /* for 4 */
				     "A404E635266556A586E3272357538782F413F4428"
				     "472B4B6250645367566B59",
				     64),
			 0);
	ck_assert(!msp_key_equal(key, other));
	msp_key_free(other);
	ck_assert_int_eq(msp_key_new(&other,
				     "00000000-0000-0000-0000-000000000000", 36,
				     HEX, 64),
			 0);
	ck_assert(!msp_key_equal(key, other));
	msp_key_free(other);
	msp_key_free(key);
}
END_TEST

START_TEST(parse_refuses_more_than_64_kib)
{
	static char json[65537];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	static const char doc[] = DOC(S, G, I, K, "");
	struct msp_key *key;

	memset(json, ' ', sizeof(json));
	memcpy(json, doc, strlen(doc));
	ck_assert_int_eq(msp_key_parse(&key, json, 65536, &info), 0);
	msp_key_free(key);
	ck_assert_int_eq(msp_key_parse(&key, json, 65537, &info),
			 MSP_ERR_LIMIT);
}
END_TEST

START_TEST(parse_refuses_a_long_text_of_when_it_was_issued)
{
	char json[sizeof(DOC(S, G, I, K, "")) + MSP_KEY_ISSUED_MAX + 1];
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char issued[MSP_KEY_ISSUED_MAX + 2];
	struct msp_key *key;

	memset(issued, 'x', sizeof(issued));
	issued[MSP_KEY_ISSUED_MAX] = '\0';
	snprintf(json, sizeof(json), DOC(S, G, "\"%s\"", K, ""), issued);
	ck_assert_int_eq(msp_key_parse(&key, json, strlen(json), &info), 0);
	ck_assert_str_eq(msp_key_issued(key), issued);
	msp_key_free(key);
	issued[MSP_KEY_ISSUED_MAX] = 'x';
	issued[MSP_KEY_ISSUED_MAX + 1] = '\0';
	snprintf(json, sizeof(json), DOC(S, G, "\"%s\"", K, ""), issued);
	ck_assert_int_eq(msp_key_parse(&key, json, strlen(json), &info),
			 MSP_ERR_LIMIT);
	ck_assert_ptr_null(key);
	ck_assert_str_eq(info.pointer, "/issued");
}
END_TEST

START_TEST(last_owner_frees)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_key_new(&key, GUID, 36, HEX, 64), 0);
	ck_assert_ptr_eq(msp_key_ref(key), key);
	msp_key_free(key);
	ck_assert_uint_eq(msp_key_bytes(key)[0], 0x4a);
	ck_assert_int_gt(failalloc_live(), 0);
	msp_key_free(key);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

/* VmFlags of the mapping that holds an address */
static void flags_of(const void *address, char *out, size_t size)
{
	unsigned long start, end, at = (unsigned long)address;
	FILE *f = fopen("/proc/self/smaps", "r");
	bool here = false;
	char line[512];

	ck_assert_ptr_nonnull(f);
	*out = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = at >= start && at < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%s", line);
	}
	fclose(f);
}

START_TEST(bytes_are_locked_and_left_out_of_dumps)
{
	struct msp_key *key;
	char flags[512], can[512];
	void *probe;

	/* what mlock does here: limits forbid it, sanitizers make it a no-op */
	probe = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(probe != MAP_FAILED);
	(void)mlock(probe, 1);
	flags_of(probe, can, sizeof(can));
	munmap(probe, 1);

	ck_assert_int_eq(msp_key_new(&key, GUID, 36, HEX, 64), 0);
	flags_of(msp_key_bytes(key), flags, sizeof(flags));
	ck_assert_msg(strstr(flags, " dd"), "%s", flags);
	if (strstr(can, " lo"))
		ck_assert_msg(strstr(flags, " lo"), "%s", flags);
	msp_key_free(key);
}
END_TEST

/* Where the allocator of this process keeps small blocks. */
static bool heap_range(const char **start, const char **end)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	bool found = false;
	char line[512];

	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, "[heap]") &&
			sscanf(line, "%lx-%lx ", &from, &to) == 2;
	fclose(f);
	if (found) {
		*start = (const char *)from;
		*end = (const char *)to;
	}
	return found;
}

/* The middle of the digits: the allocator writes over the ends of a freed
 * block. Compared byte by byte, so that no copy of them gets on the heap. */
__attribute__((no_sanitize("address"))) static bool
heap_holds(const char *wanted, size_t len)
{
	const char *at, *end;
	size_t i;

	if (!heap_range(&at, &end))
		return false;
	for (; at + len <= end; at++) {
		for (i = 0; i < len && at[i] == wanted[i]; i++)
			;
		if (i == len)
			return true;
	}
	return false;
}

START_TEST(parse_leaves_no_digits_on_the_heap)
{
	static const char escaped[] =
		"\"\\u0034A404E635266556A586E3272357538782F413F4428472B4B6250"
		"645367566B59\"";
	static char json[1024], digits[] = "6E3272357538782F413F";
	struct msp_key *key;
	void *volatile control;

	/* the search itself works: a plain copy is found */
	control = msp_mem_strndup(HEX, 64);
	ck_assert_ptr_nonnull(control);
	if (!heap_holds(digits, strlen(digits))) {
		msp_mem_free(control);
		return; /* an allocator without [heap], as under ASan */
	}
	msp_mem_wipe(control, 64);
	msp_mem_free(control);
	ck_assert(!heap_holds(digits, strlen(digits)));

	strcpy(json, "{\"authorizationScheme\":" S ",\"guid\":" G
		     ",\"issued\":" I ",\"key\":");
	strcat(json, escaped);
	strcat(json, "}");
	ck_assert_int_eq(msp_key_parse(&key, json, strlen(json), NULL), 0);
	ck_assert_uint_eq(msp_key_bytes(key)[0], 0x4a);
	ck_assert(!heap_holds(digits, strlen(digits)));
	msp_key_free(key);
	json[strlen(json) - 1] = ']';
	ck_assert_int_eq(msp_key_parse(&key, json, strlen(json), NULL),
			 MSP_ERR_SYNTAX);
	ck_assert(!heap_holds(digits, strlen(digits)));
}
END_TEST

START_TEST(parse_survives_every_failed_allocation)
{
	static const char json[] = DOC(S, G, I, K, ",\"incarnationId\": 7");
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key;
	long n;
	int rc;

	for (n = 0;; n++) {
		key = (void *)1;
		failalloc_arm(n);
		rc = msp_key_parse(&key, json, strlen(json), &info);
		if (!failalloc_disarm())
			break;
		ck_assert_int_eq(rc, MSP_ERR_NOMEM);
		ck_assert_ptr_null(key);
		ck_assert_int_eq(failalloc_live(), 0);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_ge(n, 4);
	msp_key_free(key);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("key");
	TCase *t = tcase_create("key");

	tcase_add_loop_test(t, guid_is_8_4_4_4_12_hex_and_nothing_else, 0,
			    COUNT(guids));
	tcase_add_test(t, guid_equal_ignores_case_only);
	tcase_add_loop_test(t, new_refuses_all_but_64_hex_digits, 0,
			    COUNT(bad_hex));
	tcase_add_test(t, new_reads_bytes_and_keeps_the_guid_as_written);
	tcase_add_test(t, new_refuses_null);
	tcase_add_loop_test(t, parse_takes_valid_documents_and_names_the_fault,
			    0, COUNT(docs));
	tcase_add_test(t, parse_keeps_what_the_host_said);
	tcase_add_test(t, parse_refuses_more_than_64_kib);
	tcase_add_test(t, parse_refuses_a_long_text_of_when_it_was_issued);
	tcase_add_test(t, last_owner_frees);
	tcase_add_test(t, bytes_are_locked_and_left_out_of_dumps);
	tcase_add_test(t, parse_leaves_no_digits_on_the_heap);
	tcase_add_test(t, parse_survives_every_failed_allocation);
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
