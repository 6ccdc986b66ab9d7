/* SPDX-License-Identifier: MIT */
/*
 * In: compiled rules. Out: what they grant to whom, as JSON (spec 3.4). Must
 * never show anything but what decides.
 */
#include <msp/rules.h>

#include <string.h>

#include "libmsp/mem.h"
#include "libmsp/profile_writer.h"
#include "libmsp/rules_priv.h"

struct view {
	const struct msp_rules *rules;
	uint32_t *seen; /* by identity: privilege it was last written for */
};

static void put(struct msp_writer *w, const char *name, const char *text)
{
	if (text)
		msp_writer_string(w, name, text, strlen(text));
}

static void open_named(struct msp_writer *w, const char *name)
{
	msp_writer_text(w, name, strlen(name));
	msp_writer_open(w, NULL, false);
}

static void put_privilege(struct msp_writer *w, const struct msp_rule *rule)
{
	uint32_t i;

	open_named(w, rule->name);
	put(w, "name", rule->name);
	/* the canonical root is no text at all */
	put(w, "path", rule->path_len ? rule->path : "/");
	if (rule->n_params)
		msp_writer_open(w, "queryParameters", false);
	for (i = 0; i < rule->n_params; i++) {
		msp_writer_text(w, rule->params[i].name,
				rule->params[i].name_len);
		msp_writer_text(w, rule->params[i].value,
				rule->params[i].value_len);
	}
	if (rule->n_params)
		msp_writer_close(w, false);
	msp_writer_close(w, false);
}

static void put_privileges(struct msp_writer *w, const struct msp_rules *r)
{
	uint32_t i;

	if (!msp_writer_open_some(w, "privileges", false, r->n_rules))
		return;
	for (i = 0; i < r->n_rules && w->rc == 0; i++)
		put_privilege(w, &r->rules[i]);
	msp_writer_close(w, false);
}

static void put_identities(struct msp_writer *w, const struct msp_rules *r)
{
	uint32_t i;

	if (!msp_writer_open_some(w, "identities", false, r->n_who))
		return;
	for (i = 0; i < r->n_who && w->rc == 0; i++) {
		open_named(w, r->who[i].name);
		put(w, "name", r->who[i].name);
		put(w, "userName", r->who[i].user);
		put(w, "groupName", r->who[i].group);
		put(w, "exePath", r->who[i].exe);
		put(w, "processName", r->who[i].process);
		msp_writer_close(w, false);
	}
	msp_writer_close(w, false);
}

/* Of all its roles together, each once. */
static void put_grants(struct msp_writer *w, const struct view *v,
		       const struct msp_rule *rule, uint32_t mark)
{
	const struct msp_who_set *set;
	uint32_t i, j;

	msp_writer_text(w, rule->name, strlen(rule->name));
	msp_writer_open(w, NULL, true);
	for (i = 0; i < rule->n_roles; i++) {
		set = rule->roles[i];
		for (j = 0; j < set->n && w->rc == 0; j++) {
			if (v->seen[set->who[j]] == mark)
				continue;
			v->seen[set->who[j]] = mark;
			put(w, NULL, v->rules->who[set->who[j]].name);
		}
	}
	msp_writer_close(w, true);
}

static void put_assignments(struct msp_writer *w, const struct view *v)
{
	const struct msp_rules *r = v->rules;
	uint32_t i, n = 0;

	for (i = 0; i < r->n_rules; i++)
		n += r->rules[i].n_roles > 0;
	if (!msp_writer_open_some(w, "privilegeAssignments", false, n))
		return;
	for (i = 0; i < r->n_rules && w->rc == 0; i++)
		if (r->rules[i].n_roles)
			put_grants(w, v, &r->rules[i], i + 1);
	msp_writer_close(w, false);
}

static void put_rules(struct msp_writer *w, const void *arg)
{
	const struct view *v = arg;
	const struct msp_rules *r = v->rules;

	msp_writer_open(w, NULL, false);
	put(w, "id", r->id);
	msp_writer_bool(w, "defaultAllowed", r->access == MSP_ACCESS_ALLOW);
	put(w, "mode", msp_mode_name(r->mode));
	put_privileges(w, r);
	put_assignments(w, v);
	put_identities(w, r);
	msp_writer_close(w, false);
}

int msp_rules_write(char **out, size_t *len, const struct msp_rules *rules)
{
	struct msp_writer w = { .limit = MSP_RULES_TEXT_MAX };
	struct view v = { .rules = rules };
	int rc;

	if (len)
		*len = 0;
	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!rules)
		return MSP_ERR_INVAL;
	v.seen = msp_mem_array(rules->n_who, sizeof(*v.seen));
	if (!v.seen)
		return MSP_ERR_NOMEM;
	rc = msp_writer_run(&w, false, put_rules, &v);
	msp_mem_free(v.seen);
	if (rc < 0) {
		msp_mem_free(w.text);
		return rc;
	}
	*out = w.text;
	if (len)
		*len = w.len;
	return 0;
}
