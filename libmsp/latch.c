/* SPDX-License-Identifier: MIT */
/*
 * In: the time, the host's answers, key files. Out: a state, the key to sign
 * with, the last good key status, the host's time (spec 5.5-5.9). Must never
 * sign with a key the host has replaced, never use one before the host
 * attested it or named it, and never stop because of a host that fails.
 */
#include <msp/latch.h>

#include <stdio.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/key_priv.h"
#include "libmsp/latch_priv.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"

#define POLL_MS	     15000
#define EAGER_MS     1000
#define EAGER_FOR_MS 300000
#define CLOCK_MS     (15 * 60 * 1000)
/* More than a slow answer is late, less than dates may be off. */
#define JUMP_MS 60000

static const char found_local[] =
	"Found key details from local and ready to use.";
static const char attested[] = "Successfully attest the key and ready to use.";
static const char not_enforced[] =
	"Customer has not enforce the secure channel state.";

/* ---- life -------------------------------------------------------------- */

int msp_latch_new(struct msp_latch **out, struct msp_channel *channel,
		  struct msp_keystore *store, const struct msp_latch_opts *opts)
{
	struct msp_latch *l;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!channel)
		return MSP_ERR_INVAL;
	if (opts &&
	    (!msp_opts_ok(opts, opts->size, sizeof(*opts)) || opts->reserved))
		return MSP_ERR_INVAL;

	l = msp_mem_zalloc(sizeof(*l));
	if (!l)
		return MSP_ERR_NOMEM;
	l->channel = channel;
	l->store = store;
	if (opts)
		l->opts = *opts;
	if (!l->opts.poll_ms)
		l->opts.poll_ms = POLL_MS;
	if (!l->opts.eager_ms)
		l->opts.eager_ms = EAGER_MS;
	if (!l->opts.eager_for_ms)
		l->opts.eager_for_ms = EAGER_FOR_MS;
	if (!l->opts.retry_ms)
		l->opts.retry_ms = l->opts.poll_ms;
	if (!l->opts.clock_ms)
		l->opts.clock_ms = CLOCK_MS;
	*out = l;
	return 0;
}

void msp_latch_free(struct msp_latch *latch)
{
	if (!latch)
		return;
	msp_key_free(latch->key);
	msp_key_free(latch->pending);
	msp_keystatus_free(latch->status);
	msp_mem_free(latch);
}

/* ---- what others see --------------------------------------------------- */

static void set_state(struct msp_latch *l, enum msp_latch_state state)
{
	if (l->state == state)
		return;
	l->state = state;
	l->changes |= MSP_LATCH_CHANGED_STATE;
}

static void set_message(struct msp_latch *l, const char *text)
{
	char message[MSP_LATCH_TEXT];

	msp_info_copy(message, sizeof(message), text, strlen(text));
	if (strcmp(message, l->message) == 0)
		return;
	memcpy(l->message, message, sizeof(message));
	l->changes |= MSP_LATCH_CHANGED_STATE;
}

/* takes over key, which may be NULL */
void msp_latch_set_key(struct msp_latch *l, struct msp_key *key)
{
	if (!l->key && !key)
		return;
	msp_key_free(l->key);
	l->key = key;
	l->changes |= MSP_LATCH_CHANGED_KEY;
}

void msp_latch_warn(struct msp_latch *l, const char *text)
{
	char warning[MSP_LATCH_TEXT];

	msp_info_copy(warning, sizeof(warning), text, strlen(text));
	if (strcmp(warning, l->warning) == 0)
		return; /* said before, at an earlier poll */
	memcpy(l->warning, warning, sizeof(warning));
	l->changes |= MSP_LATCH_CHANGED_WARNING;
}

static void all_is_well(struct msp_latch *l, const char *message)
{
	l->good = message;
	l->failed = 0;
	set_message(l, message);
}

/* ---- time (spec 5.9) --------------------------------------------------- */

