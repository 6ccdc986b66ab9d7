/* SPDX-License-Identifier: MIT */
/*
 * In: a request for a path of the agent itself (spec 6.5). Out: its answer.
 * Must never show the status to anybody but root.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/call.h"
#include "mspd/http_check.h"

#define STATUS_TARGET "/gpa-aggregated-status"

/* The whole target, case-sensitive; an empty query counts as none. */
static bool target_is(const struct mspd_call *call, const char *path)
{
	size_t len = strlen(path);

	return call->head.target_len >= len &&
	       memcmp(call->head.target, path, len) == 0 &&
	       (call->head.target_len == len ||
		strcmp(call->head.target + len, "?") == 0);
}

static bool has_metadata_header(const struct mspd_call *call)
{
	size_t i;

	for (i = 0; i < call->head.n_headers; i++)
		if (mspd_http_is(&call->head.headers[i], "metadata"))
			return true;
	return false;
}

static void answer_status(struct mspd_call *call)
{
	static const char type[] = "application/json; charset=utf-8";
	const struct msp_header header = { "content-type", 12, type,
					   sizeof(type) - 1 };
	struct mspd_reply reply = {
		.status = 200,
		.headers = &header,
		.n_headers = 1,
	};
	struct mspd_proxy *p = call->proxy;
	char *text = NULL;
	size_t len = 0;

	if (mspd_status_json(p->opts.status, p->opts.summary, false, &text,
			     &len) < 0) {
		mspd_call_refuse(call, 500);
		return;
	}
	reply.body = text;
	reply.length = len;
	mspd_call_reply(call, &reply);
	free(text);
}

bool mspd_local_wanted(const struct mspd_call *call)
{
	return target_is(call, STATUS_TARGET);
}

bool mspd_local_answer(struct mspd_call *call)
{
	const struct msp_caller *caller = &call->identity.caller;

	if (!mspd_local_wanted(call))
		return false;
	call->local = true;
	if (!has_metadata_header(call)) {
		mspd_call_refuse(call, 400);
	} else if (!call->identity.known || caller->flags & MSP_CALLER_DIRECT ||
		   !msp_caller_elevated(caller)) {
		mspd_call_note(call, MSP_REASON_NOT_ROOT);
		mspd_call_refuse(call, 403);
	} else {
		answer_status(call);
	}
	return true;
}
