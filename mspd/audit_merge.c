/* SPDX-License-Identifier: MIT */
/*
 * In: records, one after the other. Out: which of them are written, and lines
 * that count the others. Must never lose count, nor let one user's flood take
 * what is there for others.
 */
#include "mspd/audit_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/fair.h"
#include "mspd/hash.h"

#define BUCKETS	  256 /* power of two */
#define KIB	  1024
#define PER_TOKEN 1000 /* a budget is counted in thousandths */
/* Lines that count are written whatever the budget: as much as this many
 * seconds give can be owed for them. */
#define DEBT_SECONDS 60
#define KEY_TEXTS    6
#define KEY_MAX	     (sizeof(struct kind) + KEY_TEXTS * (MSPD_AUDIT_TEXT + 1))
#define VERDICTS     3
/* Another process of the same program has a longer number, perhaps. */
#define SPARE 64

/* What requests of a group have in common, but for texts. No padding. */
struct kind {
	uint32_t known;
	uint32_t uid;
	int32_t endpoint;
	uint32_t verdict;
	uint32_t reason;
	uint32_t canon;
	uint32_t mode;
	uint32_t status;
};

enum level {
	LEVEL_SAME = 0,	  /* identical, as far as is told */
	LEVEL_COARSE = 1, /* but for method and path */
	LEVEL_REST = 2	  /* only the verdict is the same */
};

/**
 * struct group - requests that are counted
 * @next, @prev: in the order they are due; LEVEL_REST only with a count
 * @sibling: of the same user
 * @count:   since its last line
 * @last:    time of the last of them
 * @rest:    the first of them, LEVEL_REST
 * @key_len: bytes of key behind it; the line follows, without its end
 * @room:    bytes for the line
 * @len:     of it
 */
struct group {
	struct group *next, *prev;
	struct group *sibling;
	struct user *user;
	enum level level;
	uint64_t due_ms;
	uint64_t count;
	struct timespec last;
	struct mspd_audit_rest rest;
	uint64_t hash;
	size_t key_len;
	size_t room;
	size_t len;
};

struct user {
	struct user *next; /* in its bucket */
	uint64_t key;
	int64_t tokens; /* thousandths of KiB; below 0: owed */
	uint64_t since_ms;
	bool taken;
	struct group *groups;
	unsigned int n[2]; /* of them, by level */
	size_t bytes;
	struct group rest[VERDICTS]; /* by verdict; without data */
};

struct mspd_merge {
	uint32_t records;
	uint32_t per_second;
	uint32_t merge_ms;
	struct group *first, *last; /* the first is due first */
	size_t bytes;
	struct mspd_audit_stamp stamp;
	struct user *charged; /* of the record that was taken last */
	size_t n_users;
	struct user *buckets[BUCKETS];
	struct user crowd; /* all for whom there was no place */
	struct user users[MSPD_MERGE_USERS];
};

/* ---- budgets ----------------------------------------------------------- */

static int64_t times(const struct user *user)
{
	return user->key == mspd_fair_key(MSPD_FAIR_USER, 0) ? MSPD_MERGE_ROOT
							     : 1;
}

static int64_t full(const struct mspd_merge *m, const struct user *user)
{
	return (int64_t)m->records * PER_TOKEN * times(user);
}

static void refill(const struct mspd_merge *m, struct user *user,
		   uint64_t now_ms)
{
	uint64_t ms = now_ms - user->since_ms;
	int64_t most = full(m, user) - user->tokens;
	int64_t rate = (int64_t)m->per_second * times(user); /* per ms */

	user->since_ms = now_ms;
	if (rate && ms >= (uint64_t)(most / rate + 1))
		user->tokens += most;
	else if (rate)
		user->tokens += (int64_t)ms * rate;
}

static void charge(const struct mspd_merge *m, struct user *user, size_t bytes)
{
	int64_t least = -(int64_t)m->per_second * times(user) * PER_TOKEN *
			DEBT_SECONDS;

	user->tokens -= (int64_t)((bytes + KIB - 1) / KIB) * PER_TOKEN;
	if (user->tokens < least)
		user->tokens = least;
}

