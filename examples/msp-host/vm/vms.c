/* SPDX-License-Identifier: MIT */
/*
 * In:  names, source addresses, guids of keys.
 * Out: the VM they belong to.
 * Never: moves or frees a VM somebody has heard of, or takes longer the more
 *        there are.
 */
#include "vm/vms.h"

#include <arpa/inet.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/**
 * struct vms_index
 * @names:    tree of struct vm
 * @guids:    tree of struct owned
 * @latest:   end of the list
 * @networks: whose addresses are whose
 * @before:   @networks before the latest change
 * @copied:   bytes of policy in clones
 * @copied_latest: those in @latest
 */
struct vms_index {
	void *names;
	void *guids;
	struct vm *latest;
	struct networks networks;
	struct networks before;
	size_t copied;
	size_t copied_latest;
};

/**
 * struct owned - guid of a key
 * @guid: key of the tree
 * @vm:   borrowed
 */
struct owned {
	char guid[MSP_GUID_LEN + 1];
	struct vm *vm;
};

static int by_name(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;

	return strcasecmp(x->who.name, y->who.name);
}

static int by_guid(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;

	return strcasecmp(x->guid, y->guid);
}

struct vms *vms_new(const struct random *keys, const struct random *names)
{
	struct vms *vms = calloc(1, sizeof(*vms));

	if (!vms)
		return NULL;
	vms->keys = keys;
	vms->names = names;
	vms->index = calloc(1, sizeof(*vms->index));
	if (vms->index && vms_add(vms, VMS_FIRST) &&
	    vms_give(vms, "0.0.0.0/0", vms->first))
		return vms;
	vms_free(vms);
	return NULL;
}

static void keep(void *node)
{
	(void)node;
}

void vms_free(struct vms *vms)
{
	if (!vms)
		return;
	if (vms->index)
		tdestroy(vms->index->names, keep);
	while (vms->first) {
		struct vm *next = vms->first->next;

		vm_free(vms->first);
		vms->first = next;
	}
	if (vms->index)
		tdestroy(vms->index->guids, free);
	free(vms->index);
	free(vms);
}

/* ---- by name ----------------------------------------------------------- */

bool vms_name_valid(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz"
				  "0123456789._-");

	return len && len <= VMS_NAME_MAX && !name[len];
}

struct vm *vms_named(const struct vms *vms, const char *name, size_t len)
{
	char text[VMS_NAME_MAX + 1];
	struct vm wanted = { .who = { .name = text } };
	void *found;

	if (len > VMS_NAME_MAX || memchr(name, 0, len))
		return NULL;
	memcpy(text, name, len);
	text[len] = '\0';
	found = tfind(&wanted, &vms->index->names, by_name);
	return found ? *(struct vm **)found : NULL;
}

struct vm *vms_add(struct vms *vms, const char *name)
{
	struct vms_index *index = vms->index;
	struct vm *vm;

	if (vms->n == VMS_MAX || !vms_name_valid(name) ||
	    vms_named(vms, name, strlen(name)))
		return NULL;
	vm = vm_new(vms, name);
	if (!vm || !tsearch(vm, &index->names, by_name)) {
		vm_free(vm);
		return NULL;
	}
	if (index->latest)
		index->latest->next = vm;
	else
		vms->first = vm;
	index->latest = vm;
	index->copied_latest = 0;
	vms->n++;
	return vm;
}

void vms_drop_latest(struct vms *vms)
{
	struct vms_index *index = vms->index;
	struct vm *vm = index->latest, *before = vms->first;

	if (vm == vms->first)
		return;
	while (before->next != vm)
		before = before->next;
	before->next = NULL;
	index->latest = before;
	vms->n--;
	index->copied -= index->copied_latest;
	index->copied_latest = 0;
	tdelete(vm, &index->names, by_name);
	vm_free(vm);
}

struct vm *vms_clone(struct vms *vms, const char *name)
{
	size_t cost = vm_policy_size(vms->first);
	struct vm *vm;

	/* a million bytes of rules, 65,536 times, would be too much */
	if (cost > VMS_COPIED_MAX - vms->index->copied)
		return NULL;
	vm = vms_add(vms, name);
	if (!vm)
		return NULL;
	if (!vm_set_up_like(vm, vms->first)) {
		vms_drop_latest(vms);
		return NULL;
	}
	vms->index->copied += cost;
	vms->index->copied_latest = cost;
	return vm;
}

/* ---- by address -------------------------------------------------------- */

static struct vm *of_fleet(struct vms *vms, struct in_addr source)
{
	uint32_t ip = ntohl(source.s_addr);
	char name[VMS_NAME_MAX + 1];
	struct vm *vm;
	int len;

