/* SPDX-License-Identifier: MIT */
/*
 * In:  calls that make VMs and say which addresses are theirs.
 * Out: the VMs and fleets there are.
 * Never: leaves a VM or a network behind that could not be stored.
 */
#include "control.h"
#include "emulator.h"
#include "net/route.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <string.h>

#define VMS_PREFIX "/vms/"

void control_vms(struct call *call)
{
	struct buf *out = &call->reply.body;
	const struct vm *vm;

	call->reply.status = 200;
	call->reply.type = CONTROL_JSON;
	buf_text(out, "[");
	for (vm = call->emu->vms->first; vm; vm = vm->next) {
		buf_text(out, vm == call->emu->vms->first ? "" : ",");
		vm_state(vm, out);
	}
	buf_text(out, "]");
}

void control_fleets(struct call *call)
{
	call->reply.status = 200;
	call->reply.type = CONTROL_JSON;
	vms_networks(call->emu->vms, NULL, &call->reply.body);
}

/* The parameter network; empty if there is none. False: it is answered. */
static bool wants_network(struct call *call, struct buf *out)
{
	struct network network;

	if (!text_query(call->query, "network", out))
		return true;
	if (!out->failed && strlen(out->data) == out->len &&
	    network_parse(&network, out->data))
		return true;
	call_error(call, 400, "network",
		   "network=A.B.C.D or A.B.C.D/N is required, with no bits "
		   "behind the prefix");
	return false;
}

/* All or nothing. */
static void put_vm(struct call *call, const char *name, const char *network)
{
	struct vms *vms = call->emu->vms;
	bool made;

	call->vm = vms_named(vms, name, strlen(name));
	made = !call->vm;
	if (made)
		call->vm = vms_clone(vms, name);
	if (!call->vm) {
		call_error(call, 409, "room", "no room for one more VM");
		return;
	}
	if (network && !vms_give(vms, network, call->vm)) {
		call_error(call, 409, "room", "no room for one more network");
		goto undo;
	}
	if (state_save(call->emu)) {
		control_state(call, made ? 201 : 200);
		return;
	}
	control_not_stored(call);
	if (network)
		vms_give_back(vms);
undo:
	call->vm = NULL;
	if (made)
		vms_drop_latest(vms);
}

void control_put_vm(struct call *call)
{
	const char *name = route_rest(call, VMS_PREFIX);
	struct buf network = { 0 };

	if (!vms_name_valid(name))
		call_error(call, 400, "name",
			   "a name is 1 to 64 letters, digits, '.', '-' or "
			   "'_'");
	else if (wants_network(call, &network))
		put_vm(call, name, network.len ? network.data : NULL);
	buf_clear(&network);
}

void control_put_fleet(struct call *call)
{
	struct vms *vms = call->emu->vms;
	struct buf network = { 0 };

	if (!wants_network(call, &network))
		goto out;
	if (!network.len) {
		call_error(call, 400, "network", "network is required");
	} else if (!vms_give(vms, network.data, NULL)) {
		call_error(call, 409, "room", "no room for one more network");
	} else if (!state_save(call->emu)) {
		vms_give_back(vms);
		control_not_stored(call);
	} else {
		control_fleets(call);
	}
out:
	buf_clear(&network);
}
