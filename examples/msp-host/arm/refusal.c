/* SPDX-License-Identifier: MIT */
/*
 * In:  what is wrong with a call.
 * Out: the error as Azure's control plane answers it.
 * Never: words of its own where Azure's are documented.
 */
#include "arm/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTINGS  "securityProfile.proxyAgentSettings."
#define REFERENCE "inVMAccessControlProfileReferenceId"

const char *item_member(enum item item)
{
	return item == ITEM_IMDS ? "imds" : "wireServer";
}

const char *item_endpoint(enum item item)
{
	return item == ITEM_IMDS ? "IMDS" : "WireServer";
}

void refusal_clear(struct refusal *r)
{
	buf_clear(&r->text);
	r->status = 0;
}

void refusal_answer(struct call *call, const struct refusal *r)
{
	struct buf *body = &call->reply.body;

	if (!r->status || r->text.failed || !r->text.data) {
		call->reply.status = 500;
		call->reply.type = "application/json; charset=utf-8";
		buf_clear(body);
		buf_text(body, "{\"error\":{\"code\":\"InternalServerError\","
			       "\"message\":\"Out of memory.\"}}");
		return;
	}
	call->reply.status = r->status;
	call->reply.type = "application/json; charset=utf-8";
	buf_clear(body);
	buf_format(body, "{\"error\":{\"code\":\"%s\",\"message\":", r->code);
	buf_json_utf8(body, r->text.data);
	if (r->detail) {
		buf_format(body, ",\"details\":[{\"code\":\"%s\",\"message\":",
			   r->detail);
		buf_json_utf8(body, r->text.data);
		buf_text(body, "}]");
	}
	buf_text(body, "}}");
}

bool refuse(struct refusal *r, unsigned int status, const char *code,
	    const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (r->status)
		return false;
	r->status = status;
	r->code = code;
	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		r->text.failed = true;
		return false;
	}
	buf_add(&r->text, text, (size_t)n);
	free(text);
	return false;
}

bool refuse_memory(struct refusal *r)
{
	return refuse(r, 500, "InternalServerError", "Out of memory.");
}

bool refuse_state(struct refusal *r)
{
	return refuse(r, 500, "InternalServerError",
		      "The state cannot be stored; nothing has changed.");
}

bool refuse_room(struct refusal *r)
{
	return refuse(r, 409, "OperationNotAllowed",
		      "Operation could not be completed as it results in "
		      "exceeding the limits of this host.");
}

bool refuse_value(struct refusal *r, const char *name, const char *hint)
{
	return refuse(r, 400, "InvalidParameter",
		      "The value of parameter %s is invalid.%s%s", name,
		      *hint ? " " : "", hint);
}

bool refuse_region(struct refusal *r)
{
	return refuse(r, 400, "ProxyAgentNotSupportedInRegion",
		      "Creation of VMs or Virtual Machine Scale Sets with "
		      "ProxyAgent feature isn't supported in this region.");
}

bool refuse_subscription(struct refusal *r)
{
	return refuse(r, 400, "SubscriptionNotEnabledForProxyAgentFeature",
		      "The subscription is not registered for the private "
		      "preview of ProxyAgent feature.");
}

/* The document's stray quote after one of the two is not repeated. */
bool refuse_both(struct refusal *r, enum item item)
{
	const char *name = item_member(item);

	return refuse(r, 400, "BadRequest",
		      "The property " SETTINGS "%s." REFERENCE
		      " can't be used together with property " SETTINGS
		      "%s.mode.",
		      name, name);
}

bool refuse_incarnation(struct refusal *r)
{
	return refuse(r, 400, "BadRequest",
		      "The value " SETTINGS
		      "keyIncarnationId can only be incremented.");
}

bool refuse_mode(struct refusal *r, const enum item *item)
{
	return refuse(r, 400, "BadRequest",
		      "The value of parameter " SETTINGS "%s%smode is invalid.",
		      item ? item_member(*item) : "", item ? "." : "");
}

bool refuse_reference(struct refusal *r, const char *reference)
{
	return refuse(
		r, 400, "InvalidParameter",
		"The resource id '%s' isn't a valid gallery "
		"inVMAccessControlProfile reference. A gallery "
		"inVMAccessControlProfile reference should be a valid "
		"resource identifier, of the format: "
		"'/subscriptions/{subscriptionId}/resourceGroups/"
		"{resourceGroupName}/providers/Microsoft.Compute/galleries/"
		"{galleryName}/inVMAccessControlProfiles/{profileName}/"
		"versions/{version}'.",
		reference);
}

bool refuse_os(struct refusal *r, const char *version, const char *supported,
	       const char *current)
{
	if (!r->status)
		r->detail = "GalleryInVMAccessControlProfileNotMatchOSDisk";
	return refuse(r, 400, "BadRequest",
		      "Current Gallery InVMAccessControlProfile Version %s "
		      "supports OS %s, while current OSDisk's OS is %s.",
		      version, supported, current);
}

bool refuse_endpoint(struct refusal *r, const char *version, const char *made,
		     enum item item)
{
	if (!r->status)
		r->detail = "GalleryInVMAccessControlProfile"
			    "NotMatchHostEndpointType";
	return refuse(r, 400, "BadRequest",
		      "Current Gallery InVMAccessControlProfile Version %s is "
		      "for host endpoint %s, while current referred by %s.",
		      version, made, item_endpoint(item));
}

bool refuse_profile(struct refusal *r, const char *reference)
{
	return refuse(r, 404, "InVMAccessControlProfileNotFound",
		      "The gallery InVMAccessControlProfile '%s' isn't "
		      "available. Verify that the "
		      "InVMAccessControlProfileReferenceId passed in is "
		      "correct.",
		      reference);
}

bool refuse_content(struct refusal *r, const char *reference, const char *why)
{
	return refuse(r, 404, "InVMAccessControlProfileNotFound",
		      "Failed to prepare the InVMAccessControlProfile '%s' "
		      "metadata for one or more resources due to an error: "
		      "'%s'.",
		      reference, why);
}
