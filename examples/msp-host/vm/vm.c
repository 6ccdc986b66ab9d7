/* SPDX-License-Identifier: MIT */
/*
 * In:  policy from its owner, keys that were asked for and attested.
 * Out: the key status document, signers to verify with, counters.
 * Never: two latched keys, a latched key without attestation, a key in text
 *        other than the answer to acquire.
 */
#include "vm/vm.h"
#include "base/json.h"
#include "base/random.h"
#include "vm/state.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const item_names[ITEMS] = { "wireserver", "imds" };

/* as the wire spells them */
static const char *mode_word(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_ENFORCE:
		return "enforce";
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_DISABLED:
		return "disabled";
	}
	return "enforce";
}

bool vm_item_named(const char *name, size_t len, enum item *out)
{
	unsigned int i;

	for (i = 0; i < ITEMS; i++) {
		if (!text_equal_nocase(name, len, item_names[i]))
			continue;
		*out = (enum item)i;
		return true;
	}
	return false;
}

bool vm_mode_named(const char *name, size_t len, enum msp_mode *out)
{
	static const enum msp_mode modes[] = { MSP_MODE_ENFORCE, MSP_MODE_AUDIT,
					       MSP_MODE_DISABLED };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!text_equal_nocase(name, len, mode_word(modes[i])))
			continue;
		*out = modes[i];
		return true;
	}
	return false;
}

static void put_item(struct vm_item *it, struct buf *json, enum msp_mode mode,
		     bool inlined)
{
	buf_clear(&it->json);
	buf_clear(&it->reference);
	it->json = *json;
	it->mode = mode;
	it->inlined = inlined;
}

bool vm_set_inline(struct vm *vm, enum item item, enum msp_mode mode)
{
	struct buf json = { 0 };

	buf_format(&json,
		   "{\"defaultAccess\":\"allow\",\"mode\":\"%s\","
		   "\"id\":\"inline-%s-%s\"}",
		   mode_word(mode), item_names[item], mode_word(mode));
	if (json.failed) {
		buf_clear(&json);
		return false;
	}
	put_item(&vm->items[item], &json, mode, true);
	return true;
}

static bool name_it(struct vm_name *who, const struct random *random,
		    const char *name)
{
	who->subscription = strdup("8d10da13-8125-4ba9-a717-bf7490507b3d");
	who->group = strdup("msp-host-rg");
	who->name = strdup(name);
	who->location = strdup("westeurope");
	who->os = "Linux";
	return who->subscription && who->group && who->name && who->location &&
	       random_guid(random, name, "vmId", 0, who->id);
}

struct vm *vm_new(const struct random *random, const char *name)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->random = random;
	vm->enabled = true;
	vm->offers_key = true;
	vm->incarnation = 1;
	vm->skew = 300;
	if (name_it(&vm->who, random, name) &&
	    vm_set_inline(vm, ITEM_WIRESERVER, MSP_MODE_ENFORCE) &&
	    vm_set_inline(vm, ITEM_IMDS, MSP_MODE_DISABLED))
		return vm;
	vm_free(vm);
	return NULL;
}

static void drop_offer(struct vm *vm)
{
	msp_signer_free(vm->offered);
	vm->offered = NULL;
	buf_clear(&vm->offered_doc);
}

static void drop_latched(struct vm *vm)
{
	msp_signer_free(vm->latched);
	vm->latched = NULL;
	buf_clear(&vm->latched_doc);
}

void vm_free(struct vm *vm)
{
	size_t i;

	if (!vm)
		return;
	drop_offer(vm);
	drop_latched(vm);
	buf_clear(&vm->model);
	buf_clear(&vm->raw_status);
	buf_clear(&vm->report);
	buf_clear(&vm->events);
	for (i = 0; i < ITEMS; i++) {
		buf_clear(&vm->items[i].json);
		buf_clear(&vm->items[i].reference);
	}
	free(vm->who.subscription);
	free(vm->who.group);
	free(vm->who.name);
	free(vm->who.location);
	free(vm);
}

