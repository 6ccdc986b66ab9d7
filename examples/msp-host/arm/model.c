/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on virtual machines.
 * Out: the VM as its model says, and the model as the VM is.
 * Never: a VM half changed: all is checked and at hand before the first
 *        field moves, and moves back if it cannot be written down.
 */
#include "arm/model.h"

#include "arm/resolve.h"
#include "arm/schema.h"
#include "arm/settings.h"
#include "arm/view.h"
#include "emulator.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JSON_TYPE "application/json; charset=utf-8"

/* ---- showing ----------------------------------------------------------- */

static void write_fixed(struct buf *out, const struct vm *vm, const char *api,
			const char *view)
{
	struct arm_path path = { .type = ARM_VM,
				 .subscription = vm->who.subscription,
				 .group = vm->who.group,
				 .names = { vm->who.name } };
	struct buf id = { 0 };

	arm_path_id(&path, &id);
	buf_text(out, "{\"id\":");
	buf_json_utf8(out, id.failed ? "" : id.data);
	buf_text(out, ",\"name\":");
	buf_json_utf8(out, vm->who.name);
	buf_format(out,
		   ",\"type\":\"%s\",\"location\":", arm_type_name(ARM_VM));
	buf_json_utf8(out, vm->who.location);
	buf_format(out,
		   ",\"properties\":{\"vmId\":\"%s\",\"provisioningState\":"
		   "\"Succeeded\",\"storageProfile\":{\"osDisk\":{\"osType\":"
		   "\"%s\"}},\"securityProfile\":{\"proxyAgentSettings\":",
		   vm->who.id, vm->who.os);
	settings_write(out, vm, api);
	buf_text(out, "}");
	if (view)
		buf_format(out, ",\"instanceView\":%s", view);
	buf_text(out, "}}");
	out->failed |= id.failed;
	buf_clear(&id);
}

static void write_vm(struct buf *out, const struct vm *vm, const char *api,
		     const char *view)
{
	struct buf fixed = { 0 };

	write_fixed(&fixed, vm, api, view);
	if (fixed.failed || !tree_merge_texts(out, &fixed, &vm->model))
		out->failed = true;
	buf_clear(&fixed);
}

static bool wants_view(const struct call *call)
{
	struct buf value = { 0 };
	bool wants;

	wants = text_query(call->query, "$expand", &value) &&
		text_equal_nocase(value.data, value.len, "instanceView");
	buf_clear(&value);
	return wants;
}

static void show(struct call *call, const struct vm *vm, const char *api,
		 unsigned int status)
{
	struct buf view = { 0 };

	call->reply.status = status;
	call->reply.type = JSON_TYPE;
	if (wants_view(call))
		view_write(&view, vm, call->now);
	write_vm(&call->reply.body, vm, api, view.failed ? NULL : view.data);
	call->reply.body.failed |= view.failed;
	buf_clear(&view);
}

static bool is_in(const struct vm *vm, const struct arm_path *path)
{
	return !strcasecmp(vm->who.subscription, path->subscription) &&
	       !strcasecmp(vm->who.group, path->group);
}

static void list(struct call *call, const struct arm_path *path,
		 const char *api)
{
	struct buf *out = &call->reply.body;
	const char *comma = "";
	const struct vm *vm;

	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_text(out, "{\"value\":[");
	for (vm = call->emu->vms->first; vm; vm = vm->next) {
		if (!is_in(vm, path))
			continue;
		buf_text(out, comma);
		write_vm(out, vm, api, NULL);
		comma = ",";
	}
	buf_text(out, "]}");
}

/* ---- what a call wants ------------------------------------------------- */

/**
 * struct draft - a VM as it shall be
 * @vm:           as it is, or NULL
 * @path:         what it is called
 * @location:     region
 * @os:           a constant
 * @model:        without what is read-only
 * @settings:     their references point into @tree
 * @wire:         rules of a reference
 * @tree:         of the body
 */
