/* SPDX-License-Identifier: MIT */
/*
 * unix_socket.h - a listening Unix socket in a directory that nobody but its
 * owner, us, can write to.
 */
#ifndef MSPD_UNIX_SOCKET_H
#define MSPD_UNIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct mspd_unix_opts - borrowed
 * @path:  absolute; NULL: @dir/@name
 * @dir:   is made if it is missing
 * @name:  of the socket in it
 * @mode:  of the socket; never more, not even for a moment
 * @group: that has it; NULL or "": ours
 */
struct mspd_unix_opts {
	const char *path;
	const char *dir;
	const char *name;
	mode_t mode;
	const char *group;
};

struct mspd_unix {
	int fd;
	int dir;    /* owned: what becomes of its path does not matter */
	char *name; /* owned; in it */
	dev_t dev;  /* of the file, by which it is known again */
	ino_t ino;
};

/* What is there is replaced if it is a socket that nobody listens at, and
 * stays otherwise. 0 or -errno, with a text. Non-blocking. */
int mspd_unix_open(struct mspd_unix *out, const struct mspd_unix_opts *opts,
		   char *error, size_t error_size);

/* Remove it, if it is still the same one. */
void mspd_unix_close(struct mspd_unix *at);

#endif
