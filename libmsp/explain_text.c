/* SPDX-License-Identifier: MIT */
/*
 * In: an explanation. Out: lines for people, in printable ASCII. Must never
 * let what a client or a profile says look like something we say.
 */
#include <msp/explain.h>

#include <stdio.h>
#include <string.h>

#include "libmsp/explain_priv.h"
#include "libmsp/mem.h"
#include "libmsp/rules_priv.h"

/* Longest name or value, and most privileges and identities, in lines. */
#define SHOWN_BYTES 200
#define SHOWN_LINES 50

/* ---- growing text ------------------------------------------------------ */

void msp_text_put(struct msp_text_buffer *b, const char *text, size_t len)
{
	size_t room = b->room ? b->room : 1024;
	char *at;

	if (b->failed)
		return;
	if (len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4) {
		b->failed = true;
		return;
	}
	/* one more for the NUL at the end */
	while (room - b->len <= len)
		room *= 2;
	if (!b->at || room > b->room) {
		at = msp_mem_realloc(b->at, room);
		if (!at) {
			b->failed = true;
			return;
		}
		b->at = at;
		b->room = room;
	}
	memcpy(b->at + b->len, text, len);
	b->len += len;
}

void msp_text_add(struct msp_text_buffer *b, const char *text)
{
	msp_text_put(b, text, strlen(text));
}

void msp_text_number(struct msp_text_buffer *b, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	msp_text_add(b, text);
}

int msp_text_finish(struct msp_text_buffer *b, char **out, size_t *len)
{
	if (b->failed) {
		msp_mem_free(b->at);
		return MSP_ERR_NOMEM;
	}
	b->at[b->len] = '\0';
	*out = b->at;
	if (len)
		*len = b->len;
	return 0;
}

/* ---- words ------------------------------------------------------------- */

const char *msp_explain_endpoint(enum msp_endpoint endpoint)
{
	switch (endpoint) {
	case MSP_ENDPOINT_WIRESERVER:
		return "wireserver";
	case MSP_ENDPOINT_IMDS:
		return "imds";
	case MSP_ENDPOINT_HOSTGA:
		return "hostga";
	}
	return "unknown";
}

const char *msp_explain_mode(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_ENFORCE:
		return "enforce";
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_DISABLED:
		return "disabled";
	}
	return "unknown";
}

static const char *in_words(enum msp_reason reason)
{
	switch (reason) {
	case MSP_REASON_ERROR:
		return "no decision could be made";
	case MSP_REASON_UNKNOWN_CALLER:
		return "it is not known who asks";
	case MSP_REASON_DIRECT:
		return "the caller connected to the agent itself";
	case MSP_REASON_NOT_ROOT:
		return "this endpoint is for root";
	case MSP_REASON_CANON:
		return "the request could be read in more than one way";
	case MSP_REASON_EXEMPT:
		return "uploads of the platform's own agent by root";
	case MSP_REASON_NO_RULES:
		return "there are no rules";
	case MSP_REASON_DISABLED:
		return "the rules are disabled";
	case MSP_REASON_GRANTED:
		return "a privilege matches, and the caller has it";
	case MSP_REASON_NO_IDENTITY:
		return "a privilege matches, and the caller does not have it";
	case MSP_REASON_DEFAULT_ALLOW:
	case MSP_REASON_DEFAULT_DENY:
		return "no privilege matches: the default decides";
	}
	return "unknown";
}

static const char *selector(enum msp_try result, const struct msp_who *who)
{
	switch (result) {
	case MSP_TRY_USER:
		return "userName";
	case MSP_TRY_GROUP:
	case MSP_TRY_GROUPS_CUT:
		return "groupName";
	case MSP_TRY_NAMES_UNKNOWN:
		return who->user ? "userName" : "groupName";
	case MSP_TRY_EXE:
		return "exePath";
	case MSP_TRY_EXE_UNVERIFIED:
		return who->exe ? "exePath" : "processName";
	case MSP_TRY_PROCESS:
		return "processName";
	default:
		return "";
	}
}

/* ---- texts that are not ours ------------------------------------------- */

static void put_escaped(struct msp_text_buffer *b, const char *text,
			size_t most)
{
	static const char hex[] = "0123456789abcdef";
	char escape[] = "\\x00";
	size_t i;

	for (i = 0; i < most && text[i]; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c >= 0x7f) {
			escape[2] = hex[c >> 4];
			escape[3] = hex[c & 15];
			msp_text_put(b, escape, 4);
			continue;
		}
		if (c == '"' || c == '\\')
			msp_text_add(b, "\\");
		msp_text_put(b, text + i, 1);
	}
	if (text[i])
		msp_text_add(b, "...");
}

static void put_quoted(struct msp_text_buffer *b, const char *text)
{
	msp_text_add(b, "\"");
	put_escaped(b, text, SHOWN_BYTES);
	msp_text_add(b, "\"");
}

static void put_seen(struct msp_text_buffer *b, const char *wanted,
		     const char *seen)
{
	if (wanted) {
		msp_text_add(b, " wants ");
		put_quoted(b, wanted);
		msp_text_add(b, ",");
	}
	msp_text_add(b, " is ");
	if (seen)
		put_quoted(b, seen);
	else
		msp_text_add(b, "not known");
}

