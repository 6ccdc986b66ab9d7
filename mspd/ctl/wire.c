/* SPDX-License-Identifier: MIT */
/*
 * In: profiles the library has read. Out: their parts. Must never be given a
 * text that somebody else wrote: depth and size are the library's.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/wire.h"

static yajl_val member_of(yajl_val value, const char *name)
{
	size_t i;

	if (!YAJL_IS_OBJECT(value))
		return NULL;
	for (i = 0; i < value->u.object.len; i++)
		if (!strcmp(value->u.object.keys[i], name))
			return value->u.object.values[i];
	return NULL;
}

bool ctl_wire_open(struct ctl_wire *out, const struct msp_profile *profile,
		   const char *path)
{
	struct msp_profile_write_opts opts = MSP_PROFILE_WRITE_OPTS_INIT;
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char *text = NULL;
	int rc;

	opts.form = MSP_PROFILE_WIRE;
	opts.flags = MSP_PROFILE_COMPACT;
	rc = msp_profile_write(&text, NULL, profile, &opts, &info);
	if (rc < 0) {
		ctl_fail("%s: %s", ctl_file_name(path),
			 *info.text ? info.text : msp_error_text(rc));
		return false;
	}
	out->root = yajl_tree_parse(text, NULL, 0);
	msp_text_free(text);
	if (!out->root)
		ctl_no_memory();
	out->privileges =
		member_of(member_of(out->root, "rules"), "privileges");
	out->identities =
		member_of(member_of(out->root, "rules"), "identities");
	return true;
}

void ctl_wire_close(struct ctl_wire *wire)
{
	yajl_tree_free(wire->root);
	memset(wire, 0, sizeof(*wire));
}

size_t ctl_wire_count(yajl_val list)
{
	return YAJL_IS_ARRAY(list) ? list->u.array.len : 0;
}

const char *ctl_wire_text(yajl_val list, size_t i, const char *member)
{
	return YAJL_GET_STRING(member_of(list->u.array.values[i], member));
}

yajl_val ctl_wire_object(yajl_val list, size_t i, const char *member)
{
	yajl_val value = member_of(list->u.array.values[i], member);

	return YAJL_IS_OBJECT(value) ? value : NULL;
}

/* ---- writing ----------------------------------------------------------- */

/* Recurses as deep as the library writes: privileges' parameters. */
static void put_value(struct ctl_text *text, yajl_val value)
{
	size_t i;

	if (YAJL_IS_STRING(value)) {
		ctl_put_json(text, YAJL_GET_STRING(value));
	} else if (YAJL_IS_ARRAY(value)) {
		ctl_put(text, "[");
		for (i = 0; i < value->u.array.len; i++) {
			ctl_put(text, i ? "," : "");
			put_value(text, value->u.array.values[i]);
		}
		ctl_put(text, "]");
	} else if (YAJL_IS_OBJECT(value)) {
		ctl_put(text, "{");
		for (i = 0; i < value->u.object.len; i++) {
			ctl_put_member(text, value->u.object.keys[i]);
			put_value(text, value->u.object.values[i]);
		}
		ctl_put(text, "}");
	} else {
		ctl_put(text, "null");
	}
}

void ctl_wire_put(struct ctl_text *text, const struct ctl_wire *wire,
		  enum msp_mode mode)
{
	yajl_val root = wire->root;
	size_t i;

	ctl_put(text, "{");
	ctl_put_member(text, "mode");
	ctl_put_json(text, msp_mode_name(mode));
	for (i = 0; YAJL_IS_OBJECT(root) && i < root->u.object.len; i++) {
		if (!strcmp(root->u.object.keys[i], "mode"))
			continue;
		ctl_put_member(text, root->u.object.keys[i]);
		put_value(text, root->u.object.values[i]);
	}
	ctl_put(text, "}");
}
