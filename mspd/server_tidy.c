/* SPDX-License-Identifier: MIT */
/*
 * In: how many connections there were and are. Out: memory that a crowd has
 * left behind goes back to the kernel. Must never cost what comes in waves
 * more than a little time now and then.
 */
#include "mspd/server_priv.h"

#include <malloc.h>

/* So many connections are worth tidying up after. */
#define CROWD 32
/* So long after most of them are gone: done at once it would make each of a
 * crowd that comes again and again dearer by a tenth. */
#define LEFT_MS 1000
/* And once more, when the last of them are gone, too. */
#define CRUMBS_MS 10000
/* And now and then if they stay: what is kept for long lies between what each
 * of many requests had for a moment. */
#define STAY_MS 60000

static bool has_left(const struct mspd_server *s)
{
	return s->n_connections <= s->most / 4;
}

static uint64_t now_of(const struct mspd_server *s)
{
	return mspd_loop_now(s->loop).boot_ms;
}

/* The C library keeps it otherwise, in pieces between what is still in use. */
static void on_time(void *arg)
{
	struct mspd_server *s = arg;
	bool left = has_left(s);

	/* a crowd that is back */
	if (!left && now_of(s) < s->tidy_by_ms)
		return;
	s->tidy_by_ms = 0;
	s->most = s->n_connections;
	malloc_trim(0);
	/* those that are still there hold memory together that others had */
	s->crumbs = left && !s->crumbs && s->n_connections;
	if (!s->crumbs)
		return;
	s->tidy_by_ms = now_of(s) + CRUMBS_MS;
	mspd_loop_timer(s->loop, &s->tidy, s->tidy_by_ms);
}

void mspd_tidy_look(struct mspd_server *s)
{
	uint64_t due;

	if (s->most < CROWD || (mspd_timer_set(&s->tidy) && !has_left(s)))
		return;
	if (!s->tidy_by_ms)
		s->tidy_by_ms = now_of(s) + STAY_MS;
	due = has_left(s) ? now_of(s) + LEFT_MS : s->tidy_by_ms;
	if (mspd_timer_set(&s->tidy) && s->tidy.due <= due)
		return;
	s->tidy.call = on_time;
	s->tidy.arg = s;
	mspd_loop_timer(s->loop, &s->tidy, due);
}

void mspd_tidy_stop(struct mspd_server *s)
{
	mspd_loop_timer(s->loop, &s->tidy, MSP_NEVER);
}
