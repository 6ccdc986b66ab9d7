/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on galleries, profiles and versions.
 * Out: the resources changed, with what the VMs have of them, and shown.
 * Never: a version changed for some of the VMs that refer to it.
 */
#include "arm/gallery.h"

#include "arm/linked.h"
#include "arm/store.h"
#include "arm/view.h"
#include "emulator.h"
#include "vm/state.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define JSON_TYPE "application/json; charset=utf-8"
/* Ids of nested resources a refused DELETE names, as many as Azure does. */
#define NESTED_NAMED 5

/* ---- showing ----------------------------------------------------------- */

static void write_fixed(struct buf *out, const struct resource *resource)
{
	const char *name = strrchr(resource->id, '/') + 1;

	buf_text(out, "{\"id\":");
	buf_json_utf8(out, resource->id);
	buf_text(out, ",\"name\":");
	buf_json_utf8(out, name);
	buf_format(out,
		   ",\"type\":\"%s\",\"location\":\"\",\"properties\":{"
		   "\"provisioningState\":\"Succeeded\"",
		   arm_type_name(resource->type));
	if (resource->type == ARM_VERSION) {
		buf_text(out, ",\"publishedDate\":");
		view_time(out, resource->published);
		buf_text(out, ",\"replicationStatus\":{\"aggregatedState\":"
			      "\"Completed\"}");
	}
	buf_text(out, "}}");
}

static void write_resource(struct buf *out, const struct resource *resource)
{
	struct buf fixed = { 0 };

	write_fixed(&fixed, resource);
	if (fixed.failed || !tree_merge_texts(out, &fixed, &resource->body))
		out->failed = true;
	buf_clear(&fixed);
}

static void show(struct call *call, const struct resource *resource,
		 unsigned int status)
{
	call->reply.status = status;
	call->reply.type = JSON_TYPE;
	write_resource(&call->reply.body, resource);
}

/* Directly below prefix, which ends in the word for the type. */
static bool is_listed(const struct resource *resource, const char *prefix)
{
	return arm_id_above(prefix, resource->id) &&
	       !strchr(resource->id + strlen(prefix) + 1, '/');
}

static void list(struct call *call, const char *prefix)
{
	struct buf *out = &call->reply.body;
	const struct resource *resource;
	const char *comma = "";

	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_text(out, "{\"value\":[");
	for (resource = call->emu->arm->first; resource;
	     resource = resource->next) {
		if (!is_listed(resource, prefix))
			continue;
		buf_text(out, comma);
		write_resource(out, resource);
		comma = ",";
	}
	buf_text(out, "]}");
}

/* ---- changing ---------------------------------------------------------- */

/**
 * struct draft - a resource as it shall be
 * @resource: as it is, or NULL
 * @body:     as it shall be
 */
struct draft {
	struct resource *resource;
	struct buf body;
};

static bool same_member(yajl_val a, yajl_val b, const char *name)
{
	const char *x =
		json_string(json_member(json_member(a, "properties"), name));
	const char *y =
		json_string(json_member(json_member(b, "properties"), name));

	return x && y && !strcmp(x, y);
}

/* What a profile is for stays: the VMs that refer to it were checked for it.
 * And nothing moves to another region. */
static bool check_fixed(const struct draft *draft, struct refusal *r)
{
	static const char *const fixed[] = { "osType",
					     "applicableHostEndpoint" };
	yajl_val a = resource_tree(draft->resource);
	yajl_val b = json_tree(draft->body.data, draft->body.len, NULL);
	const char *old = json_string(json_member(a, "location"));
	const char *new = json_string(json_member(b, "location"));
	size_t i;

	if (!old || !new)
		refuse_memory(r);
	else if (strcmp(old, new))
		refuse(r, 409, "InvalidResourceLocation",
		       "The resource '%s' already exists in location '%s'. A "
		       "resource with the same name cannot be created in "
		       "location '%s'. Please select a new resource name.",
		       strrchr(draft->resource->id, '/') + 1, old, new);
	for (i = 0; draft->resource->type == ARM_PROFILE && i < 2; i++)
		if (!same_member(a, b, fixed[i]))
			refuse(r, 409, "PropertyChangeNotAllowed",
			       "Changing property '%s' is not allowed.",
			       fixed[i]);
	yajl_tree_free(a);
	yajl_tree_free(b);
	return !r->status;
}

static bool read_body(struct draft *draft, const struct call *call,
		      enum arm_type type, struct refusal *r)
{
	const struct schema *schema = resource_schema(type);
	yajl_val tree = tree_body(call, r), whole;
	struct buf text = { 0 };

	if (!tree)
		return false;
	if (!call_method(call, "PATCH")) {
		schema_copy(&draft->body, schema, tree, r);
		yajl_tree_free(tree);
		return !r->status;
	}
	whole = resource_tree(draft->resource);
	if (whole)
		tree_merge(&text, whole, tree);
	yajl_tree_free(whole);
	yajl_tree_free(tree);
	tree = text.failed || !text.len ? NULL
					: json_tree(text.data, text.len, NULL);
	if (tree)
		schema_copy(&draft->body, schema, tree, r);
	else
		refuse_memory(r);
	yajl_tree_free(tree);
	buf_clear(&text);
	return !r->status;
}

static bool check_limits(const struct call *call, const struct draft *draft,
			 struct refusal *r)
{
	if (!draft->resource && call->emu->arm->n >= ARM_RESOURCES_MAX)
		return refuse_room(r);
	return arm_room(call->emu, draft->body.len) || refuse_room(r);
}

