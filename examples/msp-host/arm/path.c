/* SPDX-License-Identifier: MIT */
/*
 * In:  the path of a call, or the id somebody wrote into a VM's model.
 * Out: the names in it.
 * Never: keeps a name that its type's pattern does not have.
 */
#include "arm/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* /subscriptions/S/resourceGroups/G/providers/Microsoft.Compute, then pairs */
#define FIXED	     6
#define SEGMENTS_MAX (FIXED + 2 * ARM_NAMES)
#define NAME_MAX_LEN 80
/* of a VM; the host's own limit is Linux's 64 */
#define VM_MAX_LEN    64
#define GROUP_MAX_LEN 90
#define PROVIDER      "Microsoft.Compute"

/**
 * struct kind - a type of resource
 * @word:   its segment
 * @full:   with all above it
 * @param:  what its name is called in errors
 * @parent: -1: directly below the provider
 */
struct kind {
	const char *word;
	const char *full;
	const char *param;
	int parent;
};

static const struct kind kinds[ARM_TYPES] = {
	[ARM_VM] = { "virtualMachines", "Microsoft.Compute/virtualMachines",
		     "vmName", -1 },
	[ARM_GALLERY] = { "galleries", "Microsoft.Compute/galleries",
			  "galleryName", -1 },
	[ARM_PROFILE] = { "inVMAccessControlProfiles",
			  "Microsoft.Compute/galleries/"
			  "inVMAccessControlProfiles",
			  "inVMAccessControlProfileName", ARM_GALLERY },
	[ARM_VERSION] = { "versions",
			  "Microsoft.Compute/galleries/"
			  "inVMAccessControlProfiles/versions",
			  "inVMAccessControlProfileVersionName", ARM_PROFILE },
};

const char *arm_type_name(enum arm_type type)
{
	return kinds[type].full;
}

static unsigned int depth_of(enum arm_type type)
{
	return type == ARM_VERSION ? 2 : type == ARM_PROFILE ? 1 : 0;
}

const char *arm_path_name(const struct arm_path *path)
{
	return path->names[depth_of(path->type)];
}

/* ^[^_\W][\w-._]{0,79}(?<![-.])$ of the gallery's swagger */
static bool is_name(const char *name, size_t max)
{
	size_t i, len = strlen(name);

	if (!len || len > max || !isalnum((unsigned char)name[0]))
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
			return false;
	return name[len - 1] != '-' && name[len - 1] != '.';
}

static bool is_group(const char *name)
{
	size_t i, len = strlen(name);

	if (!len || len > GROUP_MAX_LEN || name[len - 1] == '.')
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) &&
		    !strchr("_-.()", name[i]))
			return false;
	return true;
}

/* Three numbers of 31 bits. */
static bool is_version(const char *name)
{
	unsigned int i;
	uint64_t n;

	for (i = 0; i < 3; i++) {
		size_t len = strcspn(name, ".");

		if (!text_uint(name, len, &n) || n > INT32_MAX ||
		    (i < 2 ? name[len] != '.' : name[len] != '\0'))
			return false;
		name += len + 1;
	}
	return true;
}

static bool check_name(enum arm_type type, const char *name, struct refusal *r)
{
	if (type == ARM_VERSION)
		return is_version(name) ||
		       refuse_value(r, kinds[type].param,
				    "It must be three numbers, like 1.0.0.");
	if (is_name(name, type == ARM_VM ? VM_MAX_LEN : NAME_MAX_LEN))
		return true;
	return refuse(r, 400, "InvalidParameter",
		      "The entity name '%s' is invalid according to its "
		      "validation rule: ^[^_\\W][\\w-._]{0,%d}(?<![-.])$.",
		      kinds[type].param,
		      (type == ARM_VM ? VM_MAX_LEN : NAME_MAX_LEN) - 1);
}

/* Cut text at its slashes; returns how many pieces, or 0. */
static size_t split(char *text, char **segments)
{
	size_t n = 0;

	if (*text != '/')
		return 0;
	while (text) {
		*text++ = '\0';
		if (n == SEGMENTS_MAX)
			return 0;
		segments[n++] = text;
		text = strchr(text, '/');
	}
	return n;
}

