/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on HostGAPlugin's address.
 * Out: versions, health, an artifact's bytes; uploads into the void.
 * Never: fetches anything: an artifact is made up here.
 */
#include "net/route.h"

#define ARTIFACT_BYTES 65536

static void versions(struct call *call)
{
	call_text(call, 200, "application/json; charset=utf-8",
		  "[\"2015-09-01\"]");
}

static void health(struct call *call)
{
	call_text(call, 200, "text/plain; charset=utf-8", "");
}

static void artifact(struct call *call)
{
	if (!call_header(call, "x-ms-artifact-location", NULL)) {
		call_error(call, 400, "header",
			   "x-ms-artifact-location is required");
		return;
	}
	call->reply.status = 200;
	call->reply.type = "application/octet-stream";
	call->reply.stream = true;
	call->reply.count = ARTIFACT_BYTES;
}

void hostga_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/versions", NULL, versions },
		{ "GET", "/health", NULL, health },
		{ "GET", "/extensionArtifact", NULL, artifact },
		{ "PUT", "/vmAgentLog", NULL, sink_call },
		{ "PUT", "/status", NULL, sink_call },
	};

	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
