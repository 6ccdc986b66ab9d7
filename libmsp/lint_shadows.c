/* SPDX-License-Identifier: MIT */
/*
 * In: the compiled privileges of a profile. Out: those without effect, because
 * a wider one grants the same. Must never take time that grows with the square
 * of the profile: what is too much is left, and said.
 */
#include <stdlib.h>
#include <string.h>

#include "libmsp/arena.h"
#include "libmsp/info.h"
#include "libmsp/lint_priv.h"

/* Of very many that cover the same paths: a fraction of a second. */
#define STEPS_MAX (1UL << 24)

#define SELECTORS 4
#define NO_CLASS  UINT32_MAX

/*
 * Identities by what they ask for. Those that ask for the same are a class,
 * and one that asks for less matches whoever one that asks for more does.
 */
struct kin {
	struct msp_arena arena;
	const struct msp_rules *rules;
	const struct msp_who **sorted; /* by selectors */
	uint32_t *class_of; /* by place in who[]: first place in sorted[] */
	uint32_t *first; /* by class: its part of wider[], n_who + 1 entries */
	uint32_t *wider; /* classes that ask for as much or less */
	uint32_t *mark;	 /* by class: the last set it was seen in */
	uint32_t set;	 /* number of that set */
	unsigned long steps;
};

/* ---- identities -------------------------------------------------------- */

static void selectors_of(const char **out, const struct msp_who *who)
{
	out[0] = who->user;
	out[1] = who->group;
	out[2] = who->exe;
	out[3] = who->process;
}

static int compare_keys(const char *const *a, const char *const *b)
{
	int cmp, i;

	for (i = 0; i < SELECTORS; i++) {
		if (!a[i] != !b[i])
			return a[i] ? 1 : -1;
		cmp = a[i] ? strcmp(a[i], b[i]) : 0;
		if (cmp)
			return cmp;
	}
	return 0;
}

static int compare_who(const void *one, const void *two)
{
	const char *a[SELECTORS], *b[SELECTORS];

	selectors_of(a, *(const struct msp_who *const *)one);
	selectors_of(b, *(const struct msp_who *const *)two);
	return compare_keys(a, b);
}

