/* SPDX-License-Identifier: MIT */
/*
 * In: the path of a program. Out: who could put another one there. Must never
 * call a path safe that it could not look at all the way.
 */
#include "mspd/ctl/exefile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Can somebody but root change what is here? In a sticky directory only the
 * owner of an entry can, and that one is looked at too. Members of any group
 * count, for they are not root. */
static bool open_to_others(const struct stat *st)
{
	if (st->st_uid != 0)
		return true;
	if (S_ISLNK(st->st_mode))
		return false; /* its mode means nothing */
	if (S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX)
		return false;
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* Every directory of the path, and what is at its end: 0, or -errno. */
static int walk(const char *path, bool *open)
{
	char part[PATH_MAX];
	struct stat st;
	size_t i, len = strlen(path);

	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	for (i = 1; i <= len; i++) {
		if (i > 1 && i < len && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		/* the link itself: who owns it can make another of it */
		if (lstat(part, &st) < 0)
			return -errno;
		*open = *open || open_to_others(&st);
	}
	return 0;
}

int ctl_exefile_look(void *arg, const char *path, struct msp_lint_file *out)
{
	bool open = false;
	struct stat st;
	char *real;
	int rc;

	(void)arg;
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	rc = walk(path, &open);
	if (rc == 0)
		rc = walk(real, &open);
	if (rc == 0) {
		out->exists = true;
		out->uid = st.st_uid;
		out->mode = st.st_mode;
		out->others_can_write = open;
		if (strlen(real) < sizeof(out->real))
			memcpy(out->real, real, strlen(real) + 1);
	}
	free(real);
	return rc;
}
