/* SPDX-License-Identifier: MIT */
/*
 * In: questions about callers. Out: their answers, from the cache or from
 * NSS. Must never wait, nor let one user's questions use up the threads that
 * others need.
 */
#include "mspd/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "mspd/worker.h"

#define BUCKETS 256
/* Tags of jobs: a uid and one, or on whose account. */
#define TAG_ACCOUNT ((uint64_t)1 << 63)

/* Pools: other users or local ones, all names or only the user's. */
enum { OTHER, LOCAL, KINDS };
enum { ALL_NAMES, USER_NAME, SCOPES };

/* A question on its way. It belongs to the bucket; once the pool has been
 * freed while NSS hangs, to nobody. */
struct mspd_flight {
	struct mspd_flight *next;
	struct mspd_resolver *resolver;
	struct pool *pool;
	struct mspd_names *(*resolve)(const struct mspd_names_key *key);
	struct mspd_names_key key;
	uint64_t since_ms;
	uint64_t generation;	  /* of the cache, when it was asked */
	struct mspd_ask *asks;	  /* all who wait */
	struct mspd_names *names; /* answer; written by the worker */
};

struct pool {
	struct mspd_workers *workers;
	struct mspd_watch watch;
};

/* The uids of the local passwd file, ascending. Read through no NSS. */
struct locals {
	struct mspd_resolver *resolver;
	char *path;
	uint32_t *uids;
	size_t n, room;
	bool good; /* the whole file has been read */
};

struct mspd_resolver {
	struct mspd_loop *loop;
	struct mspd_names *(*resolve)(const struct mspd_names_key *key);
	struct mspd_name_cache *cache;
	struct pool pools[KINDS][SCOPES];
	struct pool files;
	char *passwd_path;
	struct locals *locals; /* owned */
	uint64_t locals_generation;
	bool reading;
	struct mspd_flight *flights[BUCKETS];
};

static uint64_t now_ms(const struct mspd_resolver *r)
{
	return mspd_loop_now(r->loop).boot_ms;
}

/* ---- who is local ------------------------------------------------------ */

