/* SPDX-License-Identifier: MIT */
/*
 * In: heads of requests, with the identity of their connection. Out: a
 * refusal, or an allowed request for forward.c; one audit line for each.
 * Must never open an upstream connection for a caller that is refused.
 */
#include "mspd/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/call_log.h"
#include "mspd/log.h"

#define ALLOWED "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"

/* ---- requests: a connection has one while it has something to ask ------- */

/* NULL: no memory. */
static struct msp_request *request_take(struct mspd_proxy *p)
{
	struct msp_request *request = NULL;

	if (p->n_spare)
		return p->spare[--p->n_spare];
	if (msp_request_new(&request) < 0)
		return NULL;
	return request;
}

static void request_give(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;

	if (call->request && p->n_spare < MSPD_SPARE_REQUESTS &&
	    call->head.target_len <= MSPD_SPARE_TARGET)
		p->spare[p->n_spare++] = call->request;
	else
		msp_request_free(call->request);
	call->request = NULL;
}

/* ---- admission: before anything is decided ----------------------------- */

static bool method_allowed(const char *method)
{
	static const char *const methods[] = { "GET",  "HEAD",	 "POST",
					       "PUT",  "DELETE", "OPTIONS",
					       "PATCH" };
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

static uint64_t body_limit(const struct mspd_call *call)
{
	return call->exempt ? MSPD_EXEMPT_BODY_MAX : MSPD_SIGNED_BODY_MAX;
}

/* Faults of the target that no mode forgives (design D3): 0 or a status. Those
 * of the path and of the method have been answered. */
static unsigned int check_target(const struct mspd_call *call)
{
	const struct msp_address *to = &call->identity.caller.destination;
	struct msp_authority named;

	if (msp_request_refused(call->request))
		return 400;
	if (msp_request_form(call->request) != MSP_FORM_ABSOLUTE)
		return 0;
	if (!msp_request_authority(call->request, &named))
		return 400;
	if (named.address.ip != to->ip || named.address.port != to->port)
		return 421;
	return 0;
}

static bool traversal(const struct mspd_call *call)
{
	enum msp_canon code = msp_request_canon(call->request);

	return code == MSP_CANON_SLASHES || code == MSP_CANON_TRAVERSAL;
}

/* The checks of spec 6.3 in their order; false if the request is answered. */
static bool admit(struct mspd_call *call)
{
	unsigned int status;

	if (call->head.length != MSPD_LENGTH_UNKNOWN &&
	    call->head.length > body_limit(call)) {
		mspd_call_refuse_text(call, 413, NULL, "length limit exceeded");
		return false;
	}
	if (!method_allowed(call->head.method)) {
		mspd_call_note(call, MSP_REASON_CANON);
		mspd_call_refuse_text(call, 405, ALLOWED, "Method Not Allowed");
		return false;
	}
	if (traversal(call)) {
		mspd_call_note(call, MSP_REASON_CANON);
		mspd_call_refuse(call, 403);
		return false;
	}
	if (mspd_local_answer(call))
		return false;
	if (!call->identity.known || call->endpoint < 0) {
		mspd_call_note(call, call->identity.known
					     ? MSP_REASON_DIRECT
					     : MSP_REASON_UNKNOWN_CALLER);
		mspd_call_refuse(call, 421);
		return false;
	}
	status = check_target(call);
	if (status) {
		mspd_call_note(call, MSP_REASON_CANON);
		mspd_call_refuse(call, status);
		return false;
	}
	return true;
}

/* ---- decision ---------------------------------------------------------- */

/* An enforced endpoint without a key: 503, never unsigned (design D5). */
static bool must_sign_but_cannot(const struct mspd_call *call)
{
	return !call->exempt && !call->policy->key &&
	       call->policy->mode[call->endpoint] == MSP_MODE_ENFORCE;
}

static void decide(struct mspd_call *call)
{
	int rc;

	call->decision.size = sizeof(call->decision);
	rc = msp_decision_make(&call->decision,
			       call->policy->rules[call->endpoint],
			       (enum msp_endpoint)call->endpoint, call->request,
			       &call->identity.caller);
	call->decided = true;
	call->judged = true;
	mspd_call_lap(call, MSPD_METER_DECISION);
	if (rc < 0 || call->decision.verdict == MSP_DENY) {
		mspd_call_refuse(call, 403);
		return;
	}
	if (must_sign_but_cannot(call)) {
		mspd_call_refuse(call, 503);
		return;
	}
	mspd_call_stage(call, "authorized");
	mspd_forward_start(call);
}

static void judge(void *arg)
{
	struct mspd_call *call = arg;

	mspd_call_stage(call, "caller identified");
	mspd_call_lap(call, MSPD_METER_IDENTITY);
	if (admit(call))
		decide(call);
}

static const struct msp_rules *rules_of(const struct mspd_call *call)
{
	if (call->endpoint < 0)
		return NULL;
	return call->policy->rules[call->endpoint];
}

/* Who it is, as far as the rules ask; what the agent answers itself needs no
 * names, and must not wait for them. */
static bool identify(struct mspd_call *call)
{
	const struct msp_rules *rules = rules_of(call);
	unsigned int needs = 0;
	uint64_t epoch = 0;

	if (rules)
		epoch = msp_rules_epoch(rules);
	if (rules && !mspd_local_wanted(call))
		needs = msp_rules_needs(rules);
	return mspd_identity_complete(&call->identity, needs, epoch, judge,
				      call);
}

/* Before names are looked up or anything is decided: it must cost little. */
static bool too_often(struct mspd_call *call)
{
	struct mspd_proxy *p = call->proxy;
	uint64_t owner = mspd_identity_owner(&call->identity);
	uint64_t now = mspd_loop_now(p->opts.loop).boot_ms;

	if (mspd_rate_take(p->opts.rate, owner, now))
		return false;
	mspd_limits_hit(&p->limits, MSPD_LIMIT_RATE, owner, now);
	mspd_call_refuse_rate(call);
	return true;
}

static bool take_request(struct mspd_call *call)
{
	int rc = MSP_ERR_NOMEM;

	call->request = request_take(call->proxy);
	if (call->request)
		rc = msp_request_set(call->request, call->head.method,
				     strlen(call->head.method),
				     call->head.target, call->head.target_len);
	if (rc < 0) {
		mspd_call_refuse(call, rc == MSP_ERR_LIMIT ? 414 : 503);
		return false;
	}
	call->exempt = msp_request_exempt(call->request);
	return !too_often(call);
}

/* First of all who it is: a refusal is recorded with a name, too. */
static void take_in(struct mspd_call *call)
{
	mspd_call_lap(call, MSPD_METER_RECORD);
	if (identify(call))
		judge(call);
}

/* Nothing is allowed that cannot be recorded. */
static void on_unrecorded(struct mspd_call *call)
{
	mspd_call_refuse(call, 503);
}

static void on_slow_disk(void *arg, bool yes)
{
	const struct mspd_proxy *p = arg;

	mspd_status_fault(p->opts.status, MSPD_MODULE_LISTENER,
			  yes ? "audit.jsonl is written too slowly, so "
				"requests are refused"
			      : NULL);
}

static void on_head(void *connection, struct mspd_exchange *x,
		    const struct mspd_head *head)
{
	struct mspd_call *call = connection;
	struct mspd_proxy *p = call->proxy;

	mspd_call_start(call, head);
	call->x = x;
	mspd_status_count(p->opts.status);
	mspd_policy_refresh(p->opts.policies, &p->held);
	if (!p->held) {
		mspd_call_refuse(call, 500);
		return;
	}
	call->policy = mspd_policy_ref(p->held);
	if (!take_request(call))
		return;
	/* what the agent answers itself tells how it is, also then */
	if (mspd_local_wanted(call) || !mspd_hold(&p->hold, call))
		take_in(call);
}

/* Only recorded: what it asks for is not known, so nothing was decided. */
static void on_malformed(void *connection, const struct mspd_head *head,
			 unsigned int status)
{
	struct mspd_call *call = connection;
	uint64_t us;

	mspd_call_start(call, head);
	/* its path is for the record only */
	if (head->target_len)
		call->request = request_take(call->proxy);
	if (head->target_len &&
	    msp_request_set(call->request, "GET", 3, head->target,
			    head->target_len) < 0)
		mspd_log(MSPD_WARN, "request %llu: no path for the record",
			 (unsigned long long)call->id);
	us = mspd_call_us(call);
	mspd_call_meter(call, status, us);
	mspd_call_audit(call, status, us);
	request_give(call);
}

static void on_late(void *connection, unsigned int status)
{
	struct mspd_call *call = connection;

	if (!call->replied)
		mspd_call_record(call, status);
}

/* ---- connections ------------------------------------------------------- */

static int endpoint_of(const struct mspd_proxy *p, const struct msp_caller *c)
{
	int i;

	if (c->flags & MSP_CALLER_DIRECT)
		return -1;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		if (p->opts.endpoints[i].ip == c->destination.ip &&
		    p->opts.endpoints[i].port == c->destination.port)
			return i;
	return -1;
}

static void *on_open(void *arg, int fd, const struct sockaddr_in *from,
		     uint64_t *owner)
{
	struct mspd_proxy *p = arg;
	struct mspd_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->proxy = p;
	call->endpoint = -1;
	/* first of all: the client may be gone any moment */
	mspd_identity_open(&call->identity, p->opts.identities, fd);
	call->connection = ++p->connections;
	call->client_port = ntohs(from->sin_port);
	call->client_ip = from->sin_addr.s_addr;
	if (call->identity.known)
		call->endpoint = endpoint_of(p, &call->identity.caller);
	*owner = mspd_identity_owner(&call->identity);
	return call;
}

static void forget_request(struct mspd_call *call)
{
	mspd_forward_close(call);
	request_give(call);
	mspd_call_drop_body(call);
	mspd_policy_free(call->policy);
	call->policy = NULL;
	memset(&call->decision, 0, sizeof(call->decision));
	call->decided = false;
	call->details = NULL;
	call->n_stages = 0;
	call->judged = false;
	call->exempt = false;
	call->local = false;
	call->replied = false;
	call->recorded = false;
	call->upstream_failed = false;
	call->from_host = false;
	call->retried = false;
	call->came_whole = false;
	call->body_finished = false;
	call->streamed = 0;
	call->x = NULL;
}

static void on_close(void *connection)
{
	struct mspd_call *call = connection;

	forget_request(call);
	mspd_identity_close(&call->identity);
	free(call->stages);
	free(call);
}

static void on_done(void *connection, bool complete)
{
	struct mspd_call *call = connection;

	mspd_hold_leave(&call->proxy->hold, call);
	/* the client left before it could be answered */
	if (!call->replied)
		mspd_call_record(call, 0);
	mspd_call_stage(call, complete ? "answered" : "cut short");
	mspd_call_stages_say(call);
	/* a worker must not call back for a request that is over */
	call->identity.done = NULL;
	forget_request(call);
}

static size_t on_body(void *connection, const void *data, size_t len)
{
	return mspd_forward_body(connection, data, len);
}

static void on_end(void *connection)
{
	mspd_forward_end(connection);
}

static ssize_t on_read(void *connection, void *out, size_t size)
{
	return mspd_forward_read(connection, out, size);
}

static void on_pass(void *arg)
{
	mspd_forward_ready(arg);
}

const struct mspd_server_ops mspd_proxy_ops = {
	.open = on_open,
	.close = on_close,
	.head = on_head,
	.malformed = on_malformed,
	.late = on_late,
	.body = on_body,
	.end = on_end,
	.pass = on_pass,
	.read = on_read,
	.done = on_done,
};

int mspd_proxy_new(struct mspd_proxy **out, const struct mspd_proxy_opts *opts)
{
	struct mspd_proxy *p = calloc(1, sizeof(*p));

	*out = p;
	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	TAILQ_INIT(&p->ready);
	p->hold.loop = opts->loop;
	p->hold.audit = opts->audit;
	p->hold.go = take_in;
	p->hold.expire = on_unrecorded;
	p->hold.slow = on_slow_disk;
	p->hold.arg = p;
	return mspd_hold_open(&p->hold);
}

void mspd_proxy_free(struct mspd_proxy *proxy)
{
	if (!proxy)
		return;
	mspd_hold_close(&proxy->hold);
	while (proxy->n_spare)
		msp_request_free(proxy->spare[--proxy->n_spare]);
	free(proxy->spare_body);
	mspd_policy_free(proxy->held);
	msp_signer_free(proxy->signer);
	free(proxy);
}
