/* SPDX-License-Identifier: MIT */
/*
 * In: one rule item of the wire form (spec 5.2). Out: a profile with all
 * references resolved, or the first fault; nothing in between. Must never
 * take an item in part (design D4).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/canon.h"
#include "libmsp/info.h"
#include "libmsp/json.h"
#include "libmsp/mem.h"
#include "libmsp/profile_names.h"
#include "libmsp/profile_priv.h"

/* A hostile item may deserve a remark per byte: that many are kept. */
#define FINDINGS_MAX 256
/* bytes of a name shown in a text, with NUL */
#define QUOTE_MAX 64

/* One of the arrays whose entries have a name. */
struct table {
	const char *noun;
	const struct msp_json_value *array; /* NULL if absent */
	struct msp_names names;
};

struct reader {
	struct msp_profile *profile;
	struct msp_error_info *info;
	struct table privileges;
	struct table roles;
	struct table identities;
};

static int no_memory(const struct reader *r)
{
	return msp_fail(r->info, MSP_ERR_NOMEM, "no memory for a profile");
}

static int keep_finding(struct msp_profile *p, const char *pointer,
			const char *text)
{
	struct msp_finding *f = &p->findings[p->n_findings];

	f->severity = MSP_SEVERITY_WARNING;
	f->pointer = msp_mem_strndup(pointer, strlen(pointer));
	f->text = msp_mem_strndup(text, strlen(text));
	p->n_findings++; /* also half of one: freed with the profile */
	return f->pointer && f->text ? 0 : MSP_ERR_NOMEM;
}

__attribute__((format(printf, 3, 4))) static int
remark(struct reader *r, const struct msp_json_value *value, const char *format,
       ...)
{
	struct msp_profile *p = r->profile;
	char pointer[256], text[192];
	va_list args;

	if (p->n_findings == FINDINGS_MAX)
		return 0;
	if (!p->findings)
		p->findings = msp_mem_array(FINDINGS_MAX, sizeof(*p->findings));
	if (!p->findings)
		return no_memory(r);
	if (p->n_findings == FINDINGS_MAX - 1)
		return keep_finding(p, "", "more remarks are left out") < 0
			       ? no_memory(r)
			       : 0;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	msp_json_pointer(value, pointer, sizeof(pointer));
	return keep_finding(p, pointer, text) < 0 ? no_memory(r) : 0;
}

/* The block has the size of the item as written, and each of its strings is
 * kept at most once: the quotes pay for the NUL. */
static struct msp_text keep_text(struct reader *r, const char *text, size_t len)
{
	struct msp_profile *p = r->profile;
	struct msp_text kept = { p->texts + p->texts_used, len };

	memcpy(kept.text, text, len);
	kept.text[len] = '\0';
	p->texts_used += len + 1;
	return kept;
}

static struct msp_text keep_lower(struct reader *r, const char *text,
				  size_t len)
{
	struct msp_text kept = keep_text(r, text, len);
	size_t i;

	for (i = 0; i < len; i++)
		kept.text[i] =
			(char)msp_ascii_lower((unsigned char)kept.text[i]);
	return kept;
}

static struct msp_text keep_string(struct reader *r,
				   const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	text = msp_json_text(value, &len);
	return keep_text(r, text, len);
}

static int compare_param(const void *va, const void *vb)
{
	const struct msp_param *a = va, *b = vb;

	return msp_text_compare(&a->name, &b->name);
}

static const struct msp_json_value *element(const struct msp_json_value *array,
					    uint32_t index)
{
	const struct msp_json_value *value = msp_json_first(array);

	while (index-- > 0)
		value = msp_json_next(value);
	return value;
}

/* A second entry of a name could take rights away from the first, or add
 * some, depending on who reads: GPA lets the later one win. */