/* ---- lines ------------------------------------------------------------- */

static void put_head(struct msp_text_buffer *b, const struct msp_explanation *e)
{
	const struct msp_decision *d = &e->decision;

	msp_text_add(b, msp_verdict_name(d->verdict));
	msp_text_add(b, ": ");
	msp_text_add(b, msp_explain_endpoint(e->endpoint));
	msp_text_add(b, " ");
	put_escaped(b, e->method, SHOWN_BYTES);
	msp_text_add(b, " ");
	put_escaped(b, e->target, SIZE_MAX);
	msp_text_add(b, "\nreason     ");
	msp_text_add(b, msp_reason_name(d->reason));
	msp_text_add(b, ": ");
	msp_text_add(b, in_words(d->reason));
	msp_text_add(b, "\nrules      ");
	if (!e->rules) {
		msp_text_add(b, "none\n");
		return;
	}
	put_quoted(b, d->rule_id);
	msp_text_add(b, ", mode ");
	msp_text_add(b, msp_explain_mode(d->mode));
	msp_text_add(b, "\n");
}

static void put_canonical(struct msp_text_buffer *b,
			  const struct msp_explanation *e)
{
	const struct msp_decision *d = &e->decision;

	if (*e->canonical) {
		msp_text_add(b, "canonical  ");
		put_escaped(b, e->canonical, SIZE_MAX);
		msp_text_add(b, "\n");
	}
	if (e->decision.reason != MSP_REASON_CANON)
		return;
	msp_text_add(b, "refused    ");
	msp_text_add(b, msp_canon_name(d->canon));
	msp_text_add(b, ": ");
	msp_text_add(b, msp_canon_text(d->canon));
	if (e->place < strlen(e->target)) {
		msp_text_add(b, ", at byte ");
		msp_text_number(b, e->place);
		msp_text_add(b, ": \"");
		put_escaped(b, e->target + e->place, 24);
		msp_text_add(b, "\"");
	}
	msp_text_add(b, "\n");
}

static void put_groups(struct msp_text_buffer *b, const char *what,
		       const char *const *names, size_t n)
{
	const char *before = what;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!names[i])
			continue;
		msp_text_add(b, before);
		put_quoted(b, names[i]);
		before = " ";
	}
}

static void put_caller(struct msp_text_buffer *b, const struct msp_caller *c)
{
	msp_text_add(b, "caller     ");
	if (!(c->flags & MSP_CALLER_KNOWN)) {
		msp_text_add(b, "not known\n");
		return;
	}
	msp_text_add(b, "uid ");
	msp_text_number(b, c->uid);
	if (c->euid != c->uid) {
		msp_text_add(b, ", effective ");
		msp_text_number(b, c->euid);
	}
	if (c->user_name) {
		msp_text_add(b, ", user ");
		put_quoted(b, c->user_name);
	}
	msp_text_add(b, ", program ");
	put_quoted(b, c->exe_path);
	msp_text_add(b, c->flags & MSP_CALLER_EXE_VERIFIED ? " (verified)"
							   : " (not verified)");
	put_groups(b, ", groups ", c->groups, c->n_groups);
	put_groups(b, ", of the process ", c->process_groups,
		   c->n_process_groups);
	if (c->flags & MSP_CALLER_GROUPS_CUT)
		msp_text_add(b, ", and more groups than are looked at");
	msp_text_add(b, "\n");
}

static const struct msp_who *find_who(const struct msp_rules *r, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < r->n_who; i++)
		if (r->who[i].index == index)
			return &r->who[i];
	return NULL;
}

static void put_identity(struct msp_text_buffer *b,
			 const struct msp_explanation *e,
			 const struct msp_tried_identity *t)
{
	const struct msp_who *who = find_who(e->rules, t->index);

	msp_text_add(b, "  identity ");
	put_quoted(b, t->name);
	msp_text_add(b, " (role ");
	put_quoted(b, t->role);
	msp_text_add(b, ") ");
	if (t->result == MSP_TRY_MATCHED || !who) {
		msp_text_add(b, "is the caller\n");
		return;
	}
	msp_text_add(b, "is not: ");
	msp_text_add(b, selector(t->result, who));
	if (t->result == MSP_TRY_GROUP || t->result == MSP_TRY_GROUPS_CUT ||
	    t->result == MSP_TRY_EXE_UNVERIFIED) {
		msp_text_add(b, " wants ");
		put_quoted(b, t->wanted);
		msp_text_add(b, t->result == MSP_TRY_GROUP
					? ", no group of the caller"
				: t->result == MSP_TRY_GROUPS_CUT
					? ", the caller has too many groups"
					: ", the program is not verified");
	} else {
		put_seen(b, t->wanted, t->seen);
	}
	msp_text_add(b, "\n");
}

