/* SPDX-License-Identifier: MIT */
/*
 * gallery.h - calls on galleries, profiles and their versions.
 */
#ifndef HOST_ARM_GALLERY_H
#define HOST_ARM_GALLERY_H

#include "arm/path.h"

void gallery_call(struct call *call, const struct arm_path *path);

#endif
