/* SPDX-License-Identifier: MIT */
/*
 * In:  a path below /metadata/instance.
 * Out: that part of a plausible instance document.
 * Never: reads anything of the machine it runs on.
 */
#include "data/imds.h"

#include <string.h>
#include <yajl/yajl_tree.h>

#define SUBSCRIPTION "8d10da13-8125-4ba9-a717-bf7490507b3d"
#define GROUP	     "msp-host-rg"
#define VM_NAME	     "msp-host-vm"
#define VM_ID	     "02aab8a4-74ef-476e-8182-f6d2ba4166a6"

static const char document[] =
	"{\"compute\":{\"azEnvironment\":\"AzurePublicCloud\","
	"\"customData\":\"\",\"evictionPolicy\":\"\","
	"\"isHostCompatibilityLayerVm\":\"false\",\"licenseType\":\"\","
	"\"location\":\"westeurope\",\"name\":\"" VM_NAME "\","
	"\"offer\":\"debian-12\",\"osProfile\":{"
	"\"adminUsername\":\"azureuser\",\"computerName\":\"" VM_NAME "\","
	"\"disablePasswordAuthentication\":\"true\"},"
	"\"osType\":\"Linux\",\"placementGroupId\":\"\","
	"\"plan\":{\"name\":\"\",\"product\":\"\",\"publisher\":\"\"},"
	"\"platformFaultDomain\":\"0\",\"platformUpdateDomain\":\"0\","
	"\"priority\":\"\",\"provider\":\"Microsoft.Compute\","
	"\"publicKeys\":[],\"publisher\":\"Debian\","
	"\"resourceGroupName\":\"" GROUP "\","
	"\"resourceId\":\"/subscriptions/" SUBSCRIPTION "/resourceGroups/" GROUP
	"/providers/Microsoft.Compute/virtualMachines/" VM_NAME "\","
	"\"securityProfile\":{\"encryptionAtHost\":\"false\","
	"\"secureBootEnabled\":\"true\",\"securityType\":\"TrustedLaunch\","
	"\"virtualTpmEnabled\":\"true\"},\"sku\":\"12-gen2\","
	"\"storageProfile\":{\"dataDisks\":[],\"imageReference\":{"
	"\"id\":\"\",\"offer\":\"debian-12\",\"publisher\":\"Debian\","
	"\"sku\":\"12-gen2\",\"version\":\"latest\"},"
	"\"osDisk\":{\"caching\":\"ReadWrite\",\"createOption\":\"FromImage\","
	"\"diskSizeGB\":\"30\",\"name\":\"" VM_NAME "_OsDisk_1\","
	"\"osType\":\"Linux\"},\"resourceDisk\":{\"size\":\"16384\"}},"
	"\"subscriptionId\":\"" SUBSCRIPTION "\",\"tags\":\"\","
	"\"tagsList\":[],\"userData\":\"\",\"version\":\"0.20240717.1811\","
	"\"virtualMachineScaleSet\":{\"id\":\"\"},"
	"\"vmId\":\"" VM_ID "\",\"vmScaleSetName\":\"\","
	"\"vmSize\":\"Standard_D2s_v5\",\"zone\":\"\"},"
	"\"network\":{\"interface\":[{\"ipv4\":{\"ipAddress\":[{"
	"\"privateIpAddress\":\"10.0.0.4\",\"publicIpAddress\":\"\"}],"
	"\"subnet\":[{\"address\":\"10.0.0.0\",\"prefix\":\"24\"}]},"
	"\"ipv6\":{\"ipAddress\":[]},\"macAddress\":\"002248A1B2C3\"}]}}";

/* One step down: a member by name, an element by number. */
static yajl_val step(yajl_val node, const char *name, size_t len)
{
	uint64_t n;
	size_t i;

	if (YAJL_IS_OBJECT(node)) {
		for (i = 0; i < node->u.object.len; i++) {
			if (text_equal_nocase(name, len,
					      node->u.object.keys[i]))
				return node->u.object.values[i];
		}
	} else if (YAJL_IS_ARRAY(node) && text_uint(name, len, &n) &&
		   n < node->u.array.len) {
		return node->u.array.values[n];
	}
	return NULL;
}

static yajl_val find(yajl_val node, const char *path)
{
	while (node && *path) {
		size_t len;

		path++; /* the slash */
		len = strcspn(path, "/");
		if (len)
			node = step(node, path, len);
		else if (*path)
			return NULL;
		path += len;
	}
	return node;
}

/* The document is ours, so its depth is known. */
static void write_json(struct buf *out, yajl_val node)
{
	size_t i;

	if (YAJL_IS_OBJECT(node)) {
		buf_text(out, "{");
		for (i = 0; i < node->u.object.len; i++) {
			const char *key = node->u.object.keys[i];

			buf_text(out, i ? "," : "");
			buf_json(out, key, strlen(key));
			buf_text(out, ":");
			write_json(out, node->u.object.values[i]);
		}
		buf_text(out, "}");
	} else if (YAJL_IS_ARRAY(node)) {
		buf_text(out, "[");
		for (i = 0; i < node->u.array.len; i++) {
			buf_text(out, i ? "," : "");
			write_json(out, node->u.array.values[i]);
		}
		buf_text(out, "]");
	} else if (YAJL_IS_STRING(node)) {
		buf_json(out, node->u.string, strlen(node->u.string));
	}
}

static void write_names(struct buf *out, yajl_val node)
{
	size_t i;

	if (YAJL_IS_STRING(node))
		buf_text(out, node->u.string);
	for (i = 0; YAJL_IS_OBJECT(node) && i < node->u.object.len; i++)
		buf_format(out, "%s%s%s", i ? "\n" : "", node->u.object.keys[i],
			   YAJL_IS_STRING(node->u.object.values[i]) ? "" : "/");
	for (i = 0; YAJL_IS_ARRAY(node) && i < node->u.array.len; i++)
		buf_format(out, "%s%zu/", i ? "\n" : "", i);
}

enum document document_read(struct buf *out, const char *path, bool as_text)
{
	enum document result = DOCUMENT_OK;
	yajl_val root, node;

	root = yajl_tree_parse(document, NULL, 0);
	if (!root)
		return DOCUMENT_FAILED;
	node = find(root, path);
	if (!node)
		result = DOCUMENT_NOT_FOUND;
	else if (as_text)
		write_names(out, node);
	else if (YAJL_IS_STRING(node))
		result = DOCUMENT_IS_LEAF;
	else
		write_json(out, node);
	yajl_tree_free(root);
	return result;
}
