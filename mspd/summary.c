/* SPDX-License-Identifier: MIT */
/*
 * In: one event per request. Out: counted groups of the last hours (spec 4.4).
 * Must never grow beyond its bounds, whatever names and commands callers use.
 */
#include "mspd/summary.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/hash.h"
#include "mspd/json_put.h"
#include "mspd/text.h"

#define TABLES	 2
#define SLOTS	 1024 /* a power of two */
#define RECENT	 1024 /* a power of two */
#define BUCKET_S (15 * 60)
#define WINDOW_S (4 * 60 * 60)
/* Starts at least BUCKET_S apart, none older than WINDOW_S. */
#define BUCKETS		 (WINDOW_S / BUCKET_S + 1)
#define MAX_MERGED	 256
#define MAX_GROUPS_BYTES 1024
/* How often a full table is searched for groups that are over. */
#define SWEEP_S 60

enum kind {
	KIND_PLAIN = 0,
	KIND_MERGED = 1, /* per user and status; process other */
	KIND_LAST = 2	 /* whatever had no room */
};

struct bucket {
	uint64_t start_s;
	uint64_t count;
};

/* What makes a group, cleaned and cut. */
struct key {
	enum kind kind;
	uint32_t client_ip;
	struct msp_address destination;
	unsigned int status;
	bool has_exe;
	char user[MSPD_SUMMARY_TEXT + 1];
	char exe[MSPD_SUMMARY_TEXT + 1];
	char command[MSPD_SUMMARY_TEXT + 1];
};

struct group {
	struct group *next;  /* in its slot */
	struct group *later; /* in the order they came */
	uint64_t hash;
	enum kind kind;
	uint32_t client_ip;
	struct msp_address destination;
	unsigned int status;
	struct bucket buckets[BUCKETS]; /* oldest first */
	size_t n_buckets;
	const char *user; /* these point behind the struct */
	const char *exe;  /* or NULL */
	const char *command;
	const char *groups; /* NUL-terminated names, one behind the other */
	size_t n_groups;
	bool has_groups;
	char text[];
};

/* The group that such an event was counted in the last time. */
struct recent {
	uint64_t version; /* 0: none */
	unsigned int status;
	uint64_t epoch; /* of the table's groups */
	struct group *group;
};

struct table {
	struct group *slots[SLOTS];
	struct group *first;
	struct group **last;
	size_t count[KIND_LAST]; /* by kind */
	struct group *rest;	 /* KIND_LAST; made at the start */
	uint64_t swept_s;
	uint64_t epoch; /* another one when a group has gone */
	struct recent recent[RECENT];
};

struct mspd_summary {
	pthread_mutex_t lock;
	size_t max_groups;
	struct table tables[TABLES];
};

/* ---- keys -------------------------------------------------------------- */

static void copy_text(char out[MSPD_SUMMARY_TEXT + 1], const char *in)
{
	struct mspd_text text;

	mspd_text_init(&text, out, MSPD_SUMMARY_TEXT + 1);
	mspd_text_clean(&text, in, strlen(in));
}

static const char *or_word(const struct mspd_summary_event *event,
			   const char *text)
{
	if (!event->known)
		return "empty";
	return text ? text : "undefined";
}

static void plain_key(struct key *key, const struct mspd_summary_event *event)
{
	key->kind = KIND_PLAIN;
	key->client_ip = event->client_ip;
	key->destination = event->destination;
	if (!key->destination.ip)
		key->destination.port = 0;
	key->status = event->status;
	key->has_exe = event->known && event->exe_path;
	copy_text(key->user, or_word(event, event->user_name));
	copy_text(key->exe, key->has_exe ? event->exe_path : "");
	copy_text(key->command, or_word(event, event->command));
}

/* Forget what callers are free to vary. */
static void merge_key(struct key *key)
{
	static const struct msp_address none;

	key->kind = KIND_MERGED;
	key->client_ip = 0;
	key->destination = none;
	key->has_exe = true;
	copy_text(key->exe, "other");
	copy_text(key->command, "other");
}

static void last_key(struct key *key)
{
	merge_key(key);
	key->kind = KIND_LAST;
	key->status = 0;
	copy_text(key->user, "other");
}

