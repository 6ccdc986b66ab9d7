/* SPDX-License-Identifier: MIT */
/*
 * In: hosts that give keys, take them, refuse them or never answer, and other
 * agents. Out: whether only keys that may be named again are left on the disk,
 * and whether two latches ever go after one key.
 */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/keyhost.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define ROUNDS	 40
#define STEP_MS	 15000
#define LATER	 "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
#define TOO_MANY "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"

static char offer[512];

/* A key of its own in each round. */
static const char *offer_key(unsigned int number, unsigned int incarnation)
{
	snprintf(offer, sizeof(offer),
		 HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "
		      "\"guid\": \"%08x-0316-4ad3-94a7-8ccbdee8ccbf\", "
		      "\"incarnationId\": %u, \"issued\": \"\", "
		      "\"key\": \"" KEY_HEX "\"}",
		 number, incarnation);
	return offer;
}

static void latch_a_of(const char *key)
{
	mind.key = key;
	latch_acquired_a();
	ck_assert_int_eq(drive(STEP_MS), 0); /* the host names it */
}

/* ---- superseded keys --------------------------------------------------- */

START_TEST(old_key_stays_until_the_host_names_the_new_one)
{
	latch_a_of(KEY_OF(GUID_A, "1"));
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "2");
	mind.attest = HANGS;
	ck_assert_int_eq(drive(30000), 0);
	ck_assert(on_disk(GUID_A));
	ck_assert(on_disk(GUID_B));
	ck_assert_int_eq(msp_latch_run(latch, at(40000)), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, "Failed to attest the key: ");
	ck_assert(on_disk(GUID_A));

	mind.attest = HEAD;
	ck_assert_int_eq(drive(55000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	ck_assert(on_disk(GUID_A));
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive(70000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	ck_assert(!on_disk(GUID_A));
	ck_assert(on_disk(GUID_B));
	ck_assert_uint_eq(count_files(), 1);
	ck_assert_str_eq(msp_latch_warning(latch), "");
}
END_TEST

/* A host that is slow to say what it took: it names the first, when another is
 * attested already. */
START_TEST(key_that_was_attested_and_not_named_yet_stays)
{
	mind.key = KEY(GUID_A);
	latch_acquired_a();
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_B);
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive(45000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, FOUND);
	check_asked(4, 2, 2);
}
END_TEST

START_TEST(key_of_the_same_incarnation_is_another_machines)
{
	latch_a_of(KEY_OF(GUID_A, "2"));
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "2");
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive(45000), 0);
	/* the disk is put back */
	restart(true);
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(60000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
}
END_TEST

START_TEST(key_that_the_host_names_again_is_not_removed)
{
	latch_a_of(KEY_OF(GUID_A, "1"));
	restart(true);
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	ck_assert_int_eq(drive(45000), 0);
	ck_assert(on_disk(GUID_A));
}
END_TEST

START_TEST(key_that_cannot_be_removed_is_a_warning)
{
	char path[128];

	mind.key = KEY_OF(GUID_A, "1");
	latch_acquired_a();
	snprintf(path, sizeof(path), "%s/%s.key", dir, GUID_A);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	msp_latch_changes(latch);
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "1");
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive(45000), 0);
	ck_assert(msp_latch_changes(latch) & MSP_LATCH_CHANGED_WARNING);
	ck_assert_ptr_nonnull(strstr(msp_latch_warning(latch),
				     "of no use any more stays: cannot remove "
				     "'" GUID_A ".key'"));
}
END_TEST

/* ---- hosts that never latch -------------------------------------------- */