static bool is_young(const struct msp_latch *l, struct msp_time now)
{
	return now.boot_ms >= l->synced_ms &&
	       now.boot_ms - l->synced_ms <= l->opts.clock_ms;
}

/* A host whose clock was set refuses the dates of the time before. */
static bool has_jumped(const struct msp_latch *l, struct msp_time now,
		       int64_t host)
{
	int64_t off = host * 1000 - (int64_t)now.boot_ms - l->offset_ms;

	return off > JUMP_MS || off < -JUMP_MS;
}

/* The boot clock goes on during suspend, so that the date does too (Q30). */
static void sync_clock(struct msp_latch *l, struct msp_time now)
{
	int64_t host;

	if (!msp_channel_host_time(l->channel, &host))
		return;
	if (l->synced && is_young(l, now) && !has_jumped(l, now, host))
		return;
	l->offset_ms = host * 1000 - (int64_t)now.boot_ms;
	l->synced_ms = now.boot_ms;
	l->synced = true;
}

void msp_latch_date(const struct msp_latch *latch, struct msp_time now,
		    char out[MSP_DATE_SIZE])
{
	int64_t seconds = now.wall_s;

	if (latch && latch->synced)
		seconds = ((int64_t)now.boot_ms + latch->offset_ms) / 1000;
	msp_date_format(out, seconds);
}

static uint64_t after(struct msp_time now, uint32_t ms)
{
	return now.boot_ms + ms; /* msp_latch_run() bounds boot_ms */
}

static bool is_eager(const struct msp_latch *l, struct msp_time now)
{
	return l->state == MSP_LATCH_UNKNOWN && now.boot_ms >= l->started_ms &&
	       now.boot_ms - l->started_ms < l->opts.eager_for_ms;
}

/* ---- end of an iteration ----------------------------------------------- */

static void wait_for_poll(struct msp_latch *l, struct msp_time now, bool failed)
{
	uint32_t ms = l->opts.poll_ms;

	if (failed && l->opts.retry_ms < ms)
		ms = l->opts.retry_ms;
	l->step = STEP_WAIT;
	l->next_ms = after(now, is_eager(l, now) ? l->opts.eager_ms : ms);
}

/* "line 3 column 17, /authorizationRules/imds" as far as it is known */
static void describe_place(char *out, size_t size,
			   const struct msp_error_info *info)
{
	out[0] = '\0';
	if (info->line && info->pointer[0])
		snprintf(out, size, "line %u column %u, %s", info->line,
			 info->column, info->pointer);
	else if (info->line)
		snprintf(out, size, "line %u column %u", info->line,
			 info->column);
	else
		snprintf(out, size, "%s", info->pointer);
}

/* The place comes last: the words before it are compared (spec 4.3, 5.10). */
static void set_failure(struct msp_latch *l, const char *what,
			const struct msp_error_info *info, int rc)
{
	char place[sizeof(info->pointer) + 48];
	char text[2 *
		  MSP_LATCH_TEXT]; /* cut by set_message(), at a character */

	describe_place(place, sizeof(place), info);
	snprintf(text, sizeof(text), "%s%s%s%s%s", what,
		 info->text[0] ? info->text : msp_error_text(rc),
		 place[0] ? " (" : "", place, place[0] ? ")" : "");
	set_message(l, text);
	l->failed = rc;
	l->changes |= MSP_LATCH_CHANGED_FAILURE;
	l->failure = *info;
	msp_info_copy(l->failure.text, sizeof(l->failure.text), l->message,
		      strlen(l->message));
}

static int poll_failed(struct msp_latch *l, struct msp_time now, int rc,
		       const struct msp_error_info *info)
{
	set_failure(l, "Failed to get key status - ", info, rc);
	wait_for_poll(l, now, true);
	return rc;
}

/* The next attempt starts over, with a new key (spec 5.6). What was latched
 * before stays so. */
