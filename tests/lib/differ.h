/* SPDX-License-Identifier: MIT */
/*
 * differ.h - bytes -> profile, request and caller; decides on them with
 * compiled rules and with naive.h, and aborts when the two differ.
 */
#ifndef MSP_TEST_DIFFER_H
#define MSP_TEST_DIFFER_H

#include <msp/explain.h>

#include "libmsp/canon.h"
#include "tests/lib/naive.h"

#define DIFFER_PRIVILEGES 24
#define DIFFER_ROLES	  6
#define DIFFER_IDENTITIES 12
#define DIFFER_REFS	  8
#define DIFFER_PARAMS	  3
#define DIFFER_HELD	  (1 + MSP_CALLER_GROUPS_MAX)
#define PICK(in, pool)                                                         \
	((pool)[differ_pick(in, sizeof(pool) / sizeof((pool)[0]))])

struct differ_input {
	const uint8_t *data;
	size_t len;
};

/* Everything is in here, so that nothing has to be freed. */
struct differ {
	struct msp_profile profile;
	struct msp_privilege privileges[DIFFER_PRIVILEGES];
	char names[DIFFER_PRIVILEGES][24];
	char paths[DIFFER_PRIVILEGES][64];
	struct msp_param params[DIFFER_PRIVILEGES][DIFFER_PARAMS];
	struct msp_role roles[DIFFER_ROLES];
	uint32_t held[DIFFER_ROLES][DIFFER_REFS];
	struct msp_identity identities[DIFFER_IDENTITIES];
	char who[DIFFER_IDENTITIES][24];
	struct msp_assignment assignments[DIFFER_ROLES];
	uint32_t assigned[DIFFER_ROLES][DIFFER_REFS];
	struct msp_caller caller;
	const char *groups[3];
	const char *process_groups[DIFFER_HELD];
	char target[NAIVE_TEXT];
	enum msp_endpoint endpoint;
};

/* 0 when the input is used up: small inputs make small cases */
static inline size_t differ_pick(struct differ_input *in, size_t bound)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->data++ % bound;
}

/* from most down to 0: a small case still grants something */
static inline size_t differ_many(struct differ_input *in, size_t most)
{
	return most - differ_pick(in, most + 1);
}

static inline struct msp_text differ_text(const char *text)
{
	struct msp_text out = { (char *)text, text ? strlen(text) : 0 };

	return out;
}

static inline void differ_path(struct differ_input *in, char *out, bool odd)
{
	static const char *const plain[] = { "a",    "b",   "A",     "ab",
					     "c%64", "a b", "a%20b", "b;v=1" };
	static const char *const strange[] = {
		".",	  ".;x", "a%2Fb", "%2e",    "%5c", "%2541",
		"%25",	  "a..", "..",	  "",	    "%3f", "%ff",
		"%c3%a9", "%00", "%4",	  "%2f%2F", ";a",  "x\\"
	};
	size_t n = differ_pick(in, 5);

	*out = '\0';
	for (; n > 0; n--) {
		strcat(out, "/");
		if (odd && !differ_pick(in, 6))
			strcat(out, PICK(in, strange));
		else
			strcat(out, PICK(in, plain));
	}
	if (!*out || !differ_pick(in, 8))
		strcat(out, "/");
}

static inline void differ_privilege(struct differ *d, struct differ_input *in,
				    size_t i)
{
	static const char *const name[] = { "k", "resource", "v" };
	static const char *const value[] = { "1", "2",	 "a b",
					     "",  "%41", "\xc3\xa9" };
	struct msp_privilege *p = &d->privileges[i];
	size_t k;

	snprintf(d->names[i], sizeof(d->names[i]), "p%zu", i);
	p->name = differ_text(d->names[i]);
	do {
		differ_path(in, d->paths[i], true);
	} while (msp_canon_check_path(d->paths[i], strlen(d->paths[i])));
	if (!differ_pick(in, 12))
		d->paths[i][0] = '\0';
	p->path = differ_text(d->paths[i]);
	p->params = d->params[i];
	/* in the order of names, each at most once, as a parsed profile has */
	for (k = 0; k < DIFFER_PARAMS; k++) {
		if (differ_pick(in, 3) != 1)
			continue;
		p->params[p->n_params].name = differ_text(name[k]);
		p->params[p->n_params++].value = differ_text(PICK(in, value));
	}
}

