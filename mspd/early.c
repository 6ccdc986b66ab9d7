/* SPDX-License-Identifier: MIT */
/*
 * In: connections that came too early. Out: the same, in their order, when they
 * can be served. Must never lose a descriptor.
 */
#include "mspd/early.h"

#include <stdlib.h>
#include <unistd.h>

void mspd_early_add(void *arg, int fd)
{
	struct mspd_early *e = arg;
	size_t room = e->room ? 2 * e->room : 64;
	int *fds;

	if (e->n == e->room) {
		fds = room <= MSPD_EARLY_MAX
			      ? realloc(e->fds, room * sizeof(*fds))
			      : NULL;
		if (!fds) {
			close(fd);
			return;
		}
		e->fds = fds;
		e->room = room;
	}
	e->fds[e->n++] = fd;
}

void mspd_early_take(struct mspd_early *early, void (*take)(void *arg, int fd),
		     void *arg)
{
	size_t i;

	for (i = 0; i < early->n; i++)
		take(arg, early->fds[i]);
	free(early->fds);
	*early = (struct mspd_early){ 0 };
}

static void close_one(void *arg, int fd)
{
	(void)arg;
	close(fd);
}

void mspd_early_close(struct mspd_early *early)
{
	mspd_early_take(early, close_one, NULL);
}
