/* SPDX-License-Identifier: MIT */
/*
 * In:  policy from its owner, verdicts.
 * Out: the key status document, the modes, counters.
 * Never: a policy that was changed in part.
 */
#include "vm/vm.h"
#include "base/json.h"
#include "vm/vms.h"

#include <stdlib.h>
#include <string.h>

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

bool vm_draw_id(struct vm *vm)
{
	return random_guid(vm->random, vm->who.name, "vmId", 0, vm->who.id);
}

static bool name_it(struct vm_name *who, const char *name)
{
	who->subscription = strdup("8d10da13-8125-4ba9-a717-bf7490507b3d");
	who->group = strdup("msp-host-rg");
	who->name = strdup(name);
	who->location = strdup("westeurope");
	who->os = "Linux";
	return who->subscription && who->group && who->name && who->location;
}

struct vm *vm_new(struct vms *vms, const char *name)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->vms = vms;
	vm->random = vms->names;
	vm->enabled = true;
	vm->offers_key = true;
	vm->incarnation = 1;
	vm->skew = 300;
	vm->offer_s = VM_OFFER_SECONDS;
	if (name_it(&vm->who, name) && vm_draw_id(vm) &&
	    vm_set_inline(vm, ITEM_WIRESERVER, MSP_MODE_ENFORCE) &&
	    vm_set_inline(vm, ITEM_IMDS, MSP_MODE_DISABLED))
		return vm;
	vm_free(vm);
	return NULL;
}

void vm_free(struct vm *vm)
{
	size_t i;

	if (!vm)
		return;
	vm_forget_keys(vm);
	buf_clear(&vm->model);
	buf_clear(&vm->raw_status);
	buf_clear(&vm->report);
	buf_clear(&vm->events);
	for (i = 0; i < ITEMS; i++)
		vm_item_clear(&vm->items[i]);
	free(vm->who.subscription);
	free(vm->who.group);
	free(vm->who.name);
	free(vm->who.location);
	free(vm);
}

void vm_item_clear(struct vm_item *item)
{
	buf_clear(&item->json);
	buf_clear(&item->reference);
}

bool vm_item_copy(struct vm_item *out, const struct vm_item *item)
{
	memset(out, 0, sizeof(*out));
	out->mode = item->mode;
	out->inlined = item->inlined;
	buf_add(&out->json, item->json.data, item->json.len);
	buf_add(&out->reference, item->reference.data, item->reference.len);
	if (!out->json.failed && !out->reference.failed)
		return true;
	vm_item_clear(out);
	return false;
}

void vm_item_restore(struct vm_item *item, struct vm_item *copy)
{
	vm_item_clear(item);
	*item = *copy;
	memset(copy, 0, sizeof(*copy));
}

size_t vm_policy_size(const struct vm *vm)
{
	size_t i, size = 0;

	for (i = 0; i < ITEMS; i++)
		size += vm->items[i].json.len + vm->items[i].reference.len;
	return size;
}

static bool copy_place(struct vm_name *who, const struct vm_name *from)
{
	char *subscription = strdup(from->subscription);
	char *group = strdup(from->group);
	char *location = strdup(from->location);

	if (!subscription || !group || !location) {
		free(subscription);
		free(group);
		free(location);
		return false;
	}
	free(who->subscription);
	free(who->group);
	free(who->location);
	who->subscription = subscription;
	who->group = group;
	who->location = location;
	who->os = from->os;
	return true;
}

bool vm_set_up_like(struct vm *vm, const struct vm *other)
{
	struct vm_item items[ITEMS] = { 0 };
	size_t i;

	for (i = 0; i < ITEMS; i++) {
		if (!vm_item_copy(&items[i], &other->items[i]))
			goto fail;
	}
	if (!copy_place(&vm->who, &other->who))
		goto fail;
	for (i = 0; i < ITEMS; i++)
		vm_item_restore(&vm->items[i], &items[i]);
	vm->enabled = other->enabled;
	vm->extension = other->extension;
	vm->legacy_mode = other->legacy_mode;
	vm->offers_key = other->offers_key;
	vm->status_v1 = other->status_v1;
	vm->skew = other->skew;
	vm->offer_s = other->offer_s;
	return true;
fail:
	for (i = 0; i < ITEMS; i++)
		vm_item_clear(&items[i]);
	return false;
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

/*
 * The channel off (enabled: false) means that the host neither makes keys nor
 * wants signatures, whatever the items say: the guest has forgotten its key
 * then (spec 5.5, step 8) and would be shut out. The latched key stays, so
 * that switching the channel on again needs no reset. Items in Disabled and
 * Audit leave the key channel as it is: with all of them Disabled a guest
 * still latches (spec 5.4), its requests may come unsigned.
 */
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

static void add_modes(const struct vm *vm, struct buf *out)
{
	unsigned int i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		enum msp_endpoint e = (enum msp_endpoint)i;

		buf_format(out, "%s\"%s\":\"%s\"", i ? "," : "",
			   msp_endpoint_name(e),
			   msp_mode_name(item_of(vm, e)->mode));
	}
}

static void add_counts(const struct vm_counts *counts, struct buf *out)
{
	const char *comma = "";
	uint64_t bad = 0;
	unsigned int i;

	for (i = 0; i < REASONS; i++)
		bad += counts->bad[i];
	buf_format(out,
		   "{\"verified\":%llu,\"unsigned\":%llu,\"bad\":%llu,"
		   "\"reasons\":{",
		   (unsigned long long)counts->verified,
		   (unsigned long long)counts->unsigned_,
		   (unsigned long long)bad);
	for (i = 0; i < REASONS; i++) {
		if (!counts->bad[i])
			continue;
		buf_format(out, "%s\"%s\":%llu", comma,
			   reason_name((enum reason)i),
			   (unsigned long long)counts->bad[i]);
		comma = ",";
	}
	buf_text(out, "}}");
}

void vm_state(const struct vm *vm, struct buf *out)
{
	unsigned int i;

	buf_format(out, "{\"name\":\"%s\",\"networks\":", vm->who.name);
	vms_networks(vm->vms, vm, out);
	buf_format(out,
		   ",\"enabled\":%s,\"offered\":%s,\"latched\":%s,"
		   "\"guid\":",
		   vm->enabled ? "true" : "false",
		   vm_offered(vm) ? "true" : "false",
		   vm->latched ? "true" : "false");
	add_guid(vm, out);
	buf_format(out, ",\"incarnation\":%u,\"modes\":{", vm->incarnation);
	add_modes(vm, out);
	buf_text(out, "},\"requests\":{");
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		buf_format(out, "%s\"%s\":", i ? "," : "",
			   msp_endpoint_name((enum msp_endpoint)i));
		add_counts(&vm->counts[i], out);
	}
	buf_text(out, "}}");
}
