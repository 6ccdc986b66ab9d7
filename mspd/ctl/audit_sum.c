/* SPDX-License-Identifier: MIT */
/*
 * In: records. Out: how many requests had the same endpoint, verdict, reason
 * and caller. Must never take more memory because there are more of them.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/audit.h"
#include "mspd/ctl/names.h"

/* Others are counted together. */
#define GROUPS_MAX 4096

struct group {
	size_t name;
	uint64_t requests;
};

struct ctl_sum {
	struct ctl_names names; /* as they are shown, in JSON */
	struct ctl_names shown; /* for people; the same numbers */
	struct group groups[GROUPS_MAX];
	uint64_t others;
	uint64_t requests;
};

struct ctl_sum *ctl_sum_new(void)
{
	return ctl_alloc(1, sizeof(struct ctl_sum));
}

void ctl_sum_free(struct ctl_sum *sum)
{
	ctl_names_free(&sum->names);
	ctl_names_free(&sum->shown);
	free(sum);
}

static const char *or_none(const struct ctl_audit_text *text)
{
	return text->given ? text->text : NULL;
}

static void put_member(struct ctl_text *out, const char *name,
		       const struct ctl_audit_text *text)
{
	ctl_put_member(out, name);
	ctl_put_json(out, or_none(text));
}

static void put_json(struct ctl_text *out, const struct ctl_audit *a)
{
	put_member(out, "endpoint", &a->endpoint);
	put_member(out, "verdict", &a->verdict);
	put_member(out, "reason", &a->reason);
	ctl_put_member(out, "uid");
	if (a->known)
		ctl_put_number(out, a->uid);
	else
		ctl_put(out, "null");
	put_member(out, "user", &a->user);
	put_member(out, "exe", &a->exe);
}

void ctl_put_audit_caller(struct ctl_text *out, const struct ctl_audit *a)
{
	if (!a->known) {
		ctl_put(out, "nobody known");
		return;
	}
	ctl_put_shown(out, a->user.given ? a->user.text : "-");
	ctl_put(out, "(");
	ctl_put_number(out, a->uid);
	ctl_put(out, ") ");
	ctl_put_shown(out, a->exe.given ? a->exe.text : "-");
}

static void put_shown(struct ctl_text *out, const struct ctl_audit *a)
{
	ctl_put_shown(out, a->endpoint.given ? a->endpoint.text : "-");
	ctl_put(out, " ");
	ctl_put_shown(out, a->verdict.text);
	ctl_put(out, " ");
	ctl_put_shown(out, a->reason.text);
	ctl_put(out, " ");
	ctl_put_audit_caller(out, a);
}

void ctl_sum_add(struct ctl_sum *sum, const struct ctl_audit *record)
{
	struct ctl_text name = { 0 }, shown = { 0 };
	const uint64_t requests = 1 + record->merged;
	size_t i;

	sum->requests += requests;
	put_json(&name, record);
	i = ctl_names_find(&sum->names, name.at, name.len);
	if (i == CTL_NONE && sum->names.n < GROUPS_MAX) {
		i = ctl_names_add(&sum->names, name.at, name.len);
		put_shown(&shown, record);
		/* two that look the same are two all the same */
		ctl_put_bytes(&shown, "\0", 1);
		ctl_put_number(&shown, i);
		ctl_names_add(&sum->shown, shown.at, shown.len);
		sum->groups[i].name = i;
	}
	if (i == CTL_NONE)
		sum->others += requests;
	else
		sum->groups[i].requests += requests;
	ctl_text_free(&shown);
	ctl_text_free(&name);
}

static int by_requests(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->requests != y->requests)
		return x->requests < y->requests ? 1 : -1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static void put_group(struct ctl_text *out, const struct ctl_sum *sum,
		      const struct group *g)
{
	char number[32];

	snprintf(number, sizeof(number), "%10llu  ",
		 (unsigned long long)g->requests);
	ctl_put(out, number);
	ctl_put(out, sum->shown.at[g->name]);
	ctl_put(out, "\n");
}

static void put_group_json(struct ctl_text *out, const struct ctl_sum *sum,
			   const struct group *g)
{
	ctl_put(out, out->at[out->len - 1] == '[' ? "{" : ",{");
	ctl_put(out, sum->names.at[g->name]);
	ctl_put_member(out, "requests");
	ctl_put_number(out, g->requests);
	ctl_put(out, "}");
}

static void put_end(struct ctl_text *out, const struct ctl_sum *sum)
{
	if (sum->others) {
		ctl_put_number(out, sum->others);
		ctl_put(out, " requests more of others\n");
	}
	ctl_put_number(out, sum->requests);
	ctl_put(out, " requests\n");
}

static void put_end_json(struct ctl_text *out, const struct ctl_sum *sum)
{
	ctl_put(out, "]");
	ctl_put_member(out, "others");
	ctl_put_number(out, sum->others);
	ctl_put_member(out, "requests");
	ctl_put_number(out, sum->requests);
	ctl_put(out, "}\n");
}

void ctl_sum_put(struct ctl_text *out, struct ctl_sum *sum, bool json)
{
	size_t i;

	qsort(sum->groups, sum->names.n, sizeof(sum->groups[0]), by_requests);
	if (json)
		ctl_put(out, "{\"groups\":[");
	for (i = 0; i < sum->names.n; i++) {
		if (json)
			put_group_json(out, sum, &sum->groups[i]);
		else
			put_group(out, sum, &sum->groups[i]);
	}
	if (json)
		put_end_json(out, sum);
	else
		put_end(out, sum);
}
