/* SPDX-License-Identifier: MIT */
/*
 * In: a profile, and how it is wanted. Out: its text. Must never write what
 * reads back as another profile: names and values are anybody's.
 */
#include <string.h>

#include "libmsp/info.h"
#include "libmsp/mem.h"
#include "libmsp/opts.h"
#include "libmsp/profile_writer.h"

#define FLAGS                                                                  \
	(MSP_PROFILE_COMPACT | MSP_PROFILE_TEMPLATE | MSP_PROFILE_ENDPOINT)

/* ---- rules ------------------------------------------------------------- */

static void put_member(struct msp_writer *w, const char *name,
		       const struct msp_text *text)
{
	if (text->text)
		msp_writer_string(w, name, text->text, text->len);
}

static void put_privilege(struct msp_writer *w, const struct msp_privilege *p)
{
	size_t i;

	msp_writer_open(w, NULL, false);
	put_member(w, "name", &p->name);
	put_member(w, "path", &p->path);
	if (p->n_params)
		msp_writer_open(w, "queryParameters", false);
	for (i = 0; i < p->n_params; i++) {
		msp_writer_text(w, p->params[i].name.text,
				p->params[i].name.len);
		msp_writer_text(w, p->params[i].value.text,
				p->params[i].value.len);
	}
	if (p->n_params)
		msp_writer_close(w, false);
	msp_writer_close(w, false);
}

static void put_privileges(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;
	size_t i;

	if (!msp_writer_open_some(w, "privileges", true, p->n_privileges))
		return;
	for (i = 0; i < p->n_privileges; i++)
		put_privilege(w, &p->privileges[i]);
	msp_writer_close(w, true);
}

static void put_roles(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;
	const struct msp_role *role;
	size_t i, j;

	if (!msp_writer_open_some(w, "roles", true, p->n_roles))
		return;
	for (i = 0; i < p->n_roles; i++) {
		role = &p->roles[i];
		msp_writer_open(w, NULL, false);
		put_member(w, "name", &role->name);
		if (msp_writer_open_some(w, "privileges", true,
					 role->n_privileges)) {
			for (j = 0; j < role->n_privileges; j++)
				put_member(w, NULL,
					   &p->privileges[role->privileges[j]]
						    .name);
			msp_writer_close(w, true);
		}
		msp_writer_close(w, false);
	}
	msp_writer_close(w, true);
}

static void put_identities(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;
	const struct msp_identity *identity;
	size_t i;

	if (!msp_writer_open_some(w, "identities", true, p->n_identities))
		return;
	for (i = 0; i < p->n_identities; i++) {
		identity = &p->identities[i];
		msp_writer_open(w, NULL, false);
		put_member(w, "name", &identity->name);
		put_member(w, "userName", &identity->user_name);
		put_member(w, "groupName", &identity->group_name);
		put_member(w, "exePath", &identity->exe_path);
		put_member(w, "processName", &identity->process_name);
		msp_writer_close(w, false);
	}
	msp_writer_close(w, true);
}

static void put_assignments(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;
	const struct msp_assignment *a;
	size_t i, j;

	if (!msp_writer_open_some(w, "roleAssignments", true, p->n_assignments))
		return;
	for (i = 0; i < p->n_assignments; i++) {
		a = &p->assignments[i];
		msp_writer_open(w, NULL, false);
		put_member(w, "role", &p->roles[a->role].name);
		if (msp_writer_open_some(w, "identities", true,
					 a->n_identities)) {
			for (j = 0; j < a->n_identities; j++)
				put_member(
					w, NULL,
					&p->identities[a->identities[j]].name);
			msp_writer_close(w, true);
		}
		msp_writer_close(w, false);
	}
	msp_writer_close(w, true);
}

void msp_writer_rules(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;

	if (p->n_privileges + p->n_roles + p->n_identities + p->n_assignments ==
	    0)
		return;
	msp_writer_open(w, "rules", false);
	put_privileges(w);
	put_roles(w);
	put_identities(w);
	put_assignments(w);
	msp_writer_close(w, false);
}

/* ---- forms ------------------------------------------------------------- */

static const char *mode_word(enum msp_mode mode)
{
	switch (mode) {
	case MSP_MODE_DISABLED:
		return "disabled";
	case MSP_MODE_AUDIT:
		return "audit";
	case MSP_MODE_ENFORCE:
		break;
	}
	return "enforce";
}

static const char *access_word(const struct msp_profile *p)
{
	return p->access == MSP_ACCESS_ALLOW ? "allow" : "deny";
}

static void put_wire(struct msp_writer *w)
{
	const char *id = msp_profile_id(w->profile);

	msp_writer_open(w, NULL, false);
	msp_writer_word(w, "defaultAccess", access_word(w->profile));
	msp_writer_word(w, "mode", mode_word(w->profile->mode));
	msp_writer_string(w, "id", id, strlen(id));
	msp_writer_rules(w);
	msp_writer_close(w, false);
}

static void put_local(struct msp_writer *w)
{
	const struct msp_profile *p = w->profile;

	msp_writer_open(w, NULL, false);
	if (p->id.len)
		msp_writer_string(w, "id", p->id.text, p->id.len);
	if (p->has_access)
		msp_writer_word(w, "defaultAccess", access_word(p));
	msp_writer_rules(w);
	msp_writer_close(w, false);
}

