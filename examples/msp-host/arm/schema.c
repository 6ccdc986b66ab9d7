/* SPDX-License-Identifier: MIT */
/*
 * In:  a tree and what it should be.
 * Out: its canonical copy, or the first member that is wrong.
 * Never: judges what the rules mean: that is for who prepares them for a VM.
 */
#include "arm/schema.h"

#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FIELDS(array)                                                          \
	{                                                                      \
		(array), COUNT(array), false                                   \
	}
#define OPEN_FIELDS(array)                                                     \
	{                                                                      \
		(array), COUNT(array), true                                    \
	}

const char *const schema_os_words[] = { "Windows", "Linux", NULL };
static const char *const endpoint_words[] = { "WireServer", "IMDS", NULL };
static const char *const mode_words[] = { "Audit", "Enforce", "Disabled",
					  NULL };
static const char *const access_words[] = { "Allow", "Deny", NULL };

/* ---- rules ------------------------------------------------------------- */

static const struct field privilege_fields[] = {
	{ "name", FIELD_TEXT, true, NULL, NULL },
	{ "path", FIELD_TEXT, true, NULL, NULL },
	{ "queryParameters", FIELD_TEXTS, false, NULL, NULL },
};
static const struct schema privilege = FIELDS(privilege_fields);

static const struct field role_fields[] = {
	{ "name", FIELD_TEXT, true, NULL, NULL },
	{ "privileges", FIELD_NAMES, true, NULL, NULL },
};
static const struct schema role = FIELDS(role_fields);

static const struct field identity_fields[] = {
	{ "name", FIELD_TEXT, true, NULL, NULL },
	{ "userName", FIELD_TEXT, false, NULL, NULL },
	{ "groupName", FIELD_TEXT, false, NULL, NULL },
	{ "exePath", FIELD_TEXT, false, NULL, NULL },
	{ "processName", FIELD_TEXT, false, NULL, NULL },
};
static const struct schema identity = FIELDS(identity_fields);

static const struct field assignment_fields[] = {
	{ "role", FIELD_TEXT, true, NULL, NULL },
	{ "identities", FIELD_NAMES, true, NULL, NULL },
};
static const struct schema assignment = FIELDS(assignment_fields);

/* all four, though they may be empty */
static const struct field rules_fields[] = {
	{ "privileges", FIELD_OBJECTS, true, NULL, &privilege },
	{ "roles", FIELD_OBJECTS, true, NULL, &role },
	{ "identities", FIELD_OBJECTS, true, NULL, &identity },
	{ "roleAssignments", FIELD_OBJECTS, true, NULL, &assignment },
};
static const struct schema rules = FIELDS(rules_fields);

/* ---- gallery, profile, version ----------------------------------------- */

static const struct field target_fields[] = {
	{ "name", FIELD_TEXT, true, NULL, NULL },
};
static const struct schema target = OPEN_FIELDS(target_fields);

static const struct field version_properties_fields[] = {
	{ "mode", FIELD_WORD, true, mode_words, NULL },
	{ "defaultAccess", FIELD_WORD, true, access_words, NULL },
	{ "rules", FIELD_OBJECT, false, NULL, &rules },
	{ "targetLocations", FIELD_OBJECTS, false, NULL, &target },
	{ "excludeFromLatest", FIELD_BOOL, false, NULL, NULL },
};
static const struct schema version_properties =
	FIELDS(version_properties_fields);

static const struct field profile_properties_fields[] = {
	{ "osType", FIELD_WORD, true, schema_os_words, NULL },
	{ "applicableHostEndpoint", FIELD_WORD, true, endpoint_words, NULL },
	{ "description", FIELD_TEXT, false, NULL, NULL },
};
static const struct schema profile_properties =
	FIELDS(profile_properties_fields);

static const struct field gallery_properties_fields[] = {
	{ "description", FIELD_TEXT, false, NULL, NULL },
	{ "provisioningState", FIELD_READ_ONLY, false, NULL, NULL },
	{ "identifier", FIELD_READ_ONLY, false, NULL, NULL },
	{ "sharingStatus", FIELD_READ_ONLY, false, NULL, NULL },
};
static const struct schema gallery_properties =
	OPEN_FIELDS(gallery_properties_fields);

static const struct field version_fields[] = {
	{ "location", FIELD_LOCATION, true, NULL, NULL },
	{ "tags", FIELD_TEXTS, false, NULL, NULL },
	{ "properties", FIELD_OBJECT, true, NULL, &version_properties },
};
const struct schema schema_version = FIELDS(version_fields);

static const struct field profile_fields[] = {
	{ "location", FIELD_LOCATION, true, NULL, NULL },
	{ "tags", FIELD_TEXTS, false, NULL, NULL },
	{ "properties", FIELD_OBJECT, true, NULL, &profile_properties },
};
const struct schema schema_profile = FIELDS(profile_fields);

