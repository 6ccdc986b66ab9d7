/* SPDX-License-Identifier: MIT */
/*
 * In: nothing; rules of several sizes are made here. Out: what a decision, a
 * compilation and a canonical form cost, each decision beside a linear scan of
 * the same privileges. Must never report a figure for answers that differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <msp/msp.h>

#include "libmsp/profile_priv.h"
#include "tests/bench/allocs.h"
#include "tests/bench/measure.h"

#define ROUNDS	 31
#define REQUESTS 256
#define SHARE	 10 /* privileges of a role, and of an identity */
#define PARAMS	 2
#define TEXT	 96

/* One privilege as the scan has it: texts side by side, nothing to decode. */
struct entry {
	char name[16];
	char path[TEXT];
	char resource[TEXT]; /* "" asks for no parameter */
	struct msp_param params[PARAMS];
	char user[16];
};

struct bench {
	size_t n;
	struct entry *entries;
	struct msp_profile profile;
	struct msp_rules *rules;
	struct msp_request *requests[REQUESTS];
	char path[REQUESTS][TEXT];
	char resource[REQUESTS][TEXT];
	struct msp_caller caller;
};

static const char version[] = "2018-02-01";
static const char token[] = "/metadata/identity/oauth2/token";

/* Into this goes what is measured, so that no compiler leaves it out. */
static volatile unsigned int sink;

static void *need(void *memory)
{
	if (!memory)
		measure_die("out of memory");
	return memory;
}

static void need_ok(int rc, const char *what)
{
	if (rc < 0)
		measure_die("%s: %s", what, msp_error_text(rc));
}

/* Of this thread alone: it computes, and waits for nothing. */
static uint64_t cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- rules of a size --------------------------------------------------- */

static struct msp_text text(const char *of)
{
	struct msp_text out = { (char *)(uintptr_t)of, strlen(of) };

	return out;
}

/* One in four is a token for a resource, all of the same path; the others are
 * spread over a tree. */
static void make_entry(struct entry *e, size_t i)
{
	snprintf(e->name, sizeof(e->name), "p%zu", i);
	snprintf(e->user, sizeof(e->user), "user%zu", i / SHARE);
	if (i % 4 == 3) {
		strcpy(e->path, token);
		snprintf(e->resource, TEXT, "https://vault%zu.azure.net", i);
		e->params[0].name = text("api-version");
		e->params[0].value = text(version);
		e->params[1].name = text("resource");
		e->params[1].value = text(e->resource);
		return;
	}
	snprintf(e->path, TEXT, "/metadata/instance/group%zu/item%zu",
		 i / 4 % 97, i);
}

static void make_members(struct msp_profile *p, size_t i, uint32_t *members)
{
	size_t k;

	for (k = 0; k < SHARE && i * SHARE + k < p->n_privileges; k++)
		members[k] = (uint32_t)(i * SHARE + k);
	p->roles[i].name = text("role");
	p->roles[i].privileges = members;
	p->roles[i].n_privileges = k;
	p->assignments[i].role = (uint32_t)i;
	p->assignments[i].identities = &members[SHARE];
	p->assignments[i].n_identities = 1;
	members[SHARE] = (uint32_t)i;
}

/* As if it had been parsed: a document of the largest size is larger than any
 * that is accepted. */
static void make_profile(struct bench *b, size_t n)
{
	struct msp_profile *p = &b->profile;
	size_t i, n_roles = (n + SHARE - 1) / SHARE;
	uint32_t *members;

	b->n = n;
	b->entries = need(calloc(n, sizeof(*b->entries)));
	p->privileges = need(calloc(n, sizeof(*p->privileges)));
	p->roles = need(calloc(n_roles, sizeof(*p->roles)));
	p->identities = need(calloc(n_roles, sizeof(*p->identities)));
	p->assignments = need(calloc(n_roles, sizeof(*p->assignments)));
	members = need(calloc(n_roles * (SHARE + 1), sizeof(*members)));
	p->id = text("bench");
	p->n_privileges = n;
	p->n_roles = p->n_identities = p->n_assignments = n_roles;
	for (i = 0; i < n; i++) {
		make_entry(&b->entries[i], i);
		p->privileges[i].name = text(b->entries[i].name);
		p->privileges[i].path = text(b->entries[i].path);
		p->privileges[i].params = b->entries[i].params;
		if (b->entries[i].resource[0])
			p->privileges[i].n_params = PARAMS;
	}
	for (i = 0; i < n_roles; i++) {
		p->identities[i].name = text(b->entries[i * SHARE].user);
		p->identities[i].user_name = text(b->entries[i * SHARE].user);
		make_members(p, i, members + i * (SHARE + 1));
	}
	need_ok(msp_rules_compile(&b->rules, p, 1), "compile");
}

