/* SPDX-License-Identifier: MIT */
/*
 * In: whole lines. Out: a file of them, and its predecessors (spec 3.3).
 * Must never leave part of a line behind, nor delete what it did not make.
 */
#include "mspd/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/file.h"
#include "mspd/text.h"

#define MODE 0640

/* ---- the current file -------------------------------------------------- */

/* Offset behind the last LF: what follows was cut short by a crash. */
static int whole_lines(int fd, uint64_t size, uint64_t *out)
{
	char block[4096];
	uint64_t end = size;
	ssize_t n;

	while (end) {
		size_t len = end < sizeof(block) ? (size_t)end : sizeof(block);
		uint64_t start = end - len;
		const char *lf;

		n = pread(fd, block, len, (off_t)start);
		if (n != (ssize_t)len)
			return n < 0 ? -errno : -EIO;
		lf = memrchr(block, '\n', len);
		if (lf) {
			*out = start + (uint64_t)(lf - block) + 1;
			return 0;
		}
		end = start;
	}
	*out = 0;
	return 0;
}

static int adopt(struct mspd_rotate *file, int fd)
{
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* A log of the agent before us may be readable by all (Q11). */
	if ((st.st_mode & 07777) != MODE && fchmod(fd, MODE) < 0)
		return -errno;
	rc = whole_lines(fd, (uint64_t)st.st_size, &file->size);
	if (rc < 0)
		return rc;
	file->torn = file->size != (uint64_t)st.st_size;
	file->found_torn = file->torn;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->fd = fd;
	return 0;
}

static int open_current(struct mspd_rotate *file)
{
	int rc;
	int fd = openat(file->dir_fd, file->name,
			O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
				O_CLOEXEC,
			MODE);

	if (fd < 0)
		return -errno;
	rc = adopt(file, fd);
	if (rc < 0)
		close(fd);
	return rc;
}

static void close_current(struct mspd_rotate *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* ---- predecessors ------------------------------------------------------ */

static bool digits(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return len > 0;
}

/* NAME.YYYY-MM-DDTHH.MM.SS.mmm-NANOS.log exactly. Anything else in the
 * directory is somebody else's, whatever it begins with (Q42). */
static bool is_predecessor(const char *base, const char *name)
{
	static const char shape[] = "dddd-dd-ddTdd.dd.dd.ddd-";
	size_t len = strlen(base);
	size_t i;

	if (strncmp(name, base, len) != 0 || name[len] != '.')
		return false;
	name += len + 1;
	for (i = 0; shape[i]; i++) {
		if (shape[i] == 'd' ? !digits(name + i, 1)
				    : name[i] != shape[i])
			return false;
	}
	name += i;
	len = strlen(name);
	return len > 4 && strcmp(name + len - 4, ".log") == 0 &&
	       digits(name, len - 4);
}

/* Number of predecessors; name of the oldest of them, or of the newest. */
static int count_predecessors(const struct mspd_rotate *file, bool newest,
			      char found[NAME_MAX + 1])
{
	struct dirent *entry;
	struct stat st;
	int count = 0;
	DIR *dir;
	int fd = openat(file->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!is_predecessor(file->name, entry->d_name) ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (!count++ || (strcmp(entry->d_name, found) > 0) == newest)
			snprintf(found, NAME_MAX + 1, "%s", entry->d_name);
	}
	closedir(dir);
	return count;
}

/* Best effort: an old file too many is no reason not to log. */
static void prune(const struct mspd_rotate *file)
{
	char oldest[NAME_MAX + 1];

	while (count_predecessors(file, false, oldest) >= MSPD_ROTATE_FILES)
		if (unlinkat(file->dir_fd, oldest, 0) < 0)
			return;
}

static bool make_name(const struct mspd_rotate *file, struct timespec when,
		      char out[NAME_MAX + 1])
{
	char stamp[MSPD_TEXT_TIME];
	int n;

	mspd_text_time(stamp, when, '.');
	n = snprintf(out, NAME_MAX + 1, "%s.%s-%" PRId64 "%09ld.log",
		     file->name, stamp, (int64_t)when.tv_sec, when.tv_nsec);
	return n > 0 && n <= NAME_MAX;
}

/* A moment after the one in a predecessor's name. */
static bool next_moment(const char *name, struct timespec *out)
{
	const char *digit = strrchr(name, '-') + 1;
	uint64_t ns = 0;

	for (; *digit != '.'; digit++) {
		if (ns > (uint64_t)INT64_MAX / 10 - 1)
			return false;
		ns = ns * 10 + (uint64_t)(*digit - '0');
	}
	ns++;
	out->tv_sec = (time_t)(ns / 1000000000);
	out->tv_nsec = (long)(ns % 1000000000);
	return true;
}

/* Behind all that are there: by their names it is told which is the oldest,
 * also when the clock was set back meanwhile. */
static bool newest_name(const struct mspd_rotate *file, char out[NAME_MAX + 1])
{
	char newest[NAME_MAX + 1];
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	if (!make_name(file, at, out))
		return false;
	if (count_predecessors(file, true, newest) <= 0 ||
	    strcmp(out, newest) > 0 || !next_moment(newest, &at))
		return true;
	return make_name(file, at, out);
}

static int rotate(struct mspd_rotate *file)
{
	char name[NAME_MAX + 1];

	if (!newest_name(file, name))
		return -ENAMETOOLONG;
	if (renameat(file->dir_fd, file->name, file->dir_fd, name) < 0)
		return -errno;
	close_current(file);
	prune(file);
	return open_current(file);
}

/* ---- public ------------------------------------------------------------ */

int mspd_rotate_open(struct mspd_rotate *file, const char *dir,
		     const char *name)
{
	int rc;

	memset(file, 0, sizeof(*file));
	file->fd = -1;
	file->dir_fd = -1;
	file->limit = MSPD_ROTATE_BYTES;
	file->name = name;
	rc = mspd_dir_make(dir, 0755);
	if (rc < 0)
		return rc;
	file->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir_fd < 0)
		return -errno;
	rc = open_current(file);
	if (rc < 0)
		mspd_rotate_close(file);
	return rc;
}

