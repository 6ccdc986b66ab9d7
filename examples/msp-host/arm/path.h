/* SPDX-License-Identifier: MIT */
/*
 * path.h - ids of resources, in any letter case, taken apart and put together.
 */
#ifndef HOST_ARM_PATH_H
#define HOST_ARM_PATH_H

#include "arm/refusal.h"

enum arm_type { ARM_VM, ARM_GALLERY, ARM_PROFILE, ARM_VERSION };
#define ARM_TYPES 4

/** Most names in one another: gallery, profile, version. */
#define ARM_NAMES 3

/**
 * struct arm_path - what a path names
 * @text:         owned; the others point into it
 * @subscription: guid, or any name
 * @group:        resource group
 * @names:        of the resource and those around it, outermost first
 * @type:         of the resource, or of the elements of a list
 * @list:         all resources of that type; their own name is missing
 * @view:         the instance view of a VM
 */
struct arm_path {
	char *text;
	const char *subscription;
	const char *group;
	const char *names[ARM_NAMES];
	enum arm_type type;
	bool list;
	bool view;
};

/* False and refused: 404 if there is nothing of that kind, 400 for a name that
 * cannot be. Clear it in any case. */
bool arm_path_read(struct arm_path *out, const char *text, struct refusal *r);
void arm_path_clear(struct arm_path *path);

/* The id, spelled as Azure does but for the names; of a list it ends in the
 * word for the type. */
void arm_path_id(const struct arm_path *path, struct buf *out);
/* "Microsoft.Compute/galleries/inVMAccessControlProfiles/versions" */
const char *arm_type_name(enum arm_type type);
/* The resource's own name. */
const char *arm_path_name(const struct arm_path *path);

bool refuse_not_found(struct refusal *r, const struct arm_path *path);

/* Is id the parent of child, directly or not? Letter case does not matter. */
bool arm_id_above(const char *id, const char *child);

#endif