static void free_profile(struct bench *b)
{
	struct msp_profile *p = &b->profile;

	msp_rules_free(b->rules);
	free(p->roles[0].privileges);
	free(p->assignments);
	free(p->identities);
	free(p->roles);
	free(p->privileges);
	free(b->entries);
}

/* ---- requests and caller ----------------------------------------------- */

/* A quarter about nothing, a quarter about what the caller has, the others
 * about privileges all over the rules. */
static void make_request(struct bench *b, size_t i)
{
	const size_t which = i % 4 == 1 ? i % SHARE : i * 2654435761u % b->n;
	const struct entry *e = &b->entries[which];
	char target[3 * TEXT];

	b->resource[i][0] = '\0';
	if (i % 4 == 0) {
		snprintf(b->path[i], TEXT, "/metadata/scheduled/event%zu", i);
	} else {
		strcpy(b->path[i], e->path);
		strcpy(b->resource[i], e->resource);
	}
	if (b->resource[i][0])
		snprintf(target, sizeof(target),
			 "%s?api-version=%s&resource=%s", b->path[i], version,
			 b->resource[i]);
	else
		snprintf(target, sizeof(target), "%s?api-version=%s",
			 b->path[i], version);
	need_ok(msp_request_new(&b->requests[i]), "request");
	need_ok(msp_request_set(b->requests[i], "GET", 3, target,
				strlen(target)),
		"request");
}

/* The first user: most privileges are not its own. */
static void make_requests(struct bench *b)
{
	static const char *const groups[] = { "users", "adm", "audio" };
	size_t i;

	b->caller.size = sizeof(b->caller);
	b->caller.flags =
		MSP_CALLER_KNOWN | MSP_CALLER_NAMES | MSP_CALLER_EXE_VERIFIED;
	b->caller.uid = b->caller.euid = 1000;
	b->caller.user_name = "user0";
	b->caller.groups = groups;
	b->caller.n_groups = 3;
	strcpy(b->caller.exe_path, "/usr/bin/curl");
	for (i = 0; i < REQUESTS; i++)
		make_request(b, i);
}

static void free_requests(struct bench *b)
{
	size_t i;

	for (i = 0; i < REQUESTS; i++)
		msp_request_free(b->requests[i]);
}

/* ---- a decision, two ways ---------------------------------------------- */

static enum msp_reason decide(struct bench *b, size_t i)
{
	struct msp_decision d = { .size = sizeof(d) };

	need_ok(msp_decision_make(&d, b->rules, MSP_ENDPOINT_IMDS,
				  b->requests[i], &b->caller),
		"decision");
	return d.reason;
}

static bool applies(const struct entry *e, const char *path,
		    const char *resource)
{
	size_t n = strlen(e->path);

	return !strncmp(e->path, path, n) && (!path[n] || path[n] == '/') &&
	       (!e->resource[0] || !strcmp(e->resource, resource));
}

static enum msp_reason scan(struct bench *b, size_t i)
{
	enum msp_reason reason = MSP_REASON_DEFAULT_DENY;
	size_t k;

	for (k = 0; k < b->n; k++) {
		if (!applies(&b->entries[k], b->path[i], b->resource[i]))
			continue;
		if (!strcmp(b->entries[k].user, b->caller.user_name))
			return MSP_REASON_GRANTED;
		reason = MSP_REASON_NO_IDENTITY;
	}
	return reason;
}

/* ns for one, the median of some rounds; passes: over all requests, a round */
static double time_of(struct bench *b,
		      enum msp_reason (*make)(struct bench *, size_t),
		      unsigned int rounds, unsigned int passes)
{
	double took[ROUNDS];
	unsigned int r, p;
	uint64_t begin;
	size_t i;

	for (r = 0; r < rounds; r++) {
		begin = cpu_now();
		for (p = 0; p < passes; p++)
			for (i = 0; i < REQUESTS; i++)
				sink += make(b, i);
		took[r] = (double)(cpu_now() - begin) /
			  (REQUESTS * (double)passes);
	}
	return measure_median(took, rounds);
}

/* For one decision, of a request that is put in place of another. */
static double allocations(struct bench *b)
{
	static const char target[] =
		"/metadata/instance?api-version=2018-02-01";
	uint64_t start = allocs_count();
	size_t i;

	for (i = 0; i < REQUESTS; i++) {
		need_ok(msp_request_set(b->requests[i], "GET", 3, target,
					strlen(target)),
			"request");
		decide(b, i);
	}
	return (double)(allocs_count() - start) / REQUESTS;
}

