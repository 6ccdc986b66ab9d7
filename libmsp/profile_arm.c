/* SPDX-License-Identifier: MIT */
/*
 * In: an Azure resource, or a template with resources. Out: the one version of
 * an access control profile in it, read. Must never guess which of several is
 * meant, nor what a template expression will be.
 */
#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/profile_reader.h"

#define PROFILES "inVMAccessControlProfiles"
/* bytes of the names that an error lists */
#define NAMES_MAX 384

/* A version of a profile in a document. */
struct version {
	const struct msp_json_value *resource;
	const struct msp_json_value *parent; /* NULL: not nested below one */
};

/* Going through the resources of a document. */
struct search {
	const char *select;
	struct version chosen;
	const struct msp_json_value *profile; /* the first one */
	/* the first thing that other readers may take for another, and why */
	const struct msp_json_value *doubt;
	const char *doubted;
	size_t n_versions;
	size_t n_chosen;
	size_t n_profiles;
	char names[NAMES_MAX]; /* of the versions, for people */
};

/* ---- looking at members that nobody has checked ------------------------ */

static const struct msp_json_value *
member_of(const struct msp_json_value *object, const char *name)
{
	return object ? msp_reader_member(object, name) : NULL;
}

static bool text_of(const char **text, size_t *len,
		    const struct msp_json_value *object, const char *name)
{
	const struct msp_json_value *value = member_of(object, name);

	if (!value || msp_json_type(value) != MSP_JSON_STRING)
		return false;
	*text = msp_json_text(value, len);
	return true;
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Is tail the end of text, after a '/' or as a whole, in any letter case? */
static bool ends_with(const char *text, size_t len, const char *tail)
{
	size_t n = strlen(tail);

	if (len < n || !msp_ascii_equal(text + len - n, n, tail, n))
		return false;
	return len == n || text[len - n - 1] == '/';
}

static void last_component(const char **text, size_t *len)
{
	size_t at = *len;

	while (at > 0 && (*text)[at - 1] != '/')
		at--;
	*text += at;
	*len -= at;
}

/* ---- the search -------------------------------------------------------- */

static bool selected(const struct search *s,
		     const struct msp_json_value *resource)
{
	size_t len, n = s->select ? strlen(s->select) : 0;
	const char *text;

	if (!s->select)
		return true;
	text = msp_json_name(resource, &len);
	if (text && same_text(text, len, s->select, n))
		return true;
	if (!text_of(&text, &len, resource, "name"))
		return false;
	if (same_text(text, len, s->select, n))
		return true;
	last_component(&text, &len);
	return same_text(text, len, s->select, n);
}

static void list_name(struct search *s, const struct msp_json_value *resource)
{
	size_t used = strlen(s->names), len;
	char quote[MSP_QUOTE_MAX];
	const char *text;

	if (!text_of(&text, &len, resource, "name")) {
		text = msp_json_name(resource, &len);
		if (!text)
			text = "", len = 0;
	}
	if (sizeof(s->names) - used < MSP_QUOTE_MAX + 8)
		return;
	msp_info_copy(quote, sizeof(quote), text, len);
	snprintf(s->names + used, sizeof(s->names) - used, "%s'%s'",
		 used ? ", " : "", quote);
}

static void found_version(struct search *s,
			  const struct msp_json_value *resource,
			  const struct msp_json_value *parent)
{
	s->n_versions++;
	list_name(s, resource);
	if (!selected(s, resource))
		return;
	s->n_chosen++;
	s->chosen.resource = resource;
	s->chosen.parent = parent;
}

/* Azure takes names in any letter case: unless there is one member of this, and
 * so written, another reader may find another thing. */
static void note_doubt(struct search *s, const struct msp_json_value *object,
		       const char *name)
{
	const struct msp_json_value *member;
	const char *text;
	size_t len, n = 0;

	if (s->doubt || msp_json_type(object) != MSP_JSON_OBJECT)
		return;
	for (member = msp_json_first(object); member;
	     member = msp_json_next(member)) {
		text = msp_json_name(member, &len);
		n += msp_ascii_equal(text, len, name, strlen(name));
	}
	if (n == 0 || (n == 1 && member_of(object, name)))
		return;
	s->doubt = object;
	s->doubted = name;
}

static void search_all(struct search *s, const struct msp_json_value *resources,
		       const struct msp_json_value *parent);

/* NOLINTNEXTLINE(misc-no-recursion): see search_all() */
static void search_one(struct search *s, const struct msp_json_value *resource,
		       const struct msp_json_value *parent)
{
	const struct msp_json_value *inner = member_of(resource, "resources");
	const char *type;
	size_t len;

	note_doubt(s, resource, "type");
	note_doubt(s, resource, "resources");
	if (!text_of(&type, &len, resource, "type"))
		return;
	if (ends_with(type, len, PROFILES "/versions") ||
	    (parent && msp_ascii_equal(type, len, "versions", 8))) {
		found_version(s, resource, parent);
		return;
	}
	if (!ends_with(type, len, PROFILES)) {
		search_all(s, inner, NULL);
		return;
	}
	if (s->n_profiles++ == 0)
		s->profile = resource;
	search_all(s, inner, resource);
}

/* An array, or an object whose names are symbolic. Not deeper than the reader
 * of JSON lets a document be. NOLINTNEXTLINE(misc-no-recursion) */
static void search_all(struct search *s, const struct msp_json_value *resources,
		       const struct msp_json_value *parent)
{
	const struct msp_json_value *resource;

	if (!resources || (msp_json_type(resources) != MSP_JSON_ARRAY &&
			   msp_json_type(resources) != MSP_JSON_OBJECT))
		return;
	for (resource = msp_json_first(resources); resource;
	     resource = msp_json_next(resource))
		search_one(s, resource, parent);
}

/* A resource that stands alone need not say its type. */
static void search_lone(struct search *s, const struct msp_json_value *root)
{
	const struct msp_json_value *properties = member_of(root, "properties");

	note_doubt(s, root, "type");
	note_doubt(s, root, "resources");
	if (member_of(root, "type")) {
		search_one(s, root, NULL);
	} else if (!member_of(properties, "mode") &&
		   member_of(properties, "applicableHostEndpoint")) {
		s->n_profiles = 1;
		s->profile = root;
		search_all(s, member_of(root, "resources"), root);
	} else {
		found_version(s, root, NULL);
	}
}

static bool is_template(const struct msp_json_value *root)
{
	return member_of(root, "$schema") || !member_of(root, "properties");
}

/* ---- which one it is --------------------------------------------------- */

static void refuse_none(struct msp_reader *r, const struct search *s,
			const struct msp_json_value *root)
{
	char quote[MSP_QUOTE_WHOLE];
	const char *type;
	size_t len;

	if (s->n_versions) {
		msp_info_copy(quote, sizeof(quote), s->select,
			      strlen(s->select));
		msp_reader_error(r, MSP_FINDING_FORM, root,
				 "has no version '%s': it has %s", quote,
				 s->names);
	} else if (s->profile) {
		msp_reader_error(r, MSP_FINDING_FORM, s->profile,
				 "is a profile without rules: one of its "
				 "versions is needed");
	} else if (!is_template(root) && text_of(&type, &len, root, "type")) {
		msp_info_copy(quote, sizeof(quote), type, len);
		msp_reader_error(r, MSP_FINDING_FORM, root,
				 "is of type '%s', expected .../" PROFILES
				 "/versions",
				 quote);
	} else {
		msp_reader_error(r, MSP_FINDING_FORM, root,
				 "has no resource of type .../" PROFILES
				 "/versions");
	}
}

static bool find_version(struct msp_reader *r, struct search *s,
			 const struct msp_json_value *root)
{
	if (is_template(root)) {
		note_doubt(s, root, "resources");
		search_all(s, member_of(root, "resources"), NULL);
	} else {
		search_lone(s, root);
	}
	if (s->doubt) {
		msp_reader_error(r, MSP_FINDING_FORM, s->doubt,
				 "has '%s' twice or in another letter case: "
				 "what it is cannot be told",
				 s->doubted);
		return false;
	}
	if (s->n_chosen == 1)
		return true;
	if (s->n_chosen == 0)
		refuse_none(r, s, root);
	else
		msp_reader_error(r, MSP_FINDING_FORM, root,
				 "has %zu versions of profiles, one must be "
				 "selected: %s",
				 s->n_chosen, s->names);
	return false;
}

/* The profile a version belongs to, if it is in the document. */
static const struct msp_json_value *parent_of(const struct search *s,
					      const struct msp_json_value *root)
{
	const struct msp_json_value *resources = member_of(root, "resources");
	const struct msp_json_value *other;
	const char *name, *text;
	size_t len, n;

	if (s->chosen.parent)
		return s->chosen.parent;
	if (!s->profile || !resources ||
	    !text_of(&name, &len, s->chosen.resource, "name"))
		return NULL;
	/* names that only Azure can tell: of one profile there is no doubt */
	if (msp_text_expression(name, len))
		return s->n_profiles == 1 ? s->profile : NULL;
	while (len > 0 && name[len - 1] != '/')
		len--;
	for (other = msp_json_first(resources); other && len;
	     other = msp_json_next(other))
		if (text_of(&text, &n, other, "type") &&
		    ends_with(text, n, PROFILES) &&
		    text_of(&text, &n, other, "name") &&
		    msp_ascii_equal(text, n, name, len - 1))
			return other;
	return NULL;
}

/* ---- reading it -------------------------------------------------------- */

static void read_parent(struct msp_reader *r,
			const struct msp_json_value *parent)
{
	const struct msp_json_value *properties =
		member_of(parent, "properties");
	struct msp_profile *p = r->profile;
	const char *text;
	size_t len;

	if (text_of(&text, &len, properties, "applicableHostEndpoint")) {
		p->has_endpoint = true;
		if (msp_ascii_equal(text, len, "WireServer", 10))
			p->endpoint = MSP_ENDPOINT_WIRESERVER;
		else if (msp_ascii_equal(text, len, "IMDS", 4))
			p->endpoint = MSP_ENDPOINT_IMDS;
		else
			p->has_endpoint = false;
		if (!p->has_endpoint && !msp_text_expression(text, len))
			msp_reader_warning(
				r, MSP_FINDING_VALUE,
				member_of(properties, "applicableHostEndpoint"),
				"is not WireServer or IMDS: Azure refuses it");
	}
	if (!text_of(&text, &len, properties, "osType"))
		return;
	if (msp_ascii_equal(text, len, "Linux", 5))
		p->os = MSP_PROFILE_OS_LINUX;
	if (!msp_ascii_equal(text, len, "Windows", 7))
		return;
	p->os = MSP_PROFILE_OS_WINDOWS;
	msp_reader_warning(r, MSP_FINDING_VALUE,
			   member_of(properties, "osType"),
			   "is Windows: Azure refuses the profile for a VM "
			   "that runs Linux");
}

static void read_properties(struct msp_reader *r,
			    const struct msp_json_value *properties)
{
	struct msp_field fields[] = {
		{ .name = "mode", MSP_JSON_STRING, MSP_FIELD_REQUIRED },
		{ .name = "defaultAccess",
		  MSP_JSON_STRING,
		  MSP_FIELD_REQUIRED },
		{ .name = "rules", MSP_JSON_OBJECT },
		{ .name = "targetLocations", MSP_JSON_ARRAY, MSP_FIELD_ANY },
		{ .name = "excludeFromLatest", MSP_JSON_BOOL, MSP_FIELD_ANY },
		{ .name = "publishedDate", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "provisioningState", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "replicationStatus", MSP_JSON_OBJECT, MSP_FIELD_ANY },
	};

	if (!msp_reader_owner(r, properties))
		return;
	msp_reader_fields(r, properties, fields,
			  sizeof(fields) / sizeof(fields[0]));
	msp_reader_mode(r, fields[0].value);
	msp_reader_access(r, fields[1].value);
	msp_reader_rules(r, fields[2].value);
}

static struct msp_text keep_label(struct msp_reader *r,
				  const struct msp_json_value *value)
{
	const char *text;
	size_t len;

	msp_reader_label(r, &text, &len, value);
	return msp_reader_keep(r, text, len);
}

static void read_resource(struct msp_reader *r,
			  const struct msp_json_value *resource)
{
	struct msp_field fields[] = {
		{ .name = "id", MSP_JSON_STRING },
		{ .name = "name", MSP_JSON_STRING },
		{ .name = "location", MSP_JSON_STRING },
		{ .name = "properties", MSP_JSON_OBJECT, MSP_FIELD_REQUIRED },
		{ .name = "type", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "apiVersion", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "tags", MSP_JSON_OBJECT, MSP_FIELD_ANY },
		{ .name = "dependsOn", MSP_JSON_ARRAY, MSP_FIELD_ANY },
		{ .name = "condition", MSP_JSON_BOOL, MSP_FIELD_ANY },
		{ .name = "comments", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "metadata", MSP_JSON_OBJECT, MSP_FIELD_ANY },
		{ .name = "scope", MSP_JSON_STRING, MSP_FIELD_ANY },
		{ .name = "systemData", MSP_JSON_OBJECT, MSP_FIELD_ANY },
		{ .name = "copy", MSP_JSON_OBJECT, MSP_FIELD_ANY },
		{ .name = "resources", MSP_JSON_ARRAY, MSP_FIELD_ANY },
	};
	const char *text;
	size_t len;

	if (!msp_reader_room(r, resource) ||
	    !msp_reader_entry(r, resource, fields,
			      sizeof(fields) / sizeof(fields[0])))
		return;
	if (fields[0].value)
		r->profile->id = keep_label(r, fields[0].value);
	else if (fields[1].value)
		r->profile->id = keep_label(r, fields[1].value);
	if (fields[2].value) {
		text = msp_json_text(fields[2].value, &len);
		r->profile->location = msp_reader_keep(r, text, len);
	}
	if (fields[3].value)
		read_properties(r, fields[3].value);
}

void msp_reader_arm(struct msp_reader *r, const struct msp_json_value *root,
		    const char *select)
{
	struct search s = { .select = select };
	const struct msp_json_value *parent;

	if (!find_version(r, &s, root))
		return;
	/* what Azure answers is a resource with its id; what is sent to it may
	 * have been cut out of a template */
	r->expressions = is_template(root) || s.chosen.resource != root ||
			 !member_of(root, "id") ||
			 member_of(root, "apiVersion");
	parent = parent_of(&s, root);
	if (parent)
		read_parent(r, parent);
	read_resource(r, s.chosen.resource);
}
