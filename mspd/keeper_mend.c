/* SPDX-License-Identifier: MIT */
/*
 * In: that somebody has detached programs of ours. Out: the same attached
 * again, kept for a successor, and what went past us meanwhile searched for.
 * Must never say that all is well while connections bypass us.
 */
#include "mspd/keeper_priv.h"

#include <string.h>
#include <unistd.h>

#include "mspd/log.h"

/* Between two attempts; once what is in the way is gone, not much later. */
#define FIRST_MS 250
#define MOST_MS	 4000
/* Between two looks of the keeper itself, which is awake for something else. */
#define LOOK_MS 4000

void mspd_keeper_look(struct mspd_keeper *keeper)
{
	uint64_t one = 1;

	if (!msp_redirect_detached(keeper->redirect))
		return;
	atomic_store(&keeper->detached, true);
	if (write(keeper->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		mspd_log(MSPD_ERROR, "cannot wake the key keeper");
}

static unsigned int count(unsigned int bits)
{
	return (unsigned int)__builtin_popcount(bits);
}

static void failed(struct mspd_keeper *k, const struct msp_error_info *info,
		   uint64_t now_ms)
{
	if (!k->mend_ms) {
		mspd_log(MSPD_ERROR,
			 "somebody has detached what redirects, and it cannot "
			 "be attached again: %s",
			 info->text);
		k->mend_ms = FIRST_MS;
	}
	k->mend_at = now_ms + k->mend_ms;
	k->mend_ms = 2 * k->mend_ms < MOST_MS ? 2 * k->mend_ms : MOST_MS;
	mspd_status_module(
		k->opts.status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_STOPPED,
		"Redirector was detached by somebody: %s", info->text);
	k->status_at = now_ms;
}

/* Other links than those that the service manager keeps. */
static void keep_anew(struct mspd_keeper *k, unsigned int bits, uint64_t now_ms)
{
	mspd_heir_changed(&k->heir, k->redirect, k->listener.fd, bits, now_ms);
}

static void mended(struct mspd_keeper *k, unsigned int bits, uint64_t now_ms)
{
	if (bits) {
		atomic_fetch_add(&k->health.mended, count(bits));
		mspd_log(MSPD_WARN,
			 "somebody had detached %u of the programs that "
			 "redirect: attached again",
			 count(bits));
		keep_anew(k, bits, now_ms);
		mspd_sweeper_again(&k->sweeper, now_ms);
	}
	k->mend_at = MSP_NEVER;
	k->mend_ms = 0;
	mspd_keeper_report_redirector(k);
	k->status_at = now_ms;
}

/* The loop has seen it, or the last attempt failed, or it is seen now. */
static bool is_to_mend(struct mspd_keeper *k, uint64_t now_ms)
{
	if (atomic_exchange(&k->detached, false) || now_ms >= k->mend_at)
		return true;
	if (now_ms < k->look_at)
		return false;
	k->look_at = now_ms + LOOK_MS;
	return msp_redirect_detached(k->redirect) != 0;
}

void mspd_keeper_mend(struct mspd_keeper *k, uint64_t now_ms)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	unsigned int bits = 0;

	if (!is_to_mend(k, now_ms))
		return;
	if (msp_redirect_repair(k->redirect, &bits, &info) == 0) {
		mended(k, bits, now_ms);
		return;
	}
	if (bits) { /* some are */
		atomic_fetch_add(&k->health.mended, count(bits));
		keep_anew(k, bits, now_ms);
	}
	failed(k, &info, now_ms);
}
