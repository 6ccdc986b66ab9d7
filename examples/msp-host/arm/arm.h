/* SPDX-License-Identifier: MIT */
/*
 * arm.h - Azure's control plane as far as MSP has to do with it, ARM-shaped:
 * virtual machines, galleries, their inVMAccessControlProfiles and versions.
 *
 * All of it hangs below /subscriptions/{s}/resourceGroups/{g}/providers/
 * Microsoft.Compute/ on the control port; api-version is required. Letter case
 * of paths and of JSON names does not matter. Errors are
 * {"error":{"code","message"}}. A call that is refused has changed nothing.
 */
#ifndef HOST_ARM_H
#define HOST_ARM_H

#include "net/call.h"

#include <yajl/yajl_tree.h>

/** Galleries, profiles and versions kept, all together, at most. */
#define ARM_RESOURCES_MAX 1024
/** Bytes of them, of VM models, and of the VMs' rules, at most. */
#define ARM_BYTES_MAX (64UL * 1024 * 1024)
/** Bytes of one body: half of ARM's, because nobody else is answered while it
 * is read, and twice what a profile may have. */
#define ARM_BODY_MAX (2UL * 1024 * 1024)

struct arm;

struct arm *arm_new(void);
void arm_free(struct arm *arm);

/* A call whose path begins with /subscriptions/, any method. */
void arm_call(struct call *call);
/* PUT /platform {"regionsWithout":["westus"],"subscriptionsWithout":["S"]}:
 * where the feature is not available, and who has not registered for it. GET
 * tells. */
void arm_platform(struct call *call);

/* What must survive a restart, as one JSON object, and back; false if it is
 * none of ours or memory is short. The VMs' own settings are not in it. */
void arm_save(const struct arm *arm, struct buf *out);
bool arm_load(struct arm *arm, yajl_val from);

#endif