struct draft {
	struct vm *vm;
	const struct arm_path *path;
	char location[LOCATION_MAX + 1];
	const char *os;
	struct buf model;
	struct settings settings;
	struct buf wire[ITEMS];
	yajl_val tree;
};

static void draft_clear(struct draft *draft)
{
	unsigned int i;

	buf_clear(&draft->model);
	for (i = 0; i < ITEMS; i++)
		buf_clear(&draft->wire[i]);
	yajl_tree_free(draft->tree);
}

/* What has been put stays where it is; what never was put is taken as it
 * comes. */
static bool read_location(struct draft *draft, yajl_val model,
			  struct refusal *r)
{
	const char *text = json_string(json_member(model, "location"));
	const struct vm *vm = draft->vm;

	if (!text && !vm)
		return refuse(r, 400, "LocationRequired",
			      "The location property is required for this "
			      "definition.");
	if (text && vm && vm->model.len && strcmp(text, vm->who.location))
		return refuse(r, 409, "InvalidResourceLocation",
			      "The resource '%s' already exists in location "
			      "'%s' in resource group '%s'. A resource with "
			      "the same name cannot be created in location "
			      "'%s'. Please select a new resource name.",
			      vm->who.name, vm->who.location, vm->who.group,
			      text);
	snprintf(draft->location, sizeof(draft->location), "%s",
		 text ? text : vm->who.location);
	return true;
}

static bool read_os(struct draft *draft, yajl_val model, struct refusal *r)
{
	yajl_val properties = json_member(model, "properties");
	yajl_val disk = json_member(json_member(properties, "storageProfile"),
				    "osDisk");
	const char *text = json_string(json_member(disk, "osType"));
	const struct vm *vm = draft->vm;

	draft->os = vm ? vm->who.os : "Linux";
	if (!text)
		return true;
	if (vm && vm->model.len && strcmp(text, vm->who.os))
		return refuse(r, 409, "PropertyChangeNotAllowed",
			      "Changing property 'osDisk.osType' is not "
			      "allowed.");
	draft->os = strcmp(text, "Windows") ? "Linux" : "Windows";
	return true;
}

/* The owner's part of the model, checked. */
static bool read_model(struct draft *draft, bool patch, struct refusal *r)
{
	struct buf given = { 0 }, merged = { 0 };
	yajl_val whole = draft->tree, model;

	if (patch) {
		json_write(&given, draft->tree);
		whole = tree_merge_texts(&merged, &draft->vm->model, &given)
				? json_tree(merged.data, merged.len, NULL)
				: NULL;
		if (!whole)
			refuse_memory(r);
	}
	if (whole)
		schema_copy(&draft->model, &schema_vm, whole, r);
	if (patch)
		yajl_tree_free(whole);
	buf_clear(&given);
	buf_clear(&merged);
	if (r->status)
		return false;
	model = json_tree(draft->model.data, draft->model.len, NULL);
	if (!model)
		return refuse_memory(r);
	if (read_location(draft, model, r))
		read_os(draft, model, r);
	yajl_tree_free(model);
	return !r->status;
}

static bool check_incarnation(const struct draft *draft, struct refusal *r)
{
	const struct settings *settings = &draft->settings;

	return !settings->raised || !draft->vm ||
	       settings->incarnation >= draft->vm->incarnation ||
	       refuse_incarnation(r);
}

static bool check_platform(const struct call *call, const struct draft *draft,
			   struct refusal *r)
{
	const struct arm *arm = call->emu->arm;

	if (!draft->settings.enables)
		return true;
	if (names_have(&arm->regions, draft->location))
		return refuse_region(r);
	return !names_have(&arm->subscriptions, draft->path->subscription) ||
	       refuse_subscription(r);
}

static bool resolve_items(const struct call *call, struct draft *draft,
			  struct refusal *r)
{
	unsigned int i;

	for (i = 0; i < ITEMS; i++) {
		const char *reference = draft->settings.items[i].reference;
		struct referrer who = { draft->location, draft->os,
					(enum item)i };

		if (reference && !resolve(call->emu->arm, &who, reference,
					  &draft->wire[i], r))
			return false;
	}
	return true;
}

