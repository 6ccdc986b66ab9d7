/* SPDX-License-Identifier: MIT */
/*
 * In: paths, documents. Out: texts and members that are there. Must never
 * follow a path out of its root by name, wait for a file, or take all of a
 * large one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mspd/ctl/doctor.h"

int ctl_open(const struct ctl_doctor *d, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT,
	};
	int root, fd, err;

	if (!(flags & O_PATH))
		how.flags |= O_NOCTTY | O_NONBLOCK;
	if (!*d->root)
		return open(path, (int)how.flags);
	root = open(d->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	err = errno;
	close(root);
	errno = err;
	return fd;
}

DIR *ctl_open_folder(const struct ctl_doctor *d, const char *path)
{
	int fd = ctl_open(d, path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

FILE *ctl_open_file(const struct ctl_doctor *d, const char *path)
{
	int fd = ctl_open(d, path, O_RDONLY);
	FILE *file = NULL;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

int ctl_stat(const struct ctl_doctor *d, const char *path, struct stat *out)
{
	int fd = ctl_open(d, path, O_PATH | O_NOFOLLOW);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fstat(fd, out) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int read_some(struct ctl_text *out, int fd)
{
	char *block = ctl_alloc(1, 4096);
	ssize_t n = 1;
	int err = 0;

	while (n > 0 && out->len < CTL_PEEK_MAX) {
		n = read(fd, block, 4096);
		if (n > 0)
			ctl_put_bytes(out, block, (size_t)n);
		else if (n < 0)
			err = -errno;
	}
	free(block);
	return err;
}

int ctl_peek(const struct ctl_doctor *d, struct ctl_text *out, const char *path)
{
	int fd = ctl_open(d, path, O_RDONLY);
	int rc = fd < 0 ? -errno : 0;

	ctl_put(out, "");
	if (fd < 0)
		return rc;
	rc = read_some(out, fd);
	close(fd);
	return rc;
}

bool ctl_there(const struct ctl_doctor *d, const char *path)
{
	int fd = ctl_open(d, path, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- documents --------------------------------------------------------- */

yajl_val ctl_told_endpoint(const struct ctl_doctor *d,
			   enum msp_endpoint endpoint)
{
	yajl_val list = ctl_json_get(d->told, "endpoints");
	const char *word = ctl_endpoint_word(endpoint);
	const char *name;
	size_t i;

	for (i = 0; i < ctl_json_length(list); i++) {
		name = ctl_json_text(ctl_json_at(list, i), "name");
		if (name && !strcmp(name, word))
			return ctl_json_at(list, i);
	}
	return NULL;
}

bool ctl_line_of(const char *text, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, name, len) != 0)
			continue;
		text += len;
		text += strspn(text, " \t");
		snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
		return true;
	}
	return false;
}

void ctl_own_cgroup(const struct ctl_doctor *d, char out[PATH_MAX])
{
	struct ctl_text text = { 0 };
	char own[PATH_MAX / 2] = "";

	ctl_peek(d, &text, "/proc/self/cgroup");
	ctl_line_of(text.at, "0::", own, sizeof(own));
	ctl_text_free(&text);
	snprintf(out, PATH_MAX, "%s%s", d->mount, own);
}

bool ctl_other_network(const struct ctl_doctor *d)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/ns/net", d->agent);
	return d->agent && stat("/proc/self/ns/net", &ours) == 0 &&
	       stat(path, &theirs) == 0 && ours.st_ino != theirs.st_ino;
}
