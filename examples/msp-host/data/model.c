/* SPDX-License-Identifier: MIT */
/*
 * In:  a VM and its ARM resource.
 * Out: what IMDS tells of it.
 * Never: fails for a resource that is not as expected: the default counts.
 */
#include "data/model.h"

#include <string.h>
#include <strings.h>

yajl_val model_at(const struct model *model, const char *path)
{
	yajl_val node = model->tree;

	while (node && *path) {
		char name[32];
		size_t len = strcspn(path, ".");

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		node = json_member(node, name);
		path += len + (path[len] == '.');
	}
	return node;
}

static const char *text(const struct model *model, const char *path,
			const char *otherwise)
{
	const char *found = json_string(model_at(model, path));

	return found ? found : otherwise;
}

static const char *zone(const struct model *model)
{
	yajl_val zones = model_at(model, "zones");
	const char *first = NULL;

	if (YAJL_IS_ARRAY(zones) && zones->u.array.len)
		first = json_string(zones->u.array.values[0]);
	return first ? first : "";
}

#define IMAGE "properties.storageProfile.imageReference."

static void image(const struct vm *vm, struct model *out)
{
	bool windows = !strcasecmp(vm->who.os, "Windows");

	out->publisher = text(out, IMAGE "publisher",
			      windows ? "MicrosoftWindowsServer" : "Debian");
	out->offer = text(out, IMAGE "offer",
			  windows ? "WindowsServer" : "debian-12");
	out->sku = text(out, IMAGE "sku",
			windows ? "2022-datacenter-g2" : "12-gen2");
	out->version = text(out, IMAGE "exactVersion",
			    windows ? "20348.2582.240707" : "0.20240717.1811");
}

void model_of(const struct vm *vm, struct model *out)
{
	memset(out, 0, sizeof(*out));
	if (vm->model.len)
		out->tree = json_tree(vm->model.data, vm->model.len, NULL);
	image(vm, out);
	out->size = text(out, "properties.hardwareProfile.vmSize",
			 "Standard_D2s_v5");
	out->zone = zone(out);
	out->license = text(out, "properties.licenseType", "");
	out->user_data = text(out, "properties.userData", "");
	out->admin =
		text(out, "properties.osProfile.adminUsername", "azureuser");
	out->computer =
		text(out, "properties.osProfile.computerName", vm->who.name);
}

void model_clear(struct model *model)
{
	yajl_tree_free(model->tree);
	memset(model, 0, sizeof(*model));
}