static const struct field gallery_fields[] = {
	{ "location", FIELD_LOCATION, true, NULL, NULL },
	{ "tags", FIELD_TEXTS, false, NULL, NULL },
	{ "properties", FIELD_OBJECT, false, NULL, &gallery_properties },
};
const struct schema schema_gallery = FIELDS(gallery_fields);

/* ---- virtual machine --------------------------------------------------- */

static const struct field disk_fields[] = {
	{ "osType", FIELD_WORD, false, schema_os_words, NULL },
};
static const struct schema disk = OPEN_FIELDS(disk_fields);

static const struct field storage_fields[] = {
	{ "osDisk", FIELD_OBJECT, false, NULL, &disk },
};
static const struct schema storage = OPEN_FIELDS(storage_fields);

/* the settings are read for themselves, and shown from what they came to */
static const struct field security_fields[] = {
	{ "proxyAgentSettings", FIELD_READ_ONLY, false, NULL, NULL },
};
static const struct schema security = OPEN_FIELDS(security_fields);

static const struct field vm_properties_fields[] = {
	{ "storageProfile", FIELD_OBJECT, false, NULL, &storage },
	{ "securityProfile", FIELD_OBJECT, false, NULL, &security },
	{ "vmId", FIELD_READ_ONLY, false, NULL, NULL },
	{ "provisioningState", FIELD_READ_ONLY, false, NULL, NULL },
	{ "instanceView", FIELD_READ_ONLY, false, NULL, NULL },
	{ "timeCreated", FIELD_READ_ONLY, false, NULL, NULL },
};
static const struct schema vm_properties = OPEN_FIELDS(vm_properties_fields);

static const struct field vm_fields[] = {
	{ "location", FIELD_LOCATION, false, NULL, NULL },
	{ "tags", FIELD_TEXTS, false, NULL, NULL },
	{ "properties", FIELD_OBJECT, false, NULL, &vm_properties },
	{ "id", FIELD_READ_ONLY, false, NULL, NULL },
	{ "name", FIELD_READ_ONLY, false, NULL, NULL },
	{ "type", FIELD_READ_ONLY, false, NULL, NULL },
	{ "etag", FIELD_READ_ONLY, false, NULL, NULL },
	{ "resources", FIELD_READ_ONLY, false, NULL, NULL },
};
const struct schema schema_vm = OPEN_FIELDS(vm_fields);

/* ---- copying ----------------------------------------------------------- */

/**
 * struct place - where in the document, for messages
 * @up:    what it is in, or NULL
 * @name:  of a member, or NULL for an element
 * @index: of an element
 */
struct place {
	const struct place *up;
	const char *name;
	size_t index;
};

static void place_text(struct buf *out, const struct place *at)
{
	if (!at)
		return;
	place_text(out, at->up);
	if (at->name)
		buf_format(out, "%s%s", out->len ? "." : "", at->name);
	else
		buf_format(out, "[%zu]", at->index);
}

static bool wrong(const struct place *at, const char *hint, struct refusal *r)
{
	struct buf name = { 0 };

	place_text(&name, at);
	refuse_value(r, name.data ? name.data : "", hint);
	buf_clear(&name);
	return false;
}

static bool missing(const struct place *at, struct refusal *r)
{
	struct buf name = { 0 };

	place_text(&name, at);
	if (name.data && !strcmp(name.data, "location"))
		refuse(r, 400, "LocationRequired",
		       "The location property is required for this "
		       "definition.");
	else
		refuse(r, 400, "InvalidParameter",
		       "Required parameter '%s' is missing (null).",
		       name.data ? name.data : "");
	buf_clear(&name);
	return false;
}

bool location_read(char out[LOCATION_MAX + 1], const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == ' ')
			continue;
		if (!isalnum(c) || n == LOCATION_MAX)
			return false;
		out[n++] = (char)tolower(c);
	}
	out[n] = '\0';
	return n > 0;
}

static bool copy_word(struct buf *out, const struct field *field, yajl_val node,
		      const struct place *at, struct refusal *r)
{
	const char *text = json_string(node);
	struct buf hint = { 0 };
	size_t i;

	for (i = 0; text && field->words[i]; i++) {
		if (!text_equal_nocase(text, strlen(text), field->words[i]))
			continue;
		buf_json_utf8(out, field->words[i]);
		return true;
	}
	for (i = 0; field->words[i]; i++)
		buf_format(&hint, "%s%s", i ? ", " : "Allowed are ",
			   field->words[i]);
	buf_text(&hint, ".");
	wrong(at, hint.data ? hint.data : "", r);
	buf_clear(&hint);
	return false;
}

static bool copy_location(struct buf *out, yajl_val node,
			  const struct place *at, struct refusal *r)
{
	const char *text = json_string(node);
	char location[LOCATION_MAX + 1];

	if (!text || !location_read(location, text))
		return wrong(at, "It must be the name of a region.", r);
	buf_json_utf8(out, location);
	return true;
}

static bool copy_texts(struct buf *out, yajl_val node, const struct place *at,
		       struct refusal *r)
{
	size_t i;

