/* SPDX-License-Identifier: MIT */
/*
 * In: connections whose request is being answered, or that are between two.
 * Out: the same, suspended so that libmicrohttpd does nothing in vain. Must
 * never leave bytes unread.
 *
 * One that is suspended within a call of libmicrohttpd is read from when it is
 * resumed, before its answer is sent, and taken into its epoll set and out
 * again, for each request. One that is suspended after the call is not; and if
 * it stays so until the next request comes, it is not read in vain after the
 * answer either.
 *
 * The loop watches what is parked for as long as there is something to read:
 * bytes that came before it was parked are told, too. A whole request in
 * libmicrohttpd's own memory is not waiting there: it goes on with that before
 * it leaves the connection, so the exchange is not idle then.
 */
#include "mspd/server_priv.h"

#include <sys/epoll.h>

/* libmicrohttpd goes through all suspended connections to find those that are
 * resumed: few enough for that to be nothing. */
#define PARKED_MAX 128
/* One that has not been used for so long makes room for another. */
#define PARKED_MS 1000

static void leave(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (x->newer)
		x->newer->older = x->older;
	else
		s->parked = x->older;
	if (x->older)
		x->older->newer = x->newer;
	else
		s->parked_first = x->newer;
	x->newer = NULL;
	x->older = NULL;
	x->is_parked = false;
	s->n_parked--;
}

static bool make_room(struct mspd_server *s)
{
	struct mspd_exchange *first = s->parked_first;
	uint64_t now = mspd_loop_now(s->loop).boot_ms;

	if (s->n_parked < PARKED_MAX)
		return true;
	if (now - first->parked_ms < PARKED_MS)
		return false;
	mspd_exchange_resume(first);
	return true;
}

static void park(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (x->stage != STAGE_IDLE || x->suspended || x->aborted || x->ended ||
	    s->draining || !make_room(s) ||
	    mspd_loop_watch(s->loop, &x->watch, EPOLLIN | EPOLLRDHUP) < 0)
		return;
	x->parked_ms = mspd_loop_now(s->loop).boot_ms;
	x->older = s->parked;
	if (x->older)
		x->older->newer = x;
	else
		s->parked_first = x;
	s->parked = x;
	x->is_parked = true;
	s->n_parked++;
	mspd_exchange_suspend(x);
}

static void later(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	x->rests = true;
	x->next_to_rest = s->to_rest;
	s->to_rest = x;
}

void mspd_rest_sleep(struct mspd_exchange *x)
{
	if (!x->rests)
		later(x);
}

void mspd_rest_park(struct mspd_exchange *x)
{
	/* what was answered at once is in the epoll set and can stay there */
	if (x->rests || !x->slept)
		return;
	x->slept = false;
	later(x);
}

void mspd_rest_forget(struct mspd_exchange *x)
{
	struct mspd_exchange **at = &x->server->to_rest;

	if (x->is_parked)
		leave(x);
	if (!x->rests)
		return;
	while (*at != x)
		at = &(*at)->next_to_rest;
	*at = x->next_to_rest;
	x->rests = false;
}

void mspd_rest_all(struct mspd_server *s)
{
	struct mspd_exchange *x;

	while ((x = s->to_rest)) {
		s->to_rest = x->next_to_rest;
		x->rests = false;
		if (x->stage == STAGE_IDLE)
			park(x);
		else if ((x->stage == STAGE_END || x->stage == STAGE_WAIT) &&
			 !x->reply && !x->suspended)
			mspd_exchange_suspend(x);
	}
}
