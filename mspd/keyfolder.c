/* SPDX-License-Identifier: MIT */
/*
 * In: the name of a folder. Out: a key store of ours there, or why there is
 * none. Must never use a key that another user could have written, lose one
 * that root has, nor follow a link that another user could have made.
 */
#include "mspd/keyfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mspd/log.h"

#define KEY_MAX_BYTES 65536
#define ENDING	      ".key"
/* Of one user; a script that gives it away at each boot fills no disk. */
#define FOLDERS_MAX 100
/* Of one folder; whoever owned it chose how many there are. */
#define WARNINGS_MAX 8

struct folder {
	char path[PATH_MAX];	    /* without slashes at its end */
	char aside[PATH_MAX];	    /* where it goes if it is not ours */
	struct msp_keystore *fresh; /* in its place; owned */
	int parent;		    /* owned, or -1 */
	int fd;			    /* of another user; owned, or -1 */
	uid_t owner;		    /* of fd */
	unsigned int warnings;
	char *error; /* MSPD_KEYFOLDER_ERROR bytes; borrowed */
};

__attribute__((format(printf, 2, 3))) static int refuse(struct folder *f,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->error, MSPD_KEYFOLDER_ERROR, format, args);
	va_end(args);
	return -EACCES;
}

static int refuse_errno(struct folder *f, const char *what, const char *path)
{
	char buffer[128];

	return refuse(f, "cannot %s '%s': %s", what, path,
		      strerror_r(errno, buffer, sizeof(buffer)));
}

static int refuse_info(struct folder *f, int rc,
		       const struct msp_error_info *info)
{
	refuse(f, "%s", info->text);
	return rc == MSP_ERR_NOMEM ? -ENOMEM : -EACCES;
}

static bool is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* ---- the folders above it ---------------------------------------------- */

/* Whoever can write to one of them decides what is found below it, but for
 * entries of others in one with the sticky bit. */
static bool is_closed(const struct stat *st, bool last)
{
	if (!is_ours(st->st_uid))
		return false;
	return !(st->st_mode & (S_IWGRP | S_IWOTH)) ||
	       ((st->st_mode & S_ISVTX) && !last);
}

/* A descriptor of a resolved path, or -1 with EPERM if others could change
 * what it leads to. */
static int open_closed(char *path)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char *rest, *name = strtok_r(path, "/", &rest);
	int next, fd = open("/", flags);
	struct stat st;

	while (fd >= 0) {
		if (fstat(fd, &st) < 0)
			break;
		if (!is_closed(&st, !name)) {
			errno = EPERM;
			break;
		}
		if (!name)
			return fd;
		next = openat(fd, name, flags);
		close(fd);
		fd = next;
		name = strtok_r(NULL, "/", &rest);
	}
	if (fd >= 0) {
		int err = errno;

		close(fd);
		errno = err;
	}
	return -1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int open_parent(struct folder *f)
{
	size_t len = (size_t)(base_name(f->path) - f->path);
	char above[PATH_MAX], resolved[PATH_MAX];

	snprintf(above, sizeof(above), "%.*s", (int)len, f->path);
	if (!realpath(len ? above : ".", resolved))
		return refuse_errno(f, "open", above);
	f->parent = open_closed(resolved);
	if (f->parent >= 0)
		return 0;
	if (errno != EPERM)
		return refuse_errno(f, "open", above);
	return refuse(f,
		      "'%s' belongs to user %lu, and stays so because not only "
		      "root can write to the folders it is in",
		      f->path, (unsigned long)f->owner);
}

static int open_foreign(struct folder *f)
{
	struct stat st;

	f->fd = openat(f->parent, base_name(f->path),
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return refuse_errno(f, "open", f->path);
	f->owner = st.st_uid;
	return 0;
}

/* ---- keys in it -------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void
leave(struct folder *f, const char *name, const char *format, ...)
{
	char why[128];
	va_list args;

	if (f->warnings++ >= WARNINGS_MAX)
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	mspd_log(MSPD_WARN, "key file '%s' in '%s' %s: it is not used", name,
		 f->path, why);
}

/* What only root can have written, and nobody else can have read. */
static bool is_trusted(struct folder *f, const char *name, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		leave(f, name, "cannot be opened");
	} else if (!S_ISREG(st.st_mode)) {
		leave(f, name, "is no file");
	} else if (st.st_uid != geteuid()) {
		leave(f, name, "belongs to user %lu", (unsigned long)st.st_uid);
	} else if (st.st_mode & 077) {
		leave(f, name, "is open to others, mode %04o",
		      (unsigned int)(st.st_mode & 07777));
	} else if (st.st_size > KEY_MAX_BYTES) {
		leave(f, name, "is larger than %d bytes", KEY_MAX_BYTES);
	} else {
		return true;
	}
	return false;
}

/* Which are too many, and how old each is, a store tells by their times. */
static void keep_time(struct folder *f, const struct msp_key *key, int from)
{
	char path[PATH_MAX + MSP_GUID_LEN + sizeof("/" ENDING)];
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;

	if (fstat(from, &st) < 0)
		return;
	times[1] = st.st_mtim;
	snprintf(path, sizeof(path), "%s/%s" ENDING, f->aside,
		 msp_key_guid(key));
	if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		mspd_log(MSPD_WARN, "cannot set the time of '%s'", path);
}

