/* SPDX-License-Identifier: MIT */
/*
 * In:  calls of the person or test who owns the emulated VMs.
 * Out: changed keys, modes, profiles and status; the state.
 * Never: tells a key, or a change that is not on disk.
 */
#include "control.h"

#include "arm/store.h"
#include "emulator.h"
#include "fault/fault.h"
#include "net/route.h"
#include "vm/journal.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <string.h>

#define ENDPOINTS_PREFIX "/endpoints/"
#define MODE_SUFFIX	 "/mode"
#define SUBSCRIPTIONS	 "/subscriptions/"

void control_state(struct call *call, unsigned int status)
{
	call->reply.status = status;
	call->reply.type = CONTROL_JSON;
	vm_state(call->vm, &call->reply.body);
}

void control_not_stored(struct call *call)
{
	call_error(call, 500, "state", "the change cannot be stored");
}

static void state(struct call *call)
{
	control_state(call, 200);
}

static void reset(struct call *call)
{
	struct vm *vm = call->vm;

	if (vm->incarnation == UINT32_MAX)
		call_error(call, 409, "incarnation", "it cannot go up");
	else if (vm_reset(call->emu, vm, vm->incarnation + 1))
		state(call);
	else
		control_not_stored(call);
}

static void lose(struct call *call)
{
	if (vm_latch_lost(call->emu, call->vm))
		state(call);
	else
		control_not_stored(call);
}

static void channel(struct call *call)
{
	const bool before = call->vm->enabled;
	struct buf value = { 0 };
	bool on, off;

	text_query(call->query, "enabled", &value);
	on = value.len && text_equal_nocase(value.data, value.len, "true");
	off = value.len && text_equal_nocase(value.data, value.len, "false");
	buf_clear(&value);
	if (!on && !off) {
		call_error(call, 400, "enabled",
			   "enabled=true or enabled=false is required");
		return;
	}
	call->vm->enabled = on;
	if (state_save(call->emu)) {
		state(call);
		return;
	}
	call->vm->enabled = before;
	control_not_stored(call);
}

/* Store a changed item, or put the copy back. */
static void keep_item(struct call *call, enum item item, struct vm_item *before)
{
	if (state_save(call->emu)) {
		vm_item_clear(before);
		state(call);
		return;
	}
	vm_item_restore(&call->vm->items[item], before);
	control_not_stored(call);
}

static void refuse_item(struct call *call, const struct msp_error_info *info)
{
	struct buf text = { 0 };

	buf_format(&text, "%s: line %u, column %u: %s", info->pointer,
		   info->line, info->column, info->text);
	call_error(call, 400, "profile", text.failed ? "" : text.data);
	buf_clear(&text);
}

/* Room for the body among all that owners have given? */
static bool has_room(struct call *call)
{
	if (arm_room(call->emu, call->body.len))
		return true;
	call_error(call, 409, "room", "the limits of this host are reached");
	return false;
}

static void set_item(struct call *call, enum item item)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct vm_item before;

	if (!call->body.len) {
		call_error(call, 400, "body", "a rule item is required");
		return;
	}
	if (!has_room(call))
		return;
	if (!vm_item_copy(&before, &call->vm->items[item])) {
		call_error(call, 500, "memory", "out of memory");
		return;
	}
	if (vm_set_item(call->vm, item, call->body.data, call->body.len, NULL,
			&info) == 0) {
		keep_item(call, item, &before);
		return;
	}
	vm_item_clear(&before);
	refuse_item(call, &info);
}

static void set_mode(struct call *call, enum item item)
{
	struct vm_item before;
	struct buf value = { 0 };
	enum msp_mode mode;
	bool ok;

	ok = text_query(call->query, "mode", &value) &&
	     vm_mode_named(value.data, value.len, &mode);
	buf_clear(&value);
	if (!ok) {
		call_error(call, 400, "mode",
			   "mode=Enforce, Audit or Disabled is required");
		return;
	}
	if (!vm_item_copy(&before, &call->vm->items[item])) {
		call_error(call, 500, "memory", "out of memory");
		return;
	}
	if (vm_set_mode(call->vm, item, mode)) {
		keep_item(call, item, &before);
		return;
	}
	vm_item_clear(&before);
	call_error(call, 500, "memory", "out of memory");
}

