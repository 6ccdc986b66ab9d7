/* SPDX-License-Identifier: MIT */
/*
 * In: names of files that are written and renamed meanwhile. Out: their lines,
 * oldest first. Must never pass over a line in silence, nor take more memory
 * than a line can have, whatever the files are.
 */
#include "mspd/ctl/trail.h"
#include "mspd/rotate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "audit.jsonl"
/* More files than the agent ever keeps; each has a descriptor. */
#define FILES_MAX 64
#define WAIT_MS	  200
/* The agent is given this time to end a line it is writing. */
#define END_TRIES 10
#define END_MS	  20

struct source {
	char *path;
	int fd;
};

struct ctl_trail {
	bool follow, failed, by_folder;
	char *dir;  /* of the file that is renamed; NULL: of none */
	char *base; /* its name there */
	struct source *sources;
	size_t n, room;
	size_t before; /* of the folder's, those that are older than base */
	size_t now;    /* the source that is read */
	size_t files;
	uint64_t line;
	int tries;
	size_t at;   /* first byte of buffer that is not handed out */
	size_t used; /* bytes in buffer */
	bool cut;    /* the beginning of this line is gone */
	char buffer[CTL_LINE_MAX + 1];
};

/* ---- sources ------------------------------------------------------------ */

static void add(struct ctl_trail *t, char *path, int fd)
{
	t->sources =
		ctl_grow(t->sources, &t->room, t->n + 1, sizeof(*t->sources));
	t->sources[t->n++] = (struct source){ .path = path, .fd = fd };
}

static char *join(const char *dir, const char *name)
{
	struct ctl_text path = { 0 };

	ctl_put(&path, dir);
	ctl_put(&path, "/");
	ctl_put(&path, name);
	return path.at;
}

