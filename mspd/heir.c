/* SPDX-License-Identifier: MIT */
/*
 * In: what a service manager kept of the agent before. Out: the same listener,
 * programs and states, in use again. Must never serve a client that nobody can
 * identify, nor leave redirected what is not served.
 */
#include "mspd/heir.h"

#include <string.h>
#include <unistd.h>

#include "mspd/log.h"

/* For the host's answer, as long as who waits for READY=1 is kept waiting. Then
 * clients are told that there is no key. */
#define HOLD_MS 10000
/* The backlog may be full of strangers: a connection that does not get into it
 * is tried again after one and three seconds. */
#define PROVE_MS 5000
/* Until the service manager knows, a crash is a gap. */
#define AGAIN_MS 2000

/* Out of the store; false: there is none to go on with. */
static bool find_listener(struct mspd_heir *h, struct mspd_listener *out)
{
	out->fd =
		mspd_store_listener(h->store, &h->wanted, false, &out->address);
	if (out->fd >= 0)
		return true;
	out->fd =
		mspd_store_listener(h->store, &h->wanted, true, &out->address);
	if (out->fd >= 0 && mspd_listener_is_beside(out, &h->wanted))
		return true;
	if (out->fd >= 0) /* the port can be had now */
		close(out->fd);
	return false;
}

/* Without the listener nothing is gone on with: the programs let nobody bind
 * its port, and clients that they send there are not heard. */
int mspd_heir_listener(struct mspd_heir *h, struct mspd_listener *out,
		       const struct msp_address *wanted, char *error,
		       size_t error_size)
{
	const struct msp_redirect_part *parts;

	memset(out, 0, sizeof(*out));
	h->wanted = *wanted;
	if (find_listener(h, out)) {
		h->inherits = mspd_store_parts(h->store, &parts) > 0;
		return 0;
	}
	mspd_store_drop(h->store);
	h->inherits = false;
	return mspd_listener_open(out, wanted, error, error_size);
}

int mspd_heir_prove(struct mspd_heir *h, struct msp_redirect *redirect,
		    int listen_fd, struct msp_error_info *info)
{
	const struct msp_redirect_others others = {
		.size = sizeof(others),
		.take = mspd_early_add,
		.arg = &h->early,
	};

	return msp_redirect_prove_among(redirect, listen_fd, PROVE_MS, &others,
					info);
}

void mspd_heir_switch_off(struct msp_redirect *redirect)
{
	size_t i;

	for (i = 0; redirect && i < MSP_ENDPOINTS; i++)
		if (msp_redirect_set(redirect, (enum msp_endpoint)i,
				     MSP_REDIRECT_OFF) < 0)
			mspd_log(MSPD_ERROR, "cannot switch redirection off");
}

void mspd_heir_give_up(struct mspd_heir *h, struct msp_redirect *redirect)
{
	mspd_log(MSPD_ERROR, "cannot go on with what the agent before left");
	mspd_heir_switch_off(redirect);
	mspd_store_drop(h->store);
	mspd_early_close(&h->early);
	h->inherits = false;
}

/* They are left as they are (design section 5). */
static bool take_states(struct msp_redirect *redirect,
			struct mspd_switches *switches,
			struct mspd_sweeper *sweeper, uint64_t now_ms)
{
	enum msp_redirect_state state;
	bool on = false;
	size_t i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		state = msp_redirect_get(redirect, (enum msp_endpoint)i);
		mspd_switches_found(switches, (enum msp_endpoint)i, state);
		mspd_sweeper_set(sweeper, (enum msp_endpoint)i, state, now_ms);
		on |= state != MSP_REDIRECT_OFF;
	}
	return on;
}

/* Once is enough to be told. */
static void keep(struct mspd_heir *h, const struct msp_redirect *redirect,
		 int listen_fd, unsigned int changed, uint64_t now_ms)
{
	int err = mspd_store_settle(h->store, redirect, listen_fd, &h->wanted,
				    changed);

	if (err < 0 && !h->failing)
		mspd_log(MSPD_ERROR,
			 "the service manager cannot be told what to keep for "
			 "a restart: %s",
			 strerror(-err));
	h->failing = err < 0;
	h->keep_at = now_ms + AGAIN_MS;
}

void mspd_heir_changed(struct mspd_heir *h, const struct msp_redirect *redirect,
		       int listen_fd, unsigned int bits, uint64_t now_ms)
{
	keep(h, redirect, listen_fd, bits, now_ms);
}

void mspd_heir_keep(struct mspd_heir *h, const struct msp_redirect *redirect,
		    int listen_fd, uint64_t now_ms)
{
	if (h->failing && now_ms >= h->keep_at)
		keep(h, redirect, listen_fd, 0, now_ms);
}

uint64_t mspd_heir_deadline(const struct mspd_heir *h)
{
	uint64_t at = h->holding ? h->hold_until : MSP_NEVER;

	return h->failing && h->keep_at < at ? h->keep_at : at;
}

bool mspd_heir_settle(struct mspd_heir *h, struct msp_redirect *redirect,
		      int listen_fd, struct mspd_switches *switches,
		      struct mspd_sweeper *sweeper, uint64_t now_ms)
{
	h->taken_over = msp_redirect_taken(redirect) != 0;
	if (h->taken_over)
		mspd_log(MSPD_INFO, "goes on with redirection as the agent "
				    "before left it");
	h->holding = h->taken_over &&
		     take_states(redirect, switches, sweeper, now_ms);
	h->hold_until = now_ms + HOLD_MS;
	h->inherits = false;
	keep(h, redirect, listen_fd, 0, now_ms);
	return h->holding;
}

bool mspd_heir_lets_in(struct mspd_heir *h, bool served, uint64_t now_ms)
{
	if (!h->holding || (!served && now_ms < h->hold_until))
		return false;
	h->holding = false;
	return true;
}
