/* SPDX-License-Identifier: MIT */
/*
 * In: the host's item and the local file of the VM. Out: the item in force
 * (spec 8.5). Must never let a local file count that the host has not asked
 * for, nor give a name of one side to the other.
 */
#include <stdint.h>
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/json.h"
#include "libmsp/mem.h"
#include "libmsp/profile_names.h"
#include "libmsp/profile_reader.h"

#define PREFIX "LocalFileRules_"

/* ---- what the host's id says ------------------------------------------- */

struct contract {
	bool use_local;
	char *logical; /* owned; "": the id stays as it is */
	size_t len;
};

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits of which the last pad are '='; false: they are none, or bits
 * that stand for nothing are set. */
static bool decode_four(unsigned char *out, const char *text, size_t pad)
{
	uint32_t bits = 0;
	size_t i;
	int value;

	for (i = 0; i < 4; i++) {
		value = i < 4 - pad ? digit(text[i]) : 0;
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	if (pad && bits & ((1u << 8 * pad) - 1))
		return false;
	for (i = 0; i < 3 - pad; i++)
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	return true;
}

/* Standard alphabet, padded (RFC 4648 section 4); out has len bytes. */
static bool decode(char *out, size_t *out_len, const char *text, size_t len)
{
	size_t i, pad = 0;

	if (!len || len % 4)
		return false;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	*out_len = len / 4 * 3 - pad;
	for (i = 0; i < len / 4; i++)
		if (!decode_four((unsigned char *)out + 3 * i, text + 4 * i,
				 i == len / 4 - 1 ? pad : 0))
			return false;
	return true;
}

/* A member of another type, or one given twice, makes it a plain id. */
static int read_object(struct contract *c, const char *json, size_t len)
{
	const struct msp_json_limits limits = {
		.bytes = len,
		.depth = MSP_JSON_DEPTH_MAX,
		.values = (uint32_t)(len < UINT32_MAX ? len : UINT32_MAX),
	};
	const struct msp_json_value *root, *id = NULL, *use = NULL;
	struct msp_json *doc;
	const char *text = "";
	int rc;

	rc = msp_json_parse(&doc, json, len, &limits, NULL);
	if (rc < 0)
		return rc;
	root = msp_json_root(doc);
	rc = msp_json_member(&id, root, "id", NULL);
	if (rc == 0)
		rc = msp_json_member(&use, root, "useLocalFileRules", NULL);
	if (rc == 0 && id)
		rc = msp_json_expect(id, MSP_JSON_STRING, NULL);
	if (rc == 0 && use)
		rc = msp_json_expect(use, MSP_JSON_BOOL, NULL);
	if (rc < 0)
		goto out;
	if (id)
		text = msp_json_text(id, &c->len);
	c->use_local = use && msp_json_true(use);
	c->logical = msp_mem_strndup(text, c->len);
	if (!c->logical)
		rc = MSP_ERR_NOMEM;
out:
	msp_json_free(doc);
	return rc;
}

static int read_contract(struct contract *c, const struct msp_profile *host)
{
	const char *text = msp_profile_id(host);
	size_t len = strlen(text), n;
	char *bytes;
	int rc = MSP_ERR_SYNTAX;

	memset(c, 0, sizeof(*c));
	msp_text_trim(&text, &len);
	bytes = msp_mem_alloc(len + 1);
	if (!bytes)
		return MSP_ERR_NOMEM;
	if (decode(bytes, &n, text, len))
		rc = read_object(c, bytes, n);
	msp_mem_free(bytes);
	if (rc == 0 || rc == MSP_ERR_NOMEM)
		return rc;
	c->logical = msp_mem_strndup(text, len);
	c->len = len;
	return c->logical ? 0 : MSP_ERR_NOMEM;
}

int msp_profile_uses_local(bool *out, const struct msp_profile *host)
{
	struct contract c;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = false;
	if (!host)
		return MSP_ERR_INVAL;
	rc = read_contract(&c, host);
	*out = rc == 0 && c.use_local;
	msp_mem_free(c.logical);
	return rc;
}

/* ---- one item of two --------------------------------------------------- */

struct merge {
	struct msp_profile *p;
	const struct msp_profile *host;
	const struct msp_profile *local; /* NULL: none that counts */
	bool prefix;			 /* names of the local file get one */
};

static struct msp_text put_text(struct msp_profile *p, const char *head,
				const char *text, size_t len)
{
	struct msp_text out = { p->texts + p->texts_used, strlen(head) };

	memcpy(out.text, head, out.len);
	if (len)
		memcpy(out.text + out.len, text, len);
	out.len += len;
	out.text[out.len] = '\0';
	p->texts_used += out.len + 1;
	return out;
}

/* What stands in an entry is its owner's: the merged profile holds both. */
static void take_name(const struct merge *m, struct msp_text *name,
		      struct msp_place *place, const struct msp_profile *side,
		      size_t index)
{
	if (m->prefix && side == m->local)
		*name = put_text(m->p, PREFIX, name->text, name->len);
	memset(place, 0, sizeof(*place));
	place->index = (uint32_t)index;
}

static bool copy_list(uint32_t **out, size_t *n_out, const uint32_t *list,
		      size_t n, size_t base)
{
	size_t i;

	*n_out = 0;
	*out = msp_mem_array(n, sizeof(**out));
	if (!*out)
		return false;
	for (i = 0; i < n; i++)
		(*out)[i] = list[i] + (uint32_t)base;
	*n_out = n;
	return true;
}

static bool take_privileges(const struct merge *m,
			    const struct msp_profile *side)
{
	struct msp_profile *p = m->p;
	struct msp_privilege *to;
	const struct msp_privilege *from;
	size_t i;

	for (i = 0; i < side->n_privileges; i++) {
		from = &side->privileges[i];
		to = &p->privileges[p->n_privileges++];
		*to = *from;
		to->params = msp_mem_array(from->n_params, sizeof(*to->params));
		if (!to->params)
			return false;
		if (from->n_params)
			memcpy(to->params, from->params,
			       from->n_params * sizeof(*to->params));
		take_name(m, &to->name, &to->place, side, p->n_privileges - 1);
	}
	return true;
}

static bool take_roles(const struct merge *m, const struct msp_profile *side,
		       size_t first_privilege)
{
	struct msp_profile *p = m->p;
	const struct msp_role *from;
	struct msp_role *to;
	size_t i;

	for (i = 0; i < side->n_roles; i++) {
		from = &side->roles[i];
		to = &p->roles[p->n_roles++];
		*to = *from;
		if (!copy_list(&to->privileges, &to->n_privileges,
			       from->privileges, from->n_privileges,
			       first_privilege))
			return false;
		take_name(m, &to->name, &to->place, side, p->n_roles - 1);
	}
	return true;
}

static void take_identities(const struct merge *m,
			    const struct msp_profile *side)
{
	struct msp_profile *p = m->p;
	struct msp_identity *to;
	size_t i;

	for (i = 0; i < side->n_identities; i++) {
		to = &p->identities[p->n_identities++];
		*to = side->identities[i];
		take_name(m, &to->name, &to->place, side, p->n_identities - 1);
	}
}

static bool take_assignments(const struct merge *m,
			     const struct msp_profile *side, size_t first_role,
			     size_t first_identity)
{
	struct msp_profile *p = m->p;
	const struct msp_assignment *from;
	struct msp_assignment *to;
	size_t i;

	for (i = 0; i < side->n_assignments; i++) {
		from = &side->assignments[i];
		to = &p->assignments[p->n_assignments];
		to->role = from->role + (uint32_t)first_role;
		to->place.index = (uint32_t)p->n_assignments++;
		if (!copy_list(&to->identities, &to->n_identities,
			       from->identities, from->n_identities,
			       first_identity))
			return false;
	}
	return true;
}

static bool take_rules(const struct merge *m, const struct msp_profile *side)
{
	size_t privilege = m->p->n_privileges, role = m->p->n_roles;
	size_t identity = m->p->n_identities;

	if (!take_privileges(m, side) || !take_roles(m, side, privilege))
		return false;
	take_identities(m, side);
	return take_assignments(m, side, role, identity);
}

/* ---- room for it ------------------------------------------------------- */

static size_t named(const struct msp_profile *side)
{
	return side->n_privileges + side->n_roles + side->n_identities;
}

/* Of the id, and of the names that get a prefix. */
static size_t texts_room(const struct merge *m, const struct contract *c)
{
	const struct msp_profile *side = m->local;
	size_t room = strlen(msp_profile_id(m->host)) + c->len + 64, i;

	if (side)
		room += side->id.len;
	if (!m->prefix)
		return room;
	room += named(side) * sizeof(PREFIX);
	for (i = 0; i < side->n_privileges; i++)
		room += side->privileges[i].name.len;
	for (i = 0; i < side->n_roles; i++)
		room += side->roles[i].name.len;
	for (i = 0; i < side->n_identities; i++)
		room += side->identities[i].name.len;
	return room;
}

static size_t sum(size_t ours, const size_t *theirs)
{
	return ours + (theirs ? *theirs : 0);
}

static int make_room(struct merge *m, const struct contract *c, bool rules)
{
	const struct msp_profile *l = m->local, *h = m->host;
	struct msp_profile *p = m->p;
	size_t privileges = sum(h->n_privileges, l ? &l->n_privileges : NULL);
	size_t roles = sum(h->n_roles, l ? &l->n_roles : NULL);
	size_t identities = sum(h->n_identities, l ? &l->n_identities : NULL);
	size_t assigned = sum(h->n_assignments, l ? &l->n_assignments : NULL);

	p->texts = msp_mem_alloc(texts_room(m, c));
	if (!p->texts)
		return MSP_ERR_NOMEM;
	if (!rules)
		return 0;
	if (privileges > MSP_PROFILE_MAX_ITEMS ||
	    roles > MSP_PROFILE_MAX_ITEMS ||
	    identities > MSP_PROFILE_MAX_ITEMS ||
	    assigned > MSP_PROFILE_MAX_ITEMS)
		return MSP_ERR_LIMIT;
	p->privileges = msp_mem_zalloc(privileges * sizeof(*p->privileges));
	p->roles = msp_mem_zalloc(roles * sizeof(*p->roles));
	p->identities = msp_mem_zalloc(identities * sizeof(*p->identities));
	p->assignments = msp_mem_zalloc(assigned * sizeof(*p->assignments));
	if (!p->privileges || !p->roles || !p->identities || !p->assignments)
		return MSP_ERR_NOMEM;
	return 0;
}

/* ---- names that meet --------------------------------------------------- */

static int check_names(const char *noun, const void *entries, size_t n,
		       size_t size, struct msp_error_info *info)
{
	struct msp_names names = { 0 };
	const char *entry = entries;
	char quote[MSP_QUOTE_MAX];
	uint32_t i;
	int rc;

	rc = msp_names_index(&names, entries, n, size);
	for (i = 0; i < n && rc == 0; i++, entry += size) {
		const struct msp_text *name = (const void *)entry;

		if (!msp_names_repeats(&names, i, name))
			continue;
		msp_info_copy(quote, sizeof(quote), name->text, name->len);
		rc = msp_fail(info, MSP_ERR_SCHEMA,
			      "%s '%s' of the host has the name that one of "
			      "the local rules would get",
			      noun, quote);
	}
	msp_names_free(&names);
	return rc;
}

/* The host may itself use the prefix: then two could not be told apart by
 * whoever reads what is in force. */
static int check_merged(const struct merge *m, struct msp_error_info *info)
{
	const struct msp_profile *p = m->p;
	int rc;

	if (!m->prefix)
		return 0;
	rc = check_names("privilege", p->privileges, p->n_privileges,
			 sizeof(*p->privileges), info);
	if (rc == 0)
		rc = check_names("role", p->roles, p->n_roles,
				 sizeof(*p->roles), info);
	if (rc == 0)
		rc = check_names("identity", p->identities, p->n_identities,
				 sizeof(*p->identities), info);
	return rc;
}

/* ---- the whole --------------------------------------------------------- */

static void take_id(const struct merge *m, const struct contract *c)
{
	static const char *const use[] = { "-useLocalFileRules-false",
					   "-useLocalFileRules-true" };
	struct msp_profile *p = m->p;
	const char *raw = msp_profile_id(m->host);

	if (!c->len) {
		p->id = put_text(p, "", raw, strlen(raw));
	} else {
		p->id = put_text(p, "", c->logical, c->len);
		p->texts_used--; /* the NUL: more follows */
		p->id.len += put_text(p, use[c->use_local], "", 0).len;
	}
	if (!m->local || !m->local->id.len)
		return;
	p->texts_used--;
	p->id.len += put_text(p, "_", m->local->id.text, m->local->id.len).len;
}

static struct msp_profile *new_item(const struct merge *m)
{
	struct msp_profile *p = msp_mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	atomic_init(&p->owners, 1);
	p->form = MSP_PROFILE_WIRE;
	p->mode = m->host->mode;
	p->access = m->host->access;
	p->has_access = true;
	if (m->local && m->local->has_access)
		p->access = m->local->access;
	p->sources[0] = msp_profile_ref(m->host);
	if (m->local)
		p->sources[1] = msp_profile_ref(m->local);
	return p;
}

static int fill(struct merge *m, const struct contract *c, bool rules,
		struct msp_error_info *info)
{
	int rc = make_room(m, c, rules);

	if (rc == MSP_ERR_LIMIT)
		return msp_fail(info, rc,
				"with those of the host they are too many");
	if (rc < 0)
		return rc;
	take_id(m, c);
	if (!rules)
		return 0;
	if (!take_rules(m, m->host) || (m->local && !take_rules(m, m->local)))
		return MSP_ERR_NOMEM;
	return check_merged(m, info);
}

static int make_item(struct msp_profile **out, const struct msp_profile *host,
		     const struct msp_profile *local, bool rules,
		     struct msp_error_info *info)
{
	struct merge m = { .host = host };
	struct contract c;
	int rc;

	rc = read_contract(&c, host);
	if (rc < 0)
		goto out;
	m.local = c.use_local ? local : NULL;
	m.prefix = m.local && host->has_rules && local->has_rules;
	m.p = new_item(&m);
	rc = m.p ? fill(&m, &c, rules, info) : MSP_ERR_NOMEM;
out:
	msp_mem_free(c.logical);
	if (rc == 0)
		*out = m.p;
	else
		msp_profile_free(m.p);
	if (rc == MSP_ERR_NOMEM)
		msp_fail(info, rc, "no memory for a profile");
	return rc;
}

int msp_profile_merge(struct msp_profile **out, const struct msp_profile *host,
		      const struct msp_profile *local,
		      struct msp_error_info *info)
{
	if (out)
		*out = NULL;
	if (!out || !host || host->form == MSP_PROFILE_LOCAL ||
	    (local && local->form != MSP_PROFILE_LOCAL))
		return msp_fail(info, MSP_ERR_INVAL, "invalid argument");
	return make_item(out, host, local, true, info);
}

int msp_profile_closed(struct msp_profile **out, const struct msp_profile *host)
{
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!host || host->form == MSP_PROFILE_LOCAL)
		return MSP_ERR_INVAL;
	rc = make_item(out, host, NULL, false, NULL);
	if (rc == 0)
		(*out)->access = MSP_ACCESS_DENY;
	return rc;
}