/* Those of one privilege; *at moves behind them, *lines grows. */
static void put_identities(struct msp_text_buffer *b,
			   const struct msp_explanation *e, size_t privilege,
			   size_t *at)
{
	size_t lines = 0, hidden = 0;

	for (;
	     *at < e->n_identities && e->identities[*at].privilege == privilege;
	     ++*at) {
		/* the one that counts is shown, wherever it stands */
		if (lines++ < SHOWN_LINES ||
		    e->identities[*at].result == MSP_TRY_MATCHED)
			put_identity(b, e, &e->identities[*at]);
		else
			hidden++;
	}
	if (hidden) {
		msp_text_add(b, "  ");
		msp_text_number(b, hidden);
		msp_text_add(b, " more identities\n");
	}
}

static void put_param(struct msp_text_buffer *b,
		      const struct msp_tried_privilege *t)
{
	msp_text_add(b, " covers the path, not the query: ");
	put_quoted(b, t->param);
	if (t->result == MSP_TRY_PARAM_MISSING) {
		msp_text_add(b, " is missing, wants ");
		put_quoted(b, t->wanted);
		return;
	}
	put_seen(b, t->wanted, t->seen);
	if (t->result == MSP_TRY_PARAM_TWICE)
		msp_text_add(b, " and is given more than once");
	else if (t->result == MSP_TRY_PARAM_AMBIGUOUS)
		msp_text_add(b, ", a backslash or escape is left");
}

/* The first that the query is refused for, or NULL. */
static const char *find_refuser(const struct msp_explanation *e)
{
	enum msp_try why = e->decision.canon == MSP_CANON_DUPLICATE_PARAM
				   ? MSP_TRY_PARAM_TWICE
				   : MSP_TRY_PARAM_AMBIGUOUS;
	size_t i;

	if (e->decision.reason != MSP_REASON_CANON)
		return NULL;
	for (i = 0; i < e->n_privileges; i++)
		if (e->privileges[i].result == why)
			return e->privileges[i].name;
	return NULL;
}

/* Said of those that are not shown: what decides may be among them. */
static void put_decider(struct msp_text_buffer *b,
			const struct msp_explanation *e)
{
	const struct msp_decision *d = &e->decision;
	const char *name = d->privilege ? d->privilege : find_refuser(e);

	if (!name)
		return;
	msp_text_add(b, "decided by privilege ");
	put_quoted(b, name);
	if (d->identity) {
		msp_text_add(b, ", identity ");
		put_quoted(b, d->identity);
	}
	msp_text_add(b, "\n");
}

static void put_privileges(struct msp_text_buffer *b,
			   const struct msp_explanation *e)
{
	const struct msp_tried_privilege *t;
	size_t i, lines = 0, hidden = 0, at = 0;
	bool more;

	for (i = 0; i < e->n_privileges; i++) {
		t = &e->privileges[i];
		if (lines >= SHOWN_LINES) {
			hidden++;
			continue;
		}
		lines++;
		msp_text_add(b, "privilege  ");
		put_quoted(b, t->name);
		msp_text_add(b, ", ");
		put_escaped(b, t->path, SHOWN_BYTES);
		msp_text_add(b, ",");
		if (t->result == MSP_TRY_MATCHED)
			msp_text_add(b, t->n_identities
						? " matches"
						: " matches, nobody has it");
		else
			put_param(b, t);
		msp_text_add(b, "\n");
		put_identities(b, e, i, &at);
	}
	more = e->cut && e->n_privileges == MSP_EXPLAIN_MAX;
	if (hidden || more) {
		msp_text_add(b, "and        ");
		msp_text_number(b, hidden);
		msp_text_add(b, more ? " or more that cover the path\n"
				     : " more that cover the path\n");
	}
	if (hidden || e->cut)
		put_decider(b, e);
	if (!e->n_others)
		return;
	msp_text_add(b, "others     ");
	msp_text_number(b, e->n_others);
	msp_text_add(b, e->n_others == 1
				? " privilege is about another path\n"
				: " privileges are about other paths\n");
}

static void put_default(struct msp_text_buffer *b,
			const struct msp_explanation *e)
{
	const enum msp_reason reason = e->decision.reason;

	if (!e->rules)
		return;
	msp_text_add(b, "default    ");
	msp_text_add(b,
		     e->rules->access == MSP_ACCESS_ALLOW ? "allow" : "deny");
	if (reason == MSP_REASON_GRANTED || reason == MSP_REASON_NO_IDENTITY)
		msp_text_add(b, ", not used: a privilege matches\n");
	else if (reason == MSP_REASON_DEFAULT_ALLOW ||
		 reason == MSP_REASON_DEFAULT_DENY)
		msp_text_add(b, ", used: no privilege matches\n");
	else
		msp_text_add(b, ", not used\n");
}

int msp_explanation_text(const struct msp_explanation *explanation, char **out,
			 size_t *len)
{
	const struct msp_explanation *e = explanation;
	struct msp_text_buffer b = { 0 };

	if (len)
		*len = 0;
	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!e)
		return MSP_ERR_INVAL;
	put_head(&b, e);
	put_canonical(&b, e);
	put_caller(&b, &e->caller);
	put_privileges(&b, e);
	put_default(&b, e);
	return msp_text_finish(&b, out, len);
}
