/* SPDX-License-Identifier: MIT */
/*
 * In: who needs which paths. Out: a profile with names that people can read.
 * Must never depend on the order in which things were learnt.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/learned.h"

#define NAME_LONGEST 80

/* ---- names ------------------------------------------------------------- */

/**
 * struct namer - gives each thing a name of its own
 * @taken: names given
 * @last:  by number of the name: last number put behind it
 */
struct namer {
	struct ctl_names taken;
	size_t *last;
	size_t room;
};

/* Letters and digits, in lower case, with single dashes between. */
static void put_plain(struct ctl_text *out, const char *text)
{
	bool dash = false;
	char c;

	for (; *text && out->len < NAME_LONGEST; text++) {
		c = *text >= 'A' && *text <= 'Z' ? (char)(*text | 0x20) : *text;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_')) {
			dash = out->len > 0;
			continue;
		}
		if (dash)
			ctl_put(out, "-");
		dash = false;
		ctl_put_bytes(out, &c, 1);
	}
}

static size_t take(struct namer *n, const struct ctl_text *name)
{
	const size_t before = n->room;
	size_t i = ctl_names_add(&n->taken, name->at, name->len);

	n->last = ctl_grow(n->last, &n->room, n->taken.n, sizeof(*n->last));
	if (n->room > before)
		memset(n->last + before, 0,
		       (n->room - before) * sizeof(*n->last));
	return i;
}

/* Its number among the names given. */
static size_t give(struct namer *n, struct ctl_text *name)
{
	const size_t len = name->len;
	size_t first = n->taken.n;
	size_t i = take(n, name);
	size_t base = i;

	while (i != first) {
		name->len = len;
		ctl_put(name, "-");
		if (!n->last[base])
			n->last[base] = 1;
		ctl_put_number(name, ++n->last[base]);
		first = n->taken.n;
		i = take(n, name);
	}
	return i;
}

static size_t name_path(struct namer *n, const char *path)
{
	struct ctl_text name = { 0 };
	size_t i;

	put_plain(&name, path);
	if (!name.len)
		ctl_put(&name, "everything");
	i = give(n, &name);
	ctl_text_free(&name);
	return i;
}

static size_t name_who(struct namer *n, const char *user, const char *exe)
{
	const char *slash = strrchr(exe, '/');
	struct ctl_text name = { 0 };
	size_t i;

	put_plain(&name, user);
	if (!name.len)
		ctl_put(&name, "user");
	if (*exe) {
		ctl_put(&name, "-");
		put_plain(&name, slash ? slash + 1 : exe);
	}
	i = give(n, &name);
	ctl_text_free(&name);
	return i;
}

static void namer_free(struct namer *n)
{
	ctl_names_free(&n->taken);
	free(n->last);
}

/* ---- parts ------------------------------------------------------------- */

/**
 * struct plan - the profile to be
 * @pairs:     what is needed, in order
 * @paths:     those in use, by name of their path
 * @privilege: by number of a path: its privilege's name
 * @identity:  by number of a pair that is the first of its caller: a name
 * @roles:     sets of paths, as bytes
 * @role_of:   by number of such a pair: its role
 * @first_of:  by role: the pair that is first of its first caller
 */
struct plan {
	const struct ctl_learned *learned;
	struct ctl_pair *pairs;
	size_t n;
	size_t *paths;
	size_t n_paths;
	size_t *privilege;
	size_t *identity;
	struct ctl_names roles;
	size_t *role_of;
	size_t *first_of;
	struct namer privileges;
	struct namer identities;
};

/* First pair of the next caller. */
static size_t next_caller(const struct plan *p, size_t i)
{
	const size_t who = p->pairs[i].who;

	while (i < p->n && p->pairs[i].who == who)
		i++;
	return i;
}

static int by_path(const void *a, const void *b, void *arg)
{
	const struct ctl_learned *l = arg;

	return strcmp(l->paths.at[*(const size_t *)a],
		      l->paths.at[*(const size_t *)b]);
}

static void plan_privileges(struct plan *p)
{
	const struct ctl_learned *l = p->learned;
	size_t i, path;

	p->paths = ctl_alloc(l->paths.n, sizeof(*p->paths));
	p->privilege = ctl_alloc(l->paths.n, sizeof(*p->privilege));
	for (i = 0; i < p->n; i++) {
		path = p->pairs[i].path;
		if (!p->privilege[path])
			p->paths[p->n_paths++] = path;
		p->privilege[path] = 1;
	}
	qsort_r(p->paths, p->n_paths, sizeof(*p->paths), by_path,
		(void *)(uintptr_t)l);
	for (i = 0; i < p->n_paths; i++)
		p->privilege[p->paths[i]] =
			name_path(&p->privileges, l->paths.at[p->paths[i]]);
}

static void plan_roles(struct plan *p)
{
	const struct ctl_learned *l = p->learned;
	struct ctl_text set = { 0 };
	size_t i, k, end, known;

	p->identity = ctl_alloc(p->n, sizeof(*p->identity));
	p->role_of = ctl_alloc(p->n, sizeof(*p->role_of));
	p->first_of = ctl_alloc(p->n, sizeof(*p->first_of));
	for (i = 0; i < p->n; i = end) {
		end = next_caller(p, i);
		set.len = 0;
		for (k = i; k < end; k++)
			ctl_put_bytes(&set, (const char *)&p->pairs[k].path,
				      sizeof(p->pairs[k].path));
		known = p->roles.n;
		p->role_of[i] = ctl_names_add(&p->roles, set.at, set.len);
		if (p->role_of[i] == known)
			p->first_of[known] = i;
		p->identity[i] = name_who(&p->identities,
					  ctl_learned_user(l, p->pairs[i].who),
					  ctl_learned_exe(l, p->pairs[i].who));
	}
	ctl_text_free(&set);
}

