/* SPDX-License-Identifier: MIT */
/*
 * In: connections whose request is being answered, or that are between two.
 * Out: the same, suspended so that libmicrohttpd does nothing in vain, and
 * watched only where that tells something. Must never leave bytes unread, nor
 * an end unnoticed for long.
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
 *
 * A new one whose request is there as a whole is not watched at once: most of
 * these are answered and closed before there is anything to notice.
 */
#include "mspd/server_priv.h"

/* libmicrohttpd goes through all suspended connections to find those that are
 * resumed: few enough for that to be little, and only those that are in use. */
#define PARKED_MAX 256
#define PARKED_MS  1000
/* A client that leaves so soon is noticed when its answer is sent. */
#define UNWATCHED_MS 100

/* ---- lines ------------------------------------------------------------- */

static void leave(struct mspd_exchange *x)
{
	struct mspd_line *line = x->line;

	if (!line)
		return;
	if (x->newer)
		x->newer->older = x->older;
	else
		line->newest = x->older;
	if (x->older)
		x->older->newer = x->newer;
	else
		line->oldest = x->newer;
	x->newer = NULL;
	x->older = NULL;
	x->line = NULL;
	line->n--;
}

/* Those that have been in it for long go on; the others are looked at again. */
static void on_time(void *arg)
{
	struct mspd_line *line = arg;
	struct mspd_loop *loop = line->server->loop;
	uint64_t now = mspd_loop_now(loop).boot_ms;
	struct mspd_exchange *x;

	while ((x = line->oldest) && now - x->since_ms >= line->ms) {
		leave(x);
		line->over(x);
	}
	if (line->oldest)
		mspd_loop_timer(loop, &line->timer,
				line->oldest->since_ms + line->ms);
}

static void enter(struct mspd_exchange *x, struct mspd_line *line)
{
	struct mspd_loop *loop = x->server->loop;

	x->since_ms = mspd_loop_now(loop).boot_ms;
	x->older = line->newest;
	if (x->older)
		x->older->newer = x;
	else
		line->oldest = x;
	line->newest = x;
	x->line = line;
	line->n++;
	if (!mspd_timer_set(&line->timer))
		mspd_loop_timer(loop, &line->timer, x->since_ms + line->ms);
}

/* ---- parked, or just arrived ------------------------------------------- */

static void watch(struct mspd_exchange *x)
{
	if (mspd_loop_watch(x->server->loop, &x->watch, MSPD_WATCH_BUSY) < 0)
		mspd_exchange_abort(x);
}

static void park(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (x->suspended || x->aborted || x->ended || s->draining ||
	    s->parked.n >= PARKED_MAX ||
	    mspd_loop_watch(s->loop, &x->watch, EPOLLIN | EPOLLRDHUP) < 0)
		return;
	leave(x);
	enter(x, &s->parked);
	mspd_exchange_suspend(x);
}

bool mspd_rest_is_parked(const struct mspd_exchange *x)
{
	return x->line == &x->server->parked;
}

/* Is there nothing to do before the answer comes? */
static bool waits(const struct mspd_exchange *x)
{
	return (x->stage == STAGE_END || x->stage == STAGE_WAIT) && !x->reply;
}

static void rest(struct mspd_exchange *x)
{
	if (!x->rests)
		return;
	x->rests = false;
	if (x->stage == STAGE_IDLE)
		park(x);
	else if (waits(x) && !x->suspended)
		mspd_exchange_suspend(x);
}

static void look_at(struct mspd_exchange *x)
{
	if (!x->mhd) {
		mspd_arrive_lost(x);
		return;
	}
	rest(x);
	if (x->watch.added || x->aborted)
		return;
	if (!waits(x)) {
		leave(x);
		watch(x);
	} else if (!x->line) {
		enter(x, &x->server->unwatched);
	}
}

/* ---- public ------------------------------------------------------------ */

static void init(struct mspd_server *s, struct mspd_line *line, uint64_t ms,
		 void (*over)(struct mspd_exchange *x))
{
	line->server = s;
	line->ms = ms;
	line->over = over;
	line->timer.call = on_time;
	line->timer.arg = line;
}

void mspd_rest_init(struct mspd_server *s)
{
	init(s, &s->parked, PARKED_MS, mspd_exchange_resume);
	init(s, &s->unwatched, UNWATCHED_MS, watch);
}

void mspd_rest_stop(struct mspd_server *s)
{
	mspd_loop_timer(s->loop, &s->parked.timer, MSP_NEVER);
	mspd_loop_timer(s->loop, &s->unwatched.timer, MSP_NEVER);
}

static void later(struct mspd_exchange *x)
{
	struct mspd_server *s = x->server;

	if (x->listed)
		return;
	x->listed = true;
	x->next_listed = s->listed;
	s->listed = x;
}

void mspd_rest_arrive(struct mspd_exchange *x)
{
	later(x);
}

void mspd_rest_sleep(struct mspd_exchange *x)
{
	x->rests = true;
	later(x);
}

void mspd_rest_park(struct mspd_exchange *x)
{
	/* what was answered at once is in the epoll set and can stay there */
	if (!x->slept)
		return;
	x->slept = false;
	x->rests = true;
	later(x);
}

void mspd_rest_wake(struct mspd_exchange *x)
{
	x->rests = false;
	if (mspd_rest_is_parked(x))
		leave(x);
}

void mspd_rest_forget(struct mspd_exchange *x)
{
	struct mspd_exchange **at = &x->server->listed;

	leave(x);
	if (!x->listed)
		return;
	while (*at != x)
		at = &(*at)->next_listed;
	*at = x->next_listed;
	x->listed = false;
}

void mspd_rest_all(struct mspd_server *s)
{
	struct mspd_exchange *x;

	while ((x = s->listed)) {
		s->listed = x->next_listed;
		x->listed = false;
		look_at(x);
	}
}
