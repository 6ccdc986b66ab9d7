/* SPDX-License-Identifier: MIT */
/*
 * vms.h - all VMs, told apart by the address their requests come from.
 *
 * Agents use fixed paths, so the source address is all there is. Each network
 * (address and prefix length) belongs to one VM, or to a fleet: then every
 * address in it is a VM of its own, made when it is first heard from. The
 * longest prefix wins. The first VM has 0.0.0.0/0 unless it was given away.
 */
#ifndef HOST_VMS_H
#define HOST_VMS_H

#include "vm/vm.h"

#include <netinet/in.h>

/** VMs at most; who asks for more is told so, or not answered. */
#define VMS_MAX 65536
/** Networks at most. */
#define VMS_NETWORKS 256

/** Name of the VM that is always there. */
#define VMS_FIRST "msp-host-vm"

struct vms_index;

/**
 * struct vms
 * @random: borrowed
 * @first:  the VM that is always there; head of a list through vm->next
 * @n:      how many
 * @index:  by name and by address; owned
 */
struct vms {
	const struct random *random;
	struct vm *first;
	size_t n;
	struct vms_index *index;
};

struct vms *vms_new(const struct random *random);
void vms_free(struct vms *vms);

/* Whose requests come from there; made now if it is of a fleet. NULL: nobody's
 * or out of room. */
struct vm *vms_at(struct vms *vms, struct in_addr source);
/* By name, letter case ignored; NULL: none. */
struct vm *vms_named(struct vms *vms, const char *name, size_t len);
/* A VM without a network, set up as vm_new() does; NULL: out of room, or the
 * name is taken. */
struct vm *vms_add(struct vms *vms, const char *name);
/* "10.0.0.4" or "10.0.0.0/24" is this VM's from now on; another's that was
 * given exactly this network has it no more. vm NULL: it is a fleet, whose
 * VMs are set up as the first one is at that moment (key and counts aside).
 * False: not a network, or out of room. */
bool vms_give(struct vms *vms, const char *network, struct vm *vm);
/* Networks of a VM as a JSON array of strings; of the fleets with vm NULL. */
void vms_networks(const struct vms *vms, const struct vm *vm, struct buf *out);

#endif