int vm_set_item(struct vm *vm, enum item item, const char *json, size_t len,
		const char *reference, struct msp_error_info *info)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_profile *profile = NULL;
	struct buf wire = { 0 };
	int rc;

	opts.form = MSP_PROFILE_WIRE; /* it is handed out as it is */
	rc = msp_profile_read(&profile, NULL, json, len, &opts, info);
	if (rc < 0)
		return rc;
	if (!json_item(&wire, json, len, NULL)) {
		buf_clear(&wire);
		rc = MSP_ERR_NOMEM;
		goto out;
	}
	put_item(&vm->items[item], &wire, msp_profile_mode(profile), false);
	if (reference)
		buf_text(&vm->items[item].reference, reference);
out:
	msp_profile_free(profile);
	return rc;
}

bool vm_set_mode(struct vm *vm, enum item item, enum msp_mode mode)
{
	struct vm_item *it = &vm->items[item];
	struct buf json = { 0 };

	if (it->inlined)
		return vm_set_inline(vm, item, mode);
	if (!json_item(&json, it->json.data, it->json.len, mode_word(mode))) {
		buf_clear(&json);
		return false;
	}
	buf_clear(&it->json);
	it->json = json;
	it->mode = mode;
	return true;
}

static const struct vm_item *item_of(const struct vm *vm,
				     enum msp_endpoint endpoint)
{
	if (endpoint == MSP_ENDPOINT_IMDS)
		return &vm->items[ITEM_IMDS];
	return &vm->items[ITEM_WIRESERVER];
}

bool vm_enforces(const struct vm *vm, enum msp_endpoint endpoint)
{
	/* before the guest has latched, an existing VM works as before */
	return vm->enabled && vm->latched &&
	       item_of(vm, endpoint)->mode == MSP_MODE_ENFORCE;
}

void vm_count(struct vm *vm, enum msp_endpoint endpoint,
	      const struct verdict *verdict)
{
	struct vm_counts *counts = &vm->counts[endpoint];

	switch (verdict->auth) {
	case AUTH_UNSIGNED:
		counts->unsigned_++;
		break;
	case AUTH_VERIFIED:
		counts->verified++;
		break;
	case AUTH_BAD:
		counts->bad[verdict->reason]++;
		break;
	}
}