static const struct {
	const char *attest;
	unsigned int files; /* at most */
} never[] = {
	{ REFUSED, 0 }, { "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 0 },
	{ LATER, 1 },	{ TOO_MANY, 1 },
	{ "", 1 }, /* hangs up */
};

START_TEST(host_that_never_latches_does_not_fill_the_disk)
{
	unsigned int i;

	mind.status = ENABLED_NO_KEY;
	mind.attest = never[_i].attest;
	for (i = 0; i < ROUNDS; i++) {
		mind.key = offer_key(i, 1);
		ck_assert_int_eq(drive((uint64_t)i * STEP_MS), 0);
		check_latch(MSP_LATCH_ACQUIRING, NULL,
			    "Failed to attest the key: ");
		ck_assert_uint_eq(count_files(), never[_i].files);
	}
	check_asked(ROUNDS, ROUNDS, ROUNDS);
	mind.attest = HEAD;
	mind.key = KEY_OF(GUID_B, "1");
	ck_assert_int_eq(drive(ROUNDS * STEP_MS), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive((ROUNDS + 1) * STEP_MS), 0);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(host_that_takes_keys_and_names_none_does_not_fill_the_disk)
{
	unsigned int i;

	mind.status = ENABLED_NO_KEY;
	mind.attest = HEAD;
	for (i = 0; i < ROUNDS; i++) {
		mind.key = offer_key(i, 1);
		ck_assert_int_eq(drive((uint64_t)i * STEP_MS), 0);
		check_latch(MSP_LATCH_LATCHED,
			    msp_key_guid(msp_latch_key(latch)), ATTESTED);
		ck_assert_uint_le(count_files(), MSP_KEYSTORE_MAX);
		ck_assert(on_disk(msp_key_guid(msp_latch_key(latch))));
	}
	check_asked(ROUNDS, ROUNDS, ROUNDS);
	mind.key = KEY_OF(GUID_B, "1");
	ck_assert_int_eq(drive(ROUNDS * STEP_MS), 0);
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive((ROUNDS + 1) * STEP_MS), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	ck_assert_uint_le(count_files(), MSP_KEYSTORE_MAX);
}
END_TEST

START_TEST(agents_that_are_killed_in_time_do_not_fill_the_disk)
{
	unsigned int i;

	mind.status = ENABLED_NO_KEY;
	mind.attest = HANGS;
	for (i = 0; i < MSP_KEYSTORE_MAX + 5; i++) {
		mind.key = offer_key(i, 1);
		msp_latch_free(latch);
		latch = NULL;
		msp_keystore_free(store);
		ck_assert_int_eq(
			msp_keystore_open(&store, dir, strlen(dir), NULL), 0);
		restart(true);
		ck_assert_int_eq(drive((uint64_t)i * STEP_MS), 0);
	}
	ck_assert_uint_le(count_files(), MSP_KEYSTORE_MAX);
}
END_TEST

START_TEST(key_whose_attestation_was_not_answered_is_found)
{
	latch_a_of(KEY_OF(GUID_A, "1"));
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "2");
	mind.attest = "";
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, "Failed to attest the key: ");
	/* the host took it: only its answer was lost */
	mind.status = ENABLED(GUID_B);
	ck_assert_int_eq(drive(45000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, FOUND);
	ck_assert(on_disk(GUID_B));
	check_asked(4, 2, 2);
}
END_TEST

START_TEST(unanswered_key_goes_when_the_host_names_another)
{
	latch_a_of(KEY_OF(GUID_A, "1"));
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "2");
	mind.attest = "";
	ck_assert_int_eq(drive(30000), 0);
	ck_assert(on_disk(GUID_B));
	mind.key = KEY_OF(GUID_C, "2");
	mind.attest = HEAD;
	ck_assert_int_eq(drive(45000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_C, ATTESTED);
	mind.status = ENABLED(GUID_C);
	ck_assert_int_eq(drive(60000), 0);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

/* Hosts may offer the same key again, be it the one in use. */
START_TEST(key_in_use_is_not_removed_when_it_is_refused)
{
	latch_a_of(KEY_OF(GUID_A, "1"));
	mind.status = ENABLED_NO_KEY;
	mind.attest = REFUSED;
	ck_assert_int_eq(drive(30000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, "Failed to attest the key: ");
	ck_assert(on_disk(GUID_A));
	mind.attest = HEAD;
	ck_assert_int_eq(drive(45000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	ck_assert(on_disk(GUID_A));
}
END_TEST

START_TEST(key_the_host_names_is_not_removed_when_it_is_refused)
{
	mind.status = ENABLED(GUID_A);
	mind.key = KEY_OF(GUID_A, "1");
	mind.attest = REFUSED;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_ACQUIRING, NULL, "Failed to attest the key: ");
	ck_assert(on_disk(GUID_A));
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
}
END_TEST

/* ---- agents that end at any moment ------------------------------------- */

static void start_anew(void)
{
	msp_latch_free(latch);
	latch = NULL;
	msp_keystore_free(store);
	ck_assert_int_eq(msp_keystore_open(&store, dir, strlen(dir), NULL), 0);
	restart(true);
}

START_TEST(key_in_use_stays_however_many_are_left_over)
{
	char path[128];
	unsigned int i;

	latch_a_of(KEY_OF(GUID_A, "1"));
	for (i = 0; i < MSP_KEYSTORE_MAX + 5; i++) {
		const char *text = strchr(offer_key(i, 1), '{');
		FILE *f;

		snprintf(path, sizeof(path), "%s/%08x%s.key", dir, i,
			 &GUID_A[8]);
		f = fopen(path, "we");
		ck_assert_ptr_nonnull(f);
		fputs(text, f);
		fclose(f);
		ck_assert_int_eq(chmod(path, 0600), 0);
	}
	start_anew();
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_B, "1");
	mind.attest = REFUSED;
	ck_assert_int_eq(drive(STEP_MS), 0);
	ck_assert(on_disk(GUID_A));
	ck_assert_uint_le(count_files(), MSP_KEYSTORE_MAX);
}
END_TEST

#define OTHER_HEX                                                              \
	"0000000035266556A586E3272357538782F413F4428472B4B6250645367566B5"
#define OTHER_KEY                                                              \
	HEAD "{\"authorizationScheme\": \"Azure-HMAC-SHA256\", \"guid\": "     \
	     "\"" GUID_A "\", \"issued\": \"\", \"key\": \"" OTHER_HEX "\"}"

static void check_key(const char *text)
{
	struct msp_key *key;

	text = strchr(text, '{');
	ck_assert_int_eq(msp_key_parse(&key, text, strlen(text), NULL), 0);
	ck_assert(msp_key_equal(key, msp_latch_key(latch)));
	msp_key_free(key);
}

/* Another key under the guid of the one that is latched; we end while it is
 * offered. _i: the host has taken it, or not. */
START_TEST(two_keys_of_one_guid_are_kept_until_the_host_has_said)
{
	latch_a_of(KEY(GUID_A));
	mind.status = ENABLED_NO_KEY;
	mind.key = OTHER_KEY;
	mind.attest = HANGS;
	ck_assert_int_eq(drive(30000), 0);
	check_key(KEY(GUID_A));
	ck_assert_uint_eq(count_files(), 2);

	start_anew();
	mind.status = ENABLED(GUID_A);
	mind.attest = _i ? HEAD : REFUSED;
	ck_assert_int_eq(drive(0), 0);
	check_latch(_i ? MSP_LATCH_LATCHED : MSP_LATCH_ACQUIRING,
		    _i ? GUID_A : NULL, _i ? ATTESTED : "Failed to attest");
	ck_assert_int_eq(drive(STEP_MS), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, _i ? ATTESTED : FOUND);
	check_key(_i ? OTHER_KEY : KEY(GUID_A));
	ck_assert_uint_eq(count_files(), 1);
	check_asked(5, 2, 3);
	start_anew();
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	check_key(_i ? OTHER_KEY : KEY(GUID_A));
}
END_TEST

START_TEST(key_in_use_is_on_disk_when_another_of_its_guid_is_refused)
{
	latch_a_of(KEY(GUID_A));
	mind.status = ENABLED_NO_KEY;
	mind.key = OTHER_KEY;
	mind.attest = REFUSED;
	ck_assert_int_eq(drive(30000), 0);
	ck_assert_uint_eq(count_files(), 1);
	mind.status = ENABLED(GUID_A);
	start_anew();
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, FOUND);
	check_key(KEY(GUID_A));
}
END_TEST

START_TEST(answer_that_was_lost_is_asked_for_again)
{
	latch_a_of(KEY(GUID_A));
	mind.status = ENABLED_NO_KEY;
	mind.key = OTHER_KEY;
	mind.attest = "";
	ck_assert_int_eq(drive(30000), 0);
	check_key(KEY(GUID_A));
	mind.status = ENABLED(GUID_A);
	ck_assert_int_eq(drive(45000), 0);
	check_key(KEY(GUID_A));
	mind.attest = HEAD;
	ck_assert_int_eq(drive(60000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_key(OTHER_KEY);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

/* ---- a disk that cannot be read for a moment --------------------------- */

static bool unreadable;

/* As with a failing disk, or without a descriptor to spare. */
int fstat(int fd, struct stat *st)
{
	int (*real)(int, struct stat *);
	char link[64], name[256];
	ssize_t len;

	*(void **)&real = dlsym(RTLD_NEXT, "fstat");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = unreadable ? readlink(link, name, sizeof(name)) : -1;
	if (len < 4 || memcmp(name + len - 4, ".new", 4) != 0)
		return real(fd, st);
	errno = EIO;
	return -1;
}

/* The host took it, and the answer was lost. */
START_TEST(key_in_doubt_that_cannot_be_read_at_once_stays)
{
	latch_a_of(KEY(GUID_A));
	mind.status = ENABLED_NO_KEY;
	mind.key = OTHER_KEY;
	mind.attest = "";
	ck_assert_int_eq(drive(30000), 0);
	start_anew();
	mind.status = ENABLED(GUID_A);
	mind.attest = HEAD;
	unreadable = true;
	ck_assert_int_eq(drive(0), 0);
	unreadable = false;
	ck_assert_int_eq(drive(STEP_MS), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_key(OTHER_KEY);
}
END_TEST

/* ---- a disk that gives back something else ----------------------------- */

static bool spoil;

/* As a failing disk would: what is there is not what was written. */
int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int (*real)(int, const char *, int, const char *);
	int fd, rc;

	*(void **)&real = dlsym(RTLD_NEXT, "renameat");
	rc = real(from_dir, from, to_dir, to);
	if (rc < 0 || !spoil)
		return rc;
	fd = openat(to_dir, to, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	return 0;
}

START_TEST(key_that_cannot_be_read_back_is_not_attested)
{
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_A, "1");
	mind.attest = HEAD;
	spoil = true;
	ck_assert_int_eq(drive(0), 0);
	spoil = false;
	check_latch(MSP_LATCH_ACQUIRING, NULL,
		    "Failed to check the key '" GUID_A
		    "' details saved locally: Key error: Failed to check "
		    "local key with error: ");
	check_asked(1, 1, 0);
	ck_assert_uint_eq(count_files(), 0);
	ck_assert_int_eq(drive(STEP_MS), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
}
END_TEST

/* ---- another agent ----------------------------------------------------- */

START_TEST(second_latch_asks_the_host_for_nothing)
{
	struct msp_keystore *other;
	uint64_t now;

	ck_assert_int_eq(msp_keystore_open(&other, dir, strlen(dir), NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(other, NULL), 0);
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY_OF(GUID_A, "1");
	mind.attest = HEAD;
	for (now = 0; now < 5000; now += 1000) {
		ck_assert_int_eq(drive(now), 0);
		check_latch(MSP_LATCH_UNKNOWN, NULL,
			    "Failed to lock the key folder: '/tmp/msp-latch-");
		ck_assert_ptr_nonnull(strstr(msp_latch_message(latch),
					     "is in use by another agent, "
					     "process "));
		ck_assert_uint_eq(msp_latch_deadline(latch), now + 1000);
	}
	ck_assert_uint_ne(msp_latch_changes(latch) & MSP_LATCH_CHANGED_STATE,
			  0);
	check_asked(0, 0, 0);

	msp_keystore_free(other);
	ck_assert_int_eq(drive(now), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_asked(1, 1, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("latch_files");
	TCase *tc = tcase_create("files");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, old_key_stays_until_the_host_names_the_new_one);
	tcase_add_test(tc, key_of_the_same_incarnation_is_another_machines);
	tcase_add_test(tc, key_that_the_host_names_again_is_not_removed);
	tcase_add_test(tc, key_that_cannot_be_removed_is_a_warning);
	tcase_add_loop_test(tc, host_that_never_latches_does_not_fill_the_disk,
			    0, COUNT(never));
	tcase_add_test(
		tc, host_that_takes_keys_and_names_none_does_not_fill_the_disk);
	tcase_add_test(tc, agents_that_are_killed_in_time_do_not_fill_the_disk);
	tcase_add_test(tc, key_whose_attestation_was_not_answered_is_found);
	tcase_add_test(tc, unanswered_key_goes_when_the_host_names_another);
	tcase_add_test(tc, key_in_use_is_not_removed_when_it_is_refused);
	tcase_add_test(tc,
		       key_the_host_names_is_not_removed_when_it_is_refused);
	tcase_add_test(tc, key_that_was_attested_and_not_named_yet_stays);
	tcase_add_test(tc, key_in_use_stays_however_many_are_left_over);
	tcase_add_loop_test(
		tc, two_keys_of_one_guid_are_kept_until_the_host_has_said, 0,
		2);
	tcase_add_test(
		tc, key_in_use_is_on_disk_when_another_of_its_guid_is_refused);
	tcase_add_test(tc, answer_that_was_lost_is_asked_for_again);
	tcase_add_test(tc, key_in_doubt_that_cannot_be_read_at_once_stays);
	tcase_add_test(tc, key_that_cannot_be_read_back_is_not_attested);
	tcase_add_test(tc, second_latch_asks_the_host_for_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
