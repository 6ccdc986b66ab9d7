/* SPDX-License-Identifier: MIT */
/*
 * In:  calls of the control port about faults.
 * Out: faults set and cleared; all that are set.
 * Never: sets a part of a fault.
 */
#include "fault/fault.h"

#include "base/json.h"
#include "emulator.h"
#include "net/route.h"

#include <string.h>

#define PREFIX "/faults/"

static void list(struct call *call)
{
	call->reply.status = 200;
	call->reply.type = "application/json; charset=utf-8";
	faults_list(call->emu->faults, &call->reply.body);
}

static void set(struct call *call)
{
	struct buf error = { 0 };
	uint64_t number = 0;
	yajl_val spec;

	spec = json_tree(call->body.data, call->body.len, &error);
	if (spec)
		number = faults_add_json(call->emu->faults, spec, &error);
	if (number) {
		call->reply.status = 200;
		call->reply.type = "application/json; charset=utf-8";
		buf_format(&call->reply.body, "{\"number\":%llu}",
			   (unsigned long long)number);
	} else {
		call_error(call, 400, "fault", error.len ? error.data : "");
	}
	yajl_tree_free(spec);
	buf_clear(&error);
}

static void clear_one(struct call *call)
{
	const char *text = route_rest(call, PREFIX);
	uint64_t number;

	if (text_uint(text, strlen(text), &number) && number &&
	    faults_remove(call->emu->faults, number))
		list(call);
	else
		call_error(call, 404, "fault", "there is no such fault");
}

static void clear_all(struct call *call)
{
	faults_remove(call->emu->faults, 0);
	list(call);
}

void faults_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/faults", NULL, list },
		{ "POST", "/faults", NULL, set },
		{ "DELETE", "/faults", NULL, clear_all },
		{ "DELETE", PREFIX "*", NULL, clear_one },
	};

	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