/* ---- users ------------------------------------------------------------- */

static size_t bucket_of(uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 56) % BUCKETS;
}

/* Whoever is in a namespace of root's may have any uid there: all are one. */
static uint64_t account_of(uint64_t owner)
{
	if (mspd_fair_kind(owner) == MSPD_FAIR_NESTED)
		return mspd_fair_key(MSPD_FAIR_NESTED, 0);
	return owner;
}

static bool counts_nothing(const struct user *user)
{
	size_t i;

	for (i = 0; i < VERDICTS; i++)
		if (user->rest[i].count)
			return false;
	return !user->groups;
}

static void forget(struct mspd_merge *m, struct user *user)
{
	struct user **link = &m->buckets[bucket_of(user->key)];

	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
}

/* A place that nobody has, or one whose user is as if it had never come. */
static struct user *place(struct mspd_merge *m, uint64_t now_ms)
{
	size_t i;

	if (m->n_users < MSPD_MERGE_USERS)
		return &m->users[m->n_users++];
	for (i = 0; i < MSPD_MERGE_USERS; i++) {
		struct user *user = &m->users[i];

		if (!counts_nothing(user))
			continue;
		refill(m, user, now_ms);
		if (user->tokens < full(m, user))
			continue;
		forget(m, user);
		return user;
	}
	return NULL;
}

static void start(struct mspd_merge *m, struct user *user, uint64_t key,
		  uint64_t now_ms)
{
	size_t i;

	memset(user, 0, sizeof(*user));
	user->key = key;
	user->since_ms = now_ms;
	user->tokens = full(m, user);
	for (i = 0; i < VERDICTS; i++) {
		user->rest[i].level = LEVEL_REST;
		user->rest[i].user = user;
		user->rest[i].rest.verdict = (enum msp_verdict)i;
	}
}

static struct user *find_user(struct mspd_merge *m, uint64_t owner,
			      uint64_t now_ms)
{
	uint64_t key = account_of(owner);
	struct user **bucket = &m->buckets[bucket_of(key)];
	struct user *user;

	for (user = *bucket; user; user = user->next)
		if (user->key == key)
			break;
	if (!user) {
		user = place(m, now_ms);
		if (!user)
			user = &m->crowd;
		else
			start(m, user, key, now_ms);
		if (user != &m->crowd) {
			user->next = *bucket;
			*bucket = user;
		}
	}
	refill(m, user, now_ms);
	return user;
}

/* ---- groups ------------------------------------------------------------ */

static char *line_of(struct group *g)
{
	return (char *)(g + 1) + g->key_len;
}

static void add_text(struct mspd_text *key, const char *text)
{
	if (text)
		mspd_text_bytes(key, text, strnlen(text, MSPD_AUDIT_TEXT));
	mspd_text_bytes(key, "", 1); /* its NUL */
}

/* As much of a record as its line shows, so that what is merged looks the
 * same. Not the process, nor the port: each request may have its own. */
static void make_key(struct mspd_text *key,
		     const struct mspd_audit_record *record, enum level level)
{
	const struct msp_caller *c = record->caller;
	const struct msp_decision *d = record->decision;
	bool known = c && c->flags & MSP_CALLER_KNOWN;
	struct kind kind = {
		.known = known,
		.uid = known ? c->uid : 0,
		.endpoint = record->endpoint,
		.verdict = d ? (uint32_t)d->verdict : MSP_DENY,
		.reason = d ? (uint32_t)d->reason + 1 : 0,
		.canon = d ? (uint32_t)d->canon : 0,
		.mode = d ? (uint32_t)d->mode : 0,
		.status = record->status,
	};

	mspd_text_bytes(key, (const char *)&kind, sizeof(kind));
	add_text(key, known ? c->exe_path : NULL);
	add_text(key, d ? d->rule_id : NULL);
	add_text(key, d ? d->privilege : NULL);
	add_text(key, d ? d->identity : NULL);
	add_text(key, level == LEVEL_SAME ? record->method : NULL);
	add_text(key, level == LEVEL_SAME ? record->path : NULL);
}

