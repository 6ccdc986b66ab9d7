/* SPDX-License-Identifier: MIT */
/*
 * In: a document and its place. Out: the file replaced in one step, durable.
 * Must never let a reader see half a document, nor more than its mode allows.
 */
#include "mspd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The temporary file has one name, so that a crash leaves at most one behind;
 * two writers of the same document must then not meet in it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Created with no more than @mode, set to exactly @mode while still empty. */
static int create(int dir, const char *name, mode_t mode)
{
	int fd;

	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) < 0) {
		int rc = -errno;

		close(fd);
		unlinkat(dir, name, 0);
		return rc;
	}
	return fd;
}

static int fill(int dir, const char *temp, mode_t mode, const void *data,
		size_t len)
{
	int rc;
	int fd = create(dir, temp, mode);

	if (fd < 0)
		return fd;
	rc = write_all(fd, data, len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		unlinkat(dir, temp, 0);
	return rc;
}

static int replace(int dir, const char *name, mode_t mode, const void *data,
		   size_t len)
{
	char temp[NAME_MAX + 1];
	int rc;
	int n = snprintf(temp, sizeof(temp), "%s.tmp", name);

	if (n < 0 || (size_t)n >= sizeof(temp))
		return -ENAMETOOLONG;
	rc = fill(dir, temp, mode, data, len);
	if (rc < 0)
		return rc;
	if (renameat(dir, temp, dir, name) < 0) {
		rc = -errno;
		unlinkat(dir, temp, 0);
		return rc;
	}
	return fsync(dir) < 0 ? -errno : 0;
}

static bool plain_name(const char *name)
{
	return name && *name && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int mspd_file_write(const char *dir, const char *name, mode_t mode,
		    const void *data, size_t len)
{
	int fd, rc;

	if (!dir || !plain_name(name) || (!data && len))
		return -EINVAL;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&lock);
	rc = replace(fd, name, mode, data, len);
	pthread_mutex_unlock(&lock);
	close(fd);
	return rc;
}

/* ---- directories ------------------------------------------------------- */

static int make_one(const char *path, mode_t mode)
{
	struct stat st;
	int rc = 0;
	int fd;

	if (mkdir(path, mode) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (stat(path, &st) < 0)
			return -errno;
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	/* Through a descriptor: the umask took bits, and only from the
	 * directory just made may they be given back. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int mspd_dir_make(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len, i;
	int rc;

	if (!path || !*path)
		return -EINVAL;
	len = strlen(path);
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	while (len > 1 && part[len - 1] == '/')
		part[--len] = '\0';
	for (i = 1; i < len; i++) {
		if (part[i] != '/')
			continue;
		part[i] = '\0';
		rc = make_one(part, 0755);
		part[i] = '/';
		if (rc < 0)
			return rc;
	}
	return make_one(part, mode);
}
