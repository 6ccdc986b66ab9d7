/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's folders. Out: whether they can be written, and are closed to
 * others where keys are. Must never open a file with a key.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "mspd/ctl/doctor.h"

#define KEY ".key"
/* Of keys that are looked at. */
#define KEYS 64
/* Least room, in bytes and in files; below the second it is worth a word. The
 * logs take up to 150 MiB. */
#define NO_ROOM	    ((uint64_t)1024 * 1024)
#define LITTLE_ROOM ((uint64_t)256 * 1024 * 1024)
#define NO_FILES    16

static const char closed[] =
	"chown root: and chmod go= it; if others may have read a key, also "
	"reset it: raise keyIncarnationId in the VM model";

/* ---- keys --------------------------------------------------------------- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* false: said what is wrong */
static bool is_closed(struct ctl_doctor *d, const char *what,
		      const struct stat *st)
{
	if (is_ours(st) && !(st->st_mode & 077))
		return true;
	ctl_find(d, CTL_ILL, "key", closed, "%s: of user %u, with mode %04o",
		 what, st->st_uid, st->st_mode & 07777);
	return false;
}

static bool is_key(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(KEY) && !strcmp(name + len - strlen(KEY), KEY);
}

struct keys {
	size_t n;
	size_t open; /* to others */
	time_t newest;
	char name[NAME_MAX + 1]; /* of that one */
};

