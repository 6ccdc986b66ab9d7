/* SPDX-License-Identifier: MIT */
/*
 * In: a decision and what became of it. Out: its line, in JSON. Must never
 * write a line that is not whole, nor let a caller's text break one.
 */
#include "mspd/audit_text.h"

#include <stdbool.h>
#include <string.h>

#include "mspd/audit_chain.h"

/* Most bytes of a text in its quotes: an escape is six for one. */
#define QUOTED(n) (6 * (n) + 2)
/* user, exe, method, path, rule, privilege, identity, cgroup */
#define TEXTS  8
#define UNIT   255
#define ID     64
#define DIGITS 10 /* of 32 bits */
#define COMM   16
#define PARENT (COMM + DIGITS + 2)
/* names of keys, punctuation, words of ours, other numbers */
#define FIXED 1536
#define LONGEST                                                                \
	(QUOTED(MSPD_AUDIT_TEXT) * TEXTS + QUOTED(COMM) + QUOTED(UNIT) +       \
	 QUOTED(ID) + (DIGITS + 1) * MSP_CALLER_GROUPS_MAX +                   \
	 (QUOTED(PARENT) + 1) * MSP_CALLER_PARENTS + FIXED)
_Static_assert(LONGEST < MSPD_AUDIT_LINE - MSPD_AUDIT_END,
	       "a line is never cut");

/* ---- values ------------------------------------------------------------ */

/* For constants: their length is known here. */
#define PUT(line, constant)                                                    \
	mspd_text_bytes(line, constant, sizeof(constant) - 1)
/* ,"name": in front of a value; the name is a constant of ours */
#define NAME(line, name)    PUT(line, ",\"" name "\":")
#define NOTHING(line, name) PUT(line, ",\"" name "\":null")
#define STRING(line, name, value)                                              \
	(NAME(line, name), mspd_text_json(line, value, MSPD_AUDIT_TEXT))
#define NUMBER(line, name, value)                                              \
	(NAME(line, name), mspd_text_number(line, value))

static void put_time(struct mspd_text *line, struct timespec when,
		     struct mspd_audit_stamp *stamp)
{
	unsigned long us = (unsigned long)when.tv_nsec / 1000;
	char fraction[8] = ".000000";
	size_t i;

	if (when.tv_sec != stamp->second || !stamp->text[0]) {
		mspd_text_time(stamp->text, when, ':');
		stamp->second = when.tv_sec;
	}
	for (i = 6; i; i--, us /= 10)
		fraction[i] = (char)('0' + us % 10);
	PUT(line, "\"");
	mspd_text_bytes(line, stamp->text, sizeof("YYYY-MM-DDTHH:MM:SS") - 1);
	mspd_text_bytes(line, fraction, 7);
	PUT(line, "Z\"");
}

/* ---- who it was -------------------------------------------------------- */

/* Did the file that ran have no name left? A kernel thread runs none. */
static bool deleted(const struct msp_caller *c)
{
	return !(c->flags & MSP_CALLER_KERNEL) && c->exe.nlink == 0;
}

static const char *exe_state(const struct msp_caller *c)
{
	if (c->flags & MSP_CALLER_EXE_VERIFIED)
		return c->flags & MSP_CALLER_EXE_REPLACED ? "replaced"
							  : "verified";
	if (deleted(c))
		return "deleted";
	if (!*c->exe_path)
		return "unknown";
	return c->flags & MSP_CALLER_EXE_CHECKED ? "not-at-path" : "unchecked";
}

static void put_groups(struct mspd_text *line, const struct msp_caller *c)
{
	uint32_t i;

	NAME(line, "groups");
	PUT(line, "[");
	for (i = 0; i < c->n_gids && i < MSP_CALLER_GROUPS_MAX; i++) {
		mspd_text_put(line, i ? "," : "");
		mspd_text_number(line, c->gids[i]);
	}
	PUT(line, "]");
}

static void put_parents(struct mspd_text *line, const struct msp_caller *c)
{
	char buffer[PARENT + 1];
	struct mspd_text text;
	size_t i;

	NAME(line, "parents");
	PUT(line, "[");
	for (i = 0; i < MSP_CALLER_PARENTS && c->parents[i].pid; i++) {
		mspd_text_init(&text, buffer, sizeof(buffer));
		mspd_text_bytes(&text, c->parents[i].comm,
				strnlen(c->parents[i].comm, COMM - 1));
		PUT(&text, "[");
		mspd_text_number(&text, c->parents[i].pid);
		PUT(&text, "]");
		mspd_text_put(line, i ? "," : "");
		mspd_text_json_bytes(line, text.at, text.len, sizeof(buffer));
	}
	PUT(line, "]");
}