static bool check_room(const struct call *call, const struct draft *draft,
		       struct refusal *r)
{
	return arm_room(call->emu, draft->model.len +
					   draft->wire[ITEM_WIRESERVER].len +
					   draft->wire[ITEM_IMDS].len) ||
	       refuse_room(r);
}

/* First what is wrong in itself, then what the platform minds, then what
 * depends on other resources. */
static bool draft_read(struct draft *draft, const struct call *call,
		       const char *api, struct refusal *r)
{
	bool patch = call_method(call, "PATCH");

	draft->tree = tree_body(call, r);
	return draft->tree &&
	       settings_read(&draft->settings, draft->tree,
			     patch ? draft->vm : NULL, api, r) &&
	       read_model(draft, patch, r) && check_incarnation(draft, r) &&
	       check_platform(call, draft, r) &&
	       resolve_items(call, draft, r) && check_room(call, draft, r);
}

/* ---- making it so ------------------------------------------------------ */

/**
 * struct kept - fields of a VM, to go back to
 */
struct kept {
	struct vm_name who;
	bool enabled;
	bool extension;
	const char *legacy_mode;
	struct buf model;
	struct vm_item items[ITEMS];
	bool moved[ITEMS];
};

static void keep(struct kept *kept, const struct vm *vm)
{
	memset(kept, 0, sizeof(*kept));
	kept->who = vm->who;
	kept->enabled = vm->enabled;
	kept->extension = vm->extension;
	kept->legacy_mode = vm->legacy_mode;
	kept->model = vm->model;
}

static void clear_item(struct vm_item *item)
{
	buf_clear(&item->json);
	buf_clear(&item->reference);
}

static bool set_item(struct vm *vm, struct kept *kept, enum item item,
		     const struct setting *setting, const struct buf *wire)
{
	if (!setting->set)
		return true;
	kept->items[item] = vm->items[item];
	kept->moved[item] = true;
	memset(&vm->items[item], 0, sizeof(vm->items[item]));
	if (!setting->reference)
		return vm_set_inline(vm, item, setting->mode);
	return vm_set_item(vm, item, wire->data, wire->len, setting->reference,
			   NULL) == 0 &&
	       !vm->items[item].reference.failed;
}

/* Names are made anew, and those the VM had are kept aside. Of a name that
 * differs in letter case alone the first spelling stays. */
static char *name_of(const char *before, const char *now)
{
	return strdup(strcasecmp(before, now) ? now : before);
}

static bool set_names(struct vm *vm, const struct vm_name *before,
		      const struct draft *draft)
{
	vm->who.subscription =
		name_of(before->subscription, draft->path->subscription);
	vm->who.group = name_of(before->group, draft->path->group);
	vm->who.location = strdup(draft->location);
	vm->who.os = draft->os;
	return vm->who.subscription && vm->who.group && vm->who.location;
}

static bool set_all(struct vm *vm, struct kept *kept, struct draft *draft)
{
	const struct settings *settings = &draft->settings;
	unsigned int i;

	vm->enabled = settings->enabled;
	vm->extension = settings->extension;
	vm->legacy_mode = settings->legacy;
	vm->model = draft->model;
	memset(&draft->model, 0, sizeof(draft->model));
	if (!set_names(vm, &kept->who, draft))
		return false;
	for (i = 0; i < ITEMS; i++)
		if (!set_item(vm, kept, (enum item)i, &settings->items[i],
			      &draft->wire[i]))
			return false;
	return true;
}

/* Free one of two sets of names, the other stays the VM's. */
static void drop_names(struct vm_name *who)
{
	free(who->subscription);
	free(who->group);
	free(who->location);
}

static void commit(struct kept *kept)
{
	unsigned int i;

	drop_names(&kept->who);
	buf_clear(&kept->model);
	for (i = 0; i < ITEMS; i++)
		clear_item(&kept->items[i]);
}