/* /endpoints/<name> and /endpoints/<name>/mode */
static void endpoint(struct call *call)
{
	const char *name = route_rest(call, ENDPOINTS_PREFIX);
	size_t len = strcspn(name, "/");
	bool is_mode = !strcmp(name + len, MODE_SUFFIX);
	enum item item;

	if (!vm_item_named(name, len, &item) || (name[len] && !is_mode))
		call_error(call, 404, "not-found", "no such endpoint");
	else if (is_mode != call_method(call, "POST"))
		call_error(call, 405, "method", "method not allowed");
	else if (is_mode)
		set_mode(call, item);
	else
		set_item(call, item);
}

static void raw_status(struct call *call)
{
	struct vm *vm = call->vm;

	buf_clear(&vm->raw_status);
	vm->raw = false;
	if (!has_room(call))
		return;
	/* the body moves: it may be megabytes of nonsense */
	vm->raw_status = call->body;
	memset(&call->body, 0, sizeof(call->body));
	vm->raw = true;
	state(call);
}

static void own_status(struct call *call)
{
	buf_clear(&call->vm->raw_status);
	call->vm->raw = false;
	state(call);
}

/* Whose: vm=NAME, or the first one's. */
static bool find_vm(struct call *call)
{
	const struct vms *vms = call->emu->vms;
	struct buf name = { 0 };

	call->vm = vms->first;
	if (text_query(call->query, "vm", &name))
		call->vm = vms_named(vms, name.data, name.len);
	buf_clear(&name);
	return call->vm;
}

void control_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/state", NULL, state },
		{ "GET", "/vms", NULL, control_vms },
		{ "PUT", "/vms/*", NULL, control_put_vm },
		{ "GET", "/fleets", NULL, control_fleets },
		{ "PUT", "/fleet", NULL, control_put_fleet },
		{ "POST", "/key/reset", NULL, reset },
		{ "POST", "/key/lose", NULL, lose },
		{ "POST", "/channel", NULL, channel },
		{ "PUT", ENDPOINTS_PREFIX "*", NULL, endpoint },
		{ "POST", ENDPOINTS_PREFIX "*", NULL, endpoint },
		{ "POST", "/status/raw", NULL, raw_status },
		{ "DELETE", "/status/raw", NULL, own_status },
		{ "GET", "/faults", NULL, faults_call },
		{ "POST", "/faults", NULL, faults_call },
		{ "DELETE", "/faults", NULL, faults_call },
		{ "DELETE", "/faults/*", NULL, faults_call },
		{ "GET", "/journal", NULL, journal_call },
		{ "DELETE", "/journal", NULL, journal_call },
		{ "GET", "/platform", NULL, arm_platform },
		{ "PUT", "/platform", NULL, arm_platform },
		{ "GET", SUBSCRIPTIONS "*", NULL, arm_call },
		{ "PUT", SUBSCRIPTIONS "*", NULL, arm_call },
		{ "PATCH", SUBSCRIPTIONS "*", NULL, arm_call },
		{ "DELETE", SUBSCRIPTIONS "*", NULL, arm_call },
		{ "POST", SUBSCRIPTIONS "*", NULL, arm_call },
		{ "GET", "/report", NULL, report_call },
		{ "GET", "/events", NULL, events_call },
		{ "POST", "/events", NULL, events_call },
		{ "DELETE", "/events", NULL, events_call },
		{ "GET", "/identities", NULL, identities_call },
		{ "GET", "/jwks", NULL, jwks_call },
	};

	if (!find_vm(call)) {
		call_error(call, 404, "vm", "no such VM");
		return;
	}
	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
