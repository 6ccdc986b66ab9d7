/* SPDX-License-Identifier: MIT */
/*
 * In: small profiles made by chance. Out: pass or fail. Must never let lint
 * say of a privilege that it has no effect, and a decision differ without it.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/decision.h>
#include <msp/lint.h>

#include "tests/lib/failalloc.h"

#define COUNT(array)  ((unsigned int)(sizeof(array) / sizeof((array)[0])))
#define N_PRIVILEGES  5U
#define N_IDENTITIES  4U
#define N_PROFILES    800
#define NOT_LEFT_OUT  N_PRIVILEGES
#define AT_LEAST_SEEN 100 /* of each, or the profiles show nothing */

static const char *const paths[] = { "/",     "/a",   "/a/b",
				     "/a/b/", "/A/c", "/a/b/c/d" };
static const char *const params[] = {
	"",
	"",
	"'k':'v'",
	"'k':'w'",
	"'k':'v','l':'x'",
	"'l':'X'",
	"'k':'v','m':'y'",
	"'k':'w','l':'x'",
};
static const char *const selectors[] = {
	"",
	",'userName':'u'",
	",'userName':'v'",
	",'groupName':'g'",
	",'userName':'u','groupName':'g'",
	",'exePath':'/x'",
	",'userName':'u','exePath':'/x','processName':'x'",
	",'groupName':'g','exePath':'/y'",
};
static const char *const targets[] = {
	"/",
	"/a",
	"/a/b",
	"/a/b/c",
	"/a/b/c/d",
	"/a/c",
	"/b",
	"/a?k=v",
	"/a/b?k=w",
	"/a/b?k=v",
	"/?l=x",
	"/a?l=x",
	"/a/c?k=v",
	"/a/c?k=v&l=x",
	"/a/b?l=x&k=v",
	"/?k=v",
	"/b?k=w&l=x",
	"/a/b/c/d?k=v&m=y",
	"/a/b/c/d?m=y",
	"/a/b?k=v&l=x&m=y",
};

/* What was drawn: each privilege can then be left out. */
struct drawn {
	unsigned int path[N_PRIVILEGES];
	unsigned int params[N_PRIVILEGES];
	unsigned int has[N_PRIVILEGES]; /* bits: identities */
	unsigned int selectors[N_IDENTITIES];
	bool allow;
};

static uint64_t state = 88172645463325252ULL;

static unsigned int draw(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)((state >> 33) % n);
}

static void draw_profile(struct drawn *d)
{
	unsigned int i;

	for (i = 0; i < N_PRIVILEGES; i++) {
		d->path[i] = draw(COUNT(paths));
		d->params[i] = draw(COUNT(params));
		d->has[i] = draw(1U << N_IDENTITIES) & draw(1U << N_IDENTITIES);
	}
	for (i = 0; i < N_IDENTITIES; i++)
		d->selectors[i] = draw(COUNT(selectors));
	d->allow = draw(2);
}

/* ---- as a document ----------------------------------------------------- */

static char json[4096];

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
	size_t n = strlen(json);
	va_list args;

	va_start(args, format);
	vsnprintf(json + n, sizeof(json) - n, format, args);
	va_end(args);
}

static void add_roles(const struct drawn *d)
{
	unsigned int i, k;

	add("],'roles':[");
	for (i = 0; i < N_PRIVILEGES; i++)
		add("%s{'name':'r%u','privileges':['p%u']}", i ? "," : "", i,
		    i);
	add("],'identities':[");
	for (i = 0; i < N_IDENTITIES; i++)
		add("%s{'name':'i%u'%s}", i ? "," : "", i,
		    selectors[d->selectors[i]]);
	add("],'roleAssignments':[");
	for (i = 0; i < N_PRIVILEGES; i++) {
		add("%s{'role':'r%u','identities':['nobody'", i ? "," : "", i);
		for (k = 0; k < N_IDENTITIES; k++)
			if (d->has[i] & 1U << k)
				add(",'i%u'", k);
		add("]}");
	}
	add("]}}");
}

static struct msp_profile *profile_of(const struct drawn *d, unsigned int out)
{
	struct msp_profile *profile;
	const char *comma = "";
	unsigned int i;
	char *c;

	json[0] = '\0';
	add("{'id':'','mode':'enforce','defaultAccess':'%s','rules':{"
	    "'privileges':[",
	    d->allow ? "allow" : "deny");
	for (i = 0; i < N_PRIVILEGES; i++) {
		if (i == out)
			continue;
		add("%s{'name':'p%u','path':'%s','queryParameters':{%s}}",
		    comma, i, paths[d->path[i]], params[d->params[i]]);
		comma = ",";
	}
	add_roles(d);
	for (c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	ck_assert_int_eq(msp_profile_parse(&profile, json, strlen(json), NULL),
			 0);
	return profile;
}

static struct msp_rules *rules_of(const struct drawn *d, unsigned int out)
{
	struct msp_profile *profile = profile_of(d, out);
	struct msp_rules *rules;

