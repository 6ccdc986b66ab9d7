/* SPDX-License-Identifier: MIT */
/*
 * In: the object "rules" of any form. Out: the four arrays with all references
 * resolved, and a remark about each fault. Must never take a reference that
 * two readers could resolve differently.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/canon.h"
#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/profile_reader.h"

/* A list of references, and what it is a list of. */
struct references {
	const struct msp_json_value *array;
	struct msp_table *table;
	const char *owner; /* of the list, for the texts of local files */
	bool mark;	   /* does a reference count as use? */
};

static bool is_local(const struct msp_reader *r)
{
	return r->form == MSP_PROFILE_LOCAL;
}

static void quote(const struct msp_reader *r, char *out,
		  const struct msp_text *name)
{
	msp_info_copy(out, is_local(r) ? MSP_QUOTE_WHOLE : MSP_QUOTE_MAX,
		      name->text ? name->text : "", name->len);
}

/* ---- names and references ---------------------------------------------- */

static bool name_ok(struct msp_reader *r, const struct msp_table *table,
		    const struct msp_json_value *value, const char *text,
		    size_t len)
{
	if (is_local(r) && msp_text_blank(text, len)) {
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "%s name cannot be empty", table->noun);
		return false;
	}
	if (len == 0) {
		msp_reader_error(r, MSP_FINDING_VALUE, value, "is empty");
		return false;
	}
	return true;
}

static void read_name(struct msp_reader *r, struct msp_table *table,
		      struct msp_text *out, const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	if (value && msp_reader_string(r, &text, &len, value) &&
	    name_ok(r, table, value, text, len))
		*out = msp_reader_keep(r, text, len);
	else
		table->doubtful = true;
}

static void refuse_repeated_name(struct msp_reader *r,
				 const struct msp_table *table,
				 const struct msp_json_value *entry,
				 const struct msp_text *name)
{
	const struct msp_json_value *value;
	char name_quote[MSP_QUOTE_WHOLE];

	quote(r, name_quote, name);
	value = msp_reader_member(entry, "name");
	if (!value)
		value = entry;
	if (is_local(r))
		msp_reader_error(r, MSP_FINDING_TWICE, value,
				 "duplicate %s name '%s'", table->noun,
				 name_quote);
	else
		msp_reader_error(r, MSP_FINDING_TWICE, value,
				 "is '%s', as is that of another %s",
				 name_quote, table->noun);
}

static void index_table(struct msp_reader *r, struct msp_table *table,
			const void *entries, size_t n, size_t size)
{
	const struct msp_json_value *value = msp_json_first(table->array);
	const char *entry = entries;
	uint32_t i;

	if (msp_names_index(&table->names, entries, n, size) < 0) {
		msp_reader_no_memory(r);
		return;
	}
	for (i = 0; i < n; i++, value = msp_json_next(value), entry += size) {
		const struct msp_text *name = (const void *)entry;

		if (name->text && msp_names_repeats(&table->names, i, name))
			refuse_repeated_name(r, table, value, name);
	}
}

static void note_dangling(struct msp_reader *r, const struct references *list,
			  const struct msp_json_value *value,
			  const struct msp_text *name)
{
	char name_quote[MSP_QUOTE_WHOLE];

	/* it may be the name of the entry whose name cannot be read */
	if (list->table->doubtful)
		return;
	quote(r, name_quote, name);
	if (is_local(r))
		msp_reader_error(r, MSP_FINDING_DANGLING, value,
				 "%s references unknown %s '%s'", list->owner,
				 list->table->noun, name_quote);
	else
		msp_reader_warning(r, MSP_FINDING_DANGLING, value,
				   "there is no %s '%s': grants nothing",
				   list->table->noun, name_quote);
}

static void note_repeated(struct msp_reader *r, const struct references *list,
			  const struct msp_json_value *value,
			  const struct msp_text *name)
{
	char name_quote[MSP_QUOTE_WHOLE];

	quote(r, name_quote, name);
	if (is_local(r))
		msp_reader_error(r, MSP_FINDING_REPEATED, value,
				 "%s contains duplicate %s reference '%s'",
				 list->owner, list->table->noun, name_quote);
	else
		msp_reader_warning(r, MSP_FINDING_REPEATED, value,
				   "is '%s', as is another of this list",
				   name_quote);
}

static void note_empty(struct msp_reader *r, const struct references *list)
{
	const char *noun = list->table->noun;

	if (is_local(r))
		msp_reader_error(r, MSP_FINDING_EMPTY, list->array,
				 "%s must reference at least one %s",
				 list->owner, noun);
	else
		msp_reader_warning(r, MSP_FINDING_EMPTY, list->array,
				   "is empty: grants nothing");
}

