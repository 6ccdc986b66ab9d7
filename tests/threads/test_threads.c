/* SPDX-License-Identifier: MIT */
/*
 * In: many threads that use the library as its THREADS sections say. Out:
 * whether each gets what it would get alone. Must never lock what a caller
 * need not lock: it is ThreadSanitizer that looks at this.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/msp.h>

#include "tests/lib/fakehost.h"
#include "tests/lib/message.h"
#include "tests/lib/scratch.h"

#define THREADS 6
#define ROUNDS	60
#define TARGET	"/metadata/instance"

#define ITEM(access)                                                           \
	"{\"defaultAccess\": \"deny\", \"mode\": \"enforce\", \"id\": \"i\", " \
	"\"rules\": {\"privileges\": [{\"name\": \"p\", \"path\": "            \
	"\"/metadata\"}], \"roles\": [{\"name\": \"r\", \"privileges\": "      \
	"[\"p\"]}], \"identities\": [{\"name\": \"n\", \"userName\": "         \
	"\"" access "\"}], \"roleAssignments\": [{\"role\": \"r\", "           \
	"\"identities\": [\"n\"]}]}}"
#define STATUS                                                                 \
	"{\"authorizationScheme\": \"Azure-HMAC-SHA256\", "                    \
	"\"keyDeliveryMethod\": \"http\", \"keyGuid\": \"" GUID "\", "         \
	"\"secureChannelState\": \"WireserverandImds\", \"version\": \"1.0\"}"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: "

struct job {
	/* false: something is not what it must be */
	bool (*work)(unsigned int number, void *shared);
	void *shared;
	unsigned int number;
	bool good;
	pthread_t thread;
};

static void *start(void *arg)
{
	struct job *job = arg;

	job->good = job->work(job->number, job->shared);
	return NULL;
}

