/* SPDX-License-Identifier: MIT */
/*
 * In: a redirector. Out: whether rules grant what they should to callers as
 * this kernel shows them. Must never pass only because everybody is denied:
 * where there are no paths, whoever needs none is still let in.
 */
#include <stdio.h>
#include <string.h>

#include "tests/kernels/guest.h"

/* Paths under / by the selector that opens them. */
static const char profile_text[] =
	"{ \"id\": \"kernels\", \"mode\": \"enforce\","
	"  \"defaultAccess\": \"deny\", \"rules\": {"
	"  \"privileges\": [ { \"name\": \"path\", \"path\": \"/path\" },"
	"    { \"name\": \"name\", \"path\": \"/name\" },"
	"    { \"name\": \"any\", \"path\": \"/any\" } ],"
	"  \"roles\": [ { \"name\": \"path\", \"privileges\": [\"path\"] },"
	"    { \"name\": \"name\", \"privileges\": [\"name\"] },"
	"    { \"name\": \"any\", \"privileges\": [\"any\"] } ],"
	"  \"identities\": ["
	"    { \"name\": \"path\", \"exePath\": \"" CLIENT "\" },"
	"    { \"name\": \"name\", \"processName\": \"client\" },"
	"    { \"name\": \"any\" } ],"
	"  \"roleAssignments\": ["
	"    { \"role\": \"path\", \"identities\": [\"path\"] },"
	"    { \"role\": \"name\", \"identities\": [\"name\"] },"
	"    { \"role\": \"any\", \"identities\": [\"any\"] } ] } }";

static struct msp_rules *compile(void)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	struct msp_profile *profile = NULL;
	struct msp_rules *rules = NULL;

	if (msp_profile_parse(&profile, profile_text, strlen(profile_text),
			      &info) < 0 ||
	    msp_rules_compile(&rules, profile, 1) < 0)
		check(false, "the rules are understood: %s", info.text);
	msp_profile_free(profile);
	return rules;
}

static bool allowed(const struct msp_rules *rules, const char *target,
		    const struct msp_caller *caller)
{
	struct msp_decision decision = { .size = sizeof(decision) };
	struct msp_request *request = NULL;

	if (msp_request_new(&request) < 0 ||
	    msp_request_set(request, "GET", 3, target, strlen(target)) < 0 ||
	    msp_decision_make(&decision, rules, MSP_ENDPOINT_IMDS, request,
			      caller) < 0)
		check(false, "%s is decided", target);
	msp_request_free(request);
	return decision.verdict == MSP_ALLOW;
}

static void expect(const struct msp_rules *rules, const char *target,
		   const char *program, const struct msp_caller *caller,
		   bool right)
{
	check(allowed(rules, target, caller) == right, "%s is %s to %s", target,
	      right ? "open" : "closed", program);
}

static void ask(struct world *w, const struct msp_rules *rules,
		const char *program)
{
	struct plan plan = plan_new(0, w->endpoints[MSP_ENDPOINT_IMDS]);
	bool there = strcmp(program, CLIENT) == 0;
	struct claim claim = { 0 };
	struct child child;
	struct peer peer;
	uint32_t differ = ~0u;
	bool known;

	plan.program = program;
	plan.uid = plan.euid = 1000;
	if (launch(&plan, &child) == 0)
		let_go(&child);
	known = peer_take(w, &peer) && peer_hear(w, &peer, &claim, &differ) &&
		differ == 0;
	check(known, "%s is known (%#x)", program, differ);
	expect(rules, "/any", program, &peer.caller, true);
	expect(rules, "/path", program, &peer.caller, w->paths && there);
	expect(rules, "/name", program, &peer.caller, w->paths);
	peer_dismiss(&peer, known);
	wait_for(&child);
}

void check_selectors(struct world *w)
{
	struct msp_rules *rules = compile();

	if (!rules)
		return;
	ask(w, rules, CLIENT);
	ask(w, rules, "/tmp/client");
	msp_rules_free(rules);
}
