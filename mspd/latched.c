/* SPDX-License-Identifier: MIT */
/*
 * In: states of the latch, notifications. Out: whether provisioning counts the
 * key as ready. Must never count a key that is not there, nor let a user who
 * is not root have anything done but one more poll (Q35).
 */
#include "mspd/latched.h"

#include <stdio.h>
#include <string.h>

#include "mspd/log.h"
#include "mspd/status.h"

static bool is_ready(enum msp_latch_state state)
{
	return state == MSP_LATCH_LATCHED || state == MSP_LATCH_DISABLED;
}

static const char *mode_word(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_DISABLED:
		break;
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_ENFORCE:
		return "enforce";
	}
	return "disabled";
}

void mspd_latched_answer(struct mspd_latched *latched)
{
	const struct msp_keystatus *s = msp_latch_status(latched->latch);
	char text[sizeof(latched->said)];
	const char *guid;

	if (!s)
		return;
	guid = msp_keystatus_guid(s);
	/* any other scheme would have been refused; the version is the host's
	 * own text, of any length */
	snprintf(text, sizeof(text),
		 "authorizationScheme: Azure-HMAC-SHA256, keyDeliveryMethod: "
		 "%s, keyGuid: %s, secureChannelState: %s, version: %.16s, "
		 "WireServerMode: %s, IMDSMode: %s",
		 msp_keystatus_delivery(s), guid ? guid : "None",
		 msp_keystatus_channel(s), msp_keystatus_version(s),
		 mode_word(msp_keystatus_mode(s, MSP_ENDPOINT_WIRESERVER)),
		 mode_word(msp_keystatus_mode(s, MSP_ENDPOINT_IMDS)));
	if (strcmp(text, latched->said) == 0) {
		mspd_log(MSPD_TRACE, "Got key status successfully: %s.", text);
		return;
	}
	memcpy(latched->said, text, sizeof(text));
	mspd_log_event(MSPD_WARN, "poll_secure_channel_status", "key_keeper",
		       "Got key status successfully: %s.", text);
}

/* What was ready and is not any more is being waited for again: nobody may go
 * on without the key of a channel that has been switched on meanwhile. */
void mspd_latched_report(struct mspd_latched *latched, bool new_key,
			 uint64_t now_ms)
{
	struct mspd_latched *l = latched;
	enum msp_latch_state before = l->reported;
	enum msp_latch_state state = msp_latch_state(l->latch);

	l->reported = state;
	mspd_provision_channel(l->provision,
			       state != MSP_LATCH_UNKNOWN &&
				       state != MSP_LATCH_DISABLED);
	if (is_ready(before) && !is_ready(state))
		mspd_provision_reset(l->provision, now_ms);
	if (!is_ready(state) || (state == before && !new_key))
		return;
	mspd_provision_ready(l->provision, MSPD_PROVISION_KEY);
	if (state != before)
		mspd_console_event(l->console, msp_latch_message(l->latch),
				   mspd_status_elapsed_ms(l->status));
}

const char *mspd_latched_channel(const struct mspd_latched *latched)
{
	const struct msp_keystatus *status = msp_latch_status(latched->latch);

	if (msp_latch_state(latched->latch) == MSP_LATCH_UNKNOWN || !status)
		return "Unknown";
	return msp_keystatus_channel(status);
}

/* The machine may have become another one since the host was asked. */
static void look_anew(struct mspd_latched *l, uint64_t now_ms)
{
	mspd_log(MSPD_WARN,
		 "poll_secure_channel_status task notified and secure channel "
		 "state is '%s', reset states and start poll status now.",
		 mspd_latched_channel(l));
	mspd_provision_reset(l->provision, now_ms);
	mspd_provision_channel(l->provision, false);
	msp_latch_reset(l->latch);
	l->reported = MSP_LATCH_UNKNOWN;
}

static void say_again(const struct mspd_latched *l, uint64_t now_ms)
{
	uint64_t next = msp_latch_deadline(l->latch);
	uint64_t left = next > now_ms ? next - now_ms : 0;

	mspd_log(MSPD_WARN,
		 "poll_secure_channel_status task notified but secure channel "
		 "state is '%s', continue with sleep wait for %llu.%03us.",
		 mspd_latched_channel(l), (unsigned long long)(left / 1000),
		 (unsigned int)(left % 1000));
	mspd_provision_ready(l->provision, MSPD_PROVISION_KEY);
}

bool mspd_latched_notices(struct mspd_latched *latched, uint64_t now_ms)
{
	unsigned int notices = mspd_provision_notices(latched->provision);
	bool root = notices & MSPD_NOTICE_ROOT;

	if (!notices)
		return false;
	switch (msp_latch_state(latched->latch)) {
	case MSP_LATCH_UNKNOWN:
	case MSP_LATCH_DISABLED:
		if (root)
			look_anew(latched, now_ms);
		else
			msp_latch_poll_now(latched->latch);
		return root;
	case MSP_LATCH_LATCHED:
		if (root)
			say_again(latched, now_ms);
		return false;
	case MSP_LATCH_ACQUIRING:
	case MSP_LATCH_ATTESTING:
	case MSP_LATCH_LOST:
		msp_latch_poll_now(latched->latch);
		return false;
	}
	return false;
}

void mspd_latched_show(struct mspd_latched *l)
{
	const struct msp_keystatus *status = msp_latch_status(l->latch);
	struct mspd_key_states states = { 0 };
	struct msp_key *key = msp_latch_key(l->latch);
	size_t i;

	states.channel = mspd_latched_channel(l);
	if (status) {
		for (i = 0; i < MSP_ENDPOINTS; i++)
			states.rule_id[i] = msp_keystatus_rule_id(
				status, (enum msp_endpoint)i);
	}
	if (key) {
		states.key_guid = msp_key_guid(key);
		states.has_incarnation =
			msp_key_incarnation(key, &states.incarnation);
	}
	if (mspd_status_states(l->status, &states) < 0)
		mspd_log(MSPD_ERROR, "no memory for the status");
}
