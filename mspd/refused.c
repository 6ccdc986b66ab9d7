/* SPDX-License-Identifier: MIT */
/*
 * In: refusals. Out: who is refused most, and the rule that would allow it.
 * Must never grow without bound, nor show a value that a caller sent in a
 * query.
 */
#include "mspd/refused.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/hash.h"
#include "mspd/meter.h"

#define PATH_SHOWN 128

/* ---- the table --------------------------------------------------------- */

static const char *exe_of(const struct mspd_refusal *r)
{
	return r->caller ? r->caller->exe_path : "";
}

static uint64_t hash_of(const struct mspd_refusal *r, const char *path)
{
	uint64_t hash = MSPD_HASH_START;

	hash = mspd_hash_word(hash, r->caller ? r->caller->uid : UINT64_MAX);
	hash = mspd_hash_word(hash,
			      (uint64_t)(r->endpoint + 1) << 8 | r->reason);
	hash = mspd_hash(hash, exe_of(r), strlen(exe_of(r)));
	hash = mspd_hash(hash, r->method, strlen(r->method));
	return mspd_hash(hash, path, strlen(path));
}

static bool is_alike(const struct mspd_refused_entry *e, uint64_t hash,
		     const struct mspd_refusal *r, const char *path)
{
	return e->hash == hash && e->known == (r->caller != NULL) &&
	       (!r->caller || e->caller.uid == r->caller->uid) &&
	       e->endpoint == r->endpoint && e->reason == r->reason &&
	       strcmp(e->caller.exe_path, exe_of(r)) == 0 &&
	       strncmp(e->method, r->method, sizeof(e->method) - 1) == 0 &&
	       strcmp(e->path, path) == 0;
}

static void empty(struct mspd_refused_entry *e)
{
	mspd_names_free(e->names);
	free(e->allow);
	explicit_bzero(e, sizeof(*e));
}

static bool is_same_user(const struct mspd_refused_entry *e,
			 const struct msp_caller *caller)
{
	return e->known == (caller != NULL) &&
	       (!caller || e->caller.uid == caller->uid);
}

static struct mspd_refused_entry *older(struct mspd_refused_entry *a,
					struct mspd_refused_entry *b)
{
	return !a || b->order < a->order ? b : a;
}

/* The oldest: of all, or of one user who would have too many. */
static struct mspd_refused_entry *
find_oldest(const struct mspd_refused *refused, const struct msp_caller *caller)
{
	struct mspd_refused_entry *oldest = NULL, *own = NULL;
	size_t n_own = 0, i;

	for (i = 0; i < refused->n; i++) {
		struct mspd_refused_entry *e = refused->entries[i];

		oldest = older(oldest, e);
		if (!is_same_user(e, caller))
			continue;
		own = older(own, e);
		n_own++;
	}
	return n_own >= MSPD_REFUSED_SHARE ? own : oldest;
}

/* NULL: no memory. */
static struct mspd_refused_entry *take(struct mspd_refused *refused,
				       const struct msp_caller *caller)
{
	struct mspd_refused_entry *e;

	if (refused->n == MSPD_REFUSED_MAX) {
		e = find_oldest(refused, caller);
		empty(e);
		return e;
	}
	e = calloc(1, sizeof(*e));
	if (e)
		refused->entries[refused->n++] = e;
	return e;
}

/* It borrows from nobody afterwards. */
static void copy_caller(struct mspd_refused_entry *e,
			const struct mspd_refusal *r)
{
	if (e->names != r->names) { /* who may be allowed other things */
		mspd_names_free(e->names);
		e->names = r->names ? mspd_names_ref(r->names) : NULL;
		free(e->allow);
		e->allow = NULL;
	}
	e->groups_cut = r->groups_cut;
	e->known = r->caller != NULL;
	if (!r->caller)
		return;
	e->caller = *r->caller;
	e->caller.user_name = NULL;
	e->caller.groups = NULL;
	e->caller.n_groups = 0;
	e->caller.process_groups = NULL;
	e->caller.n_process_groups = 0;
	e->caller.cgroup_path = NULL;
}