static inline void differ_identity(struct differ *d, struct differ_input *in,
				   size_t i)
{
	static const char *const user[] = { NULL,   NULL,    NULL,
					    "root", "alice", "bob" };
	static const char *const group[] = {
		NULL, NULL, NULL, "g1", "g2", "g3"
	};
	static const char *const exe[] = { NULL,
					   NULL,
					   NULL,
					   "/usr/bin/curl",
					   "/usr//bin/./curl/",
					   "usr/bin/curl",
					   "/bin/sh" };
	static const char *const process[] = { NULL, NULL,   NULL,
					       NULL, "curl", "sh" };
	struct msp_identity *w = &d->identities[i];

	snprintf(d->who[i], sizeof(d->who[i]), "i%zu", i);
	w->name = differ_text(d->who[i]);
	w->user_name = differ_text(PICK(in, user));
	w->group_name = differ_text(PICK(in, group));
	w->exe_path = differ_text(PICK(in, exe));
	w->process_name = differ_text(PICK(in, process));
}

static inline void differ_roles(struct differ *d, struct differ_input *in)
{
	struct msp_profile *p = &d->profile;
	struct msp_assignment *a;
	size_t i, k;

	for (i = 0; i < p->n_roles; i++) {
		d->roles[i].privileges = d->held[i];
		k = p->n_privileges ? differ_many(in, DIFFER_REFS) : 0;
		d->roles[i].n_privileges = k;
		while (k-- > 0)
			d->held[i][k] =
				(uint32_t)differ_pick(in, p->n_privileges);
	}
	for (i = 0; i < p->n_assignments; i++) {
		a = &d->assignments[i];
		a->role = (uint32_t)differ_pick(in, p->n_roles);
		a->identities = d->assigned[i];
		k = p->n_identities ? differ_many(in, DIFFER_REFS) : 0;
		a->n_identities = k;
		while (k-- > 0)
			d->assigned[i][k] =
				(uint32_t)differ_pick(in, p->n_identities);
	}
}

static inline void differ_profile(struct differ *d, struct differ_input *in)
{
	static const enum msp_mode mode[] = { MSP_MODE_ENFORCE,
					      MSP_MODE_ENFORCE,
					      MSP_MODE_ENFORCE, MSP_MODE_AUDIT,
					      MSP_MODE_DISABLED };
	struct msp_profile *p = &d->profile;
	size_t i;

	p->id = differ_text("id");
	p->mode = PICK(in, mode);
	p->access = differ_pick(in, 2) ? MSP_ACCESS_ALLOW : MSP_ACCESS_DENY;
	p->privileges = d->privileges;
	p->n_privileges = differ_pick(in, DIFFER_PRIVILEGES + 1);
	p->identities = d->identities;
	p->n_identities = differ_pick(in, DIFFER_IDENTITIES + 1);
	p->roles = d->roles;
	p->n_roles = differ_pick(in, DIFFER_ROLES + 1);
	p->assignments = d->assignments;
	p->n_assignments = p->n_roles ? differ_many(in, DIFFER_ROLES) : 0;
	for (i = 0; i < p->n_privileges; i++)
		differ_privilege(d, in, i);
	for (i = 0; i < p->n_identities; i++)
		differ_identity(d, in, i);
	differ_roles(d, in);
}

