/* SPDX-License-Identifier: MIT */
/*
 * In: decisions and what became of them. Out: JSON lines on file, in order.
 * Must never lose a line while it runs, nor write half a line, nor a secret.
 */
#include "mspd/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mspd/log.h"
#include "mspd/rotate.h"
#include "mspd/text.h"
#include "mspd/worker.h"

/* Most bytes of a text in its quotes: an escape is six for one. */
#define QUOTED(n) (6 * (n) + 2)
/* user, exe, method, path, rule, privilege, identity, cgroup */
#define TEXTS  8
#define UNIT   255
#define ID     64
#define NUMBER 10 /* digits of 32 bits */
#define COMM   16
#define PARENT (COMM + NUMBER + 2)
/* names of keys, punctuation, words of ours, other numbers */
#define FIXED 1536
#define LONGEST                                                                \
	(QUOTED(MSPD_AUDIT_TEXT) * TEXTS + QUOTED(COMM) + QUOTED(UNIT) +       \
	 QUOTED(ID) + (NUMBER + 1) * MSP_CALLER_GROUPS_MAX +                   \
	 (QUOTED(PARENT) + 1) * MSP_CALLER_PARENTS + FIXED)
_Static_assert(LONGEST < MSPD_AUDIT_LINE, "a line is never cut");

/* Bytes written at a time: whole lines, so at least one fits. */
#define BATCH	 (2 * MSPD_AUDIT_LINE)
#define RETRY_MS 1000
/* At the end a full disk is given this many chances more. */
#define LAST_TRIES    10
#define LAST_RETRY_MS 100

struct mspd_audit {
	pthread_mutex_t lock;
	pthread_cond_t more;  /* a line, or stop */
	pthread_cond_t fewer; /* lines went to the file */
	pthread_cond_t quit;  /* stop; ends a pause between attempts */
	pthread_t writer;
	struct mspd_rotate file; /* the writer's, not locked */
	size_t first;		 /* oldest byte in ring */
	size_t used;		 /* bytes in ring, whole lines */
	bool stop;
	int lost; /* errno of the last attempt before giving up */
	atomic_bool failed;
	char batch[BATCH]; /* the writer's, not locked */
	char ring[MSPD_AUDIT_RING];
};

/* ---- values ------------------------------------------------------------ */

/* ,"name": in front of a value; the name is a constant of ours */
static void put_name(struct mspd_text *line, const char *name)
{
	mspd_text_put(line, ",\"");
	mspd_text_put(line, name);
	mspd_text_put(line, "\":");
}

static void put_string(struct mspd_text *line, const char *name,
		       const char *value)
{
	put_name(line, name);
	mspd_text_json(line, value, MSPD_AUDIT_TEXT);
}

static void put_number(struct mspd_text *line, const char *name, uint64_t value)
{
	put_name(line, name);
	mspd_text_number(line, value);
}

static void put_null(struct mspd_text *line, const char *name)
{
	put_name(line, name);
	mspd_text_put(line, "null");
}

static void put_time(struct mspd_text *line, struct timespec when)
{
	char stamp[MSPD_TEXT_TIME];
	char tail[8];

	mspd_text_time(stamp, when, ':');
	/* The text ends in milliseconds; RFC 3339 takes any number. */
	snprintf(tail, sizeof(tail), "%03uZ\"",
		 (unsigned int)(when.tv_nsec / 1000) % 1000);
	mspd_text_put(line, "{\"time\":\"");
	mspd_text_put(line, stamp);
	mspd_text_put(line, tail);
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

	put_name(line, "groups");
	mspd_text_put(line, "[");
	for (i = 0; i < c->n_gids && i < MSP_CALLER_GROUPS_MAX; i++) {
		mspd_text_put(line, i ? "," : "");
		mspd_text_number(line, c->gids[i]);
	}
	mspd_text_put(line, "]");
}

static void put_parents(struct mspd_text *line, const struct msp_caller *c)
{
	char text[PARENT + 1];
	size_t i;

	put_name(line, "parents");
	mspd_text_put(line, "[");
	for (i = 0; i < MSP_CALLER_PARENTS && c->parents[i].pid; i++) {
		snprintf(text, sizeof(text), "%.*s[%u]", COMM - 1,
			 c->parents[i].comm, c->parents[i].pid);
		mspd_text_put(line, i ? "," : "");
		mspd_text_json(line, text, sizeof(text));
	}
	mspd_text_put(line, "]");
}

static void put_cgroup(struct mspd_text *line, const struct msp_caller *c)
{
	const char *path = c->cgroup_path;
	struct msp_unit u;

	/* of the whole path, before it is cut */
	msp_caller_unit(&u, path, path ? strlen(path) : 0);
	put_string(line, "cgroup", path);
	put_name(line, "unit");
	mspd_text_json_bytes(line, u.unit, u.unit_len, UNIT);
	put_name(line, "container");
	mspd_text_json_bytes(line, u.container, u.container_len, ID);
}