static int open_source(const char *path)
{
	if (!strcmp(path, "-"))
		return STDIN_FILENO;
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* Nobody has named this one: it must not lead elsewhere, nor be waited for. */
static int open_found(const char *path)
{
	return open(path,
		    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
}

static int compare_sources(const void *a, const void *b)
{
	return ctl_trail_order(((const struct source *)a)->path,
			       ((const struct source *)b)->path);
}

static bool same_file(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(other, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* All of a folder, in order; the file that is written is open already, so that
 * it is there though it may be renamed meanwhile. */
static bool add_folder(struct ctl_trail *t, int current)
{
	struct dirent *entry;
	DIR *dir = opendir(t->dir);
	bool twice = false;
	char *path;
	int fd;

	if (!dir) {
		ctl_fail("%s: %s", t->dir, strerror(errno));
		return false;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!ctl_trail_renamed(t->base, entry->d_name))
			continue;
		if (t->n == FILES_MAX) {
			ctl_fail("%s: more than %d files of a trail: name them",
				 t->dir, FILES_MAX);
			t->failed = true;
			break;
		}
		path = join(t->dir, entry->d_name);
		t->before++;
		fd = open_found(path);
		if (fd >= 0) {
			twice |= current >= 0 && same_file(fd, current);
			add(t, path, fd);
			continue;
		}
		if (errno != ENOENT) { /* or it was rotated away */
			ctl_fail("%s: %s", path, strerror(errno));
			t->failed = true;
		}
		free(path);
	}
	closedir(dir);
	if (t->n)
		qsort(t->sources, t->n, sizeof(*t->sources), compare_sources);
	if (current >= 0 && !twice)
		add(t, join(t->dir, t->base), current);
	else if (current >= 0)
		close(current);
	return true;
}

static bool open_folder(struct ctl_trail *t, const char *config)
{
	char *path;
	int fd;

	t->dir = ctl_trail_folder(config);
	if (!t->dir)
		return false;
	t->base = ctl_copy(NAME, strlen(NAME));
	t->by_folder = true;
	path = join(t->dir, t->base);
	fd = open_source(path);
	if (fd < 0 && errno != ENOENT) {
		ctl_fail("%s: %s", path, strerror(errno));
		free(path);
		return false;
	}
	free(path);
	if (!add_folder(t, fd))
		return false;
	if (!t->n)
		ctl_fail("%s: no " NAME, t->dir);
	return t->n > 0;
}

static bool open_files(struct ctl_trail *t, const struct ctl_list *files)
{
	const char *slash;
	size_t i;
	int fd;

	for (i = 0; i < files->n; i++) {
		fd = open_source(files->at[i]);
		if (fd < 0) {
			ctl_fail("%s: %s", files->at[i], strerror(errno));
			return false;
		}
		add(t, ctl_copy(files->at[i], strlen(files->at[i])), fd);
	}
	qsort(t->sources, t->n, sizeof(*t->sources), compare_sources);
	if (!t->follow)
		return true;
	slash = strrchr(files->at[0], '/');
	t->dir = slash ? ctl_copy(files->at[0], (size_t)(slash - files->at[0]))
		       : ctl_copy(".", 1);
	t->base = slash ? ctl_copy(slash + 1, strlen(slash + 1))
			: ctl_copy(files->at[0], strlen(files->at[0]));
	return true;
}

struct ctl_trail *ctl_trail_open(const struct ctl_trail_opts *opts)
{
	struct ctl_trail *t = ctl_alloc(1, sizeof(*t));
	bool fine;

	t->follow = opts->follow;
	if (opts->files->n)
		fine = open_files(t, opts->files);
	else
		fine = open_folder(t, opts->config);
	if (fine)
		return t;
	ctl_trail_close(t);
	return NULL;
}

bool ctl_trail_close(struct ctl_trail *t)
{
	bool fine = !t->failed;
	size_t i;

	for (i = 0; i < t->n; i++) {
		if (t->sources[i].fd > STDIN_FILENO)
			close(t->sources[i].fd);
		free(t->sources[i].path);
	}
	free(t->sources);
	free(t->dir);
	free(t->base);
	free(t);
	return fine;
}

bool ctl_trail_complete(const struct ctl_trail *t)
{
	return t->by_folder && t->before < MSPD_ROTATE_FILES - 1;
}

size_t ctl_trail_files(const struct ctl_trail *t)
{
	return t->files;
}

/* ---- the files that are yet to come ------------------------------------- */

/* What was read is done with. Those behind it are read again from the folder:
 * there may be more of them by now. */
static bool add_newer(struct ctl_trail *t)
{
	const int old = t->sources[t->now].fd;
	char *path = join(t->dir, t->base);
	int current = open_source(path);
	size_t from, i;

	free(path);
	for (i = 0; i < t->n; i++) {
		if (i != t->now && t->sources[i].fd > STDIN_FILENO)
			close(t->sources[i].fd);
		free(t->sources[i].path);
	}
	t->n = 0;
	if (!add_folder(t, current)) {
		t->failed = true;
		close(old);
		return false;
	}
	for (from = 0; from < t->n; from++)
		if (same_file(t->sources[from].fd, old))
			break;
	if (from == t->n) {
		ctl_note("files were removed before they were read");
		t->now = 0;
	} else {
		t->now = from + 1;
	}
	close(old);
	return true;
}

/* ---- bytes -------------------------------------------------------------- */

/* More bytes behind those that are left; 0: the end of the file. */
static size_t fill(struct ctl_trail *t)
{
	const struct source *from = &t->sources[t->now];
	ssize_t n;

	memmove(t->buffer, t->buffer + t->at, t->used - t->at);
	t->used -= t->at;
	t->at = 0;
	if (t->used == CTL_LINE_MAX + 1) { /* only the end is of use */
		t->cut = true;
		t->used = 0;
	}
	do
		n = read(from->fd, t->buffer + t->used,
			 sizeof(t->buffer) - t->used);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		ctl_fail("%s: %s", ctl_file_name(from->path), strerror(errno));
		t->failed = true;
		return 0;
	}
	t->used += (size_t)n;
	return (size_t)n;
}

static bool hand_out(struct ctl_trail *t, size_t len, bool ended,
		     struct ctl_trail_line *out)
{
	const bool cut = t->cut || len > CTL_LINE_MAX;

	if (!cut)
		t->buffer[t->at + len] = '\0';
	out->at = cut ? NULL : t->buffer + t->at;
	out->len = cut ? 0 : len;
	out->ended = ended;
	out->file = ctl_file_name(t->sources[t->now].path);
	out->line = ++t->line;
	t->at += len + ended;
	t->cut = false;
	t->tries = 0;
	return true;
}

static bool is_last(const struct ctl_trail *t)
{
	return t->now + 1 == t->n;
}

/* Half a line at the very end: it is being written, perhaps. */
static bool may_grow(struct ctl_trail *t)
{
	if (!is_last(t) || t->used == t->at || t->tries++ >= END_TRIES)
		return false;
	usleep(END_MS * 1000);
	return true;
}

/* Is there another file by the name of the one that was read? */
static bool was_renamed(const struct ctl_trail *t)
{
	char *path = join(t->dir, t->base);
	int fd = open_source(path);
	bool other = fd >= 0 && !same_file(fd, t->sources[t->now].fd);

	free(path);
	if (fd >= 0)
		close(fd);
	return other;
}

/* At the end of the last file: until there is more of it, or another one. */
static void wait_for_more(struct ctl_trail *t)
{
	bool renamed = false;

	while (!t->failed && !memchr(t->buffer, '\n', t->used)) {
		if (fill(t))
			continue;
		if (renamed) /* and all is read that came before it was */
			return;
		renamed = was_renamed(t);
		if (!renamed)
			usleep(WAIT_MS * 1000);
	}
}

/* The next file; false: there is none. */
static bool next_file(struct ctl_trail *t)
{
	if (t->failed)
		return false;
	if (!is_last(t))
		t->now++;
	else if (!t->follow || !add_newer(t) || t->now == t->n)
		return false;
	t->line = 0;
	t->at = t->used = 0;
	t->files++;
	return true;
}

bool ctl_trail_next(struct ctl_trail *t, struct ctl_trail_line *out)
{
	const char *lf;

	t->files += !t->files;
	for (;;) {
		lf = memchr(t->buffer + t->at, '\n', t->used - t->at);
		if (lf)
			return hand_out(t, (size_t)(lf - t->buffer) - t->at,
					true, out);
		if (fill(t))
			continue;
		if (t->follow && is_last(t) && !t->failed) {
			wait_for_more(t);
			if (memchr(t->buffer, '\n', t->used))
				continue;
		} else if (may_grow(t)) {
			continue;
		}
		if (t->used > t->at || t->cut)
			return hand_out(t, t->used - t->at, false, out);
		if (!next_file(t))
			return false;
	}
}
