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
#define TIDY_MS 1000

static bool has_left(const struct mspd_server *s)
{
	return s->most >= CROWD && s->n_connections <= s->most / 4;
}

/* The C library keeps it otherwise, in pieces between what is still in use. */
static void on_time(void *arg)
{
	struct mspd_server *s = arg;

	if (!has_left(s))
		return;
	s->most = s->n_connections;
	malloc_trim(0);
}

void mspd_tidy_look(struct mspd_server *s)
{
	if (!has_left(s) || mspd_timer_set(&s->tidy))
		return;
	s->tidy.call = on_time;
	s->tidy.arg = s;
	mspd_loop_timer(s->loop, &s->tidy,
			mspd_loop_now(s->loop).boot_ms + TIDY_MS);
}

void mspd_tidy_stop(struct mspd_server *s)
{
	mspd_loop_timer(s->loop, &s->tidy, MSP_NEVER);
}