static bool add_uid(struct locals *locals, uint32_t uid)
{
	uint32_t *more;
	size_t room = locals->room ? locals->room * 2 : 64;

	if (locals->n == locals->room) {
		more = realloc(locals->uids, room * sizeof(*more));
		if (!more)
			return false;
		locals->uids = more;
		locals->room = room;
	}
	locals->uids[locals->n++] = uid;
	return true;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* "name:password:uid:..."; NSS lines ("+name") and comments have no uid. */
static bool uid_of(const char *line, uint32_t *uid)
{
	const char *at = strchr(line, ':');
	unsigned long long n;
	char *end;

	at = at ? strchr(at + 1, ':') : NULL;
	if (!at || at[1] < '0' || at[1] > '9')
		return false;
	n = strtoull(at + 1, &end, 10);
	*uid = (uint32_t)n;
	return *end == ':' && n < UINT32_MAX;
}

static bool read_entries(struct locals *locals, FILE *file)
{
	size_t size = 0;
	char *line = NULL;
	bool good = true;
	uint32_t uid;

	while (good && getline(&line, &size, file) > 0)
		if (uid_of(line, &uid))
			good = add_uid(locals, uid);
	free(line);
	return good && !ferror(file);
}

static void read_locals(void *arg)
{
	struct locals *locals = arg;
	FILE *file = fopen(locals->path, "re");

	locals->good = file && read_entries(locals, file);
	if (file)
		fclose(file);
	if (locals->n > 0)
		qsort(locals->uids, locals->n, sizeof(*locals->uids),
		      by_number);
}

static void free_locals(struct locals *locals)
{
	if (!locals)
		return;
	free(locals->uids);
	free(locals->path);
	free(locals);
}

static struct locals *new_locals(struct mspd_resolver *r)
{
	struct locals *locals = calloc(1, sizeof(*locals));

	if (!locals)
		return NULL;
	locals->resolver = r;
	locals->path = strdup(r->passwd_path);
	if (locals->path)
		return locals;
	free(locals);
	return NULL;
}

/* A file that cannot be read leaves the old list: it only says whose threads
 * are used. */
static void take_locals(void *arg)
{
	struct locals *locals = arg;
	struct mspd_resolver *r = locals->resolver;

	r->reading = false;
	if (!locals->good) {
		free_locals(locals);
		return;
	}
	free_locals(r->locals);
	r->locals = locals;
}

/* After the cache has been emptied: the file may have changed. */
static void refresh_locals(struct mspd_resolver *r)
{
	struct mspd_work work = { .work = read_locals, .done = take_locals };
	struct locals *locals;

	if (r->reading ||
	    r->locals_generation == mspd_names_generation(r->cache))
		return;
	locals = new_locals(r);
	if (!locals)
		return;
	work.arg = locals;
	if (mspd_workers_submit(r->files.workers, &work) < 0) {
		free_locals(locals);
		return;
	}
	r->reading = true;
	r->locals_generation = mspd_names_generation(r->cache);
}

static bool is_local(const struct mspd_resolver *r, uint32_t uid)
{
	return r->locals && r->locals->n > 0 &&
	       bsearch(&uid, r->locals->uids, r->locals->n, sizeof(uid),
		       by_number);
}

static struct mspd_names_key place(const struct mspd_resolver *r,
				   const struct mspd_names_key *key)
{
	struct mspd_names_key placed = *key;

	placed.local = is_local(r, key->uid);
	return placed;
}

/* ---- questions on their way -------------------------------------------- */

static struct mspd_flight **bucket_of(struct mspd_resolver *r,
				      const struct mspd_names_key *key)
{
	return &r->flights[key->uid % BUCKETS];
}

/* One that was asked before the files changed answers nobody who comes now. */
static struct mspd_flight *find_flight(struct mspd_resolver *r,
				       const struct mspd_names_key *key)
{
	const uint64_t generation = mspd_names_generation(r->cache);
	struct mspd_flight *flight = *bucket_of(r, key);

	while (flight && (flight->generation != generation ||
			  !mspd_names_same(&flight->key, key)))
		flight = flight->next;
	return flight;
}

static void remove_flight(struct mspd_flight *flight)
{
	struct mspd_flight **at = bucket_of(flight->resolver, &flight->key);

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
}

static void detach(struct mspd_ask *ask)
{
	if (ask->prev)
		ask->prev->next = ask->next;
	else
		ask->flight->asks = ask->next;
	if (ask->next)
		ask->next->prev = ask->prev;
	ask->flight = NULL;
	ask->next = ask->prev = NULL;
}

static void attach(struct mspd_flight *flight, struct mspd_ask *ask)
{
	ask->flight = flight;
	ask->since_ms = flight->since_ms;
	ask->prev = NULL;
	ask->next = flight->asks;
	if (flight->asks)
		flight->asks->prev = ask;
	flight->asks = ask;
}

static void fly(void *arg)
{
	struct mspd_flight *flight = arg;

	flight->names = flight->resolve(&flight->key);
}

static void land(void *arg)
{
	struct mspd_flight *flight = arg;
	struct mspd_resolver *r = flight->resolver;
	struct mspd_ask *ask;

	/* whoever asks from now on asks anew */
	remove_flight(flight);
	if (flight->names)
		mspd_names_put(r->cache, flight->names, flight->generation,
			       now_ms(r));
	while ((ask = flight->asks)) {
		detach(ask);
		ask->done(ask->arg, flight->names);
	}
	mspd_names_free(flight->names);
	free(flight);
}

static int start_flight(struct mspd_resolver *r, struct mspd_flight *flight)
{
	struct mspd_work work = { .work = fly, .done = land, .arg = flight };

	/* 0 means nobody, and root is somebody */
	work.tags[0] = (uint64_t)flight->key.uid + 1;
	if (flight->key.account)
		work.tags[1] = TAG_ACCOUNT | flight->key.account;
	flight->pool = &r->pools[flight->key.local][flight->key.user_only];
	return mspd_workers_submit(flight->pool->workers, &work);
}

static int new_flight(struct mspd_flight **out, struct mspd_resolver *r,
		      const struct mspd_names_key *key)
{
	struct mspd_flight *flight = calloc(1, sizeof(*flight));
	struct mspd_flight **bucket;
	int err;

	if (!flight)
		return -ENOMEM;
	flight->resolver = r;
	flight->resolve = r->resolve;
	flight->key = place(r, key);
	flight->since_ms = now_ms(r);
	flight->generation = mspd_names_generation(r->cache);
	err = start_flight(r, flight);
	if (err < 0) {
		free(flight);
		return err;
	}
	bucket = bucket_of(r, key);
	flight->next = *bucket;
	*bucket = flight;
	*out = flight;
	return 0;
}

int mspd_resolver_ask(struct mspd_resolver *resolver,
		      const struct mspd_names_key *key, struct mspd_ask *ask)
{
	struct mspd_flight *flight = find_flight(resolver, key);
	int err = 0;

	if (!flight)
		err = new_flight(&flight, resolver, key);
	if (err < 0)
		return err;
	attach(flight, ask);
	return 0;
}

void mspd_resolver_leave(struct mspd_resolver *resolver, struct mspd_ask *ask)
{
	struct mspd_flight *flight = ask->flight;

	(void)resolver;
	if (!flight)
		return;
	detach(ask);
	if (flight->asks || !mspd_workers_cancel(flight->pool->workers, flight))
		return;
	remove_flight(flight);
	free(flight);
}

struct mspd_names *mspd_resolver_get(struct mspd_resolver *resolver,
				     const struct mspd_names_key *key)
{
	struct mspd_names_key placed = place(resolver, key);
	struct mspd_names *names =
		mspd_names_get(resolver->cache, &placed, now_ms(resolver));

	refresh_locals(resolver);
	return names;
}

bool mspd_resolver_fresh(struct mspd_resolver *resolver,
			 const struct mspd_names *names)
{
	return mspd_names_fresh(resolver->cache, names, now_ms(resolver));
}

/* ---- start and end ----------------------------------------------------- */

static void on_finished(void *arg, uint32_t events)
{
	(void)events;
	mspd_workers_reap(arg);
}

static int open_pool(struct mspd_resolver *r, struct pool *pool, size_t threads)
{
	const struct mspd_workers_opts opts = {
		.threads = threads,
		.per_tag = MSPD_RESOLVER_PER_UID,
	};
	int err = mspd_workers_new(&pool->workers, &opts);

	if (err < 0)
		return err;
	pool->watch.fd = mspd_workers_fd(pool->workers);
	pool->watch.call = on_finished;
	pool->watch.arg = pool->workers;
	return mspd_loop_watch(r->loop, &pool->watch, EPOLLIN);
}

/* What hangs is waited for once, not once per pool. */
static void close_pool(struct mspd_resolver *r, struct pool *pool,
		       unsigned int *wait_ms)
{
	if (!pool->workers)
		return;
	mspd_loop_unwatch(r->loop, &pool->watch);
	if (mspd_workers_free(pool->workers, *wait_ms) > 0)
		*wait_ms = 0;
}

static int open_all(struct mspd_resolver *r,
		    const struct mspd_resolver_opts *opts)
{
	const char *passwd =
		opts->passwd_path ? opts->passwd_path : "/etc/passwd";
	const char *group = opts->group_path ? opts->group_path : "/etc/group";
	size_t i, k;
	int err;

	r->passwd_path = strdup(passwd);
	err = r->passwd_path ? 0 : -ENOMEM;
	if (err == 0)
		err = mspd_name_cache_new(&r->cache, passwd, group,
					  opts->expiry_ms);
	if (err == 0)
		err = open_pool(r, &r->files, 1);
	for (i = 0; i < KINDS; i++)
		for (k = 0; k < SCOPES && err == 0; k++)
			err = open_pool(r, &r->pools[i][k],
					MSPD_RESOLVER_THREADS);
	if (err < 0)
		return err;
	r->locals_generation = mspd_names_generation(r->cache);
	r->locals = new_locals(r);
	if (!r->locals)
		return -ENOMEM;
	read_locals(r->locals);
	return 0;
}

int mspd_resolver_new(struct mspd_resolver **out,
		      const struct mspd_resolver_opts *opts)
{
	struct mspd_resolver *r = calloc(1, sizeof(*r));
	int err;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->loop = opts->loop;
	r->resolve = opts->resolve ? opts->resolve : mspd_names_resolve;
	err = open_all(r, opts);
	if (err < 0) {
		mspd_resolver_free(r, 0);
		return err;
	}
	*out = r;
	return 0;
}

void mspd_resolver_free(struct mspd_resolver *resolver, unsigned int wait_ms)
{
	size_t i, k;

	if (!resolver)
		return;
	for (i = 0; i < KINDS; i++)
		for (k = 0; k < SCOPES; k++)
			close_pool(resolver, &resolver->pools[i][k], &wait_ms);
	close_pool(resolver, &resolver->files, &wait_ms);
	mspd_name_cache_free(resolver->cache);
	free_locals(resolver->locals);
	free(resolver->passwd_path);
	free(resolver);
}