	ck_assert_int_eq(msp_rules_compile(&rules, profile, 0), 0);
	msp_profile_free(profile);
	return rules;
}

/* ---- what is decided --------------------------------------------------- */

static enum msp_verdict decide(const struct msp_rules *rules,
			       const struct msp_request *request,
			       unsigned int who)
{
	static const char *const groups[] = { "g" };
	struct msp_decision decision = { .size = sizeof(decision) };
	struct msp_caller caller = {
		.size = sizeof(caller),
		.flags = MSP_CALLER_KNOWN | MSP_CALLER_NAMES |
			 MSP_CALLER_EXE_VERIFIED,
		.uid = 1000,
		.euid = 1000,
		.user_name = who & 1   ? "u"
			     : who & 8 ? "v"
				       : "w",
		.groups = groups,
		.n_groups = who & 2 ? 1 : 0,
	};

	strcpy(caller.exe_path, who & 4 ? "/x" : "/y");
	ck_assert_int_eq(msp_decision_make(&decision, rules, MSP_ENDPOINT_IMDS,
					   request, &caller),
			 0);
	return decision.verdict;
}

/* For each target and each caller, as bits. */
static void decide_all(uint16_t *out, const struct msp_rules *rules)
{
	struct msp_request *request;
	unsigned int i, who;

	ck_assert_int_eq(msp_request_new(&request), 0);
	for (i = 0; i < COUNT(targets); i++) {
		ck_assert_int_eq(msp_request_set(request, "GET", 3, targets[i],
						 strlen(targets[i])),
				 0);
		out[i] = 0;
		for (who = 0; who < 16; who++)
			if (decide(rules, request, who) == MSP_ALLOW)
				out[i] = (uint16_t)(out[i] | 1U << who);
	}
	msp_request_free(request);
}

static bool has_effect(const struct drawn *d, unsigned int privilege)
{
	uint16_t with[COUNT(targets)], without[COUNT(targets)];
	struct msp_rules *all = rules_of(d, NOT_LEFT_OUT);
	struct msp_rules *fewer = rules_of(d, privilege);

	decide_all(with, all);
	decide_all(without, fewer);
	msp_rules_free(all);
	msp_rules_free(fewer);
	return memcmp(with, without, sizeof(with)) != 0;
}

/* ---- what lint says ---------------------------------------------------- */

/* Which privileges are shadowed, as bits, by severity. */
static void lint(unsigned int *notes, unsigned int *warnings,
		 const struct drawn *d)
{
	struct msp_profile *profile = profile_of(d, NOT_LEFT_OUT);
	const struct msp_finding *f;
	struct msp_findings *list;
	unsigned int index;
	size_t i;

	*notes = *warnings = 0;
	ck_assert_int_eq(msp_profile_lint(&list, profile, NULL), 0);
	for (i = 0; (f = msp_findings_get(list, i)); i++) {
		ck_assert_int_ne(f->code, MSP_FINDING_LIMIT);
		if (f->code != MSP_FINDING_SHADOWED)
			continue;
		ck_assert_int_eq(
			sscanf(f->pointer, "/rules/privileges/%u", &index), 1);
		*(f->severity == MSP_SEVERITY_NOTE ? notes : warnings) |=
			1U << index;
	}
	msp_findings_free(list);
	msp_profile_free(profile);
}

/* Is one wider than the other, going by what was drawn alone? */
static bool wider(const struct drawn *d, unsigned int wide, unsigned int narrow)
{
	static const unsigned int below[] = { 63, 62, 44, 44, 16, 32 };
	static const unsigned int fewer[] = { 255, 255, 84, 136,
					      16,  176, 64, 128 };

	return below[d->path[wide]] & 1U << d->path[narrow] &&
	       fewer[d->params[wide]] & 1U << d->params[narrow];
}

/* By the bits of who has it; what identities ask for is not looked at. */
static bool plainly_shadowed(const struct drawn *d, unsigned int i)
{
	unsigned int k;

	for (k = 0; k < N_PRIVILEGES; k++)
		if (k != i && d->has[k] && !(d->has[i] & ~d->has[k]) &&
		    wider(d, k, i) && (k < i || !wider(d, i, k)))
			return true;
	return false;
}

START_TEST(what_is_shadowed_has_no_effect)
{
	unsigned int notes, warnings, i, n, seen[2] = { 0, 0 }, plain = 0;
	struct drawn d;

	for (n = 0; n < N_PROFILES; n++) {
		draw_profile(&d);
		lint(&notes, &warnings, &d);
		for (i = 0; i < N_PRIVILEGES; i++) {
			bool said = (notes | warnings) & 1U << i;

			ck_assert_msg(!said || !has_effect(&d, i),
				      "privilege %u has an effect in %s", i,
				      json);
			ck_assert_msg(said || !plainly_shadowed(&d, i),
				      "privilege %u is shadowed in %s", i,
				      json);
			seen[0] += notes >> i & 1;
			seen[1] += warnings >> i & 1;
			plain += plainly_shadowed(&d, i);
		}
	}
	ck_assert_uint_ge(seen[0], AT_LEAST_SEEN);
	ck_assert_uint_ge(seen[1], AT_LEAST_SEEN);
	ck_assert_uint_ge(plain, AT_LEAST_SEEN);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lint_effect");
	TCase *tc = tcase_create("lint_effect");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_shadowed_has_no_effect);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
