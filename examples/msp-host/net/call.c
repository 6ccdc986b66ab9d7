/* SPDX-License-Identifier: MIT */
/*
 * In:  a raw target, headers and pieces of a body.
 * Out: one request, complete, and the answer it is given.
 * Never: keeps more of a body than its limit.
 */
#include "net/call.h"

#include "net/script.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *port_name(enum port port)
{
	if (port == PORT_CONTROL)
		return "Control";
	return msp_endpoint_name((enum msp_endpoint)port);
}

const char *verdict_name(const struct verdict *verdict)
{
	switch (verdict->auth) {
	case AUTH_UNSIGNED:
		return "unsigned";
	case AUTH_VERIFIED:
		return "verified";
	case AUTH_BAD:
		return "bad";
	}
	return "bad";
}

const char *reason_name(enum reason reason)
{
	switch (reason) {
	case REASON_NONE:
		return "";
	case REASON_DUPLICATE:
		return "duplicate";
	case REASON_MALFORMED:
		return "malformed";
	case REASON_SCHEME:
		return "scheme";
	case REASON_GUID:
		return "guid";
	case REASON_INCARNATION:
		return "incarnation";
	case REASON_OTHER_VM:
		return "other-vm";
	case REASON_SIGNATURE:
		return "signature";
	case REASON_NO_KEY:
		return "no-key";
	case REASON_NO_DATE:
		return "no-date";
	case REASON_DATE:
		return "date";
	case REASON_STALE:
		return "stale";
	case REASON_BODY_NOT_KEPT:
		return "body-not-kept";
	case REASON_UNVERIFIABLE:
		return "unverifiable";
	}
	return "";
}

struct call *call_new(struct emulator *emu, const char *target)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->emu = emu;
	call->target = strdup(target);
	if (!call->target) {
		free(call);
		return NULL;
	}
	return call;
}

void call_free(struct call *call)
{
	if (!call)
		return;
	EVP_MD_CTX_free(call->sha256);
	script_free(call->script);
	buf_clear(&call->body);
	buf_clear(&call->reply.body);
	buf_clear(&call->reply.allow);
	buf_clear(&call->reply.etag);
	free(call->path);
	free(call->target);
	free(call);
}

bool call_split(struct call *call)
{
	struct msp_request *request = NULL;
	const char *origin;
	char *query;
	size_t len;

	if (msp_request_new(&request) < 0)
		return false;
	if (msp_request_set(request, call->method, strlen(call->method),
			    call->target, strlen(call->target)) < 0)
		goto out;
	origin = msp_request_origin(request, &len);
	if (!origin)
		goto out;
	call->path = strndup(origin, len);
	if (!call->path)
		goto out;
	call->exempt = msp_request_exempt(request);
	query = strchr(call->path, '?');
	if (query) {
		*query = '\0';
		call->query = query + 1;
	}
out:
	msp_request_free(request);
	return call->path;
}

static bool digest_add(struct call *call, const void *data, size_t len)
{
	if (!call->sha256) {
		call->sha256 = EVP_MD_CTX_new();
		if (!call->sha256 ||
		    !EVP_DigestInit_ex(call->sha256, EVP_sha256(), NULL))
			return false;
	}
	return EVP_DigestUpdate(call->sha256, data, len);
}

bool call_take(struct call *call, const void *data, size_t len)
{
	/* Refused only when it is over: the HTTP library cannot answer in
	 * mid-body. Somebody who never ends is cut off. */
	if (len > 2 * (uint64_t)BODY_EXEMPT_MAX - call->body_len)
		return false;
	call->body_len += len;
	if (call->body_len > call->body_max) {
		call->too_large = true;
		buf_clear(&call->body);
		return true;
	}
	if (!digest_add(call, data, len))
		return false;
	if (!call->exempt)
		buf_add(&call->body, data, len);
	return !call->body.failed;
}

size_t call_header(const struct call *call, const char *name,
		   const struct msp_header **value)
{
	size_t i, n = 0;

	for (i = 0; i < call->n_headers; i++) {
		const struct msp_header *h = &call->headers[i];

		if (!text_equal_nocase(h->name, h->name_len, name))
			continue;
		n++;
		if (value)
			*value = h;
	}
	return n;
}

bool call_method(const struct call *call, const char *method)
{
	return !strcmp(call->method, method);
}

bool call_digest(struct call *call, char *out)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (!digest_add(call, "", 0) ||
	    !EVP_DigestFinal_ex(call->sha256, digest, &len))
		return false;
	text_hex(out, digest, len, false);
	return true;
}

void call_text(struct call *call, unsigned int status, const char *type,
	       const char *text)
{
	call->reply.status = status;
	call->reply.type = type;
	buf_clear(&call->reply.body);
	buf_text(&call->reply.body, text);
}

void call_error(struct call *call, unsigned int status, const char *code,
		const char *text)
{
	struct buf *body = &call->reply.body;

	call->reply.status = status;
	call->reply.type = "application/json; charset=utf-8";
	buf_clear(body);
	buf_text(body, "{\"error\":");
	buf_json(body, code, strlen(code));
	buf_text(body, ",\"message\":");
	buf_json(body, text, strlen(text));
	buf_text(body, "}");
}
