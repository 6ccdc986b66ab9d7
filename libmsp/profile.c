/* SPDX-License-Identifier: MIT */
/*
 * In: a profile that was read. Out: what it says, and whether another says the
 * same. Must never change one after it was handed out.
 */
#include <msp/profile.h>

#include <stdio.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/mem.h"
#include "libmsp/profile_priv.h"

/* Content never changes after parse: only the count of owners does. */
struct msp_profile *msp_profile_ref(const struct msp_profile *profile)
{
	struct msp_profile *shared = (struct msp_profile *)(uintptr_t)profile;

	if (shared)
		atomic_fetch_add_explicit(&shared->owners, 1,
					  memory_order_relaxed);
	return shared;
}

static void free_whole(struct msp_profile *profile)
{
	size_t i;

	for (i = 0; i < profile->n_privileges; i++)
		msp_mem_free(profile->privileges[i].params);
	for (i = 0; i < profile->n_roles; i++)
		msp_mem_free(profile->roles[i].privileges);
	for (i = 0; i < profile->n_assignments; i++)
		msp_mem_free(profile->assignments[i].identities);
	msp_mem_free(profile->privileges);
	msp_mem_free(profile->roles);
	msp_mem_free(profile->identities);
	msp_mem_free(profile->assignments);
	msp_mem_free(profile->pointer);
	msp_findings_free(profile->findings);
	msp_mem_free(profile->texts);
	msp_mem_free(profile);
}

/* true if that was the last owner */
static bool give_up(struct msp_profile *profile)
{
	return profile && atomic_fetch_sub_explicit(&profile->owners, 1,
						    memory_order_acq_rel) == 1;
}

/* What is merged can be merged again, as often as a caller likes: no recursion
 * may be that deep. Only the host's side can be merged: a local file was
 * read. */
void msp_profile_free(struct msp_profile *profile)
{
	struct msp_profile *host, *local;

	while (give_up(profile)) {
		host = profile->sources[0];
		local = profile->sources[1];
		if (give_up(local))
			free_whole(local);
		free_whole(profile);
		profile = host;
	}
}

bool msp_mode_parse(enum msp_mode *out, const char *text, size_t len)
{
	static const struct {
		const char *word;
		enum msp_mode mode;
	} words[] = {
		{ "enforce", MSP_MODE_ENFORCE },
		{ "audit", MSP_MODE_AUDIT },
		{ "disabled", MSP_MODE_DISABLED },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *word = words[i].word;

		if (!msp_ascii_equal(text, len, word, strlen(word)))
			continue;
		*out = words[i].mode;
		return true;
	}
	return false;
}

bool msp_access_parse(enum msp_access *out, const char *text, size_t len)
{
	bool allow = msp_ascii_equal(text, len, "allow", 5);

	if (!allow && !msp_ascii_equal(text, len, "deny", 4))
		return false;
	*out = allow ? MSP_ACCESS_ALLOW : MSP_ACCESS_DENY;
	return true;
}

void msp_profile_pointer(const struct msp_profile *profile, char *out,
			 size_t size, const char *array,
			 const struct msp_place *place, const char *field)
{
	const char *base = profile->pointer ? profile->pointer : "";

	if (array)
		snprintf(out, size, "%s/rules/%s/%u%s%s", base, array,
			 place->index, field ? "/" : "", field ? field : "");
	else
		snprintf(out, size, "%s/%s", base, field);
}

const char *msp_profile_id(const struct msp_profile *profile)
{
	return profile && profile->id.text ? profile->id.text : "";
}

enum msp_profile_form msp_profile_form(const struct msp_profile *profile)
{
	return profile ? profile->form : MSP_PROFILE_ANY;
}

enum msp_mode msp_profile_mode(const struct msp_profile *profile)
{
	return profile ? profile->mode : MSP_MODE_ENFORCE;
}

enum msp_access msp_profile_access(const struct msp_profile *profile)
{
	return profile ? profile->access : MSP_ACCESS_DENY;
}

bool msp_profile_has_access(const struct msp_profile *profile)
{
	return profile && profile->has_access;
}

bool msp_profile_endpoint(const struct msp_profile *profile,
			  enum msp_endpoint *out)
{
	if (!profile || !profile->has_endpoint)
		return false;
	*out = profile->endpoint;
	return true;
}

const struct msp_findings *
msp_profile_findings(const struct msp_profile *profile)
{
	return profile ? profile->findings : NULL;
}

static bool same_text(const struct msp_text *a, const struct msp_text *b)
{
	if (!a->text || !b->text)
		return a->text == b->text;
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static bool same_lower(const struct msp_text *a, const struct msp_text *b)
{
	return msp_ascii_equal(a->text, a->len, b->text, b->len);
}

static bool same_list(const uint32_t *a, size_t a_n, const uint32_t *b,
		      size_t b_n)
{
	return a_n == b_n && (!a_n || memcmp(a, b, a_n * sizeof(*a)) == 0);
}

static bool same_privilege(const struct msp_privilege *a,
			   const struct msp_privilege *b)
{
	size_t i;

	if (!same_text(&a->name, &b->name) || !same_text(&a->path, &b->path) ||
	    a->n_params != b->n_params)
		return false;
	for (i = 0; i < a->n_params; i++)
		if (!same_lower(&a->params[i].name, &b->params[i].name) ||
		    !same_lower(&a->params[i].value, &b->params[i].value))
			return false;
	return true;
}

static bool same_identity(const struct msp_identity *a,
			  const struct msp_identity *b)
{
	return same_text(&a->name, &b->name) &&
	       same_text(&a->user_name, &b->user_name) &&
	       same_text(&a->group_name, &b->group_name) &&
	       same_text(&a->exe_path, &b->exe_path) &&
	       same_text(&a->process_name, &b->process_name);
}

static bool same_role(const struct msp_role *a, const struct msp_role *b)
{
	return same_text(&a->name, &b->name) &&
	       same_list(a->privileges, a->n_privileges, b->privileges,
			 b->n_privileges);
}

static bool same_assignment(const struct msp_assignment *a,
			    const struct msp_assignment *b)
{
	return a->role == b->role && same_list(a->identities, a->n_identities,
					       b->identities, b->n_identities);
}

static bool same_rules(const struct msp_profile *a, const struct msp_profile *b)
{
	size_t i;

	if (a->n_privileges != b->n_privileges || a->n_roles != b->n_roles ||
	    a->n_identities != b->n_identities ||
	    a->n_assignments != b->n_assignments)
		return false;
	for (i = 0; i < a->n_privileges; i++)
		if (!same_privilege(&a->privileges[i], &b->privileges[i]))
			return false;
	for (i = 0; i < a->n_roles; i++)
		if (!same_role(&a->roles[i], &b->roles[i]))
			return false;
	for (i = 0; i < a->n_identities; i++)
		if (!same_identity(&a->identities[i], &b->identities[i]))
			return false;
	for (i = 0; i < a->n_assignments; i++)
		if (!same_assignment(&a->assignments[i], &b->assignments[i]))
			return false;
	return true;
}

/* Content and not only the id: a host that changes mode or rules under the
 * same id must be heard (fix Q8). */
bool msp_profile_equal(const struct msp_profile *a, const struct msp_profile *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(msp_profile_id(a), msp_profile_id(b)) == 0 &&
	       a->mode == b->mode && a->access == b->access && same_rules(a, b);
}
