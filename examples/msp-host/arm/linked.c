/* SPDX-License-Identifier: MIT */
/*
 * In:  a version with new content.
 * Out: the same content, under the same id, in the VMs that refer to it.
 * Never: some of them changed and some not.
 */
#include "arm/linked.h"

#include "arm/resolve.h"
#include "emulator.h"
#include "vm/vms.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool refers(const struct vm_item *item, const char *id)
{
	return item->reference.len && !strcasecmp(item->reference.data, id);
}

const struct vm *linked_user(const struct emulator *emu, const char *id)
{
	const struct vm *vm;
	unsigned int i;

	for (vm = emu->vms->first; vm; vm = vm->next)
		for (i = 0; i < ITEMS; i++)
			if (refers(&vm->items[i], id))
				return vm;
	return NULL;
}

static size_t count(const struct emulator *emu, const char *id)
{
	const struct vm *vm;
	unsigned int i;
	size_t n = 0;

	for (vm = emu->vms->first; vm; vm = vm->next)
		for (i = 0; i < ITEMS; i++)
			n += refers(&vm->items[i], id);
	return n;
}

static bool change(struct linked *out, struct vm *vm, enum item item,
		   const struct buf *wire, struct refusal *r)
{
	struct linked_item *slot = &out->items[out->n++];

	slot->where = &vm->items[item];
	slot->before = vm->items[item];
	memset(&vm->items[item], 0, sizeof(vm->items[item]));
	return vm_set_item(vm, item, wire->data, wire->len,
			   slot->before.reference.data, NULL) == 0 ||
	       refuse_memory(r);
}

/* Once for all of them: the id in the rules is the reference in upper case,
 * whoever wrote it. */
static bool change_all(struct linked *out, struct emulator *emu,
		       const struct resource *version, yajl_val body, size_t n,
		       struct refusal *r)
{
	struct buf wire = { 0 };
	struct vm *vm;
	unsigned int i;
	bool ok;

	ok = resolve_body(version->id, &version->body, &wire, r) &&
	     (arm_room(emu, n * wire.len) || refuse_room(r));
	for (vm = emu->vms->first; ok && vm; vm = vm->next) {
		for (i = 0; ok && i < ITEMS; i++) {
			if (!refers(&vm->items[i], version->id))
				continue;
			ok = is_replicated(body, vm->who.location) ||
			     refuse_profile(r, version->id);
			ok = ok && change(out, vm, (enum item)i, &wire, r);
		}
	}
	buf_clear(&wire);
	return ok;
}

bool linked_change(struct linked *out, struct emulator *emu,
		   const struct resource *version, struct refusal *r)
{
	size_t n = count(emu, version->id);
	yajl_val body;
	bool ok;

	if (!n)
		return true;
	out->items = calloc(n, sizeof(*out->items));
	body = resource_tree(version);
	ok = out->items && body ? change_all(out, emu, version, body, n, r)
				: refuse_memory(r);
	yajl_tree_free(body);
	return ok;
}

static void clear(struct vm_item *item)
{
	buf_clear(&item->json);
	buf_clear(&item->reference);
}

void linked_keep(struct linked *linked)
{
	size_t i;

	for (i = 0; i < linked->n; i++)
		clear(&linked->items[i].before);
	free(linked->items);
	memset(linked, 0, sizeof(*linked));
}

void linked_undo(struct linked *linked)
{
	size_t i;

	for (i = 0; i < linked->n; i++) {
		clear(linked->items[i].where);
		*linked->items[i].where = linked->items[i].before;
	}
	free(linked->items);
	memset(linked, 0, sizeof(*linked));
}