/* The form of spec 5.6, the blank in the date included. */
static bool new_key_doc(struct vm *vm, struct buf *doc)
{
	unsigned char bytes[MSP_KEY_BYTES];
	char hex[2 * MSP_KEY_BYTES + 1];
	char guid[MSP_GUID_LEN + 1];
	time_t now = time(NULL);
	struct tm tm;

	vm->drawn++;
	if (!gmtime_r(&now, &tm) ||
	    !random_guid(vm->random, vm->who.name, "key guid", vm->drawn,
			 guid) ||
	    !random_draw(vm->random, vm->who.name, "key", vm->drawn, bytes,
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

bool vm_offer(struct vm *vm, struct buf *out)
{
	struct msp_key *key = NULL;
	int rc = MSP_ERR_NOMEM;

	drop_offer(vm);
	if (!new_key_doc(vm, &vm->offered_doc))
		goto out;
	rc = msp_key_parse(&key, vm->offered_doc.data, vm->offered_doc.len,
			   NULL);
	if (rc < 0)
		goto out;
	rc = msp_signer_new(&vm->offered, key);
	if (rc < 0)
		goto out;
	buf_add(out, vm->offered_doc.data, vm->offered_doc.len);
	if (out->failed)
		rc = MSP_ERR_NOMEM;
out:
	msp_key_free(key);
	if (rc < 0)
		drop_offer(vm);
	return rc == 0;
}

static bool has_guid(struct msp_signer *signer, const char *guid, size_t len)
{
	return signer &&
	       text_equal_nocase(guid, len,
				 msp_key_guid(msp_signer_key(signer)));
}

struct msp_signer *vm_attester(struct vm *vm, const char *guid, size_t len)
{
	if (has_guid(vm->latched, guid, len))
		return vm->latched;
	if (has_guid(vm->offered, guid, len))
		return vm->offered;
	return NULL;
}

enum attested vm_latch(struct emulator *emu, struct vm *vm,
		       struct msp_signer *signer)
{
	/* an answer that was lost on the way: attested once more */
	if (signer && signer == vm->latched)
		return ATTESTED;
	if (!signer || signer != vm->offered || vm->latched)
		return ATTEST_NO_KEY;
	vm->latched = vm->offered;
	vm->latched_doc = vm->offered_doc;
	vm->offered = NULL;
	memset(&vm->offered_doc, 0, sizeof(vm->offered_doc));
	/* what is not on disk would be forgotten by a restart, and the VM
	 * shut out */
	if (state_save(emu))
		return ATTESTED;
	vm->offered = vm->latched;
	vm->offered_doc = vm->latched_doc;
	vm->latched = NULL;
	memset(&vm->latched_doc, 0, sizeof(vm->latched_doc));
	return ATTEST_FAILED;
}

bool vm_reset(struct emulator *emu, struct vm *vm, uint32_t incarnation)
{
	struct msp_signer *latched = vm->latched;
	struct buf doc = vm->latched_doc;
	uint32_t before = vm->incarnation;

	if (incarnation <= before)
		return false;
	vm->incarnation = incarnation;
	vm->latched = NULL;
	memset(&vm->latched_doc, 0, sizeof(vm->latched_doc));
	if (!state_save(emu)) {
		vm->incarnation = before;
		vm->latched = latched;
		vm->latched_doc = doc;
		return false;
	}
	drop_offer(vm);
	msp_signer_free(latched);
	buf_clear(&doc);
	return true;
}

static void add_guid(const struct vm *vm, struct buf *out)
{
	if (vm->latched)
		buf_format(out, "\"%s\"",
			   msp_key_guid(msp_signer_key(vm->latched)));
	else
		buf_text(out, "null");
}

/* Version 1.0 has no word for audit: such a VM would not be protected. */
static const char *state_v1(const struct vm *vm)
{
	if (!vm->enabled || vm->items[ITEM_WIRESERVER].mode != MSP_MODE_ENFORCE)
		return "Disabled";
	if (vm->items[ITEM_IMDS].mode == MSP_MODE_ENFORCE)
		return "WireserverAndImds";
	return "Wireserver";
}

void vm_status(const struct vm *vm, struct buf *out)
{
	if (vm->raw) {
		buf_add(out, vm->raw_status.data, vm->raw_status.len);
		return;
	}
	buf_text(out, "{\"authorizationScheme\":\"" MSP_SCHEME "\","
		      "\"keyDeliveryMethod\":\"http\",\"keyGuid\":");
	add_guid(vm, out);
	if (vm->status_v1) {
		buf_format(out,
			   ",\"requiredClaimsHeaderPairs\":[\"isRoot\"],"
			   "\"secureChannelState\":\"%s\","
			   "\"version\":\"1.0\"}",
			   state_v1(vm));
		return;
	}
	buf_format(out,
		   ",\"keyIncarnationId\":%u,\"requiredClaimsHeaderPairs\":[],"
		   "\"secureChannelEnabled\":%s,\"version\":\"2.0\","
		   "\"authorizationRules\":{\"imds\":",
		   vm->incarnation, vm->enabled ? "true" : "false");
	buf_add(out, vm->items[ITEM_IMDS].json.data,
		vm->items[ITEM_IMDS].json.len);
	buf_text(out, ",\"wireserver\":");
	buf_add(out, vm->items[ITEM_WIRESERVER].json.data,
		vm->items[ITEM_WIRESERVER].json.len);
	buf_text(out, "}}");
}

void vm_state(const struct vm *vm, struct buf *out)
{
	unsigned int i;

	buf_format(out, "{\"enabled\":%s,\"latched\":%s,\"guid\":",
		   vm->enabled ? "true" : "false",
		   vm->latched ? "true" : "false");
	add_guid(vm, out);
	buf_format(out, ",\"incarnation\":%u,\"modes\":{", vm->incarnation);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		enum msp_endpoint e = (enum msp_endpoint)i;

		buf_format(out, "%s\"%s\":\"%s\"", i ? "," : "",
			   msp_endpoint_name(e),
			   msp_mode_name(item_of(vm, e)->mode));
	}
	buf_text(out, "},\"requests\":{");
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		const struct vm_counts *c = &vm->counts[i];
		uint64_t bad = 0;
		size_t r;

		for (r = 0; r < REASONS; r++)
			bad += c->bad[r];
		buf_format(out,
			   "%s\"%s\":{\"verified\":%llu,\"unsigned\":%llu,"
			   "\"bad\":%llu}",
			   i ? "," : "",
			   msp_endpoint_name((enum msp_endpoint)i),
			   (unsigned long long)c->verified,
			   (unsigned long long)c->unsigned_,
			   (unsigned long long)bad);
	}
	buf_text(out, "}}");
}
