/* SPDX-License-Identifier: MIT */
/*
 * In: ids of a caller. Out: names of its user and of its groups, and a cache
 * of them. Must never take the groups of one process for those of another.
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

/* Entries of a set; a cache is an array of sets, found by uid. Users of the
 * local file have sets of their own: the others may be many thousand. */
#define WAYS 8
#define SETS (MSPD_NAMES_CACHE / 2 / WAYS)
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

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void mspd_names_key(struct mspd_names_key *out, const struct msp_caller *caller)
{
	uint32_t i, n = 0;

	memset(out, 0, sizeof(*out));
	out->uid = caller->uid;
	out->gids[n++] = caller->gid;
	for (i = 0; i < caller->n_gids && i < MSP_CALLER_GROUPS_MAX; i++)
		out->gids[n++] = caller->gids[i];
	qsort(out->gids, n, sizeof(out->gids[0]), by_number);
	out->n_gids = 1;
	for (i = 1; i < n; i++)
		if (out->gids[i] != out->gids[i - 1])
			out->gids[out->n_gids++] = out->gids[i];
}

bool mspd_names_same(const struct mspd_names_key *a,
		     const struct mspd_names_key *b)
{
	return a->uid == b->uid && a->user_only == b->user_only &&
	       a->n_gids == b->n_gids &&
	       memcmp(a->gids, b->gids, a->n_gids * sizeof(a->gids[0])) == 0;
}

struct mspd_names *mspd_names_ref(struct mspd_names *names)
{
	atomic_fetch_add(&names->owners, 1);
	return names;
}

