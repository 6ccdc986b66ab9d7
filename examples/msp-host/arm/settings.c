/* SPDX-License-Identifier: MIT */
/*
 * In:  what an owner writes into proxyAgentSettings, in either version.
 * Out: what that means for each endpoint; what a VM has, written the same way.
 * Never: looks at galleries; whether a reference leads anywhere is resolve.h.
 */
#include "arm/settings.h"

#include <stdio.h>
#include <string.h>

#define SETTINGS   "properties.securityProfile.proxyAgentSettings"
#define REFERENCE  "inVMAccessControlProfileReferenceId"
#define PARAMETER  "securityProfile.proxyAgentSettings."
#define ENDPOINT   "HostEndpointSettings"
#define NO_SETTING "ProxyAgentSettings"

/**
 * struct known - a member and the API that brought it
 */
struct known {
	const char *name;
	const char *since;
};

static const struct known settings_members[] = {
	{ "enabled", API_FIRST },
	{ "mode", API_FIRST },
	{ "keyIncarnationId", API_FIRST },
	{ "wireServer", API_ENDPOINTS },
	{ "imds", API_ENDPOINTS },
	{ "addProxyAgentExtension", API_EXTENSION },
};
#define SETTINGS_MEMBERS                                                       \
	(sizeof(settings_members) / sizeof(settings_members[0]))

static const struct known endpoint_members[] = {
	{ "mode", API_ENDPOINTS },
	{ REFERENCE, API_ENDPOINTS },
};
#define ENDPOINT_MEMBERS                                                       \
	(sizeof(endpoint_members) / sizeof(endpoint_members[0]))

static size_t times_named(yajl_val node, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < node->u.object.len; i++) {
		const char *key = node->u.object.keys[i];

		n += text_equal_nocase(key, strlen(key), name);
	}
	return n;
}

/* A misspelled setting must not look as if it had been set; nor one that this
 * version of the API does not have. */
static bool check_members(yajl_val node, const struct known *known, size_t n,
			  const char *type, const char *where, const char *api,
			  struct refusal *r)
{
	size_t i, k;

	for (i = 0; i < node->u.object.len; i++) {
		const char *key = node->u.object.keys[i];

		for (k = 0; k < n; k++)
			if (text_equal_nocase(key, strlen(key), known[k].name))
				break;
		if (k == n || strcmp(api, known[k].since) < 0)
			return refuse(r, 400, "BadRequest",
				      "Could not find member '%s' on object "
				      "of type '%s'. Path '%s.%s'.",
				      key, type, where, key);
		if (times_named(node, known[k].name) > 1)
			return refuse(r, 400, "BadRequest",
				      "Property '%s' is given twice. Path "
				      "'%s.%s'.",
				      known[k].name, where, key);
	}
	return true;
}

/* An object, or nothing: NULL. False and refused if it is something else. */
static bool object_of(yajl_val *out, yajl_val node, const char *name,
		      const char *where, struct refusal *r)
{
	*out = json_member(node, name);
	if (!tree_has(*out)) {
		*out = NULL;
		return true;
	}
	return YAJL_IS_OBJECT(*out) ||
	       refuse_value(r, where, "It must be an object.");
}

static bool read_bool(bool *out, yajl_val node, const char *name,
		      struct refusal *r)
{
	yajl_val value = json_member(node, name);
	char where[96];

	if (!value)
		return true;
	if (YAJL_IS_TRUE(value) || YAJL_IS_FALSE(value) ||
	    YAJL_IS_NULL(value)) {
		*out = YAJL_IS_TRUE(value);
		return true;
	}
	snprintf(where, sizeof(where), PARAMETER "%s", name);
	return refuse_value(r, where, "It must be true or false.");
}

static bool read_mode(enum msp_mode *out, yajl_val value)
{
	const char *text = json_string(value);

	return text && vm_mode_named(text, strlen(text), out);
}

/* The first version: one word for both endpoints. It has no Disabled. */
static bool read_legacy(struct settings *out, yajl_val node, struct refusal *r)
{
	yajl_val value = json_member(node, "mode");
	enum msp_mode mode = MSP_MODE_ENFORCE;
	unsigned int i;

	if (value)
		out->legacy = NULL;
	if (!tree_has(value))
		return true;
	if (!read_mode(&mode, value) || mode == MSP_MODE_DISABLED)
		return refuse_mode(r, NULL);
	out->legacy = mode == MSP_MODE_AUDIT ? "Audit" : "Enforce";
	for (i = 0; i < ITEMS; i++) {
		out->items[i].set = true;
		out->items[i].mode = mode;
		out->items[i].reference = NULL;
	}
	return true;
}

/* Only ever up: the number shows whether a reset has been done. */
static bool read_incarnation(struct settings *out, yajl_val node,
			     struct refusal *r)
{
	yajl_val value = json_member(node, "keyIncarnationId");

	if (!tree_has(value))
		return true;
	if (!YAJL_IS_INTEGER(value) || YAJL_GET_INTEGER(value) > INT32_MAX)
		return refuse_value(r, PARAMETER "keyIncarnationId",
				    "It must be a whole number of 31 bits.");
	if (YAJL_GET_INTEGER(value) < 0)
		return refuse_incarnation(r);
	out->raised = true;
	out->incarnation = (uint32_t)YAJL_GET_INTEGER(value);
	return true;
}