static void copy_target(struct mspd_refused_entry *e,
			const struct mspd_refusal *r)
{
	explicit_bzero(e->target, e->target_len);
	e->target_len = 0;
	if (!r->target || r->target_len >= sizeof(e->target))
		return;
	memcpy(e->target, r->target, r->target_len);
	e->target_len = r->target_len;
}

void mspd_refused_note(struct mspd_refused *refused,
		       const struct mspd_refusal *refusal)
{
	char path[MSPD_REFUSED_PATH];
	struct mspd_refused_entry *e = NULL;
	uint64_t hash;
	size_t i;

	msp_request_path_text(refusal->request, path, sizeof(path));
	hash = hash_of(refusal, path);
	for (i = 0; i < refused->n && !e; i++)
		if (is_alike(refused->entries[i], hash, refusal, path))
			e = refused->entries[i];
	if (!e)
		e = take(refused, refusal->caller);
	if (!e)
		return;
	e->hash = hash;
	e->endpoint = refusal->endpoint;
	e->reason = refusal->reason;
	e->count++;
	e->order = ++refused->order;
	e->last = refusal->wall_s;
	copy_caller(e, refusal);
	copy_target(e, refusal);
	snprintf(e->method, sizeof(e->method), "%s", refusal->method);
	memcpy(e->path, path, sizeof(path));
}

static bool comes_first(const struct mspd_refused_entry *a,
			const struct mspd_refused_entry *b)
{
	return a->count > b->count ||
	       (a->count == b->count && a->order > b->order);
}

size_t mspd_refused_top(const struct mspd_refused *refused,
			const struct mspd_refused_entry **out, size_t max)
{
	size_t n = 0, i, k;

	for (i = 0; i < refused->n; i++) {
		const struct mspd_refused_entry *e = refused->entries[i];

		for (k = n; k > 0 && comes_first(e, out[k - 1]); k--)
			if (k < max)
				out[k] = out[k - 1];
		if (k < max)
			out[k] = e;
		if (n < max)
			n++;
	}
	return n;
}

const char *mspd_refused_user(const struct mspd_refused_entry *entry)
{
	return entry->names ? entry->names->user_name : NULL;
}

void mspd_refused_close(struct mspd_refused *refused)
{
	while (refused->n) {
		struct mspd_refused_entry *e = refused->entries[--refused->n];

		empty(e);
		free(e);
	}
}

/* ---- what would allow it ----------------------------------------------- */