/* Of one reference: true if *index is to be taken. */
static bool resolve(struct msp_reader *r, const struct references *list,
		    const struct msp_json_value *value, uint32_t *index)
{
	struct msp_table *table = list->table;
	struct msp_text name;
	const char *text;

	if (!msp_reader_string(r, &text, &name.len, value))
		return false;
	name.text = (char *)(uintptr_t)text;
	if (is_local(r) && msp_text_blank(name.text, name.len)) {
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "%s contains an empty %s reference",
				 list->owner, table->noun);
		return false;
	}
	if (!msp_names_find(&table->names, index, &name)) {
		note_dangling(r, list, value, &name);
		return false;
	}
	if (table->names.list[*index] == table->lists) {
		note_repeated(r, list, value, &name);
		return false;
	}
	table->names.list[*index] = table->lists;
	if (list->mark)
		table->names.used[*index] = true;
	return true;
}

/* Names -> indices, each once. */
static void read_references(struct msp_reader *r, uint32_t **out, size_t *n,
			    const struct references *list)
{
	const struct msp_json_value *value;
	uint32_t index;

	if (!list->array || !msp_reader_count(r, list->array))
		return;
	if (msp_json_count(list->array) == 0)
		note_empty(r, list);
	*out = msp_mem_array(msp_json_count(list->array), sizeof(**out));
	if (!*out) {
		msp_reader_no_memory(r);
		return;
	}
	list->table->lists++;
	for (value = msp_json_first(list->array); value;
	     value = msp_json_next(value))
		if (resolve(r, list, value, &index))
			(*out)[(*n)++] = index;
}

/* ---- privileges -------------------------------------------------------- */

static void read_path(struct msp_reader *r, struct msp_privilege *privilege,
		      const struct msp_json_value *value)
{
	char name[MSP_QUOTE_WHOLE];
	enum msp_canon code;
	const char *text;
	size_t len;

	if (!value || !msp_reader_string(r, &text, &len, value))
		return;
	if (is_local(r) && msp_text_blank(text, len)) {
		quote(r, name, &privilege->name);
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "privilege '%s' path cannot be empty", name);
		return;
	}
	privilege->path = msp_reader_keep(r, text, len);
	code = msp_canon_check_path(text, len);
	if (code != MSP_CANON_OK)
		msp_reader_error(r, MSP_FINDING_PATH, value,
				 "cannot be canonicalized: %s",
				 msp_canon_text(code));
}

/* A parameter while they are sorted. */
struct sorting {
	struct msp_param param;
	const struct msp_json_value *value;
};

static int compare_lower(const struct msp_text *a, const struct msp_text *b)
{
	size_t n = a->len < b->len ? a->len : b->len, i;

	for (i = 0; i < n; i++) {
		int c = msp_ascii_lower((unsigned char)a->text[i]);
		int d = msp_ascii_lower((unsigned char)b->text[i]);

		if (c != d)
			return c - d;
	}
	return a->len < b->len ? -1 : a->len > b->len;
}

static int compare_sorting(const void *va, const void *vb)
{
	const struct sorting *a = va, *b = vb;
	int order = compare_lower(&a->param.name, &b->param.name);

	/* of two that are equal the second in the document is the fault */
	if (order)
		return order;
	return msp_json_offset(a->value) < msp_json_offset(b->value) ? -1 : 1;
}

static bool param_ok(struct msp_reader *r, const struct msp_text *privilege,
		     const struct msp_param *param,
		     const struct msp_json_value *value)
{
	char name[MSP_QUOTE_WHOLE];

	if (is_local(r) &&
	    (msp_text_blank(param->name.text, param->name.len) ||
	     msp_text_blank(param->value.text, param->value.len))) {
		quote(r, name, privilege);
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "privilege '%s' queryParameters cannot "
				 "contain empty keys or values",
				 name);
		return false;
	}
	/* an empty name in a request is dropped (spec 8.6): never a match */
	if (param->name.len == 0) {
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "has an empty name");
		return false;
	}
	return true;
}

static bool read_param(struct msp_reader *r, const struct msp_text *privilege,
		       struct msp_param *out,
		       const struct msp_json_value *value)
{
	const char *name, *text;
	size_t name_len, len;

	if (!msp_reader_name(r, &name, &name_len, value) ||
	    !msp_reader_string(r, &text, &len, value))
		return false;
	out->name = msp_reader_keep(r, name, name_len);
	out->value = msp_reader_keep(r, text, len);
	return param_ok(r, privilege, out, value);
}

