/* SPDX-License-Identifier: MIT */
/*
 * model.h - what IMDS tells of a VM: its names, and what its owner set in the
 * VM's ARM resource, with a plausible value for what was never set.
 */
#ifndef HOST_MODEL_H
#define HOST_MODEL_H

#include "base/json.h"
#include "vm/vm.h"

/**
 * struct model - of one VM; texts are borrowed from it, from the VM, or are
 * constants
 * @tree:      the ARM resource, or NULL if it never was put; owned
 * @publisher: of the image
 * @offer:     of the image
 * @sku:       of the image
 * @version:   of the image, exact
 * @size:      e.g. "Standard_D2s_v5"
 * @zone:      availability zone, may be ""
 * @license:   Azure Hybrid Benefit, may be ""
 * @user_data: base64, may be ""
 * @admin:     name of the first user
 * @computer:  host name
 */
struct model {
	yajl_val tree;
	const char *publisher;
	const char *offer;
	const char *sku;
	const char *version;
	const char *size;
	const char *zone;
	const char *license;
	const char *user_data;
	const char *admin;
	const char *computer;
};

void model_of(const struct vm *vm, struct model *out);
void model_clear(struct model *model);
/* A part of the resource, names separated by dots; NULL if it has none. */
yajl_val model_at(const struct model *model, const char *path);

#endif
