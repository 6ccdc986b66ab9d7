/* SPDX-License-Identifier: MIT */
/*
 * In: compiled rules, a canonical request, a caller, an endpoint. Out: the
 * verdict and what led to it. Must never allow because something is missing,
 * malformed or undecided, and never allocate.
 */
#include <msp/decision.h>

#include <string.h>

#include "libmsp/canon.h"
#include "libmsp/opts.h"
#include "libmsp/request_priv.h"
#include "libmsp/rules_priv.h"

/* ---- identities (spec 8.2) --------------------------------------------- */

/* Next component of a path that is not "" or "."; false at the end. */
static bool next_component(const char **path, const char **part, size_t *len)
{
	const char *p = *path;

	for (;;) {
		while (*p == '/')
			p++;
		*part = p;
		while (*p && *p != '/')
			p++;
		*len = (size_t)(p - *part);
		*path = p;
		if (!*len)
			return false;
		if (*len != 1 || **part != '.')
			return true;
	}
}

/* Repeated and trailing slashes and "." do not matter, all else does. */
static bool paths_equal(const char *a, const char *b)
{
	const char *a_part, *b_part;
	size_t a_len, b_len;
	bool more;

	if (*a != '/' || *b != '/')
		return false;
	for (;;) {
		more = next_component(&a, &a_part, &a_len);
		if (next_component(&b, &b_part, &b_len) != more)
			return false;
		if (!more)
			return true;
		if (a_len != b_len || memcmp(a_part, b_part, a_len) != 0)
			return false;
	}
}

/* Names of groups: no more are looked at. Of a user as the user database has
 * it, and of a process, which has a primary one beside the others. */
#define USER_GROUPS_MAX	   MSP_CALLER_GROUPS_MAX
#define PROCESS_GROUPS_MAX (1 + MSP_CALLER_GROUPS_MAX)

static size_t n_names(const char *const *names, size_t n, size_t max)
{
	if (!names)
		return 0;
	return n < max ? n : max;
}

static size_t n_user_groups(const struct msp_caller *c)
{
	return n_names(c->groups, c->n_groups, USER_GROUPS_MAX);
}

static size_t n_process_groups(const struct msp_caller *c)
{
	return n_names(c->process_groups, c->n_process_groups,
		       PROCESS_GROUPS_MAX);
}

/* Which groups are left of a list that was cut is chance, or somebody's
 * choice: then none is believed. */
static bool groups_known(const struct msp_caller *c)
{
	return c->flags & MSP_CALLER_NAMES &&
	       !(c->flags & MSP_CALLER_GROUPS_CUT);
}

/* An empty selector matches nobody, not even whose name came out empty. */
static bool same_name(const char *wanted, const char *name)
{
	return *wanted && name && !strcmp(wanted, name);
}

static bool is_one_of(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (same_name(name, names[i]))
			return true;
	}
	return false;
}

static bool in_group(const struct msp_caller *c, const char *group)
{
	return groups_known(c) &&
	       (is_one_of(c->groups, n_user_groups(c), group) ||
		is_one_of(c->process_groups, n_process_groups(c), group));
}

/* All selectors that are there must match; a fact that is not there does not.
 * A path that the kernel told but nobody compared with the file is as good as
 * chosen by the client (bind mounts). */
static bool identity_matches(const struct msp_who *who,
			     const struct msp_caller *c)
{
	bool names = c->flags & MSP_CALLER_NAMES;
	bool exe = (c->flags & MSP_CALLER_EXE_VERIFIED) &&
		   !(c->flags & (MSP_CALLER_PATH_CUT | MSP_CALLER_NO_PATH)) &&
		   c->exe_path[0];

	if (who->user && !(names && same_name(who->user, c->user_name)))
		return false;
	if (who->group && !in_group(c, who->group))
		return false;
	if (who->exe && (!exe || !paths_equal(who->exe, c->exe_path)))
		return false;
	if (who->process &&
	    !(exe && same_name(who->process, msp_caller_process_name(c))))
		return false;
	return true;
}

