/* SPDX-License-Identifier: MIT */
/*
 * model.h - calls on virtual machines.
 */
#ifndef HOST_ARM_MODEL_H
#define HOST_ARM_MODEL_H

#include "arm/path.h"

/* api: version of the API the caller speaks */
void model_call(struct call *call, const struct arm_path *path,
		const char *api);

#endif
