/* SPDX-License-Identifier: MIT */
/*
 * In: rules, a request and a caller, as texts. Out: the decision again, found
 * by going through all privileges in the profile's order, and each step of it.
 * Must never use what decision.c matches with: the two check each other.
 */
#include "libmsp/explain_priv.h"

#include <string.h>

#include "libmsp/canon.h"
#include "libmsp/mem.h"
#include "libmsp/request_priv.h"
#include "libmsp/rules_priv.h"

struct walk {
	struct msp_explanation *e;
	const struct msp_rules *rules;
	const struct msp_rule **order;	/* of the profile */
	struct msp_tried_identity *who; /* by place in rules->who */
	const struct msp_who **first;	/* who matches, by role; NULL: nobody */
	const char *odd_name;		/* ambiguous parameter, NULL: none */
	const char *odd_value;
};

/* ---- identities (spec 8.2) --------------------------------------------- */

static const char *skip_nothing(const char *p)
{
	for (;;) {
		while (*p == '/')
			p++;
		if (p[0] != '.' || (p[1] && p[1] != '/'))
			return p;
		p++;
	}
}

static bool ends(char c)
{
	return !c || c == '/';
}

static bool same_file(const char *a, const char *b)
{
	if (*a != '/' || *b != '/')
		return false;
	while (*a && *b) {
		a = skip_nothing(a);
		b = skip_nothing(b);
		while (!ends(*a) && *a == *b) {
			a++;
			b++;
		}
		if (!ends(*a) || !ends(*b))
			return false;
	}
	return !*skip_nothing(a) && !*skip_nothing(b);
}

/* An empty selector is nobody's. */
static bool is_named(const char *name, const char *wanted)
{
	return name && *wanted && strcmp(name, wanted) == 0;
}

static bool listed(const char *const *names, size_t n, size_t most,
		   const char *wanted)
{
	size_t i;

	for (i = 0; names && i < n && i < most; i++)
		if (is_named(names[i], wanted))
			return true;
	return false;
}

static bool has_group(const struct msp_caller *c, const char *wanted)
{
	return listed(c->groups, c->n_groups, MSP_CALLER_GROUPS_MAX, wanted) ||
	       listed(c->process_groups, c->n_process_groups,
		      1 + MSP_CALLER_GROUPS_MAX, wanted);
}

static void fail(struct msp_tried_identity *t, enum msp_try result,
		 const char *wanted, const char *seen)
{
	t->result = result;
	t->wanted = wanted;
	t->seen = seen;
}

static void try_names(struct msp_tried_identity *t, const struct msp_who *who,
		      const struct msp_caller *c)
{
	const char *wanted = who->user ? who->user : who->group;

	if (!wanted)
		return;
	if (!(c->flags & MSP_CALLER_NAMES))
		fail(t, MSP_TRY_NAMES_UNKNOWN, wanted, NULL);
	else if (who->user && !is_named(c->user_name, who->user))
		fail(t, MSP_TRY_USER, who->user, c->user_name);
	else if (who->group && c->flags & MSP_CALLER_GROUPS_CUT)
		fail(t, MSP_TRY_GROUPS_CUT, who->group, NULL);
	else if (who->group && !has_group(c, who->group))
		fail(t, MSP_TRY_GROUP, who->group, NULL);
}

static void try_program(struct msp_tried_identity *t, const struct msp_who *who,
			const struct msp_caller *c)
{
	const char *path = *c->exe_path ? c->exe_path : NULL;
	const char *wanted = who->exe ? who->exe : who->process;
	const char *base = path ? strrchr(path, '/') : NULL;

	if (!wanted)
		return;
	base = base ? base + 1 : path;
	if (!path || !(c->flags & MSP_CALLER_EXE_VERIFIED) ||
	    c->flags & MSP_CALLER_PATH_CUT || c->flags & MSP_CALLER_NO_PATH)
		fail(t, MSP_TRY_EXE_UNVERIFIED, wanted, path);
	else if (who->exe && !same_file(who->exe, path))
		fail(t, MSP_TRY_EXE, who->exe, path);
	else if (who->process && !is_named(base, who->process))
		fail(t, MSP_TRY_PROCESS, who->process, base);
}