/* No namespace has number 0: the kernel did not say. */
static void put_namespace(struct mspd_text *line, const char *name,
			  uint32_t number)
{
	if (number)
		put_number(line, name, number);
	else
		put_null(line, name);
}

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

	put_name(line, "flags");
	mspd_text_put(line, "[");
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!(flags & known[i].flag))
			continue;
		mspd_text_put(line, before);
		mspd_text_put(line, known[i].name);
		mspd_text_put(line, "\"");
		before = ",\"";
	}
	mspd_text_put(line, "]");
}

static void put_nobody(struct mspd_text *line)
{
	static const char *const keys[] = {
		"uid",	     "user",   "pid",	 "exe",	      "comm",
		"exe_state", "gid",    "groups", "euid",      "loginuid",
		"parents",   "cgroup", "unit",	 "container", "netns",
		"mntns",     "pidns",  "userns", "flags",
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_null(line, keys[i]);
}

static void put_caller(struct mspd_text *line,
		       const struct mspd_audit_record *record)
{
	const struct msp_caller *c = record->caller;

	if (!c || !(c->flags & MSP_CALLER_KNOWN)) {
		put_nobody(line);
		return;
	}
	put_number(line, "uid", c->uid);
	put_string(line, "user", record->user);
	put_number(line, "pid", c->pid);
	put_string(line, "exe", *c->exe_path ? c->exe_path : NULL);
	put_string(line, "comm", *c->comm ? c->comm : NULL);
	put_string(line, "exe_state", exe_state(c));
	put_number(line, "gid", c->gid);
	put_groups(line, c);
	put_number(line, "euid", c->euid);
	if (c->loginuid == UINT32_MAX)
		put_null(line, "loginuid");
	else
		put_number(line, "loginuid", c->loginuid);
	put_parents(line, c);
	put_cgroup(line, c);
	put_namespace(line, "netns", c->net_ns);
	put_namespace(line, "mntns", c->mnt_ns);
	put_namespace(line, "pidns", c->pid_ns);
	put_namespace(line, "userns", c->user_ns);
	put_flags(line, c->flags);
}

/* ---- one line ---------------------------------------------------------- */

static void put_request(struct mspd_text *line,
			const struct mspd_audit_record *record)
{
	const char *endpoint = NULL;

	if (record->endpoint >= 0)
		endpoint =
			msp_endpoint_name((enum msp_endpoint)record->endpoint);
	put_string(line, "endpoint", endpoint);
	put_string(line, "method", record->method);
	put_string(line, "path", record->path);
}

static void put_decision(struct mspd_text *line, const struct msp_decision *d)
{
	if (!d) {
		put_string(line, "verdict", msp_verdict_name(MSP_DENY));
		put_string(line, "reason", "refused");
		put_null(line, "rule");
		put_null(line, "privilege");
		put_null(line, "identity");
		put_null(line, "epoch");
		return;
	}
	put_string(line, "verdict", msp_verdict_name(d->verdict));
	put_string(line, "reason", msp_reason_name(d->reason));
	if (d->canon != MSP_CANON_OK)
		put_string(line, "canon", msp_canon_name(d->canon));
	put_string(line, "rule", d->rule_id);
	put_string(line, "privilege", d->privilege);
	put_string(line, "identity", d->identity);
	put_number(line, "epoch", d->epoch);
}

static void compose(struct mspd_text *line,
		    const struct mspd_audit_record *record)
{
	put_time(line, record->time);
	put_number(line, "id", record->id);
	put_caller(line, record);
	put_request(line, record);
	put_decision(line, record->decision);
	put_number(line, "status", record->status);
	put_number(line, "us", record->us);
	if (record->decision)
		put_string(line, "mode", msp_mode_name(record->decision->mode));
	else
		put_null(line, "mode");
	put_number(line, "port", record->client_port);
	mspd_text_put(line, "}\n");
}

/* ---- ring -------------------------------------------------------------- */

static void ring_put(struct mspd_audit *audit, const char *data, size_t len)
{
	size_t at = (audit->first + audit->used) % MSPD_AUDIT_RING;
	size_t part = MSPD_AUDIT_RING - at;

	if (part > len)
		part = len;
	memcpy(audit->ring + at, data, part);
	memcpy(audit->ring, data + part, len - part);
	audit->used += len;
}

/* Copy as many whole lines as a batch holds; they stay in the ring until they
 * are on file. Lines are shorter than a batch, so there is at least one. */
static size_t ring_copy(struct mspd_audit *audit)
{
	size_t len = audit->used < BATCH ? audit->used : BATCH;
	size_t part = MSPD_AUDIT_RING - audit->first;
	const char *lf;

	if (part > len)
		part = len;
	memcpy(audit->batch, audit->ring + audit->first, part);
	memcpy(audit->batch + part, audit->ring, len - part);
	lf = memrchr(audit->batch, '\n', len);
	return lf ? (size_t)(lf - audit->batch) + 1 : 0;
}

static void ring_drop(struct mspd_audit *audit, size_t len)
{
	audit->first = (audit->first + len) % MSPD_AUDIT_RING;
	audit->used -= len;
}

/* ---- writer ------------------------------------------------------------ */

/* Tell people once when it begins to fail, and once when it is over. */
static void note_result(struct mspd_audit *audit, int rc)
{
	char buffer[128];
	bool failed = rc < 0;

	if (atomic_exchange(&audit->failed, failed) == failed)
		return;
	if (failed)
		mspd_log(MSPD_ERROR, "audit.jsonl cannot be written: %s",
			 strerror_r(-rc, buffer, sizeof(buffer)));
	else
		mspd_log(MSPD_WARN, "audit.jsonl is being written again");
}

/* With the lock held, which is given up while writing. Returns 0 or -errno. */
static int write_batch(struct mspd_audit *audit)
{
	size_t len = ring_copy(audit);
	int rc;

	pthread_mutex_unlock(&audit->lock);
	rc = mspd_rotate_append(&audit->file, audit->batch, len);
	note_result(audit, rc);
	pthread_mutex_lock(&audit->lock);
	if (rc == 0) {
		ring_drop(audit, len);
		pthread_cond_broadcast(&audit->fewer);
	}
	return rc;
}

/* Wait before the next attempt, or less if it is time to stop. */
static void pause_writer(struct mspd_audit *audit)
{
	bool stopping = audit->stop;
	struct timespec at = mspd_deadline(stopping ? LAST_RETRY_MS : RETRY_MS);
	int rc = 0;

	while (audit->stop == stopping && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&audit->quit, &audit->lock, &at);
}

static void *run(void *arg)
{
	struct mspd_audit *audit = arg;
	int tries = LAST_TRIES;
	int rc;

	pthread_mutex_lock(&audit->lock);
	for (;;) {
		if (!audit->used) {
			if (audit->stop)
				break;
			pthread_cond_wait(&audit->more, &audit->lock);
			continue;
		}
		rc = write_batch(audit);
		if (rc == 0)
			continue;
		if (audit->stop && tries-- == 0) {
			audit->lost = -rc;
			break;
		}
		pause_writer(audit);
	}
	pthread_mutex_unlock(&audit->lock);
	return NULL;
}

/* ---- public ------------------------------------------------------------ */

static void init(struct mspd_audit *audit)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&audit->lock, NULL);
	pthread_cond_init(&audit->more, NULL);
	pthread_cond_init(&audit->fewer, &attr);
	pthread_cond_init(&audit->quit, &attr);
	pthread_condattr_destroy(&attr);
}

