/* SPDX-License-Identifier: MIT */
/*
 * In: the tables of tests/sim, each a profile, callers and requests. Out: pass
 * or fail per file. Must never pass a file it does not understand.
 *
 *	endpoint imds
 *	profile
 *	{ ... }
 *	end
 *	caller NAME [uid=N] [euid=N] [user=TEXT] [groups=A,B]
 *	            [process-groups=A,B] [exe=PATH] [nameless] [groups-cut]
 *	            [unverified] [replaced] [unknown] [kernel] [direct]
 *	METHOD TARGET CALLER -> VERDICT REASON [DETAIL]
 *
 * DETAIL is "privilege/identity", "privilege/-" or a CANON_ code, as far as
 * the reason has one. "#" begins a comment line. Sections may come again.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msp/decision.h>

#include "tests/lib/failalloc.h"

#define CALLERS_MAX    16
#define GROUPS_MAX     8
#define LINE_MAX_BYTES 4096

struct actor {
	char name[32];
	char text[512]; /* what user and groups point into */
	const char *groups[GROUPS_MAX];
	const char *process_groups[GROUPS_MAX];
	struct msp_caller caller;
};

struct sim {
	const char *file;
	int line;
	int rows;
	enum msp_endpoint endpoint;
	struct msp_rules *rules;
	struct msp_request *request;
	struct actor actor[CALLERS_MAX];
	size_t n_actors;
};

static glob_t files;

#define fail_at(sim, format, ...)                                              \
	ck_abort_msg("%s:%d: " format, (sim)->file, (sim)->line, __VA_ARGS__)

/* ---- sections ---------------------------------------------------------- */

static void read_endpoint(struct sim *s, const char *name)
{
	static const char *const known[MSP_ENDPOINTS] = {
		[MSP_ENDPOINT_WIRESERVER] = "wireserver",
		[MSP_ENDPOINT_IMDS] = "imds",
		[MSP_ENDPOINT_HOSTGA] = "hostga",
	};
	int i;

	for (i = 0; i < MSP_ENDPOINTS; i++) {
		if (!strcmp(known[i], name)) {
			s->endpoint = (enum msp_endpoint)i;
			return;
		}
	}
	fail_at(s, "no endpoint '%s'", name);
}

static void read_profile(struct sim *s, FILE *in)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char json[16384], line[LINE_MAX_BYTES];
	struct msp_profile *profile;
	size_t n = 0;

	for (;;) {
		if (!fgets(line, sizeof(line), in))
			fail_at(s, "%s", "profile without end");
		s->line++;
		if (!strcmp(line, "end\n"))
			break;
		if (n + strlen(line) >= sizeof(json))
			fail_at(s, "%s", "profile too long");
		memcpy(json + n, line, strlen(line));
		n += strlen(line);
	}
	msp_rules_free(s->rules);
	s->rules = NULL;
	if (msp_profile_parse(&profile, json, n, &info))
		fail_at(s, "profile: %s: %s", info.pointer, info.text);
	ck_assert_int_eq(msp_rules_compile(&s->rules, profile, 1), 0);
	msp_profile_free(profile);
}

/* How many; names[] points into the list from now on. */
static size_t read_groups(struct sim *s, const char **names, char *list)
{
	char *save = NULL, *name;
	size_t n = 0;

	for (name = strtok_r(list, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		if (n == GROUPS_MAX)
			fail_at(s, "too many groups: %s", name);
		names[n++] = name;
	}
	return n;
}

static void read_flag(struct sim *s, struct msp_caller *c, const char *word)
{
	static const struct {
		const char *word;
		uint32_t set;
		uint32_t clear;
	} flag[] = {
		{ "nameless", 0, MSP_CALLER_NAMES },
		{ "groups-cut", MSP_CALLER_GROUPS_CUT, 0 },
		{ "unverified", 0, MSP_CALLER_EXE_VERIFIED },
		{ "replaced", MSP_CALLER_EXE_REPLACED, 0 },
		{ "unknown", 0, MSP_CALLER_KNOWN },
		{ "kernel", MSP_CALLER_KERNEL, 0 },
		{ "direct", MSP_CALLER_DIRECT, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(flag) / sizeof(flag[0]); i++) {
		if (strcmp(flag[i].word, word) != 0)
			continue;
		c->flags |= flag[i].set;
		c->flags &= ~flag[i].clear;
		return;
	}
	fail_at(s, "no such fact '%s'", word);
}

static void read_word(struct sim *s, struct actor *a, char *word)
{
	struct msp_caller *c = &a->caller;
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	else
		value = word + strlen(word);
	if (!strcmp(word, "uid"))
		c->uid = c->euid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(word, "euid"))
		c->euid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(word, "user"))
		c->user_name = value;
	else if (!strcmp(word, "groups"))
		c->n_groups = read_groups(s, a->groups, value);
	else if (!strcmp(word, "process-groups"))
		c->n_process_groups = read_groups(s, a->process_groups, value);
	else if (!strcmp(word, "exe"))
		snprintf(c->exe_path, sizeof(c->exe_path), "%s", value);
	else
		read_flag(s, c, word);
}