/* Each identity once, whoever asks for it how often. */
static void try_identities(struct walk *w)
{
	const struct msp_rules *r = w->rules;
	const struct msp_who *who, **first;
	struct msp_tried_identity *t;
	uint32_t i, k;

	for (i = 0; i < r->n_who; i++) {
		who = &r->who[i];
		t = &w->who[i];
		t->name = who->name;
		t->index = who->index;
		try_names(t, who, &w->e->caller);
		if (t->result == MSP_TRY_MATCHED)
			try_program(t, who, &w->e->caller);
	}
	for (i = 0; i < r->n_roles; i++) {
		first = &w->first[i];
		for (k = 0; k < r->roles[i].n; k++) {
			who = &r->who[r->roles[i].who[k]];
			if (w->who[r->roles[i].who[k]].result ==
				    MSP_TRY_MATCHED &&
			    (!*first || who->index < (*first)->index))
				*first = who;
		}
	}
}

/* In the profile's order: an insertion sort of what was just added. */
static void add_identity(struct msp_explanation *e, size_t from,
			 const struct msp_tried_identity *t)
{
	size_t i = e->n_identities++;

	for (; i > from && e->identities[i - 1].index > t->index; i--)
		e->identities[i] = e->identities[i - 1];
	e->identities[i] = *t;
}

static void keep_identities(struct walk *w, const struct msp_who_set *set,
			    size_t privilege)
{
	struct msp_explanation *e = w->e;
	size_t from = e->n_identities;
	struct msp_tried_identity t;
	uint32_t i;

	for (i = 0; i < set->n; i++) {
		if (e->n_identities == MSP_EXPLAIN_MAX) {
			e->cut = true;
			return;
		}
		t = w->who[set->who[i]];
		t.role = set->name;
		t.privilege = privilege;
		add_identity(e, from, &t);
	}
}

/* ---- privileges -------------------------------------------------------- */

static bool covers(const struct msp_rule *rule, const char *path)
{
	size_t n = strlen(rule->path);

	return !strncmp(path, rule->path, n) && ends(path[n]);
}

static void refuse(struct msp_tried_privilege *t, enum msp_try result,
		   const struct msp_rule_param *param, const char *seen)
{
	t->result = result;
	t->param = param->name;
	t->wanted = param->value;
	t->seen = seen;
}

static bool odd(const char *text)
{
	return msp_canon_ambiguous(text, strlen(text));
}

/* What weighs most wins: given twice, ambiguous, missing or another. */
static enum msp_try try_param(const struct msp_explanation *e,
			      const struct msp_rule_param *param,
			      const char **seen)
{
	size_t i, n = 0;

	*seen = NULL;
	for (i = 0; i < e->n_asked; i++) {
		if (strcmp(e->asked[i].name, param->name) != 0)
			continue;
		if (!n++)
			*seen = e->asked[i].value;
	}
	if (n > 1)
		return MSP_TRY_PARAM_TWICE;
	if (!n)
		return MSP_TRY_PARAM_MISSING;
	if (odd(*seen))
		return MSP_TRY_PARAM_AMBIGUOUS;
	return strcmp(*seen, param->value) ? MSP_TRY_PARAM_VALUE
					   : MSP_TRY_MATCHED;
}

static int weight(enum msp_try result)
{
	switch (result) {
	case MSP_TRY_PARAM_TWICE:
		return 3;
	case MSP_TRY_PARAM_AMBIGUOUS:
		return 2;
	case MSP_TRY_MATCHED:
		return 0;
	default:
		return 1;
	}
}

static void try_privilege(const struct walk *w, const struct msp_rule *rule,
			  struct msp_tried_privilege *t)
{
	enum msp_try result;
	const char *seen;
	uint32_t i;