void mspd_rotate_close(struct mspd_rotate *file)
{
	close_current(file);
	if (file->dir_fd >= 0)
		close(file->dir_fd);
	file->dir_fd = -1;
}

void mspd_rotate_keep(struct mspd_rotate *file)
{
	file->keep = true;
}

int mspd_rotate_predecessor(const struct mspd_rotate *file)
{
	char newest[NAME_MAX + 1];
	int count = count_predecessors(file, true, newest);
	int fd;

	if (count <= 0)
		return count < 0 ? count : -ENOENT;
	fd = openat(file->dir_fd, newest, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Is the name still our file? Somebody may have moved or emptied it. */
static int look_again(struct mspd_rotate *file)
{
	struct stat st;

	if (file->fd >= 0) {
		if (fstatat(file->dir_fd, file->name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == file->dev && st.st_ino == file->ino) {
			/* More than we know of is our own torn line. */
			if (!file->torn || (uint64_t)st.st_size < file->size)
				file->size = (uint64_t)st.st_size;
			return 0;
		}
		close_current(file);
	}
	return open_current(file);
}

/* What was torn before is not ours to take away; what we tore is. */
static int end_torn(struct mspd_rotate *file)
{
	struct stat st;
	ssize_t n;

	if (!file->found_torn || !file->keep)
		return ftruncate(file->fd, (off_t)file->size) < 0 ? -errno : 0;
	do
		n = write(file->fd, "\n", 1);
	while (n < 0 && errno == EINTR);
	if (n != 1 || fstat(file->fd, &st) < 0)
		return n < 0 ? -errno : -EIO;
	file->size = (uint64_t)st.st_size;
	return 0;
}

static int make_ready(struct mspd_rotate *file)
{
	int rc;

	if (file->dir_fd < 0)
		return -EBADF;
	rc = look_again(file);
	if (rc < 0)
		return rc;
	if (file->torn)
		rc = end_torn(file);
	if (rc < 0)
		return rc;
	file->torn = file->found_torn = false;
	return file->size >= file->limit ? rotate(file) : 0;
}

int mspd_rotate_append(struct mspd_rotate *file, const void *data, size_t len)
{
	const char *at = data;
	size_t left = len;
	int rc = make_ready(file);
	ssize_t n;

	if (rc < 0)
		return rc;
	while (left) {
		n = write(file->fd, at, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : -EIO;
			file->torn = left != len;
			break;
		}
		at += n;
		left -= (size_t)n;
	}
	if (rc == 0)
		file->size += len;
	else if (file->torn && ftruncate(file->fd, (off_t)file->size) == 0)
		file->torn = false;
	return rc;
}
