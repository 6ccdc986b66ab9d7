/* SPDX-License-Identifier: MIT */
/*
 * In: /proc/self/mountinfo, numbers of cgroups. Out: the mount point of
 * cgroup v2, and paths below it. Must never run another program to find out.
 */
#include "libmsp/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libmsp/info.h"
#include "libmsp/mem.h"

#define MOUNTINFO	  "/proc/self/mountinfo"
#define MOUNT_POINT_FIELD 5
#define FILEID_KERNFS	  0xfe /* file handle: the 64-bit number alone */
#define DELETED		  " (deleted)"

/* proc(5): blank, tab, line feed and backslash are written as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
		    text[3] <= '7') {
			*out++ = (char)((text[1] - '0') * 64 +
					(text[2] - '0') * 8 + (text[3] - '0'));
			text += 4;
			continue;
		}
		*out++ = *text++;
	}
	*out = '\0';
}

struct mount {
	char *root;  /* what of the file system is mounted, "/": all of it */
	char *point; /* where */
};

/* "36 35 98:0 /a /mnt rw,noatime shared:1 - cgroup2 cgroup2 rw" -> "/a",
 * "/mnt"; false: this is no mount of cgroup v2 */
static bool parse_cgroup2(char *line, struct mount *out)
{
	char *dash = strstr(line, " - ");
	char *save = NULL;
	char *field;
	int i;

	out->root = out->point = NULL;
	if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0)
		return false;
	*dash = '\0';
	field = strtok_r(line, " ", &save);
	for (i = 1; field && i < MOUNT_POINT_FIELD; i++) {
		out->root = field;
		field = strtok_r(NULL, " ", &save);
	}
	if (!field)
		return false;
	out->point = field;
	unescape(out->root);
	unescape(out->point);
	return true;
}

typedef bool mount_fits(const struct mount *mount, const char *best,
			const void *arg);

/* The mount point that fits is asked about last and fits is true; NULL if
 * there is none. */
static int find_mount(char **out, mount_fits *fits, const void *arg,
		      struct msp_error_info *info)
{
	struct mount mount;
	size_t size = 0;
	char *line = NULL;
	FILE *file;
	int rc = 0;

	*out = NULL;
	file = fopen(MOUNTINFO, "re");
	if (!file)
		return msp_fail_sys(info, errno, "cannot read %s", MOUNTINFO);
	while (rc == 0 && getline(&line, &size, file) > 0) {
		if (!parse_cgroup2(line, &mount) || !fits(&mount, *out, arg))
			continue;
		msp_mem_free(*out);
		*out = msp_mem_strndup(mount.point, strlen(mount.point));
		if (!*out)
			rc = msp_fail(info, MSP_ERR_NOMEM, "out of memory");
	}
	free(line);
	fclose(file);
	return rc;
}

/* The innermost one that a directory is at or below; of several in one place
 * the last, which hides the others. */
static bool fits_dir(const struct mount *mount, const char *best,
		     const void *dir)
{
	return msp_cgroup_inside(dir, mount->point) &&
	       (!best || strlen(mount->point) >= strlen(best));
}

/* The first one that shows all there is: to what governs only a part, such
 * as another container's, most processes would be strangers. */
static bool fits_whole(const struct mount *mount, const char *best,
		       const void *unused)
{
	(void)unused;
	return !best && strcmp(mount->root, "/") == 0;
}

static bool fits_any(const struct mount *mount, const char *best,
		     const void *unused)
{
	(void)mount;
	(void)unused;
	return !best;
}

int msp_cgroup_mount(char **out, struct msp_error_info *info)
{
	char *part;
	int rc;

	rc = find_mount(out, fits_whole, NULL, info);
	if (rc < 0 || *out)
		return rc;
	rc = find_mount(&part, fits_any, NULL, info);
	if (rc < 0)
		return rc;
	if (!part)
		return msp_fail(info, MSP_ERR_NOENT,
				"cgroup v2 is not mounted");
	rc = msp_fail(info, MSP_ERR_UNSUPPORTED,
		      "only a part of the cgroup v2 hierarchy is mounted, at "
		      "'%s'",
		      part);
	msp_mem_free(part);
	return rc;
}

bool msp_cgroup_inside(const char *path, const char *below)
{
	size_t len = strlen(below);

	while (len > 0 && below[len - 1] == '/')
		len--;
	return strncmp(path, below, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

/* What /proc/self/fd says: how the kernel itself spells it. */
static int path_of(int fd, char *out, size_t size, struct msp_error_info *info)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size);
	if (n < 0)
		return msp_fail_sys(info, errno, "cannot read %s", link);
	if ((size_t)n >= size)
		return msp_fail(info, MSP_ERR_LIMIT, "path is too long");
	out[n] = '\0';
	return 0;
}

/* "/sys/fs/cgroup/a" below "/sys/fs/cgroup" is "/a", the mount point "/" */
static const char *strip_mount(const char *path, const char *mount)
{
	const char *rest;

	if (!msp_cgroup_inside(path, mount))
		return NULL;
	rest = strcmp(mount, "/") == 0 ? path : path + strlen(mount);
	return *rest ? rest : "/";
}

int msp_cgroup_place(int dir_fd, char **mount, char **below,
		     struct msp_error_info *info)
{
	char path[PATH_MAX];
	const char *rest;
	int rc;

	*mount = NULL;
	*below = NULL;
	rc = path_of(dir_fd, path, sizeof(path), info);
	if (rc < 0)
		return rc;
	rc = find_mount(mount, fits_dir, path, info);
	if (rc < 0)
		return rc;
	if (!*mount)
		return msp_fail(info, MSP_ERR_UNSUPPORTED,
				"%s is in no cgroup v2 file system", path);
	rest = strip_mount(path, *mount);
	*below = rest ? msp_mem_strndup(rest, strlen(rest)) : NULL;
	if (*below)
		return 0;
	msp_mem_free(*mount);
	*mount = NULL;
	return msp_fail(info, MSP_ERR_NOMEM, "out of memory");
}

/* A cgroup is found by its number like a file by an NFS handle. */
static int open_number(int dir_fd, uint64_t id)
{
	struct {
		struct file_handle head;
		unsigned char number[8];
	} handle = { .head = { .handle_bytes = sizeof(id),
			       .handle_type = FILEID_KERNFS } };

	memcpy(handle.head.f_handle, &id, sizeof(id));
	return open_by_handle_at(dir_fd, &handle.head, O_PATH | O_CLOEXEC);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

int msp_cgroup_path(int dir_fd, const char *mount, uint64_t id, char *out,
		    size_t size, struct msp_error_info *info)
{
	char path[PATH_MAX];
	const char *rest;
	int fd, rc;

	fd = open_number(dir_fd, id);
	if (fd < 0 && (errno == ESTALE || errno == ENOENT))
		return msp_fail(info, MSP_ERR_NOENT, "the cgroup is gone");
	if (fd < 0)
		return msp_fail_sys(info, errno, "cannot open a cgroup");
	rc = path_of(fd, path, sizeof(path), info);
	close(fd);
	if (rc < 0)
		return rc;
	rest = strip_mount(path, mount);
	if (!rest || ends_with(rest, DELETED))
		return msp_fail(info, MSP_ERR_NOENT, "the cgroup is gone");
	if (strlen(rest) >= size)
		return msp_fail(info, MSP_ERR_LIMIT, "path is too long");
	memcpy(out, rest, strlen(rest) + 1);
	return 0;
}
