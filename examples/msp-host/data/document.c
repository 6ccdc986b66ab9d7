/* SPDX-License-Identifier: MIT */
/*
 * In:  a path below /metadata/instance, a format, a version.
 * Out: that part of the VM's instance document, without what that version
 *      did not have yet.
 * Never: reads anything of the machine it runs on.
 */
#include "data/imds.h"
#include "data/model.h"
#include "data/names.h"
#include "net/route.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INSTANCE "/metadata/instance"

/* JSON with a value for each %x, see add_value(). In JSON all that is not an
 * object or array is a text, and what does not apply is an empty one. */
static const char document[] =
	"{\"compute\":{\"additionalCapabilities\":{"
	"\"hibernationEnabled\":\"false\"},"
	"\"azEnvironment\":\"AzurePublicCloud\","
	"\"customData\":\"\",\"evictionPolicy\":\"\","
	"\"extendedLocation\":{\"name\":\"\",\"type\":\"\"},"
	"\"host\":{\"id\":\"\"},\"hostGroup\":{\"id\":\"\"},"
	"\"isHostCompatibilityLayerVm\":\"false\",\"licenseType\":%L,"
	"\"location\":%l,\"name\":%n,\"offer\":%O,"
	"\"osProfile\":{\"adminUsername\":%A,\"computerName\":%C,"
	"\"disablePasswordAuthentication\":\"true\"},"
	"\"osType\":%o,\"placementGroupId\":\"\","
	"\"plan\":{\"name\":\"\",\"product\":\"\",\"publisher\":\"\"},"
	"\"platformFaultDomain\":\"0\",\"platformSubFaultDomain\":\"\","
	"\"platformUpdateDomain\":\"0\","
	"\"priority\":\"\",\"provider\":\"Microsoft.Compute\","
	"\"publicKeys\":[],\"publisher\":%P,\"resourceGroupName\":%g,"
	"\"resourceId\":%r,"
	"\"securityProfile\":{\"encryptionAtHost\":\"false\","
	"\"secureBootEnabled\":\"true\",\"securityType\":\"TrustedLaunch\","
	"\"virtualTpmEnabled\":\"true\"},\"sku\":%S,"
	"\"storageProfile\":{\"dataDisks\":[],\"imageReference\":{"
	"\"id\":\"\",\"offer\":%O,\"publisher\":%P,\"sku\":%S,"
	"\"version\":\"latest\"},\"osDisk\":{\"caching\":\"ReadWrite\","
	"\"createOption\":\"FromImage\",\"diffDiskSettings\":{"
	"\"option\":\"\"},\"diskSizeGB\":\"30\",\"encryptionSettings\":{"
	"\"enabled\":\"false\"},\"image\":{\"uri\":\"\"},"
	"\"managedDisk\":{\"id\":%D,\"storageAccountType\":\"Premium_LRS\"},"
	"\"name\":%d,\"osType\":%o,\"vhd\":{\"uri\":\"\"},"
	"\"writeAcceleratorEnabled\":\"false\"},"
	"\"resourceDisk\":{\"size\":\"0\"}},"
	"\"subscriptionId\":%s,\"tags\":%t,\"tagsList\":%T,"
	"\"userData\":%U,\"version\":%V,"
	"\"virtualMachineScaleSet\":{\"id\":\"\"},\"vmId\":%i,"
	"\"vmScaleSetName\":\"\",\"vmSize\":%Z,\"zone\":%z},"
	"\"network\":{\"interface\":[{\"ipv4\":{\"ipAddress\":[{"
	"\"privateIpAddress\":%a,\"publicIpAddress\":\"\"}],"
	"\"subnet\":[{\"address\":%w,\"prefix\":\"24\"}]},"
	"\"ipv6\":{\"ipAddress\":[]},\"macAddress\":%m}]}}";

/**
 * struct later - a part that came after the first version
 * @object: where it is: names from the root, separated by slashes
 * @name:   of the part
 * @since:  first version that has it
 */
struct later {
	const char *object;
	const char *name;
	const char *since;
};

#define COMPUTE	 "/compute"
#define STORAGE	 COMPUTE "/storageProfile"
#define SECURITY COMPUTE "/securityProfile"