static void set_default(struct setting *out, enum item item)
{
	out->set = true;
	out->mode = item == ITEM_IMDS ? MSP_MODE_DISABLED : MSP_MODE_ENFORCE;
	out->reference = NULL;
}

static bool read_endpoint_object(struct setting *out, enum item item,
				 yajl_val node, const char *api,
				 struct refusal *r)
{
	yajl_val mode = json_member(node, "mode");
	yajl_val reference = json_member(node, REFERENCE);
	char where[96];

	snprintf(where, sizeof(where), SETTINGS ".%s", item_member(item));
	if (!check_members(node, endpoint_members, ENDPOINT_MEMBERS, ENDPOINT,
			   where, api, r))
		return false;
	if (tree_has(mode) && tree_has(reference))
		return refuse_both(r, item);
	/* one takes the other's place, also when it was there before */
	if (tree_has(mode)) {
		out->set = true;
		out->reference = NULL;
		return read_mode(&out->mode, mode) || refuse_mode(r, &item);
	}
	if (tree_has(reference)) {
		out->set = true;
		out->reference = json_string(reference);
		return out->reference || refuse_reference(r, "");
	}
	if (mode || reference)
		set_default(out, item);
	return true;
}

static bool read_endpoint(struct setting *out, enum item item, yajl_val node,
			  const char *api, struct refusal *r)
{
	const char *name = item_member(item);
	yajl_val value;
	char where[96];

	snprintf(where, sizeof(where), PARAMETER "%s", name);
	if (!object_of(&value, node, name, where, r))
		return false;
	if (value)
		return read_endpoint_object(out, item, value, api, r);
	if (json_member(node, name))
		set_default(out, item);
	return true;
}

static bool read_all(struct settings *out, yajl_val node, const char *api,
		     struct refusal *r)
{
	yajl_val enabled = json_member(node, "enabled");

	out->enables = YAJL_IS_TRUE(enabled);
	return check_members(node, settings_members, SETTINGS_MEMBERS,
			     NO_SETTING, SETTINGS, api, r) &&
	       read_bool(&out->enabled, node, "enabled", r) &&
	       read_bool(&out->extension, node, "addProxyAgentExtension", r) &&
	       read_legacy(out, node, r) && read_incarnation(out, node, r) &&
	       read_endpoint(&out->items[ITEM_WIRESERVER], ITEM_WIRESERVER,
			     node, api, r) &&
	       read_endpoint(&out->items[ITEM_IMDS], ITEM_IMDS, node, api, r);
}

static void set_defaults(struct settings *out)
{
	memset(out, 0, sizeof(*out));
	set_default(&out->items[ITEM_WIRESERVER], ITEM_WIRESERVER);
	set_default(&out->items[ITEM_IMDS], ITEM_IMDS);
}

/* The settings in a body. A null above them, or in their place, takes them
 * away, which in a PATCH is to be told from not speaking of them. */
static bool find(yajl_val *out, bool *removed, yajl_val body, struct refusal *r)
{
	static const char *const names[] = { "properties", "securityProfile",
					     "proxyAgentSettings" };
	yajl_val node = body;
	size_t i;

	*removed = false;
	for (i = 0; node && i < 3; i++) {
		*removed = YAJL_IS_NULL(json_member(node, names[i]));
		if (!object_of(&node, node, names[i], names[i], r))
			return false;
	}
	*out = node;
	return true;
}

bool settings_read(struct settings *out, yajl_val body, const struct vm *vm,
		   const char *api, struct refusal *r)
{
	bool removed;
	yajl_val node;

	set_defaults(out);
	if (!find(&node, &removed, body, r))
		return false;
	if (vm && !removed) {
		out->enabled = vm->enabled;
		out->extension = vm->extension;
		out->legacy = vm->legacy_mode;
		memset(out->items, 0, sizeof(out->items));
	}
	return !node || read_all(out, node, api, r);
}

/* ---- and back ---------------------------------------------------------- */

static const char *mode_text(enum msp_mode mode)
{
	if (mode == MSP_MODE_AUDIT)
		return "Audit";
	return mode == MSP_MODE_DISABLED ? "Disabled" : "Enforce";
}

static void write_endpoint(struct buf *out, const struct vm *vm, enum item item)
{
	const struct vm_item *it = &vm->items[item];

	buf_format(out, ",\"%s\":{", item_member(item));
	if (it->reference.len) {
		buf_text(out, "\"" REFERENCE "\":");
		buf_json_utf8(out, it->reference.data);
	} else {
		buf_format(out, "\"mode\":\"%s\"", mode_text(it->mode));
	}
	buf_text(out, "}");
}

void settings_write(struct buf *out, const struct vm *vm, const char *api)
{
	buf_format(out, "{\"enabled\":%s", vm->enabled ? "true" : "false");
	if (vm->legacy_mode)
		buf_format(out, ",\"mode\":\"%s\"", vm->legacy_mode);
	buf_format(out, ",\"keyIncarnationId\":%u", vm->incarnation);
	if (strcmp(api, API_ENDPOINTS) >= 0) {
		write_endpoint(out, vm, ITEM_WIRESERVER);
		write_endpoint(out, vm, ITEM_IMDS);
	}
	if (strcmp(api, API_EXTENSION) >= 0)
		buf_format(out, ",\"addProxyAgentExtension\":%s",
			   vm->extension ? "true" : "false");
	buf_text(out, "}");
}
