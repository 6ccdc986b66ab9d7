/* SPDX-License-Identifier: MIT */
/*
 * In: what became of a request. Out: the answer, one audit line, and its
 * place in the summaries. Must never answer or record a request twice.
 */
#include "mspd/call_log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mspd/log.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define PATH_TEXT  1024

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Of all while little happens; of one in each turn of a loop that is busy, so
 * that the clock costs little. */
static void begin_laps(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;
	uint64_t turn = mspd_loop_turn(p->opts.loop);

	call->lap_us = turn != p->lap_turn ? call->started_us : 0;
	p->lap_turn = turn;
}

void mspd_call_start(struct mspd_call *call, const struct mspd_head *head)
{
	call->head = *head;
	call->id = ++call->proxy->requests;
	call->started_us = now_us();
	clock_gettime(CLOCK_REALTIME, &call->started);
	begin_laps(call);
	mspd_call_stage(call, "request received");
}

uint64_t mspd_call_us(const struct mspd_call *call)
{
	return now_us() - call->started_us;
}

void mspd_call_lap(struct mspd_call *call, enum mspd_meter_stage stage)
{
	uint64_t now;

	if (!call->lap_us)
		return;
	now = now_us();
	mspd_meter_took(call->proxy->opts.meter, stage, now - call->lap_us);
	call->lap_us = now;
}

void mspd_call_note(struct mspd_call *call, enum msp_reason reason)
{
	call->decision = (struct msp_decision){
		.size = sizeof(call->decision),
		.verdict = MSP_DENY,
		.reason = reason,
		.canon = msp_request_canon(call->request),
		.rule_id = "",
	};
	call->decided = true;
}

void mspd_call_drop_body(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;

	if (call->replied && call->body)
		explicit_bzero(call->body, call->body_len); /* an answer's */
	if (call->body_room == MSPD_SPARE_BODY && !p->spare_body)
		p->spare_body = call->body;
	else
		free(call->body);
	call->body = NULL;
	call->body_len = 0;
	call->body_room = 0;
	call->body_at = 0;
}

/* ---- recording --------------------------------------------------------- */

void mspd_call_audit(struct mspd_call *call, unsigned int status, uint64_t us)
{
	char path[PATH_TEXT];
	struct mspd_audit_record record = {
		.time = call->started,
		.id = call->id,
		.user = mspd_identity_user(&call->identity),
		.endpoint = call->endpoint,
		.method = call->head.method,
		.path = path,
		.decision = call->decided ? &call->decision : NULL,
		.status = status,
		.us = us,
		.client_port = call->client_port,
		.version = call->identity.version,
		.owner = mspd_identity_owner(&call->identity),
	};

	if (call->identity.known)
		record.caller = &call->identity.caller;
	msp_request_path_text(call->request, path, sizeof(path));
	mspd_audit_write(call->proxy->opts.audit, &record);
}

static void summarize(struct mspd_call *call, unsigned int status,
		      enum mspd_summary_which which, const char *details)
{
	const struct msp_caller *caller = &call->identity.caller;
	struct mspd_summary_event event = {
		.known = call->identity.known,
		.client_ip = call->client_ip,
		.status = status,
		.version = call->identity.version,
	};
	uint64_t now = mspd_loop_now(call->proxy->opts.loop).boot_ms;

	if (event.known) {
		event.user_name = caller->user_name;
		event.groups = caller->groups;
		event.n_groups = caller->n_groups;
		event.exe_path = caller->exe_path[0] ? caller->exe_path : NULL;
		event.command = call->identity.command;
		event.destination = caller->destination;
	}
	if (mspd_summary_add(call->proxy->opts.summary, which, &event,
			     now / 1000))
		mspd_call_log_summary(call, status, details,
				      mspd_call_us(call));
}

/* Which request lands in which table: spec 4.4. */
static void summarize_all(struct mspd_call *call, unsigned int status)
{
	/* what never came to the rules was not refused by them */
	bool denied = call->judged && call->decision.verdict != MSP_ALLOW;

	if (!call->identity.known) {
		summarize(call, status, MSPD_SUMMARY_FAILED, NULL);
		return;
	}
	summarize(call, status, MSPD_SUMMARY_CONNECTIONS, NULL);
	if (denied)
		summarize(call, 403, MSPD_SUMMARY_FAILED, "Authorize failed");
}

static enum mspd_meter_verdict verdict_of(const struct mspd_call *call,
					  unsigned int status)
{
	if (call->decided && call->decision.verdict == MSP_DENY)
		return MSPD_METER_DENY;
	if (!call->from_host)
		return status && status < 500 ? MSPD_METER_DENY
					      : MSPD_METER_ERROR;
	return call->decision.verdict == MSP_ALLOW ? MSPD_METER_ALLOW
						   : MSPD_METER_AUDIT;
}

