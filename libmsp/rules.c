/* SPDX-License-Identifier: MIT */
/*
 * In: a validated profile. Out: immutable tables in which the few privileges
 * that cover a path, and the few identities a caller can have, are found
 * without looking at the others. Must never grant what the profile does not.
 */
#include <msp/rules.h>

#include <stdlib.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/canon.h"
#include "libmsp/mem.h"
#include "libmsp/profile_priv.h"
#include "libmsp/rules_priv.h"

/* ---- memory: all of it dies with the rules ----------------------------- */

static void *keep(struct msp_rules *r, size_t count, size_t size)
{
	return msp_arena_get(&r->arena, count, size);
}

static const char *keep_text(struct msp_rules *r, const char *text, size_t len)
{
	return msp_arena_text(&r->arena, text, len);
}

/* A text that may be absent stays absent; false if out of memory. */
static bool keep_selector(struct msp_rules *r, const char **out,
			  const struct msp_text *from)
{
	*out = from->text ? keep_text(r, from->text, from->len) : NULL;
	return *out || !from->text;
}

/* ---- identities -------------------------------------------------------- */

int msp_rules_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int cmp = n ? memcmp(a, b, n) : 0;

	return cmp ? cmp : (a_len > b_len) - (a_len < b_len);
}

static int who_class(const struct msp_who *w)
{
	return w->user ? 2 : w->group ? 1 : 0;
}

static int compare_who(const void *one, const void *two)
{
	const struct msp_who *a = one, *b = two;
	int class = who_class(a), cmp;

	if (class != who_class(b))
		return class - who_class(b);
	cmp = class == 2   ? strcmp(a->user, b->user)
	      : class == 1 ? strcmp(a->group, b->group)
			   : 0;
	return cmp ? cmp : (a->index > b->index) - (a->index < b->index);
}

static int compile_identities(struct msp_rules *r, const struct msp_profile *p)
{
	const struct msp_identity *from;
	struct msp_who *w;
	uint32_t i;

	r->n_who = (uint32_t)p->n_identities;
	r->who = keep(r, r->n_who, sizeof(*r->who));
	if (!r->who)
		return MSP_ERR_NOMEM;
	for (i = 0; i < r->n_who; i++) {
		from = &p->identities[i];
		w = &r->who[i];
		w->index = i;
		w->name = keep_text(r, from->name.text, from->name.len);
		if (!w->name || !keep_selector(r, &w->user, &from->user_name) ||
		    !keep_selector(r, &w->group, &from->group_name) ||
		    !keep_selector(r, &w->exe, &from->exe_path) ||
		    !keep_selector(r, &w->process, &from->process_name))
			return MSP_ERR_NOMEM;
	}
	qsort(r->who, r->n_who, sizeof(*r->who), compare_who);
	for (i = 0; i < r->n_who; i++) {
		r->n_anybody += who_class(&r->who[i]) == 0;
		r->n_by_group += who_class(&r->who[i]) <= 1;
	}
	return 0;
}

/* ---- roles ------------------------------------------------------------- */

/* What is only needed while compiling. */
struct work {
	const struct msp_profile *profile;
	uint32_t *rank;	  /* of identities: index -> place in who[] */
	uint32_t *filled; /* members put into each role so far */
	struct msp_rule_param **sorted;
	size_t n_params;
};

static void free_work(struct work *w)
{
	msp_mem_free(w->rank);
	msp_mem_free(w->filled);
	msp_mem_free(w->sorted);
}

static int compare_u32(const void *one, const void *two)
{
	const uint32_t *a = one, *b = two;

	return (*a > *b) - (*a < *b);
}

static uint32_t sort_unique(uint32_t *list, uint32_t n)
{
	uint32_t i, kept = 0;

	qsort(list, n, sizeof(*list), compare_u32);
	for (i = 0; i < n; i++) {
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	}
	return kept;
}

/* Every index is looked at before it is used: a wrong one must fail here and
 * not read somewhere else later. */