static inline void differ_caller(struct differ *d, struct differ_input *in)
{
	static const char *const user[] = { "alice", "bob", "root", "eve",
					    NULL };
	static const char *const group[] = { "g1", "g2", "g3", "g4" };
	static const char *const exe[] = { "/usr/bin/curl", "/bin/sh", "/",
					   "" };
	struct msp_caller *c = &d->caller;

	c->size = sizeof(*c);
	c->flags = differ_pick(in, 40) ? MSP_CALLER_KNOWN : 0U;
	c->flags |= differ_pick(in, 40) == 1 ? MSP_CALLER_KERNEL : 0U;
	c->flags |= differ_pick(in, 40) == 1 ? MSP_CALLER_DIRECT : 0U;
	c->flags |= differ_pick(in, 8) ? MSP_CALLER_NAMES : 0U;
	c->flags |= differ_pick(in, 4) ? MSP_CALLER_EXE_VERIFIED : 0U;
	c->uid = differ_pick(in, 2) ? 0 : 1000;
	c->euid = differ_pick(in, 4) ? c->uid : 1001;
	c->user_name = PICK(in, user);
	c->groups = d->groups;
	c->n_groups = differ_pick(in, 4);
	d->groups[0] = PICK(in, group);
	d->groups[1] = PICK(in, group);
	d->groups[2] = PICK(in, group);
	strcpy(c->exe_path, PICK(in, exe));
}

/* Groups the process held: as many as there can be, one of them of use, or
 * few; in any order with those of the user database, or the very same. */
static inline void differ_held(struct differ *d, struct differ_input *in)
{
	static const char *const group[] = { NULL, "g1", "g2", "g3", "g5" };
	struct msp_caller *c = &d->caller;
	size_t i;

	for (i = 0; i < DIFFER_HELD; i++)
		d->process_groups[i] = "g6";
	c->process_groups = d->process_groups;
	c->n_process_groups = differ_pick(in, 5);
	if (c->n_process_groups == 4)
		c->n_process_groups = DIFFER_HELD;
	/* the last ones are what could be left out */
	for (i = 0; i < 2 && i < c->n_process_groups; i++)
		d->process_groups[c->n_process_groups - 1 - i] =
			PICK(in, group);
	if (differ_pick(in, 6) == 1)
		c->flags |= MSP_CALLER_GROUPS_CUT;
}

static inline void differ_target(struct differ *d, struct differ_input *in)
{
	static const char *const name[] = {
		"k",
		"K",
		"resource",
		"Resource",
		"%72esource",
		"v",
		"w",
		"",
		"k",
		"resource",
		"v",
		"%6B",
		"resourc%2565",
		"k\\",
		"%ff",
		"k+",
	};
	static const char *const value[] = {
		"=1", "=1",   "=2",	"=%31",	   "=a+b",   "=a%20b",
		"=",  "",     "=%2541", "=%41",	   "=A",     "=%5c",
		"=%", "=%0a", "=1=1",	"=%C3%A9", "=%2531",
	};
	char *blank;
	size_t n;

	differ_path(in, d->target, true);
	/* a raw blank is fine in a privilege, but in no target */
	while ((blank = strchr(d->target, ' ')))
		*blank = '+';
	n = differ_pick(in, 2) ? differ_pick(in, 5) : 0;
	if (n)
		strcat(d->target, "?");
	for (; n > 0; n--) {
		strcat(d->target, PICK(in, name));
		strcat(d->target, PICK(in, value));
		strcat(d->target, differ_pick(in, 6) ? "&" : "&&");
	}
}

static inline bool differ_same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static inline const char *differ_show(const char *text)
{
	return text ? text : "-";
}

static inline void differ_compare(const struct differ *d,
				  const struct msp_decision *got,
				  const struct msp_decision *want)
{
	if (got->verdict == want->verdict && got->reason == want->reason &&
	    got->canon == want->canon &&
	    differ_same(got->privilege, want->privilege) &&
	    differ_same(got->identity, want->identity))
		return;
	fprintf(stderr, "GET %s: got %s %s %s %s %s, want %s %s %s %s %s\n",
		d->target, msp_verdict_name(got->verdict),
		msp_reason_name(got->reason), msp_canon_name(got->canon),
		differ_show(got->privilege), differ_show(got->identity),
		msp_verdict_name(want->verdict), msp_reason_name(want->reason),
		msp_canon_name(want->canon), differ_show(want->privilege),
		differ_show(want->identity));
	abort();
}

static inline void differ_need(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "explanation: %s\n", what);
	abort();
}

