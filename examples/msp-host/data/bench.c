/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on the test paths /msp-host/..., and uploads of any size.
 * Out: bytes anybody can compute (offset modulo 251), or length and digest of
 *      what came.
 * Never: keeps a body of unbounded size, or makes one in memory.
 */
#include "net/route.h"

#include <strings.h>

#define PREFIX "/msp-host/"

static bool number(const struct call *call, const char *name, uint64_t *out)
{
	struct buf text = { 0 };
	bool ok;

	ok = text_query(call->query, name, &text) &&
	     text_uint(text.data, text.len, out);
	buf_clear(&text);
	return ok;
}

static void bytes(struct call *call)
{
	struct reply *reply = &call->reply;
	uint64_t chunked = 0;

	/* the largest value means "unknown" to the HTTP library */
	if (!number(call, "count", &reply->count) || reply->count > INT64_MAX) {
		call_error(call, 400, "count", "count=N is required");
		return;
	}
	number(call, "chunked", &chunked);
	reply->chunked = chunked;
	reply->stream = true;
	reply->status = 200;
	reply->type = "application/octet-stream";
}

/* Also tells what a sink has swallowed, so that a test can compare. */
void sink_call(struct call *call)
{
	char digest[65];

	if (!call_digest(call, digest)) {
		call_error(call, 500, "digest", "no digest could be made");
		return;
	}
	call->reply.status = 200;
	call->reply.type = "application/json; charset=utf-8";
	buf_format(&call->reply.body, "{\"length\":%llu,\"sha256\":\"%s\"}",
		   (unsigned long long)call->body_len, digest);
}

bool bench_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", PREFIX "bytes", NULL, bytes },
		{ "POST", PREFIX "echo", NULL, sink_call },
		{ "PUT", PREFIX "echo", NULL, sink_call },
	};

	if (strncasecmp(call->path, PREFIX, sizeof(PREFIX) - 1))
		return false;
	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
	return true;
}