	memset(t, 0, sizeof(*t));
	t->name = rule->name;
	t->path = *rule->path ? rule->path : "/";
	t->index = rule->index;
	t->n_params = rule->n_params;
	for (i = 0; i < rule->n_roles; i++)
		t->n_identities += rule->roles[i]->n;
	if (rule->n_params && w->odd_name) {
		t->result = MSP_TRY_PARAM_AMBIGUOUS;
		t->param = w->odd_name;
		t->seen = w->odd_value;
	}
	for (i = 0; i < rule->n_params; i++) {
		result = try_param(w->e, &rule->params[i], &seen);
		if (weight(result) > weight(t->result))
			refuse(t, result, &rule->params[i], seen);
	}
}

/* All that cover the path; returns the code they refuse the query with. */
static enum msp_canon try_privileges(struct walk *w)
{
	enum msp_canon code = MSP_CANON_OK;
	struct msp_explanation *e = w->e;
	struct msp_tried_privilege t;
	uint32_t i;

	for (i = 0; i < w->rules->n_rules; i++) {
		if (!covers(w->order[i], e->path)) {
			e->n_others++;
			continue;
		}
		try_privilege(w, w->order[i], &t);
		if (t.result == MSP_TRY_PARAM_TWICE)
			code = MSP_CANON_DUPLICATE_PARAM;
		else if (t.result == MSP_TRY_PARAM_AMBIGUOUS && !code)
			code = MSP_CANON_AMBIGUOUS;
		if (e->n_privileges == MSP_EXPLAIN_MAX)
			e->cut = true;
		else
			e->privileges[e->n_privileges++] = t;
	}
	return code;
}

static const struct msp_who *first_holder(const struct walk *w,
					  const struct msp_rule *rule)
{
	const struct msp_who *who, *first = NULL;
	uint32_t i;

	for (i = 0; i < rule->n_roles; i++) {
		who = w->first[rule->roles[i] - w->rules->roles];
		if (who && (!first || who->index < first->index))
			first = who;
	}
	return first;
}

static void say(struct msp_decision *out, enum msp_verdict verdict,
		enum msp_reason reason)
{
	out->verdict = verdict;
	out->reason = reason;
}

/* The first that grants, else the first that matched. */
static void judge_privilege(const struct walk *w, struct msp_decision *out,
			    const struct msp_rule *rule)
{
	const struct msp_who *who = first_holder(w, rule);

	if (out->reason == MSP_REASON_GRANTED)
		return;
	if (who) {
		say(out, MSP_ALLOW, MSP_REASON_GRANTED);
		out->privilege = rule->name;
		out->identity = who->name;
	} else if (out->reason != MSP_REASON_NO_IDENTITY) {
		say(out, MSP_DENY, MSP_REASON_NO_IDENTITY);
		out->privilege = rule->name;
	}
}

static void judge_rules(struct walk *w, struct msp_decision *out)
{
	struct msp_tried_privilege t;
	size_t kept = 0;
	uint32_t i, k;

	out->canon = try_privileges(w);
	say(out, MSP_DENY, MSP_REASON_CANON);
	if (out->canon)
		return;
	if (w->rules->access == MSP_ACCESS_ALLOW)
		say(out, MSP_ALLOW, MSP_REASON_DEFAULT_ALLOW);
	else
		say(out, MSP_DENY, MSP_REASON_DEFAULT_DENY);
	for (i = 0; i < w->rules->n_rules; i++) {
		if (!covers(w->order[i], w->e->path))
			continue;
		try_privilege(w, w->order[i], &t);
		if (t.result == MSP_TRY_MATCHED) {
			judge_privilege(w, out, w->order[i]);
			for (k = 0; k < w->order[i]->n_roles &&
				    kept < w->e->n_privileges;
			     k++)
				keep_identities(w, w->order[i]->roles[k], kept);
		}
		kept++;
	}
}

/* ---- the order of things ----------------------------------------------- */