/* A local file has rules of its own: its reader knows them. */
static int check_local(const struct msp_writer *w, struct msp_error_info *info)
{
	struct msp_profile_opts opts = MSP_PROFILE_OPTS_INIT;
	struct msp_error_info why = MSP_ERROR_INFO_INIT;
	struct msp_profile *again;
	int rc;

	opts.form = MSP_PROFILE_LOCAL;
	rc = msp_profile_read(&again, NULL, w->text, w->len, &opts, &why);
	msp_profile_free(again);
	if (rc < 0)
		msp_fail_at(info, rc, why.pointer,
			    "cannot be a local rule file: %s", why.text);
	return rc;
}

struct wish {
	enum msp_profile_form form;
	bool template;
	struct msp_arm_name name;
	const char *location;
	enum msp_endpoint endpoint;
};

static bool choose_location(struct wish *wish, const struct msp_profile *p,
			    const char *asked)
{
	const char *read = p->location.text;
	size_t len = p->location.len;

	wish->location = asked;
	if (!asked && read &&
	    (wish->template ||
	     !(len && read[0] == '[' && read[len - 1] == ']')))
		wish->location = read;
	if (!wish->location && wish->template)
		wish->location = "[resourceGroup().location]";
	return wish->location;
}

static int refuse(struct msp_error_info *info, const char *text)
{
	return msp_fail(info, MSP_ERR_INVAL, "%s", text);
}

/* What only ARM asks for. */
static int choose_arm(struct wish *wish, const struct msp_profile *p,
		      const struct msp_profile_write_opts *opts,
		      struct msp_error_info *info)
{
	if (opts->name ? !msp_arm_name_parse(&wish->name, opts->name)
		       : !msp_arm_name_of_id(&wish->name, msp_profile_id(p)) &&
				 !msp_arm_name_parse(&wish->name,
						     "gallery/profile/1.0.0"))
		return refuse(info, "the name is not gallery/profile/version");
	if (!choose_location(wish, p, opts->location))
		return refuse(info, "an Azure resource needs a location");
	if (!wish->template)
		return 0;
	wish->endpoint = opts->endpoint;
	if (!(opts->flags & MSP_PROFILE_ENDPOINT) &&
	    !msp_profile_endpoint(p, &wish->endpoint))
		return refuse(info, "a template needs an endpoint");
	if (wish->endpoint != MSP_ENDPOINT_WIRESERVER &&
	    wish->endpoint != MSP_ENDPOINT_IMDS)
		return refuse(info,
			      "Azure has profiles of WireServer and IMDS only");
	return 0;
}

static int choose(struct wish *wish, const struct msp_profile *p,
		  const struct msp_profile_write_opts *opts,
		  struct msp_error_info *info)
{
	if (!msp_opts_ok(opts, opts->size, sizeof(*opts)) || opts->reserved ||
	    (unsigned int)opts->form > MSP_PROFILE_LOCAL ||
	    (opts->flags & ~FLAGS))
		return refuse(info, "invalid argument");
	memset(wish, 0, sizeof(*wish));
	wish->form = opts->form == MSP_PROFILE_ANY ? p->form : opts->form;
	wish->template = opts->flags & MSP_PROFILE_TEMPLATE;
	if (wish->form == MSP_PROFILE_ARM)
		return choose_arm(wish, p, opts, info);
	if (wish->template)
		return refuse(info, "only the ARM form has templates");
	return 0;
}

static void put_form(struct msp_writer *w, const void *arg)
{
	const struct wish *wish = arg;

	if (wish->form == MSP_PROFILE_LOCAL)
		put_local(w);
	else if (wish->form != MSP_PROFILE_ARM)
		put_wire(w);
	else if (wish->template)
		msp_writer_template(w, &wish->name, wish->location,
				    wish->endpoint);
	else
		msp_writer_resource(w, &wish->name, wish->location);
}

int msp_profile_write(char **out, size_t *len,
		      const struct msp_profile *profile,
		      const struct msp_profile_write_opts *opts,
		      struct msp_error_info *info)
{
	static const struct msp_profile_write_opts none =
		MSP_PROFILE_WRITE_OPTS_INIT;
	struct msp_writer w = { .profile = profile };
	struct wish wish;
	int rc;

	if (len)
		*len = 0;
	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	if (!profile)
		return refuse(info, "invalid argument");
	opts = opts ? opts : &none;
	rc = choose(&wish, profile, opts, info);
	if (rc < 0)
		return rc;
	rc = msp_writer_run(&w, opts->flags & MSP_PROFILE_COMPACT, put_form,
			    &wish);
	if (rc < 0)
		msp_fail(info, rc, "cannot be written: %s",
			 rc == MSP_ERR_NOMEM ? "no memory" : "is not UTF-8");
	else if (wish.form == MSP_PROFILE_LOCAL)
		rc = check_local(&w, info);
	if (rc < 0)
		goto out;
	*out = w.text;
	w.text = NULL; /* now the caller's */
	if (len)
		*len = w.len;
out:
	msp_mem_free(w.text);
	return rc;
}
