/* SPDX-License-Identifier: MIT */
/*
 * names.h - the many ids Azure gives a VM besides the ones its owner chose.
 *
 * All are made from the vmId, or from what several VMs share: so they stay
 * the same as long as it does, with no need to keep them, and a --seed that
 * repeats the vmId repeats them too. None of them is a secret.
 */
#ifndef HOST_NAMES_H
#define HOST_NAMES_H

#include "vm/vm.h"

/** 6 bytes as hex, no separators, as IMDS writes it. */
#define NAMES_MAC_SIZE 13

/**
 * struct identity - a managed identity a VM may use
 * @client:   application id
 * @object:   of its service principal
 * @resource: ARM id: of the identity, or of the VM it was made for; owned
 */
struct identity {
	char client[RANDOM_GUID_SIZE];
	char object[RANDOM_GUID_SIZE];
	struct buf resource;
};

/* The nth guid of a VM for a purpose. */
bool names_guid(const struct vm *vm, const char *purpose, uint64_t nth,
		char out[RANDOM_GUID_SIZE]);
bool names_mac(const struct vm *vm, char out[NAMES_MAC_SIZE]);
/* The VM's private address: where its requests come from. A guest on this
 * machine's own loopback has none; it gets what Azure gives first. */
struct in_addr names_address(struct in_addr source);
/* Directory the VM's subscription trusts. */
bool names_tenant(const struct vm *vm, char out[RANDOM_GUID_SIZE]);
/* ARM id of the VM. */
void names_resource(const struct vm *vm, struct buf *out);
/* The one Azure made for this VM alone, and the one all VMs of its resource
 * group share. Free with names_identity_clear(). */
bool names_system_identity(const struct vm *vm, struct identity *out);
bool names_user_identity(const struct vm *vm, struct identity *out);
void names_identity_clear(struct identity *identity);

#endif
