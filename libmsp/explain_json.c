/* SPDX-License-Identifier: MIT */
/*
 * In: an explanation. Out: one JSON object in ASCII. Must never write a byte
 * of a client, a profile or the user database unescaped.
 */
#include <msp/explain.h>

#include <string.h>

#include "libmsp/explain_priv.h"

/* ---- texts ------------------------------------------------------------- */

/* Length of the UTF-8 character at the front, and the character; 0 if there
 * is none. */
static size_t take_char(const unsigned char *p, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc0 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf8 ? 4
				 : 0;
	uint32_t c;
	size_t i;

	if (!n || n > len)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

static void put_unit(struct msp_text_buffer *b, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";
	const char text[] = { '\\',
			      'u',
			      hex[unit >> 12 & 15],
			      hex[unit >> 8 & 15],
			      hex[unit >> 4 & 15],
			      hex[unit & 15] };

	msp_text_put(b, text, sizeof(text));
}

static void put_char(struct msp_text_buffer *b, uint32_t c)
{
	const char plain = (char)c;

	if (c >= 0x10000) {
		put_unit(b, 0xd800 + ((c - 0x10000) >> 10));
		put_unit(b, 0xdc00 + ((c - 0x10000) & 0x3ff));
	} else if (c < 0x20 || c >= 0x7f) {
		put_unit(b, c);
	} else {
		if (c == '"' || c == '\\')
			msp_text_add(b, "\\");
		msp_text_put(b, &plain, 1);
	}
}

static void put_long(struct msp_text_buffer *b, const char *text, size_t most)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0, n, len = strlen(text);
	uint32_t c = 0;

	msp_text_add(b, "\"");
	while (i < len && i < most) {
		n = take_char(p + i, len - i, &c);
		put_char(b, n ? c : 0xfffd);
		i += n ? n : 1;
	}
	msp_text_add(b, "\"");
}

static void put_text(struct msp_text_buffer *b, const char *text)
{
	if (text)
		put_long(b, text, MSP_EXPLAIN_SHOWN);
	else
		msp_text_add(b, "null");
}

/* ---- members ----------------------------------------------------------- */

static void put_name(struct msp_text_buffer *b, const char *name)
{
	const char last = b->len ? b->at[b->len - 1] : '{';

	if (last != '{')
		msp_text_add(b, ",");
	msp_text_add(b, "\"");
	msp_text_add(b, name);
	msp_text_add(b, "\":");
}

static void member(struct msp_text_buffer *b, const char *name,
		   const char *text)
{
	put_name(b, name);
	put_text(b, text);
}

static void member_number(struct msp_text_buffer *b, const char *name,
			  uint64_t number)
{
	put_name(b, name);
	msp_text_number(b, number);
}

static void member_bool(struct msp_text_buffer *b, const char *name, bool value)
{
	put_name(b, name);
	msp_text_add(b, value ? "true" : "false");
}

static void member_list(struct msp_text_buffer *b, const char *name,
			const char *const *texts, size_t n)
{
	bool any = false;
	size_t i;

	put_name(b, name);
	msp_text_add(b, "[");
	for (i = 0; i < n; i++) {
		if (!texts[i])
			continue;
		if (any)
			msp_text_add(b, ",");
		any = true;
		put_text(b, texts[i]);
	}
	msp_text_add(b, "]");
}

/* ---- parts ------------------------------------------------------------- */

static void put_decision(struct msp_text_buffer *b,
			 const struct msp_explanation *e)
{
	const struct msp_decision *d = &e->decision;

	member(b, "verdict", msp_verdict_name(d->verdict));
	member(b, "reason", msp_reason_name(d->reason));
	member(b, "mode", msp_explain_mode(d->mode));
	member(b, "code", d->canon ? msp_canon_name(d->canon) : NULL);
	member(b, "codeText", d->canon ? msp_canon_text(d->canon) : NULL);
	if (e->place == SIZE_MAX)
		member(b, "place", NULL);
	else
		member_number(b, "place", e->place);
	member(b, "endpoint", msp_explain_endpoint(e->endpoint));
	put_name(b, "ruleId");
	put_long(b, d->rule_id, SIZE_MAX);
	member_number(b, "epoch", d->epoch);
	member(b, "privilege", d->privilege);
	member(b, "identity", d->identity);
	put_name(b, "method");
	put_text(b, e->method);
	put_name(b, "target");
	put_long(b, e->target, SIZE_MAX);
	put_name(b, "canonical");
	put_long(b, e->canonical, SIZE_MAX);
}