static const struct later later[] = {
	{ COMPUTE, "additionalCapabilities", "2021-11-01" },
	{ COMPUTE, "azEnvironment", "2018-10-01" },
	{ COMPUTE, "customData", "2019-02-01" },
	{ COMPUTE, "evictionPolicy", "2020-12-01" },
	{ COMPUTE, "extendedLocation", "2021-03-01" },
	{ COMPUTE, "host", "2021-11-15" },
	{ COMPUTE, "hostGroup", "2021-11-15" },
	{ COMPUTE, "isHostCompatibilityLayerVm", "2020-06-01" },
	{ COMPUTE, "licenseType", "2020-09-01" },
	{ COMPUTE "/osProfile", "disablePasswordAuthentication", "2020-10-01" },
	{ COMPUTE, "osProfile", "2020-07-15" },
	{ COMPUTE, "placementGroupId", "2017-08-01" },
	{ COMPUTE, "plan", "2018-04-02" },
	{ COMPUTE, "platformSubFaultDomain", "2021-10-01" },
	{ COMPUTE, "priority", "2020-12-01" },
	{ COMPUTE, "provider", "2018-10-01" },
	{ COMPUTE, "publicKeys", "2018-04-02" },
	{ COMPUTE, "resourceGroupName", "2017-08-01" },
	{ COMPUTE, "resourceId", "2019-03-11" },
	{ SECURITY, "encryptionAtHost", "2021-11-01" },
	{ SECURITY, "securityType", "2021-12-13" },
	{ COMPUTE, "securityProfile", "2020-06-01" },
	{ STORAGE, "resourceDisk", "2021-02-01" },
	{ COMPUTE, "storageProfile", "2019-06-01" },
	{ COMPUTE, "subscriptionId", "2017-08-01" },
	{ COMPUTE, "tags", "2017-08-01" },
	{ COMPUTE, "tagsList", "2019-06-04" },
	{ COMPUTE, "userData", "2021-01-01" },
	{ COMPUTE, "virtualMachineScaleSet", "2021-03-01" },
	{ COMPUTE, "vmScaleSetName", "2017-12-01" },
	{ COMPUTE, "zone", "2017-12-01" },
};

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

/* The part at a path, not decoded; one slash at its end does not matter. A
 * decoded slash is part of a name, and no name has one. */
static yajl_val find(yajl_val node, const char *path)
{
	while (node && *path) {
		struct buf name = { 0 };
		size_t len;

		path++; /* the slash */
		len = strcspn(path, "/");
		if (!len && *path)
			return NULL;
		text_decode(&name, path, len);
		if (name.failed)
			node = NULL;
		else if (len)
			node = step(node, name.data, name.len);
		buf_clear(&name);
		path += len;
	}
	return node;
}

/* Order is kept. */
static void drop(yajl_val object, const char *name)
{
	size_t i, left;

	if (!YAJL_IS_OBJECT(object))
		return;
	for (i = 0; i < object->u.object.len; i++) {
		if (strcmp(object->u.object.keys[i], name))
			continue;
		free((void *)object->u.object.keys[i]);
		yajl_tree_free(object->u.object.values[i]);
		left = --object->u.object.len - i;
		memmove(object->u.object.keys + i,
			object->u.object.keys + i + 1,
			left * sizeof(*object->u.object.keys));
		memmove(object->u.object.values + i,
			object->u.object.values + i + 1,
			left * sizeof(*object->u.object.values));
		return;
	}
}

static void drop_later(yajl_val root, const char *version)
{
	size_t i;

	for (i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		if (strcmp(version, later[i].since) < 0)
			drop(find(root, later[i].object), later[i].name);
	}
}

/* "name:value;name:value" */
static void add_tags(struct buf *out, const struct model *model)
{
	yajl_val tags = model_at(model, "tags");
	struct buf text = { 0 };
	size_t i;

	buf_add(&text, "", 0);
	for (i = 0; YAJL_IS_OBJECT(tags) && i < tags->u.object.len; i++) {
		const char *value = json_string(tags->u.object.values[i]);

		buf_text(&text, i ? ";" : "");
		buf_text(&text, tags->u.object.keys[i]);
		buf_text(&text, ":");
		buf_text(&text, value ? value : "");
	}
	if (text.failed)
		out->failed = true;
	else
		buf_json_utf8(out, text.data);
	buf_clear(&text);
}

static void add_tags_list(struct buf *out, const struct model *model)
{
	yajl_val tags = model_at(model, "tags");
	size_t i;

	buf_text(out, "[");
	for (i = 0; YAJL_IS_OBJECT(tags) && i < tags->u.object.len; i++) {
		const char *value = json_string(tags->u.object.values[i]);

		buf_text(out, i ? ",{\"name\":" : "{\"name\":");
		buf_json_utf8(out, tags->u.object.keys[i]);
		buf_text(out, ",\"value\":");
		buf_json_utf8(out, value ? value : "");
		buf_text(out, "}");
	}
	buf_text(out, "]");
}

/* The address itself, or that of its subnet. */
static void add_ip(struct buf *out, const struct call *call, bool subnet)
{
	struct in_addr ip = names_address(call->peer->source);
	char text[INET_ADDRSTRLEN] = "";

	if (subnet)
		ip.s_addr &= htonl(0xffffff00);
	inet_ntop(AF_INET, &ip, text, sizeof(text));
	buf_json_utf8(out, text);
}

static void add_mac(struct buf *out, const struct vm *vm)
{
	char mac[NAMES_MAC_SIZE];

	if (names_mac(vm, mac))
		buf_json_utf8(out, mac);
	else
		out->failed = true;
}

