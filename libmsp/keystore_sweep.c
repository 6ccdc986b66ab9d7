/* SPDX-License-Identifier: MIT */
/*
 * In: a directory of keys, and the one in use. Out: the same without keys
 * that no host will name again. Must never remove the key in use, one that
 * may be another machine's, or a file that is not a key of ours.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libmsp/info.h"
#include "libmsp/key_priv.h"
#include "libmsp/keystore_priv.h"

struct found {
	char guid[MSP_GUID_LEN + 1];
	struct timespec written;
};

struct sweep {
	struct msp_keystore *store;
	enum msp_keystore_sweep what;
	const struct msp_key *key; /* or NULL */
	struct msp_error_info *info;
	int rc;	     /* of the first failure */
	size_t max;  /* how many others may stay */
	size_t used; /* of found */
	struct found found[MSP_KEYSTORE_MAX];
};

static int remove_file(const struct msp_keystore *store, const char *guid,
		       const char *ending, struct msp_error_info *info)
{
	char name[MSP_KEYSTORE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s%s", guid, ending);
	if (unlinkat(store->dir, name, 0) == 0)
		return 0;
	if (errno == ENOENT)
		return msp_fail(info, MSP_ERR_NOENT, "there is no file '%s'",
				name);
	return msp_fail_sys(info, errno, "cannot remove '%s'", name);
}

static void note(struct sweep *s, int rc, const struct msp_error_info *info)
{
	if (rc == 0 || rc == MSP_ERR_NOENT || s->rc < 0)
		return;
	s->rc = rc;
	msp_info_take(s->info, info);
}

static void drop(struct sweep *s, const char *guid, const char *ending)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	note(s, remove_file(s->store, guid, ending, &info), &info);
}

/* A key reset raises the incarnation (spec 5.6), so a lower one is of before.
 * One that is not lower was given to another machine, which this disk has been
 * in or may be put back into. Without numbers there is nothing to tell by. */
static bool is_superseded(const struct msp_key *by, const struct msp_key *key)
{
	uint32_t new, old;

	return !msp_key_incarnation(by, &new) ||
	       !msp_key_incarnation(key, &old) || old < new;
}

static bool is_older(const struct found *a, const struct found *b)
{
	if (a->written.tv_sec != b->written.tv_sec)
		return a->written.tv_sec < b->written.tv_sec;
	return a->written.tv_nsec < b->written.tv_nsec;
}

/* One that stays, unless there are too many: then the oldest goes. */
static void keep(struct sweep *s, const struct found *new)
{
	struct found *oldest = s->found;
	size_t i;

	if (s->used < s->max) {
		s->found[s->used++] = *new;
		return;
	}
	for (i = 1; i < s->used; i++) {
		if (is_older(&s->found[i], oldest))
			oldest = &s->found[i];
	}
	if (is_older(new, oldest)) {
		drop(s, new->guid, ".key");
		return;
	}
	drop(s, oldest->guid, ".key");
	*oldest = *new;
}

static bool is_used(const struct sweep *s)
{
	return s->store->used[0] &&
	       !(s->key &&
		 msp_guid_equal(s->store->used, msp_key_guid(s->key)));
}

static bool stays(const struct sweep *s, const char *guid)
{
	if (s->key && msp_guid_equal(guid, msp_key_guid(s->key)))
		return true;
	return is_used(s) && msp_guid_equal(guid, s->store->used);
}

static void judge_key(struct sweep *s, struct found *file)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_key *key = NULL;
	char name[MSP_KEYSTORE_NAME_SIZE];
	struct stat st;
	bool superseded;
	int rc;

	if (stays(s, file->guid))
		return;
	rc = msp_keystore_read(s->store, &key, file->guid, ".key", &info);
	if (rc == MSP_ERR_NOMEM)
		note(s, rc, &info);
	/* what cannot be read as a key is not ours to remove */
	if (rc < 0)
		return;
	superseded = s->what == MSP_KEYSTORE_SUPERSEDED &&
		     is_superseded(s->key, key);
	msp_key_free(key);
	if (superseded) {
		drop(s, file->guid, ".key");
		return;
	}
	snprintf(name, sizeof(name), "%s.key", file->guid);
	if (fstatat(s->store->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	file->written = st.st_mtim;
	keep(s, file);
}

static void judge(struct sweep *s, const char *name)
{
	struct found file = { .guid = "" };

	if (strlen(name) != MSP_KEYSTORE_NAME_SIZE - 1 ||
	    !msp_guid_valid(name, MSP_GUID_LEN))
		return;
	memcpy(file.guid, name, MSP_GUID_LEN);
	if (strcmp(name + MSP_GUID_LEN, ".tmp") == 0)
		drop(s, file.guid, ".tmp");
	else if (s->what == MSP_KEYSTORE_CRASHED)
		return;
	else if (strcmp(name + MSP_GUID_LEN, ".key") == 0)
		judge_key(s, &file);
	else if (strcmp(name + MSP_GUID_LEN, MSP_KEYSTORE_STAGED) == 0 &&
		 !stays(s, file.guid))
		drop(s, file.guid, MSP_KEYSTORE_STAGED);
}

int msp_keystore_sweep(struct msp_keystore *store, enum msp_keystore_sweep what,
		       const struct msp_key *key, struct msp_error_info *info)
{
	struct sweep s = {
		.store = store, .what = what, .key = key, .info = info
	};
	struct dirent *entry;
	DIR *dir;
	int fd;

	s.max = MSP_KEYSTORE_MAX - (key ? 1 : 0) - (is_used(&s) ? 1 : 0);
	/* of its own: reading moves the position that is shared by a dup() */
	fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		s.rc = msp_fail_sys(info, errno, "cannot read '%s'",
				    store->path);
		if (fd >= 0)
			close(fd);
		return s.rc;
	}
	while ((entry = readdir(dir)) != NULL)
		judge(&s, entry->d_name);
	closedir(dir);
	return s.rc;
}

int msp_keystore_prune(struct msp_keystore *store, const struct msp_key *key,
		       struct msp_error_info *info)
{
	int rc;

	if (!store || !key)
		return msp_fail(info, MSP_ERR_INVAL, "no store or no key");
	rc = msp_keystore_lock(store, info);
	if (rc < 0)
		return rc;
	msp_keystore_use(store, key);
	return msp_keystore_sweep(store, MSP_KEYSTORE_SUPERSEDED, key, info);
}

int msp_keystore_remove(struct msp_keystore *store, const char *guid,
			struct msp_error_info *info)
{
	int rc;

	if (!store || !guid ||
	    !msp_guid_valid(guid, strnlen(guid, MSP_GUID_LEN + 1)))
		return msp_fail(info, MSP_ERR_INVAL, "not a guid");
	rc = msp_keystore_lock(store, info);
	return rc < 0 ? rc : remove_file(store, guid, ".key", info);
}