static void look_at(struct ctl_doctor *d, struct keys *keys, int fd,
		    const char *name)
{
	struct stat st;

	if (!is_key(name) || keys->n >= KEYS ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	keys->n++;
	if (!S_ISREG(st.st_mode)) {
		ctl_find(d, CTL_DOUBT, "key", "remove it",
			 "%s is no file, and not used", name);
		return;
	}
	keys->open += !is_closed(d, name, &st);
	if (st.st_mtim.tv_sec < keys->newest)
		return;
	keys->newest = st.st_mtim.tv_sec;
	snprintf(keys->name, sizeof(keys->name), "%s", name);
}

static void tell_keys(struct ctl_doctor *d, const struct keys *keys)
{
	bool has = ctl_json_true(ctl_json_get(d->told, "key"), "present");
	const char *stored =
		ctl_json_text(ctl_json_get(d->told, "key"), "stored");

	if (has && !stored)
		ctl_find(
			d, CTL_ILL, "key",
			"let root write to the key folder, and make room; then "
			"restart the agent",
			"the agent's is not on the disk: the next start will "
			"be without");
	else if (d->told && !has && keys->n)
		ctl_find(d, CTL_DOUBT, "key", "see agent and host",
			 "%s is on the disk, but the agent does not use it",
			 keys->name);
	else if (!keys->n)
		ctl_find(
			d, CTL_DOUBT, "key",
			"none is needed while MSP is off for this VM; else see "
			"agent and host",
			"there is none");
	else if (!keys->open)
		ctl_find(d, CTL_WELL, "key", NULL,
			 "%s, %lld s old, closed to others", keys->name,
			 (long long)(time(NULL) - keys->newest));
}

static void look_into(struct ctl_doctor *d, DIR *dir)
{
	struct keys keys = { 0 };
	const struct dirent *entry;

	while ((entry = readdir(dir)))
		look_at(d, &keys, dirfd(dir), entry->d_name);
	tell_keys(d, &keys);
}

void ctl_check_keys(struct ctl_doctor *d)
{
	const struct keys none = { 0 };
	const char *path = d->config.key_dir;
	struct stat st;
	int rc = ctl_stat(d, path, &st);
	DIR *dir = NULL;

	if (rc == -ENOENT)
		tell_keys(d, &none);
	else if (rc == 0 && !S_ISDIR(st.st_mode))
		ctl_find(d, CTL_ILL, "key",
			 "make it a directory of root's, mode 0700",
			 "%s is no directory", d->config.key_dir);
	else if ((dir = ctl_open_folder(d, path)) &&
		 fstat(dirfd(dir), &st) == 0 &&
		 is_closed(d, d->config.key_dir, &st))
		look_into(d, dir);
	else if (!dir)
		ctl_find(d, CTL_DOUBT, "key", ctl_remedy_root, "%s: %s",
			 d->config.key_dir, strerror(errno));
	if (dir)
		closedir(dir);
}

/* ---- files that only root may write to ---------------------------------- */

/* Whoever may change one of these is as good as root, or has the keys. */
static bool find_writable(struct ctl_doctor *d, const char *path)
{
	struct stat st;

	if (ctl_stat(d, path, &st) < 0 || S_ISLNK(st.st_mode) ||
	    (is_ours(&st) && !(st.st_mode & 022)))
		return false;
	ctl_find(d, CTL_ILL, "modes",
		 "chown root: and chmod go-w it, and see that it is what it "
		 "was",
		 "%s: of user %u, with mode %04o: others may change it", path,
		 st.st_uid, st.st_mode & 07777);
	return true;
}

void ctl_check_modes(struct ctl_doctor *d)
{
	static const char *const installed[] = {
		"/usr/sbin/mspd",
		"/usr/sbin/azure-proxy-agent",
		"/usr/lib/systemd/system/mspd.service",
		"/usr/lib/systemd/system/azure-proxy-agent.service",
		"/etc/systemd/system/azure-proxy-agent.service",
	};
	const char *const own[] = { d->path, d->config.log_dir,
				    d->config.status_dir, d->config.run_dir };
	char *rules = NULL;
	bool found = false;
	size_t i;

	if (asprintf(&rules, "%s/../rules", d->config.key_dir) < 0)
		ctl_no_memory();
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (*own[i])
			found |= find_writable(d, own[i]);
	for (i = 0; i < sizeof(installed) / sizeof(installed[0]); i++)
		found |= find_writable(d, installed[i]);
	found |= find_writable(d, rules);
	free(rules);
	if (!found)
		ctl_find(
			d, CTL_WELL, "modes", NULL,
			"nobody but root may change what the agent is made of");
}

/* ---- room --------------------------------------------------------------- */

struct room {
	dev_t seen[4];
	size_t n;
	uint64_t least;
	const char *at;
	bool bad;
};

/* Of the folder, or of the first one above it that is there. */
static bool ask_room(const struct ctl_doctor *d, const char *folder,
		     struct statvfs *fs, struct stat *st)
{
	char *path = ctl_copy(folder, strlen(folder));
	bool found = false;
	char *slash;
	int fd;

	for (;;) {
		fd = ctl_open(d, path, O_PATH);
		found = fd >= 0 && fstat(fd, st) == 0 && fstatvfs(fd, fs) == 0;
		if (fd >= 0)
			close(fd);
		slash = found ? NULL : strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	free(path);
	return found;
}

static bool was_seen(struct room *room, dev_t dev)
{
	size_t i;

	for (i = 0; i < room->n; i++)
		if (room->seen[i] == dev)
			return true;
	room->seen[room->n++] = dev;
	return false;
}

static void look_for_room(struct ctl_doctor *d, struct room *room,
			  const char *folder)
{
	struct statvfs fs;
	struct stat st;
	uint64_t left;

	if (!ask_room(d, folder, &fs, &st) || was_seen(room, st.st_dev))
		return;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (!room->at || left < room->least) {
		room->least = left;
		room->at = folder;
	}
	if (fs.f_flag & ST_RDONLY)
		ctl_find(d, CTL_ILL, "disk",
			 "mount it for writing (see dmesg for why it is not), "
			 "then restart the agent",
			 "%s is read-only", folder);
	else if (left < NO_ROOM || (fs.f_files && fs.f_favail < NO_FILES))
		ctl_find(d, CTL_ILL, "disk", "make room there",
			 "%s has %llu KiB and %llu files left", folder,
			 (unsigned long long)left / 1024,
			 (unsigned long long)fs.f_favail);
	else
		return;
	room->bad = true;
}

void ctl_check_disk(struct ctl_doctor *d)
{
	struct room room = { .n = 0 };

	look_for_room(d, &room, d->config.key_dir);
	look_for_room(d, &room, d->config.status_dir);
	if (*d->config.log_dir)
		look_for_room(d, &room, d->config.log_dir);
	if (room.bad || !room.at)
		return;
	ctl_find(d, room.least < LITTLE_ROOM ? CTL_DOUBT : CTL_WELL, "disk",
		 room.least < LITTLE_ROOM ? "make room there: logs and records "
					    "take up to 150 MiB"
					  : NULL,
		 "%s has %llu MiB left", room.at,
		 (unsigned long long)room.least / 1024 / 1024);
}