static void free_list(char **list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void mspd_names_free(struct mspd_names *names)
{
	if (!names || atomic_fetch_sub(&names->owners, 1) != 1)
		return;
	free_list(names->groups, names->n_groups);
	free_list(names->process_groups, names->n_process_groups);
	free(names->user_name);
	free(names);
}

void mspd_names_apply(const struct mspd_names *names, struct msp_caller *caller,
		      bool kernel_cut)
{
	static const struct mspd_names none = { .user_name = NULL };

	caller->flags &= ~(uint32_t)(MSP_CALLER_NAMES | MSP_CALLER_GROUPS_CUT);
	if (names)
		caller->flags |= MSP_CALLER_NAMES;
	else
		names = &none;
	if (kernel_cut || names->truncated)
		caller->flags |= MSP_CALLER_GROUPS_CUT;
	caller->user_name = names->user_name;
	caller->groups = (const char *const *)names->groups;
	caller->n_groups = names->n_groups;
	caller->process_groups = (const char *const *)names->process_groups;
	caller->n_process_groups = names->n_process_groups;
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

/* Names of these groups; @out is malloc'ed, NULL if there is no memory. */
static size_t name_groups(struct mspd_names *names, char ***out,
			  const gid_t *list, size_t n, char **buffer,
			  size_t *size)
{
	size_t i, found = 0;

	*out = calloc(n + 1, sizeof(**out));
	if (!*out) {
		names->complete = false;
		return 0;
	}
	for (i = 0; i < n; i++) {
		(*out)[found] =
			group_name(list[i], buffer, size, &names->complete);
		found += (*out)[found] != NULL;
	}
	return found;
}

static void add_groups(struct mspd_names *names, gid_t primary, char **buffer,
		       size_t *size)
{
	int n = 0;
	gid_t *list = list_groups(names->user_name, primary, &n);

	if (!list) {
		names->complete = false;
		return;
	}
	if (n > MSP_CALLER_GROUPS_MAX) {
		n = MSP_CALLER_GROUPS_MAX;
		names->truncated = true;
	}
	names->n_groups = name_groups(names, &names->groups, list, (size_t)n,
				      buffer, size);
	free(list);
}

static void add_process_groups(struct mspd_names *names, char **buffer,
			       size_t *size)
{
	names->n_process_groups =
		name_groups(names, &names->process_groups, names->key.gids,
			    names->key.n_gids, buffer, size);
}

struct mspd_names *mspd_names_resolve(const struct mspd_names_key *key)
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
	names->key = *key;
	names->started_ms = boot_ms();
	names->complete =
		find_user(key->uid, &entry, &buffer, &size, &found) == 0;
	if (found) {
		primary = entry.pw_gid; /* the buffer is used again */
		names->user_name = strdup(entry.pw_name);
		if (!names->user_name)
			names->complete = false;
		else if (!key->user_only)
			add_groups(names, primary, &buffer, &size);
	}
	if (!key->user_only)
		add_process_groups(names, &buffer, &size);
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

struct mspd_name_cache {
	char *paths[2];
	struct stamp stamps[2];
	uint64_t looked_ms;
	uint32_t expiry_ms;
	uint64_t generation;
	/* of other users, of local ones; owned, NULL: free */
	struct mspd_names *sets[2][SETS][WAYS];
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

static void drop(struct mspd_names **place)
{
	mspd_names_free(*place);
	*place = NULL;
}

static void drop_all(struct mspd_name_cache *cache)
{
	struct mspd_names **places = &cache->sets[0][0][0];
	size_t i;

	for (i = 0; i < 2 * SETS * WAYS; i++)
		drop(&places[i]);
	cache->generation++;
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
	if (changed)
		drop_all(cache);
}

int mspd_name_cache_new(struct mspd_name_cache **out, const char *passwd_path,
			const char *group_path, uint32_t expiry_ms)
{
	struct mspd_name_cache *cache = calloc(1, sizeof(*cache));
	size_t i;

	*out = NULL;
	if (!cache)
		return -ENOMEM;
	cache->paths[0] = strdup(passwd_path);
	cache->paths[1] = strdup(group_path);
	if (!cache->paths[0] || !cache->paths[1]) {
		mspd_name_cache_free(cache);
		return -ENOMEM;
	}
	for (i = 0; i < 2; i++)
		take_stamp(&cache->stamps[i], cache->paths[i]);
	cache->generation = 1;
	cache->expiry_ms = expiry_ms ? expiry_ms : MSPD_NAMES_EXPIRY_MS;
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

uint64_t mspd_names_generation(const struct mspd_name_cache *cache)
{
	return cache->generation;
}

static void look_now_and_then(struct mspd_name_cache *cache, uint64_t now_ms)
{
	if (now_ms < cache->looked_ms || now_ms - cache->looked_ms >= LOOK_MS)
		look(cache, now_ms);
}

bool mspd_names_fresh(struct mspd_name_cache *cache,
		      const struct mspd_names *names, uint64_t now_ms)
{
	look_now_and_then(cache, now_ms);
	return names->generation == cache->generation &&
	       now_ms < names->until_ms;
}

static struct mspd_names **set_of(struct mspd_name_cache *cache,
				  const struct mspd_names_key *key)
{
	return cache->sets[key->local][key->uid % SETS];
}

struct mspd_names *mspd_names_get(struct mspd_name_cache *cache,
				  const struct mspd_names_key *key,
				  uint64_t now_ms)
{
	struct mspd_names **set = set_of(cache, key);
	size_t k;

	look_now_and_then(cache, now_ms);
	for (k = 0; k < WAYS; k++) {
		if (!set[k] || !mspd_names_same(&set[k]->key, key))
			continue;
		if (now_ms < set[k]->until_ms)
			return mspd_names_ref(set[k]);
		drop(&set[k]);
	}
	return NULL;
}

static bool ends_before(const struct mspd_names *a, const struct mspd_names *b)
{
	return b && (!a || a->until_ms < b->until_ms);
}

/* The place of the same question, or of another one of the same uid if it has
 * its share, or a free one, or the one that ends first. */
static struct mspd_names **choose(struct mspd_names **set,
				  const struct mspd_names_key *key)
{
	struct mspd_names **best = &set[0], **own = NULL;
	size_t k, n_own = 0;

	for (k = 0; k < WAYS; k++) {
		if (ends_before(set[k], *best))
			best = &set[k];
		if (!set[k] || set[k]->key.uid != key->uid)
			continue;
		if (mspd_names_same(&set[k]->key, key))
			return &set[k];
		n_own++;
		if (!own || ends_before(set[k], *own))
			own = &set[k];
	}
	return n_own < MSPD_NAMES_PER_UID ? best : own;
}

/* A slow answer is as old as its question; a failure just now failed. */
static uint64_t expiry_of(const struct mspd_name_cache *cache,
			  const struct mspd_names *names, uint64_t now_ms)
{
	if (!names->complete && cache->expiry_ms > MSPD_NAMES_RETRY_MS)
		return now_ms + MSPD_NAMES_RETRY_MS;
	if (names->complete && names->started_ms < now_ms)
		return names->started_ms + cache->expiry_ms;
	return now_ms + cache->expiry_ms;
}

void mspd_names_put(struct mspd_name_cache *cache, struct mspd_names *names,
		    uint64_t asked_in, uint64_t now_ms)
{
	struct mspd_names **place;

	/* NSS may have read the files before they changed and answer now: look
	 * again, and trust only what was asked after the last change. */
	look(cache, now_ms);
	if (asked_in != cache->generation)
		return;
	names->generation = cache->generation;
	names->until_ms = expiry_of(cache, names, now_ms);
	place = choose(set_of(cache, &names->key), &names->key);
	drop(place);
	*place = mspd_names_ref(names);
}
