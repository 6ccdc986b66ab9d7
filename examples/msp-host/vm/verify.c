/* SPDX-License-Identifier: MIT */
/*
 * In:  a request as received, the signer of the VM's key, the time.
 * Out: unsigned, verified, or bad with the reason.
 * Never: says verified of a request with a doubt about it.
 */
#include "vm/verify.h"

#include "vm/vms.h"

#include <string.h>

/* where the guid is in "Azure-HMAC-SHA256 <guid> <64 digits>" */
#define GUID_AT sizeof(MSP_SCHEME)

static struct verdict bad(enum reason reason)
{
	struct verdict verdict = { AUTH_BAD, reason };

	return verdict;
}

/*
 * The window that makes a captured request worthless after a while. The date
 * is under the signature, the last of several as in spec 6.9. Inside the
 * window the same request is accepted as often as it comes: the protocol has
 * no nonce, and an agent that repeats one after a lost answer is no attacker.
 */
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

/* A guid that is not the latched key's: do we know it? */
static enum reason known_guid(const struct call *call, const char *guid)
{
	const struct vm *owner;

	if (vm_retired(call->vm, guid, MSP_GUID_LEN))
		return REASON_INCARNATION;
	owner = vms_owner(call->vm->vms, guid, MSP_GUID_LEN);
	if (owner && owner != call->vm)
		return REASON_OTHER_VM;
	return REASON_GUID;
}

/* Names the part that does not fit: scheme, guid, or the signature itself.
 * Without a key of the VM, only somebody else's or an old one is told. */
static enum reason fault(const struct call *call,
			 const struct msp_signer *signer,
			 const struct msp_header *header)
{
	const char *value = header->value;
	const char *guid = value + GUID_AT;
	enum reason reason;

	if (header->value_len != MSP_AUTHORIZATION_LEN)
		return signer ? REASON_MALFORMED : REASON_NO_KEY;
	if (memcmp(value, MSP_SCHEME " ", GUID_AT))
		return signer ? REASON_SCHEME : REASON_NO_KEY;
	if (signer && text_equal_nocase(guid, MSP_GUID_LEN,
					msp_key_guid(msp_signer_key(signer))))
		return REASON_SIGNATURE;
	reason = known_guid(call, guid);
	return signer || reason != REASON_GUID ? reason : REASON_NO_KEY;
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
		return bad(fault(call, NULL, value));
	if (msp_signer_verify(signer, &valid, &message, value->value,
			      value->value_len) < 0)
		return bad(REASON_UNVERIFIABLE);
	if (!valid)
		return bad(fault(call, signer, value));
	reason = check_date(call, now, skew);
	if (reason)
		return bad(reason);
	verdict.auth = AUTH_VERIFIED;
	return verdict;
}
