/* SPDX-License-Identifier: MIT */
/*
 * In: requests, while the audit trail takes no records. Out: the same, in
 * order, when it does again, or each of them a second later. Must never let
 * one pass that cannot be recorded, nor make the loop wait.
 */
#include "mspd/audit_hold.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "mspd/audit.h"
#include "mspd/call.h"

static void join(struct mspd_hold *hold, struct mspd_call *call)
{
	struct mspd_held *held = &call->held;

	held->waits = true;
	held->next = NULL;
	held->prev = hold->last;
	if (hold->last)
		hold->last->held.next = call;
	else
		hold->first = call;
	hold->last = call;
}

void mspd_hold_leave(struct mspd_hold *hold, struct mspd_call *call)
{
	struct mspd_held *held = &call->held;

	if (!held->waits)
		return;
	held->waits = false;
	if (held->prev)
		held->prev->held.next = held->next;
	else
		hold->first = held->next;
	if (held->next)
		held->next->held.prev = held->prev;
	else
		hold->last = held->prev;
}

/* All wait equally long, so the first in line is the first to go. */
static void set_timer(struct mspd_hold *hold)
{
	mspd_loop_timer(hold->loop, &hold->timer,
			hold->first ? hold->first->held.until : MSP_NEVER);
}

static void set_slow(struct mspd_hold *hold, bool yes)
{
	if (hold->is_slow == yes)
		return;
	hold->is_slow = yes;
	hold->slow(hold->arg, yes);
}

static void on_timer(void *arg)
{
	struct mspd_hold *hold = arg;
	uint64_t now = mspd_loop_now(hold->loop).boot_ms;
	struct mspd_call *call;

	while ((call = hold->first) != NULL && call->held.until <= now) {
		/* a disk that hangs fails no write */
		if (!mspd_audit_failed(hold->audit))
			set_slow(hold, true);
		mspd_hold_leave(hold, call);
		hold->expire(call);
	}
	set_timer(hold);
}

static void on_room(void *arg, uint32_t events)
{
	struct mspd_hold *hold = arg;
	struct mspd_call *call;
	uint64_t n;

	(void)events;
	if (read(hold->room.fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	while ((call = hold->first) != NULL && mspd_audit_ready(hold->audit)) {
		mspd_hold_leave(hold, call);
		hold->go(call);
	}
	if (mspd_audit_ready(hold->audit))
		set_slow(hold, false);
	set_timer(hold);
}

int mspd_hold_open(struct mspd_hold *hold)
{
	hold->timer.call = on_timer;
	hold->timer.arg = hold;
	hold->room.fd = mspd_audit_room_fd(hold->audit);
	hold->room.call = on_room;
	hold->room.arg = hold;
	return mspd_loop_watch(hold->loop, &hold->room, EPOLLIN);
}

void mspd_hold_close(struct mspd_hold *hold)
{
	mspd_loop_unwatch(hold->loop, &hold->room);
	mspd_loop_timer(hold->loop, &hold->timer, MSP_NEVER);
}

bool mspd_hold(struct mspd_hold *hold, struct mspd_call *call)
{
	/* whoever came before is first */
	if (!hold->first && mspd_audit_ready(hold->audit))
		return false;
	call->held.until = mspd_loop_now(hold->loop).boot_ms + MSPD_HOLD_MS;
	join(hold, call);
	if (hold->first == call)
		set_timer(hold);
	return true;
}