	len = snprintf(name, sizeof(name), "vm-%u-%u-%u-%u", ip >> 24,
		       ip >> 16 & 255, ip >> 8 & 255, ip & 255);
	vm = vms_named(vms, name, (size_t)len);
	return vm ? vm : vms_clone(vms, name);
}

struct vm *vms_at(struct vms *vms, struct in_addr source)
{
	const struct network *network;

	network = networks_find(&vms->index->networks, source);
	if (!network)
		return NULL;
	return network->vm ? network->vm : of_fleet(vms, source);
}

bool vms_give(struct vms *vms, const char *network, struct vm *vm)
{
	struct vms_index *index = vms->index;
	struct network parsed;

	if (!network_parse(&parsed, network))
		return false;
	parsed.vm = vm;
	index->before = index->networks;
	return networks_put(&index->networks, &parsed);
}

void vms_give_back(struct vms *vms)
{
	vms->index->networks = vms->index->before;
}

/* Is it the VM of an address that belongs to a fleet? */
static bool is_of_fleet(const struct vms *vms, const struct vm *vm,
			struct network *out)
{
	const struct network *found;
	struct in_addr address;
	char text[VMS_NAME_MAX + 1];
	char *p = text;

	if (strncasecmp(vm->who.name, "vm-", 3))
		return false;
	strcpy(text, vm->who.name + 3);
	while ((p = strchr(p, '-')))
		*p = '.';
	if (!network_parse(out, text))
		return false;
	address.s_addr = htonl(out->address);
	found = networks_find(&vms->index->networks, address);
	return found && !found->vm;
}

void vms_networks(const struct vms *vms, const struct vm *vm, struct buf *out)
{
	const struct networks *networks = &vms->index->networks;
	const char *comma = "";
	struct network own;
	size_t i;

	buf_text(out, "[");
	for (i = 0; i < networks->n; i++) {
		if (networks->list[i].vm != vm)
			continue;
		buf_format(out, "%s\"", comma);
		network_write(&networks->list[i], out);
		buf_text(out, "\"");
		comma = ",";
	}
	if (vm && is_of_fleet(vms, vm, &own)) {
		buf_format(out, "%s\"", comma);
		network_write(&own, out);
		buf_text(out, "\"");
	}
	buf_text(out, "]");
}

void vms_all_networks(const struct vms *vms, struct buf *out)
{
	const struct networks *networks = &vms->index->networks;
	size_t i;

	buf_text(out, "[");
	for (i = 0; i < networks->n; i++) {
		const struct network *n = &networks->list[i];

		buf_format(out, "%s{\"network\":\"", i ? "," : "");
		network_write(n, out);
		if (n->vm)
			buf_format(out, "\",\"vm\":\"%s\"}", n->vm->who.name);
		else
			buf_text(out, "\",\"vm\":null}");
	}
	buf_text(out, "]");
}

/* ---- by guid of a key -------------------------------------------------- */

bool vms_own(struct vms *vms, const char *guid, struct vm *vm)
{
	struct owned *owned = calloc(1, sizeof(*owned));
	void *found;

	if (!owned || strlen(guid) != MSP_GUID_LEN)
		goto fail;
	strcpy(owned->guid, guid);
	owned->vm = vm;
	found = tsearch(owned, &vms->index->guids, by_guid);
	/* guids are unique, or the random numbers are none */
	if (found && *(struct owned **)found == owned)
		return true;
fail:
	free(owned);
	return false;
}

static struct owned *owned_by(const struct vms *vms, const char *guid,
			      size_t len)
{
	struct owned wanted;
	void *found;

	if (len != MSP_GUID_LEN)
		return NULL;
	memcpy(wanted.guid, guid, len);
	wanted.guid[len] = '\0';
	found = tfind(&wanted, &vms->index->guids, by_guid);
	return found ? *(struct owned **)found : NULL;
}

void vms_disown(struct vms *vms, const char *guid)
{
	struct owned *owned = owned_by(vms, guid, strlen(guid));

	if (!owned)
		return;
	tdelete(owned, &vms->index->guids, by_guid);
	free(owned);
}

struct vm *vms_owner(const struct vms *vms, const char *guid, size_t len)
{
	const struct owned *owned = owned_by(vms, guid, len);

	return owned ? owned->vm : NULL;
}

bool vms_renew(struct vms *vms)
{
	struct vm *vm;

	for (vm = vms->first; vm; vm = vm->next) {
		if (!vm_draw_id(vm))
			return false;
	}
	return true;
}