/* A chain of equal slots is no longer than the table's bound. */
static uint64_t hash_key(const struct key *key)
{
	uint64_t h = MSPD_HASH_START;

	h = mspd_hash_word(h, key->kind);
	h = mspd_hash_word(h, key->client_ip);
	h = mspd_hash_word(h, key->destination.ip);
	h = mspd_hash_word(h, key->destination.port);
	h = mspd_hash_word(h, key->status);
	h = mspd_hash_word(h, key->has_exe);
	h = mspd_hash(h, key->user, strlen(key->user));
	h = mspd_hash(h, key->exe, strlen(key->exe));
	return mspd_hash(h, key->command, strlen(key->command));
}

static bool same(const struct group *group, const struct key *key)
{
	return group->kind == key->kind && group->client_ip == key->client_ip &&
	       group->destination.ip == key->destination.ip &&
	       group->destination.port == key->destination.port &&
	       group->status == key->status &&
	       (group->exe != NULL) == key->has_exe &&
	       strcmp(group->user, key->user) == 0 &&
	       strcmp(group->exe ? group->exe : "", key->exe) == 0 &&
	       strcmp(group->command, key->command) == 0;
}

/* ---- groups ------------------------------------------------------------ */

/* Names of groups, cleaned, one behind the other; what has no room is left
 * out. Returns the bytes used. */
static size_t pack_groups(char out[MAX_GROUPS_BYTES], size_t *n,
			  const struct mspd_summary_event *event)
{
	struct mspd_text text;
	size_t used = 0;
	size_t i;

	*n = 0;
	for (i = 0; i < event->n_groups && used < MAX_GROUPS_BYTES; i++) {
		mspd_text_init(&text, out + used, MAX_GROUPS_BYTES - used);
		if (!mspd_text_clean(&text, event->groups[i],
				     strlen(event->groups[i])))
			break;
		used += text.len + 1;
		++*n;
	}
	return used;
}

static char *place(char **at, const void *data, size_t len)
{
	char *start = *at;

	memcpy(start, data, len);
	*at += len;
	return start;
}

static struct group *group_new(const struct key *key,
			       const struct mspd_summary_event *event)
{
	size_t user = strlen(key->user) + 1;
	size_t exe = strlen(key->exe) + 1;
	size_t command = strlen(key->command) + 1;
	char names[MAX_GROUPS_BYTES];
	size_t n_names = 0;
	size_t packed = 0;
	struct group *group;
	char *at;

	if (key->kind == KIND_PLAIN && event->known)
		packed = pack_groups(names, &n_names, event);
	group = calloc(1, sizeof(*group) + user + exe + command + packed);
	if (!group)
		return NULL;
	group->kind = key->kind;
	group->client_ip = key->client_ip;
	group->destination = key->destination;
	group->status = key->status;
	at = group->text;
	group->user = place(&at, key->user, user);
	group->exe = place(&at, key->exe, exe);
	group->command = place(&at, key->command, command);
	group->groups = place(&at, names, packed);
	group->n_groups = n_names;
	group->has_groups = key->kind == KIND_PLAIN && event->known;
	if (!key->has_exe)
		group->exe = NULL;
	return group;
}

/* Returns whether the request opened a bucket. */
static bool group_count(struct group *group, uint64_t now_s)
{
	struct bucket *b = group->buckets;
	struct bucket *newest =
		group->n_buckets ? b + group->n_buckets - 1 : NULL;

	if (newest &&
	    (now_s < newest->start_s || now_s - newest->start_s < BUCKET_S)) {
		if (newest->count != UINT64_MAX)
			newest->count++;
		return false;
	}
	if (group->n_buckets == BUCKETS) {
		memmove(b, b + 1, (BUCKETS - 1) * sizeof(*b));
		group->n_buckets--;
	}
	b[group->n_buckets++] = (struct bucket){ now_s, 1 };
	return true;
}

static uint64_t group_total(struct group *group, uint64_t now_s)
{
	struct bucket *b = group->buckets;
	uint64_t total = 0;
	size_t old = 0;
	size_t i;

	while (old < group->n_buckets && now_s > b[old].start_s &&
	       now_s - b[old].start_s > WINDOW_S)
		old++;
	group->n_buckets -= old;
	memmove(b, b + old, group->n_buckets * sizeof(*b));
	for (i = 0; i < group->n_buckets; i++)
		total = b[i].count > UINT64_MAX - total ? UINT64_MAX
							: total + b[i].count;
	return total;
}