/* Swap in, together with what the VMs have of it, and write it down. */
static bool store(struct call *call, struct draft *draft, struct refusal *r)
{
	struct buf old = draft->resource->body;
	struct linked linked = { 0 };
	bool ok = true;

	draft->resource->body = draft->body;
	draft->body = old;
	if (draft->resource->type == ARM_VERSION)
		ok = linked_change(&linked, call->emu, draft->resource, r);
	if (ok && !state_save(call->emu))
		ok = refuse_state(r);
	if (ok) {
		linked_keep(&linked);
		return true;
	}
	linked_undo(&linked);
	old = draft->resource->body;
	draft->resource->body = draft->body;
	draft->body = old;
	return false;
}

static bool create(struct call *call, const struct arm_path *path,
		   const char *id, struct draft *draft, struct refusal *r)
{
	struct arm *arm = call->emu->arm;

	draft->resource = resource_add(arm, path->type, id);
	if (!draft->resource)
		return refuse_memory(r);
	draft->resource->published = call->now;
	if (store(call, draft, r))
		return true;
	resource_remove(arm, draft->resource);
	draft->resource = NULL;
	return false;
}

static void put(struct call *call, const struct arm_path *path, const char *id,
		struct resource *resource, struct refusal *r)
{
	struct draft draft = { .resource = resource };

	if (read_body(&draft, call, path->type, r) &&
	    (!resource || check_fixed(&draft, r)) &&
	    check_limits(call, &draft, r)) {
		if (!resource)
			create(call, path, id, &draft, r);
		else
			store(call, &draft, r);
	}
	if (!r->status)
		show(call, draft.resource, resource ? 200 : 201);
	buf_clear(&draft.body);
}

/* ---- deleting ---------------------------------------------------------- */

static bool check_empty(const struct arm *arm, const struct resource *resource,
			struct refusal *r)
{
	const struct resource *other;
	struct buf names = { 0 };
	size_t n = 0;

	for (other = arm->first; other; other = other->next) {
		if (!arm_id_above(resource->id, other->id) || n == NESTED_NAMED)
			continue;
		buf_format(&names, "%s%s", n++ ? ", " : "",
			   strstr(other->id, "Microsoft.Compute"));
	}
	if (n)
		refuse(r, 409, "CannotDeleteResource",
		       "Cannot delete resource while nested resources exist. "
		       "Some existing nested resource IDs include: '%s'. "
		       "Please delete all nested resources before deleting "
		       "this resource.",
		       names.data ? names.data : "");
	buf_clear(&names);
	return !n;
}

/* Out of the list and, if that cannot be written down, back to its place. */
static bool unlink_saved(struct emulator *emu, struct resource *resource)
{
	struct resource **p = &emu->arm->first;

	while (*p != resource)
		p = &(*p)->next;
	*p = resource->next;
	if (state_save(emu)) {
		*p = resource;
		resource_remove(emu->arm, resource);
		return true;
	}
	*p = resource;
	return false;
}

static void delete (struct call *call, struct resource *resource,
		    struct refusal *r)
{
	const struct vm *vm;

	call->reply.status = 204;
	if (!resource || !check_empty(call->emu->arm, resource, r))
		return;
	vm = linked_user(call->emu, resource->id);
	if (vm) {
		refuse(r, 409, "Conflict",
		       "The resource '%s' is in use by virtual machine '%s'.",
		       strrchr(resource->id, '/') + 1, vm->who.name);
		return;
	}
	if (unlink_saved(call->emu, resource))
		call->reply.status = 200;
	else
		refuse_state(r);
}

/* ---- one call ---------------------------------------------------------- */

static bool check_parent(const struct arm *arm, const struct arm_path *path,
			 struct refusal *r)
{
	struct arm_path parent = *path;
	struct buf id = { 0 };
	bool found;

	if (path->type == ARM_GALLERY)
		return true;
	parent.list = false;
	parent.type = path->type == ARM_VERSION ? ARM_PROFILE : ARM_GALLERY;
	arm_path_id(&parent, &id);
	found = !id.failed && resource_find(arm, id.data);
	buf_clear(&id);
	return found || refuse(r, 404, "ParentResourceNotFound",
			       "Can not perform requested operation on nested "
			       "resource. Parent resource '%s' not found.",
			       arm_path_name(&parent));
}

static void dispatch(struct call *call, const struct arm_path *path,
		     const char *id, struct refusal *r)
{
	struct resource *resource = resource_find(call->emu->arm, id);

	if (call_method(call, "DELETE")) {
		delete (call, resource, r);
		return;
	}
	if (!check_parent(call->emu->arm, path, r))
		return;
	if (path->list)
		list(call, id);
	else if (call_method(call, "PUT"))
		put(call, path, id, resource, r);
	else if (!resource)
		refuse_not_found(r, path);
	else if (call_method(call, "PATCH"))
		put(call, path, id, resource, r);
	else
		show(call, resource, 200);
}

void gallery_call(struct call *call, const struct arm_path *path)
{
	struct refusal r = { 0 };
	struct buf id = { 0 };

	arm_path_id(path, &id);
	if (id.failed)
		refuse_memory(&r);
	else
		dispatch(call, path, id.data, &r);
	if (r.status)
		refusal_answer(call, &r);
	buf_clear(&id);
	refusal_clear(&r);
}
