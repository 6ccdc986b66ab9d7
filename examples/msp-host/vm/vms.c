/* SPDX-License-Identifier: MIT */
/*
 * In:  names and source addresses.
 * Out: the VM they belong to.
 * Never: moves or frees a VM while the program runs.
 */
#include "vm/vms.h"

#include <stdlib.h>

struct vms *vms_new(const struct random *random)
{
	struct vms *vms = calloc(1, sizeof(*vms));

	if (!vms)
		return NULL;
	vms->random = random;
	vms->first = vm_new(random, VMS_FIRST);
	vms->n = 1;
	if (vms->first)
		return vms;
	vms_free(vms);
	return NULL;
}

void vms_free(struct vms *vms)
{
	if (!vms)
		return;
	while (vms->first) {
		struct vm *next = vms->first->next;

		vm_free(vms->first);
		vms->first = next;
	}
	free(vms);
}

struct vm *vms_at(struct vms *vms, struct in_addr source)
{
	(void)source;
	return vms->first;
}