/* All of them at once, each with its number. */
static void run(bool (*work)(unsigned int number, void *shared), void *shared)
{
	struct job jobs[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ work, shared, i, false, 0 };
		ck_assert_int_eq(
			pthread_create(&jobs[i].thread, NULL, start, &jobs[i]),
			0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(jobs[i].thread, NULL);
	for (i = 0; i < THREADS; i++)
		ck_assert_msg(jobs[i].good, "thread %u", i);
}

/* ---- one key, many signers --------------------------------------------- */

static bool sign_with_ours(unsigned int number, void *shared)
{
	char value[MSP_AUTHORIZATION_LEN + 1];
	struct msp_message m = example();
	struct msp_signer *mine;
	bool good = true, valid;
	unsigned int i;

	for (i = 0; i < ROUNDS && good; i++) {
		struct msp_key *key = msp_key_ref(shared);

		if (msp_signer_new(&mine, key) < 0)
			return false;
		msp_key_free(key);
		good = msp_signer_sign(mine, value, sizeof(value), &m) == 0 &&
		       strcmp(value, EXAMPLE_VALUE) == 0 &&
		       msp_signer_verify(mine, &valid, &m, value,
					 strlen(value)) == 0 &&
		       valid && msp_key_equal(msp_signer_key(mine), shared);
		msp_signer_free(mine);
	}
	if (number)
		msp_key_free(shared); /* one owner for each thread */
	return good;
}

START_TEST(one_key_is_signed_with_and_dropped_by_all)
{
	struct msp_key *key = new_key(GUID, HEX);
	unsigned int i;

	for (i = 1; i < THREADS; i++)
		ck_assert_ptr_eq(msp_key_ref(key), key);
	run(sign_with_ours, key);
	msp_key_free(key);
}
END_TEST

/* ---- what is decided ---------------------------------------------------- */

static struct msp_rules *compile(const char *text, uint64_t epoch)
{
	struct msp_profile *profile;
	struct msp_rules *rules;

	if (msp_profile_parse(&profile, text, strlen(text), NULL) < 0)
		return NULL;
	if (msp_rules_compile(&rules, profile, epoch) < 0)
		rules = NULL;
	msp_profile_free(profile);
	return rules;
}

static bool decide(const struct msp_rules *rules, struct msp_request *request,
		   const char *user, enum msp_verdict *out)
{
	struct msp_caller caller = { .size = sizeof(caller) };
	struct msp_decision d = { .size = sizeof(d) };
	struct msp_explanation *why;
	bool same;

	caller.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES;
	caller.uid = caller.euid = 1000;
	caller.user_name = user;
	if (msp_request_set(request, "GET", 3, TARGET, strlen(TARGET)) < 0 ||
	    msp_decision_make(&d, rules, MSP_ENDPOINT_IMDS, request, &caller) <
		    0 ||
	    msp_decision_explain(&why, rules, MSP_ENDPOINT_IMDS, request,
				 &caller) < 0)
		return false;
	same = msp_explanation_decision(why)->verdict == d.verdict;
	msp_explanation_free(why);
	*out = d.verdict;
	return same;
}

struct published {
	pthread_mutex_t lock; /* of the pointer only */
	struct msp_rules *rules;
};

static struct msp_rules *borrow(struct published *p)
{
	struct msp_rules *rules;

	pthread_mutex_lock(&p->lock);
	rules = msp_rules_ref(p->rules);
	pthread_mutex_unlock(&p->lock);
	return rules;
}

/* Rules are swapped, never edited: odd epochs grant alice, even ones bob. */
static bool swap(struct published *p, uint64_t epoch)
{
	struct msp_rules *old;
	struct msp_rules *rules =
		compile(epoch % 2 ? ITEM("alice") : ITEM("bob"), epoch);

	if (!rules)
		return false;
	pthread_mutex_lock(&p->lock);
	old = p->rules;
	p->rules = rules;
	pthread_mutex_unlock(&p->lock);
	msp_rules_free(old);
	return true;
}

static bool decide_or_swap(unsigned int number, void *shared)
{
	struct msp_request *request;
	bool good = true;
	uint64_t i;

	if (msp_request_new(&request) < 0)
		return false;
	for (i = 2; i < ROUNDS && good; i++) {
		enum msp_verdict alice, bob;
		struct msp_rules *rules;

		if (number == 0) {
			good = swap(shared, i);
			continue;
		}
		rules = borrow(shared);
		good = decide(rules, request, "alice", &alice) &&
		       decide(rules, request, "bob", &bob) &&
		       (alice == MSP_ALLOW) == msp_rules_epoch(rules) % 2 &&
		       (bob == MSP_ALLOW) != (alice == MSP_ALLOW);
		msp_rules_free(rules);
	}
	msp_request_free(request);
	return good;
}

START_TEST(rules_are_swapped_while_all_decide)
{
	struct published p = { PTHREAD_MUTEX_INITIALIZER,
			       compile(ITEM("alice"), 1) };

	ck_assert_ptr_nonnull(p.rules);
	run(decide_or_swap, &p);
	msp_rules_free(p.rules);
}
END_TEST

/* ---- what is read ------------------------------------------------------ */

struct documents {
	struct msp_profile *profile;
	struct msp_keystatus *status;
};

static bool read_documents(unsigned int number, void *shared)
{
	struct documents *d = shared;
	bool good = true;
	unsigned int i;

	for (i = 0; i < ROUNDS && good; i++) {
		struct msp_profile *p = msp_profile_ref(d->profile);
		struct msp_findings *list = NULL;
		struct msp_rules *rules = NULL;
		char *text = NULL;
		size_t len;

		good = msp_profile_write(&text, &len, p, NULL, NULL) == 0 &&
		       strlen(text) == len &&
		       msp_profile_lint(&list, p, NULL) == 0 &&
		       msp_rules_compile(&rules, p, number) == 0 &&
		       msp_rules_epoch(rules) == number &&
		       strcmp(msp_keystatus_guid(d->status), GUID) == 0 &&
		       msp_keystatus_mode(d->status, MSP_ENDPOINT_IMDS) ==
			       MSP_MODE_ENFORCE;
		msp_text_free(text);
		msp_findings_free(list);
		msp_rules_free(rules);
		msp_profile_free(p);
	}
	return good;
}

START_TEST(profiles_and_key_statuses_are_read_by_all)
{
	struct documents d;

	ck_assert_int_eq(
		msp_profile_parse(&d.profile, TEXT(ITEM("alice")), NULL), 0);
	ck_assert_int_eq(msp_keystatus_parse(&d.status, TEXT(STATUS), NULL), 0);
	run(read_documents, &d);
	msp_keystatus_free(d.status);
	msp_profile_free(d.profile);
}
END_TEST

/* ---- objects of one's own ---------------------------------------------- */

/* Asks the host of this thread, and answers for it. */
static bool poll_status(struct msp_channel *channel, struct fakehost *host,
			const char *answer)
{
	struct msp_time now = { 0, 1000000000 };
	struct msp_keystatus *status;
	char date[MSP_DATE_SIZE];
	bool good;
	int rc;

	msp_date_format(date, now.wall_s);
	rc = msp_channel_status(channel, now, date, NULL);
	while (rc == 0 || rc == MSP_ERR_AGAIN) {
		rc = msp_channel_run(channel, now, NULL);
		if (rc == 0)
			break;
		fakehost_accept(host);
		fakehost_hear(host);
		if (!fakehost_has_request(host))
			continue;
		fakehost_forget(host);
		fakehost_say(host, answer, strlen(answer));
	}
	status = msp_channel_take_status(channel);
	good = rc == 0 && status &&
	       strcmp(msp_keystatus_guid(status), GUID) == 0;
	msp_keystatus_free(status);
	return good;
}

static bool use_channel(unsigned int number, void *shared)
{
	struct msp_channel_opts o = { .size = sizeof(o) };
	struct msp_channel *channel;
	struct fakehost *host = calloc(1, sizeof(*host));
	char answer[1024];
	bool good = true;
	unsigned int i;

	(void)number;
	(void)shared;
	if (!host)
		return false;
	fakehost_open(host);
	o.client.size = sizeof(o.client);
	o.client.address = host->address;
	snprintf(answer, sizeof(answer), ANSWER "%zu\r\n\r\n" STATUS,
		 strlen(STATUS));
	if (msp_channel_new(&channel, &o) < 0)
		good = false;
	for (i = 0; i < ROUNDS / 6 && good; i++)
		good = poll_status(channel, host, answer);
	msp_channel_free(channel);
	fakehost_close(host);
	free(host);
	return good;
}

START_TEST(channels_of_several_threads_do_not_meet)
{
	run(use_channel, NULL);
}
END_TEST

/* One directory, and a store for each: one of them at a time is its writer. */
static bool use_store(unsigned int number, void *shared)
{
	static atomic_uint writers;
	struct msp_keystore *store;
	bool good = true;
	unsigned int i;

	(void)number;
	for (i = 0; i < ROUNDS && good; i++) {
		struct msp_key *key;
		int rc;

		if (msp_keystore_open(&store, shared, strlen(shared), NULL) < 0)
			return false;
		rc = msp_keystore_lock(store, NULL);
		if (rc == 0) {
			good = atomic_fetch_add(&writers, 1) == 0;
			atomic_fetch_sub(&writers, 1);
		} else {
			good = rc == MSP_ERR_BUSY;
		}
		if (msp_keystore_load(store, &key, GUID, NULL) < 0)
			good = false;
		else
			msp_key_free(key);
		msp_keystore_free(store);
	}
	return good;
}

START_TEST(stores_of_one_directory_have_one_writer)
{
	char path[256];
	struct msp_keystore *store;
	struct msp_key *key = new_key(GUID, HEX);

	scratch_make();
	snprintf(path, sizeof(path), "%s", scratch_path("keys"));
	ck_assert_int_eq(msp_keystore_open(&store, path, strlen(path), NULL),
			 0);
	ck_assert_int_eq(msp_keystore_save(store, key, NULL), 0);
	msp_keystore_free(store);
	msp_key_free(key);
	run(use_store, path);
	scratch_remove();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("threads");
	TCase *t = tcase_create("threads");
	SRunner *sr;
	int failed;

	tcase_add_test(t, one_key_is_signed_with_and_dropped_by_all);
	tcase_add_test(t, rules_are_swapped_while_all_decide);
	tcase_add_test(t, profiles_and_key_statuses_are_read_by_all);
	tcase_add_test(t, channels_of_several_threads_do_not_meet);
	tcase_add_test(t, stores_of_one_directory_have_one_writer);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}
