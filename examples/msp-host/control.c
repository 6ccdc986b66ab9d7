/* SPDX-License-Identifier: MIT */
/*
 * In:  calls of the person or test who owns the emulated VM.
 * Out: changed key, modes, profiles and status; the state.
 * Never: tells the key.
 */
#include "emulator.h"
#include "net/route.h"
#include "vm/journal.h"
#include "vm/vms.h"

#include <string.h>

#define JSON_TYPE	 "application/json; charset=utf-8"
#define ENDPOINTS_PREFIX "/endpoints/"
#define MODE_SUFFIX	 "/mode"

static void state(struct call *call)
{
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	vm_state(call->vm, &call->reply.body);
}

static void reset(struct call *call)
{
	if (vm_reset(call->emu, call->vm, call->vm->incarnation + 1))
		state(call);
	else
		call_error(call, 500, "state", "the reset cannot be stored");
}

static void channel(struct call *call)
{
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
	state(call);
}

static void set_item(struct call *call, enum item item)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct buf text = { 0 };

	if (!call->body.len) {
		call_error(call, 400, "body", "a rule item is required");
		return;
	}
	if (vm_set_item(call->vm, item, call->body.data, call->body.len, NULL,
			&info) == 0) {
		state(call);
		return;
	}
	buf_format(&text, "%s: line %u, column %u: %s", info.pointer, info.line,
		   info.column, info.text);
	call_error(call, 400, "profile", text.failed ? "" : text.data);
	buf_clear(&text);
}

static void set_mode(struct call *call, enum item item)
{
	struct buf value = { 0 };
	enum msp_mode mode;
	bool ok;

	ok = text_query(call->query, "mode", &value) &&
	     vm_mode_named(value.data, value.len, &mode);
	buf_clear(&value);
	if (!ok)
		call_error(call, 400, "mode",
			   "mode=Enforce, Audit or Disabled is required");
	else if (!vm_set_mode(call->vm, item, mode))
		call_error(call, 500, "memory", "out of memory");
	else
		state(call);
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

	/* the body moves: it may be megabytes of nonsense */
	buf_clear(&vm->raw_status);
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

void control_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/state", NULL, state },
		{ "POST", "/key/reset", NULL, reset },
		{ "POST", "/channel", NULL, channel },
		{ "PUT", ENDPOINTS_PREFIX "*", NULL, endpoint },
		{ "POST", ENDPOINTS_PREFIX "*", NULL, endpoint },
		{ "POST", "/status/raw", NULL, raw_status },
		{ "DELETE", "/status/raw", NULL, own_status },
		{ "GET", "/journal", NULL, journal_call },
		{ "DELETE", "/journal", NULL, journal_call },
	};

	call->vm = call->emu->vms->first;
	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