struct said {
	char *at;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct said *out,
						      const char *format, ...)
{
	size_t room = MSPD_REFUSED_ALLOW - out->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(out->at + out->len, room, format, args);
	va_end(args);
	if (n > 0)
		out->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Selectors that this caller matches. */
static void say_identity(struct said *out, const struct msp_caller *c)
{
	if (c->user_name)
		say(out, "an identity with userName '%.64s'", c->user_name);
	else
		say(out, "an identity (uid %u has no name)", c->uid);
	if ((c->flags & MSP_CALLER_EXE_VERIFIED) && c->exe_path[0])
		say(out, ", exePath '%.128s'", c->exe_path);
}

/* A privilege was meant, and no identity of it is this caller. */
static void say_grant(struct said *out, const struct msp_explanation *x,
		      const struct msp_caller *caller)
{
	const char *name = msp_explanation_decision(x)->privilege;
	const struct msp_tried_identity *nearest =
		msp_explanation_identity(x, 0);

	say(out, "assign a role with privilege '%.64s' to ",
	    name ? name : "(unnamed)");
	say_identity(out, caller);
	if (nearest)
		say(out, "; identity '%.64s' has it, but its %s does not match",
		    nearest->name, msp_try_name(nearest->result));
}

/* No privilege is for this request. */
static void say_privilege(struct said *out, const struct msp_explanation *x,
			  const struct mspd_refused_entry *e,
			  const struct msp_caller *caller)
{
	const struct msp_tried_privilege *near =
		msp_explanation_privilege(x, 0);
	size_t path = strcspn(e->path, "?");

	/* a part of it would cover more than what was refused */
	if (path <= PATH_SHOWN)
		say(out, "add a privilege with path '%.*s' and assign it to ",
		    (int)path, e->path);
	else
		say(out, "add a privilege with this path, which is too long "
			 "to be shown here, and assign it to ");
	say_identity(out, caller);
	if (near && near->param)
		say(out,
		    "; privilege '%.64s' covers the path, but wants another "
		    "value of parameter '%.64s'",
		    near->name, near->param);
}

/* Of refusals that no rule can change; NULL: rules decide. */
static const char *beyond_rules(unsigned int reason)
{
	switch (reason) {
	case MSP_REASON_UNKNOWN_CALLER:
		return "no rule: the kernel did not tell who it is";
	case MSP_REASON_DIRECT:
		return "no rule: it must connect to the endpoint, not to the "
		       "agent";
	case MSP_REASON_NOT_ROOT:
		return "no rule: only root may use this endpoint";
	case MSP_REASON_CANON:
		return "no rule: the request itself is not accepted";
	case MSPD_METER_REFUSED:
		return "no rule: it was over a limit, or malformed";
	default:
		return NULL;
	}
}

static void say_by_rules(struct said *out, const struct mspd_refused_entry *e,
			 const struct msp_caller *caller,
			 const struct msp_explanation *x)
{
	const struct msp_decision *d = msp_explanation_decision(x);
	const char *beyond = beyond_rules(d->reason);

	if (d->verdict == MSP_ALLOW)
		say(out, "the rules of now allow it");
	else if (beyond)
		say(out, "%s", beyond);
	else if (d->reason == MSP_REASON_NO_IDENTITY)
		say_grant(out, x, caller);
	else
		say_privilege(out, x, e, caller);
}

static int explain(struct said *out, const struct mspd_refused_entry *e,
		   const struct msp_rules *rules)
{
	struct msp_explanation *x = NULL;
	struct msp_request *request = NULL;
	struct msp_caller caller = e->caller;
	int rc = msp_request_new(&request);

	mspd_names_apply(e->names, &caller, e->groups_cut);
	if (rc == 0)
		rc = msp_request_set(request, e->method, strlen(e->method),
				     e->target, e->target_len);
	if (rc == 0)
		rc = msp_decision_explain(&x, rules,
					  (enum msp_endpoint)e->endpoint,
					  request, &caller);
	if (rc == 0)
		say_by_rules(out, e, &caller, x);
	msp_explanation_free(x);
	msp_request_free(request);
	return rc;
}

bool mspd_refused_by_rules(const struct mspd_refused_entry *entry)
{
	return !beyond_rules(entry->reason) && entry->known &&
	       entry->endpoint >= 0 && entry->target_len;
}

void mspd_refused_allow(const struct mspd_refused_entry *entry,
			const struct msp_rules *rules,
			char out[MSPD_REFUSED_ALLOW])
{
	struct said said = { out, 0 };
	const char *beyond = beyond_rules(entry->reason);

	out[0] = '\0';
	if (beyond)
		say(&said, "%s", beyond);
	else if (!mspd_refused_by_rules(entry))
		say(&said, "not known: the request was too long to be kept");
	else if (explain(&said, entry, rules) < 0)
		say(&said, "not known: it could not be explained");
}

void mspd_refused_keep(struct mspd_refused_entry *entry, uint64_t epoch,
		       const char *allow)
{
	free(entry->allow);
	entry->allow = strdup(allow);
	entry->allow_epoch = epoch;
}

const char *mspd_refused_kept(const struct mspd_refused_entry *entry,
			      const struct msp_rules *rules)
{
	return entry->allow_epoch == msp_rules_epoch(rules) ? entry->allow
							    : NULL;
}