/* To be quick about those that differ; never taken for the key. */
static uint64_t hash_of(const struct mspd_text *key)
{
	return mspd_hash(MSPD_HASH_START, key->at, key->len);
}

static struct group *find_group(struct user *user, const struct mspd_text *key,
				uint64_t hash, enum level level)
{
	struct group *g;

	for (g = user->groups; g; g = g->sibling)
		if (g->hash == hash && g->level == level &&
		    g->key_len == key->len &&
		    memcmp(g + 1, key->at, key->len) == 0)
			return g;
	return NULL;
}

static size_t size_of(const struct group *g)
{
	return sizeof(*g) + g->key_len + g->room;
}

static void drop(struct mspd_merge *m, struct group *g)
{
	struct group **link = &g->user->groups;

	while (*link != g)
		link = &(*link)->sibling;
	*link = g->sibling;
	g->user->n[g->level]--;
	g->user->bytes -= size_of(g);
	m->bytes -= size_of(g);
	free(g);
}

/* NULL: there is no room for one more. */
static struct group *add_group(struct mspd_merge *m, struct user *user,
			       const struct mspd_text *key, enum level level,
			       size_t room)
{
	static const unsigned int most[] = { MSPD_MERGE_GROUPS,
					     MSPD_MERGE_COARSE };
	size_t size = sizeof(struct group) + key->len + room;
	struct group *g;

	if (user->n[level] == most[level] ||
	    user->bytes + size > MSPD_MERGE_USER_BYTES ||
	    m->bytes + size > MSPD_MERGE_BYTES)
		return NULL;
	g = malloc(size);
	if (!g)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->user = user;
	g->level = level;
	g->hash = hash_of(key);
	g->key_len = key->len;
	g->room = room;
	memcpy(g + 1, key->at, key->len);
	g->sibling = user->groups;
	user->groups = g;
	user->n[level]++;
	user->bytes += size;
	m->bytes += size;
	return g;
}

/* ---- the order in which they are due ------------------------------------ */

static void put_last(struct mspd_merge *m, struct group *g, uint64_t now_ms)
{
	g->due_ms = now_ms + m->merge_ms;
	g->next = NULL;
	g->prev = m->last;
	if (m->last)
		m->last->next = g;
	else
		m->first = g;
	m->last = g;
}

static void take_out(struct mspd_merge *m, struct group *g)
{
	if (g->prev)
		g->prev->next = g->next;
	else
		m->first = g->next;
	if (g->next)
		g->next->prev = g->prev;
	else
		m->last = g->prev;
}

/* ---- counting ---------------------------------------------------------- */

/* The line of the first that is counted, in @old or in a group made in its
 * place. NULL: there is no room for it. */
static struct group *keep_line(struct mspd_merge *m, struct group *old,
			       struct user *user, const struct mspd_text *key,
			       enum level level,
			       const struct mspd_audit_record *record,
			       uint64_t now_ms)
{
	struct mspd_audit_record shown = *record;
	char buffer[MSPD_AUDIT_LINE];
	struct group *g = old;
	struct mspd_text line;

	if (level == LEVEL_COARSE)
		shown.method = shown.path = NULL;
	mspd_text_init(&line, buffer, sizeof(buffer));
	mspd_audit_text(&line, &shown, &m->stamp);
	if (g && line.len > g->room) {
		take_out(m, g);
		drop(m, g);
		g = NULL;
	}
	if (!g) {
		g = add_group(m, user, key, level, line.len + SPARE);
		if (!g)
			return NULL;
		put_last(m, g, now_ms);
	}
	memcpy(line_of(g), line.at, line.len);
	g->len = line.len;
	return g;
}

static void count(struct group *g, const struct mspd_audit_record *record)
{
	g->count++;
	g->last = record->time;
}

