/* SPDX-License-Identifier: MIT */
/*
 * In:  status, acquire and attest calls of the guest (spec 5.1).
 * Out: the status document, a key once, a latched key.
 * Never: gives out a key while one is latched, or latches without a signature
 *        made with it.
 */
#include "base/json.h"
#include "emulator.h"
#include "net/route.h"
#include "vm/verify.h"
#include "vm/vm.h"

#include <string.h>
#include <strings.h>

#define KEY_PREFIX  "/secure-channel/key/"
#define ATTESTATION "/key-attestation"
#define JSON_TYPE   "application/json; charset=utf-8"

void channel_status(struct call *call)
{
	call->reply.dated = true;
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	vm_status(call->vm, &call->reply.body);
}

static bool wants_our_scheme(const struct call *call)
{
	struct buf scheme = { 0 };
	bool ok;

	ok = call->body.len &&
	     json_field(&scheme, call->body.data, call->body.len,
			"authorizationScheme") &&
	     text_equal(scheme.data, scheme.len, MSP_SCHEME);
	buf_clear(&scheme);
	return ok;
}

void channel_acquire(struct call *call)
{
	struct vm *vm = call->vm;

	call->reply.dated = true;
	if (!wants_our_scheme(call)) {
		call_error(call, 400, "scheme",
			   "authorizationScheme must be " MSP_SCHEME);
		return;
	}
	/* whoever asks second may be a thief: the owner has to reset */
	if (!vm->enabled || !vm->offers_key || vm->latched) {
		call_error(call, 403, "not-offered", "no key is offered");
		return;
	}
	if (!vm_offer(vm, &call->reply.body)) {
		call_error(call, 500, "key", "no key could be made");
		return;
	}
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
}

static void attested(struct call *call, struct msp_signer *signer)
{
	switch (vm_latch(call->emu, call->vm, signer)) {
	case ATTESTED:
		call_text(call, 200, JSON_TYPE, "{}");
		break;
	case ATTEST_NO_KEY:
		call_error(call, 401, "guid", "no such key is offered");
		break;
	case ATTEST_FAILED:
		call_error(call, 500, "state", "the key cannot be stored");
		break;
	}
}

void channel_attest(struct call *call)
{
	struct vm *vm = call->vm;
	const char *guid = route_rest(call, KEY_PREFIX);
	size_t len = strcspn(guid, "/");
	struct msp_signer *signer;

	call->reply.dated = true;
	if (strcasecmp(guid + len, ATTESTATION)) {
		call_error(call, 404, "not-found", "no such path");
		return;
	}
	signer = vm_attester(vm, guid, len);
	call->verdict = verify_call(call, signer, call->now, vm->skew);
	if (call->verdict.auth != AUTH_VERIFIED) {
		call_error(call, 401, verdict_name(&call->verdict),
			   call->verdict.reason
				   ? reason_name(call->verdict.reason)
				   : "not signed");
		return;
	}
	attested(call, signer);
}