static int save_text(struct folder *f, const char *name, int fd,
		     const char *text, size_t len)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key;
	int rc = msp_key_parse(&key, text, len, &info);

	if (rc == MSP_ERR_NOMEM)
		return refuse_info(f, rc, &info);
	if (rc < 0) {
		leave(f, name, "holds no key");
		return 0;
	}
	if (strncasecmp(msp_key_guid(key), name, MSP_GUID_LEN) != 0) {
		leave(f, name, "holds the key of another guid");
	} else {
		rc = msp_keystore_save(f->fresh, key, &info);
		if (rc == 0)
			keep_time(f, key, fd);
	}
	msp_key_free(key);
	return rc < 0 ? refuse_info(f, rc, &info) : 0;
}

static int take_file(struct folder *f, const char *name, int fd)
{
	char *text = malloc(KEY_MAX_BYTES);
	ssize_t n;
	int rc;

	if (!text) {
		refuse(f, "out of memory");
		return -ENOMEM;
	}
	n = read(fd, text, KEY_MAX_BYTES);
	if (n < 0)
		rc = refuse_errno(f, "read", name);
	else
		rc = save_text(f, name, fd, text, (size_t)n);
	if (n > 0)
		explicit_bzero(text, (size_t)n);
	free(text);
	return rc;
}

static int take_key(struct folder *f, const char *name)
{
	int fd, rc = 0;

	if (strlen(name) != MSP_GUID_LEN + strlen(ENDING) ||
	    strcmp(name + MSP_GUID_LEN, ENDING) != 0)
		return 0;
	/* not to hang if it is a FIFO */
	fd = openat(f->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (is_trusted(f, name, fd))
		rc = take_file(f, name, fd);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int take_keys(struct folder *f)
{
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = refuse_errno(f, "read", f->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		rc = take_key(f, entry->d_name);
	closedir(dir);
	if (f->warnings > WARNINGS_MAX)
		mspd_log(MSPD_WARN,
			 "%u more key files in '%s' are not used either",
			 f->warnings - WARNINGS_MAX, f->path);
	return rc;
}

/* ---- in its place ------------------------------------------------------ */

/* A free name, or a folder that an earlier attempt has left. */
static int make_fresh(struct folder *f)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct stat st;
	char number[16] = "";
	int i, n, rc;

	for (i = 1; i <= FOLDERS_MAX; i++) {
		if (i > 1)
			snprintf(number, sizeof(number), ".%d", i);
		n = snprintf(f->aside, sizeof(f->aside), "%s.of-%lu%s", f->path,
			     (unsigned long)f->owner, number);
		if (n < 0 || (size_t)n >= sizeof(f->aside))
			break;
		if (lstat(f->aside, &st) == 0 &&
		    (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()))
			continue;
		rc = msp_keystore_open(&f->fresh, f->aside, strlen(f->aside),
				       &info);
		return rc < 0 ? refuse_info(f, rc, &info) : 0;
	}
	return refuse(f, "'%s' belongs to user %lu, and '%s' is in the way",
		      f->path, (unsigned long)f->owner, f->aside);
}

/* In one step, and by name: to change its owner takes a capability that the
 * service does without, and what is open in it would stay open. */
static int swap(struct folder *f)
{
	if (renameat2(f->parent, base_name(f->aside), f->parent,
		      base_name(f->path), RENAME_EXCHANGE) < 0)
		return refuse_errno(f, "replace", f->path);
	fsync(f->parent);
	mspd_log(MSPD_WARN,
		 "the key folder '%s' belonged to user %lu: it is replaced by "
		 "one of root's, and is now '%s'",
		 f->path, (unsigned long)f->owner, f->aside);
	return 0;
}

static int take_over(struct folder *f)
{
	int rc = open_parent(f);

	if (rc == 0)
		rc = open_foreign(f);
	if (rc == 0)
		rc = make_fresh(f);
	if (rc == 0)
		rc = take_keys(f);
	if (rc == 0)
		rc = swap(f);
	msp_keystore_free(f->fresh);
	if (f->fd >= 0)
		close(f->fd);
	if (f->parent >= 0)
		close(f->parent);
	return rc;
}

static int check(struct folder *f)
{
	struct stat st;

	if (lstat(f->path, &st) < 0)
		return errno == ENOENT ? 0 : refuse_errno(f, "open", f->path);
	if (S_ISLNK(st.st_mode))
		return refuse(f, "'%s' is a symbolic link, not a directory",
			      f->path);
	if (!S_ISDIR(st.st_mode))
		return refuse(f, "'%s' is not a directory", f->path);
	if (st.st_uid == geteuid())
		return 0;
	f->owner = st.st_uid;
	return take_over(f);
}

int mspd_keyfolder_open(struct msp_keystore **out, const char *path,
			char error[MSPD_KEYFOLDER_ERROR])
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct folder f = { .parent = -1, .fd = -1, .error = error };
	size_t len = strlen(path);
	int rc;

	*out = NULL;
	error[0] = '\0';
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(f.path))
		return refuse(&f, "its name is too long");
	memcpy(f.path, path, len);
	rc = check(&f);
	if (rc < 0)
		return rc;
	rc = msp_keystore_open(out, f.path, len, &info);
	return rc < 0 ? refuse_info(&f, rc, &info) : 0;
}
