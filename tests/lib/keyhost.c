/* SPDX-License-Identifier: MIT */
/*
 * In: what the test has on its mind. Out: that, as answers to a real latch
 * over a real connection. Must never answer what was not asked.
 */
#include "tests/lib/keyhost.h"

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/failalloc.h"

struct fakehost host;
struct msp_channel *channel;
struct msp_keystore *store;
struct msp_latch *latch;
static char base[] = "/tmp/msp-latch-XXXXXX";
char dir[64]; /* base/keys */

struct mind mind;

struct msp_time at(uint64_t boot_ms)
{
	struct msp_time t = { .boot_ms = boot_ms, .wall_s = WALL };

	return t;
}

static int make_channel(void)
{
	struct msp_channel_opts o = { .size = sizeof(o) };

	o.client.size = sizeof(o.client);
	o.client.address = host.address;
	return msp_channel_new(&channel, &o);
}

void restart(bool with_store)
{
	msp_latch_free(latch);
	msp_channel_free(channel);
	ck_assert_int_eq(make_channel(), 0);
	ck_assert_int_eq(
		msp_latch_new(&latch, channel, with_store ? store : NULL, NULL),
		0);
}

void setup(void)
{
	fakehost_open(&host);
	memset(&mind, 0, sizeof(mind));
	strcpy(base + sizeof(base) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(dir, sizeof(dir), "%s/keys", base);
	ck_assert_int_eq(msp_keystore_open(&store, dir, strlen(dir), NULL), 0);
	restart(true);
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void teardown(void)
{
	msp_latch_free(latch);
	latch = NULL;
	msp_channel_free(channel);
	channel = NULL;
	msp_keystore_free(store);
	store = NULL;
	fakehost_close(&host);
	ck_assert_int_eq(nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(failalloc_live(), 0);
}

static void note_date(void)
{
	const char *date = strstr(host.in, "x-ms-azure-host-date: ");

	ck_assert_ptr_nonnull(date);
	snprintf(mind.date, sizeof(mind.date), "%.29s", date + 22);
}

static const char *think(void)
{
	if (strncmp(host.in, "GET /secure-channel/status ", 27) == 0) {
		mind.n_status++;
		return mind.status;
	}
	if (strncmp(host.in, "POST /secure-channel/key ", 25) == 0) {
		mind.n_key++;
		return mind.key;
	}
	ck_assert_ptr_nonnull(strstr(host.in, "/key-attestation HTTP/1.1"));
	ck_assert_ptr_nonnull(strstr(host.in, "Azure-HMAC-SHA256 "));
	mind.n_attest++;
	return mind.attest;
}

int drive(uint64_t now)
{
	int rc = msp_latch_run(latch, at(now));

	while (rc == 0 && msp_latch_fd(latch) >= 0) {
		const char *answer;

		rc = msp_latch_run(latch, at(now));
		fakehost_accept(&host);
		fakehost_hear(&host);
		if (!fakehost_has_request(&host))
			continue;
		note_date();
		answer = think();
		fakehost_forget(&host);
		if (!answer)
			return rc;
		fakehost_say(&host, answer, strlen(answer));
		fakehost_hang_up(&host);
	}
	return rc;
}

void check_asked(unsigned int n_status, unsigned int n_key,
		 unsigned int n_attest)
{
	ck_assert_uint_eq(mind.n_status, n_status);
	ck_assert_uint_eq(mind.n_key, n_key);
	ck_assert_uint_eq(mind.n_attest, n_attest);
}

void check_latch(enum msp_latch_state state, const char *guid,
		 const char *message)
{
	ck_assert_str_eq(msp_latch_state_name(msp_latch_state(latch)),
			 msp_latch_state_name(state));
	if (!guid)
		ck_assert_ptr_null(msp_latch_key(latch));
	else
		ck_assert_str_eq(msp_key_guid(msp_latch_key(latch)), guid);
	ck_assert_msg(strncmp(msp_latch_message(latch), message,
			      strlen(message)) == 0,
		      "%s", msp_latch_message(latch));
}

bool on_disk(const char *guid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.key", dir, guid);
	return access(path, F_OK) == 0;
}

void latch_acquired_a(void)
{
	mind.status = ENABLED_NO_KEY;
	mind.attest = HEAD;
	ck_assert_int_eq(drive(0), 0);
	check_latch(MSP_LATCH_LATCHED, GUID_A, ATTESTED);
	check_asked(1, 1, 1);
	mind.status = ENABLED(GUID_A);
}

void latch_a(void)
{
	mind.key = KEY(GUID_A);
	latch_acquired_a();
}

unsigned int count_files(void)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *d = opendir(dir);

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}
