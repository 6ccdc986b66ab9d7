/* SPDX-License-Identifier: MIT */
/*
 * In:  the emulator, or the tree of a state it wrote once.
 * Out: the other one.
 * Never: takes over what it could not have written.
 */
#include "arm/arm.h"
#include "base/json.h"
#include "emulator.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ----------------------------------------------------------- */

static void put_text(struct buf *out, const char *name, const char *text)
{
	buf_format(out, ",\"%s\":", name);
	buf_json_utf8(out, text);
}

/* JSON goes in as text: it comes back as it was, and as deep as it was. */
static void put_json(struct buf *out, const char *name, const struct buf *json)
{
	if (json->len)
		put_text(out, name, json->data);
}

static void put_uint(struct buf *out, const char *name, uint64_t n)
{
	buf_format(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void put_bool(struct buf *out, const char *name, bool value)
{
	buf_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void put_item(struct buf *out, const char *name,
		     const struct vm_item *item)
{
	buf_format(out, ",\"%s\":{\"mode\":\"%s\"", name,
		   msp_mode_name(item->mode));
	if (!item->inlined)
		put_json(out, "json", &item->json);
	put_json(out, "reference", &item->reference);
	buf_text(out, "}");
}

static void put_retired(struct buf *out, const struct vm *vm)
{
	size_t first =
		vm->n_retired > VM_RETIRED ? vm->n_retired - VM_RETIRED : 0;
	size_t i;

	if (!vm->n_retired)
		return;
	buf_text(out, ",\"retired\":[");
	for (i = first; i < vm->n_retired; i++) {
		buf_text(out, i > first ? "," : "");
		buf_json_utf8(out, vm->retired[i % VM_RETIRED]);
	}
	buf_text(out, "]");
}

static void put_goal(struct buf *out, const struct vm *vm)
{
	char hex[2 * sizeof(vm->goal) + 1];

	if (!vm->goal_n)
		return;
	text_hex(hex, vm->goal, sizeof(vm->goal), false);
	put_text(out, "goal", hex);
	put_uint(out, "goalIncarnation", vm->goal_n);
}

static void put_vm(struct buf *out, const struct vm *vm)
{
	buf_text(out, "{\"name\":");
	buf_json_utf8(out, vm->who.name);
	put_text(out, "id", vm->who.id);
	put_text(out, "subscription", vm->who.subscription);
	put_text(out, "group", vm->who.group);
	put_text(out, "location", vm->who.location);
	put_text(out, "os", vm->who.os);
	put_bool(out, "enabled", vm->enabled);
	put_bool(out, "extension", vm->extension);
	if (vm->legacy_mode)
		put_text(out, "legacyMode", vm->legacy_mode);
	put_item(out, "wireserver", &vm->items[ITEM_WIRESERVER]);
	put_item(out, "imds", &vm->items[ITEM_IMDS]);
	put_json(out, "model", &vm->model);
	put_uint(out, "incarnation", vm->incarnation);
	put_uint(out, "drawn", vm->drawn);
	put_json(out, "key", &vm->latched_doc);
	put_retired(out, vm);
	put_json(out, "report", &vm->report);
	put_uint(out, "reportTime", (uint64_t)vm->report_s);
	put_json(out, "events", &vm->events);
	put_uint(out, "eventsIncarnation", vm->events_n);
	put_goal(out, vm);
	buf_text(out, "}");
}

static void put_arm(struct buf *out, const struct arm *arm)
{
	struct buf json = { 0 };

	arm_save(arm, &json);
	put_json(out, "arm", &json);
	out->failed |= json.failed;
	buf_clear(&json);
}

void state_write(const struct emulator *emu, struct buf *out)
{
	char names[2 * sizeof(emu->names.seed) + 1];
	const struct vm *vm;

	text_hex(names, emu->names.seed, sizeof(emu->names.seed), false);
	buf_format(out, "{\"names\":\"%s\",\"vms\":[", names);
	for (vm = emu->vms->first; vm; vm = vm->next) {
		buf_text(out, vm == emu->vms->first ? "" : ",\n");
		put_vm(out, vm);
	}
	buf_text(out, "],\"networks\":");
	vms_all_networks(emu->vms, out);
	put_arm(out, emu->arm);
	buf_text(out, "}");
}

/* ---- reading ----------------------------------------------------------- */

static const char *get_text(yajl_val node, const char *name)
{
	return json_string(json_member(node, name));
}

static bool get_uint(yajl_val node, const char *name, uint64_t max,
		     uint64_t *out)
{
	yajl_val value = json_member(node, name);

	return YAJL_IS_NUMBER(value) &&
	       text_uint(YAJL_GET_NUMBER(value), strlen(YAJL_GET_NUMBER(value)),
			 out) &&
	       *out <= max;
}

static bool get_bool(yajl_val node, const char *name, bool *out)
{
	yajl_val value = json_member(node, name);

	*out = YAJL_IS_TRUE(value);
	return *out || YAJL_IS_FALSE(value);
}

/* A document in text; not there: empty. */
static bool get_json(yajl_val node, const char *name, struct buf *out)
{
	const char *text = get_text(node, name);
	yajl_val tree;

	buf_clear(out);
	if (!json_member(node, name))
		return true;
	tree = text ? json_tree(text, strlen(text), NULL) : NULL;
	if (!tree)
		return false;
	yajl_tree_free(tree);
	buf_text(out, text);
	return !out->failed;
}

static bool get_hex(const char *text, unsigned char *out, size_t size)
{
	size_t i;

	if (!text || strlen(text) != 2 * size)
		return false;
	for (i = 0; i < size; i++) {
		char pair[3] = { text[2 * i], text[2 * i + 1], '\0' };
		char *end;

		out[i] = (unsigned char)strtoul(pair, &end, 16);
		if (*end || pair[0] == '-' || pair[0] == '+' || pair[0] == ' ')
			return false;
	}
	return true;
}

static bool replace_text(char **out, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (!copy)
		return false;
	free(*out);
	*out = copy;
	return true;
}

static bool read_names(struct vm *vm, yajl_val node)
{
	const char *os = get_text(node, "os");
	const char *id = get_text(node, "id");

	if (!id || strlen(id) != MSP_GUID_LEN || !os ||
	    strspn(id, "0123456789abcdefABCDEF-") != MSP_GUID_LEN)
		return false;
	strcpy(vm->who.id, id);
	if (!strcmp(os, "Linux"))
		vm->who.os = "Linux";
	else if (!strcmp(os, "Windows"))
		vm->who.os = "Windows";
	else
		return false;
	return replace_text(&vm->who.subscription,
			    get_text(node, "subscription")) &&
	       replace_text(&vm->who.group, get_text(node, "group")) &&
	       replace_text(&vm->who.location, get_text(node, "location"));
}

static bool read_item(struct vm *vm, enum item item, yajl_val node)
{
	const char *mode_text = get_text(node, "mode");
	const char *json = get_text(node, "json");
	enum msp_mode mode;

	if (!mode_text || !vm_mode_named(mode_text, strlen(mode_text), &mode))
		return false;
	if (!json)
		return vm_set_inline(vm, item, mode);
	return vm_set_item(vm, item, json, strlen(json),
			   get_text(node, "reference"), NULL) == 0;
}

static bool read_policy(struct vm *vm, yajl_val node)
{
	const char *legacy = get_text(node, "legacyMode");

	vm->legacy_mode = NULL;
	if (legacy && !strcmp(legacy, "Audit"))
		vm->legacy_mode = "Audit";
	else if (legacy && !strcmp(legacy, "Enforce"))
		vm->legacy_mode = "Enforce";
	else if (legacy)
		return false;
	return get_bool(node, "enabled", &vm->enabled) &&
	       get_bool(node, "extension", &vm->extension) &&
	       read_item(vm, ITEM_WIRESERVER,
			 json_member(node, "wireserver")) &&
	       read_item(vm, ITEM_IMDS, json_member(node, "imds")) &&
	       get_json(node, "model", &vm->model);
}

static bool read_key(struct vm *vm, yajl_val node)
{
	size_t len;
	bool ok;

	if (!YAJL_IS_STRING(node))
		return !node && vm_restore_key(vm, NULL, 0);
	len = strlen(node->u.string);
	ok = vm_restore_key(vm, node->u.string, len);
	/* the tree is freed as it is */
	OPENSSL_cleanse(node->u.string, len);
	return ok;
}

static bool read_keys(struct vm *vm, yajl_val node)
{
	yajl_val retired = json_member(node, "retired");
	uint64_t incarnation;
	size_t i;

	if (!get_uint(node, "incarnation", UINT32_MAX, &incarnation) ||
	    !get_uint(node, "drawn", UINT64_MAX, &vm->drawn) ||
	    !read_key(vm, json_member(node, "key")))
		return false;
	vm->incarnation = (uint32_t)incarnation;
	if (retired &&
	    (!YAJL_IS_ARRAY(retired) || retired->u.array.len > VM_RETIRED))
		return false;
	for (i = 0; retired && i < retired->u.array.len; i++) {
		const char *guid = json_string(retired->u.array.values[i]);

		if (!guid || !vm_restore_retired(vm, guid))
			return false;
	}
	return true;
}

static bool read_rest(struct vm *vm, yajl_val node)
{
	uint64_t time;

	if (!get_json(node, "report", &vm->report) ||
	    !get_uint(node, "reportTime", INT64_MAX, &time) ||
	    !get_json(node, "events", &vm->events) ||
	    !get_uint(node, "eventsIncarnation", INT64_MAX, &vm->events_n))
		return false;
	vm->report_s = (int64_t)time;
	vm->goal_n = 0;
	if (!json_member(node, "goal"))
		return true;
	return get_hex(get_text(node, "goal"), vm->goal, sizeof(vm->goal)) &&
	       get_uint(node, "goalIncarnation", INT64_MAX, &vm->goal_n);
}

static bool read_vm(struct vms *vms, yajl_val node, struct buf *error)
{
	const char *name = get_text(node, "name");
	const char *what = NULL;
	struct vm *vm = NULL;

	if (name)
		vm = vms_named(vms, name, strlen(name));
	/* how the host treats it is not in the file but on the command line */
	if (name && !vm)
		vm = vms_clone(vms, name);
	if (!vm)
		what = "name";
	else if (!read_names(vm, node))
		what = "names";
	else if (!read_policy(vm, node))
		what = "policy";
	else if (!read_keys(vm, node))
		what = "keys";
	else if (!read_rest(vm, node))
		what = "report or events";
	if (what)
		buf_format(error, "the %s of VM '%s' cannot be used", what,
			   vm ? vm->who.name : "?");
	return !what;
}

static bool read_network(struct vms *vms, yajl_val node)
{
	const char *network = get_text(node, "network");
	const char *name = get_text(node, "vm");
	struct vm *vm = NULL;

	if (name)
		vm = vms_named(vms, name, strlen(name));
	return network && (vm || YAJL_IS_NULL(json_member(node, "vm"))) &&
	       vms_give(vms, network, vm);
}

/* What was told before the restart is told again; but --seed goes first. */
static bool read_seed(struct emulator *emu, yajl_val state)
{
	unsigned char seed[sizeof(emu->names.seed)];
	bool ok;

	ok = get_hex(get_text(state, "names"), seed, sizeof(seed));
	if (ok && !emu->random.seeded)
		memcpy(emu->names.seed, seed, sizeof(seed));
	OPENSSL_cleanse(seed, sizeof(seed));
	return ok;
}

static bool read_arm(struct arm *arm, yajl_val state)
{
	const char *text = get_text(state, "arm");
	yajl_val tree = text ? json_tree(text, strlen(text), NULL) : NULL;
	bool ok = tree && arm_load(arm, tree);

	yajl_tree_free(tree);
	return ok;
}

static bool read_vms(struct vms *vms, yajl_val list, struct buf *error)
{
	size_t i;

	for (i = 0; i < list->u.array.len; i++) {
		if (!read_vm(vms, list->u.array.values[i], error))
			return false;
	}
	return true;
}

static bool read_networks(struct vms *vms, yajl_val list)
{
	size_t i;

	if (!YAJL_IS_ARRAY(list))
		return false;
	for (i = 0; i < list->u.array.len; i++) {
		if (!read_network(vms, list->u.array.values[i]))
			return false;
	}
	return true;
}

bool state_read(struct emulator *emu, yajl_val state, struct buf *error)
{
	yajl_val vms = json_member(state, "vms");
	const char *what = NULL;

	if (!YAJL_IS_ARRAY(vms) || !read_seed(emu, state))
		what = "it is not a state of msp-host";
	else if (!read_vms(emu->vms, vms, error))
		return false;
	else if (!read_networks(emu->vms, json_member(state, "networks")))
		what = "a network in it cannot be used";
	else if (!read_arm(emu->arm, state))
		what = "a gallery in it cannot be used";
	if (what)
		buf_text(error, what);
	return !what;
}
