/* SPDX-License-Identifier: MIT */
/*
 * In:  keys that were asked for and attested, resets.
 * Out: signers to verify with.
 * Never: two latched keys, a latched key without attestation or not on disk,
 *        a key in text other than the answer to acquire and the state file.
 */
#include "base/loop.h"
#include "vm/state.h"
#include "vm/vms.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

static const char *guid_of(const struct msp_signer *signer)
{
	return msp_key_guid(msp_signer_key(signer));
}

/* The form of spec 5.6, the blank in the date included. */
static bool new_doc(struct vm *vm, struct buf *doc)
{
	const struct random *random = vm->vms->keys;
	unsigned char bytes[MSP_KEY_BYTES];
	char hex[2 * MSP_KEY_BYTES + 1];
	char guid[MSP_GUID_LEN + 1];
	time_t now = time(NULL);
	struct tm tm;

	vm->drawn++;
	if (!gmtime_r(&now, &tm) ||
	    !random_guid(random, vm->who.name, "key guid", vm->drawn, guid) ||
	    !random_draw(random, vm->who.name, "key", vm->drawn, bytes,
			 sizeof(bytes)))
		return false;
	text_hex(hex, bytes, sizeof(bytes), true);
	buf_format(doc,
		   "{\"authorizationScheme\":\"" MSP_SCHEME "\","
		   "\"incarnationId\":%u,\"guid\":\"%s\","
		   "\"issued\":\"%04d-%02d-%02dT %02d:%02d:%02dZ\","
		   "\"key\":\"%s\"}",
		   vm->incarnation, guid, tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, hex);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	OPENSSL_cleanse(hex, sizeof(hex));
	return !doc->failed;
}

/* A signer for the key in a document, whose guid is this VM's from now on. */
static struct msp_signer *signer_for(struct vm *vm, const char *doc, size_t len)
{
	struct msp_signer *signer = NULL;
	struct msp_key *key = NULL;

	if (msp_key_parse(&key, doc, len, NULL) == 0 &&
	    msp_signer_new(&signer, key) == 0 &&
	    !vms_own(vm->vms, msp_key_guid(key), vm)) {
		msp_signer_free(signer);
		signer = NULL;
	}
	msp_key_free(key);
	return signer;
}

static struct msp_signer *new_key(struct vm *vm, struct buf *doc)
{
	struct msp_signer *signer = NULL;

	if (new_doc(vm, doc))
		signer = signer_for(vm, doc->data, doc->len);
	if (!signer)
		buf_clear(doc);
	return signer;
}

static void drop_offer(struct vm *vm)
{
	if (vm->offered)
		vms_disown(vm->vms, guid_of(vm->offered));
	msp_signer_free(vm->offered);
	vm->offered = NULL;
	buf_clear(&vm->offered_doc);
}

void vm_forget_keys(struct vm *vm)
{
	size_t i;

	drop_offer(vm);
	if (vm->latched)
		vms_disown(vm->vms, guid_of(vm->latched));
	msp_signer_free(vm->latched);
	vm->latched = NULL;
	buf_clear(&vm->latched_doc);
	for (i = 0; i < VM_RETIRED; i++)
		vms_disown(vm->vms, vm->retired[i]);
	vm->n_retired = 0;
}

bool vm_offer(struct vm *vm, struct buf *out)
{
	drop_offer(vm);
	vm->offered = new_key(vm, &vm->offered_doc);
	if (!vm->offered)
		return false;
	vm->offered_ms = loop_now_ms();
	buf_add(out, vm->offered_doc.data, vm->offered_doc.len);
	if (out->failed)
		drop_offer(vm);
	return vm->offered;
}

/* An offer that nobody takes is one that somebody may find later: it ends. */
bool vm_offered(const struct vm *vm)
{
	return vm->offered && vm->enabled &&
	       loop_now_ms() - vm->offered_ms < vm->offer_s * (uint64_t)1000;
}

static bool has_guid(const struct msp_signer *signer, const char *guid,
		     size_t len)
{
	return signer && text_equal_nocase(guid, len, guid_of(signer));
}

