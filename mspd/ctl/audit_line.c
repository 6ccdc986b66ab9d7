/* SPDX-License-Identifier: MIT */
/*
 * In: bytes that should be a line of an audit trail. Out: its members. Must
 * never take half of one, nor one for another.
 */
#include "mspd/ctl/audit_line.h"

#include <string.h>
#include <yajl/yajl_parse.h>

#define DEPTH_MAX 8

enum kind { KIND_TEXT, KIND_NUMBER, KIND_COUNT, KIND_GROUPS };

/* The first REQUIRED are in every line; others are not looked at. */
static const struct member {
	const char *name;
	enum kind kind;
	size_t at;
} members[] = {
	{ "uid", KIND_NUMBER, offsetof(struct ctl_audit, uid) },
	{ "euid", KIND_NUMBER, offsetof(struct ctl_audit, euid) },
	{ "gid", KIND_NUMBER, offsetof(struct ctl_audit, gid) },
	{ "groups", KIND_GROUPS, 0 },
	{ "user", KIND_TEXT, offsetof(struct ctl_audit, user) },
	{ "exe", KIND_TEXT, offsetof(struct ctl_audit, exe) },
	{ "exe_state", KIND_TEXT, offsetof(struct ctl_audit, exe_state) },
	{ "endpoint", KIND_TEXT, offsetof(struct ctl_audit, endpoint) },
	{ "method", KIND_TEXT, offsetof(struct ctl_audit, method) },
	{ "path", KIND_TEXT, offsetof(struct ctl_audit, path) },
	{ "verdict", KIND_TEXT, offsetof(struct ctl_audit, verdict) },
	{ "reason", KIND_TEXT, offsetof(struct ctl_audit, reason) },
	{ "merged", KIND_COUNT, offsetof(struct ctl_audit, merged) },
	{ "torn", KIND_COUNT, offsetof(struct ctl_audit, torn) },
	{ "status", KIND_NUMBER, offsetof(struct ctl_audit, status) },
	{ "pid", KIND_NUMBER, offsetof(struct ctl_audit, pid) },
	{ "time", KIND_TEXT, offsetof(struct ctl_audit, time) },
	{ "last", KIND_TEXT, offsetof(struct ctl_audit, last) },
};

#define MEMBERS	 (sizeof(members) / sizeof(members[0]))
#define REQUIRED 12
#define ALL	 ((1u << REQUIRED) - 1)

struct reader {
	struct ctl_audit *out;
	const struct member *member; /* of the value to come, or NULL */
	unsigned int depth;
	uint32_t numbers; /* members that were one */
};

static void *place(const struct reader *r)
{
	return (char *)r->out + r->member->at;
}

/* At depth 1, the value of a member that is looked at. */
static bool wanted(const struct reader *r)
{
	return r->depth == 1 && r->member;
}

/* ---- values ------------------------------------------------------------ */

static int on_null(void *ctx)
{
	const struct reader *r = ctx;

	return r->depth > 0; /* otherwise the line is null */
}

static int on_boolean(void *ctx, int value)
{
	const struct reader *r = ctx;

	(void)value;
	return r->depth > 0 && !wanted(r);
}

static bool take_number(const char *text, size_t len, uint64_t most,
			uint64_t *out)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || i >= 18)
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	*out = n;
	return len > 0 && n <= most;
}

static bool take_id(const char *text, size_t len, uint32_t *out)
{
	uint64_t n = 0;
	bool fine = take_number(text, len, UINT32_MAX, &n);

	*out = (uint32_t)n;
	return fine;
}

static int on_number(void *ctx, const char *text, size_t len)
{
	struct reader *r = ctx;
	struct ctl_audit *out = r->out;

	if (r->depth == 2 && r->member && r->member->kind == KIND_GROUPS)
		return out->n_gids < MSP_CALLER_GROUPS_MAX &&
		       take_id(text, len, &out->gids[out->n_gids++]);
	if (!wanted(r))
		return r->depth > 0;
	r->numbers |= 1u << (r->member - members);
	if (r->member->kind == KIND_COUNT)
		return take_number(text, len, CTL_AUDIT_MERGED, place(r));
	return r->member->kind == KIND_NUMBER && take_id(text, len, place(r));
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct reader *r = ctx;
	struct ctl_audit_text *to;

	if (r->depth == 2 && r->member && r->member->kind == KIND_GROUPS)
		return 0;
	if (!wanted(r))
		return r->depth > 0;
	if (r->member->kind != KIND_TEXT || len > CTL_AUDIT_TEXT ||
	    memchr(text, '\0', len))
		return 0;
	to = place(r);
	memcpy(to->text, text, len);
	to->text[len] = '\0';
	to->given = true;
	return 1;
}

static int open_any(struct reader *r)
{
	return r->depth++ < DEPTH_MAX;
}

static int on_start_map(void *ctx)
{
	struct reader *r = ctx;

	/* the line itself, or what is not looked at */
	return !r->member && open_any(r);
}

static int on_start_array(void *ctx)
{
	struct reader *r = ctx;

	if (!r->depth ||
	    (r->member && (r->member->kind != KIND_GROUPS || r->depth != 1)))
		return 0;
	return open_any(r);
}

static int on_end(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	return 1;
}

static int on_key(void *ctx, const unsigned char *name, size_t len)
{
	struct reader *r = ctx;
	size_t i;

	if (r->depth != 1)
		return 1;
	r->member = NULL;
	for (i = 0; i < MEMBERS; i++) {
		if (strlen(members[i].name) != len ||
		    memcmp(members[i].name, name, len) != 0)
			continue;
		if (r->out->seen & 1u << i)
			return 0;
		r->out->seen |= 1u << i;
		r->member = &members[i];
	}
	return 1;
}

/* ---- lines ------------------------------------------------------------- */

/* The parser makes something else of half a surrogate pair; the agent writes
 * none at all. */
static bool escapes_ok(const char *at, size_t len)
{
	size_t i = 0;

	while (i + 1 < len) {
		if (at[i] != '\\') {
			i++;
			continue;
		}
		if (at[i + 1] == 'u' && i + 2 < len &&
		    (at[i + 2] == 'd' || at[i + 2] == 'D'))
			return false;
		i += 2;
	}
	return true;
}

/* The parser passes over a string without end behind the line: this ends it,
 * and is a blank and the beginning of such a string if there was none. */
static bool ended(yajl_handle parser)
{
	return yajl_complete_parse(parser) == yajl_status_ok &&
	       yajl_parse(parser, (const unsigned char *)" \"", 2) ==
		       yajl_status_ok;
}

static bool parse(struct reader *r, const char *line, size_t len)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_start_map,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_start_array,
		.yajl_end_array = on_end,
	};
	yajl_handle parser = yajl_alloc(&callbacks, NULL, r);
	bool fine;

	if (!parser)
		ctl_no_memory();
	fine = yajl_parse(parser, (const unsigned char *)line, len) ==
		       yajl_status_ok &&
	       ended(parser);
	yajl_free(parser);
	return fine;
}

bool ctl_audit_parse(struct ctl_audit *out, const char *line, size_t len)
{
	const uint32_t ids = 1u | 2u | 4u; /* uid, euid, gid */
	struct reader r = { .out = out };

	memset(out, 0, sizeof(*out));
	if (!escapes_ok(line, len) || !parse(&r, line, len))
		return false;
	if (out->torn)
		return out->time.given && !(out->seen & ALL);
	if ((out->seen & ALL) != ALL)
		return false;
	out->known = (r.numbers & ids) == ids;
	return out->verdict.given && out->reason.given;
}