static int refuse_duplicate(struct reader *r, const struct table *table,
			    uint32_t index)
{
	const struct msp_json_value *name;
	char quote[QUOTE_MAX];
	const char *text;
	size_t len;
	int rc;

	rc = msp_json_need(&name, element(table->array, index), "name",
			   MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	text = msp_json_text(name, &len);
	msp_info_copy(quote, sizeof(quote), text, len);
	return msp_json_fail(name, r->info, MSP_ERR_SCHEMA,
			     "is '%s', as is that of another %s", quote,
			     table->noun);
}

static int index_table(struct reader *r, struct table *table,
		       const void *entries, size_t n, size_t size)
{
	uint32_t second;

	if (msp_names_index(&table->names, entries, n, size) < 0)
		return no_memory(r);
	if (msp_names_duplicate(&table->names, &second))
		return refuse_duplicate(r, table, second);
	return 0;
}

/* Index of the entry that a string names. One that leads nowhere is remarked
 * and grants nothing; *found says which. */
static int resolve(struct reader *r, const struct table *table,
		   const struct msp_json_value *value, uint32_t *index,
		   bool *found)
{
	struct msp_text name;
	char quote[QUOTE_MAX];

	name.text = (char *)msp_json_text(value, &name.len);
	*found = msp_names_find(&table->names, index, &name);
	if (*found)
		return 0;
	msp_info_copy(quote, sizeof(quote), name.text, name.len);
	return remark(r, value, "there is no %s '%s': grants nothing",
		      table->noun, quote);
}

static int check_count(struct reader *r, const struct msp_json_value *value)
{
	if (msp_json_count(value) <= MSP_PROFILE_MAX_ITEMS)
		return 0;
	return msp_json_fail(value, r->info, MSP_ERR_LIMIT,
			     "has %zu entries, at most %d are taken",
			     msp_json_count(value), MSP_PROFILE_MAX_ITEMS);
}

/* Names -> indices. mark: whether a reference counts as use. */
static int read_references(struct reader *r, uint32_t **out, size_t *n,
			   const struct msp_json_value *array,
			   struct table *table, bool mark)
{
	const struct msp_json_value *value = msp_json_first(array);
	uint32_t index = 0;
	bool found;
	int rc;

	rc = check_count(r, array);
	if (rc < 0)
		return rc;
	*out = msp_mem_array(msp_json_count(array), sizeof(**out));
	if (!*out)
		return no_memory(r);
	for (; value; value = msp_json_next(value)) {
		rc = msp_json_expect(value, MSP_JSON_STRING, r->info);
		if (rc == 0)
			rc = resolve(r, table, value, &index, &found);
		if (rc < 0)
			return rc;
		if (!found)
			continue;
		if (mark)
			table->names.used[index] = true;
		(*out)[(*n)++] = index;
	}
	return 0;
}

static int read_name(struct reader *r, struct msp_text *out,
		     const struct msp_json_value *entry)
{
	const struct msp_json_value *value;
	int rc;

	rc = msp_json_expect(entry, MSP_JSON_OBJECT, r->info);
	if (rc < 0)
		return rc;
	rc = msp_json_need(&value, entry, "name", MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	*out = keep_string(r, value);
	if (out->len == 0)
		return msp_json_fail(value, r->info, MSP_ERR_SCHEMA,
				     "is empty");
	return 0;
}

static int read_path(struct reader *r, struct msp_privilege *privilege,
		     const struct msp_json_value *entry)
{
	const struct msp_json_value *value;
	enum msp_canon code;
	int rc;

	rc = msp_json_need(&value, entry, "path", MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	privilege->path = keep_string(r, value);
	code = msp_canon_check_path(privilege->path.text, privilege->path.len);
	if (code == MSP_CANON_OK)
		return 0;
	return msp_json_fail(value, r->info, MSP_ERR_SCHEMA,
			     "cannot be canonicalized: %s",
			     msp_canon_text(code));
}

static int read_param(struct reader *r, struct msp_param *param,
		      const struct msp_json_value *value)
{
	const char *text;
	size_t len;
	int rc;

	rc = msp_json_expect(value, MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	text = msp_json_name(value, &len);
	/* an empty name in a request is dropped (spec 8.6): never a match */
	if (len == 0)
		return msp_json_fail(value, r->info, MSP_ERR_SCHEMA,
				     "has an empty name");
	param->name = keep_lower(r, text, len);
	text = msp_json_text(value, &len);
	param->value = keep_lower(r, text, len);
	return 0;
}

static int refuse_equal_params(struct reader *r,
			       const struct msp_privilege *privilege,
			       const struct msp_json_value *object)
{
	const struct msp_json_value *value = msp_json_first(object);
	const struct msp_text *name = NULL;
	size_t i, len, seen = 0;

	for (i = 1; i < privilege->n_params && !name; i++)
		if (compare_param(&privilege->params[i - 1],
				  &privilege->params[i]) == 0)
			name = &privilege->params[i].name;
	if (!name)
		return 0;
	for (; value; value = msp_json_next(value)) {
		const char *text = msp_json_name(value, &len);

		if (msp_ascii_equal(text, len, name->text, name->len) &&
		    ++seen == 2)
			break;
	}
	return msp_json_fail(value ? value : object, r->info, MSP_ERR_SCHEMA,
			     "is given twice (letter case does not count)");
}

static int read_params(struct reader *r, struct msp_privilege *privilege,
		       const struct msp_json_value *entry)
{
	const struct msp_json_value *object, *value;
	int rc;

	rc = msp_json_want(&object, entry, "queryParameters", MSP_JSON_OBJECT,
			   r->info);
	if (rc < 0 || !object)
		return rc;
	rc = check_count(r, object);
	if (rc < 0)
		return rc;
	privilege->params = msp_mem_array(msp_json_count(object),
					  sizeof(*privilege->params));
	if (!privilege->params)
		return no_memory(r);
	for (value = msp_json_first(object); value;
	     value = msp_json_next(value)) {
		rc = read_param(r, &privilege->params[privilege->n_params],
				value);
		if (rc < 0)
			return rc;
		privilege->n_params++;
	}
	qsort(privilege->params, privilege->n_params,
	      sizeof(*privilege->params), compare_param);
	return refuse_equal_params(r, privilege, object);
}

static int read_privilege(struct reader *r, struct msp_privilege *privilege,
			  const struct msp_json_value *entry)
{
	int rc;

	rc = read_name(r, &privilege->name, entry);
	if (rc < 0)
		return rc;
	rc = read_path(r, privilege, entry);
	if (rc < 0)
		return rc;
	return read_params(r, privilege, entry);
}

static int read_role(struct reader *r, struct msp_role *role,
		     const struct msp_json_value *entry)
{
	const struct msp_json_value *array;
	int rc;

	rc = read_name(r, &role->name, entry);
	if (rc < 0)
		return rc;
	rc = msp_json_need(&array, entry, "privileges", MSP_JSON_ARRAY,
			   r->info);
	if (rc < 0)
		return rc;
	return read_references(r, &role->privileges, &role->n_privileges, array,
			       &r->privileges, true);
}

static int read_selector(struct reader *r, struct msp_text *out,
			 const struct msp_json_value *entry, const char *name)
{
	const struct msp_json_value *value;
	int rc;

	rc = msp_json_want(&value, entry, name, MSP_JSON_STRING, r->info);
	if (rc < 0 || !value)
		return rc;
	*out = keep_string(r, value);
	if (out->len == 0)
		return remark(r, value, "is empty: matches nobody");
	return 0;
}

static int read_identity(struct reader *r, struct msp_identity *identity,
			 const struct msp_json_value *entry)
{
	struct {
		const char *name;
		struct msp_text *out;
	} selectors[] = {
		{ "userName", &identity->user_name },
		{ "groupName", &identity->group_name },
		{ "exePath", &identity->exe_path },
		{ "processName", &identity->process_name },
	};
	bool any = false;
	size_t i;
	int rc;

	rc = read_name(r, &identity->name, entry);
	for (i = 0; i < 4 && rc == 0; i++) {
		rc = read_selector(r, selectors[i].out, entry,
				   selectors[i].name);
		any = any || selectors[i].out->text;
	}
	if (rc < 0 || any)
		return rc;
	return remark(r, entry, "has no selector: matches everyone");
}

/* Sets *known if the role exists; else the assignment is left out, but only
 * after all of it was found to be well formed. */
static int read_assignment(struct reader *r, struct msp_assignment *assignment,
			   const struct msp_json_value *entry, bool *known)
{
	const struct msp_json_value *role, *array;
	int rc;

	*known = false;
	rc = msp_json_expect(entry, MSP_JSON_OBJECT, r->info);
	if (rc < 0)
		return rc;
	rc = msp_json_need(&role, entry, "role", MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	rc = msp_json_need(&array, entry, "identities", MSP_JSON_ARRAY,
			   r->info);
	if (rc < 0)
		return rc;
	rc = resolve(r, &r->roles, role, &assignment->role, known);
	if (rc < 0)
		return rc;
	if (*known)
		r->roles.names.used[assignment->role] = true;
	return read_references(r, &assignment->identities,
			       &assignment->n_identities, array, &r->identities,
			       *known);
}

/* An absent array counts as an empty one, never as "no rules" (design D6).
 * *entries is NULL only if there is nothing to read. */
static int open_array(struct reader *r, const struct msp_json_value **array,
		      void **entries, const struct msp_json_value *rules,
		      const char *name, size_t size)
{
	int rc;

	rc = msp_json_want(array, rules, name, MSP_JSON_ARRAY, r->info);
	if (rc < 0 || !*array)
		return rc;
	rc = check_count(r, *array);
	if (rc < 0)
		return rc;
	*entries = msp_mem_array(msp_json_count(*array), size);
	return *entries ? 0 : no_memory(r);
}

static int read_privileges(struct reader *r, const struct msp_json_value *rules)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	void *entries = NULL;
	int rc;

	rc = open_array(r, &r->privileges.array, &entries, rules, "privileges",
			sizeof(*p->privileges));
	if (rc < 0 || !entries)
		return rc;
	p->privileges = entries;
	for (value = msp_json_first(r->privileges.array); value;
	     value = msp_json_next(value)) {
		/* counted first: what it holds is freed with the profile */
		rc = read_privilege(r, &p->privileges[p->n_privileges++],
				    value);
		if (rc < 0)
			return rc;
	}
	return index_table(r, &r->privileges, p->privileges, p->n_privileges,
			   sizeof(*p->privileges));
}

static int read_roles(struct reader *r, const struct msp_json_value *rules)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	void *entries = NULL;
	int rc;

	rc = open_array(r, &r->roles.array, &entries, rules, "roles",
			sizeof(*p->roles));
	if (rc < 0 || !entries)
		return rc;
	p->roles = entries;
	for (value = msp_json_first(r->roles.array); value;
	     value = msp_json_next(value)) {
		rc = read_role(r, &p->roles[p->n_roles++], value);
		if (rc < 0)
			return rc;
	}
	return index_table(r, &r->roles, p->roles, p->n_roles,
			   sizeof(*p->roles));
}

static int read_identities(struct reader *r, const struct msp_json_value *rules)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	void *entries = NULL;
	int rc;

	rc = open_array(r, &r->identities.array, &entries, rules, "identities",
			sizeof(*p->identities));
	if (rc < 0 || !entries)
		return rc;
	p->identities = entries;
	for (value = msp_json_first(r->identities.array); value;
	     value = msp_json_next(value)) {
		rc = read_identity(r, &p->identities[p->n_identities++], value);
		if (rc < 0)
			return rc;
	}
	return index_table(r, &r->identities, p->identities, p->n_identities,
			   sizeof(*p->identities));
}

static int read_assignments(struct reader *r,
			    const struct msp_json_value *rules)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *array, *value;
	void *entries = NULL;
	bool known;
	int rc;

	rc = open_array(r, &array, &entries, rules, "roleAssignments",
			sizeof(*p->assignments));
	if (rc < 0 || !entries)
		return rc;
	p->assignments = entries;
	for (value = msp_json_first(array); value;
	     value = msp_json_next(value)) {
		struct msp_assignment *a = &p->assignments[p->n_assignments++];

		rc = read_assignment(r, a, value, &known);
		if (rc < 0)
			return rc;
		if (known)
			continue;
		msp_mem_free(a->identities);
		memset(a, 0, sizeof(*a));
		p->n_assignments--;
	}
	return 0;
}

static int remark_unused(struct reader *r, const struct table *table,
			 const char *text)
{
	const struct msp_json_value *value;
	size_t i;
	int rc;

	if (!table->names.n)
		return 0;
	value = msp_json_first(table->array);
	for (i = 0; i < table->names.n; i++, value = msp_json_next(value)) {
		if (table->names.used[i])
			continue;
		rc = remark(r, value, "%s", text);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_rules(struct reader *r, const struct msp_json_value *item)
{
	const struct msp_json_value *rules;
	int rc;

	rc = msp_json_want(&rules, item, "rules", MSP_JSON_OBJECT, r->info);
	if (rc < 0 || !rules)
		return rc;
	rc = read_privileges(r, rules);
	if (rc == 0)
		rc = read_roles(r, rules);
	if (rc == 0)
		rc = read_identities(r, rules);
	if (rc == 0)
		rc = read_assignments(r, rules);
	if (rc == 0)
		rc = remark_unused(r, &r->privileges,
				   "is in no role: denied to everyone");
	if (rc == 0)
		rc = remark_unused(r, &r->roles, "is never assigned");
	if (rc == 0)
		rc = remark_unused(r, &r->identities, "is assigned to no role");
	return rc;
}

static int read_access(struct reader *r, const struct msp_json_value *item)
{
	const struct msp_json_value *value;
	char quote[QUOTE_MAX];
	const char *text;
	size_t len;
	int rc;

	rc = msp_json_need(&value, item, "defaultAccess", MSP_JSON_STRING,
			   r->info);
	if (rc < 0)
		return rc;
	text = msp_json_text(value, &len);
	if (msp_ascii_equal(text, len, "allow", 5)) {
		r->profile->access = MSP_ACCESS_ALLOW;
		return 0;
	}
	if (msp_ascii_equal(text, len, "deny", 4)) {
		r->profile->access = MSP_ACCESS_DENY;
		return 0;
	}
	msp_info_copy(quote, sizeof(quote), text, len);
	return msp_json_fail(value, r->info, MSP_ERR_SCHEMA,
			     "is '%s', expected allow or deny", quote);
}

static int read_head(struct reader *r, const struct msp_json_value *item)
{
	const struct msp_json_value *value;
	char quote[QUOTE_MAX];
	const char *text;
	size_t len;
	int rc;

	rc = read_access(r, item);
	if (rc < 0)
		return rc;
	rc = msp_json_need(&value, item, "mode", MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	text = msp_json_text(value, &len);
	msp_info_copy(quote, sizeof(quote), text, len);
	if (!msp_mode_parse(&r->profile->mode, text, len))
		return msp_json_fail(
			value, r->info, MSP_ERR_SCHEMA,
			"is '%s', expected disabled, audit or enforce", quote);
	rc = msp_json_need(&value, item, "id", MSP_JSON_STRING, r->info);
	if (rc < 0)
		return rc;
	r->profile->id = keep_string(r, value);
	return 0;
}

static int check_item(const struct msp_json_value *item,
		      struct msp_error_info *info)
{
	int rc;

	rc = msp_json_expect(item, MSP_JSON_OBJECT, info);
	if (rc < 0)
		return rc;
	if (msp_json_span(item) > MSP_PROFILE_MAX_BYTES)
		return msp_json_fail(item, info, MSP_ERR_LIMIT,
				     "has %zu bytes, at most %d are read",
				     msp_json_span(item),
				     MSP_PROFILE_MAX_BYTES);
	return 0;
}

int msp_profile_from_json(struct msp_profile **out,
			  const struct msp_json_value *item,
			  struct msp_error_info *info)
{
	struct reader r = {
		.info = info,
		.privileges.noun = "privilege",
		.roles.noun = "role",
		.identities.noun = "identity",
	};
	int rc;

	*out = NULL;
	rc = check_item(item, info);
	if (rc < 0)
		return rc;
	r.profile = msp_mem_zalloc(sizeof(*r.profile));
	if (!r.profile)
		return no_memory(&r);
	atomic_init(&r.profile->owners, 1);
	r.profile->texts = msp_mem_alloc(msp_json_span(item));
	rc = r.profile->texts ? read_head(&r, item) : no_memory(&r);
	if (rc == 0)
		rc = read_rules(&r, item);
	if (rc == 0) {
		*out = r.profile;
		r.profile = NULL;
	}
	msp_names_free(&r.privileges.names);
	msp_names_free(&r.roles.names);
	msp_names_free(&r.identities.names);
	msp_profile_free(r.profile);
	return rc;
}