static uint32_t find_class(const struct kin *k, const char *const *key)
{
	uint32_t low = 0, high = k->rules->n_who, mid;
	const char *other[SELECTORS];

	while (low < high) {
		mid = low + (high - low) / 2;
		selectors_of(other, k->sorted[mid]);
		if (compare_keys(other, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == k->rules->n_who)
		return NO_CLASS;
	selectors_of(other, k->sorted[low]);
	return compare_keys(other, key) ? NO_CLASS : low;
}

/* Each way to leave some of the selectors out, or none. out may be NULL.
 * Returns how many there are. */
static uint32_t find_wider(const struct kin *k, const struct msp_who *who,
			   uint32_t *out)
{
	const char *all[SELECTORS], *key[SELECTORS];
	uint32_t n = 0, class;
	unsigned int left, i;
	bool proper;

	selectors_of(all, who);
	for (left = 0; left < 1U << SELECTORS; left++) {
		proper = true;
		for (i = 0; i < SELECTORS; i++) {
			proper = proper && (all[i] || !(left & 1U << i));
			key[i] = left & 1U << i ? all[i] : NULL;
		}
		class = proper ? find_class(k, key) : NO_CLASS;
		if (class == NO_CLASS)
			continue;
		if (out)
			out[n] = class;
		n++;
	}
	return n;
}

static bool is_first(const struct kin *k, uint32_t i)
{
	return i == 0 || compare_who(&k->sorted[i - 1], &k->sorted[i]) != 0;
}

static bool find_kin(struct kin *k)
{
	uint32_t i, n = 0, class = 0, n_who = k->rules->n_who;

	for (i = 0; i < n_who; i++) {
		if (is_first(k, i))
			class = i;
		k->class_of[k->sorted[i] - k->rules->who] = class;
		k->first[i] = n;
		if (class == i)
			n += find_wider(k, k->sorted[i], NULL);
	}
	k->first[n_who] = n;
	k->wider = msp_arena_get(&k->arena, n, sizeof(*k->wider));
	if (!k->wider)
		return false;
	for (i = 0; i < n_who; i++)
		if (k->first[i + 1] > k->first[i])
			find_wider(k, k->sorted[i], k->wider + k->first[i]);
	return true;
}

static bool open_kin(struct kin *k, const struct msp_rules *rules)
{
	uint32_t i, n = rules->n_who;

	memset(k, 0, sizeof(*k));
	k->rules = rules;
	k->sorted = msp_arena_get(&k->arena, n, sizeof(*k->sorted));
	k->class_of = msp_arena_get(&k->arena, n, sizeof(*k->class_of));
	k->first = msp_arena_get(&k->arena, (size_t)n + 1, sizeof(*k->first));
	k->mark = msp_arena_get(&k->arena, n, sizeof(*k->mark));
	if (!k->sorted || !k->class_of || !k->first || !k->mark)
		return false;
	for (i = 0; i < n; i++)
		k->sorted[i] = &rules->who[i];
	qsort(k->sorted, n, sizeof(*k->sorted), compare_who);
	return find_kin(k);
}

/* ---- who has what ------------------------------------------------------ */

static void mark_callers(struct kin *k, const struct msp_rule *rule)
{
	uint32_t i, j;

	k->set++;
	for (i = 0; i < rule->n_roles; i++) {
		k->steps += rule->roles[i]->n;
		for (j = 0; j < rule->roles[i]->n; j++)
			k->mark[k->class_of[rule->roles[i]->who[j]]] = k->set;
	}
}

static bool is_marked(struct kin *k, uint32_t class)
{
	uint32_t i;

	for (i = k->first[class]; i < k->first[class + 1]; i++) {
		k->steps++;
		if (k->mark[k->wider[i]] == k->set)
			return true;
	}
	return false;
}

/* Is whoever has this rule among those that are marked? */
static bool all_marked(struct kin *k, const struct msp_rule *rule)
{
	uint32_t i, j;

	for (i = 0; i < rule->n_roles; i++)
		for (j = 0; j < rule->roles[i]->n; j++)
			if (!is_marked(k, k->class_of[rule->roles[i]->who[j]]))
				return false;
	return true;
}

/* How the callers of a rule are related to those of a wider one. */
enum relation { OTHERS = 0, SAME = 1, FEWER = 2 };

static enum relation relate(struct kin *k, const struct msp_rule *rule,
			    const struct msp_rule *wide)
{
	if (!wide->n_roles)
		return OTHERS;
	if (!rule->n_roles)
		return FEWER;
	if (rule->n_roles == wide->n_roles &&
	    !memcmp(rule->roles, wide->roles,
		    rule->n_roles * sizeof(*rule->roles)))
		return SAME;
	mark_callers(k, wide);
	if (!all_marked(k, rule))
		return OTHERS;
	mark_callers(k, rule);
	return all_marked(k, wide) ? SAME : FEWER;
}

/* ---- which are wider --------------------------------------------------- */

/* Looking for one that is wider than rule. */
struct hunt {
	struct kin *kin;
	const struct msp_rule *rule;
	const struct msp_rule *found;
	enum relation relation;
};

static int compare_pair(const struct msp_rule_param *a,
			const struct msp_rule_param *b)
{
	int cmp = msp_rules_compare(a->name, a->name_len, b->name, b->name_len);

	return cmp ? cmp
		   : msp_rules_compare(a->value, a->value_len, b->value,
				       b->value_len);
}

/* Both are sorted by name. */
static bool asks_for_less(struct kin *k, const struct msp_rule *wide,
			  const struct msp_rule *rule)
{
	uint32_t i = 0, j = 0;

	if (wide->n_params > rule->n_params)
		return false;
	while (i < wide->n_params && j < rule->n_params) {
		k->steps++;
		i += compare_pair(&wide->params[i], &rule->params[j]) == 0;
		j++;
	}
	return i == wide->n_params;
}

/* true if it will do, and no other need be looked at beside it */
static bool try_rule(struct hunt *h, const struct msp_rule *wide)
{
	bool twin = wide->path_len == h->rule->path_len &&
		    wide->n_params == h->rule->n_params;
	enum relation relation;

	h->kin->steps++;
	if (wide == h->rule || !asks_for_less(h->kin, wide, h->rule))
		return false;
	relation = relate(h->kin, h->rule, wide);
	if (relation <= h->relation)
		return false;
	/* of two that are the same the second is the one too many */
	if (relation == SAME && twin && wide->index > h->rule->index)
		return false;
	h->relation = relation;
	h->found = wide;
	return true;
}

/* First of n rules sorted by key whose key is not before this. */
static uint32_t find_key(const struct msp_rule *rules, uint32_t n,
			 const struct msp_rule_param *key)
{
	uint32_t low = 0, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (compare_pair(rules[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool enough(const struct hunt *h)
{
	return h->relation == FEWER || h->kin->steps > STEPS_MAX;
}

static void hunt_keyed(struct hunt *h, const struct msp_rule *rules, uint32_t n)
{
	const struct msp_rule_param *key;
	uint32_t i, at;

	for (i = 0; i < h->rule->n_params && !enough(h); i++) {
		key = &h->rule->params[i];
		h->kin->steps++;
		at = find_key(rules, n, key);
		for (; at < n && !compare_pair(rules[at].key, key); at++)
			if (try_rule(h, &rules[at]) || enough(h))
				return;
	}
}

static void hunt_node(struct hunt *h, const struct msp_node *node)
{
	const struct msp_rule *rules = h->kin->rules->rules + node->first_rule;
	uint32_t i;

	for (i = 0; i < node->n_plain; i++)
		if (try_rule(h, &rules[i]) || enough(h))
			return;
	if (node->n_keyed)
		hunt_keyed(h, rules + node->n_plain, node->n_keyed);
}

/* ---- all of them ------------------------------------------------------- */

static void say_shadowed(struct msp_lint *l, const struct hunt *h)
{
	const struct msp_privilege *p = &l->profile->privileges[h->rule->index];
	struct msp_lint_about about = { "privileges", &p->place, NULL };
	char name[MSP_LINT_NAME];

	msp_info_copy(name, sizeof(name), h->found->name,
		      strlen(h->found->name));
	if (h->relation == SAME)
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_SHADOWED, &about,
			     "adds nothing: privilege '%s' grants the same "
			     "callers all of it, remove one of them",
			     name);
	else
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_SHADOWED,
			     &about,
			     "keeps nobody out: privilege '%s' grants all of "
			     "it to more callers and any grant wins, narrow "
			     "that one",
			     name);
}

/* The next node above that has rules, 0 if none has. */
static uint32_t *find_above(struct kin *k)
{
	const struct msp_node *nodes = k->rules->nodes;
	uint32_t i, c, *above;

	above = msp_arena_get(&k->arena, k->rules->n_nodes, sizeof(*above));
	if (!above)
		return NULL;
	for (i = 0; i < k->rules->n_nodes; i++) {
		bool any = nodes[i].n_plain || nodes[i].n_keyed;

		for (c = 0; c < nodes[i].n_children; c++)
			above[nodes[i].first_child + c] = any ? i : above[i];
	}
	return above;
}

static void hunt_rule(struct msp_lint *l, struct kin *k, uint32_t node,
		      const uint32_t *above, const struct msp_rule *rule)
{
	struct hunt h = { .kin = k, .rule = rule };

	for (;;) {
		k->steps++;
		hunt_node(&h, &k->rules->nodes[node]);
		if (node == 0 || enough(&h))
			break;
		node = above[node];
	}
	if (h.found)
		say_shadowed(l, &h);
}

static void hunt_all(struct msp_lint *l, struct kin *k, const uint32_t *above)
{
	static const struct msp_lint_about whole;
	const struct msp_node *node;
	uint32_t i, j;

	for (i = 0; i < k->rules->n_nodes; i++) {
		node = &k->rules->nodes[i];
		for (j = 0; j < node->n_plain + node->n_keyed; j++) {
			hunt_rule(l, k, i, above,
				  &k->rules->rules[node->first_rule + j]);
			if (k->steps > STEPS_MAX) {
				msp_lint_say(
					l, MSP_SEVERITY_NOTE, MSP_FINDING_LIMIT,
					&whole,
					"has too many privileges for the same "
					"paths to compare them all: shadowed "
					"ones may be left, merge some");
				return;
			}
		}
	}
}

void msp_lint_shadows(struct msp_lint *l)
{
	uint32_t *above;
	struct kin kin;

	if (!open_kin(&kin, l->rules)) {
		msp_lint_no_memory(l);
		goto out;
	}
	above = find_above(&kin);
	if (above)
		hunt_all(l, &kin, above);
	else
		msp_lint_no_memory(l);
out:
	msp_arena_free(&kin.arena);
}