static int latch_failed(struct msp_latch *l, struct msp_time now, int rc,
			const char *what, const struct msp_error_info *info)
{
	set_failure(l, what, info, rc);
	if (l->pending)
		msp_latch_drop_pending(l, rc, info);
	if (l->state == MSP_LATCH_ATTESTING)
		set_state(l, MSP_LATCH_ACQUIRING);
	l->step = STEP_WAIT;
	l->next_ms = after(now, l->opts.retry_ms);
	return rc;
}

static void latched(struct msp_latch *l, struct msp_time now,
		    const char *message)
{
	/* the host has one key, so that it has not taken the other */
	msp_latch_remove_unsure(l);
	set_state(l, MSP_LATCH_LATCHED);
	all_is_well(l, message);
	wait_for_poll(l, now, false);
}

/* ---- getting a key (spec 5.6) ------------------------------------------ */

static int attest(struct msp_latch *l, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char date[MSP_DATE_SIZE];
	int rc;

	if (l->state == MSP_LATCH_ACQUIRING)
		set_state(l, MSP_LATCH_ATTESTING);
	msp_latch_date(l, now, date);
	rc = msp_channel_attest(l->channel, now, date, l->pending, &info);
	if (rc < 0)
		return latch_failed(l, now, rc,
				    "Failed to attest the key: ", &info);
	l->step = STEP_ATTEST;
	return 0;
}

/* One that was sent before: it is not forgotten because it cannot be now. */
static int attest_again(struct msp_latch *l, struct msp_time now)
{
	if (l->state != MSP_LATCH_LATCHED && l->state != MSP_LATCH_LOST)
		set_state(l, MSP_LATCH_ACQUIRING);
	l->step = STEP_ATTEST;
	return attest(l, now);
}

static int save_failed(struct msp_latch *l, struct msp_time now, int rc,
		       const struct msp_error_info *info)
{
	char what[96];

	if (rc != MSP_ERR_CRYPTO)
		return latch_failed(
			l, now, rc,
			"Failed to save key details to file: ", info);
	snprintf(what, sizeof(what),
		 "Failed to check the key '%s' details saved locally: ",
		 msp_key_guid(l->pending));
	return latch_failed(l, now, rc, what, info);
}

/* On disk first: once attested, the host takes no other key. */
static int store_and_attest(struct msp_latch *l, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = 0;

	msp_key_free(l->pending);
	l->pending = msp_channel_take_key(l->channel);
	if (!l->pending)
		return latch_failed(l, now, MSP_ERR_STATE,
				    "Failed to acquire key details: ", &info);
	rc = msp_latch_store(l, &info);
	if (rc < 0)
		return save_failed(l, now, rc, &info);
	return attest(l, now);
}

static int acquire(struct msp_latch *l, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char date[MSP_DATE_SIZE];
	int rc;

	if (l->state != MSP_LATCH_LATCHED && l->state != MSP_LATCH_LOST)
		set_state(l, MSP_LATCH_ACQUIRING);
	msp_latch_date(l, now, date);
	rc = msp_channel_acquire(l->channel, now, date, &info);
	if (rc < 0)
		return latch_failed(l, now, rc,
				    "Failed to acquire key details: ", &info);
	l->step = STEP_ACQUIRE;
	return 0;
}

/* Not a message: what follows, another key, will soon be one. */
static void warn_of_file(struct msp_latch *l, const char *guid,
			 const struct msp_error_info *info, int rc)
{
	char place[sizeof(info->pointer) + 48];
	char text[2 * MSP_LATCH_TEXT];

	describe_place(place, sizeof(place), info);
	snprintf(text, sizeof(text),
		 "Failed to fetch local key details with error: key file "
		 "'%s.key': %s%s%s. Will try acquire the key details from "
		 "Server.",
		 guid, place, place[0] ? ": " : "",
		 info->text[0] ? info->text : msp_error_text(rc));
	msp_latch_warn(l, text);
}

