/* SPDX-License-Identifier: MIT */
/*
 * In: two profiles. Out: requests and callers that could tell them apart. Must
 * never leave out a path or an identity of either.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/diff.h"
#include "mspd/ctl/names.h"
#include "mspd/ctl/request.h"
#include "mspd/ctl/wire.h"

/* Some minutes. */
#define TRIES_MAX 100000000

/**
 * struct person - one kind of caller
 * @label: owned
 * @name:  of the identity, by number; CTL_NONE: it is none
 * @side:  profile the identity is of
 */
struct person {
	struct ctl_caller caller;
	struct ctl_text label;
	size_t name;
	int side;
};

struct generator {
	struct ctl_diff *diff;
	enum msp_endpoint endpoint;
	struct ctl_names urls;
	struct ctl_names seen; /* identities by their selectors */
	struct ctl_names names;
	int side;
	struct person *people;
	size_t n_people;
	size_t room;
};

/* ---- requests ---------------------------------------------------------- */

/* Everything but what means the same in a path wherever it is. */
static void put_escaped(struct ctl_text *out, const char *text,
			const char *plain)
{
	char escape[4];

	for (; *text; text++) {
		if ((*text >= 'a' && *text <= 'z') ||
		    (*text >= 'A' && *text <= 'Z') ||
		    (*text >= '0' && *text <= '9') || strchr(plain, *text)) {
			ctl_put_bytes(out, text, 1);
			continue;
		}
		snprintf(escape, sizeof(escape), "%%%02X",
			 (unsigned int)(unsigned char)*text);
		ctl_put(out, escape);
	}
}

static void put_query(struct ctl_text *out, yajl_val parameters)
{
	size_t i;

	for (i = 0; parameters && i < parameters->u.object.len; i++) {
		ctl_put(out, i ? "&" : "?");
		put_escaped(out, parameters->u.object.keys[i], "-._~");
		ctl_put(out, "=");
		put_escaped(out,
			    YAJL_GET_STRING(parameters->u.object.values[i]),
			    "-._~");
	}
}

/* What the rules make of a path; false: nothing that could be asked for. */
static bool canonical(struct generator *g, struct ctl_text *out,
		      const char *path)
{
	struct ctl_text url = { 0 };
	size_t len = 0;

	if (*path != '/')
		ctl_put(&url, "/");
	put_escaped(&url, path, "/%;:@!$&'()*+,=-._~");
	/* too long, or refused: then there is no length */
	if (msp_request_set(g->diff->request, "GET", 3, url.at, url.len) < 0 ||
	    msp_request_render(g->diff->request, NULL, 0, &len) !=
		    MSP_ERR_LIMIT) {
		ctl_text_free(&url);
		return false;
	}
	ctl_text_free(&url);
	out->len = 0;
	out->at = ctl_grow(out->at, &out->room, len + 1, 1);
	if (msp_request_render(g->diff->request, out->at, out->room, &len) < 0)
		return false;
	while (len > 1 && out->at[len - 1] == '/')
		len--;
	out->len = len;
	out->at[len] = '\0';
	return true;
}

static void add_url(struct generator *g, const char *path, size_t len,
		    const char *more, yajl_val parameters)
{
	struct ctl_text url = { 0 };

	ctl_put_bytes(&url, path, len);
	ctl_put(&url, more);
	put_query(&url, parameters);
	ctl_names_add(&g->urls, url.at, url.len);
	ctl_text_free(&url);
}

static void add_privilege(struct generator *g, const char *path,
			  yajl_val parameters)
{
	struct ctl_text at = { 0 };
	size_t len, up;

	if (!canonical(g, &at, path)) {
		ctl_text_free(&at);
		return;
	}
	len = at.len > 1 ? at.len : 0; /* "/" is in what follows */
	up = len;
	while (up > 0 && at.at[up - 1] != '/')
		up--;
	add_url(g, at.at, at.len, "", parameters);
	add_url(g, at.at, len, "/below", parameters);
	if (parameters) {
		add_url(g, at.at, at.len, "", NULL);
		add_url(g, at.at, len, "/below", NULL);
	}
	if (len) {
		add_url(g, at.at, len, "-beside", parameters);
		add_url(g, at.at, up > 1 ? up - 1 : 1, "", parameters);
	}
	ctl_text_free(&at);
}

static void add_urls(struct generator *g, const struct ctl_wire *wire)
{
	size_t i, n = ctl_wire_count(wire->privileges);

	for (i = 0; i < n; i++)
		add_privilege(g, ctl_wire_text(wire->privileges, i, "path"),
			      ctl_wire_object(wire->privileges, i,
					      "queryParameters"));
}

/* ---- callers ----------------------------------------------------------- */

static struct person *add_person(struct generator *g, const char *label)
{
	struct person *p;

	/* the callers point into themselves: see settle() */
	g->people = ctl_grow(g->people, &g->room, g->n_people + 1,
			     sizeof(*g->people));
	p = &g->people[g->n_people++];
	memset(p, 0, sizeof(*p));
	ctl_caller_init(&p->caller);
	ctl_put(&p->label, label);
	p->name = CTL_NONE;
	p->side = g->side;
	/* only root gets as far as the rules of the others */
	if (g->endpoint != MSP_ENDPOINT_IMDS)
		p->caller.facts.uid = p->caller.facts.euid = 0;
	return p;
}