/* A limit refuses what the rules have allowed. */
static unsigned int reason_of(const struct mspd_call *call,
			      enum mspd_meter_verdict verdict)
{
	if (!call->decided ||
	    (verdict == MSPD_METER_DENY && call->decision.verdict != MSP_DENY))
		return MSPD_METER_REFUSED;
	return (unsigned int)call->decision.reason;
}

static void note_refused(struct mspd_call *call, unsigned int reason)
{
	const struct mspd_identity *id = &call->identity;
	const struct mspd_refusal refusal = {
		.caller = id->known ? &id->caller : NULL,
		.names = id->names,
		.groups_cut = id->groups_cut,
		.endpoint = call->endpoint,
		.method = call->head.method,
		.target = call->head.target,
		.target_len = call->head.target_len,
		.request = call->request,
		.reason = reason,
		.wall_s = call->started.tv_sec,
	};

	mspd_refused_note(call->proxy->opts.refused, &refusal);
}

void mspd_call_meter(struct mspd_call *call, unsigned int status, uint64_t us)
{
	struct mspd_meter *meter = call->proxy->opts.meter;
	enum mspd_meter_verdict verdict = verdict_of(call, status);
	unsigned int reason = reason_of(call, verdict);

	mspd_meter_count(meter, call->endpoint, verdict, reason,
			 mspd_loop_now(call->proxy->opts.loop).boot_ms);
	mspd_meter_took(meter, MSPD_METER_TOTAL, us);
	if (verdict == MSPD_METER_DENY)
		note_refused(call, reason);
}

void mspd_call_record(struct mspd_call *call, unsigned int status)
{
	uint64_t us;

	if (call->recorded)
		return;
	call->recorded = true;
	if (call->local && status == 200)
		return;
	us = mspd_call_us(call);
	mspd_call_meter(call, status, us);
	mspd_call_audit(call, status, us);
	mspd_call_log_begin(call);
	if (!call->local && status != 413)
		summarize_all(call, status);
	mspd_call_log_end(call, status, us);
}

/* ---- answering --------------------------------------------------------- */

/* What has no room is not the host's fault alone: the heads of request and
 * answer share it. */
static void make_fit(struct mspd_call *call, struct mspd_reply *reply)
{
	if (!reply->n_headers || mspd_exchange_has_room(call->x, reply))
		return;
	mspd_log(MSPD_WARN,
		 "request %llu: its head and that of its answer, %u, are "
		 "larger than maxRequestHeadBytes",
		 (unsigned long long)call->id, reply->status);
	reply->n_headers = 0;
	if (call->judged && call->decision.verdict != MSP_DENY)
		reply->status = 502;
	call->from_host = false;
	reply->body = NULL;
	reply->length = 0;
	reply->close = true;
}

void mspd_call_reply(struct mspd_call *call, const struct mspd_reply *given)
{
	struct mspd_reply fitting = *given, *reply = &fitting;

	if (call->replied)
		return;
	call->replied = true;
	make_fit(call, reply);
	mspd_call_record(call, reply->status);
	if (mspd_exchange_reply(call->x, reply) < 0)
		mspd_log(MSPD_ERROR, "request %llu: no memory for the answer",
			 (unsigned long long)call->id);
}

/* Is its endpoint not redirected any more? Then the next connection goes to
 * the host, which may think otherwise: this one must not be held on to. */
static bool is_left_over(const struct mspd_call *call)
{
	const struct msp_redirect *redirect = call->identity.shared->redirect;

	return redirect && call->endpoint >= 0 &&
	       msp_redirect_get(redirect, (enum msp_endpoint)call->endpoint) ==
		       MSP_REDIRECT_OFF;
}

void mspd_call_refuse(struct mspd_call *call, unsigned int status)
{
	struct mspd_reply reply = {
		.status = status,
		/* what was refused is over; what went wrong may not be */
		.close = status >= 500 || is_left_over(call),
	};

	mspd_call_reply(call, &reply);
}

void mspd_call_refuse_rate(struct mspd_call *call)
{
	/* there is a token within a second, whatever the limit */
	static const struct msp_header retry = { "retry-after", 11, "1", 1 };
	struct mspd_reply reply = {
		.status = 429,
		.headers = &retry,
		.n_headers = 1,
	};

	mspd_call_reply(call, &reply);
}

void mspd_call_refuse_text(struct mspd_call *call, unsigned int status,
			   const char *allow, const char *text)
{
	struct msp_header headers[2] = {
		{ "content-type", 12, TEXT_PLAIN, sizeof(TEXT_PLAIN) - 1 },
	};
	struct mspd_reply reply = {
		.status = status,
		.headers = headers,
		.n_headers = 1,
		.body = text,
		.length = strlen(text),
		/* the body it announces is not waited for */
		.close = status == 413,
	};

	if (allow) {
		headers[1] =
			(struct msp_header){ "allow", 5, allow, strlen(allow) };
		reply.n_headers = 2;
	}
	mspd_call_reply(call, &reply);
}