static size_t kept_at_most(size_t n)
{
	return n < MSP_EXPLAIN_MAX ? n : MSP_EXPLAIN_MAX;
}

/* Identities there are to try, or more than are kept. */
static size_t count_identities(const struct msp_rules *r)
{
	size_t n = 0;
	uint32_t i, k;

	for (i = 0; i < r->n_rules && n < MSP_EXPLAIN_MAX; i++)
		for (k = 0; k < r->rules[i].n_roles; k++)
			n += r->rules[i].roles[k]->n;
	return kept_at_most(n);
}

static int begin(struct walk *w)
{
	struct msp_explanation *e = w->e;
	const struct msp_rules *r = w->rules;
	uint32_t i;
	size_t k;

	w->order = msp_mem_array(r->n_rules, sizeof(*w->order));
	w->who = msp_mem_array(r->n_who, sizeof(*w->who));
	w->first = msp_mem_array(r->n_roles, sizeof(*w->first));
	e->privileges = msp_arena_get(&e->arena, kept_at_most(r->n_rules),
				      sizeof(*e->privileges));
	e->identities = msp_arena_get(&e->arena, count_identities(r),
				      sizeof(*e->identities));
	if (!w->order || !w->who || !w->first || !e->privileges ||
	    !e->identities)
		return MSP_ERR_NOMEM;
	for (i = 0; i < r->n_rules; i++)
		w->order[r->rules[i].index] = &r->rules[i];
	for (k = 0; k < e->n_asked && !w->odd_name; k++) {
		if (!odd(e->asked[k].name))
			continue;
		w->odd_name = e->asked[k].name;
		w->odd_value = e->asked[k].value;
	}
	return 0;
}

static int walk_rules(struct msp_explanation *e, struct msp_decision *out)
{
	struct walk w = { .e = e, .rules = e->rules };
	int rc = begin(&w);

	if (rc == 0) {
		try_identities(&w);
		judge_rules(&w, out);
	}
	msp_mem_free(w.order);
	msp_mem_free(w.who);
	msp_mem_free(w.first);
	return rc;
}

/* true if the rules do not matter */
static bool judge_before_rules(const struct msp_explanation *e,
			       struct msp_decision *out,
			       const struct msp_request *request)
{
	const struct msp_caller *c = &e->caller;
	bool user =
		c->flags & MSP_CALLER_KNOWN && !(c->flags & MSP_CALLER_KERNEL);
	bool root = user && !c->uid && !c->euid;

	if (!user) {
		say(out, MSP_DENY, MSP_REASON_UNKNOWN_CALLER);
	} else if (c->flags & MSP_CALLER_DIRECT) {
		say(out, MSP_DENY, MSP_REASON_DIRECT);
	} else if (msp_request_refused(request)) {
		say(out, MSP_DENY, MSP_REASON_CANON);
		out->canon = request->canon;
	} else if (root && msp_request_exempt(request)) {
		say(out, MSP_ALLOW, MSP_REASON_EXEMPT);
	} else if (e->endpoint != MSP_ENDPOINT_IMDS && !root) {
		say(out, MSP_DENY, MSP_REASON_NOT_ROOT);
	} else if (!e->rules) {
		say(out, MSP_ALLOW, MSP_REASON_NO_RULES);
	} else if (e->rules->mode == MSP_MODE_DISABLED) {
		say(out, MSP_ALLOW, MSP_REASON_DISABLED);
	} else {
		return false;
	}
	return true;
}

int msp_explain_walk(struct msp_explanation *e, struct msp_decision *out,
		     const struct msp_request *request)
{
	int rc = 0;

	if (judge_before_rules(e, out, request))
		return 0;
	if (request->canon) {
		say(out, MSP_DENY, MSP_REASON_CANON);
		out->canon = request->canon;
	} else {
		rc = walk_rules(e, out);
	}
	if (e->rules->mode == MSP_MODE_AUDIT && out->verdict == MSP_DENY)
		out->verdict = MSP_ALLOW_AUDITED;
	return rc;
}