static void put_flags(struct msp_text_buffer *b, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} known[] = {
		{ MSP_CALLER_KNOWN, "known" },
		{ MSP_CALLER_DIRECT, "direct" },
		{ MSP_CALLER_KERNEL, "kernel" },
		{ MSP_CALLER_NAMES, "names" },
		{ MSP_CALLER_GROUPS_CUT, "groups-cut" },
		{ MSP_CALLER_PATH_CUT, "path-cut" },
		{ MSP_CALLER_NO_PATH, "no-path" },
		{ MSP_CALLER_EXE_VERIFIED, "exe-verified" },
		{ MSP_CALLER_EXE_REPLACED, "exe-replaced" },
	};
	const char *names[sizeof(known) / sizeof(known[0])];
	size_t i, n = 0;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (flags & known[i].flag)
			names[n++] = known[i].name;
	member_list(b, "flags", names, n);
}

static void put_caller(struct msp_text_buffer *b, const struct msp_caller *c)
{
	put_name(b, "caller");
	msp_text_add(b, "{");
	member_number(b, "uid", c->uid);
	member_number(b, "euid", c->euid);
	member_number(b, "gid", c->gid);
	member_number(b, "pid", c->pid);
	member(b, "userName", c->user_name);
	member_list(b, "groups", c->groups, c->n_groups);
	member_list(b, "processGroups", c->process_groups, c->n_process_groups);
	member(b, "exePath", c->exe_path);
	put_flags(b, c->flags);
	msp_text_add(b, "}");
}

static void put_privileges(struct msp_text_buffer *b,
			   const struct msp_explanation *e)
{
	const struct msp_tried_privilege *t;
	size_t i;

	put_name(b, "privileges");
	msp_text_add(b, "[");
	for (i = 0; i < e->n_privileges; i++) {
		t = &e->privileges[i];
		msp_text_add(b, i ? ",{" : "{");
		member(b, "name", t->name);
		member(b, "path", t->path);
		member(b, "result", msp_try_name(t->result));
		member(b, "parameter", t->param);
		member(b, "wanted", t->wanted);
		member(b, "seen", t->seen);
		member_number(b, "identities", t->n_identities);
		msp_text_add(b, "}");
	}
	msp_text_add(b, "]");
	member_number(b, "otherPrivileges", e->n_others);
}

static void put_identities(struct msp_text_buffer *b,
			   const struct msp_explanation *e)
{
	const struct msp_tried_identity *t;
	size_t i;

	put_name(b, "identities");
	msp_text_add(b, "[");
	for (i = 0; i < e->n_identities; i++) {
		t = &e->identities[i];
		msp_text_add(b, i ? ",{" : "{");
		member(b, "privilege", e->privileges[t->privilege].name);
		member(b, "role", t->role);
		member(b, "identity", t->name);
		member(b, "result", msp_try_name(t->result));
		member(b, "wanted", t->wanted);
		member(b, "seen", t->seen);
		msp_text_add(b, "}");
	}
	msp_text_add(b, "]");
}

int msp_explanation_json(const struct msp_explanation *explanation, char **out,
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
	msp_text_add(&b, "{");
	put_decision(&b, e);
	put_caller(&b, &e->caller);
	put_privileges(&b, e);
	put_identities(&b, e);
	member_bool(&b, "cut", e->cut);
	member(&b, "defaultAccess",
	       !e->rules				       ? NULL
	       : msp_explanation_access(e) == MSP_ACCESS_ALLOW ? "allow"
							       : "deny");
	member_bool(&b, "defaultUsed",
		    e->decision.reason == MSP_REASON_DEFAULT_ALLOW ||
			    e->decision.reason == MSP_REASON_DEFAULT_DENY);
	msp_text_add(&b, "}");
	return msp_text_finish(&b, out, len);
}