/* Where nothing else can be kept: needs no memory. */
static void count_rest(struct mspd_merge *m, struct user *user,
		       const struct mspd_audit_record *record, uint64_t now_ms)
{
	const struct msp_decision *d = record->decision;
	unsigned int verdict = d ? (unsigned int)d->verdict : MSP_DENY;
	struct group *g = &user->rest[verdict < VERDICTS ? verdict : MSP_DENY];

	if (!g->count) {
		g->rest.time = record->time;
		g->rest.id = record->id;
		g->rest.known = mspd_fair_kind(user->key) == MSPD_FAIR_USER &&
				user != &m->crowd;
		g->rest.uid = (uint32_t)user->key;
		put_last(m, g, now_ms);
	}
	count(g, record);
}

/* In a group of this level, an old one or, with @add, a new one. */
static bool count_in(struct mspd_merge *m, struct user *user, enum level level,
		     const struct mspd_audit_record *record, uint64_t now_ms,
		     bool add)
{
	char buffer[KEY_MAX + 1];
	struct mspd_text key;
	struct group *g;

	mspd_text_init(&key, buffer, sizeof(buffer));
	make_key(&key, record, level);
	g = find_group(user, &key, hash_of(&key), level);
	if (!g && !add)
		return false;
	if (!g || !g->count)
		g = keep_line(m, g, user, &key, level, record, now_ms);
	if (g)
		count(g, record);
	return g != NULL;
}

/* ---- public ------------------------------------------------------------ */

int mspd_merge_new(struct mspd_merge **out, const struct mspd_audit_opts *opts)
{
	struct mspd_merge *m = calloc(1, sizeof(*m));

	*out = m;
	if (!m)
		return -ENOMEM;
	m->records = opts->records;
	m->per_second = opts->per_second;
	m->merge_ms = opts->merge_ms;
	start(m, &m->crowd, mspd_fair_key(MSPD_FAIR_UNKNOWN, 1), 0);
	return 0;
}

void mspd_merge_free(struct mspd_merge *merge)
{
	struct group *g, *next;

	if (!merge)
		return;
	for (g = merge->first; g; g = next) {
		next = g->next;
		if (g->level != LEVEL_REST)
			free(g);
	}
	free(merge);
}

bool mspd_merge_take(struct mspd_merge *merge,
		     const struct mspd_audit_record *record, uint64_t now_ms,
		     bool room)
{
	struct user *user = find_user(merge, record->owner, now_ms);
	bool write = room && user->tokens > 0;

	merge->charged = user;
	if (write && !user->groups)
		return true;
	/* what is counted already goes on being: the budget is for news */
	if (count_in(merge, user, LEVEL_SAME, record, now_ms, !write))
		return false;
	if (write)
		return true;
	if (!count_in(merge, user, LEVEL_COARSE, record, now_ms, true))
		count_rest(merge, user, record, now_ms);
	return false;
}

void mspd_merge_charge(struct mspd_merge *merge, size_t bytes)
{
	charge(merge, merge->charged, bytes);
}

uint64_t mspd_merge_due(const struct mspd_merge *merge)
{
	return merge->first ? merge->first->due_ms : MSP_NEVER;
}

static void put_group(struct mspd_merge *m, struct group *g,
		      struct mspd_text *line)
{
	size_t before = line->len;

	if (g->level == LEVEL_REST)
		mspd_audit_text_rest(line, &g->rest, &m->stamp);
	else
		mspd_text_bytes(line, line_of(g), g->len);
	mspd_audit_text_end(line, g->count - 1, g->last, &m->stamp);
	charge(m, g->user, line->len - before);
	g->count = 0;
}

bool mspd_merge_next(struct mspd_merge *merge, uint64_t now_ms, bool all,
		     struct mspd_text *line)
{
	struct group *g;

	while ((g = merge->first) != NULL && (all || g->due_ms <= now_ms)) {
		bool told = g->count > 0;

		take_out(merge, g);
		if (told)
			put_group(merge, g, line);
		/* one that goes on is not made anew for each line */
		if (g->level != LEVEL_REST && told && !all)
			put_last(merge, g, now_ms);
		else if (g->level != LEVEL_REST)
			drop(merge, g);
		if (told)
			return true;
	}
	return false;
}
