/* SPDX-License-Identifier: MIT */
/*
 * vms.h - all VMs, told apart by the address their requests come from.
 *
 * Agents use fixed paths, so the source address is all there is. Each network
 * (address and prefix length) belongs to one VM, or to a fleet: then every
 * address in it is a VM of its own, "vm-10-0-0-4", made when it is first heard
 * from. The longest prefix wins. The first VM has 0.0.0.0/0 unless it was
 * given away.
 */
#ifndef HOST_VMS_H
#define HOST_VMS_H

#include "vm/networks.h"
#include "vm/vm.h"

#include <netinet/in.h>

/** VMs at most; who asks for more is told so, or not answered. */
#define VMS_MAX 65536
/** Networks at most. */
#define VMS_NETWORKS NETWORKS_MAX
/** Letters, digits, '.', '-' and '_' a VM's name has at most. */
#define VMS_NAME_MAX 64
/** Bytes of profiles that VMs may have got as copies of the first one's. */
#define VMS_COPIED_MAX (1024UL * 1024 * 1024)

/** Name of the VM that is always there. */
#define VMS_FIRST "msp-host-vm"

struct vms_index;

/**
 * struct vms
 * @keys:   where keys come from; borrowed
 * @names:  where guids come from; borrowed
 * @first:  the VM that is always there; head of a list through vm->next, in
 *          the order they were made
 * @n:      how many
 * @index:  by name, by address and by guid of key; owned
 */
struct vms {
	const struct random *keys;
	const struct random *names;
	struct vm *first;
	size_t n;
	struct vms_index *index;
};

struct vms *vms_new(const struct random *keys, const struct random *names);
void vms_free(struct vms *vms);

/* Whose requests come from there; made now if it is of a fleet. NULL: nobody's
 * or out of room. */
struct vm *vms_at(struct vms *vms, struct in_addr source);
/* By name, letter case ignored; NULL: none. */
struct vm *vms_named(const struct vms *vms, const char *name, size_t len);
bool vms_name_valid(const char *name);
/* A VM without a network, set up as vm_new() does; NULL: out of room, or the
 * name is taken or none. */
struct vm *vms_add(struct vms *vms, const char *name);
/* The same, set up as the first VM is at this moment (key, counts, and what
 * else is its alone aside). */
struct vm *vms_clone(struct vms *vms, const char *name);
/* Take back the latest vms_add() or vms_clone(); nobody has heard of it. */
void vms_drop_latest(struct vms *vms);
/* A network is this VM's from now on; another's that was given exactly this
 * one has it no more. vm NULL: it is a fleet, whose VMs are made with
 * vms_clone(). False: not a network, or out of room. */
bool vms_give(struct vms *vms, const char *network, struct vm *vm);
/* Undo the latest vms_give(). */
void vms_give_back(struct vms *vms);
/* Networks of a VM as a JSON array of strings; of the fleets with vm NULL. */
void vms_networks(const struct vms *vms, const struct vm *vm, struct buf *out);
/* All of them: [{"network":"0.0.0.0/0","vm":"msp-host-vm"},...], vm null for
 * a fleet. */
void vms_all_networks(const struct vms *vms, struct buf *out);

/* A guid is of a key of this VM, and is so no more. */
bool vms_own(struct vms *vms, const char *guid, struct vm *vm);
void vms_disown(struct vms *vms, const char *guid);
/* Whose key has this guid; NULL: nobody's. Any case. */
struct vm *vms_owner(const struct vms *vms, const char *guid, size_t len);

/* The numbers guids come from have changed: draw those anew that are not in
 * anybody's hands yet. Before the first request only. */
bool vms_renew(struct vms *vms);

#endif