/* Two of the same name, one of each profile, are told apart. */
static void put_sides(struct generator *g)
{
	size_t *count = ctl_alloc(g->names.n, sizeof(*count));
	struct person *p;
	size_t i;

	for (i = 0; i < g->n_people; i++)
		if (g->people[i].name != CTL_NONE)
			count[g->people[i].name]++;
	for (i = 0; i < g->n_people; i++) {
		p = &g->people[i];
		if (p->name != CTL_NONE && count[p->name] > 1)
			ctl_put(&p->label, p->side ? " of NEW" : " of OLD");
	}
	free(count);
}

/* Callers have moved while more were added. */
static void settle(struct generator *g)
{
	struct ctl_caller *c;
	size_t i;

	for (i = 0; i < g->n_people; i++) {
		c = &g->people[i].caller;
		c->facts.groups = (const char *const *)c->groups;
		c->facts.process_groups =
			(const char *const *)c->process_groups;
	}
	put_sides(g);
}

/* A program both selectors are content with; false: there is none. */
static bool set_program(struct ctl_caller *who, const char *exe,
			const char *process)
{
	struct ctl_text path = { 0 };
	bool fine;

	if (!exe && !process)
		return true;
	if (exe) {
		ctl_put(&path, exe);
	} else {
		ctl_put(&path, "/usr/bin/");
		ctl_put(&path, process);
	}
	fine = path.at[0] == '/' && ctl_caller_set_exe(who, path.at) &&
	       (!process ||
		!strcmp(msp_caller_process_name(&who->facts), process));
	ctl_text_free(&path);
	return fine;
}

static bool is_empty(const char *selector)
{
	return selector && !*selector;
}

static void drop_last(struct generator *g)
{
	struct person *p = &g->people[--g->n_people];

	ctl_caller_free(&p->caller);
	ctl_text_free(&p->label);
}

/* The caller that has what an identity asks for. */
static void add_identity(struct generator *g, const char *name,
			 const char *const selectors[4])
{
	const char *user = selectors[0], *group = selectors[1];
	struct person *person = add_person(g, "identity \"");
	struct ctl_caller *who = &person->caller;

	ctl_put(&person->label, name);
	ctl_put(&person->label, "\"");
	person->name = ctl_names_add(&g->names, name, strlen(name));
	if (user)
		ctl_caller_set_user(who, user);
	if (user && !strcmp(user, "root"))
		who->facts.uid = who->facts.euid = 0;
	if (group)
		ctl_caller_add_process_group(who, group);
	if (is_empty(user) || is_empty(group) ||
	    !set_program(who, selectors[2], selectors[3]))
		drop_last(g); /* nobody can be that */
}

static void add_identities(struct generator *g, const struct ctl_wire *wire)
{
	static const char *const names[] = { "userName", "groupName", "exePath",
					     "processName" };
	size_t i, k, known, n = ctl_wire_count(wire->identities);
	struct ctl_text key = { 0 };
	const char *selectors[4];
	bool any;

	for (i = 0; i < n; i++) {
		any = false;
		key.len = 0;
		for (k = 0; k < 4; k++) {
			selectors[k] =
				ctl_wire_text(wire->identities, i, names[k]);
			any = any || selectors[k];
			ctl_put_json(&key, selectors[k]);
		}
		known = g->seen.n;
		if (any && ctl_names_add(&g->seen, key.at, key.len) == known)
			add_identity(g,
				     ctl_wire_text(wire->identities, i, "name"),
				     selectors);
	}
	ctl_text_free(&key);
}

static void add_others(struct generator *g)
{
	struct ctl_caller *root = &add_person(g, "root")->caller;

	ctl_caller_set_user(root, "root");
	ctl_caller_add_process_group(root, "root");
	root->facts.uid = root->facts.euid = 0;
	root->facts.gid = root->facts.egid = 0;
	add_person(g, "nobody in particular");
}

/* ---- all of it --------------------------------------------------------- */

static bool try_all(struct generator *g)
{
	const char *url;
	bool fine = true;
	size_t i, k;

	if (g->urls.n > TRIES_MAX / g->n_people) {
		ctl_fail("%zu requests by %zu callers: too many; give "
			 "--requests",
			 g->urls.n, g->n_people);
		return false;
	}
	for (i = 0; fine && i < g->urls.n; i++) {
		url = g->urls.at[i];
		if (g->urls.lens[i] > MSP_TARGET_MAX)
			continue; /* no request can be that long */
		fine = ctl_diff_request(g->diff, g->endpoint, "GET", url);
		for (k = 0; fine && k < g->n_people; k++)
			fine = ctl_diff_try(g->diff, url, &g->people[k].caller,
					    g->people[k].label.at);
	}
	return fine;
}

static bool collect(struct generator *g, struct msp_profile *const profiles[2],
		    const char *const paths[2])
{
	struct ctl_wire wire = { 0 };
	int i;

	for (i = 0; i < 2; i++) {
		if (!ctl_wire_open(&wire, profiles[i], paths[i]))
			return false;
		g->side = i;
		add_urls(g, &wire);
		add_identities(g, &wire);
		ctl_wire_close(&wire);
	}
	/* what is nobody's: the default */
	add_url(g, "/", 1, "", NULL);
	add_url(g, "/beside", 7, "", NULL);
	add_others(g);
	settle(g);
	return true;
}

bool ctl_diff_generate(struct ctl_diff *diff,
		       struct msp_profile *const profiles[2],
		       const char *const paths[2], enum msp_endpoint endpoint)
{
	struct generator g = { .diff = diff, .endpoint = endpoint };
	bool fine = collect(&g, profiles, paths) && try_all(&g);

	while (g.n_people)
		drop_last(&g);
	free(g.people);
	ctl_names_free(&g.urls);
	ctl_names_free(&g.seen);
	ctl_names_free(&g.names);
	return fine;
}
