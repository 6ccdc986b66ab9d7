/* SPDX-License-Identifier: MIT */
/*
 * The folder of keys: whose it is before and after, which keys come along, and
 * what is said of those that do not.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/keyfolder.h"
#include "tests/lib/scratch.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define NOBODY	 65534
#define ASIDE	 "keys.of-65534"
#define GUID	 "9cf81e97-0316-4ad3-94a7-8ccbdee8ccbf"
#define OTHER	 "00000000-0316-4ad3-94a7-8ccbdee8ccbf"
#define TAIL	 "-0316-4ad3-94a7-8ccbdee8ccbf"
#define MANY	 60
#define KEY_OF(guid)                                                           \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "                    \
	"\"guid\": \"" guid "\", \"issued\": \"\", \"key\": "                  \
	"\"4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59\"" \
	"}"

static struct msp_keystore *store;
static char error[MSPD_KEYFOLDER_ERROR];

static void setup(void)
{
	scratch_make();
	umask(022);
}

static void teardown(void)
{
	msp_keystore_free(store);
	store = NULL;
	scratch_remove();
}

static int open_keys(void)
{
	return mspd_keyfolder_open(&store, scratch_path("keys"), error);
}

/* Who is not root can give nothing away. */
static void make_foreign(void)
{
	ck_assert_int_eq(geteuid(), 0);
	ck_assert_int_eq(mkdir(scratch_path("keys"), 0755), 0);
	ck_assert_int_eq(chown(scratch_path("keys"), NOBODY, NOBODY), 0);
}

static void put_key(const char *name, const char *text, uid_t uid, mode_t mode)
{
	scratch_write(name, text, strlen(text));
	ck_assert_int_eq(chmod(scratch_path(name), mode), 0);
	ck_assert_int_eq(chown(scratch_path(name), uid, uid), 0);
}

static bool has_key(const char *guid)
{
	struct msp_key *key;
	int rc = msp_keystore_load(store, &key, guid, NULL);

	msp_key_free(key);
	return rc == 0;
}

static void check_ours(void)
{
	struct stat st;

	ck_assert_int_eq(lstat(scratch_path("keys"), &st), 0);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
}

static void check_refused(const char *why)
{
	ck_assert_int_eq(open_keys(), -EACCES);
	ck_assert_ptr_null(store);
	ck_assert_ptr_nonnull(strstr(error, scratch_path("keys")));
	ck_assert_ptr_nonnull(strstr(error, why));
}

static const mode_t modes[] = { 0, 0500, 0755, 0777, 01777, 02770 };

START_TEST(keyfolder_of_any_mode_is_closed)
{
	ck_assert_int_eq(mkdir(scratch_path("keys"), 0700), 0);
	put_key("keys/" GUID ".key", KEY_OF(GUID), geteuid(), 0600);
	ck_assert_int_eq(chmod(scratch_path("keys"), modes[_i]), 0);
	if (geteuid() != 0 && !modes[_i]) {
		check_refused("");
		ck_assert_int_eq(chmod(scratch_path("keys"), 0700), 0);
		return;
	}
	ck_assert_int_eq(open_keys(), 0);
	ck_assert_str_eq(error, "");
	check_ours();
	ck_assert(has_key(GUID));
}
END_TEST

START_TEST(keyfolder_that_is_missing_is_made)
{
	ck_assert_int_eq(
		mspd_keyfolder_open(&store, scratch_path("a/b/keys/"), error),
		0);
	ck_assert_uint_eq(scratch_mode("a/b/keys"), 0700);
}
END_TEST

START_TEST(keyfolder_of_somebody_else_is_replaced_with_roots_keys_in_it)
{
	struct stat before, after;

	make_foreign();
	put_key("keys/" GUID ".key", KEY_OF(GUID), 0, 0600);
	ck_assert_int_eq(stat(scratch_path("keys"), &before), 0);
	ck_assert_int_eq(open_keys(), 0);
	check_ours();
	ck_assert(has_key(GUID));
	/* nothing that was open in it leads to ours */
	ck_assert_int_eq(stat(scratch_path(ASIDE), &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_uint_eq(after.st_uid, NOBODY);
	ck_assert_int_eq(scratch_count("keys"), 2);
}
END_TEST

/* Azure's agent removes none; there are two orders, so that in no file system
 * the latest happen to be read last. */
START_TEST(keyfolder_of_many_keys_keeps_the_latest)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char name[64], text[512];
	int i;

	make_foreign();
	for (i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), KEY_OF("%08x" TAIL), i);
		snprintf(name, sizeof(name), "keys/%08x" TAIL ".key", i);
		put_key(name, text, 0, 0600);
		times[1].tv_sec = 1000 + (_i ? MANY - i : i);
		ck_assert_int_eq(
			utimensat(AT_FDCWD, scratch_path(name), times, 0), 0);
	}
	ck_assert_int_eq(open_keys(), 0);
	for (i = 0; i < MANY / 2; i++) {
		snprintf(name, sizeof(name), "%08x" TAIL,
			 _i ? i : MANY - 1 - i);
		ck_assert_msg(has_key(name), "%d", i);
	}
}
END_TEST