static void report_decision(size_t n, double goal)
{
	unsigned int reasons[16] = { 0 }, rounds = measure_count(ROUNDS, 3);
	struct bench b = { 0 };
	char name[64];
	double engine, linear;
	size_t i;

	make_profile(&b, n);
	make_requests(&b);
	for (i = 0; i < REQUESTS; i++) {
		if (decide(&b, i) != scan(&b, i))
			measure_die("engine and scan differ on %s", b.path[i]);
		reasons[scan(&b, i) % 16]++;
	}
	engine = time_of(&b, decide, rounds, measure_count(40, 4));
	/* the scan takes its time: once over is enough */
	linear = time_of(&b, scan, n > 10000 ? 3 : rounds > 7 ? 7 : rounds, 1);
	snprintf(name, sizeof(name), "decision, %zu privileges", n);
	measure_result(name, engine, "ns", goal,
		       "of %d requests %u granted, %u denied, %u default",
		       REQUESTS, reasons[MSP_REASON_GRANTED],
		       reasons[MSP_REASON_NO_IDENTITY],
		       reasons[MSP_REASON_DEFAULT_DENY]);
	measure_result("- allocations", allocations(&b), "1/call", 0, "%s", "");
	snprintf(name, sizeof(name), "linear scan, %zu privileges", n);
	measure_result(name, linear, "ns", NO_GOAL, "%.1f times as much",
		       linear / engine);
	snprintf(name, sizeof(name), "memory, %zu privileges", n);
	measure_result(name, (double)msp_rules_memory(b.rules) / (double)n,
		       "bytes", NO_GOAL, "for each; %zu KiB together",
		       msp_rules_memory(b.rules) / 1024);
	free_requests(&b);
	free_profile(&b);
}

/* ---- compile, canonicalize --------------------------------------------- */

static void report_compile(size_t n, double goal)
{
	unsigned int rounds = measure_count(ROUNDS, 3), r;
	struct msp_rules *rules;
	struct bench b = { 0 };
	double took[ROUNDS];
	uint64_t begin;
	char name[64];

	make_profile(&b, n);
	for (r = 0; r < rounds; r++) {
		begin = cpu_now();
		need_ok(msp_rules_compile(&rules, &b.profile, 1), "compile");
		took[r] = (double)(cpu_now() - begin) / 1000;
		msp_rules_free(rules);
	}
	free_profile(&b);
	snprintf(name, sizeof(name), "compile, %zu privileges", n);
	measure_result(name, measure_median(took, rounds), "us", goal, "%s",
		       "");
}

static void report_canon(const char *name, const char *target, double goal)
{
	unsigned int rounds = measure_count(ROUNDS, 3), r, i;
	unsigned int passes = measure_count(4000, 100);
	struct msp_request *request;
	size_t len = strlen(target);
	double took[ROUNDS];
	uint64_t begin, allocated;

	need_ok(msp_request_new(&request), "request");
	for (r = 0; r < rounds; r++) {
		begin = cpu_now();
		for (i = 0; i < passes; i++) {
			need_ok(msp_request_set(request, "GET", 3, target, len),
				"request");
			sink += msp_request_canon(request);
		}
		took[r] = (double)(cpu_now() - begin) / passes;
	}
	allocated = allocs_count();
	need_ok(msp_request_set(request, "GET", 3, target, len), "request");
	sink += msp_request_canon(request);
	allocated = allocs_count() - allocated;
	if (msp_request_canon(request))
		measure_die("%s: %s", name,
			    msp_canon_name(msp_request_canon(request)));
	msp_request_free(request);
	measure_result(name, measure_median(took, rounds), "ns", goal,
		       "%zu bytes", len);
	measure_result("- allocations", (double)allocated, "1/call", 0, "%s",
		       "");
}

/* A target of 2,000 bytes: a path of some depth, and a query of parameters
 * of some length each, in no order, with escapes. */
static void report_long(const char *name, size_t value, double goal)
{
	char target[2001] = "/metadata/instance/compute";
	size_t n = strlen(target), i, k;

	for (i = 0; n < 500; i++)
		n += (size_t)snprintf(target + n, sizeof(target) - n,
				      "/Segment%zu", i);
	for (i = 0; n + value + 40 < 2000; i++) {
		n += (size_t)snprintf(target + n, sizeof(target) - n,
				      "%cparam%zu=https%%3A%%2F%%2Fv%zu",
				      i ? '&' : '?', i * 7 % 100, i);
		for (k = 0; k < value; k++)
			target[n++] = "Abcdefghij"[k % 10];
	}
	while (n < 2000)
		target[n++] = 'x';
	target[2000] = '\0';
	report_canon(name, target, goal);
}

int main(void)
{
	report_canon(
		"canonical form of 60 bytes",
		"/metadata/instance/compute/name?api-version=2021-02-01&ab=cd",
		150);
	report_long("canonical form of 2,000 bytes", 120, 3000);
	report_long("the same, many parameters", 4, NO_GOAL);
	report_canon(
		"canonical form the long way",
		"/metadata/instance/./compute/name?api-version=2021-02-01&a",
		NO_GOAL);
	report_compile(1000, 2000);
	report_decision(20, 300);
	report_decision(1000, 300);
	report_decision(10000, 600);
	report_decision(100000, NO_GOAL);
	return 0;
}
