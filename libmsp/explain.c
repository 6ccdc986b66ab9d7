/* SPDX-License-Identifier: MIT */
/*
 * In: what a decision is made from. Out: the decision and how it came about,
 * independent of all that went in. Must never pass when engine and walk
 * disagree.
 */
#include <msp/explain.h>

#include <string.h>

#include "libmsp/explain_priv.h"
#include "libmsp/mem.h"
#include "libmsp/request_priv.h"
#include "libmsp/rules_priv.h"

/* ---- copies ------------------------------------------------------------ */

static bool copy_text(struct msp_explanation *e, const char **text)
{
	if (*text)
		*text = msp_arena_text(&e->arena, *text, strlen(*text));
	return *text != NULL;
}

static bool copy_names(struct msp_explanation *e, const char *const **names,
		       size_t *n, size_t most)
{
	const char **copy;
	size_t i;

	if (!*names)
		*n = 0;
	/* more are not looked at */
	if (*n > most)
		*n = most;
	copy = msp_arena_get(&e->arena, *n, sizeof(*copy));
	if (!copy)
		return false;
	for (i = 0; i < *n; i++) {
		copy[i] = (*names)[i];
		if (copy[i] && !copy_text(e, &copy[i]))
			return false;
	}
	*names = copy;
	return true;
}

static bool copy_caller(struct msp_explanation *e,
			const struct msp_caller *from)
{
	struct msp_caller *c = &e->caller;

	*c = *from;
	c->size = sizeof(*c);
	c->exe_path[sizeof(c->exe_path) - 1] = '\0';
	return (!c->user_name || copy_text(e, &c->user_name)) &&
	       (!c->cgroup_path || copy_text(e, &c->cgroup_path)) &&
	       copy_names(e, &c->groups, &c->n_groups, MSP_CALLER_GROUPS_MAX) &&
	       copy_names(e, &c->process_groups, &c->n_process_groups,
			  1 + MSP_CALLER_GROUPS_MAX);
}

static bool copy_asked(struct msp_explanation *e, const struct msp_request *r)
{
	size_t i;

	e->asked = msp_arena_get(&e->arena, r->n_pairs, sizeof(*e->asked));
	if (!e->asked)
		return false;
	for (i = 0; i < r->n_pairs; i++) {
		e->asked[i].name =
			msp_arena_text(&e->arena, r->text + r->pairs[i].name,
				       r->pairs[i].name_len);
		e->asked[i].value =
			msp_arena_text(&e->arena, r->text + r->pairs[i].value,
				       r->pairs[i].value_len);
		if (!e->asked[i].name || !e->asked[i].value)
			return false;
	}
	e->n_asked = r->n_pairs;
	return true;
}

static bool copy_canonical(struct msp_explanation *e,
			   const struct msp_request *r)
{
	size_t len;
	char *text;

	if (r->canon)
		return true;
	e->path = msp_arena_text(&e->arena, r->text, r->text_len);
	if (msp_request_render(r, NULL, 0, &len) != MSP_ERR_LIMIT)
		return false;
	text = msp_arena_get(&e->arena, len + 1, 1);
	if (!text || msp_request_render(r, text, len + 1, NULL))
		return false;
	e->canonical = text;
	return e->path && copy_asked(e, r);
}

/* as received, so without the '/' that is added for a path */
static bool copy_target(struct msp_explanation *e, const struct msp_request *r)
{
	size_t end = r->rooted ? r->path : r->target_len;
	char *copy = msp_arena_get(&e->arena, r->target_len + 1, 1);

	if (!copy)
		return false;
	if (end)
		memcpy(copy, r->target, end);
	if (r->rooted)
		memcpy(copy + end, r->target + end + 1,
		       r->target_len - end - 1);
	e->target = copy;
	return true;
}

static bool copy_request(struct msp_explanation *e, const struct msp_request *r)
{
	e->canonical = "";
	e->path = "";
	e->place = msp_request_place(r);
	e->method = msp_arena_text(&e->arena, r->method ? r->method : "",
				   r->method ? strlen(r->method) : 0);
	return e->method && copy_target(e, r) && copy_canonical(e, r);
}

/* ---- the two ways ------------------------------------------------------ */

