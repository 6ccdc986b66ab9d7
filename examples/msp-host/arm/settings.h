/* SPDX-License-Identifier: MIT */
/*
 * settings.h - securityProfile.proxyAgentSettings of a VM's model.
 */
#ifndef HOST_ARM_SETTINGS_H
#define HOST_ARM_SETTINGS_H

#include "arm/tree.h"

/* versions of the API that brought something */
#define API_FIRST     "2023-09-01"
#define API_ENDPOINTS "2024-03-01" /* wireServer, imds */
#define API_PROFILES  "2024-03-03" /* inVMAccessControlProfiles */
#define API_EXTENSION "2025-04-01" /* addProxyAgentExtension */

/**
 * struct setting - what a call makes of one endpoint
 * @set:       something; else it stays
 * @mode:      unless there is a reference
 * @reference: of a profile's version, or NULL; borrowed from the tree
 */
struct setting {
	bool set;
	enum msp_mode mode;
	const char *reference;
};

/**
 * struct settings - what a call makes of a VM
 * @enabled:     the channel
 * @enables:     the call itself says so
 * @extension:   addProxyAgentExtension
 * @legacy:      mode of the first version, a constant, or NULL
 * @raised:      @incarnation was given
 * @incarnation: keyIncarnationId
 * @items:       per endpoint
 */
struct settings {
	bool enabled;
	bool enables;
	bool extension;
	const char *legacy;
	bool raised;
	uint32_t incarnation;
	struct setting items[ITEMS];
};

/* Into out goes what the tree of a body says; vm: a PATCH, what it does not
 * say stays as it is there; NULL: a PUT, it goes back to Azure's defaults. */
bool settings_read(struct settings *out, yajl_val body, const struct vm *vm,
		   const char *api, struct refusal *r);
/* As an object, from the VM's fields, as far as that API knows it. */
void settings_write(struct buf *out, const struct vm *vm, const char *api);

#endif