static void take_params(struct msp_reader *r, struct msp_privilege *privilege,
			struct sorting *sorted, size_t n)
{
	size_t i;

	qsort(sorted, n, sizeof(*sorted), compare_sorting);
	for (i = 0; i < n; i++) {
		if (i && compare_lower(&sorted[i - 1].param.name,
				       &sorted[i].param.name) == 0)
			msp_reader_error(r, MSP_FINDING_TWICE, sorted[i].value,
					 "is given twice (letter case does "
					 "not count)");
		privilege->params[privilege->n_params++] = sorted[i].param;
	}
}

static void read_params(struct msp_reader *r, struct msp_privilege *privilege,
			const struct msp_json_value *object)
{
	const struct msp_json_value *value;
	struct sorting *sorted;
	size_t n = 0;

	if (!object || !msp_reader_count(r, object))
		return;
	sorted = msp_mem_array(msp_json_count(object), sizeof(*sorted));
	privilege->params = msp_mem_array(msp_json_count(object),
					  sizeof(*privilege->params));
	if (!sorted || !privilege->params) {
		msp_reader_no_memory(r);
		goto out;
	}
	for (value = msp_json_first(object); value;
	     value = msp_json_next(value)) {
		sorted[n].value = value;
		if (read_param(r, &privilege->name, &sorted[n].param, value))
			n++;
	}
	take_params(r, privilege, sorted, n);
out:
	msp_mem_free(sorted);
}

static void read_privilege(struct msp_reader *r,
			   struct msp_privilege *privilege,
			   const struct msp_json_value *entry)
{
	struct msp_field fields[] = {
		{ .name = "name", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "path", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "queryParameters", MSP_JSON_OBJECT },
	};

	if (!msp_reader_entry(r, entry, fields, 3)) {
		r->privileges.doubtful = true;
		return;
	}
	read_name(r, &r->privileges, &privilege->name, fields[0].value);
	read_path(r, privilege, fields[1].value);
	read_params(r, privilege, fields[2].value);
}

/* ---- roles ------------------------------------------------------------- */

static void read_role(struct msp_reader *r, struct msp_role *role,
		      const struct msp_json_value *entry)
{
	struct msp_field fields[] = {
		{ .name = "name", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "privileges", MSP_JSON_ARRAY, MSP_FIELD_REQUIRED },
	};
	char name[MSP_QUOTE_WHOLE], owner[MSP_QUOTE_WHOLE + 16];
	struct references list = { .table = &r->privileges,
				   .owner = owner,
				   .mark = true };

	if (!msp_reader_entry(r, entry, fields, 2)) {
		r->roles.doubtful = true;
		return;
	}
	read_name(r, &r->roles, &role->name, fields[0].value);
	quote(r, name, &role->name);
	snprintf(owner, sizeof(owner), "role '%s'", name);
	list.array = fields[1].value;
	read_references(r, &role->privileges, &role->n_privileges, &list);
}

/* ---- identities -------------------------------------------------------- */

static void note_selectors(struct msp_reader *r,
			   const struct msp_identity *identity,
			   const struct msp_json_value *entry, bool any,
			   bool usable)
{
	char name[MSP_QUOTE_WHOLE];

	if (is_local(r) && !usable) {
		quote(r, name, &identity->name);
		msp_reader_error(r, MSP_FINDING_EVERYONE, entry,
				 "identity '%s' must specify at least one "
				 "selector",
				 name);
	} else if (!any) {
		msp_reader_warning(r, MSP_FINDING_EVERYONE, entry,
				   "has no selector: matches everyone");
	}
}

static void read_selectors(struct msp_reader *r, struct msp_identity *identity,
			   const struct msp_json_value *entry,
			   const struct msp_field *fields)
{
	struct msp_text *out[] = { &identity->user_name, &identity->group_name,
				   &identity->exe_path,
				   &identity->process_name };
	bool any = false, usable = false;
	const char *text;
	size_t i, len;

	for (i = 0; i < 4; i++) {
		const struct msp_json_value *value = fields[i].value;

		/* also one that cannot be read was meant to select */
		any = any || value || fields[i].wrong;
		usable = usable || fields[i].wrong;
		if (!value || !msp_reader_string(r, &text, &len, value))
			continue;
		*out[i] = msp_reader_keep(r, text, len);
		usable = usable || !msp_text_blank(text, len);
		if (len == 0)
			msp_reader_warning(r, MSP_FINDING_NOBODY, value,
					   "is empty: matches nobody");
	}
	note_selectors(r, identity, entry, any, usable);
}

