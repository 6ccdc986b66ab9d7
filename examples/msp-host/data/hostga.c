/* SPDX-License-Identifier: MIT */
/*
 * In:  calls on HostGAPlugin's address.
 * Out: versions, health, the VM's settings, an artifact's bytes; the guest's
 *      report is kept, its log goes into the void.
 * Never: fetches anything: an artifact is made up here.
 */
#include "data/goal.h"
#include "data/model.h"
#include "data/names.h"
#include "data/report.h"
#include "net/route.h"

#include <string.h>

#define JSON_TYPE      "application/json; charset=utf-8"
#define ARTIFACT_BYTES 65536
/** 100 ns since year 1, a day in 2022; counted on from there. */
#define FIRST_TICK 638000000000000000ULL

static void versions(struct call *call)
{
	call_text(call, 200, JSON_TYPE, "[\"2015-09-01\"]");
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

static void add_pair(struct buf *out, const char *name, const char *value)
{
	buf_format(out, "\"%s\":", name);
	buf_json_utf8(out, value);
}

/* The same facts as IMDS tells. */
static void add_metadata(struct buf *out, const struct vm *vm)
{
	struct model model;

	model_of(vm, &model);
	buf_text(out, "\"inVMMetadata\":{");
	add_pair(out, "subscriptionId", vm->who.subscription);
	buf_text(out, ",");
	add_pair(out, "resourceGroupName", vm->who.group);
	buf_text(out, ",");
	add_pair(out, "vmName", vm->who.name);
	buf_text(out, ",");
	add_pair(out, "location", vm->who.location);
	buf_text(out, ",");
	add_pair(out, "vmId", vm->who.id);
	buf_text(out, ",");
	add_pair(out, "vmSize", model.size);
	buf_text(out, ",");
	add_pair(out, "osType", vm->who.os);
	buf_text(out, ",\"vmImage\":{");
	add_pair(out, "publisher", model.publisher);
	buf_text(out, ",");
	add_pair(out, "offer", model.offer);
	buf_text(out, ",");
	add_pair(out, "sku", model.sku);
	buf_text(out, ",");
	add_pair(out, "version", model.version);
	buf_text(out, "}}");
	model_clear(&model);
}

static void add_extension(struct buf *out)
{
	buf_text(out, "{\"name\":\"" GOAL_EXTENSION "\",\"version\":\"1.0.0\","
		      "\"location\":\"\",\"state\":\"enabled\","
		      "\"autoUpgrade\":true,\"runAsStartupTask\":false,"
		      "\"isJson\":true,\"useExactVersion\":true,"
		      "\"settingsSeqNo\":0,\"isMultiConfig\":false,"
		      "\"settings\":[{\"publicSettings\":\"{}\"}]}");
}

static bool add_settings(struct buf *out, const struct vm *vm,
			 const struct goal *goal)
{
	char activity[RANDOM_GUID_SIZE], correlation[RANDOM_GUID_SIZE];

	if (!names_guid(vm, "activity", goal->incarnation, activity) ||
	    !names_guid(vm, "correlation", goal->incarnation, correlation))
		return false;
	buf_format(out,
		   "{\"hostGAPluginVersion\":\"1.0.8.159\","
		   "\"vmSettingsSchemaVersion\":\"0.0\","
		   "\"activityId\":\"%s\",\"correlationId\":\"%s\","
		   "\"inSvdSeqNo\":%llu,"
		   "\"extensionsLastModifiedTickCount\":%llu,"
		   "\"extensionGoalStatesSource\":\"Fabric\",",
		   activity, correlation, (unsigned long long)goal->incarnation,
		   FIRST_TICK + (unsigned long long)goal->incarnation);
	add_metadata(out, vm);
	buf_text(out, ",\"requiredFeatures\":[],\"gaFamilies\":[],"
		      "\"extensionGoalStates\":[");
	if (vm->extension)
		add_extension(out);
	buf_text(out, "]}");
	return true;
}

/* Does If-None-Match name this tag, or any? */
static bool is_known(const struct call *call, const struct buf *tag)
{
	const struct msp_header *h;

	return call_header(call, "if-none-match", &h) &&
	       (text_equal(h->value, h->value_len, "*") ||
		memmem(h->value, h->value_len, tag->data, tag->len));
}

static void settings(struct call *call)
{
	struct reply *reply = &call->reply;
	struct goal goal;

	if (!goal_of(call->vm, &goal)) {
		call_error(call, 500, "memory", "out of memory");
		return;
	}
	buf_format(&reply->etag, "\"%s\"", goal.tag);
	reply->type = JSON_TYPE;
	reply->status = 200;
	if (reply->etag.failed)
		call_error(call, 500, "memory", "out of memory");
	else if (is_known(call, &reply->etag))
		reply->status = 304;
	else if (!add_settings(&reply->body, call->vm, &goal))
		call_error(call, 500, "memory", "out of memory");
	goal_clear(&goal);
}

void hostga_call(struct call *call)
{
	static const struct route rows[] = {
		{ "GET", "/versions", NULL, versions },
		{ "GET", "/health", NULL, health },
		{ "GET", "/extensionArtifact", NULL, artifact },
		{ "GET", "/vmSettings", NULL, settings },
		{ "PUT", "/vmAgentLog", NULL, sink_call },
		{ "PUT", "/status", NULL, status_call },
	};

	route_table(call, rows, sizeof(rows) / sizeof(rows[0]));
}