static void put_cgroup(struct mspd_text *line, const struct msp_caller *c)
{
	const char *path = c->cgroup_path;
	struct msp_unit u;

	/* of the whole path, before it is cut */
	msp_caller_unit(&u, path, path ? strlen(path) : 0);
	STRING(line, "cgroup", path);
	NAME(line, "unit");
	mspd_text_json_bytes(line, u.unit, u.unit_len, UNIT);
	NAME(line, "container");
	mspd_text_json_bytes(line, u.container, u.container_len, ID);
}

/* No namespace has number 0: the kernel did not say. */
#define NAMESPACE(line, name, number)                                          \
	((number) ? NUMBER(line, name, number) : NOTHING(line, name))

static void put_flags(struct mspd_text *line, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} known[] = {
		{ MSP_CALLER_DIRECT, "direct" },
		{ MSP_CALLER_V6_MAPPED, "v6-mapped" },
		{ MSP_CALLER_KERNEL, "kernel" },
		{ MSP_CALLER_PATH_CUT, "path-cut" },
		{ MSP_CALLER_DEVICE, "device" },
		{ MSP_CALLER_GROUPS_CUT, "groups-cut" },
		{ MSP_CALLER_NO_PATH, "no-path" },
		{ MSP_CALLER_EXE_ELSEWHERE, "exe-elsewhere" },
	};
	const char *before = "\"";
	size_t i;

	NAME(line, "flags");
	PUT(line, "[");
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!(flags & known[i].flag))
			continue;
		mspd_text_put(line, before);
		mspd_text_put(line, known[i].name);
		PUT(line, "\"");
		before = ",\"";
	}
	PUT(line, "]");
}

/* Of nobody but a user, perhaps. */
static void put_nobody(struct mspd_text *line, const uint32_t *uid)
{
	if (uid)
		NUMBER(line, "uid", *uid);
	else
		NOTHING(line, "uid");
	PUT(line, ",\"user\":null,\"pid\":null,\"exe\":null,\"comm\":null,"
		  "\"exe_state\":null,\"gid\":null,\"groups\":null,"
		  "\"euid\":null,\"loginuid\":null,\"parents\":null,"
		  "\"cgroup\":null,\"unit\":null,\"container\":null,"
		  "\"netns\":null,\"mntns\":null,\"pidns\":null,"
		  "\"userns\":null,\"flags\":null");
}

static void put_caller(struct mspd_text *line,
		       const struct mspd_audit_record *record)
{
	const struct msp_caller *c = record->caller;

	NUMBER(line, "uid", c->uid);
	STRING(line, "user", record->user);
	NUMBER(line, "pid", c->pid);
	STRING(line, "exe", *c->exe_path ? c->exe_path : NULL);
	STRING(line, "comm", *c->comm ? c->comm : NULL);
	STRING(line, "exe_state", exe_state(c));
	NUMBER(line, "gid", c->gid);
	put_groups(line, c);
	NUMBER(line, "euid", c->euid);
	if (c->loginuid == UINT32_MAX)
		NOTHING(line, "loginuid");
	else
		NUMBER(line, "loginuid", c->loginuid);
	put_parents(line, c);
	put_cgroup(line, c);
	NAMESPACE(line, "netns", c->net_ns);
	NAMESPACE(line, "mntns", c->mnt_ns);
	NAMESPACE(line, "pidns", c->pid_ns);
	NAMESPACE(line, "userns", c->user_ns);
	put_flags(line, c->flags);
}

/* ---- as it was told before --------------------------------------------- */

/* All that put_caller() reads, so that the same bytes are the same text. */
struct key {
	char at[MSPD_AUDIT_WHO_BYTES];
	size_t len;
	bool cut;
};

struct numbers {
	uint32_t flags, uid, pid, gid, euid, loginuid;
	uint32_t net_ns, mnt_ns, pid_ns, user_ns;
	uint32_t n_gids, n_parents;
	uint32_t deleted, has_user, has_cgroup;
};