static void read_identity(struct msp_reader *r, struct msp_identity *identity,
			  const struct msp_json_value *entry)
{
	struct msp_field fields[] = {
		{ .name = "name", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "userName", MSP_JSON_STRING },
		{ .name = "groupName", MSP_JSON_STRING },
		{ .name = "exePath", MSP_JSON_STRING },
		{ .name = "processName", MSP_JSON_STRING },
	};

	if (!msp_reader_entry(r, entry, fields, 5)) {
		r->identities.doubtful = true;
		return;
	}
	read_name(r, &r->identities, &identity->name, fields[0].value);
	read_selectors(r, identity, entry, &fields[1]);
}

/* ---- role assignments -------------------------------------------------- */

static bool read_assigned_role(struct msp_reader *r,
			       struct msp_assignment *assignment, char *owner,
			       size_t size, const struct msp_json_value *value)
{
	struct references one = { .table = &r->roles,
				  .owner = "roleAssignment",
				  .mark = true };
	char name[MSP_QUOTE_WHOLE];
	struct msp_text role = { NULL, 0 };
	const char *text = "";

	if (value && !msp_reader_string(r, &text, &role.len, value))
		return false;
	role.text = (char *)(uintptr_t)text;
	quote(r, name, &role);
	snprintf(owner, size, "roleAssignment for role '%s'", name);
	if (!value)
		return false;
	if (is_local(r) && msp_text_blank(text, role.len)) {
		msp_reader_error(r, MSP_FINDING_VALUE, value,
				 "roleAssignment role cannot be empty");
		return false;
	}
	r->roles.lists++; /* the same role in two assignments is fine */
	return resolve(r, &one, value, &assignment->role);
}

/* False if it grants nothing to anybody: then it is left out, but only after
 * all of it was looked at. */
static bool read_assignment(struct msp_reader *r,
			    struct msp_assignment *assignment,
			    const struct msp_json_value *entry)
{
	struct msp_field fields[] = {
		{ .name = "role", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "identities", MSP_JSON_ARRAY, MSP_FIELD_REQUIRED },
	};
	char owner[MSP_QUOTE_WHOLE + 32] = "";
	struct references list = { .table = &r->identities, .owner = owner };

	if (!msp_reader_entry(r, entry, fields, 2))
		return false;
	list.mark = read_assigned_role(r, assignment, owner, sizeof(owner),
				       fields[0].value);
	list.array = fields[1].value;
	read_references(r, &assignment->identities, &assignment->n_identities,
			&list);
	return list.mark;
}

/* ---- the four arrays --------------------------------------------------- */

/* An absent array counts as an empty one, never as "no rules" (design D6).
 * NULL if there is nothing to read. */
static void *open_array(struct msp_reader *r, struct msp_table *table,
			const struct msp_json_value *array, size_t size)
{
	void *entries;

	if (!array)
		return NULL;
	if (!msp_reader_count(r, array)) {
		table->doubtful = true;
		return NULL;
	}
	entries = msp_mem_array(msp_json_count(array), size);
	if (!entries)
		msp_reader_no_memory(r);
	return entries;
}

static void set_place(struct msp_reader *r, struct msp_place *place,
		      const struct msp_json_value *entry, uint32_t index)
{
	msp_reader_place(r, place, entry);
	place->index = index;
}

static void read_privileges(struct msp_reader *r,
			    const struct msp_json_value *array)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	uint32_t i = 0;

	p->privileges =
		open_array(r, &r->privileges, array, sizeof(*p->privileges));
	if (!p->privileges)
		return;
	r->privileges.array = array;
	for (value = msp_json_first(array); value;
	     value = msp_json_next(value)) {
		struct msp_privilege *privilege = &p->privileges[i];

		/* counted first: what it holds is freed with the profile */
		p->n_privileges++;
		set_place(r, &privilege->place, value, i++);
		read_privilege(r, privilege, value);
	}
	index_table(r, &r->privileges, p->privileges, p->n_privileges,
		    sizeof(*p->privileges));
}

static void read_roles(struct msp_reader *r, const struct msp_json_value *array)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	uint32_t i = 0;

	p->roles = open_array(r, &r->roles, array, sizeof(*p->roles));
	if (!p->roles)
		return;
	r->roles.array = array;
	for (value = msp_json_first(array); value;
	     value = msp_json_next(value)) {
		struct msp_role *role = &p->roles[i];

		p->n_roles++;
		set_place(r, &role->place, value, i++);
		read_role(r, role, value);
	}
	index_table(r, &r->roles, p->roles, p->n_roles, sizeof(*p->roles));
}

