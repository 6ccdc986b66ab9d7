/* SPDX-License-Identifier: MIT */
/*
 * In: a process with all that the library gives, and its child. Out: whether
 * the child can use and free what libmsp(3) says, and whether the parent
 * notices. Must never leave a child behind.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msp/rules.h>

#include "libmsp/key_priv.h"
#include "tests/lib/failalloc.h"
#include "tests/lib/keyhost.h"
#include "tests/lib/message.h"

#define PROFILE                                                                \
	"{\"defaultAccess\": \"deny\", \"mode\": \"enforce\", \"id\": \"i\", " \
	"\"rules\": {\"privileges\": [{\"name\": \"p\", \"path\": \"/a\"}]}}"

static struct msp_profile *profile;
static struct msp_rules *rules;
static struct msp_signer *signer;

static void make_all(void)
{
	memset(&mind, 0, sizeof(mind));
	latch_a();
	ck_assert_int_eq(msp_profile_parse(&profile, TEXT(PROFILE), NULL), 0);
	ck_assert_int_eq(msp_rules_compile(&rules, profile, 1), 0);
	ck_assert_int_eq(msp_signer_new(&signer, msp_latch_key(latch)), 0);
}

static void free_mine(void)
{
	msp_signer_free(signer);
	msp_rules_free(rules);
	msp_profile_free(profile);
}

static struct msp_keystore *open_again(void)
{
	struct msp_keystore *s;

	ck_assert_int_eq(msp_keystore_open(&s, dir, strlen(dir), NULL), 0);
	return s;
}

/* Is it true, as a child sees it? A failed assertion would be its parent's. */
static bool holds_in_a_child(bool (*claim)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(claim() ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static bool signs(struct msp_signer *s)
{
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message m = get("/");
	bool valid;

	return msp_signer_sign(s, value, sizeof(value), &m) == 0 &&
	       msp_signer_verify(s, &valid, &m, value, strlen(value)) == 0 &&
	       valid;
}

/* ---- what never changes ------------------------------------------------ */

static bool reads_and_frees(void)
{
	struct msp_signer *mine = NULL;
	struct msp_rules *again = NULL;
	struct msp_key *key = msp_key_ref(msp_latch_key(latch));
	bool good;

	good = signs(signer) && msp_signer_new(&mine, key) == 0 &&
	       signs(mine) && msp_rules_compile(&again, profile, 2) == 0 &&
	       msp_profile_mode(profile) == MSP_MODE_ENFORCE &&
	       msp_keystatus_enabled(msp_latch_status(latch));
	msp_key_free(key);
	msp_signer_free(mine);
	msp_rules_free(again);
	free_mine();
	msp_latch_free(latch);
	msp_channel_free(channel);
	msp_keystore_free(store);
	return good && failalloc_live() == 0;
}

START_TEST(child_uses_and_frees_and_the_parent_goes_on)
{
	struct msp_keystore *other;

	make_all();
	ck_assert(holds_in_a_child(reads_and_frees));
	ck_assert(signs(signer));
	ck_assert_int_eq(drive(15000), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	ck_assert_uint_eq(mind.n_status, 2);
	other = open_again();
	ck_assert_int_eq(msp_keystore_lock(other, NULL), MSP_ERR_BUSY);
	msp_keystore_free(other);
	free_mine();
}
END_TEST

/* ---- connections ------------------------------------------------------- */

static bool frees_the_channel(void)
{
	msp_latch_free(latch);
	msp_channel_free(channel);
	return true;
}

START_TEST(child_frees_a_call_under_way_and_the_parent_ends_it)
{
	mind.status = HANGS;
	ck_assert_int_eq(drive(0), 0);
	ck_assert_uint_eq(mind.n_status, 1);
	ck_assert(holds_in_a_child(frees_the_channel));
	fakehost_say(&host, TEXT(ENABLED(GUID_A)));
	fakehost_hang_up(&host);
	mind.status = ENABLED_NO_KEY;
	mind.key = KEY(GUID_B);
	mind.attest = HEAD;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_B, ATTESTED);
	/* not asked a second time */
	ck_assert_uint_eq(mind.n_status, 1);
}
END_TEST

/* ---- the lock ---------------------------------------------------------- */

static bool finds_it_busy(void)
{
	bool busy = msp_keystore_lock(store, NULL) == MSP_ERR_BUSY &&
		    msp_keystore_remove(store, GUID_A, NULL) == MSP_ERR_BUSY;

	msp_keystore_free(store);
	return busy;
}

START_TEST(lock_is_not_the_childs_nor_taken_by_its_free)
{
	struct msp_keystore *other = open_again();

	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert(holds_in_a_child(finds_it_busy));
	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	ck_assert_int_eq(msp_keystore_lock(other, NULL), MSP_ERR_BUSY);
	msp_keystore_free(other);
}
END_TEST

/* Waits until the other end is closed, then locks what it inherited. */
static pid_t start_heir(int *parent_is_through)
{
	int gate[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(gate), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 &&
				      msp_keystore_lock(store, NULL) == 0
			      ? 0
			      : 1);
	}
	close(gate[0]);
	*parent_is_through = gate[1];
	return pid;
}

START_TEST(lock_goes_with_its_owner_while_a_child_lives)
{
	static struct msp_keystore *other; /* the child has it, too */
	int gate, status;
	pid_t heir;

	other = open_again();
	ck_assert_int_eq(msp_keystore_lock(store, NULL), 0);
	heir = start_heir(&gate);
	msp_latch_free(latch);
	latch = NULL;
	msp_keystore_free(store);
	store = NULL;
	ck_assert_int_eq(msp_keystore_lock(other, NULL), 0);
	msp_keystore_free(other);
	close(gate);
	ck_assert_int_eq(waitpid(heir, &status, 0), heir);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fork");
	TCase *t = tcase_create("fork");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, child_uses_and_frees_and_the_parent_goes_on);
	tcase_add_test(t, child_frees_a_call_under_way_and_the_parent_ends_it);
	tcase_add_test(t, lock_is_not_the_childs_nor_taken_by_its_free);
	tcase_add_test(t, lock_goes_with_its_owner_while_a_child_lives);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
