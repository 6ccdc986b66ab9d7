/* SPDX-License-Identifier: MIT */
/*
 * In: a path. Out: a Unix socket that listens there. Must never follow a link,
 * take away what is not a socket, nor be open to more than it is to be for a
 * moment.
 */
#include "mspd/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mspd/file.h"

#define BACKLOG 16

/* What goes wrong, for the text. */
struct trouble {
	const char *what;
};

/* Directory of a path, and the name in it; the path is cut. */
static const char *split(char *path)
{
	char *slash = strrchr(path, '/');

	*slash = '\0';
	return slash + 1;
}

/* A descriptor or -errno. */
static int open_dir(const char *dir, struct trouble *t)
{
	struct stat st;
	int fd, err;

	t->what = "its directory";
	err = mspd_dir_make(*dir ? dir : "/", 0755);
	if (err < 0)
		return err;
	fd = open(*dir ? dir : "/",
		  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	t->what = "others may write to its directory";
	close(fd);
	return -EPERM;
}

/* By the directory's descriptor: no path is too long, and none is looked up
 * twice. */
static int address_in(struct sockaddr_un *at, int dir, const char *name)
{
	int n;

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	n = snprintf(at->sun_path, sizeof(at->sun_path), "/proc/self/fd/%d/%s",
		     dir, name);
	return n < 0 || (size_t)n >= sizeof(at->sun_path) ? -ENAMETOOLONG : 0;
}

/* Does somebody listen? What cannot be told is taken for that. */
static bool is_live(int dir, const char *name)
{
	struct sockaddr_un at;
	bool live = true;
	int fd;

	if (address_in(&at, dir, name) < 0)
		return false; /* nor can anybody come here */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		live = errno != ECONNREFUSED && errno != ENOENT;
	close(fd);
	return live;
}

static int make_room(int dir, const char *name, struct trouble *t)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	t->what = "what is there is not a socket";
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	t->what = "another process listens there";
	if (is_live(dir, name))
		return -EADDRINUSE;
	t->what = "the old one";
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

static int bind_in(int fd, int dir, const char *name)
{
	struct sockaddr_un at;
	int err = address_in(&at, dir, name);

	if (err < 0)
		return err;
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

static int find_group(const char *name, gid_t *out)
{
	struct group *group;

	errno = 0;
	group = getgrnam(name); /* at the start: nobody else asks */
	if (!group)
		return errno ? -errno : -ENOENT;
	*out = group->gr_gid;
	return 0;
}

static int give_to_group(int dir, const char *name,
			 const struct mspd_unix_opts *opts, struct trouble *t)
{
	gid_t gid = 0;
	int err;

	if (!opts->group || !*opts->group)
		return 0;
	t->what = "its group";
	err = find_group(opts->group, &gid);
	if (err < 0)
		return err;
	if (fchownat(dir, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno == EPERM)
		t->what = "its group is none of the agent's "
			  "(SupplementaryGroups=, under systemd)";
	return -errno;
}

static int place(struct mspd_unix *out, int dir, const char *name,
		 const struct mspd_unix_opts *opts, struct trouble *t)
{
	struct stat st;
	int err = make_room(dir, name, t);

	if (err < 0)
		return err;
	t->what = "bind";
	/* the file gets the mode that the socket has, less the umask */
	if (fchmod(out->fd, 0600) < 0)
		return -errno;
	err = bind_in(out->fd, dir, name);
	if (err < 0)
		return err;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	err = give_to_group(dir, name, opts, t);
	if (err == 0 && fchmodat(dir, name, opts->mode, 0) < 0)
		err = -errno;
	if (err == 0 && listen(out->fd, BACKLOG) < 0)
		err = -errno;
	if (err < 0)
		unlinkat(dir, name, 0);
	return err;
}

static int open_at(struct mspd_unix *out, const struct mspd_unix_opts *opts,
		   char *path, struct trouble *t)
{
	const char *name = split(path);
	int err;

	out->name = strdup(name);
	if (!out->name)
		return -ENOMEM;
	err = open_dir(path, t);
	if (err < 0)
		return err;
	out->dir = err;
	out->fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return out->fd < 0 ? -errno : place(out, out->dir, name, opts, t);
}

static void give_up(struct mspd_unix *at)
{
	if (at->fd >= 0)
		close(at->fd);
	if (at->dir >= 0)
		close(at->dir);
	free(at->name);
	*at = (struct mspd_unix){ .fd = -1, .dir = -1 };
}

int mspd_unix_open(struct mspd_unix *out, const struct mspd_unix_opts *opts,
		   char *error, size_t error_size)
{
	struct trouble t = { "its path" };
	char path[PATH_MAX];
	int err = -ENAMETOOLONG;
	int n;

	*out = (struct mspd_unix){ .fd = -1, .dir = -1 };
	if (opts->path)
		n = snprintf(path, sizeof(path), "%s", opts->path);
	else
		n = snprintf(path, sizeof(path), "%s/%s", opts->dir,
			     opts->name);
	if (n > 0 && (size_t)n < sizeof(path))
		err = open_at(out, opts, path, &t);
	if (err == 0)
		return 0;
	give_up(out);
	snprintf(error, error_size, "%.128s: %s: %s",
		 opts->path ? opts->path : opts->dir, t.what,
		 strerrordesc_np(-err));
	return err;
}

void mspd_unix_close(struct mspd_unix *at)
{
	struct stat st;

	if (at->fd >= 0 &&
	    fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == at->dev && st.st_ino == at->ino)
		unlinkat(at->dir, at->name, 0);
	give_up(at);
}