static void undo(struct vm *vm, struct kept *kept)
{
	unsigned int i;

	drop_names(&vm->who);
	buf_clear(&vm->model);
	vm->who = kept->who;
	vm->enabled = kept->enabled;
	vm->extension = kept->extension;
	vm->legacy_mode = kept->legacy_mode;
	vm->model = kept->model;
	for (i = 0; i < ITEMS; i++) {
		if (!kept->moved[i])
			continue;
		clear_item(&vm->items[i]);
		vm->items[i] = kept->items[i];
	}
}

/* A raised number is a reset, and stored with everything else by that. */
static bool save(struct emulator *emu, struct vm *vm,
		 const struct settings *settings)
{
	if (settings->raised && settings->incarnation > vm->incarnation)
		return vm_reset(emu, vm, settings->incarnation);
	return state_save(emu);
}

static bool change(struct call *call, struct vm *vm, struct draft *draft,
		   struct refusal *r)
{
	struct kept kept;

	keep(&kept, vm);
	if (!set_all(vm, &kept, draft))
		refuse_memory(r);
	else if (!save(call->emu, vm, &draft->settings))
		refuse_state(r);
	if (!r->status)
		commit(&kept);
	else
		undo(vm, &kept);
	return !r->status;
}

/* An extension of the emulator: which addresses it calls from. */
static bool give_network(struct call *call, struct vm *vm, bool *given,
			 struct refusal *r)
{
	struct buf network = { 0 };

	if (text_query(call->query, "network", &network)) {
		*given = vms_give(call->emu->vms, network.data, vm);
		if (!*given)
			refuse_value(r, "network",
				     "It must be A.B.C.D or A.B.C.D/N, and "
				     "there must be room for one more.");
	}
	buf_clear(&network);
	return !r->status;
}

static struct vm *add(struct call *call, const struct draft *draft,
		      struct refusal *r)
{
	struct vms *vms = call->emu->vms;
	struct vm *vm = vms_add(vms, draft->path->names[0]);

	if (!vm)
		refuse_room(r);
	else if (!draft->settings.raised)
		vm->incarnation = 0; /* as in Azure, where nothing was reset */
	else
		vm->incarnation = draft->settings.incarnation;
	return vm;
}

static void apply(struct call *call, struct draft *draft, struct refusal *r)
{
	struct vms *vms = call->emu->vms;
	struct vm *vm = draft->vm ? draft->vm : add(call, draft, r);
	bool given = false;

	if (!vm)
		return;
	if (give_network(call, vm, &given, r) && change(call, vm, draft, r)) {
		draft->vm = vm;
		return;
	}
	if (given)
		vms_give_back(vms);
	if (!draft->vm)
		vms_drop_latest(vms);
}

static void put(struct call *call, const struct arm_path *path, struct vm *vm,
		const char *api, struct refusal *r)
{
	struct draft draft = { .vm = vm, .path = path };

	if (vm && vm->model.len && !is_in(vm, path))
		refuse(r, 409, "Conflict",
		       "There is a virtual machine '%s' in resource group "
		       "'%s'; on this host their names are unique.",
		       vm->who.name, vm->who.group);
	else if (draft_read(&draft, call, api, r))
		apply(call, &draft, r);
	if (!r->status)
		show(call, draft.vm, api, vm ? 200 : 201);
	draft_clear(&draft);
}

void model_call(struct call *call, const struct arm_path *path, const char *api)
{
	const char *name = path->names[0];
	struct refusal r = { 0 };
	struct vm *vm = NULL;

	if (!path->list)
		vm = vms_named(call->emu->vms, name, strlen(name));
	if (path->list)
		list(call, path, api);
	else if (call_method(call, "PUT"))
		put(call, path, vm, api, &r);
	else if (!vm || !is_in(vm, path))
		refuse_not_found(&r, path);
	else if (call_method(call, "PATCH"))
		put(call, path, vm, api, &r);
	else if (path->view) {
		call->reply.status = 200;
		call->reply.type = JSON_TYPE;
		view_write(&call->reply.body, vm, call->now);
	} else {
		show(call, vm, api, 200);
	}
	if (r.status)
		refusal_answer(call, &r);
	refusal_clear(&r);
}