/* Everybody is known, named and verified, unless the line says otherwise. */
static void read_caller(struct sim *s, const char *text)
{
	struct actor *a;
	char *save = NULL, *word;

	if (s->n_actors == CALLERS_MAX || strlen(text) >= sizeof(a->text))
		fail_at(s, "%s", "too many callers, or too long");
	a = &s->actor[s->n_actors++];
	memset(a, 0, sizeof(*a));
	strcpy(a->text, text);
	a->caller.size = sizeof(a->caller);
	a->caller.groups = a->groups;
	a->caller.process_groups = a->process_groups;
	a->caller.flags =
		MSP_CALLER_KNOWN | MSP_CALLER_NAMES | MSP_CALLER_EXE_VERIFIED;
	a->caller.uid = a->caller.euid = 1000;
	word = strtok_r(a->text, " ", &save);
	if (!word)
		fail_at(s, "%s", "caller without a name");
	snprintf(a->name, sizeof(a->name), "%s", word);
	while ((word = strtok_r(NULL, " ", &save)))
		read_word(s, a, word);
}

/* ---- rows -------------------------------------------------------------- */

static const struct msp_caller *find_caller(struct sim *s, const char *name)
{
	size_t i;

	/* the last one of a name: sections may redefine */
	for (i = s->n_actors; i-- > 0;) {
		if (!strcmp(s->actor[i].name, name))
			return &s->actor[i].caller;
	}
	fail_at(s, "no caller '%s'", name);
	return NULL;
}

static void describe(char *out, size_t size, const struct msp_decision *d)
{
	const char *verdict = msp_verdict_name(d->verdict);
	const char *reason = msp_reason_name(d->reason);

	if (d->canon)
		snprintf(out, size, "%s %s %s", verdict, reason,
			 msp_canon_name(d->canon));
	else if (d->privilege)
		snprintf(out, size, "%s %s %s/%s", verdict, reason,
			 d->privilege, d->identity ? d->identity : "-");
	else
		snprintf(out, size, "%s %s", verdict, reason);
}

static void run_row(struct sim *s, char *row)
{
	struct msp_decision d = { .size = sizeof(d) };
	char *save = NULL, *method, *target, *name, *want;
	const struct msp_caller *caller;
	char got[256];

	want = strstr(row, " -> ");
	if (!want)
		fail_at(s, "not understood: %s", row);
	*want = '\0';
	want += strlen(" -> ");
	method = strtok_r(row, " ", &save);
	target = strtok_r(NULL, " ", &save);
	name = strtok_r(NULL, " ", &save);
	if (!name || strtok_r(NULL, " ", &save))
		fail_at(s, "%s", "not METHOD TARGET CALLER");
	caller = find_caller(s, name);
	ck_assert_int_eq(msp_request_set(s->request, method, strlen(method),
					 target, strlen(target)),
			 0);
	ck_assert_int_eq(msp_decision_make(&d, s->rules, s->endpoint,
					   s->request, caller),
			 0);
	describe(got, sizeof(got), &d);
	if (strcmp(got, want) != 0)
		fail_at(s, "%s %s %s -> %s, not %s", method, target, name, got,
			want);
	s->rows++;
}

static void run_line(struct sim *s, char *line, FILE *in)
{
	line[strcspn(line, "\n")] = '\0';
	if (!*line || *line == '#')
		return;
	if (!strncmp(line, "endpoint ", 9))
		read_endpoint(s, line + 9);
	else if (!strcmp(line, "profile"))
		read_profile(s, in);
	else if (!strncmp(line, "caller ", 7))
		read_caller(s, line + 7);
	else
		run_row(s, line);
}

START_TEST(decision_follows_the_table)
{
	static struct sim s;
	char line[LINE_MAX_BYTES];
	FILE *in;

	memset(&s, 0, sizeof(s));
	s.file = files.gl_pathv[_i];
	s.endpoint = MSP_ENDPOINT_IMDS;
	ck_assert_int_eq(msp_request_new(&s.request), 0);
	in = fopen(s.file, "r");
	ck_assert_ptr_nonnull(in);
	while (fgets(line, sizeof(line), in)) {
		s.line++;
		run_line(&s, line, in);
	}
	fclose(in);
	ck_assert_msg(s.rows > 0, "%s: no rows", s.file);
	msp_rules_free(s.rules);
	msp_request_free(s.request);
	ck_assert_int_eq(failalloc_live(), 0);
}
END_TEST

START_TEST(decision_tables_are_there)
{
	ck_assert_uint_ge(files.gl_pathc, 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("decision_sim");
	TCase *t = tcase_create("tables");
	SRunner *runner = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	if (glob("tests/sim/*.tests", 0, NULL, &files))
		files.gl_pathc = 0;
	tcase_add_test(t, decision_tables_are_there);
	tcase_add_loop_test(t, decision_follows_the_table, 0,
			    (int)files.gl_pathc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	globfree(&files);
	return failed;
}