static void plan_free(struct plan *p)
{
	free(p->pairs);
	free(p->paths);
	free(p->privilege);
	free(p->identity);
	free(p->role_of);
	free(p->first_of);
	ctl_names_free(&p->roles);
	namer_free(&p->privileges);
	namer_free(&p->identities);
}

/* ---- text -------------------------------------------------------------- */

static void member(struct ctl_text *out, const char *name, const char *text)
{
	ctl_put_member(out, name);
	ctl_put_json(out, text);
}

static void put_privileges(struct ctl_text *out, const struct plan *p)
{
	size_t i;

	ctl_put(out, "[");
	for (i = 0; i < p->n_paths; i++) {
		ctl_put(out, i ? ",{" : "{");
		member(out, "name",
		       p->privileges.taken.at[p->privilege[p->paths[i]]]);
		member(out, "path", p->learned->paths.at[p->paths[i]]);
		ctl_put(out, "}");
	}
	ctl_put(out, "]");
}

static const char *identity_name(const struct plan *p, size_t pair)
{
	return p->identities.taken.at[p->identity[pair]];
}

static const char *role_name(const struct plan *p, size_t role)
{
	return identity_name(p, p->first_of[role]);
}

static void put_roles(struct ctl_text *out, const struct plan *p)
{
	size_t i, k, end;

	ctl_put(out, "[");
	for (i = 0; i < p->roles.n; i++) {
		ctl_put(out, i ? ",{" : "{");
		member(out, "name", role_name(p, i));
		ctl_put_member(out, "privileges");
		end = next_caller(p, p->first_of[i]);
		for (k = p->first_of[i]; k < end; k++) {
			ctl_put(out, k == p->first_of[i] ? "[" : ",");
			ctl_put_json(
				out,
				p->privileges.taken
					.at[p->privilege[p->pairs[k].path]]);
		}
		ctl_put(out, "]}");
	}
	ctl_put(out, "]");
}

static void put_identities(struct ctl_text *out, const struct plan *p)
{
	const struct ctl_learned *l = p->learned;
	const char *exe;
	size_t i;

	ctl_put(out, "[");
	for (i = 0; i < p->n; i = next_caller(p, i)) {
		exe = ctl_learned_exe(l, p->pairs[i].who);
		ctl_put(out, i ? ",{" : "{");
		member(out, "name", identity_name(p, i));
		member(out, "userName", ctl_learned_user(l, p->pairs[i].who));
		if (*exe)
			member(out, "exePath", exe);
		ctl_put(out, "}");
	}
	ctl_put(out, "]");
}

/* By role, the pairs that are first of their callers, in order. */
static size_t *sort_by_role(const struct plan *p, size_t *starts)
{
	size_t *sorted = ctl_alloc(p->n, sizeof(*sorted));
	size_t i;

	for (i = 0; i < p->n; i = next_caller(p, i))
		starts[p->role_of[i] + 1]++;
	for (i = 0; i < p->roles.n; i++)
		starts[i + 1] += starts[i];
	for (i = 0; i < p->n; i = next_caller(p, i))
		sorted[starts[p->role_of[i]]++] = i;
	return sorted; /* each start is now where the next one's was */
}

static void put_assignments(struct ctl_text *out, const struct plan *p)
{
	size_t *starts = ctl_alloc(p->roles.n + 1, sizeof(*starts));
	size_t *sorted = sort_by_role(p, starts);
	size_t i, k = 0;

	ctl_put(out, "[");
	for (i = 0; i < p->roles.n; i++) {
		ctl_put(out, i ? ",{" : "{");
		member(out, "role", role_name(p, i));
		ctl_put_member(out, "identities");
		ctl_put(out, "[");
		for (; k < starts[i]; k++) {
			if (out->at[out->len - 1] != '[')
				ctl_put(out, ",");
			ctl_put_json(out, identity_name(p, sorted[k]));
		}
		ctl_put(out, "]}");
	}
	ctl_put(out, "]");
	free(starts);
	free(sorted);
}

void ctl_learned_write(struct ctl_text *out, const struct ctl_learned *learned,
		       enum msp_endpoint endpoint, enum msp_mode mode)
{
	struct plan p = { .learned = learned };
	struct ctl_text id = { 0 };

	p.pairs = ctl_learned_needed(learned, &p.n);
	plan_privileges(&p);
	plan_roles(&p);
	ctl_put(&id, "learned-");
	ctl_put(&id, ctl_endpoint_word(endpoint));
	ctl_put(out, "{");
	member(out, "id", id.at);
	member(out, "mode", msp_mode_name(mode));
	member(out, "defaultAccess", "deny");
	ctl_put_member(out, "rules");
	ctl_put(out, "{");
	ctl_put_member(out, "privileges");
	put_privileges(out, &p);
	ctl_put_member(out, "roles");
	put_roles(out, &p);
	ctl_put_member(out, "identities");
	put_identities(out, &p);
	ctl_put_member(out, "roleAssignments");
	put_assignments(out, &p);
	ctl_put(out, "}}");
	ctl_text_free(&id);
	plan_free(&p);
}
