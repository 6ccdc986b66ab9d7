/* SPDX-License-Identifier: MIT */
/*
 * linked.h - the VMs that refer to a version of a profile: they follow it.
 */
#ifndef HOST_ARM_LINKED_H
#define HOST_ARM_LINKED_H

#include "arm/store.h"

/**
 * struct linked_item - one endpoint's rules before a change
 */
struct linked_item {
	struct vm_item *where;
	struct vm_item before;
};

/**
 * struct linked - all that a change replaced; zeroed memory is nothing
 */
struct linked {
	struct linked_item *items;
	size_t n;
};

/* A VM that refers to it, or NULL. */
const struct vm *linked_user(const struct emulator *emu, const char *id);
/* Give every VM that refers to the version what it says now. False and
 * refused: some could not have it, and none has; linked_undo() all the same. */
bool linked_change(struct linked *out, struct emulator *emu,
		   const struct resource *version, struct refusal *r);
/* The change stands, or is taken back. */
void linked_keep(struct linked *linked);
void linked_undo(struct linked *linked);

#endif
