/* SPDX-License-Identifier: MIT */
/*
 * In: a uid. Out: names of the user and of its groups, and a cache of them.
 * Must never mix the groups of one process into the answer for its user.
 */
#include "mspd/names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* Entries of a set; a cache is an array of sets, found by uid. */
#define WAYS 4
#define SETS (MSPD_NAMES_CACHE / WAYS)
/* Bounds for what NSS may ask for. */
#define ENTRY_BYTES_MAX (1024 * 1024)
#define GROUPS_MAX	65536
#define LOOK_MS		1000

/* ---- answers ----------------------------------------------------------- */

static uint64_t boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct mspd_names *mspd_names_ref(struct mspd_names *names)
{
	atomic_fetch_add(&names->owners, 1);
	return names;
}

void mspd_names_free(struct mspd_names *names)
{
	size_t i;

	if (!names || atomic_fetch_sub(&names->owners, 1) != 1)
		return;
	for (i = 0; i < names->n_groups; i++)
		free(names->groups[i]);
	free(names->groups);
	free(names->user_name);
	free(names);
}

void mspd_names_apply(const struct mspd_names *names, struct msp_caller *caller)
{
	caller->user_name = names->user_name;
	caller->groups = (const char *const *)names->groups;
	caller->n_groups = names->n_groups;
	caller->flags |= MSP_CALLER_NAMES;
}

/* ---- NSS --------------------------------------------------------------- */

/* What getpwuid_r(3) says when there is no such entry, depending on who
 * answers; everything else is a failure to ask. */
static bool means_absent(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH;
}

static bool grow(char **buffer, size_t *size)
{
	char *more;

	if (*size >= ENTRY_BYTES_MAX)
		return false;
	more = realloc(*buffer, *size * 2);
	if (!more)
		return false;
	*buffer = more;
	*size *= 2;
	return true;
}

/* Returns 0 with @found set or not, or an errno. */
static int find_user(uint32_t uid, struct passwd *entry, char **buffer,
		     size_t *size, bool *found)
{
	struct passwd *result = NULL;
	int error;

	for (;;) {
		error = getpwuid_r((uid_t)uid, entry, *buffer, *size, &result);
		if (error == EINTR)
			continue;
		if (error != ERANGE || !grow(buffer, size))
			break;
	}
	*found = result != NULL;
	return result || means_absent(error) ? 0 : error;
}

/* Name of a group, NULL if it has none; @complete is cleared on a failure. */
static char *group_name(gid_t gid, char **buffer, size_t *size, bool *complete)
{
	struct group entry;
	struct group *result = NULL;
	char *name = NULL;
	int error;

	for (;;) {
		error = getgrgid_r(gid, &entry, *buffer, *size, &result);
		if (error == EINTR)
			continue;
		if (error != ERANGE || !grow(buffer, size))
			break;
	}
	if (result)
		name = strdup(result->gr_name);
	if (!name && (result || !means_absent(error)))
		*complete = false;
	return name;
}

/* Numbers of the user's groups, malloc'ed; NULL: failed. */
static gid_t *list_groups(const char *user, gid_t primary, int *n)
{
	gid_t *list = NULL;
	gid_t *more;
	int room = MSP_CALLER_GROUPS_MAX + 1;
	int tries;

	/* The list may grow between two calls, but not for ever. */
	for (tries = 0; tries < 4 && room > 0 && room <= GROUPS_MAX; tries++) {
		more = realloc(list, (size_t)room * sizeof(*list));
		if (!more)
			break;
		list = more;
		*n = room;
		if (getgrouplist(user, primary, list, n) >= 0)
			return list;
		room = *n;
	}
	free(list);
	return NULL;
}

static void add_groups(struct mspd_names *names, gid_t primary, char **buffer,
		       size_t *size)
{
	int n = 0;
	int i;
	gid_t *list = list_groups(names->user_name, primary, &n);

	if (!list) {
		names->complete = false;
		return;
	}
	if (n > MSP_CALLER_GROUPS_MAX) {
		n = MSP_CALLER_GROUPS_MAX;
		names->truncated = true;
	}
	names->groups = calloc((size_t)n + 1, sizeof(*names->groups));
	if (!names->groups) {
		names->complete = false;
		n = 0;
	}
	for (i = 0; i < n; i++) {
		char *name =
			group_name(list[i], buffer, size, &names->complete);

		if (name)
			names->groups[names->n_groups++] = name;
	}
	free(list);
}

struct mspd_names *mspd_names_resolve(uint32_t uid)
{
	struct mspd_names *names = calloc(1, sizeof(*names));
	size_t size = 1024;
	char *buffer = malloc(size);
	struct passwd entry;
	gid_t primary;
	bool found;

