/* SPDX-License-Identifier: MIT */
/*
 * vm.h - what the host knows about one VM: who it is, how its owner wants it
 * protected, its key, its profiles, and what became of its requests.
 *
 * Used by the loop's thread alone, hence no lock. A VM lives as long as the
 * program.
 */
#ifndef HOST_VM_H
#define HOST_VM_H

#include "base/random.h"
#include "net/call.h"

/** The two endpoints that have a rule item; HostGAPlugin has WireServer's. */
enum item { ITEM_WIRESERVER, ITEM_IMDS };
#define ITEMS 2

struct vms;

/** Seconds an offered key waits for its attestation, unless told otherwise. */
#define VM_OFFER_SECONDS 300
/** Guids of former keys remembered, to tell an old key from an unknown one. */
#define VM_RETIRED 16
/** Largest status report kept (the VM extension's, spec 10.5), in bytes. */
#define VM_REPORT_MAX BODY_SIGNED_MAX

/**
 * struct vm_item - policy of one endpoint
 * @json:      the rule item in wire form
 * @mode:      its mode
 * @inlined:   made from a mode alone, no profile behind it
 * @reference: the ARM id it was resolved from, as its owner wrote it; empty
 *             if there is none
 */
struct vm_item {
	struct buf json;
	enum msp_mode mode;
	bool inlined;
	struct buf reference;
};

/**
 * struct vm_counts - requests of one endpoint by verdict
 * @bad: by reason
 */
struct vm_counts {
	uint64_t verified;
	uint64_t unsigned_;
	uint64_t bad[REASONS];
};

/**
 * struct vm_name - who it is in Azure; all owned
 * @subscription: guid
 * @group:        resource group
 * @name:         of the virtual machine; no two have the same, whatever
 *                the group: the control port's vm=NAME would be ambiguous
 * @location:     region, lower case without blanks, e.g. "westeurope"
 * @os:           "Linux" or "Windows"
 * @id:           vmId, a guid
 */
struct vm_name {
	char *subscription;
	char *group;
	char *name;
	char *location;
	const char *os;
	char id[MSP_GUID_LEN + 1];
};

/**
 * struct vm - one VM
 * @who:         its names
 * @vms:         all of them; borrowed
 * @random:      where its guids come from, the same at every draw; borrowed
 * @drawn:       how many keys were made for it
 * @enabled:     the channel as the VM model wants it
 * @extension:   addProxyAgentExtension of the model
 * @legacy_mode: mode of the model's first version ("Audit", "Enforce"), a
 *               constant, or NULL
 * @model:       the rest of the VM's ARM resource as its owner gave it, JSON;
 *               empty if it never was put
 * @offers_key:  false: acquire is refused
 * @status_v1:   the status is a document of version 1.0
 * @incarnation: of the key, only goes up
 * @skew:        seconds a signed request's date may be off
 * @offer_s:     seconds an offered key waits for its attestation
 * @items:       policy
 * @offered:     signer for a key handed out and not attested, or NULL
 * @offered_doc: its document, for the state file; wiped once latched
 * @offered_ms:  when, loop_now_ms()
 * @latched:     signer for the latched key, or NULL
 * @latched_doc: its document, for the state file; wiped with it
 * @retired:     guids of former keys; the oldest makes room
 * @n_retired:   how many there ever were
 * @raw_status:  served instead of the status document when @raw is set
 * @raw:         see there
 * @report:      last status report of the guest (spec 10.5), JSON; empty if
 *               none came
 * @report_s:    when, seconds since 1970
 * @events:      scheduled events, see data/events.c; JSON array, may be empty
 * @events_n:    DocumentIncarnation of them
 * @goal:        digest of what the goal state is made of, data/goal.c
 * @goal_n:      its Incarnation; 0 until it was asked for
 * @imds_ms:     beginning of the second IMDS requests are counted in,
 *               loop_now_ms()
 * @imds_n:      how many there were in it
 * @counts:      per endpoint
 * @next:        in vms->first's list
 */
