/* SPDX-License-Identifier: MIT */
/*
 * In:  resources already checked, or what a state file says of them.
 * Out: the same, found by id; one JSON object to keep them in.
 * Never: grows past ARM_RESOURCES_MAX and ARM_BYTES_MAX.
 */
#include "arm/store.h"

#include "base/json.h"
#include "emulator.h"
#include "vm/vms.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct arm *arm_new(void)
{
	return calloc(1, sizeof(struct arm));
}

static void resource_free(struct resource *resource)
{
	free(resource->id);
	buf_clear(&resource->body);
	free(resource);
}

void arm_free(struct arm *arm)
{
	if (!arm)
		return;
	while (arm->first)
		resource_remove(arm, arm->first);
	names_clear(&arm->regions);
	names_clear(&arm->subscriptions);
	free(arm);
}

/* ---- names ------------------------------------------------------------- */

bool names_have(const struct names *names, const char *name)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (!strcasecmp(names->list[i], name))
			return true;
	return false;
}

void names_clear(struct names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
	memset(names, 0, sizeof(*names));
}

static char *read_name(const char *text, bool region)
{
	char location[LOCATION_MAX + 1];

	if (!text || !*text || strlen(text) > LOCATION_MAX)
		return NULL;
	if (!region)
		return strdup(text);
	return location_read(location, text) ? strdup(location) : NULL;
}

bool names_read(struct names *out, yajl_val node, bool regions)
{
	size_t i;

	if (!tree_has(node))
		return true;
	if (!YAJL_IS_ARRAY(node) || node->u.array.len > NAMES_MAX)
		return false;
	out->list = calloc(node->u.array.len + 1, sizeof(*out->list));
	if (!out->list)
		return false;
	for (i = 0; i < node->u.array.len; i++) {
		yajl_val value = node->u.array.values[i];

		out->list[i] = read_name(json_string(value), regions);
		if (!out->list[i]) {
			names_clear(out);
			return false;
		}
		out->n++;
	}
	return true;
}

void names_write(struct buf *out, const struct names *names)
{
	size_t i;

	buf_text(out, "[");
	for (i = 0; i < names->n; i++) {
		buf_text(out, i ? "," : "");
		buf_json_utf8(out, names->list[i]);
	}
	buf_text(out, "]");
}

/* ---- resources --------------------------------------------------------- */

struct resource *resource_find(const struct arm *arm, const char *id)
{
	struct resource *resource;

	for (resource = arm->first; resource; resource = resource->next)
		if (!strcasecmp(resource->id, id))
			return resource;
	return NULL;
}

struct resource *resource_add(struct arm *arm, enum arm_type type,
			      const char *id)
{
	struct resource *resource = calloc(1, sizeof(*resource));
	struct resource **end = &arm->first;

	if (!resource)
		return NULL;
	resource->type = type;
	resource->id = strdup(id);
	if (!resource->id) {
		free(resource);
		return NULL;
	}
	while (*end)
		end = &(*end)->next;
	*end = resource;
	arm->n++;
	return resource;
}

void resource_remove(struct arm *arm, struct resource *resource)
{
	struct resource **p = &arm->first;

	while (*p != resource)
		p = &(*p)->next;
	*p = resource->next;
	arm->n--;
	resource_free(resource);
}

const struct schema *resource_schema(enum arm_type type)
{
	if (type == ARM_VERSION)
		return &schema_version;
	return type == ARM_PROFILE ? &schema_profile : &schema_gallery;
}

yajl_val resource_tree(const struct resource *resource)
{
	return json_tree(resource->body.data, resource->body.len, NULL);
}

bool arm_room(const struct emulator *emu, size_t more)
{
	const struct resource *resource;
	const struct vm *vm;
	size_t total = more;
	unsigned int i;

	for (resource = emu->arm->first; resource; resource = resource->next)
		total += resource->body.len;
	for (vm = emu->vms->first; vm; vm = vm->next) {
		total += vm->model.len + vm->raw_status.len;
		for (i = 0; i < ITEMS; i++)
			total += vm->items[i].json.len +
				 vm->items[i].reference.len;
	}
	return total <= ARM_BYTES_MAX;
}

/* ---- state ------------------------------------------------------------- */

void arm_save(const struct arm *arm, struct buf *out)
{
	const struct resource *resource;

	buf_text(out, "{\"regionsWithout\":");
	names_write(out, &arm->regions);
	buf_text(out, ",\"subscriptionsWithout\":");
	names_write(out, &arm->subscriptions);
	buf_text(out, ",\"resources\":[");
	for (resource = arm->first; resource; resource = resource->next) {
		buf_text(out, resource == arm->first ? "" : ",");
		buf_text(out, "{\"id\":");
		buf_json_utf8(out, resource->id);
		buf_format(out, ",\"published\":%lld,\"body\":",
			   (long long)resource->published);
		buf_add(out, resource->body.data, resource->body.len);
		buf_text(out, "}");
	}
	buf_text(out, "]}");
}

/* Those around it come first, because they were made first. */
static bool has_parent(const struct arm *arm, const struct arm_path *path)
{
	struct arm_path parent = *path;
	struct buf id = { 0 };
	bool found;

	if (path->type == ARM_GALLERY)
		return true;
	parent.type = path->type == ARM_VERSION ? ARM_PROFILE : ARM_GALLERY;
	arm_path_id(&parent, &id);
	found = !id.failed && resource_find(arm, id.data);
	buf_clear(&id);
	return found;
}

static bool load_body(struct arm *arm, const struct arm_path *path,
		      yajl_val entry, const char *id)
{
	yajl_val published = json_member(entry, "published");
	struct refusal r = { 0 };
	struct resource *resource;
	bool ok;

	if (!YAJL_IS_INTEGER(published) || arm->n == ARM_RESOURCES_MAX ||
	    resource_find(arm, id) || !has_parent(arm, path))
		return false;
	resource = resource_add(arm, path->type, id);
	if (!resource)
		return false;
	resource->published = YAJL_GET_INTEGER(published);
	ok = schema_copy(&resource->body, resource_schema(path->type),
			 json_member(entry, "body"), &r);
	refusal_clear(&r);
	return ok;
}

static bool load_resource(struct arm *arm, yajl_val entry)
{
	const char *text = json_string(json_member(entry, "id"));
	struct arm_path path = { 0 };
	struct refusal r = { 0 };
	struct buf id = { 0 };
	bool ok;

	if (!text)
		return false;
	ok = arm_path_read(&path, text, &r) && !path.list &&
	     path.type != ARM_VM;
	if (ok) {
		arm_path_id(&path, &id);
		ok = !id.failed && load_body(arm, &path, entry, id.data);
	}
	buf_clear(&id);
	arm_path_clear(&path);
	refusal_clear(&r);
	return ok;
}

bool arm_load(struct arm *arm, yajl_val from)
{
	yajl_val list = json_member(from, "resources");
	size_t i;

	if (!YAJL_IS_ARRAY(list) ||
	    !names_read(&arm->regions, json_member(from, "regionsWithout"),
			true) ||
	    !names_read(&arm->subscriptions,
			json_member(from, "subscriptionsWithout"), false))
		return false;
	for (i = 0; i < list->u.array.len; i++)
		if (!load_resource(arm, list->u.array.values[i]))
			return false;
	return true;
}