static void add(struct key *key, const void *at, size_t len)
{
	if (len > sizeof(key->at) - key->len) {
		key->cut = true;
		return;
	}
	memcpy(key->at + key->len, at, len);
	key->len += len;
}

/* With its NUL, where it ends. */
static void add_string(struct key *key, const char *text)
{
	if (text)
		add(key, text, strlen(text) + 1);
}

static void add_parents(struct key *key, const struct msp_caller *c, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		add(key, &c->parents[i].pid, sizeof(c->parents[i].pid));
		add(key, c->parents[i].comm, COMM);
	}
}

static void make_key(struct key *key, const struct mspd_audit_record *record)
{
	const struct msp_caller *c = record->caller;
	struct numbers n = {
		.flags = c->flags,
		.uid = c->uid,
		.pid = c->pid,
		.gid = c->gid,
		.euid = c->euid,
		.loginuid = c->loginuid,
		.net_ns = c->net_ns,
		.mnt_ns = c->mnt_ns,
		.pid_ns = c->pid_ns,
		.user_ns = c->user_ns,
		.n_gids = c->n_gids,
		.deleted = deleted(c),
		.has_user = record->user != NULL,
		.has_cgroup = c->cgroup_path != NULL,
	};

	if (n.n_gids > MSP_CALLER_GROUPS_MAX)
		n.n_gids = MSP_CALLER_GROUPS_MAX;
	while (n.n_parents < MSP_CALLER_PARENTS && c->parents[n.n_parents].pid)
		n.n_parents++;
	key->len = 0;
	key->cut = false;
	add(key, &n, sizeof(n));
	add(key, c->gids, n.n_gids * sizeof(c->gids[0]));
	add_parents(key, c, n.n_parents);
	add_string(key, c->comm);
	add_string(key, c->exe_path);
	add_string(key, record->user);
	add_string(key, c->cgroup_path);
}

/* Threads of one process may tell different names. */
static size_t place_of(const struct msp_caller *c)
{
	const uint64_t spread = 0x9e3779b97f4a7c15u;
	uint64_t half[2];

	_Static_assert(sizeof(half) == sizeof(c->comm), "all of the name");
	memcpy(half, c->comm, sizeof(half));
	half[0] = (half[0] ^ c->pid) * spread;
	half[0] = (half[0] ^ half[0] >> 32 ^ half[1]) * spread;
	return (half[0] >> 32) % MSPD_AUDIT_WHO_SLOTS;
}

static bool same(const struct mspd_audit_who *who, const struct key *key)
{
	return who->turn && !key->cut && who->key_len == key->len &&
	       memcmp(who->bytes, key->at, key->len) == 0;
}

/* False: it is too long. */
static bool keep(struct mspd_audit_stamp *stamp, struct mspd_audit_who *who,
		 const struct key *key, const char *text, size_t len)
{
	size_t key_len = key->cut ? 0 : key->len;

	if (len > sizeof(who->bytes) - key_len)
		key_len = 0;
	if (len > sizeof(who->bytes))
		return false;
	who->turn = ++stamp->turns;
	who->key_len = (uint16_t)key_len;
	who->len = (uint16_t)len;
	memcpy(who->bytes, key->at, key_len);
	memcpy(who->bytes + key_len, text, len);
	return true;
}

static void put_kept(struct mspd_text *line, const struct mspd_audit_who *who)
{
	mspd_text_bytes(line, who->bytes + who->key_len, who->len);
}

/* Where the caller of this connection is, if it has been told of; or where it
 * will be. */
static struct mspd_audit_who *find(struct mspd_audit_stamp *stamp,
				   const struct mspd_audit_record *record,
				   bool *found)
{
	size_t slot = record->version % MSPD_AUDIT_WHO_SLOTS;
	struct mspd_audit_who *who = &stamp->who[stamp->seen[slot].who];

	*found = record->version &&
		 stamp->seen[slot].version == record->version &&
		 stamp->seen[slot].turn == who->turn;
	return *found ? who : &stamp->who[place_of(record->caller)];
}

static void remember(struct mspd_audit_stamp *stamp,
		     const struct mspd_audit_who *who, uint64_t version)
{
	size_t slot = version % MSPD_AUDIT_WHO_SLOTS;

	stamp->seen[slot].version = version;
	stamp->seen[slot].turn = who->turn;
	stamp->seen[slot].who = (size_t)(who - stamp->who);
}