/* Places in who[] where identities of this caller can be. */
struct range {
	uint32_t low;
	uint32_t high;
};

/* anybody, the user, and each group */
#define RANGES_MAX (2 + USER_GROUPS_MAX + PROCESS_GROUPS_MAX)

static const char *sort_key(const struct msp_who *who)
{
	return who->user ? who->user : who->group;
}

/* First place in [low, high) whose key is not before name; with after, whose
 * key is behind it. */
static uint32_t find_key(const struct msp_who *who, uint32_t low, uint32_t high,
			 const char *name, bool after)
{
	uint32_t mid;
	int cmp;

	while (low < high) {
		mid = low + (high - low) / 2;
		cmp = strcmp(sort_key(&who[mid]), name);
		if (cmp < 0 || (after && !cmp))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Ranges of the caller that hold something. */
struct ranges {
	struct range at[RANGES_MAX];
	size_t n;
};

/* Add the identities in [low, high) that ask for this name. */
static void add_range(struct ranges *out, const struct msp_rules *r,
		      uint32_t low, uint32_t high, const char *name)
{
	struct range *range = &out->at[out->n];

	if (!name)
		return;
	range->low = find_key(r->who, low, high, name, false);
	range->high = find_key(r->who, range->low, high, name, true);
	if (range->low < range->high)
		out->n++;
}

static void find_ranges(struct ranges *out, const struct msp_rules *r,
			const struct msp_caller *c)
{
	size_t i;

	out->at[0] = (struct range){ 0, r->n_anybody };
	out->n = 1;
	if (c->flags & MSP_CALLER_NAMES)
		add_range(out, r, r->n_by_group, r->n_who, c->user_name);
	if (!groups_known(c))
		return;
	for (i = 0; i < n_user_groups(c); i++)
		add_range(out, r, r->n_anybody, r->n_by_group, c->groups[i]);
	for (i = 0; i < n_process_groups(c); i++)
		add_range(out, r, r->n_anybody, r->n_by_group,
			  c->process_groups[i]);
}

/* ---- one walk over the privileges that cover the path ------------------ */

#define BARREN_ROLES 32768

struct walk {
	const struct msp_rules *rules;
	const struct msp_request *request;
	const struct msp_caller *caller;
	struct ranges ranges;
	const struct msp_rule *matched; /* first in the profile */
	const struct msp_rule *granted; /* likewise */
	const struct msp_who *by;	/* first identity of granted */
	bool ambiguous;
	bool duplicate;
	/* A bit for each role nobody of which is the caller. Many privileges
	 * share few roles: each is gone through once and not once for each of
	 * them, which a large profile would make very long. Roles past the end
	 * are, and no document that is accepted has room for many of them. */
	uint64_t barren[BARREN_ROLES / 64];
};

static void match_set(const struct walk *w, const struct msp_who_set *set,
		      struct range range, const struct msp_who **best)
{
	uint32_t low = 0, high = set->n, mid;
	const struct msp_who *who;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (set->who[mid] < range.low)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < set->n && set->who[low] < range.high; low++) {
		who = &w->rules->who[set->who[low]];
		if (*best && (*best)->index < who->index)
			continue;
		if (identity_matches(who, w->caller))
			*best = who;
	}
}

/* The first identity in the profile that holds this role. */
static const struct msp_who *find_member(struct walk *w,
					 const struct msp_who_set *set)
{
	const size_t role = (size_t)(set - w->rules->roles);
	const struct msp_who *best = NULL;
	size_t k;

	if (role < BARREN_ROLES && w->barren[role / 64] >> role % 64 & 1)
		return NULL;
	for (k = 0; k < w->ranges.n; k++)
		match_set(w, set, w->ranges.at[k], &best);
	if (!best && role < BARREN_ROLES)
		w->barren[role / 64] |= (uint64_t)1 << role % 64;
	return best;
}

/* The first identity in the profile that holds one of the rule's roles. */
static const struct msp_who *find_identity(struct walk *w,
					   const struct msp_rule *rule)
{
	const struct msp_who *who, *best = NULL;
	uint32_t i;

	for (i = 0; i < rule->n_roles; i++) {
		who = find_member(w, rule->roles[i]);
		if (who && (!best || who->index < best->index))
			best = who;
	}
	return best;
}

static void consider(struct walk *w, const struct msp_rule *rule)
{
	const struct msp_who *by;

	if (!w->matched || rule->index < w->matched->index)
		w->matched = rule;
	if (w->granted && w->granted->index < rule->index)
		return;
	by = find_identity(w, rule);
	if (!by)
		return;
	w->granted = rule;
	w->by = by;
}

static bool value_equals(const struct msp_request *r, const struct msp_pair *p,
			 const struct msp_rule_param *param)
{
	return p->value_len == param->value_len &&
	       !memcmp(r->text + p->value, param->value, p->value_len);
}

static bool params_match(const struct msp_request *r,
			 const struct msp_rule *rule)
{
	const struct msp_rule_param *param;
	const struct msp_pair *pair;
	size_t count;
	uint32_t i;

	for (i = 0; i < rule->n_params; i++) {
		param = &rule->params[i];
		pair = msp_request_find(r, param->name, param->name_len,
					&count);
		if (!pair || !value_equals(r, pair, param))
			return false;
	}
	return true;
}

/* rules filed under a name and value: find_keyed() gives the first */
static int compare_key(const struct msp_rule *rule, const struct msp_request *r,
		       const struct msp_pair *p)
{
	const struct msp_rule_param *key = rule->key;
	int cmp = msp_rules_compare(key->name, key->name_len, r->text + p->name,
				    p->name_len);

	return cmp ? cmp
		   : msp_rules_compare(key->value, key->value_len,
				       r->text + p->value, p->value_len);
}

static uint32_t find_keyed(const struct msp_rule *rules, uint32_t n,
			   const struct msp_request *r,
			   const struct msp_pair *p)
{
	uint32_t low = 0, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (compare_key(&rules[mid], r, p) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Whichever is fewer is gone through: the rules, or what the client sent. */
static void match_keyed(struct walk *w, const struct msp_rule *rules,
			uint32_t n)
{
	const struct msp_request *r = w->request;
	uint32_t i;
	size_t k;

	if (n <= r->n_pairs) {
		for (i = 0; i < n; i++) {
			if (params_match(r, &rules[i]))
				consider(w, &rules[i]);
		}
		return;
	}
	for (k = 0; k < r->n_pairs; k++) {
		i = find_keyed(rules, n, r, &r->pairs[k]);
		for (; i < n && !compare_key(&rules[i], r, &r->pairs[k]); i++) {
			if (params_match(r, &rules[i]))
				consider(w, &rules[i]);
		}
	}
}

static void match_node(struct walk *w, const struct msp_node *node)
{
	const struct msp_rule *rules = w->rules->rules + node->first_rule;
	uint32_t i;

	for (i = 0; i < node->n_plain; i++) {
		if (w->granted && w->granted->index < rules[i].index)
			break;
		consider(w, &rules[i]);
	}
	match_keyed(w, rules + node->n_plain, node->n_keyed);
}

static bool name_ambiguous(const struct msp_request *r)
{
	size_t i;

	for (i = 0; i < r->n_pairs; i++) {
		if (msp_canon_ambiguous(r->text + r->pairs[i].name,
					r->pairs[i].name_len))
			return true;
	}
	return false;
}

/* A name that a second decoding changes could become any name; a value could
 * become the one that a privilege asks for, or cease to be it. */
static void check_node(struct walk *w, const struct msp_node *node)
{
	const struct msp_request *r = w->request;
	const struct msp_pair *pair;
	size_t count;
	uint32_t i;

	for (i = 0; i < node->n_names; i++) {
		pair = msp_request_find(r, node->names[i].text,
					node->names[i].len, &count);
		if (count > 1)
			w->duplicate = true;
		if (pair &&
		    msp_canon_ambiguous(r->text + pair->value, pair->value_len))
			w->ambiguous = true;
	}
	if (node->n_keyed && r->ambiguous && name_ambiguous(r))
		w->ambiguous = true;
}

static const struct msp_node *find_child(const struct msp_rules *r,
					 const struct msp_node *parent,
					 const char *segment, size_t len)
{
	const struct msp_node *nodes = r->nodes + parent->first_child;
	uint32_t low = 0, high = parent->n_children, mid;
	int cmp;

	while (low < high) {
		mid = low + (high - low) / 2;
		cmp = msp_rules_compare(nodes[mid].segment,
					nodes[mid].segment_len, segment, len);
		if (!cmp)
			return &nodes[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* visit() each node whose path covers that of the request, from the root. */
static void walk_path(struct walk *w,
		      void (*visit)(struct walk *, const struct msp_node *))
{
	const struct msp_node *node = w->rules->nodes;
	const char *path = w->request->text;
	size_t i, end, len = w->request->text_len;

	visit(w, node);
	for (i = 0; i < len; i = end) {
		end = i + 1;
		while (end < len && path[end] != '/')
			end++;
		node = find_child(w->rules, node, path + i + 1, end - i - 1);
		if (!node)
			return;
		visit(w, node);
	}
}

/* ---- the order of things ----------------------------------------------- */

static void deny_canon(struct msp_decision *out, enum msp_canon canon)
{
	out->verdict = MSP_DENY;
	out->reason = MSP_REASON_CANON;
	out->canon = canon;
}

static void settle(struct msp_decision *out, enum msp_verdict verdict,
		   enum msp_reason reason)
{
	out->verdict = verdict;
	out->reason = reason;
}

/* Only as much as these rules need: the whole is some kilobytes. */
static void begin_walk(struct walk *w, const struct msp_rules *rules,
		       const struct msp_request *request,
		       const struct msp_caller *caller)
{
	size_t roles = rules->n_roles;

	if (roles > BARREN_ROLES)
		roles = BARREN_ROLES;
	w->rules = rules;
	w->request = request;
	w->caller = caller;
	w->ranges.n = 0;
	w->matched = w->granted = NULL;
	w->by = NULL;
	w->ambiguous = w->duplicate = false;
	memset(w->barren, 0, (roles + 63) / 64 * sizeof(w->barren[0]));
}

/* Spec 8.3 steps 4 to 6 with the canonical match of 8.6. */
static void decide_by_rules(struct msp_decision *out,
			    const struct msp_rules *rules,
			    const struct msp_request *request,
			    const struct msp_caller *caller)
{
	struct walk w;

	begin_walk(&w, rules, request, caller);
	if (request->duplicates || request->ambiguous)
		walk_path(&w, check_node);
	if (w.ambiguous || w.duplicate) {
		deny_canon(out, w.duplicate ? MSP_CANON_DUPLICATE_PARAM
					    : MSP_CANON_AMBIGUOUS);
		return;
	}
	find_ranges(&w.ranges, rules, caller);
	walk_path(&w, match_node);
	if (w.granted) {
		settle(out, MSP_ALLOW, MSP_REASON_GRANTED);
		out->privilege = w.granted->name;
		out->identity = w.by->name;
	} else if (w.matched) {
		settle(out, MSP_DENY, MSP_REASON_NO_IDENTITY);
		out->privilege = w.matched->name;
	} else if (rules->access == MSP_ACCESS_ALLOW) {
		settle(out, MSP_ALLOW, MSP_REASON_DEFAULT_ALLOW);
	} else {
		settle(out, MSP_DENY, MSP_REASON_DEFAULT_DENY);
	}
}

/* What holds whatever the rules say; true if that settled it. */
static bool decide_before_rules(struct msp_decision *out,
				enum msp_endpoint endpoint,
				const struct msp_request *request,
				const struct msp_caller *caller)
{
	bool elevated = msp_caller_elevated(caller);

	if (!(caller->flags & MSP_CALLER_KNOWN) ||
	    caller->flags & MSP_CALLER_KERNEL)
		settle(out, MSP_DENY, MSP_REASON_UNKNOWN_CALLER);
	else if (caller->flags & MSP_CALLER_DIRECT)
		settle(out, MSP_DENY, MSP_REASON_DIRECT);
	else if (msp_request_refused(request))
		deny_canon(out, request->canon);
	else if (elevated && msp_request_exempt(request))
		settle(out, MSP_ALLOW, MSP_REASON_EXEMPT);
	else if (!elevated && endpoint != MSP_ENDPOINT_IMDS)
		settle(out, MSP_DENY, MSP_REASON_NOT_ROOT);
	else
		return false;
	return true;
}

static int check_arguments(enum msp_endpoint endpoint,
			   const struct msp_request *request,
			   const struct msp_caller *caller)
{
	if (!request || !caller || (unsigned int)endpoint >= MSP_ENDPOINTS)
		return MSP_ERR_INVAL;
	return msp_out_ok(caller->size, sizeof(*caller)) ? 0 : MSP_ERR_INVAL;
}

/* Every field but the size: nothing of an earlier decision stays. */
static void begin(struct msp_decision *out, const struct msp_rules *rules)
{
	struct msp_decision fresh = {
		.size = out->size,
		.verdict = MSP_DENY,
		.reason = MSP_REASON_ERROR,
		.canon = MSP_CANON_OK,
		.mode = msp_rules_mode(rules),
		.epoch = msp_rules_epoch(rules),
		.rule_id = msp_rules_id(rules),
	};

	*out = fresh;
}

int msp_decision_make(struct msp_decision *out, const struct msp_rules *rules,
		      enum msp_endpoint endpoint,
		      const struct msp_request *request,
		      const struct msp_caller *caller)
{
	int rc;

	if (!out || !msp_out_ok(out->size, sizeof(*out)))
		return MSP_ERR_INVAL;
	begin(out, rules);
	rc = check_arguments(endpoint, request, caller);
	if (rc < 0)
		return rc;
	if (decide_before_rules(out, endpoint, request, caller))
		return 0;
	if (!rules) {
		settle(out, MSP_ALLOW, MSP_REASON_NO_RULES);
		return 0;
	}
	if (rules->mode == MSP_MODE_DISABLED) {
		settle(out, MSP_ALLOW, MSP_REASON_DISABLED);
		return 0;
	}
	if (request->canon)
		deny_canon(out, request->canon);
	else
		decide_by_rules(out, rules, request, caller);
	if (out->verdict == MSP_DENY && rules->mode == MSP_MODE_AUDIT)
		out->verdict = MSP_ALLOW_AUDITED;
	return 0;
}

/* ---- names ------------------------------------------------------------- */

const char *msp_verdict_name(enum msp_verdict verdict)
{
	switch (verdict) {
	case MSP_DENY:
		return "deny";
	case MSP_ALLOW:
		return "allow";
	case MSP_ALLOW_AUDITED:
		return "allow-audited";
	}
	return "unknown";
}

const char *msp_reason_name(enum msp_reason reason)
{
	switch (reason) {
	case MSP_REASON_ERROR:
		return "error";
	case MSP_REASON_UNKNOWN_CALLER:
		return "unknown-caller";
	case MSP_REASON_DIRECT:
		return "direct";
	case MSP_REASON_NOT_ROOT:
		return "not-root";
	case MSP_REASON_CANON:
		return "canon";
	case MSP_REASON_EXEMPT:
		return "exempt";
	case MSP_REASON_NO_RULES:
		return "no-rules";
	case MSP_REASON_DISABLED:
		return "disabled";
	case MSP_REASON_GRANTED:
		return "granted";
	case MSP_REASON_NO_IDENTITY:
		return "no-identity";
	case MSP_REASON_DEFAULT_ALLOW:
		return "default-allow";
	case MSP_REASON_DEFAULT_DENY:
		return "default-deny";
	}
	return "unknown";
}
