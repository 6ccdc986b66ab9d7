/* SPDX-License-Identifier: MIT */
/*
 * In:  a complete call.
 * Out: its verdict, counted, and its reply.
 * Never: lets an endpoint that enforces answer what is not verified.
 */
#include "net/route.h"

#include "emulator.h"
#include "fault/fault.h"
#include "vm/verify.h"
#include "vm/vm.h"

#include <string.h>
#include <strings.h>

#define CHANNEL "/secure-channel/"

static size_t path_len(const char *path)
{
	size_t len = strlen(path);

	return len > 1 && path[len - 1] == '/' ? len - 1 : len;
}

static bool fits(const struct call *call, const struct route *row)
{
	size_t len = strlen(row->path);
	struct buf comp = { 0 };
	bool ok;

	if (len && row->path[len - 1] == '*')
		ok = !strncasecmp(call->path, row->path, len - 1);
	else
		ok = text_equal_nocase(call->path, path_len(call->path),
				       row->path);
	if (!ok || !row->comp)
		return ok;
	ok = text_query(call->query, "comp", &comp) &&
	     text_equal_nocase(comp.data, comp.len, row->comp);
	buf_clear(&comp);
	return ok;
}

static bool is_method(const struct call *call, const char *method)
{
	if (call_method(call, "HEAD"))
		return !strcmp(method, "GET");
	return call_method(call, method);
}

bool route_table(struct call *call, const struct route *rows, size_t n)
{
	struct buf *allow = &call->reply.allow;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!fits(call, &rows[i]))
			continue;
		if (is_method(call, rows[i].method)) {
			buf_clear(allow);
			rows[i].handle(call);
			return true;
		}
		buf_format(allow, "%s%s%s", allow->len ? ", " : "",
			   rows[i].method,
			   strcmp(rows[i].method, "GET") ? "" : ", HEAD");
	}
	if (allow->len)
		call_error(call, 405, "method", "method not allowed");
	else
		call_error(call, 404, "not-found", "no such path");
	return false;
}

const char *route_rest(const struct call *call, const char *prefix)
{
	return call->path + strlen(prefix);
}

/* The key channel itself cannot be signed with a key that is not latched. */
static bool is_channel(const struct call *call)
{
	return call->peer->port == PORT_WIRESERVER &&
	       !strncasecmp(call->path, CHANNEL, sizeof(CHANNEL) - 1);
}

static void dispatch(struct call *call)
{
	if (bench_call(call))
		return;
	switch (call->peer->port) {
	case PORT_WIRESERVER:
		wireserver_call(call);
		break;
	case PORT_IMDS:
		imds_call(call);
		break;
	case PORT_HOSTGA:
		hostga_call(call);
		break;
	case PORT_CONTROL:
		break;
	}
}

/* Refused for its signature? */
static bool refuse(struct call *call)
{
	if (!vm_enforces(call->vm, (enum msp_endpoint)call->peer->port) ||
	    call->verdict.auth == AUTH_VERIFIED || call->exempt ||
	    is_channel(call))
		return false;
	call_error(call, 401, verdict_name(&call->verdict),
		   call->verdict.reason ? reason_name(call->verdict.reason)
					: "this endpoint wants a signature");
	return true;
}

static void endpoint_call(struct call *call)
{
	struct faults *faults = call->emu->faults;

	call->fault = faults_meet(faults, call);
	call->now = loop_wall_s() + faults_skew(faults, call);
	call->verdict =
		verify_call(call, call->vm->latched, call->now, call->vm->skew);
	if (call->fault && fault_before(call->fault, call))
		return;
	if (call->too_large)
		call_error(call, 413, "length", "length limit exceeded");
	else if (!refuse(call))
		dispatch(call);
	if (call->fault)
		fault_after(call->fault, call);
}

void route_call(struct call *call)
{
	enum port port = call->peer->port;

	if (port == PORT_CONTROL && call->too_large) {
		call_error(call, 413, "length", "length limit exceeded");
	} else if (port == PORT_CONTROL) {
		control_call(call);
	} else {
		endpoint_call(call);
		/* after the handler: an attestation is judged by another key */
		vm_count(call->vm, (enum msp_endpoint)port, &call->verdict);
	}
}