/* true: the key the host names was on disk, nothing is sent. */
static bool found_on_disk(struct msp_latch *l, struct msp_time now,
			  const char *guid)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = NULL;
	int rc;

	if (!l->store)
		return false;
	rc = msp_keystore_load(l->store, &key, guid, &info);
	if (rc == 0) {
		msp_latch_set_key(l, key);
		l->named = true;
		l->fresh = false;
		latched(l, now, found_local);
		return true;
	}
	if (rc != MSP_ERR_NOENT)
		warn_of_file(l, guid, &info, rc);
	return false;
}

/* The host names a key that is not ours. */
static int find_key(struct msp_latch *l, struct msp_time now, const char *guid)
{
	if (found_on_disk(l, now, guid))
		return 0;
	/* It no longer accepts ours: signing with it would only hide that,
	 * so there is none until another is attested (design D5: 503). */
	if (l->key) {
		msp_latch_set_key(l, NULL);
		set_state(l, MSP_LATCH_LOST);
	}
	return acquire(l, now);
}

/* ---- one poll (spec 5.5) ----------------------------------------------- */

static void disable(struct msp_latch *l, struct msp_time now)
{
	msp_latch_set_key(l, NULL);
	set_state(l, MSP_LATCH_DISABLED);
	all_is_well(l, not_enforced);
	wait_for_poll(l, now, false);
}

/* While the host names no key, a new one is acquired at every poll, as in the
 * reference; one that was attested is used until the next one is. */
static int use_status(struct msp_latch *l, struct msp_time now)
{
	const char *guid = msp_keystatus_guid(l->status);

	if (!msp_keystatus_enabled(l->status)) {
		disable(l, now);
		return 0;
	}
	if (!guid)
		return acquire(l, now);
	if (msp_latch_in_doubt(l, guid))
		return attest_again(l, now);
	if (!l->key || !msp_guid_equal(guid, msp_key_guid(l->key)))
		return find_key(l, now, guid);
	msp_latch_settle(l);
	set_state(l, MSP_LATCH_LATCHED); /* it may have been reset */
	if (l->good)
		all_is_well(l, l->good); /* it may have told of a failure */
	wait_for_poll(l, now, false);
	return 0;
}

static int status_arrived(struct msp_latch *l, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_keystatus *status = msp_channel_take_status(l->channel);

	if (!status)
		return poll_failed(l, now, MSP_ERR_STATE, &info);
	if (l->stale) {
		msp_keystatus_free(status);
		wait_for_poll(l, now, false);
		return 0;
	}
	msp_keystatus_free(l->status);
	l->status = status;
	l->changes |= MSP_LATCH_CHANGED_STATUS;
	sync_clock(l, now);
	return use_status(l, now);
}

static int poll_status(struct msp_latch *l, struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char date[MSP_DATE_SIZE];
	int rc;

	l->poll_soon = false;
	l->stale = false;
	/* two latches would take each other's key away */
	rc = l->store ? msp_keystore_lock(l->store, &info) : 0;
	if (rc < 0) {
		set_failure(l, "Failed to lock the key folder: ", &info, rc);
		wait_for_poll(l, now, true);
		return rc;
	}
	if (l->failed == MSP_ERR_BUSY)
		l->failed = 0; /* the other one has gone */
	msp_latch_date(l, now, date);
	rc = msp_channel_status(l->channel, now, date, &info);
	if (rc < 0)
		return poll_failed(l, now, rc, &info);
	l->step = STEP_STATUS;
	return 0;
}

/* A call has ended well (rc 0) or not. */
static int call_ended(struct msp_latch *l, struct msp_time now, int rc,
		      const struct msp_error_info *info)
{
	switch (l->step) {
	case STEP_STATUS:
		return rc < 0 ? poll_failed(l, now, rc, info)
			      : status_arrived(l, now);
	case STEP_ACQUIRE:
		if (rc < 0)
			return latch_failed(
				l, now, rc,
				"Failed to acquire key details: ", info);
		return store_and_attest(l, now);
	case STEP_ATTEST:
		if (rc < 0)
			return latch_failed(l, now, rc,
					    "Failed to attest the key: ", info);
		msp_latch_supersede(l);
		latched(l, now, attested);
		return 0;
	case STEP_WAIT:
		break;
	}
	return 0;
}