	if (!names || !buffer) {
		free(names);
		free(buffer);
		return NULL;
	}
	atomic_init(&names->owners, 1);
	names->uid = uid;
	names->started_ms = boot_ms();
	names->complete = find_user(uid, &entry, &buffer, &size, &found) == 0;
	if (found) {
		primary = entry.pw_gid; /* the buffer is used again */
		names->user_name = strdup(entry.pw_name);
		if (names->user_name)
			add_groups(names, primary, &buffer, &size);
		else
			names->complete = false;
	}
	free(buffer);
	return names;
}

/* ---- cache ------------------------------------------------------------- */

/* A file as far as a change of it shows; all 0 if it is not there. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct timespec ctime;
};

struct entry {
	struct mspd_names *names; /* NULL: free; owned */
	uint64_t until_ms;
};

struct mspd_name_cache {
	char *paths[2];
	struct stamp stamps[2];
	uint64_t looked_ms;
	uint64_t changed_ms; /* when a change was last seen */
	struct entry sets[SETS][WAYS];
};

static void take_stamp(struct stamp *out, const char *path)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) < 0)
		return;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->size = st.st_size;
	out->mtime = st.st_mtim;
	out->ctime = st.st_ctim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

static void drop(struct entry *entry)
{
	mspd_names_free(entry->names);
	entry->names = NULL;
	entry->until_ms = 0;
}

static void drop_all(struct mspd_name_cache *cache)
{
	size_t i, k;

	for (i = 0; i < SETS; i++)
		for (k = 0; k < WAYS; k++)
			drop(&cache->sets[i][k]);
}

/* Empty the cache if the files have changed since the last look. */
static void look(struct mspd_name_cache *cache, uint64_t now_ms)
{
	struct stamp stamp;
	bool changed = false;
	size_t i;

	for (i = 0; i < 2; i++) {
		take_stamp(&stamp, cache->paths[i]);
		if (same_stamp(&stamp, &cache->stamps[i]))
			continue;
		cache->stamps[i] = stamp;
		changed = true;
	}
	cache->looked_ms = now_ms;
	if (changed) {
		/* Not now_ms, which the loop read before we looked. */
		cache->changed_ms = boot_ms();
		drop_all(cache);
	}
}

int mspd_name_cache_new(struct mspd_name_cache **out, const char *passwd_path,
			const char *group_path)
{
	struct mspd_name_cache *cache = calloc(1, sizeof(*cache));
	size_t i;

	*out = NULL;
	if (!cache)
		return -ENOMEM;
	cache->paths[0] = strdup(passwd_path ? passwd_path : "/etc/passwd");
	cache->paths[1] = strdup(group_path ? group_path : "/etc/group");
	if (!cache->paths[0] || !cache->paths[1]) {
		mspd_name_cache_free(cache);
		return -ENOMEM;
	}
	for (i = 0; i < 2; i++)
		take_stamp(&cache->stamps[i], cache->paths[i]);
	*out = cache;
	return 0;
}

void mspd_name_cache_free(struct mspd_name_cache *cache)
{
	if (!cache)
		return;
	drop_all(cache);
	free(cache->paths[0]);
	free(cache->paths[1]);
	free(cache);
}

struct mspd_names *mspd_names_get(struct mspd_name_cache *cache, uint32_t uid,
				  uint64_t now_ms)
{
	struct entry *set = cache->sets[uid % SETS];
	size_t k;

	if (now_ms < cache->looked_ms || now_ms - cache->looked_ms >= LOOK_MS)
		look(cache, now_ms);
	for (k = 0; k < WAYS; k++) {
		if (!set[k].names || set[k].names->uid != uid)
			continue;
		if (now_ms < set[k].until_ms)
			return mspd_names_ref(set[k].names);
		drop(&set[k]);
	}
	return NULL;
}

/* The place of the same uid, a free one, or the one that ends first. */
static struct entry *choose(struct entry *set, uint32_t uid)
{
	struct entry *best = &set[0];
	size_t k;

	for (k = 0; k < WAYS; k++)
		if (set[k].names && set[k].names->uid == uid)
			return &set[k];
	for (k = 1; k < WAYS; k++)
		if (set[k].until_ms < best->until_ms)
			best = &set[k];
	return best;
}

void mspd_names_put(struct mspd_name_cache *cache, struct mspd_names *names,
		    uint64_t now_ms)
{
	uint64_t keep_ms =
		names->complete ? MSPD_NAMES_EXPIRY_MS : MSPD_NAMES_RETRY_MS;
	struct entry *entry;

	/* NSS may have read the files before they changed and answer now: look
	 * again, and trust only questions asked after the last change. */
	look(cache, now_ms);
	if (cache->changed_ms && names->started_ms <= cache->changed_ms)
		return;
	entry = choose(cache->sets[names->uid % SETS], names->uid);
	drop(entry);
	entry->names = mspd_names_ref(names);
	entry->until_ms = now_ms + keep_ms;
}
