/* SPDX-License-Identifier: MIT */
/*
 * early.h - clients that were accepted before the loop may have them.
 */
#ifndef MSPD_EARLY_H
#define MSPD_EARLY_H

#include <stddef.h>

/* Most that are kept: as many as wait to be accepted. More are closed. */
#define MSPD_EARLY_MAX 4096

/* Zero it. Belongs to one thread at a time. */
struct mspd_early {
	int *fds; /* owned, as is each */
	size_t n;
	size_t room;
};

/* arg: a struct mspd_early, whose the descriptor is from then on. */
void mspd_early_add(void *arg, int fd);
/* Each goes to take(), and none is left. */
void mspd_early_take(struct mspd_early *early, void (*take)(void *arg, int fd),
		     void *arg);
/* Each is closed. */
void mspd_early_close(struct mspd_early *early);

#endif
