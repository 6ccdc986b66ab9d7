/* SPDX-License-Identifier: MIT */
/*
 * In: the compiled privileges of a profile, and what is secret about the
 * endpoints. Out: secrets that anybody gets, or nobody. Must never take a
 * secret for restricted because part of it is.
 */
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/info.h"
#include "libmsp/lint_priv.h"
#include "libmsp/mem.h"

#define PARAMS_MAX 2

/*
 * Where a secret is. A segment "#" of the path is any GUID and "*" any
 * segment; params are what tells it from the other things at the path.
 */
struct secret {
	enum msp_endpoint endpoint;
	enum msp_severity severity;
	const char *path;
	struct {
		const char *name;
		const char *value;
	} params[PARAMS_MAX];
	const char *what;
	const char *where; /* for people */
};

static const struct secret secrets[] = {
	{ MSP_ENDPOINT_IMDS,
	  MSP_SEVERITY_WARNING,
	  "/metadata/identity/oauth2/token",
	  { { NULL, NULL } },
	  "access tokens of the VM",
	  "/metadata/identity/oauth2/token" },
	{ MSP_ENDPOINT_IMDS,
	  MSP_SEVERITY_NOTE,
	  "/metadata/attested/document",
	  { { NULL, NULL } },
	  "documents that prove to be this VM",
	  "/metadata/attested" },
	{ MSP_ENDPOINT_WIRESERVER,
	  MSP_SEVERITY_WARNING,
	  "/machine/#/*",
	  { { "comp", "certificates" } },
	  "the VM's certificates",
	  "/machine with comp=certificates" },
	{ MSP_ENDPOINT_WIRESERVER,
	  MSP_SEVERITY_WARNING,
	  "/machine/#/*",
	  { { "comp", "config" }, { "type", "extensionsconfig" } },
	  "the settings of extensions",
	  "/machine with comp=config and type=extensionsConfig" },
	{ MSP_ENDPOINT_HOSTGA,
	  MSP_SEVERITY_WARNING,
	  "/vmsettings",
	  { { NULL, NULL } },
	  "the settings of extensions",
	  "/vmSettings" },
	{ MSP_ENDPOINT_HOSTGA,
	  MSP_SEVERITY_WARNING,
	  "/certificates",
	  { { NULL, NULL } },
	  "the VM's certificates",
	  "/certificates" },
};
#define N_SECRETS (sizeof(secrets) / sizeof(secrets[0]))

/* What a privilege has of a secret. */
enum part { NOTHING = 0, SOME = 1, ALL = 2 };

/* ---- what covers what -------------------------------------------------- */

static bool is_guid(const char *text, size_t len)
{
	size_t i;

	if (len != 36)
		return false;
	for (i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-'
			 : msp_ascii_hex((unsigned char)text[i]) < 0)
			return false;
	}
	return true;
}

static bool segment_matches(const char *wanted, size_t wanted_len,
			    const char *text, size_t len)
{
	if (wanted_len == 1 && *wanted == '*')
		return true;
	if (wanted_len == 1 && *wanted == '#')
		return is_guid(text, len);
	return wanted_len == len && memcmp(wanted, text, len) == 0;
}

/* Whole segments; "" covers everything. */
static bool path_covers(const char *path, const char *secret)
{
	size_t len, wanted;

	while (*path) {
		if (!*secret)
			return false;
		path++;
		secret++;
		len = strcspn(path, "/");
		wanted = strcspn(secret, "/");
		if (!segment_matches(secret, wanted, path, len))
			return false;
		path += len;
		secret += wanted;
	}
	return true;
}

static enum part param_part(const struct msp_rule_param *param,
			    const struct secret *secret)
{
	size_t i;

	for (i = 0; i < PARAMS_MAX && secret->params[i].name; i++)
		if (strcmp(param->name, secret->params[i].name) == 0)
			return strcmp(param->value, secret->params[i].value)
				       ? NOTHING
				       : ALL;
	return SOME;
}

static enum part part_of(const struct msp_rule *rule,
			 const struct secret *secret)
{
	enum part part = ALL, one;
	uint32_t i;

	if (!path_covers(rule->path, secret->path))
		return NOTHING;
	for (i = 0; i < rule->n_params; i++) {
		one = param_part(&rule->params[i], secret);
		if (one < part)
			part = one;
	}
	return part;
}

/* The first identity in the profile that matches every caller and has this
 * role, or NULL. They are among those without user and group, which are the
 * first of who[]. */
static const struct msp_who *find_everyone(const struct msp_rules *r,
					   const struct msp_who_set *set)
{
	const struct msp_who *who;
	uint32_t i;

	for (i = 0; i < set->n && set->who[i] < r->n_anybody; i++) {
		who = &r->who[set->who[i]];
		if (!who->exe && !who->process)
			return who;
	}
	return NULL;
}

