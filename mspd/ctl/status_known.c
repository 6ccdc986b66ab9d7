/* SPDX-License-Identifier: MIT */
/*
 * In: the folders of an agent. Out: what its files tell when it does not. Must
 * never open the file of a key, follow a link, wait, nor take more memory than
 * a limit.
 */
#include "mspd/ctl/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/audit.h"

/* Of status.json, in bytes, and of the end of the trail that is looked at. */
#define STATUS_MAX ((size_t)1024 * 1024)
#define TAIL_MAX   ((size_t)64 * 1024)
#define KEY_END	   ".key"
#define HEXDIGITS  "0123456789abcdefABCDEF-"

static bool name_it(struct ctl_known_file *file, const char *folder,
		    const char *name)
{
	int n = snprintf(file->path, sizeof(file->path), "%s/%s", folder, name);

	file->error = ENAMETOOLONG;
	return *folder && n > 0 && (size_t)n < sizeof(file->path);
}

static void tell_age(struct ctl_known_file *file, const struct stat *st)
{
	const time_t now = time(NULL);

	file->error = 0;
	file->age_s = now > st->st_mtim.tv_sec
			      ? (uint64_t)(now - st->st_mtim.tv_sec)
			      : 0;
}

/* At most @limit bytes of it, the last ones. */
static bool read_end(struct ctl_text *out, int fd, off_t size, size_t limit)
{
	off_t at = (uint64_t)size > limit ? size - (off_t)limit : 0;
	char piece[4096];
	ssize_t n;

	while (out->len < limit) {
		n = pread(fd, piece, sizeof(piece), at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		ctl_put_bytes(out, piece, (size_t)n);
		at += n;
	}
	return true;
}

/* False: it is not there, or not what it must be. */
static bool read_file(struct ctl_text *out, struct ctl_known_file *file,
		      size_t limit)
{
	struct stat st;
	bool fine;
	int fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
					  O_CLOEXEC | O_NOCTTY);

	file->error = errno;
	if (fd < 0)
		return false;
	file->error = EINVAL;
	fine = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       read_end(out, fd, st.st_size, limit);
	close(fd);
	if (fine)
		tell_age(file, &st);
	return fine && out->len;
}

/* ---- keys -------------------------------------------------------------- */

static bool is_key(const char *name)
{
	return strspn(name, HEXDIGITS) == MSP_GUID_LEN &&
	       !strcmp(name + MSP_GUID_LEN, KEY_END);
}

static void take_key(struct ctl_known *out, int folder, const char *name,
		     struct timespec *newest)
{
	struct stat st;

	if (!is_key(name) ||
	    fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return;
	if (*out->guid && (st.st_mtim.tv_sec < newest->tv_sec ||
			   (st.st_mtim.tv_sec == newest->tv_sec &&
			    st.st_mtim.tv_nsec <= newest->tv_nsec)))
		return;
	*newest = st.st_mtim;
	memcpy(out->guid, name, MSP_GUID_LEN);
	out->open = st.st_uid != 0 || (st.st_mode & (S_IRWXG | S_IRWXO));
	tell_age(&out->key, &st);
}

static void look_at_keys(struct ctl_known *out, const char *folder)
{
	char name[MSP_GUID_LEN + sizeof(KEY_END)];
	struct timespec newest = { 0 };
	struct dirent *entry;
	DIR *dir = opendir(folder);

	snprintf(out->key.path, sizeof(out->key.path), "%s", folder);
	out->key.error = dir ? ENOENT : errno;
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		take_key(out, dirfd(dir), entry->d_name, &newest);
	closedir(dir);
	if (!*out->guid)
		return;
	snprintf(name, sizeof(name), "%s" KEY_END, out->guid);
	if (!name_it(&out->key, folder, name))
		return;
	out->key.error = 0;
}

/* ---- the others -------------------------------------------------------- */

static void look_at_status(struct ctl_known *out, const char *folder)
{
	struct ctl_text text = { 0 };

	if (name_it(&out->status, folder, "status.json") &&
	    read_file(&text, &out->status, STATUS_MAX))
		out->document = ctl_json_parse(text.at, text.len);
	ctl_text_free(&text);
}

static void look_at_listener(struct ctl_known *out, const char *folder)
{
	struct ctl_text text = { 0 };

	if (name_it(&out->listener, folder, "listener") &&
	    read_file(&text, &out->listener, sizeof(out->address) - 1))
		snprintf(out->address, sizeof(out->address), "%.*s",
			 (int)strcspn(text.at, "\n"), text.at);
	ctl_text_free(&text);
}

/* Its end may begin within a line; only what is a record counts. */
static void take_records(struct ctl_known *out, struct ctl_text *text)
{
	static struct ctl_audit record;
	char *end = text->at + text->len;
	char *line;

	while (end > text->at && out->n < CTL_KNOWN_RECORDS) {
		*--end = '\0'; /* a line break */
		line = memrchr(text->at, '\n', (size_t)(end - text->at));
		line = line ? line + 1 : text->at;
		if (ctl_audit_parse(&record, line, (size_t)(end - line)) &&
		    !record.torn)
			out->records[out->n++] =
				ctl_copy(line, (size_t)(end - line));
		end = line;
	}
}

static void look_at_trail(struct ctl_known *out,
			  const struct mspd_config *config)
{
	const char *folder =
		*config->log_dir ? config->log_dir : config->status_dir;
	struct ctl_text text = { 0 };
	const char *last;

	if (name_it(&out->trail, folder, "audit.jsonl") &&
	    read_file(&text, &out->trail, TAIL_MAX)) {
		last = memrchr(text.at, '\n', text.len);
		text.len = last ? (size_t)(last + 1 - text.at) : 0;
		take_records(out, &text);
	}
	ctl_text_free(&text);
}

void ctl_known_look(struct ctl_known *out, const struct mspd_config *config)
{
	memset(out, 0, sizeof(*out));
	look_at_status(out, config->status_dir);
	look_at_keys(out, config->key_dir);
	look_at_listener(out, config->run_dir);
	look_at_trail(out, config);
}

void ctl_known_free(struct ctl_known *known)
{
	size_t i;

	yajl_tree_free(known->document);
	for (i = 0; i < known->n; i++)
		free(known->records[i]);
	memset(known, 0, sizeof(*known));
}