static void destroy(struct mspd_audit *audit)
{
	mspd_rotate_close(&audit->file);
	pthread_cond_destroy(&audit->quit);
	pthread_cond_destroy(&audit->fewer);
	pthread_cond_destroy(&audit->more);
	pthread_mutex_destroy(&audit->lock);
	free(audit);
}

int mspd_audit_open(struct mspd_audit **out, const char *dir)
{
	struct mspd_audit *audit;
	int rc;

	*out = NULL;
	if (!dir || !*dir)
		return -EINVAL;
	audit = calloc(1, sizeof(*audit));
	if (!audit)
		return -ENOMEM;
	init(audit);
	rc = mspd_rotate_open(&audit->file, dir, "audit.jsonl");
	if (rc == 0)
		rc = mspd_thread_start(&audit->writer, run, audit);
	if (rc < 0) {
		destroy(audit);
		return rc;
	}
	*out = audit;
	return 0;
}

void mspd_audit_write(struct mspd_audit *audit,
		      const struct mspd_audit_record *record)
{
	char buffer[MSPD_AUDIT_LINE];
	struct mspd_text line;

	mspd_text_init(&line, buffer, sizeof(buffer));
	compose(&line, record);
	pthread_mutex_lock(&audit->lock);
	while (MSPD_AUDIT_RING - audit->used < line.len)
		pthread_cond_wait(&audit->fewer, &audit->lock);
	ring_put(audit, line.at, line.len);
	pthread_cond_signal(&audit->more);
	pthread_mutex_unlock(&audit->lock);
}

bool mspd_audit_ready(struct mspd_audit *audit)
{
	bool ready;

	pthread_mutex_lock(&audit->lock);
	ready = MSPD_AUDIT_RING - audit->used >= MSPD_AUDIT_LINE;
	pthread_mutex_unlock(&audit->lock);
	return ready;
}

bool mspd_audit_failed(const struct mspd_audit *audit)
{
	return atomic_load(&audit->failed);
}

int mspd_audit_flush(struct mspd_audit *audit, unsigned int ms)
{
	struct timespec at = mspd_deadline(ms);
	int rc = 0;

	pthread_mutex_lock(&audit->lock);
	while (audit->used && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&audit->fewer, &audit->lock, &at);
	rc = audit->used ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&audit->lock);
	return rc;
}

int mspd_audit_close(struct mspd_audit *audit)
{
	int rc;

	if (!audit)
		return 0;
	pthread_mutex_lock(&audit->lock);
	audit->stop = true;
	pthread_cond_signal(&audit->more);
	pthread_cond_signal(&audit->quit);
	pthread_mutex_unlock(&audit->lock);
	pthread_join(audit->writer, NULL);
	rc = -audit->lost;
	if (audit->file.fd >= 0 && fdatasync(audit->file.fd) < 0 && rc == 0)
		rc = -errno;
	destroy(audit);
	return rc;
}