struct vm {
	struct vm_name who;
	struct vms *vms;
	const struct random *random;
	uint64_t drawn;
	bool enabled;
	bool extension;
	const char *legacy_mode;
	struct buf model;
	bool offers_key;
	bool status_v1;
	uint32_t incarnation;
	uint32_t skew;
	uint32_t offer_s;
	struct vm_item items[ITEMS];
	struct msp_signer *offered;
	struct buf offered_doc;
	uint64_t offered_ms;
	struct msp_signer *latched;
	struct buf latched_doc;
	char retired[VM_RETIRED][MSP_GUID_LEN + 1];
	size_t n_retired;
	struct buf raw_status;
	bool raw;
	struct buf report;
	int64_t report_s;
	struct buf events;
	uint64_t events_n;
	unsigned char goal[32];
	uint64_t goal_n;
	uint64_t imds_ms;
	uint32_t imds_n;
	struct vm_counts counts[MSP_ENDPOINTS];
	struct vm *next;
};

/* A VM as Azure makes one: WireServer enforced, IMDS disabled. NULL if memory
 * is short. vms_add() is the only caller. */
struct vm *vm_new(struct vms *vms, const char *name);
void vm_free(struct vm *vm);
/* Its vmId, from vm->random. */
bool vm_draw_id(struct vm *vm);
/* Place, policy, and how the host treats it, as another has them; its own
 * are its name, id, model, key, status in bytes, report, events and counts.
 * False: memory is short, and nothing has changed. */
bool vm_set_up_like(struct vm *vm, const struct vm *other);
/* Bytes that takes, about. */
size_t vm_policy_size(const struct vm *vm);

/* Name as in the status document, "imds" or "wireserver"; any case. */
bool vm_item_named(const char *name, size_t len, enum item *out);
bool vm_mode_named(const char *name, size_t len, enum msp_mode *out);
/* A rule item in wire form, checked by msp_profile_read(). The same codes and
 * detail; on error nothing has changed. reference: see struct vm_item, or
 * NULL. */
int vm_set_item(struct vm *vm, enum item item, const char *json, size_t len,
		const char *reference, struct msp_error_info *info);
/* Change the mode and nothing else, id included. */
bool vm_set_mode(struct vm *vm, enum item item, enum msp_mode mode);
/* An item that allows everything in that mode, whatever was there before. */
bool vm_set_inline(struct vm *vm, enum item item, enum msp_mode mode);

/* A copy to go back to. False: memory is short, and there is none. */
bool vm_item_copy(struct vm_item *out, const struct vm_item *item);
/* Put the copy back; it is empty afterwards. */
void vm_item_restore(struct vm_item *item, struct vm_item *copy);
void vm_item_clear(struct vm_item *item);

/* Does this endpoint refuse what is not verified now? */
bool vm_enforces(const struct vm *vm, enum msp_endpoint endpoint);
void vm_count(struct vm *vm, enum msp_endpoint endpoint,
	      const struct verdict *verdict);

/* Keys, in key.c. */

/* A new key for the guest; its document is added to out. One offered before
 * is void. False: none. */
bool vm_offer(struct vm *vm, struct buf *out);
/* Is a key offered that can still be attested? */
bool vm_offered(const struct vm *vm);
/* The signer to check an attestation for guid with, or NULL. */
struct msp_signer *vm_attester(struct vm *vm, const char *guid, size_t len);
/* Was this the guid of a former key of the VM? */
bool vm_retired(const struct vm *vm, const char *guid, size_t len);
/* The attestation was signed with the offered key: latch it. False: it is not
 * that. The caller saves the state before anybody hears of it, or takes it
 * back; never a key that was latched before. */
bool vm_latch(struct vm *vm, struct msp_signer *signer);
void vm_unlatch(struct vm *vm);
/* Latch a new key that nobody has: as if the agent of a disk that is gone had
 * done it. If one is latched it takes a reset, so the incarnation goes up.
 * False: not made or not stored, and nothing has changed. */
bool vm_latch_lost(struct emulator *emu, struct vm *vm);
/* Drop the key; incarnation must be larger than the VM's. False if that
 * cannot be stored, and nothing has changed. */
bool vm_reset(struct emulator *emu, struct vm *vm, uint32_t incarnation);
/* Take over what a state file says: the latched key's document, or NULL, and
 * one retired guid. False: not valid, or memory is short. */
bool vm_restore_key(struct vm *vm, const char *doc, size_t len);
bool vm_restore_retired(struct vm *vm, const char *guid);
/* Free and wipe all of it. */
void vm_forget_keys(struct vm *vm);

/* The key status document (spec 5.2). */
void vm_status(const struct vm *vm, struct buf *out);
/* What the control port tells; never the key. */
void vm_state(const struct vm *vm, struct buf *out);

#endif
