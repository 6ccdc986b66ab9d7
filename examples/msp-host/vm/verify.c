/* SPDX-License-Identifier: MIT */
/*
 * In:  a request as received, the signer of the VM's key, the time.
 * Out: unsigned, verified, or bad with the reason.
 * Never: says verified of a request with a doubt about it.
 */
#include "vm/verify.h"

#include <string.h>

static struct verdict bad(enum reason reason)
{
	struct verdict verdict = { AUTH_BAD, reason };

	return verdict;
}

/* The window that makes a captured request worthless after a while. The date
 * is under the signature, the last of several as in spec 6.9. */
static enum reason check_date(const struct call *call, int64_t now,
			      uint32_t skew)
{
	const struct msp_header *date;
	int64_t then;

	if (!skew)
		return REASON_NONE;
	if (!call_header(call, MSP_HEADER_DATE, &date))
		return REASON_NO_DATE;
	if (!text_parse_http_date(date->value, date->value_len, &then))
		return REASON_DATE;
	/* both are small numbers: a four-digit year and a clock */
	if (then < now - (int64_t)skew || then > now + (int64_t)skew)
		return REASON_STALE;
	return REASON_NONE;
}

/* Names the part that does not fit: scheme, guid, or the signature itself. */
static enum reason fault(struct msp_signer *signer, const char *value,
			 size_t len)
{
	const char *guid = msp_key_guid(msp_signer_key(signer));
	const size_t scheme = sizeof(MSP_SCHEME) - 1;

	if (len != MSP_AUTHORIZATION_LEN)
		return REASON_MALFORMED;
	if (memcmp(value, MSP_SCHEME " ", scheme + 1))
		return REASON_SCHEME;
	if (!text_equal_nocase(value + scheme + 1, MSP_GUID_LEN, guid))
		return REASON_GUID;
	return REASON_SIGNATURE;
}

struct verdict verify_call(const struct call *call, struct msp_signer *signer,
			   int64_t now, uint32_t skew)
{
	struct verdict verdict = { AUTH_UNSIGNED, REASON_NONE };
	struct msp_message message = {
		.size = sizeof(message),
		.method = call->method,
		.method_len = strlen(call->method),
		.target = call->target,
		.target_len = strlen(call->target),
		.headers = call->headers,
		.n_headers = call->n_headers,
		.body = call->body.data,
		.body_len = call->body.len,
	};
	const struct msp_header *value;
	enum reason reason;
	bool valid = false;
	size_t n;

	n = call_header(call, MSP_HEADER_AUTHORIZATION, &value);
	if (!n)
		return verdict;
	if (n > 1)
		return bad(REASON_DUPLICATE);
	/* a body that was streamed away cannot be checked */
	if (call->body_len != call->body.len)
		return bad(REASON_BODY_NOT_KEPT);
	if (!signer)
		return bad(REASON_NO_KEY);
	if (msp_signer_verify(signer, &valid, &message, value->value,
			      value->value_len) < 0)
		return bad(REASON_UNVERIFIABLE);
	if (!valid)
		return bad(fault(signer, value->value, value->value_len));
	reason = check_date(call, now, skew);
	if (reason)
		return bad(reason);
	verdict.auth = AUTH_VERIFIED;
	return verdict;
}