static bool is_fixed(char **s, size_t n)
{
	return n > FIXED && !strcasecmp(s[0], "subscriptions") &&
	       !strcasecmp(s[2], "resourceGroups") &&
	       !strcasecmp(s[4], "providers") && !strcasecmp(s[5], PROVIDER);
}

static bool refuse_kind(struct refusal *r)
{
	return refuse(r, 404, "InvalidResourceType",
		      "The resource type could not be found in the namespace "
		      "'Microsoft.Compute'.");
}

/* From the pair at s[at] on. */
static bool read_pairs(struct arm_path *out, char **s, size_t n, size_t at,
		       struct refusal *r)
{
	int above = -1;
	unsigned int i, depth;

	for (depth = 0; at < n; depth++, at += 2) {
		for (i = 0; i < ARM_TYPES; i++)
			if (kinds[i].parent == above &&
			    !strcasecmp(s[at], kinds[i].word))
				break;
		if (i == ARM_TYPES)
			break;
		out->type = (enum arm_type)i;
		above = (int)i;
		out->list = at + 1 == n;
		if (out->list)
			return true;
		if (!check_name(out->type, s[at + 1], r))
			return false;
		out->names[depth] = s[at + 1];
	}
	if (at >= n)
		return true;
	out->view = above == ARM_VM && at + 1 == n &&
		    !strcasecmp(s[at], "instanceView");
	return out->view || refuse_kind(r);
}

bool arm_path_read(struct arm_path *out, const char *text, struct refusal *r)
{
	char *s[SEGMENTS_MAX];
	size_t n, len = strlen(text);

	memset(out, 0, sizeof(*out));
	if (len > 1 && text[len - 1] == '/')
		len--;
	out->text = strndup(text, len);
	if (!out->text)
		return refuse_memory(r);
	n = split(out->text, s);
	if (!is_fixed(s, n))
		return refuse_kind(r);
	if (!is_group(s[1]))
		return refuse(r, 400, "InvalidSubscriptionId",
			      "The provided subscription identifier is "
			      "malformed or invalid.");
	if (!is_group(s[3]))
		return refuse(r, 400, "InvalidResourceGroup",
			      "The provided resource group name has "
			      "characters that are not allowed, or too many.");
	out->subscription = s[1];
	out->group = s[3];
	return read_pairs(out, s, n, FIXED, r);
}

void arm_path_clear(struct arm_path *path)
{
	free(path->text);
	memset(path, 0, sizeof(*path));
}

void arm_path_id(const struct arm_path *path, struct buf *out)
{
	static const enum arm_type below[ARM_NAMES] = { ARM_GALLERY,
							ARM_PROFILE,
							ARM_VERSION };
	unsigned int i, depth = depth_of(path->type);

	buf_format(out,
		   "/subscriptions/%s/resourceGroups/%s/providers/" PROVIDER,
		   path->subscription, path->group);
	for (i = 0; i <= depth; i++) {
		enum arm_type type = path->type == ARM_VM ? ARM_VM : below[i];

		buf_format(out, "/%s", kinds[type].word);
		if (i < depth || !path->list)
			buf_format(out, "/%s", path->names[i]);
	}
}

bool refuse_not_found(struct refusal *r, const struct arm_path *path)
{
	struct buf id = { 0 };
	const char *name = "";

	arm_path_id(path, &id);
	if (!id.failed && id.data)
		name = strstr(id.data, PROVIDER);
	refuse(r, 404, "ResourceNotFound",
	       "The Resource '%s' under resource group '%s' was not found. "
	       "For more details please go to "
	       "https://aka.ms/ARMResourceNotFoundFix",
	       name ? name : "", path->group);
	buf_clear(&id);
	return false;
}

bool arm_id_above(const char *id, const char *child)
{
	size_t len = strlen(id);

	return !strncasecmp(id, child, len) && child[len] == '/';
}
