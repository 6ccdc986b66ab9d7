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
#include "vm/state.h"
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

/* The guid in the path; NULL, and answered, if that is not an attestation. */
static const char *attested_guid(struct call *call, size_t *len)
{
	const char *guid = route_rest(call, KEY_PREFIX);

	*len = strcspn(guid, "/");
	if (!strcasecmp(guid + *len, ATTESTATION))
		return guid;
	call_error(call, 404, "not-found", "no such path");
	return NULL;
}

static void latch(struct call *call)
{
	struct vm *vm = call->vm;
	struct msp_signer *signer;
	const char *guid;
	size_t len;

	/* once more: it may have been reset since it was judged */
	guid = attested_guid(call, &len);
	signer = guid ? vm_attester(vm, guid, len) : NULL;
	call->latches = vm_latch(vm, signer);
	/* latched before: attested once more, its answer was lost */
	if (signer && signer == vm->latched)
		call_text(call, 200, JSON_TYPE, "{}");
	else
		call_error(call, 401, "guid", "no such key is offered");
}

/* Keys that were latched before stay: only those of this turn go back. */
static void unlatch(struct call *first)
{
	struct call *call;

	for (call = first; call; call = call->next) {
		if (call->latches)
			vm_unlatch(call->vm);
	}
	/* also those that came second in this turn */
	for (call = first; call; call = call->next) {
		if (call->reply.status == 200 && !call->vm->latched)
			call_error(call, 500, "state",
				   "the key cannot be stored");
	}
}

/*
 * What is not on disk would be forgotten by a restart, and the VM shut out.
 * One file for all that came in this turn: a thousand agents that start at
 * once would wait for a thousand files.
 */
void channel_settle(struct call *first)
{
	bool latches = false;
	struct call *call;

	for (call = first; call; call = call->next) {
		latch(call);
		latches |= call->latches;
	}
	if (latches && !state_save(first->emu))
		unlatch(first);
}

void channel_attest(struct call *call)
{
	struct vm *vm = call->vm;
	struct msp_signer *signer;
	const char *guid;
	size_t len;

	call->reply.dated = true;
	guid = attested_guid(call, &len);
	if (!guid)
		return;
	signer = vm_attester(vm, guid, len);
	call->verdict = verify_call(call, signer, call->now, vm->skew);
	if (call->verdict.auth != AUTH_VERIFIED)
		call_error(call, 401, verdict_name(&call->verdict),
			   call->verdict.reason
				   ? reason_name(call->verdict.reason)
				   : "not signed");
	else if (call->fault) /* it wants to spoil the answer now */
		channel_settle(call);
	else
		call->waits = true;
}
