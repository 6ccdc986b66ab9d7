/* SPDX-License-Identifier: MIT */
/*
 * In: keys to be saved where memory fails, or where files are somebody else's.
 * Out: whether what was there is as it was, and what is said of it.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <msp/keystore.h>

#include "tests/lib/failalloc.h"
#include "tests/lib/scratch.h"

#define TAIL	 "-0316-4ad3-94a7-8ccbdee8ccbf"
#define GUID	 "9cf81e97" TAIL
#define FILENAME "keys/" GUID ".key"
#define HEX_A	 "4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"
#define HEX_B	 "5A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"
#define DOC(guid, issued, hex)                                                 \
	"{\"authorizationScheme\":\"Azure-HMAC-SHA256\",\"guid\":\"" guid      \
	"\",\"issued\":\"" issued "\",\"key\":\"" hex "\"}"

#define NOBODY 65534

static struct msp_keystore *store;

static void setup(void)
{
	const char *path;

	scratch_make();
	path = scratch_path("keys");
	ck_assert_int_eq(msp_keystore_open(&store, path, strlen(path), NULL),
			 0);
}

static void teardown(void)
{
	msp_keystore_free(store);
	store = NULL;
	scratch_remove();
	ck_assert_int_eq(failalloc_live(), 0);
}

static struct msp_key *parse(const char *text)
{
	struct msp_key *key;

	ck_assert_int_eq(msp_key_parse(&key, text, strlen(text), NULL), 0);
	return key;
}

static void save(const char *text)
{
	struct msp_key *key = parse(text);

	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	msp_key_free(key);
}

/* error.h: out of memory, nothing has changed. */
START_TEST(save_without_memory_changes_nothing)
{
	struct msp_key *new = parse(DOC(GUID, "now", HEX_B));
	struct msp_error_info info;
	char *before, *after;
	long n;
	int rc;

	save(DOC(GUID, "then", HEX_A));
	save(DOC("00000000" TAIL, "then", HEX_A));
	before = scratch_read(FILENAME, NULL);
	for (n = 0;; n++) {
		info = (struct msp_error_info)MSP_ERROR_INFO_INIT;
		failalloc_arm(n);
		rc = msp_keystore_save(store, new, &info);
		if (!failalloc_disarm())
			break;
		after = scratch_read(FILENAME, NULL);
		if (rc == MSP_ERR_NOMEM) {
			ck_assert_str_eq(after, before);
			ck_assert_str_eq(info.text, "out of memory");
		} else {
			/* another one's file could not be looked at */
			ck_assert_int_eq(rc, 0);
			ck_assert_ptr_nonnull(strstr(after, HEX_B));
			save(DOC(GUID, "then", HEX_A));
		}
		free(after);
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_int_gt(n, 3);
	after = scratch_read(FILENAME, NULL);
	ck_assert_ptr_nonnull(strstr(after, HEX_B));
	free(after);
	free(before);
	msp_key_free(new);
}
END_TEST

/* The longest text of when it was issued, each byte of which takes six. */
START_TEST(any_key_that_can_be_parsed_can_be_saved)
{
	static const char head[] = DOC(GUID, "", HEX_A);
	char *text = malloc(sizeof(head) + (size_t)6 * MSP_KEY_ISSUED_MAX);
	const char *middle = strstr(head, "\",\"key\"");
	size_t start = (size_t)(middle - head);
	struct msp_key *key, *again;
	int i;

	ck_assert_ptr_nonnull(text);
	memcpy(text, head, start);
	for (i = 0; i < MSP_KEY_ISSUED_MAX; i++)
		memcpy(text + start + (size_t)6 * i, "\\u0001", 6);
	strcpy(text + start + (size_t)6 * i, middle);
	key = parse(text);
	ck_assert_uint_eq(strlen(msp_key_issued(key)), MSP_KEY_ISSUED_MAX);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	ck_assert_int_eq(msp_keystore_load(store, &again, GUID, NULL), 0);
	ck_assert_str_eq(msp_key_issued(again), msp_key_issued(key));
	msp_key_free(again);
	msp_key_free(key);
	free(text);
}
END_TEST

/* ---- whose files they are: only root can make another's ------------------ */

START_TEST(key_file_of_somebody_else_is_not_permitted)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key;

	save(DOC(GUID, "then", HEX_A));
	ck_assert_int_eq(chown(scratch_path(FILENAME), NOBODY, NOBODY), 0);
	ck_assert_int_eq(msp_keystore_load(store, &key, GUID, &info),
			 MSP_ERR_SYS);
	ck_assert_ptr_null(key);
	ck_assert_int_eq(info.sys_errno, EPERM);
	ck_assert_ptr_nonnull(
		strstr(info.text, "'" GUID ".key' belongs to user 65534"));
}
END_TEST

START_TEST(key_directory_of_somebody_else_is_not_permitted)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *path = scratch_path("keys");
	struct msp_keystore *other;
	char text[512];

	ck_assert_int_eq(chown(path, NOBODY, NOBODY), 0);
	ck_assert_int_eq(msp_keystore_open(&other, path, strlen(path), &info),
			 MSP_ERR_SYS);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(info.sys_errno, EPERM);
	snprintf(text, sizeof(text), "'%s' belongs to user 65534", path);
	ck_assert_msg(strstr(info.text, text) != NULL, "%s", info.text);
}
END_TEST

/* Files that are not made as ours: on NFS with root squashed, for one. */
START_TEST(save_that_cannot_be_read_back_says_so)
{
	struct msp_key *key = parse(DOC(GUID, "now", HEX_A));
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text;
	int rc;

	ck_assert_int_eq(chown(scratch_path("keys"), NOBODY, NOBODY), 0);
	setfsuid(NOBODY);
	rc = msp_keystore_save(store, key, &info);
	setfsuid(0);
	ck_assert_int_eq(rc, MSP_ERR_CRYPTO);
	ck_assert_ptr_nonnull(strstr(info.text,
				     "Key error: Failed to check local key "
				     "with error: '" GUID ".key' belongs"));
	text = scratch_read(FILENAME, NULL);
	ck_assert_ptr_nonnull(strstr(text, HEX_A "\"\n}"));
	free(text);
	msp_key_free(key);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keystore save");
	TCase *tc = tcase_create("save");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, save_without_memory_changes_nothing);
	tcase_add_test(tc, any_key_that_can_be_parsed_can_be_saved);
	if (geteuid() == 0) {
		tcase_add_test(tc, key_file_of_somebody_else_is_not_permitted);
		tcase_add_test(tc,
			       key_directory_of_somebody_else_is_not_permitted);
		tcase_add_test(tc, save_that_cannot_be_read_back_says_so);
	}
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