int msp_latch_run(struct msp_latch *latch, struct msp_time now)
{
	struct msp_latch *l = latch;
	int rc = 0;

	if (!l || now.boot_ms > INT64_MAX / 2)
		return MSP_ERR_INVAL;
	if (!l->started) {
		l->started = true;
		l->started_ms = now.boot_ms;
		l->poll_soon = true;
	}
	if (l->step == STEP_WAIT && (l->poll_soon || now.boot_ms >= l->next_ms))
		rc = poll_status(l, now);
	while (l->step != STEP_WAIT) {
		struct msp_error_info info = MSP_ERROR_INFO_INIT;

		rc = msp_channel_run(l->channel, now, &info);
		if (rc == MSP_ERR_AGAIN)
			return 0;
		rc = call_ended(l, now, rc, &info);
	}
	return rc == MSP_ERR_NOMEM ? rc : 0;
}

/* ---- getters ----------------------------------------------------------- */

int msp_latch_fd(const struct msp_latch *latch)
{
	return latch ? msp_channel_fd(latch->channel) : -1;
}

short msp_latch_events(const struct msp_latch *latch)
{
	return latch ? msp_channel_events(latch->channel) : 0;
}

uint64_t msp_latch_deadline(const struct msp_latch *latch)
{
	if (!latch)
		return MSP_NEVER;
	if (latch->step != STEP_WAIT)
		return msp_channel_deadline(latch->channel);
	return latch->poll_soon || !latch->started ? 0 : latch->next_ms;
}

void msp_latch_poll_now(struct msp_latch *latch)
{
	if (latch)
		latch->poll_soon = true;
}

void msp_latch_reset(struct msp_latch *latch)
{
	if (!latch)
		return;
	set_state(latch, MSP_LATCH_UNKNOWN);
	latch->started = false;
	latch->poll_soon = true;
	latch->stale = latch->step == STEP_STATUS;
}

unsigned int msp_latch_changes(struct msp_latch *latch)
{
	unsigned int changes;

	if (!latch)
		return 0;
	changes = latch->changes;
	latch->changes = 0;
	return changes;
}

enum msp_latch_state msp_latch_state(const struct msp_latch *latch)
{
	return latch ? latch->state : MSP_LATCH_UNKNOWN;
}

const char *msp_latch_state_name(enum msp_latch_state state)
{
	switch (state) {
	case MSP_LATCH_UNKNOWN:
		return "unknown";
	case MSP_LATCH_DISABLED:
		return "disabled";
	case MSP_LATCH_ACQUIRING:
		return "acquiring";
	case MSP_LATCH_ATTESTING:
		return "attesting";
	case MSP_LATCH_LATCHED:
		return "latched";
	case MSP_LATCH_LOST:
		return "lost";
	}
	return "unknown";
}

const char *msp_latch_message(const struct msp_latch *latch)
{
	return latch ? latch->message : "";
}

int msp_latch_failure(const struct msp_latch *latch,
		      struct msp_error_info *info)
{
	if (!latch || !latch->failed)
		return 0;
	msp_info_take(info, &latch->failure);
	return latch->failed;
}

const char *msp_latch_warning(const struct msp_latch *latch)
{
	return latch ? latch->warning : "";
}

struct msp_key *msp_latch_key(const struct msp_latch *latch)
{
	return latch ? latch->key : NULL;
}

const struct msp_keystatus *msp_latch_status(const struct msp_latch *latch)
{
	return latch ? latch->status : NULL;
}

bool msp_latch_clock(const struct msp_latch *latch, int64_t *out)
{
	if (!latch || !out || !latch->synced)
		return false;
	*out = latch->offset_ms;
	return true;
}