static void read_identities(struct msp_reader *r,
			    const struct msp_json_value *array)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	uint32_t i = 0;

	p->identities =
		open_array(r, &r->identities, array, sizeof(*p->identities));
	if (!p->identities)
		return;
	r->identities.array = array;
	for (value = msp_json_first(array); value;
	     value = msp_json_next(value)) {
		struct msp_identity *identity = &p->identities[i];

		p->n_identities++;
		set_place(r, &identity->place, value, i++);
		read_identity(r, identity, value);
	}
	index_table(r, &r->identities, p->identities, p->n_identities,
		    sizeof(*p->identities));
}

static void read_assignments(struct msp_reader *r,
			     const struct msp_json_value *array)
{
	struct msp_profile *p = r->profile;
	const struct msp_json_value *value;
	uint32_t i = 0;

	/* one that is too long leaves it open who is assigned */
	p->assignments =
		open_array(r, &r->identities, array, sizeof(*p->assignments));
	if (!p->assignments)
		return;
	for (value = msp_json_first(array); value;
	     value = msp_json_next(value)) {
		struct msp_assignment *a = &p->assignments[p->n_assignments++];

		set_place(r, &a->place, value, i++);
		if (read_assignment(r, a, value))
			continue;
		msp_mem_free(a->identities);
		memset(a, 0, sizeof(*a));
		p->n_assignments--;
	}
}

/* ---- what nobody refers to --------------------------------------------- */

static void note_unused(struct msp_reader *r, const struct msp_table *table,
			size_t n, enum msp_finding_code code, const char *text)
{
	const struct msp_json_value *value;
	size_t i;

	/* out of memory is the only way to have entries without an index */
	if (!table->array || !table->names.used)
		return;
	value = msp_json_first(table->array);
	for (i = 0; i < n; i++, value = msp_json_next(value))
		if (!table->names.used[i])
			msp_reader_warning(r, code, value, "%s", text);
}

static void note_missing(struct msp_reader *r,
			 const struct msp_json_value *rules,
			 const struct msp_field *fields, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!fields[i].given)
			msp_reader_missing(r, MSP_SEVERITY_WARNING, rules,
					   fields[i].name,
					   "is missing: Azure refuses rules "
					   "without it, here it counts as "
					   "empty");
}

bool msp_reader_owner(struct msp_reader *r, const struct msp_json_value *object)
{
	char raw[512], pointer[256];

	msp_json_pointer(object, raw, sizeof(raw));
	msp_info_copy(pointer, sizeof(pointer), raw, strlen(raw));
	r->profile->pointer = msp_mem_strndup(pointer, strlen(pointer));
	if (!r->profile->pointer)
		msp_reader_no_memory(r);
	return r->profile->pointer;
}

void msp_reader_rules(struct msp_reader *r, const struct msp_json_value *rules)
{
	struct msp_field fields[] = {
		{ .name = "privileges", MSP_JSON_ARRAY },
		{ .name = "roles", MSP_JSON_ARRAY },
		{ .name = "identities", MSP_JSON_ARRAY },
		{ .name = "roleAssignments", MSP_JSON_ARRAY },
	};
	struct msp_profile *p = r->profile;
	size_t errors;
	bool sound;

	if (!rules)
		return;
	p->has_rules = true;
	msp_reader_fields(r, rules, fields, 4);
	if (r->form == MSP_PROFILE_ARM)
		note_missing(r, rules, fields, 4);
	r->privileges.doubtful = fields[0].wrong;
	r->roles.doubtful = fields[1].wrong;
	r->identities.doubtful = fields[2].wrong || fields[3].wrong;
	read_privileges(r, fields[0].value);
	errors = msp_findings_errors(r->findings);
	read_roles(r, fields[1].value);
	/* what cannot be read may be the reference that is missed */
	sound = errors == msp_findings_errors(r->findings) &&
		!r->privileges.doubtful && !r->roles.doubtful;
	read_identities(r, fields[2].value);
	if (sound)
		note_unused(r, &r->privileges, p->n_privileges,
			    MSP_FINDING_UNUSED_PRIVILEGE,
			    "is in no role: denied to everyone");
	errors = msp_findings_errors(r->findings);
	read_assignments(r, fields[3].value);
	if (errors != msp_findings_errors(r->findings) || r->roles.doubtful ||
	    r->identities.doubtful)
		return;
	note_unused(r, &r->roles, p->n_roles, MSP_FINDING_UNUSED_ROLE,
		    "is never assigned");
	note_unused(r, &r->identities, p->n_identities,
		    MSP_FINDING_UNUSED_IDENTITY, "is assigned to no role");
}