/* What ends in the VM's name, or goes on from its resource's id. */
static void add_made(struct buf *out, const struct vm *vm, char letter)
{
	struct buf text = { 0 };

	if (letter == 'D')
		buf_format(&text,
			   "/subscriptions/%s/resourceGroups/%s/providers/"
			   "Microsoft.Compute/disks/",
			   vm->who.subscription, vm->who.group);
	if (letter == 'r')
		names_resource(vm, &text);
	else
		buf_format(&text, "%s_OsDisk_1", vm->who.name);
	if (text.failed)
		out->failed = true;
	else
		buf_json_utf8(out, text.data);
	buf_clear(&text);
}

static const char *plain_value(const struct vm *vm, const struct model *model,
			       char letter)
{
	switch (letter) {
	case 'A':
		return model->admin;
	case 'C':
		return model->computer;
	case 'L':
		return model->license;
	case 'O':
		return model->offer;
	case 'P':
		return model->publisher;
	case 'S':
		return model->sku;
	case 'U':
		return model->user_data;
	case 'V':
		return model->version;
	case 'Z':
		return model->size;
	case 'z':
		return model->zone;
	case 'g':
		return vm->who.group;
	case 'i':
		return vm->who.id;
	case 'l':
		return vm->who.location;
	case 'n':
		return vm->who.name;
	case 'o':
		return vm->who.os;
	case 's':
		return vm->who.subscription;
	default:
		return NULL;
	}
}

static void add_value(struct buf *out, const struct call *call,
		      const struct model *model, char letter)
{
	const char *plain = plain_value(call->vm, model, letter);

	if (plain)
		buf_json_utf8(out, plain);
	else if (letter == 't')
		add_tags(out, model);
	else if (letter == 'T')
		add_tags_list(out, model);
	else if (letter == 'a' || letter == 'w')
		add_ip(out, call, letter == 'w');
	else if (letter == 'm')
		add_mac(out, call->vm);
	else
		add_made(out, call->vm, letter);
}

/* The VM's document as a tree, free with yajl_tree_free(). */
static yajl_val fill(const struct call *call)
{
	struct model model;
	struct buf text = { 0 };
	const char *p = document;
	yajl_val root = NULL;

	model_of(call->vm, &model);
	while (*p) {
		size_t plain = strcspn(p, "%");

		buf_add(&text, p, plain);
		p += plain;
		if (*p) {
			add_value(&text, call, &model, p[1]);
			p += 2;
		}
	}
	model_clear(&model);
	if (!text.failed)
		root = json_tree(text.data, text.len, NULL);
	buf_clear(&text);
	return root;
}

static bool has_more(yajl_val node)
{
	return YAJL_IS_OBJECT(node) || YAJL_IS_ARRAY(node);
}

/* A text itself, or the names below, one per line, those with more below
 * ending in a slash. */
static void write_names(struct buf *out, yajl_val node)
{
	size_t i;

	buf_add(out, "", 0);
	if (YAJL_IS_STRING(node))
		buf_text(out, node->u.string);
	for (i = 0; YAJL_IS_OBJECT(node) && i < node->u.object.len; i++)
		buf_format(out, "%s%s%s", i ? "\n" : "", node->u.object.keys[i],
			   has_more(node->u.object.values[i]) ? "/" : "");
	for (i = 0; YAJL_IS_ARRAY(node) && i < node->u.array.len; i++)
		buf_format(out, "%s%zu/", i ? "\n" : "", i);
}

/* False and answered if the format is none we know. */
static bool read_format(struct call *call, bool *as_text)
{
	struct buf format = { 0 };
	bool ok = true;

	*as_text = false;
	if (text_query(call->query, "format", &format)) {
		*as_text = text_equal_nocase(format.data, format.len, "text");
		ok = *as_text ||
		     text_equal_nocase(format.data, format.len, "json");
	}
	buf_clear(&format);
	if (!ok)
		imds_error(call, 400, "Format is not supported");
	return ok;
}

static void answer(struct call *call, yajl_val node, bool as_text)
{
	if (!node) {
		imds_error(call, 404, "Not found");
	} else if (!as_text && !has_more(node)) {
		imds_error(call, 400,
			   "A leaf has no JSON form: "
			   "format=text is required");
	} else {
		call->reply.status = 200;
		call->reply.type =
			as_text ? "text/plain; charset=utf-8" : JSON_TYPE;
		if (as_text)
			write_names(&call->reply.body, node);
		else
			json_write(&call->reply.body, node);
	}
}

void document_call(struct call *call)
{
	const char *path = route_rest(call, INSTANCE);
	char version[IMDS_VERSION_SIZE];
	yajl_val root;
	bool as_text;

	if (*path && *path != '/') {
		imds_error(call, 404, "Not found");
		return;
	}
	if (!imds_version(call, "", version) || !read_format(call, &as_text))
		return;
	root = fill(call);
	if (!root) {
		imds_error(call, 500, "Internal server error");
		return;
	}
	drop_later(root, version);
	if (strcasecmp(call->vm->who.os, "Linux"))
		drop(find(root, COMPUTE "/osProfile"),
		     "disablePasswordAuthentication");
	answer(call, find(root, path), as_text);
	yajl_tree_free(root);
}
