/* SPDX-License-Identifier: MIT */
/*
 * In: names of files. Out: their text, whole or line by line. Must never take
 * more memory than a limit, whatever the file is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/ctl/ctl.h"

#define BLOCK 65536

const char *ctl_file_name(const char *path)
{
	return strcmp(path, "-") ? path : "standard input";
}

static int open_file(const char *path)
{
	int fd;

	if (!strcmp(path, "-"))
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		ctl_fail("%s: %s", path, strerror(errno));
	return fd;
}

static void close_file(int fd)
{
	if (fd > STDIN_FILENO)
		close(fd);
}

static ssize_t read_some(int fd, char *to, size_t size)
{
	ssize_t n;

	do
		n = read(fd, to, size);
	while (n < 0 && errno == EINTR);
	return n;
}

bool ctl_read_file(struct ctl_text *out, const char *path, size_t limit)
{
	char *block = ctl_alloc(1, BLOCK);
	int fd = open_file(path);
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && out->len <= limit) {
		n = read_some(fd, block, BLOCK);
		if (n > 0)
			ctl_put_bytes(out, block, (size_t)n);
	}
	if (n < 0)
		ctl_fail("%s: %s", ctl_file_name(path), strerror(errno));
	if (out->len > limit)
		ctl_fail("%s: larger than %zu bytes", ctl_file_name(path),
			 limit);
	free(block);
	close_file(fd);
	return fd >= 0 && n >= 0 && out->len <= limit;
}

/* ---- lines ------------------------------------------------------------- */

struct ctl_lines {
	const char *path;
	int fd;
	bool end;
	bool failed;
	size_t at;   /* first byte of buffer that is not handed out */
	size_t used; /* bytes in buffer */
	char buffer[CTL_LINE_MAX + 1];
};

struct ctl_lines *ctl_lines_open(const char *path)
{
	struct ctl_lines *lines;
	int fd = open_file(path);

	if (fd < 0)
		return NULL;
	lines = ctl_alloc(1, sizeof(*lines));
	lines->path = path;
	lines->fd = fd;
	return lines;
}

/* More bytes behind those that are left; there is room. */
static void fill(struct ctl_lines *l)
{
	ssize_t n;

	memmove(l->buffer, l->buffer + l->at, l->used - l->at);
	l->used -= l->at;
	l->at = 0;
	n = read_some(l->fd, l->buffer + l->used, sizeof(l->buffer) - l->used);
	if (n > 0) {
		l->used += (size_t)n;
		return;
	}
	l->end = true;
	l->failed = n < 0;
	if (n < 0)
		ctl_fail("%s: %s", ctl_file_name(l->path), strerror(errno));
}

static bool hand_out(struct ctl_lines *l, size_t len, bool cut, const char **at,
		     size_t *out)
{
	l->buffer[l->at + len] = '\0';
	*at = cut ? NULL : l->buffer + l->at;
	*out = cut ? 0 : len;
	l->at += len + 1;
	return true;
}

bool ctl_lines_next(struct ctl_lines *l, const char **at, size_t *len)
{
	size_t from = 0; /* bytes behind l->at known to have no LF */
	bool cut = false;
	char *lf;

	for (;;) {
		lf = memchr(l->buffer + l->at + from, '\n',
			    l->used - l->at - from);
		if (lf)
			return hand_out(l, (size_t)(lf - l->buffer) - l->at,
					cut, at, len);
		if (l->end)
			break;
		from = l->used - l->at;
		if (from == sizeof(l->buffer)) {
			cut = true;
			l->at = l->used;
			from = 0;
		}
		fill(l);
	}
	if (l->at >= l->used && !cut)
		return false;
	/* The last line has no LF; a full buffer was emptied above, so there is
	 * room for the NUL. */
	hand_out(l, l->used - l->at, cut, at, len);
	l->at = l->used;
	return true;
}

bool ctl_lines_close(struct ctl_lines *lines)
{
	bool fine = !lines->failed;

	close_file(lines->fd);
	free(lines);
	return fine;
}
