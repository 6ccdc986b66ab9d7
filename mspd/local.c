/* SPDX-License-Identifier: MIT */
/*
 * In: a request for a path of the agent itself (spec 6.4, 6.5). Out: its
 * answer. Must never show the status to anybody but root, nor take anybody
 * else's notification for root's.
 */
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "mspd/call.h"
#include "mspd/http_check.h"
#include "mspd/json_put.h"
#include "mspd/json_text.h"

#define STATUS_TARGET	 "/gpa-aggregated-status"
#define PROVISION_TARGET "/provision"

/* The whole target, case-sensitive; an empty query counts as none. */
static bool target_is(const struct mspd_call *call, const char *path)
{
	size_t len = strlen(path);

	return call->head.target_len >= len &&
	       memcmp(call->head.target, path, len) == 0 &&
	       (call->head.target_len == len ||
		strcmp(call->head.target + len, "?") == 0);
}

/* The first of that name, NULL: none. */
static const struct msp_header *find_header(const struct mspd_call *call,
					    const char *name)
{
	size_t i;

	for (i = 0; i < call->head.n_headers; i++)
		if (mspd_http_is(&call->head.headers[i], name))
			return &call->head.headers[i];
	return NULL;
}

static bool is_root(const struct mspd_call *call)
{
	return call->identity.known &&
	       msp_caller_elevated(&call->identity.caller);
}

static void answer_json(struct mspd_call *call, const void *text, size_t len)
{
	static const char type[] = "application/json; charset=utf-8";
	const struct msp_header header = { "content-type", 12, type,
					   sizeof(type) - 1 };
	struct mspd_reply reply = {
		.status = 200,
		.headers = &header,
		.n_headers = 1,
		.body = text,
		.length = len,
	};

	mspd_call_reply(call, &reply);
}

static void answer_status(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;
	char *text = NULL;
	size_t len = 0;

	if (mspd_status_json(p->opts.status, p->opts.summary, false, &text,
			     &len) < 0) {
		mspd_call_refuse(call, 500);
		return;
	}
	answer_json(call, text, len);
	free(text);
}

/* ---- provisioning ------------------------------------------------------ */

static uint64_t tick_of(const struct mspd_call *call)
{
	const struct msp_header *tick =
		find_header(call, "x-ms-azure-time-tick");

	return tick ? mspd_provision_tick(tick->value, tick->value_len) : 0;
}

static void put_provision(yajl_gen gen, bool finished, const char *error)
{
	yajl_gen_map_open(gen);
	mspd_json_put(gen, "finished");
	yajl_gen_bool(gen, finished);
	mspd_json_put(gen, "errorMessage");
	mspd_json_put(gen, error);
	yajl_gen_map_close(gen);
}

/* Whoever may connect may ask, from the first moment on: before anything is
 * redirected nobody can say who it is. */
static void answer_provision(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;
	char error[MSPD_PROVISION_ERROR];
	struct mspd_json_text json;
	char *text = NULL;
	size_t len;
	bool finished;
	int rc = mspd_json_text_open(&json);

	finished = mspd_provision_ask(p->opts.provision, tick_of(call), error);
	if (!finished && find_header(call, "x-ms-azure-notify"))
		mspd_provision_notify(p->opts.provision, is_root(call),
				      mspd_loop_now(p->opts.loop).boot_ms);
	if (rc == 0) {
		put_provision(json.gen, finished, error);
		rc = mspd_json_text_take(&json, "", &text, &len);
	}
	if (rc == 0)
		answer_json(call, text, len);
	else
		mspd_call_refuse(call, 500);
	free(text);
	mspd_json_text_close(&json);
}

/* ---- which, and for whom ----------------------------------------------- */

bool mspd_local_wanted(const struct mspd_call *call)
{
	return target_is(call, STATUS_TARGET) ||
	       target_is(call, PROVISION_TARGET);
}

bool mspd_local_answer(struct mspd_call *call)
{
	if (!mspd_local_wanted(call))
		return false;
	call->local = true;
	if (!find_header(call, "metadata")) {
		mspd_call_refuse(call, 400);
	} else if (target_is(call, PROVISION_TARGET)) {
		answer_provision(call);
	} else if (call->identity.caller.flags & MSP_CALLER_DIRECT ||
		   !is_root(call)) {
		mspd_call_note(call, MSP_REASON_NOT_ROOT);
		mspd_call_refuse(call, 403);
	} else {
		answer_status(call);
	}
	return true;
}