/* ---- tables ------------------------------------------------------------ */

static int table_init(struct table *table)
{
	static const struct mspd_summary_event nobody;
	struct key key;

	table->last = &table->first;
	last_key(&key);
	table->rest = group_new(&key, &nobody);
	return table->rest ? 0 : -ENOMEM;
}

static void table_free(struct table *table)
{
	struct group *group = table->first;

	while (group) {
		struct group *later = group->later;

		free(group);
		group = later;
	}
	free(table->rest);
}

static void unchain(struct table *table, const struct group *group)
{
	struct group **at = &table->slots[group->hash & (SLOTS - 1)];

	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
}

/* Drop the groups whose last bucket is over. */
static void table_sweep(struct table *table, uint64_t now_s)
{
	struct group **at = &table->first;

	while (*at) {
		struct group *group = *at;

		if (group_total(group, now_s)) {
			at = &group->later;
			continue;
		}
		*at = group->later;
		unchain(table, group);
		table->count[group->kind]--;
		table->epoch++;
		free(group);
	}
	table->last = at;
	table->swept_s = now_s;
}

static struct group *table_find(struct table *table, const struct key *key,
				uint64_t hash)
{
	struct group *group = table->slots[hash & (SLOTS - 1)];

	while (group && (group->hash != hash || !same(group, key)))
		group = group->next;
	return group;
}

/* The group of a key, made if there is room for it; NULL: there is none. */
static struct group *table_get(struct table *table, const struct key *key,
			       const struct mspd_summary_event *event,
			       size_t max)
{
	uint64_t hash = hash_key(key);
	struct group *group = table_find(table, key, hash);

	if (group || table->count[key->kind] >= max)
		return group;
	group = group_new(key, event);
	if (!group)
		return NULL;
	group->hash = hash;
	group->next = table->slots[hash & (SLOTS - 1)];
	table->slots[hash & (SLOTS - 1)] = group;
	*table->last = group;
	table->last = &group->later;
	table->count[key->kind]++;
	return group;
}

static struct recent *recent_of(struct table *table,
				const struct mspd_summary_event *event)
{
	return &table->recent[(event->version + event->status) & (RECENT - 1)];
}

/* Most requests are like one before on their connection. NULL: not known. */
static struct group *find_recent(struct table *table,
				 const struct mspd_summary_event *event)
{
	const struct recent *r = recent_of(table, event);

	if (!event->version || r->version != event->version ||
	    r->status != event->status || r->epoch != table->epoch)
		return NULL;
	return r->group;
}

static bool table_add(struct table *table, size_t max,
		      const struct mspd_summary_event *event, uint64_t now_s)
{
	struct group *group = find_recent(table, event);
	struct key key;

	if (group)
		return group_count(group, now_s);
	if (table->count[KIND_PLAIN] >= max && now_s > table->swept_s &&
	    now_s - table->swept_s >= SWEEP_S)
		table_sweep(table, now_s);
	plain_key(&key, event);
	group = table_get(table, &key, event, max);
	if (!group) {
		merge_key(&key);
		group = table_get(table, &key, event, MAX_MERGED);
	}
	if (!group)
		group = table->rest;
	*recent_of(table, event) =
		(struct recent){ event->version, event->status, table->epoch,
				 group };
	return group_count(group, now_s);
}

/* ---- JSON -------------------------------------------------------------- */

/* Reason phrases as RFC 7231 and those beside it have them. */
const char *mspd_summary_status(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *phrase;
	} known[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Payload Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Entity" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].phrase;
	return "<unknown status code>";
}

static void put_string_or_null(yajl_gen gen, const char *text)
{
	if (text)
		mspd_json_put(gen, text);
	else
		yajl_gen_null(gen);
}

/* Any unsigned number: yajl's own integers are signed. */
static void put_number(yajl_gen gen, uint64_t number)
{
	char digits[24];
	struct mspd_text text;

	mspd_text_init(&text, digits, sizeof(digits));
	mspd_text_number(&text, number);
	yajl_gen_number(gen, text.at, text.len);
}

