/* SPDX-License-Identifier: MIT */
/*
 * In:  a reference from a VM's model, the galleries.
 * Out: the rule item for the key status.
 * Never: an item that means anything else than the version does.
 */
#include "arm/resolve.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool is_replicated(yajl_val body, const char *location)
{
	yajl_val list =
		json_member(json_member(body, "properties"), "targetLocations");
	char name[LOCATION_MAX + 1];
	const char *text;
	size_t i;

	/* nobody said where: where it lives */
	if (!tree_has(list)) {
		text = json_string(json_member(body, "location"));
		return text && !strcasecmp(text, location);
	}
	for (i = 0; YAJL_IS_ARRAY(list) && i < list->u.array.len; i++) {
		text = json_string(
			json_member(list->u.array.values[i], "name"));
		if (text && location_read(name, text) &&
		    !strcasecmp(name, location))
			return true;
	}
	return false;
}

/* Written as Azure answers it: with an id and without apiVersion it holds no
 * expressions, however a path may look. */
static void write_resource(struct buf *out, const char *reference,
			   const struct buf *body)
{
	struct buf id = { 0 };
	size_t i;

	buf_text(&id, reference);
	for (i = 0; i < id.len; i++)
		id.data[i] = (char)toupper((unsigned char)id.data[i]);
	buf_text(out, "{\"id\":");
	buf_json_utf8(out, id.failed ? "" : id.data);
	buf_format(out, ",\"type\":\"%s\",", arm_type_name(ARM_VERSION));
	/* a body begins with its location */
	buf_add(out, body->data + 1, body->len - 1);
	out->failed |= id.failed;
	buf_clear(&id);
}

static bool refuse_text(struct refusal *r, const char *reference, int rc,
			const struct msp_error_info *info)
{
	char why[sizeof(info->pointer) + sizeof(info->text) + 4];

	if (rc == MSP_ERR_NOMEM)
		return refuse_memory(r);
	snprintf(why, sizeof(why), "%s%s%s", info->pointer,
		 *info->pointer ? ": " : "", info->text);
	return refuse_content(r, reference, why);
}

static bool same_in_wire(const struct msp_profile *profile, const char *text,
			 size_t len)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_profile *again = NULL;
	bool same;

	opts.form = MSP_PROFILE_WIRE;
	if (msp_profile_read(&again, NULL, text, len, &opts, NULL) < 0)
		return false;
	same = msp_profile_equal(profile, again);
	msp_profile_free(again);
	return same;
}

static bool write_wire(struct buf *out, const char *reference,
		       const struct msp_profile *profile, struct refusal *r)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = NULL;
	size_t len;
	int rc;

	opts.form = MSP_PROFILE_WIRE;
	opts.flags = MSP_PROFILE_COMPACT;
	rc = msp_profile_write(&text, &len, profile, &opts, &info);
	if (rc < 0)
		return refuse_text(r, reference, rc, &info);
	if (same_in_wire(profile, text, len))
		buf_add(out, text, len);
	else
		refuse_content(r, reference,
			       "the rules are too large for the key status");
	msp_text_free(text);
	return !r->status && (!out->failed || refuse_memory(r));
}

bool resolve_body(const char *reference, const struct buf *body,
		  struct buf *out, struct refusal *r)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile = NULL;
	struct buf text = { 0 };
	int rc = MSP_ERR_NOMEM;
	bool ok;

	opts.form = MSP_PROFILE_ARM;
	write_resource(&text, reference, body);
	if (!text.failed)
		rc = msp_profile_read(&profile, NULL, text.data, text.len,
				      &opts, &info);
	ok = rc < 0 ? refuse_text(r, reference, rc, &info)
		    : write_wire(out, reference, profile, r);
	msp_profile_free(profile);
	buf_clear(&text);
	return ok;
}

static struct resource *find(const struct arm *arm, const char *reference,
			     enum arm_type wanted, struct refusal *r)
{
	struct resource *found = NULL;
	struct arm_path path = { 0 };
	struct refusal shape = { 0 };
	struct buf id = { 0 };
	size_t len = strlen(reference);
	bool ok;

	ok = len && reference[len - 1] != '/' &&
	     arm_path_read(&path, reference, &shape) && !path.list &&
	     path.type == ARM_VERSION;
	if (ok) {
		path.type = wanted;
		arm_path_id(&path, &id);
		if (id.failed)
			refuse_memory(r);
		else
			found = resource_find(arm, id.data);
		if (!found)
			refuse_profile(r, reference);
	} else {
		refuse_reference(r, reference);
	}
	buf_clear(&id);
	refusal_clear(&shape);
	arm_path_clear(&path);
	return found;
}

static bool check_profile(yajl_val profile, const struct referrer *who,
			  const char *reference, struct refusal *r)
{
	yajl_val properties = json_member(profile, "properties");
	const char *os = json_string(json_member(properties, "osType"));
	const char *made =
		json_string(json_member(properties, "applicableHostEndpoint"));

	if (!os || !made)
		return refuse_memory(r);
	if (strcasecmp(made, item_endpoint(who->item)))
		return refuse_endpoint(r, reference, made, who->item);
	if (strcasecmp(os, who->os))
		return refuse_os(r, reference, os, who->os);
	return true;
}

static bool check_both(const struct resource *profile,
		       const struct resource *version,
		       const struct referrer *who, const char *reference,
		       struct refusal *r)
{
	yajl_val a = resource_tree(profile), b = resource_tree(version);

	if (!a || !b)
		refuse_memory(r);
	else if (!is_replicated(b, who->location))
		refuse_profile(r, reference);
	else
		check_profile(a, who, reference, r);
	yajl_tree_free(a);
	yajl_tree_free(b);
	return !r->status;
}

bool resolve(const struct arm *arm, const struct referrer *who,
	     const char *reference, struct buf *out, struct refusal *r)
{
	const struct resource *profile, *version;

	version = find(arm, reference, ARM_VERSION, r);
	if (!version)
		return false;
	profile = find(arm, reference, ARM_PROFILE, r);
	return profile && check_both(profile, version, who, reference, r) &&
	       resolve_body(reference, &version->body, out, r);
}