static inline void differ_shown(char *text, size_t len, const char *lines)
{
	size_t i;

	differ_need(strlen(text) == len, "length");
	for (i = 0; i < len; i++)
		differ_need((text[i] >= ' ' && text[i] < 0x7f) ||
				    strchr(lines, text[i]),
			    "printable");
	msp_text_free(text);
}

/* It names a privilege and an identity that it says have matched. */
static inline void differ_reasons(const struct msp_explanation *e,
				  const struct msp_decision *d)
{
	const struct msp_tried_privilege *p = NULL;
	const struct msp_tried_identity *t = NULL;
	size_t i;

	for (i = 0; i < msp_explanation_privileges(e) && !p; i++) {
		p = msp_explanation_privilege(e, i);
		if (!d->privilege || p->result != MSP_TRY_MATCHED ||
		    strcmp(p->name, d->privilege) != 0)
			p = NULL;
	}
	differ_need(!p == !d->privilege, "privilege");
	for (i = 0; i < msp_explanation_identities(e) && !t; i++) {
		t = msp_explanation_identity(e, i);
		if (t->result != MSP_TRY_MATCHED)
			t = NULL;
	}
	differ_need(!t == !d->identity, "identity");
}

/* The reasoning is a third opinion, and can be shown. */
static inline void differ_explain(const struct differ *d,
				  const struct msp_rules *rules,
				  const struct msp_request *request,
				  const struct msp_decision *got)
{
	struct msp_explanation *e;
	char *text;
	size_t len;
	int rc;

	rc = msp_decision_explain(&e, rules, d->endpoint, request, &d->caller);
	if (rc < 0)
		fprintf(stderr, "GET %s: %s %s %s\n", d->target,
			msp_verdict_name(got->verdict),
			msp_reason_name(got->reason),
			msp_canon_name(got->canon));
	differ_need(rc == 0, msp_error_text(rc));
	differ_compare(d, msp_explanation_decision(e), got);
	differ_reasons(e, got);
	differ_need(msp_explanation_text(e, &text, &len) == 0, "text");
	differ_shown(text, len, "\n");
	differ_need(msp_explanation_json(e, &text, &len) == 0, "JSON");
	differ_shown(text, len, "");
	msp_explanation_free(e);
}

/* One profile, several callers and requests; returns how many granted. */
static inline int differ_run(const uint8_t *data, size_t len)
{
	static const enum msp_endpoint endpoint[] = {
		MSP_ENDPOINT_IMDS,  MSP_ENDPOINT_IMDS, MSP_ENDPOINT_IMDS,
		MSP_ENDPOINT_IMDS,  MSP_ENDPOINT_IMDS, MSP_ENDPOINT_WIRESERVER,
		MSP_ENDPOINT_HOSTGA
	};
	struct differ_input in = { data, len };
	struct msp_decision got = { .size = sizeof(got) }, want;
	struct msp_request *request = NULL;
	struct msp_rules *rules = NULL;
	static struct differ d;
	int i, granted = 0;

	memset(&d, 0, sizeof(d));
	differ_profile(&d, &in);
	if (msp_rules_compile(&rules, &d.profile, 1) ||
	    msp_request_new(&request))
		abort();
	for (i = 0; i < 8 && (!i || in.len); i++) {
		differ_caller(&d, &in);
		differ_target(&d, &in);
		d.endpoint = PICK(&in, endpoint);
		differ_held(&d, &in);
		naive_decide(&want, &d.profile, d.endpoint, d.target,
			     &d.caller);
		if (msp_request_set(request, "GET", 3, d.target,
				    strlen(d.target)) ||
		    msp_decision_make(&got, rules, d.endpoint, request,
				      &d.caller))
			abort();
		differ_compare(&d, &got, &want);
		/* slow, and as good for some */
		if (i % 4 == 0)
			differ_explain(&d, rules, request, &got);
		granted += got.reason == MSP_REASON_GRANTED;
	}
	msp_request_free(request);
	msp_rules_free(rules);
	return granted;
}

#endif