static void put_ip(yajl_gen gen, uint32_t ip)
{
	char text[INET_ADDRSTRLEN] = "None";

	if (ip)
		inet_ntop(AF_INET, &ip, text, sizeof(text));
	mspd_json_put(gen, text);
}

static void put_status(yajl_gen gen, const struct group *group)
{
	char text[64] = "other";

	if (group->kind != KIND_LAST)
		snprintf(text, sizeof(text), "%u %s", group->status,
			 mspd_summary_status(group->status));
	mspd_json_put(gen, text);
}

static void put_groups(yajl_gen gen, const struct group *group)
{
	const char *name = group->groups;
	size_t i;

	if (!group->has_groups) {
		yajl_gen_null(gen);
		return;
	}
	if (!group->n_groups) { /* yajl would spread it over lines */
		yajl_gen_number(gen, "[]", 2);
		return;
	}
	yajl_gen_array_open(gen);
	for (i = 0; i < group->n_groups; i++) {
		mspd_json_put(gen, name);
		name += strlen(name) + 1;
	}
	yajl_gen_array_close(gen);
}

static void put_group(yajl_gen gen, const struct group *group, uint64_t total)
{
	yajl_gen_map_open(gen);
	mspd_json_put(gen, "userName");
	mspd_json_put(gen, group->user);
	mspd_json_put(gen, "ip");
	put_ip(gen, group->destination.ip);
	mspd_json_put(gen, "port");
	put_number(gen, group->destination.port);
	mspd_json_put(gen, "processCmdLine");
	mspd_json_put(gen, group->command);
	mspd_json_put(gen, "responseStatus");
	put_status(gen, group);
	mspd_json_put(gen, "count");
	put_number(gen, total);
	mspd_json_put(gen, "userGroups");
	put_groups(gen, group);
	mspd_json_put(gen, "processFullPath");
	put_string_or_null(gen, group->exe);
	yajl_gen_map_close(gen);
}

static void put_table(yajl_gen gen, struct table *table, uint64_t now_s)
{
	struct group *group;
	uint64_t rest;

	table_sweep(table, now_s);
	rest = group_total(table->rest, now_s);
	if (!table->first && !rest) {
		yajl_gen_number(gen, "[]", 2);
		return;
	}
	yajl_gen_array_open(gen);
	for (group = table->first; group; group = group->later)
		put_group(gen, group, group_total(group, now_s));
	if (rest)
		put_group(gen, table->rest, rest);
	yajl_gen_array_close(gen);
}

/* ---- public ------------------------------------------------------------ */

int mspd_summary_new(struct mspd_summary **out, size_t max_groups)
{
	struct mspd_summary *summary = calloc(1, sizeof(*summary));
	size_t i;

	*out = NULL;
	if (!summary)
		return -ENOMEM;
	pthread_mutex_init(&summary->lock, NULL);
	summary->max_groups = max_groups ? max_groups : MSPD_SUMMARY_GROUPS;
	for (i = 0; i < TABLES; i++) {
		if (table_init(&summary->tables[i]) < 0) {
			mspd_summary_free(summary);
			return -ENOMEM;
		}
	}
	*out = summary;
	return 0;
}

void mspd_summary_free(struct mspd_summary *summary)
{
	size_t i;

	if (!summary)
		return;
	for (i = 0; i < TABLES; i++)
		table_free(&summary->tables[i]);
	pthread_mutex_destroy(&summary->lock);
	free(summary);
}

bool mspd_summary_add(struct mspd_summary *summary,
		      enum mspd_summary_which which,
		      const struct mspd_summary_event *event, uint64_t now_s)
{
	bool first;

	pthread_mutex_lock(&summary->lock);
	first = table_add(&summary->tables[which], summary->max_groups, event,
			  now_s);
	pthread_mutex_unlock(&summary->lock);
	return first;
}

void mspd_summary_write_json(struct mspd_summary *summary,
			     enum mspd_summary_which which, uint64_t now_s,
			     yajl_gen gen)
{
	pthread_mutex_lock(&summary->lock);
	put_table(gen, &summary->tables[which], now_s);
	pthread_mutex_unlock(&summary->lock);
}