static bool references_ok(const struct msp_profile *p)
{
	const struct msp_assignment *a;
	size_t i, j;

	for (i = 0; i < p->n_roles; i++) {
		for (j = 0; j < p->roles[i].n_privileges; j++) {
			if (p->roles[i].privileges[j] >= p->n_privileges)
				return false;
		}
	}
	for (i = 0; i < p->n_assignments; i++) {
		a = &p->assignments[i];
		if (a->role >= p->n_roles)
			return false;
		for (j = 0; j < a->n_identities; j++) {
			if (a->identities[j] >= p->n_identities)
				return false;
		}
	}
	return true;
}

/* Room for the members of each role, over all its assignments. */
static int size_roles(struct msp_rules *r, struct work *w)
{
	const struct msp_profile *p = w->profile;
	size_t i, n;

	r->n_roles = (uint32_t)p->n_roles;
	r->roles = keep(r, p->n_roles, sizeof(*r->roles));
	w->filled = msp_mem_array(p->n_roles, sizeof(*w->filled));
	w->rank = msp_mem_array(r->n_who, sizeof(*w->rank));
	if (!r->roles || !w->filled || !w->rank)
		return MSP_ERR_NOMEM;
	for (i = 0; i < r->n_who; i++)
		w->rank[r->who[i].index] = (uint32_t)i;
	for (i = 0; i < p->n_assignments; i++) {
		n = p->assignments[i].n_identities;
		if (n > UINT32_MAX - r->roles[p->assignments[i].role].n)
			return MSP_ERR_LIMIT;
		r->roles[p->assignments[i].role].n += (uint32_t)n;
	}
	for (i = 0; i < p->n_roles; i++) {
		r->roles[i].name = keep_text(r, p->roles[i].name.text,
					     p->roles[i].name.len);
		r->roles[i].who = keep(r, r->roles[i].n, sizeof(uint32_t));
		if (!r->roles[i].name || !r->roles[i].who)
			return MSP_ERR_NOMEM;
	}
	return 0;
}

static int compile_roles(struct msp_rules *r, struct work *w)
{
	const struct msp_profile *p = w->profile;
	const struct msp_assignment *a;
	struct msp_who_set *set;
	uint32_t *list;
	size_t i, j;
	int rc;

	rc = size_roles(r, w);
	if (rc < 0)
		return rc;
	for (i = 0; i < p->n_assignments; i++) {
		a = &p->assignments[i];
		list = r->roles[a->role].who;
		for (j = 0; j < a->n_identities; j++)
			list[w->filled[a->role]++] = w->rank[a->identities[j]];
	}
	for (i = 0; i < p->n_roles; i++) {
		set = &r->roles[i];
		set->n = sort_unique(set->who, set->n);
	}
	return 0;
}

/* ---- privileges -------------------------------------------------------- */

static int compile_path(struct msp_rules *r, struct msp_rule *rule,
			const struct msp_text *from)
{
	/* a '/' may come before it, and a NUL behind */
	char *path = keep(r, from->len + 2, 1);
	size_t len = 0;

	if (!path)
		return MSP_ERR_NOMEM;
	if (msp_canon_path(path, &len, from->text, from->len))
		return MSP_ERR_INVAL;
	path[len] = '\0';
	rule->path = path;
	rule->path_len = (uint32_t)len;
	return 0;
}

/* Requests are lower-cased the same way: in ASCII, whatever the locale. */
static const char *keep_lower(struct msp_rules *r, const struct msp_text *from)
{
	char *copy = keep(r, from->len + 1, 1);
	size_t i;

	for (i = 0; copy && i < from->len; i++)
		copy[i] = (char)msp_ascii_lower((unsigned char)from->text[i]);
	return copy;
}