/* Nothing has to be compared for a connection that has been told of before, and
 * for another one of a process much less than is composed. */
static void put_who(struct mspd_text *line,
		    const struct mspd_audit_record *record,
		    struct mspd_audit_stamp *stamp)
{
	const struct msp_caller *c = record->caller;
	size_t start = line->len;
	struct mspd_audit_who *who;
	struct key key;
	bool found;

	if (!c || !(c->flags & MSP_CALLER_KNOWN)) {
		put_nobody(line, NULL);
		return;
	}
	who = find(stamp, record, &found);
	if (found) {
		put_kept(line, who);
		return;
	}
	make_key(&key, record);
	if (same(who, &key)) {
		put_kept(line, who);
	} else {
		put_caller(line, record);
		if (!keep(stamp, who, &key, line->at + start,
			  line->len - start))
			return;
	}
	remember(stamp, who, record->version);
}

/* ---- one line ---------------------------------------------------------- */

static void put_request(struct mspd_text *line,
			const struct mspd_audit_record *record)
{
	const char *endpoint = NULL;

	if (record->endpoint >= 0)
		endpoint =
			msp_endpoint_name((enum msp_endpoint)record->endpoint);
	STRING(line, "endpoint", endpoint);
	STRING(line, "method", record->method);
	STRING(line, "path", record->path);
}

static void put_decision(struct mspd_text *line, const struct msp_decision *d)
{
	if (!d) {
		STRING(line, "verdict", msp_verdict_name(MSP_DENY));
		STRING(line, "reason", "refused");
		NOTHING(line, "rule");
		NOTHING(line, "privilege");
		NOTHING(line, "identity");
		NOTHING(line, "epoch");
		return;
	}
	STRING(line, "verdict", msp_verdict_name(d->verdict));
	STRING(line, "reason", msp_reason_name(d->reason));
	if (d->canon != MSP_CANON_OK)
		STRING(line, "canon", msp_canon_name(d->canon));
	STRING(line, "rule", d->rule_id);
	STRING(line, "privilege", d->privilege);
	STRING(line, "identity", d->identity);
	NUMBER(line, "epoch", d->epoch);
}

void mspd_audit_text(struct mspd_text *line,
		     const struct mspd_audit_record *record,
		     struct mspd_audit_stamp *stamp)
{
	PUT(line, "{\"time\":");
	put_time(line, record->time, stamp);
	NUMBER(line, "id", record->id);
	put_who(line, record, stamp);
	put_request(line, record);
	put_decision(line, record->decision);
	NUMBER(line, "status", record->status);
	NUMBER(line, "us", record->us);
	if (record->decision)
		STRING(line, "mode", msp_mode_name(record->decision->mode));
	else
		NOTHING(line, "mode");
	NUMBER(line, "port", record->client_port);
}

void mspd_audit_text_rest(struct mspd_text *line,
			  const struct mspd_audit_rest *rest,
			  struct mspd_audit_stamp *stamp)
{
	PUT(line, "{\"time\":");
	put_time(line, rest->time, stamp);
	NUMBER(line, "id", rest->id);
	put_nobody(line, rest->known ? &rest->uid : NULL);
	PUT(line, ",\"endpoint\":null,\"method\":null,\"path\":null");
	STRING(line, "verdict", msp_verdict_name(rest->verdict));
	PUT(line, ",\"reason\":\"other\",\"rule\":null,\"privilege\":null,"
		  "\"identity\":null,\"epoch\":null,\"status\":null,"
		  "\"us\":null,\"mode\":null,\"port\":null");
}

void mspd_audit_text_end(struct mspd_text *line, uint64_t merged,
			 struct timespec last, struct mspd_audit_stamp *stamp)
{
	if (merged) {
		NUMBER(line, "merged", merged);
		NAME(line, "last");
		put_time(line, last, stamp);
	}
	PUT(line, MSPD_CHAIN_BLANK "\n");
}

void mspd_audit_text_torn(struct mspd_text *line, struct timespec now,
			  uint64_t bytes, struct mspd_audit_stamp *stamp)
{
	PUT(line, "{\"time\":");
	put_time(line, now, stamp);
	NUMBER(line, "torn", bytes);
	mspd_audit_text_end(line, 0, now, stamp);
}