struct msp_signer *vm_attester(struct vm *vm, const char *guid, size_t len)
{
	if (has_guid(vm->latched, guid, len))
		return vm->latched;
	if (vm_offered(vm) && has_guid(vm->offered, guid, len))
		return vm->offered;
	return NULL;
}

bool vm_retired(const struct vm *vm, const char *guid, size_t len)
{
	size_t i;

	for (i = 0; len && i < VM_RETIRED; i++) {
		if (text_equal_nocase(guid, len, vm->retired[i]))
			return true;
	}
	return false;
}

bool vm_latch(struct vm *vm, struct msp_signer *signer)
{
	if (!signer || signer != vm->offered || vm->latched)
		return false;
	vm->latched = vm->offered;
	vm->latched_doc = vm->offered_doc;
	vm->offered = NULL;
	memset(&vm->offered_doc, 0, sizeof(vm->offered_doc));
	return true;
}

void vm_unlatch(struct vm *vm)
{
	if (!vm->latched || vm->offered)
		return;
	vm->offered = vm->latched;
	vm->offered_doc = vm->latched_doc;
	vm->latched = NULL;
	memset(&vm->latched_doc, 0, sizeof(vm->latched_doc));
}

/* ---- changes that must be on disk before anybody hears of them --------- */

/*
 * Each keeps a copy of the VM as it was, changes it, saves, and on failure
 * puts the copy back. Until then nothing that the copy points to is freed.
 */

static void retire(struct vm *vm, const struct msp_signer *signer)
{
	if (signer)
		strcpy(vm->retired[vm->n_retired++ % VM_RETIRED],
		       guid_of(signer));
}

/* The VM without its keys, whose guids it remembers. */
static void lay_down(struct vm *vm)
{
	retire(vm, vm->latched);
	retire(vm, vm->offered);
	vm->latched = NULL;
	vm->offered = NULL;
	memset(&vm->latched_doc, 0, sizeof(vm->latched_doc));
	memset(&vm->offered_doc, 0, sizeof(vm->offered_doc));
}

/* There is no way back any more. */
static void finish(const struct vm *vm, struct vm *before)
{
	size_t i;

	msp_signer_free(before->latched);
	msp_signer_free(before->offered);
	buf_clear(&before->latched_doc);
	buf_clear(&before->offered_doc);
	for (i = 0; i < VM_RETIRED; i++) {
		const char *guid = before->retired[i];

		if (*guid && !vm_retired(vm, guid, strlen(guid)))
			vms_disown(vm->vms, guid);
	}
}

bool vm_reset(struct emulator *emu, struct vm *vm, uint32_t incarnation)
{
	struct vm before = *vm;

	if (incarnation <= vm->incarnation)
		return false;
	lay_down(vm);
	vm->incarnation = incarnation;
	if (!state_save(emu)) {
		*vm = before;
		return false;
	}
	finish(vm, &before);
	return true;
}

bool vm_latch_lost(struct emulator *emu, struct vm *vm)
{
	struct vm before = *vm;

	if (vm->latched && vm->incarnation == UINT32_MAX)
		return false;
	vm->incarnation += vm->latched ? 1 : 0;
	lay_down(vm);
	vm->latched = new_key(vm, &vm->latched_doc);
	if (vm->latched && state_save(emu)) {
		finish(vm, &before);
		return true;
	}
	if (vm->latched)
		vms_disown(vm->vms, guid_of(vm->latched));
	msp_signer_free(vm->latched);
	buf_clear(&vm->latched_doc);
	*vm = before;
	return false;
}

bool vm_restore_key(struct vm *vm, const char *doc, size_t len)
{
	vm_forget_keys(vm);
	if (!doc)
		return true;
	buf_add(&vm->latched_doc, doc, len);
	if (!vm->latched_doc.failed)
		vm->latched = signer_for(vm, doc, len);
	return vm->latched;
}

bool vm_restore_retired(struct vm *vm, const char *guid)
{
	if (!vms_own(vm->vms, guid, vm))
		return false;
	strcpy(vm->retired[vm->n_retired++ % VM_RETIRED], guid);
	return true;
}