static int compile_params(struct msp_rules *r, struct msp_rule *rule,
			  const struct msp_privilege *from)
{
	struct msp_rule_param *p;
	size_t i;

	rule->n_params = (uint32_t)from->n_params;
	rule->params = keep(r, from->n_params, sizeof(*rule->params));
	if (!rule->params)
		return MSP_ERR_NOMEM;
	for (i = 0; i < from->n_params; i++) {
		if (from->params[i].name.len >= UINT32_MAX ||
		    from->params[i].value.len >= UINT32_MAX)
			return MSP_ERR_LIMIT;
		p = &rule->params[i];
		p->rule = rule->index;
		p->name_len = (uint32_t)from->params[i].name.len;
		p->value_len = (uint32_t)from->params[i].value.len;
		p->name = keep_lower(r, &from->params[i].name);
		p->value = keep_lower(r, &from->params[i].value);
		if (!p->name || !p->value)
			return MSP_ERR_NOMEM;
	}
	return 0;
}

static int compile_privileges(struct msp_rules *r, const struct msp_profile *p)
{
	const struct msp_privilege *from;
	const uint32_t n = (uint32_t)p->n_privileges;
	struct msp_rule *rule;
	uint32_t i;
	int rc;

	r->n_rules = n;
	r->rules = keep(r, n, sizeof(*r->rules));
	if (!r->rules)
		return MSP_ERR_NOMEM;
	for (i = 0; i < n; i++) {
		from = &p->privileges[i];
		if (from->path.len >= UINT32_MAX / 2 ||
		    from->n_params >= UINT32_MAX)
			return MSP_ERR_LIMIT;
		rule = &r->rules[i];
		rule->index = i;
		rule->name = keep_text(r, from->name.text, from->name.len);
		if (!rule->name)
			return MSP_ERR_NOMEM;
		rc = compile_path(r, rule, &from->path);
		if (rc < 0)
			return rc;
		rc = compile_params(r, rule, from);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static unsigned int need_of(const struct msp_who *w)
{
	return (w->user ? MSP_NEED_USER : 0U) |
	       (w->group ? MSP_NEED_GROUPS : 0U) |
	       (w->exe || w->process ? MSP_NEED_EXE : 0U);
}

/* Only what an assigned identity asks for is worth finding out. */
static void note_needs(struct msp_rules *r, const struct msp_who_set *set)
{
	uint32_t i;

	for (i = 0; i < set->n; i++)
		r->needs |= need_of(&r->who[set->who[i]]);
}

/* Privileges learn their roles; rules[] is still in the profile's order. */
static int link_roles(struct msp_rules *r, const struct work *w)
{
	const struct msp_profile *p = w->profile;
	const struct msp_who_set *set;
	struct msp_rule *rule;
	size_t i, j;

	for (i = 0; i < p->n_roles; i++) {
		for (j = 0; j < p->roles[i].n_privileges; j++)
			r->rules[p->roles[i].privileges[j]].n_roles++;
	}
	for (i = 0; i < r->n_rules; i++) {
		rule = &r->rules[i];
		rule->roles = keep(r, rule->n_roles, sizeof(*rule->roles));
		if (!rule->roles)
			return MSP_ERR_NOMEM;
		rule->n_roles = 0;
	}
	for (i = 0; i < p->n_roles; i++) {
		set = &r->roles[i];
		for (j = 0; set->n && j < p->roles[i].n_privileges; j++) {
			rule = &r->rules[p->roles[i].privileges[j]];
			if (!rule->n_roles ||
			    rule->roles[rule->n_roles - 1] != set)
				rule->roles[rule->n_roles++] = set;
		}
		if (p->roles[i].n_privileges)
			note_needs(r, set);
	}
	return 0;
}

/* ---- keys: the parameter that tells most about a privilege ------------- */

static int compare_pair(const struct msp_rule_param *a,
			const struct msp_rule_param *b)
{
	int cmp = msp_rules_compare(a->name, a->name_len, b->name, b->name_len);

	return cmp ? cmp
		   : msp_rules_compare(a->value, a->value_len, b->value,
				       b->value_len);
}

static int compare_params(const void *one, const void *two)
{
	const struct msp_rule_param *a = *(struct msp_rule_param *const *)one;
	const struct msp_rule_param *b = *(struct msp_rule_param *const *)two;
	int cmp = compare_pair(a, b);

	return cmp ? cmp : (a->rule > b->rule) - (a->rule < b->rule);
}

static int collect_params(const struct msp_rules *r, struct work *w)
{
	size_t i, j, n = 0;

	for (i = 0; i < r->n_rules; i++)
		w->n_params += r->rules[i].n_params;
	w->sorted = msp_mem_array(w->n_params, sizeof(*w->sorted));
	if (!w->sorted)
		return MSP_ERR_NOMEM;
	for (i = 0; i < r->n_rules; i++) {
		for (j = 0; j < r->rules[i].n_params; j++)
			w->sorted[n++] = &r->rules[i].params[j];
	}
	qsort(w->sorted, n, sizeof(*w->sorted), compare_params);
	return 0;
}

/* "api-version=..." stands in all privileges alike and would find them all:
 * each is filed under the parameter that it shares with the fewest. */
static int choose_keys(struct msp_rules *r, struct work *w)
{
	struct msp_rule_param *p;
	struct msp_rule *rule;
	size_t i, j, end;
	int rc;

	rc = collect_params(r, w);
	if (rc < 0)
		return rc;
	for (i = 0; i < w->n_params; i = end) {
		end = i + 1;
		while (end < w->n_params &&
		       !compare_pair(w->sorted[i], w->sorted[end]))
			end++;
		for (j = i; j < end; j++) {
			p = w->sorted[j];
			p->shared = (uint32_t)(end - i);
			rule = &r->rules[p->rule];
			if (!rule->key || p->shared < rule->key->shared)
				rule->key = p;
		}
	}
	return 0;
}

/* ---- the tree of paths ------------------------------------------------- */

/* By segments: '/' comes before every other byte, so that what lies below a
 * path follows it at once. Bytes below ' ' are not in canonical paths. */
static int compare_paths(const struct msp_rule *a, const struct msp_rule *b)
{
	uint32_t n = a->path_len < b->path_len ? a->path_len : b->path_len;
	unsigned char x, y;
	uint32_t i = 0;

	while (i < n && a->path[i] == b->path[i])
		i++;
	if (i == n)
		return (a->path_len > b->path_len) -
		       (a->path_len < b->path_len);
	x = a->path[i] == '/' ? 1 : (unsigned char)a->path[i];
	y = b->path[i] == '/' ? 1 : (unsigned char)b->path[i];
	return x < y ? -1 : 1;
}

static int compare_rules(const void *one, const void *two)
{
	const struct msp_rule *a = one, *b = two;
	int cmp = compare_paths(a, b);

	if (cmp)
		return cmp;
	if (!a->key != !b->key)
		return a->key ? 1 : -1;
	cmp = a->key ? compare_pair(a->key, b->key) : 0;
	return cmp ? cmp : (a->index > b->index) - (a->index < b->index);
}

/* Nodes that this path needs and the one sorted before it does not have. */
static uint32_t new_nodes(const struct msp_rule *before,
			  const struct msp_rule *rule)
{
	uint32_t i = 0, n = 0;

	while (i < before->path_len && i < rule->path_len &&
	       before->path[i] == rule->path[i])
		i++;
	/* they part within a segment, which is therefore another one */
	if (i < rule->path_len && rule->path[i] != '/')
		n++;
	for (; i < rule->path_len; i++)
		n += rule->path[i] == '/';
	return n;
}

static void count_ending(struct msp_rules *r, struct msp_node *node,
			 uint32_t high)
{
	uint32_t i = node->first_rule;

	while (i < high && r->rules[i].path_len == node->path_len) {
		if (r->rules[i].key)
			node->n_keyed++;
		else
			node->n_plain++;
		i++;
	}
}

static bool below(const struct msp_rule *rule, const struct msp_node *node,
		  uint32_t parent_len)
{
	return rule->path_len >= node->path_len &&
	       !memcmp(rule->path + parent_len + 1, node->segment,
		       node->segment_len) &&
	       (rule->path_len == node->path_len ||
		rule->path[node->path_len] == '/');
}

/* The child that the rules from low on begin; *low moves behind them. */
static void add_child(struct msp_rules *r, const struct msp_node *parent,
		      uint32_t *highs, uint32_t *low, uint32_t high)
{
	const struct msp_rule *first = &r->rules[*low];
	struct msp_node *node = &r->nodes[r->n_nodes];
	uint32_t end = parent->path_len + 1;

	while (end < first->path_len && first->path[end] != '/')
		end++;
	node->segment = first->path + parent->path_len + 1;
	node->segment_len = end - parent->path_len - 1;
	node->path_len = end;
	node->first_rule = *low;
	while (*low < high && below(&r->rules[*low], node, parent->path_len))
		++*low;
	highs[r->n_nodes++] = *low;
}

/* Level by level, so that the children of a node lie side by side. highs[i] is
 * the end of the rules at and below node i. */
static void grow_tree(struct msp_rules *r, uint32_t *highs)
{
	struct msp_node *node;
	uint32_t i, low;

	r->n_nodes = 1;
	highs[0] = r->n_rules;
	for (i = 0; i < r->n_nodes; i++) {
		node = &r->nodes[i];
		count_ending(r, node, highs[i]);
		node->first_child = r->n_nodes;
		low = node->first_rule + node->n_plain + node->n_keyed;
		while (low < highs[i])
			add_child(r, node, highs, &low, highs[i]);
		node->n_children = r->n_nodes - node->first_child;
	}
}

static int compile_tree(struct msp_rules *r)
{
	static const struct msp_rule root = { .path = "" };
	const struct msp_rule *before = &root;
	uint32_t i, *highs;

	qsort(r->rules, r->n_rules, sizeof(*r->rules), compare_rules);
	r->max_nodes = 1;
	for (i = 0; i < r->n_rules; i++) {
		r->max_nodes += new_nodes(before, &r->rules[i]);
		before = &r->rules[i];
	}
	r->nodes = keep(r, r->max_nodes, sizeof(*r->nodes));
	highs = msp_mem_array(r->max_nodes, sizeof(*highs));
	if (r->nodes && highs)
		grow_tree(r, highs);
	msp_mem_free(highs);
	return r->nodes && highs ? 0 : MSP_ERR_NOMEM;
}

/* ---- names of parameters ----------------------------------------------- */

static int compare_names(const void *one, const void *two)
{
	const struct msp_rule_param *a = *(struct msp_rule_param *const *)one;
	const struct msp_rule_param *b = *(struct msp_rule_param *const *)two;

	return msp_rules_compare(a->name, a->name_len, b->name, b->name_len);
}

/* Parameters of the node's rules, one for each name; list has room for all. */
static uint32_t distinct_names(const struct msp_rules *r,
			       const struct msp_node *node,
			       struct msp_rule_param **list)
{
	const struct msp_rule *rule =
		r->rules + node->first_rule + node->n_plain;
	uint32_t i, n = 0, kept = 0;
	uint32_t k;

	for (i = 0; i < node->n_keyed; i++) {
		for (k = 0; k < rule[i].n_params; k++)
			list[n++] = &rule[i].params[k];
	}
	qsort(list, n, sizeof(struct msp_rule_param *), compare_names);
	for (i = 0; i < n; i++) {
		if (!kept || compare_names(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	}
	return kept;
}

/* What a path constrains is looked up without going through its privileges:
 * any client can send a parameter twice. */
static int compile_names(struct msp_rules *r, struct work *w)
{
	struct msp_node *node;
	uint32_t i, k;

	/* nobody needs the order of before */
	for (i = 0; i < r->n_nodes; i++) {
		node = &r->nodes[i];
		node->n_names = distinct_names(r, node, w->sorted);
		node->names = keep(r, node->n_names, sizeof(*node->names));
		if (!node->names)
			return MSP_ERR_NOMEM;
		for (k = 0; k < node->n_names; k++) {
			node->names[k].text = w->sorted[k]->name;
			node->names[k].len = w->sorted[k]->name_len;
		}
	}
	return 0;
}

/* ---- the whole --------------------------------------------------------- */

static int begin(struct msp_rules **out, const char *id, size_t len,
		 uint64_t epoch)
{
	struct msp_rules *r = msp_mem_zalloc(sizeof(*r));

	if (!r)
		return MSP_ERR_NOMEM;
	atomic_init(&r->owners, 1);
	r->epoch = epoch;
	r->mode = MSP_MODE_ENFORCE;
	r->access = MSP_ACCESS_DENY;
	r->id = keep_text(r, id, len);
	if (!r->id) {
		msp_rules_free(r);
		return MSP_ERR_NOMEM;
	}
	*out = r;
	return 0;
}

static int compile(struct msp_rules *r, const struct msp_profile *profile)
{
	struct work w = { .profile = profile };
	int rc;

	rc = compile_identities(r, profile);
	if (rc < 0)
		goto out;
	rc = compile_privileges(r, profile);
	if (rc < 0)
		goto out;
	rc = compile_roles(r, &w);
	if (rc < 0)
		goto out;
	rc = link_roles(r, &w);
	if (rc < 0)
		goto out;
	rc = choose_keys(r, &w);
	if (rc < 0)
		goto out;
	rc = compile_tree(r);
	if (rc < 0)
		goto out;
	rc = compile_names(r, &w);
out:
	free_work(&w);
	return rc;
}

int msp_rules_compile(struct msp_rules **out, const struct msp_profile *profile,
		      uint64_t epoch)
{
	struct msp_rules *r = NULL;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!profile || !references_ok(profile))
		return MSP_ERR_INVAL;
	if (profile->n_privileges > MSP_RULES_MAX_ITEMS ||
	    profile->n_identities > MSP_RULES_MAX_ITEMS ||
	    profile->n_roles > MSP_RULES_MAX_ITEMS ||
	    profile->n_assignments > MSP_RULES_MAX_ITEMS)
		return MSP_ERR_LIMIT;

	rc = begin(&r, profile->id.text, profile->id.len, epoch);
	if (rc < 0)
		return rc;
	r->mode = profile->mode;
	r->access = profile->access;
	rc = compile(r, profile);
	if (rc < 0)
		goto out;
	*out = r;
	r = NULL; /* now the caller's */
out:
	msp_rules_free(r);
	return rc;
}

int msp_rules_closed(struct msp_rules **out, const char *id, size_t len,
		     uint64_t epoch)
{
	static const struct msp_profile nothing;
	struct msp_rules *r = NULL;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if ((!id && len) || len == SIZE_MAX)
		return MSP_ERR_INVAL;
	rc = begin(&r, id, len, epoch);
	if (rc < 0)
		return rc;
	rc = compile(r, &nothing);
	if (rc < 0)
		goto out;
	*out = r;
	r = NULL; /* now the caller's */
out:
	msp_rules_free(r);
	return rc;
}

struct msp_rules *msp_rules_ref(struct msp_rules *rules)
{
	if (rules)
		atomic_fetch_add_explicit(&rules->owners, 1,
					  memory_order_relaxed);
	return rules;
}

void msp_rules_free(struct msp_rules *rules)
{
	/* acquire and release: the last owner sees what the others did */
	if (!rules || atomic_fetch_sub_explicit(&rules->owners, 1,
						memory_order_acq_rel) > 1)
		return;
	msp_arena_free(&rules->arena);
	msp_mem_free(rules);
}

const char *msp_rules_id(const struct msp_rules *rules)
{
	return rules ? rules->id : "";
}

uint64_t msp_rules_epoch(const struct msp_rules *rules)
{
	return rules ? rules->epoch : 0;
}

enum msp_mode msp_rules_mode(const struct msp_rules *rules)
{
	return rules ? rules->mode : MSP_MODE_ENFORCE;
}

unsigned int msp_rules_needs(const struct msp_rules *rules)
{
	return rules ? rules->needs : 0;
}

size_t msp_rules_memory(const struct msp_rules *rules)
{
	return rules ? sizeof(*rules) + rules->arena.bytes : 0;
}