	if (!YAJL_IS_OBJECT(node))
		return wrong(at, "It must be an object of strings.", r);
	for (i = 0; i < node->u.object.len; i++) {
		struct place member = { at, node->u.object.keys[i], 0 };

		if (!YAJL_IS_STRING(node->u.object.values[i]))
			return wrong(&member, "It must be a string.", r);
	}
	json_write(out, node);
	return true;
}

static bool copy_names(struct buf *out, yajl_val node, const struct place *at,
		       struct refusal *r)
{
	size_t i;

	if (!YAJL_IS_ARRAY(node))
		return wrong(at, "It must be an array of strings.", r);
	for (i = 0; i < node->u.array.len; i++) {
		struct place element = { at, NULL, i };

		if (!YAJL_IS_STRING(node->u.array.values[i]))
			return wrong(&element, "It must be a string.", r);
	}
	json_write(out, node);
	return true;
}

static bool copy_object(struct buf *out, const struct schema *schema,
			yajl_val node, const struct place *at,
			struct refusal *r);

static bool copy_objects(struct buf *out, const struct schema *schema,
			 yajl_val node, const struct place *at,
			 struct refusal *r)
{
	size_t i;

	if (!YAJL_IS_ARRAY(node))
		return wrong(at, "It must be an array.", r);
	buf_text(out, "[");
	for (i = 0; i < node->u.array.len; i++) {
		struct place element = { at, NULL, i };

		buf_text(out, i ? "," : "");
		if (!copy_object(out, schema, node->u.array.values[i], &element,
				 r))
			return false;
	}
	buf_text(out, "]");
	return true;
}

static bool copy_field(struct buf *out, const struct field *field,
		       yajl_val node, const struct place *at, struct refusal *r)
{
	switch (field->kind) {
	case FIELD_TEXT:
		if (!YAJL_IS_STRING(node))
			return wrong(at, "It must be a string.", r);
		json_write(out, node);
		return true;
	case FIELD_BOOL:
		if (!YAJL_IS_TRUE(node) && !YAJL_IS_FALSE(node))
			return wrong(at, "It must be true or false.", r);
		json_write(out, node);
		return true;
	case FIELD_WORD:
		return copy_word(out, field, node, at, r);
	case FIELD_LOCATION:
		return copy_location(out, node, at, r);
	case FIELD_TEXTS:
		return copy_texts(out, node, at, r);
	case FIELD_NAMES:
		return copy_names(out, node, at, r);
	case FIELD_OBJECT:
		return copy_object(out, field->inner, node, at, r);
	case FIELD_OBJECTS:
		return copy_objects(out, field->inner, node, at, r);
	case FIELD_READ_ONLY:
		break;
	}
	return true;
}

static const struct field *field_named(const struct schema *schema,
				       const char *name)
{
	size_t i;

	for (i = 0; i < schema->n; i++)
		if (text_equal_nocase(name, strlen(name),
				      schema->fields[i].name))
			return &schema->fields[i];
	return NULL;
}

/* Twice in different letter case: which one counts cannot be told. */
static bool once(const struct field *field, yajl_val node,
		 const struct place *at, struct refusal *r)
{
	size_t i, n = 0;

	for (i = 0; i < node->u.object.len; i++) {
		const char *name = node->u.object.keys[i];

		n += text_equal_nocase(name, strlen(name), field->name);
	}
	return n <= 1 || wrong(at, "It is given twice.", r);
}

static void begin_member(struct buf *out, const char *name, size_t *n)
{
	buf_text(out, (*n)++ ? "," : "");
	buf_json_utf8(out, name);
	buf_text(out, ":");
}

static bool copy_object(struct buf *out, const struct schema *schema,
			yajl_val node, const struct place *at,
			struct refusal *r)
{
	size_t i, n = 0;

	if (!YAJL_IS_OBJECT(node))
		return wrong(at, "It must be an object.", r);
	buf_text(out, "{");
	for (i = 0; i < schema->n; i++) {
		const struct field *field = &schema->fields[i];
		yajl_val value = json_member(node, field->name);
		struct place member = { at, field->name, 0 };

		if (!once(field, node, &member, r))
			return false;
		if (!tree_has(value) && field->required)
			return missing(&member, r);
		if (!tree_has(value) || field->kind == FIELD_READ_ONLY)
			continue;
		begin_member(out, field->name, &n);
		if (!copy_field(out, field, value, &member, r))
			return false;
	}
	for (i = 0; schema->open && i < node->u.object.len; i++) {
		const char *name = node->u.object.keys[i];

		if (field_named(schema, name) ||
		    YAJL_IS_NULL(node->u.object.values[i]))
			continue;
		begin_member(out, name, &n);
		json_write(out, node->u.object.values[i]);
	}
	buf_text(out, "}");
	return true;
}

bool schema_copy(struct buf *out, const struct schema *schema, yajl_val node,
		 struct refusal *r)
{
	return copy_object(out, schema, node, NULL, r) &&
	       (!out->failed || refuse_memory(r));
}
