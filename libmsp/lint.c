/* SPDX-License-Identifier: MIT */
/*
 * In: a valid profile, and what is known of the machine it is for. Out: what
 * its owner may not have meant. Must never let many remarks of one kind push
 * out those of another, nor look at the machine itself.
 */
#include <msp/lint.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/finding_priv.h"
#include "libmsp/info.h"
#include "libmsp/lint_priv.h"
#include "libmsp/opts.h"

/* longer than what is kept, which is cut between two characters */
#define POINTER_RAW 512
#define POINTER_MAX 256
#define TEXT_MAX    1024

#define ALL_ENDPOINTS ((1U << MSP_ENDPOINTS) - 1)

/* ---- saying ------------------------------------------------------------ */

void msp_lint_no_memory(struct msp_lint *l)
{
	l->rc = MSP_ERR_NOMEM;
}

static struct msp_findings *list_of(const struct msp_lint *l,
				    enum msp_finding_code code)
{
	if (code < MSP_FINDING_SHADOWED || code > MSP_FINDING_PROCESS_ONLY)
		return l->said[MSP_LINT_CODES];
	return l->said[code - MSP_FINDING_SHADOWED];
}

static void pointer_of(const struct msp_lint *l, char *out, size_t size,
		       const struct msp_lint_about *about)
{
	char raw[POINTER_RAW] = "";

	if (about->place)
		msp_profile_pointer(l->profile, raw, sizeof(raw), about->array,
				    about->place, about->field);
	msp_info_copy(out, size, raw, strlen(raw));
}

void msp_lint_say(struct msp_lint *l, enum msp_severity severity,
		  enum msp_finding_code code,
		  const struct msp_lint_about *about, const char *format, ...)
{
	char pointer[POINTER_MAX] = "", text[TEXT_MAX] = "";
	struct msp_finding finding = { .severity = severity,
				       .pointer = pointer,
				       .text = text,
				       .code = code };
	struct msp_findings *list = list_of(l, code);
	va_list args;

	if (!msp_findings_full(list, severity)) {
		va_start(args, format);
		vsnprintf(text, sizeof(text), format, args);
		va_end(args);
		pointer_of(l, pointer, sizeof(pointer), about);
	}
	if (about->place) {
		finding.line = about->place->line;
		finding.column = about->place->column;
	}
	if (msp_findings_add(list, &finding) < 0)
		msp_lint_no_memory(l);
}

/* ---- one list of all --------------------------------------------------- */

static int copy(struct msp_findings *out, const struct msp_findings *list,
		size_t from, size_t to)
{
	size_t i;
	int rc;

	for (i = from; i < to && i < msp_findings_count(list); i++) {
		rc = msp_findings_add(out, msp_findings_get(list, i));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The most that each list may have so that all fit. */
static size_t fair_share(const struct msp_findings *const *lists, size_t n)
{
	size_t share = MSP_FINDINGS_MAX, sum, i, count;

	for (;; share--) {
		for (sum = 0, i = 0; i < n; i++) {
			count = msp_findings_count(lists[i]);
			sum += count < share ? count : share;
		}
		if (sum <= MSP_FINDINGS_MAX)
			return share;
	}
}

/* First the share of each, then of what is left as much as fits. A list that
 * was cut was full, so out is full too by then, and one more says so. */
static int merge(struct msp_findings *out,
		 const struct msp_findings *const *lists, size_t n)
{
	static const struct msp_finding more = { .severity =
							 MSP_SEVERITY_NOTE };
	size_t share = fair_share(lists, n), i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		rc = copy(out, lists[i], 0, share);
	for (i = 0; i < n && rc == 0; i++)
		rc = copy(out, lists[i], share, MSP_FINDINGS_MAX);
	for (i = 0; i < n && rc == 0; i++)
		if (msp_findings_cut(lists[i]))
			rc = msp_findings_add(out, &more);
	msp_findings_sort(out);
	return rc;
}

static int hand_out(struct msp_findings **out, const struct msp_lint *l)
{
	const struct msp_findings *lists[1 + MSP_LINT_LISTS];
	struct msp_findings *all = msp_findings_new();
	size_t i;
	int rc;

	if (!all)
		return MSP_ERR_NOMEM;
	lists[0] = l->profile->findings;
	for (i = 0; i < MSP_LINT_LISTS; i++)
		lists[1 + i] = l->said[i];
	rc = merge(all, lists, 1 + MSP_LINT_LISTS);
	if (rc == 0)
		*out = all;
	else
		msp_findings_free(all);
	return rc;
}

/* ---- the whole --------------------------------------------------------- */

/* HostGAPlugin goes by the rules of WireServer (design D6). */
static unsigned int governed(enum msp_endpoint endpoint)
{
	unsigned int hostga = 1U << MSP_ENDPOINT_HOSTGA;

	return 1U << endpoint |
	       (endpoint == MSP_ENDPOINT_WIRESERVER ? hostga : 0);
}

static unsigned int endpoints_of(const struct msp_lint *l)
{
	enum msp_endpoint endpoint;
	unsigned int guess;

	if (l->opts->flags & MSP_LINT_ENDPOINT)
		return governed(l->opts->endpoint);
	if (msp_profile_endpoint(l->profile, &endpoint))
		return governed(endpoint);
	guess = msp_lint_guess(l->rules);
	return guess ? guess : ALL_ENDPOINTS;
}

static bool opts_ok(const struct msp_lint_opts *opts)
{
	return msp_opts_ok(opts, opts->size, sizeof(*opts)) &&
	       !(opts->flags & ~MSP_LINT_ENDPOINT) &&
	       (unsigned int)opts->endpoint < MSP_ENDPOINTS;
}

static int open_lists(struct msp_lint *l)
{
	size_t i;

	for (i = 0; i < MSP_LINT_LISTS; i++) {
		l->said[i] = msp_findings_new();
		if (!l->said[i])
			return MSP_ERR_NOMEM;
	}
	return 0;
}

static int look(struct msp_findings **out, struct msp_lint *l)
{
	static void (*const parts[])(struct msp_lint *) = {
		msp_lint_secrets,    msp_lint_paths,   msp_lint_names,
		msp_lint_identities, msp_lint_shadows,
	};
	size_t i;

	l->endpoints = endpoints_of(l);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && l->rc == 0; i++)
		parts[i](l);
	return l->rc ? l->rc : hand_out(out, l);
}

int msp_profile_lint(struct msp_findings **out,
		     const struct msp_profile *profile,
		     const struct msp_lint_opts *opts)
{
	static const struct msp_lint_opts none = MSP_LINT_OPTS_INIT;
	struct msp_rules *rules = NULL;
	struct msp_lint l = { .profile = profile };
	size_t i;
	int rc;

	if (!out)
		return MSP_ERR_INVAL;
	*out = NULL;
	l.opts = opts ? opts : &none;
	if (!profile || !opts_ok(l.opts))
		return MSP_ERR_INVAL;
	rc = open_lists(&l);
	if (rc == 0)
		rc = msp_rules_compile(&rules, profile, 0);
	l.rules = rules;
	if (rc == 0)
		rc = look(out, &l);
	for (i = 0; i < MSP_LINT_LISTS; i++)
		msp_findings_free(l.said[i]);
	msp_rules_free(rules);
	return rc;
}