unsigned int msp_lint_guess(const struct msp_rules *rules)
{
	unsigned int found = 0;
	uint32_t i;
	size_t k, len;

	for (i = 0; i < rules->n_rules; i++) {
		const char *path = rules->rules[i].path;

		if (!*path)
			continue;
		len = 1 + strcspn(path + 1, "/");
		for (k = 0; k < N_SECRETS; k++)
			if (strncmp(path, secrets[k].path, len) == 0 &&
			    strchr("/", secrets[k].path[len]))
				found |= 1U << secrets[k].endpoint;
	}
	/* they have their rules in common */
	if (found & (1U << MSP_ENDPOINT_WIRESERVER | 1U << MSP_ENDPOINT_HOSTGA))
		found |= 1U << MSP_ENDPOINT_WIRESERVER |
			 1U << MSP_ENDPOINT_HOSTGA;
	return found;
}

/* ---- who gets it ------------------------------------------------------- */

/* What the privileges do about one secret. */
struct cover {
	const struct msp_who **everyone; /* by role */
	const struct msp_rule
		*all; /* first in the profile that has all of it */
	const struct msp_rule *some; /* likewise, that has some of it */
	bool assigned;		     /* one of them to somebody */
};

static const char *callers_of(const struct secret *secret)
{
	return secret->endpoint == MSP_ENDPOINT_IMDS ? "everybody"
						     : "every process of root";
}

static void about_rule(const struct msp_lint *l, struct msp_lint_about *about,
		       const struct msp_rule *rule)
{
	about->array = "privileges";
	about->place = &l->profile->privileges[rule->index].place;
	about->field = NULL;
}

static void check_everyone(struct msp_lint *l, const struct secret *secret,
			   const struct msp_rule *rule,
			   const struct cover *cover)
{
	const struct msp_who *who = NULL;
	struct msp_lint_about about;
	char name[MSP_LINT_NAME];
	uint32_t i;

	for (i = 0; i < rule->n_roles && !who; i++)
		who = cover->everyone[rule->roles[i] - l->rules->roles];
	if (!who)
		return;
	about_rule(l, &about, rule);
	msp_info_copy(name, sizeof(name), who->name, strlen(who->name));
	msp_lint_say(l, secret->severity, MSP_FINDING_SECRET_OPEN, &about,
		     "gives %s (%s) to %s, because the identity '%s' has no "
		     "selector: give it a userName or an exePath",
		     secret->what, secret->where, callers_of(secret), name);
}

static void consider(struct msp_lint *l, const struct secret *secret,
		     const struct msp_rule *rule, struct cover *cover)
{
	enum part part = part_of(rule, secret);
	const struct msp_rule **first;

	if (part == NOTHING)
		return;
	first = part == ALL ? &cover->all : &cover->some;
	if (!*first || rule->index < (*first)->index)
		*first = rule;
	cover->assigned = cover->assigned || rule->n_roles;
	check_everyone(l, secret, rule, cover);
}

static void say_open(struct msp_lint *l, const struct secret *secret,
		     const struct msp_rule *some)
{
	struct msp_lint_about about = { NULL, &l->profile->access_place,
					"defaultAccess" };
	char name[MSP_LINT_NAME];

	if (!some) {
		msp_lint_say(l, secret->severity, MSP_FINDING_SECRET_OPEN,
			     &about,
			     "is allow and no privilege covers %s (%s): %s "
			     "gets them, add a privilege and assign it to who "
			     "needs them",
			     secret->what, secret->where, callers_of(secret));
		return;
	}
	msp_info_copy(name, sizeof(name), some->name, strlen(some->name));
	msp_lint_say(l, secret->severity, MSP_FINDING_SECRET_OPEN, &about,
		     "is allow and privilege '%s' covers %s (%s) with its own "
		     "parameters only: with others %s gets them, add a "
		     "privilege without parameters",
		     name, secret->what, secret->where, callers_of(secret));
}

static void check_default(struct msp_lint *l, const struct secret *secret,
			  const struct cover *cover)
{
	struct msp_lint_about about;

	/* what a local file leaves to the host is not known, and reads deny */
	if (l->profile->access != MSP_ACCESS_ALLOW)
		return;
	if (!cover->all) {
		say_open(l, secret, cover->some);
		return;
	}
	if (cover->assigned)
		return;
	about_rule(l, &about, cover->all);
	msp_lint_say(
		l, secret->severity, MSP_FINDING_SECRET_OPEN, &about,
		"covers %s (%s) and is assigned to nobody: nobody gets them "
		"though defaultAccess is allow, assign it to who needs "
		"them",
		secret->what, secret->where);
}

static void check_secret(struct msp_lint *l, const struct secret *secret,
			 const struct msp_who **everyone)
{
	struct cover cover = { .everyone = everyone };
	uint32_t i;

	for (i = 0; i < l->rules->n_rules; i++)
		consider(l, secret, &l->rules->rules[i], &cover);
	check_default(l, secret, &cover);
}

void msp_lint_secrets(struct msp_lint *l)
{
	const struct msp_rules *r = l->rules;
	const struct msp_who **everyone;
	size_t i;

	everyone = msp_mem_array(r->n_roles, sizeof(*everyone));
	if (!everyone) {
		msp_lint_no_memory(l);
		return;
	}
	for (i = 0; i < r->n_roles; i++)
		everyone[i] = find_everyone(r, &r->roles[i]);
	for (i = 0; i < N_SECRETS; i++)
		if (l->endpoints & 1U << secrets[i].endpoint)
			check_secret(l, &secrets[i], everyone);
	msp_mem_free(everyone);
}