static bool same_name(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool agree(const struct msp_decision *a, const struct msp_decision *b)
{
	return a->verdict == b->verdict && a->reason == b->reason &&
	       a->canon == b->canon && same_name(a->privilege, b->privilege) &&
	       same_name(a->identity, b->identity);
}

int msp_decision_explain(struct msp_explanation **out,
			 const struct msp_rules *rules,
			 enum msp_endpoint endpoint,
			 const struct msp_request *request,
			 const struct msp_caller *caller)
{
	struct msp_decision d = { .size = sizeof(d) }, walked = { 0 };
	struct msp_explanation *e = NULL;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	rc = msp_decision_make(&d, rules, endpoint, request, caller);
	if (rc < 0)
		return rc;
	e = msp_mem_zalloc(sizeof(*e));
	if (!e)
		return MSP_ERR_NOMEM;
	e->decision = d;
	e->endpoint = endpoint;
	/* content never changes: only the count of owners does */
	e->rules = msp_rules_ref((struct msp_rules *)(uintptr_t)rules);
	rc = MSP_ERR_NOMEM;
	if (!copy_caller(e, caller) || !copy_request(e, request))
		goto out;
	rc = msp_explain_walk(e, &walked, request);
	if (rc == 0 && !agree(&d, &walked))
		rc = MSP_ERR_BUG;
	if (rc < 0)
		goto out;
	*out = e;
	e = NULL; /* now the caller's */
out:
	msp_explanation_free(e);
	return rc;
}

void msp_explanation_free(struct msp_explanation *explanation)
{
	if (!explanation)
		return;
	msp_rules_free(explanation->rules);
	msp_arena_free(&explanation->arena);
	msp_mem_free(explanation);
}

/* ---- getters ----------------------------------------------------------- */

const struct msp_decision *
msp_explanation_decision(const struct msp_explanation *explanation)
{
	return explanation ? &explanation->decision : NULL;
}

const char *msp_explanation_canonical(const struct msp_explanation *explanation)
{
	return explanation ? explanation->canonical : "";
}

bool msp_explanation_place(const struct msp_explanation *explanation,
			   size_t *offset)
{
	if (!explanation || explanation->place == SIZE_MAX)
		return false;
	if (offset)
		*offset = explanation->place;
	return true;
}

enum msp_access
msp_explanation_access(const struct msp_explanation *explanation)
{
	return explanation && explanation->rules ? explanation->rules->access
						 : MSP_ACCESS_DENY;
}

size_t msp_explanation_privileges(const struct msp_explanation *explanation)
{
	return explanation ? explanation->n_privileges : 0;
}

const struct msp_tried_privilege *
msp_explanation_privilege(const struct msp_explanation *explanation, size_t i)
{
	return explanation && i < explanation->n_privileges
		       ? &explanation->privileges[i]
		       : NULL;
}

size_t msp_explanation_others(const struct msp_explanation *explanation)
{
	return explanation ? explanation->n_others : 0;
}

size_t msp_explanation_identities(const struct msp_explanation *explanation)
{
	return explanation ? explanation->n_identities : 0;
}

const struct msp_tried_identity *
msp_explanation_identity(const struct msp_explanation *explanation, size_t i)
{
	return explanation && i < explanation->n_identities
		       ? &explanation->identities[i]
		       : NULL;
}

bool msp_explanation_cut(const struct msp_explanation *explanation)
{
	return explanation && explanation->cut;
}

const char *msp_try_name(enum msp_try result)
{
	switch (result) {
	case MSP_TRY_MATCHED:
		return "matched";
	case MSP_TRY_PARAM_MISSING:
		return "param-missing";
	case MSP_TRY_PARAM_VALUE:
		return "param-value";
	case MSP_TRY_PARAM_TWICE:
		return "param-twice";
	case MSP_TRY_PARAM_AMBIGUOUS:
		return "param-ambiguous";
	case MSP_TRY_USER:
		return "user";
	case MSP_TRY_GROUP:
		return "group";
	case MSP_TRY_EXE:
		return "exe";
	case MSP_TRY_PROCESS:
		return "process";
	case MSP_TRY_EXE_UNVERIFIED:
		return "exe-unverified";
	case MSP_TRY_NAMES_UNKNOWN:
		return "names-unknown";
	case MSP_TRY_GROUPS_CUT:
		return "groups-cut";
	}
	return "unknown";
}
