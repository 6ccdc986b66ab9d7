/* SPDX-License-Identifier: MIT */
/*
 * In: a profile and its names in Azure. Out: the resource of its version,
 * alone or in a template that can be deployed. Must never write a text of the
 * profile as an expression.
 */
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/profile_writer.h"

#define TYPE	    "Microsoft.Compute/galleries/inVMAccessControlProfiles"
#define API_VERSION "2024-03-03"
#define SCHEMA                                                                 \
	"https://schema.management.azure.com/schemas/2019-04-01/"              \
	"deploymentTemplate.json#"

/* ---- names ------------------------------------------------------------- */

/* Cuts the last component off. */
static bool take_last(struct msp_text *out, const char *text, size_t *len)
{
	size_t at = *len;

	while (at > 0 && text[at - 1] != '/')
		at--;
	out->text = (char *)(uintptr_t)(text + at);
	out->len = *len - at;
	*len = at ? at - 1 : 0;
	return out->len > 0;
}

bool msp_arm_name_parse(struct msp_arm_name *out, const char *text)
{
	size_t len = strlen(text), all = len;

	/* an expression is not the name, but makes it */
	if (len && text[0] == '[' && text[len - 1] == ']')
		return false;
	return take_last(&out->version, text, &len) &&
	       take_last(&out->profile, text, &len) &&
	       take_last(&out->gallery, text, &len) && len == 0 &&
	       out->gallery.len + out->profile.len + out->version.len + 2 ==
		       all;
}

static bool is_word(const struct msp_text *text, const char *word)
{
	return msp_ascii_equal(text->text, text->len, word, strlen(word));
}

bool msp_arm_name_of_id(struct msp_arm_name *out, const char *id)
{
	struct msp_text words[3];
	size_t len = strlen(id);

	if (id[0] != '/')
		return msp_arm_name_parse(out, id);
	return take_last(&out->version, id, &len) &&
	       take_last(&words[0], id, &len) &&
	       is_word(&words[0], "versions") &&
	       take_last(&out->profile, id, &len) &&
	       take_last(&words[1], id, &len) &&
	       is_word(&words[1], "inVMAccessControlProfiles") &&
	       take_last(&out->gallery, id, &len) &&
	       take_last(&words[2], id, &len) &&
	       is_word(&words[2], "galleries");
}

/* ---- texts of several parts -------------------------------------------- */

struct part {
	const char *text;
	size_t len;
	bool quoted; /* in a string of an expression: ' is written '' */
};

static size_t add_part(char *out, const struct part *part)
{
	size_t i, n = 0;

	for (i = 0; i < part->len; i++) {
		if (part->quoted && part->text[i] == '\'')
			out[n++] = '\'';
		out[n++] = part->text[i];
	}
	return n;
}

static const char *join(struct msp_writer *w, const struct part *parts,
			size_t n, size_t *len)
{
	size_t i, most = 1;
	char *text;

	for (i = 0; i < n; i++)
		most += 2 * parts[i].len;
	text = msp_json_heap_take(w->heap, most);
	*len = 0;
	for (i = 0; i < n; i++)
		*len += add_part(text + *len, &parts[i]);
	text[*len] = '\0';
	return text;
}

static struct part plain(const struct msp_text *text)
{
	return (struct part){ text->text, text->len, false };
}

static struct part quoted(const struct msp_text *text)
{
	return (struct part){ text->text, text->len, true };
}

static struct part word(const char *text)
{
	return (struct part){ text, strlen(text), false };
}

static void put_name(struct msp_writer *w, const struct msp_arm_name *name,
		     bool version)
{
	struct part parts[] = { plain(&name->gallery), word("/"),
				plain(&name->profile), word("/"),
				plain(&name->version) };
	size_t len;
	const char *text = join(w, parts, version ? 5 : 3, &len);

	msp_writer_string(w, "name", text, len);
}

static void put_depends(struct msp_writer *w, const struct msp_arm_name *name)
{
	struct part parts[] = { word("[resourceId('" TYPE "', '"),
				quoted(&name->gallery), word("', '"),
				quoted(&name->profile), word("')]") };
	size_t len;
	const char *text = join(w, parts, 5, &len);

	msp_writer_open(w, "dependsOn", true);
	msp_writer_word(w, NULL, text);
	msp_writer_close(w, true);
}

/* ---- resources --------------------------------------------------------- */

static const char *mode_word(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_DISABLED:
		return "Disabled";
	case MSP_MODE_AUDIT:
		return "Audit";
	case MSP_MODE_ENFORCE:
		break;
	}
	return "Enforce";
}

static void put_properties(struct msp_writer *w)
{
	msp_writer_open(w, "properties", false);
	msp_writer_word(w, "mode", mode_word(w->profile->mode));
	msp_writer_word(w, "defaultAccess",
			w->profile->access == MSP_ACCESS_ALLOW ? "Allow"
							       : "Deny");
	msp_writer_rules(w);
	msp_writer_close(w, false);
}

void msp_writer_resource(struct msp_writer *w, const struct msp_arm_name *name,
			 const char *location)
{
	const char *id = msp_profile_id(w->profile);

	msp_writer_open(w, NULL, false);
	/* also if it is empty: with an id, nothing in it is an expression */
	msp_writer_string(w, "id", id, strlen(id));
	msp_writer_string(w, "name", name->version.text, name->version.len);
	msp_writer_word(w, "type", TYPE "/versions");
	msp_writer_word(w, "location", location);
	put_properties(w);
	msp_writer_close(w, false);
}

static void put_profile(struct msp_writer *w, const struct msp_arm_name *name,
			const char *location, enum msp_endpoint endpoint)
{
	msp_writer_open(w, NULL, false);
	msp_writer_word(w, "type", TYPE);
	msp_writer_word(w, "apiVersion", API_VERSION);
	put_name(w, name, false);
	msp_writer_word(w, "location", location);
	msp_writer_open(w, "properties", false);
	msp_writer_word(w, "osType",
			w->profile->os == MSP_PROFILE_OS_WINDOWS ? "Windows"
								 : "Linux");
	msp_writer_word(w, "applicableHostEndpoint",
			endpoint == MSP_ENDPOINT_IMDS ? "IMDS" : "WireServer");
	msp_writer_close(w, false);
	msp_writer_close(w, false);
}

void msp_writer_template(struct msp_writer *w, const struct msp_arm_name *name,
			 const char *location, enum msp_endpoint endpoint)
{
	w->escape = true;
	msp_writer_open(w, NULL, false);
	msp_writer_word(w, "$schema", SCHEMA);
	msp_writer_word(w, "contentVersion", "1.0.0.0");
	msp_writer_open(w, "resources", true);
	put_profile(w, name, location, endpoint);
	msp_writer_open(w, NULL, false);
	msp_writer_word(w, "type", TYPE "/versions");
	msp_writer_word(w, "apiVersion", API_VERSION);
	put_name(w, name, true);
	msp_writer_word(w, "location", location);
	put_depends(w, name);
	put_properties(w);
	msp_writer_close(w, false);
	msp_writer_close(w, true);
	msp_writer_close(w, false);
}