static const struct {
	const char *text;
	uid_t uid;
	mode_t mode;
} planted[] = {
	{ KEY_OF(OTHER), NOBODY, 0600 },
	{ KEY_OF(OTHER), 0, 0640 },
	{ KEY_OF(OTHER), 0, 0604 },
	{ KEY_OF(OTHER), 0, 0620 },
	{ KEY_OF(GUID), 0, 0600 },
	{ "{", 0, 0600 },
	{ "", 0, 0600 },
};

START_TEST(keyfolder_takes_no_key_that_others_had_their_hands_on)
{
	make_foreign();
	put_key("keys/" OTHER ".key", planted[_i].text, planted[_i].uid,
		planted[_i].mode);
	put_key("keys/" GUID ".key", KEY_OF(GUID), 0, 0600);
	ck_assert_int_eq(open_keys(), 0);
	ck_assert(has_key(GUID));
	ck_assert(!has_key(OTHER));
	ck_assert_int_ne(access(scratch_path("keys/" OTHER ".key"), F_OK), 0);
	/* whoever knows better can put it right */
	ck_assert_int_eq(access(scratch_path(ASIDE "/" OTHER ".key"), F_OK), 0);
}
END_TEST

START_TEST(keyfolder_takes_nothing_through_a_link_and_waits_for_no_pipe)
{
	make_foreign();
	put_key("real", KEY_OF(GUID), 0, 0600);
	ck_assert_int_eq(symlink("../real", scratch_path("keys/" GUID ".key")),
			 0);
	ck_assert_int_eq(mkfifo(scratch_path("keys/" OTHER ".key"), 0600), 0);
	ck_assert_int_eq(open_keys(), 0);
	ck_assert(!has_key(GUID));
	ck_assert(!has_key(OTHER));
}
END_TEST

START_TEST(keyfolder_is_replaced_as_often_as_it_is_given_away)
{
	int i;

	make_foreign();
	put_key("keys/" GUID ".key", KEY_OF(GUID), 0, 0600);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(open_keys(), 0);
		ck_assert(has_key(GUID));
		msp_keystore_free(store);
		store = NULL;
		ck_assert_int_eq(chown(scratch_path("keys"), NOBODY, NOBODY),
				 0);
	}
	ck_assert_int_eq(scratch_count(ASIDE), 3);
	ck_assert_int_eq(scratch_count(ASIDE ".3"), 1);
}
END_TEST

START_TEST(keyfolder_goes_on_where_it_was_killed)
{
	make_foreign();
	put_key("keys/" GUID ".key", KEY_OF(GUID), 0, 0600);
	/* made, and not yet in its place */
	ck_assert_int_eq(mkdir(scratch_path(ASIDE), 0700), 0);
	put_key(ASIDE "/" GUID ".tmp", "{", 0, 0600);
	ck_assert_int_eq(open_keys(), 0);
	ck_assert(has_key(GUID));
	ck_assert_int_eq(scratch_count("keys"), 2);
}
END_TEST

/* Above it: mode and owner of the folder that it is in, and is it taken? */
static const struct {
	mode_t mode;
	uid_t uid;
	bool taken;
} above[] = {
	{ 0755, 0, true },   { 0775, 0, false },      { 0777, 0, false },
	{ 01777, 0, false }, { 0755, NOBODY, false },
};

START_TEST(keyfolder_stays_where_others_could_replace_it_too)
{
	make_foreign();
	ck_assert_int_eq(chmod(scratch_path("."), above[_i].mode), 0);
	ck_assert_int_eq(chown(scratch_path("."), above[_i].uid, above[_i].uid),
			 0);
	if (above[_i].taken) {
		ck_assert_int_eq(open_keys(), 0);
		return;
	}
	check_refused("belongs to user 65534");
	ck_assert_int_eq(scratch_count("keys"), 1);
}
END_TEST

START_TEST(keyfolder_that_is_none_is_named)
{
	scratch_write("keys", "x", 1);
	check_refused("is not a directory");
	ck_assert_int_eq(unlink(scratch_path("keys")), 0);
	ck_assert_int_eq(mkdir(scratch_path("real"), 0700), 0);
	ck_assert_int_eq(symlink("real", scratch_path("keys")), 0);
	check_refused("is a symbolic link");
	ck_assert_int_eq(unlink(scratch_path("keys")), 0);
	ck_assert_int_eq(open_keys(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mspd_keyfolder");
	TCase *tc = tcase_create("keyfolder");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, keyfolder_of_any_mode_is_closed, 0,
			    COUNT(modes));
	tcase_add_test(tc, keyfolder_that_is_missing_is_made);
	tcase_add_test(tc, keyfolder_that_is_none_is_named);
	if (geteuid() == 0) {
		tcase_add_test(
			tc,
			keyfolder_of_somebody_else_is_replaced_with_roots_keys_in_it);
		tcase_add_loop_test(
			tc,
			keyfolder_takes_no_key_that_others_had_their_hands_on,
			0, COUNT(planted));
		tcase_add_loop_test(tc, keyfolder_of_many_keys_keeps_the_latest,
				    0, 2);
		tcase_add_test(
			tc,
			keyfolder_takes_nothing_through_a_link_and_waits_for_no_pipe);
		tcase_add_test(
			tc, keyfolder_is_replaced_as_often_as_it_is_given_away);
		tcase_add_test(tc, keyfolder_goes_on_where_it_was_killed);
		tcase_add_loop_test(
			tc, keyfolder_stays_where_others_could_replace_it_too,
			0, COUNT(above));
	}
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
