/* SPDX-License-Identifier: MIT */
/*
 * naive.h - the other half of the differential test: random profiles,
 * requests and callers, and a decision on them by walking over the profile
 * as the specification words it. Shares no code with the library beyond the
 * structs, is slow, and takes origin-form targets only. All static: the fuzzer
 * and the unit test include it.
 */
#ifndef MSP_TEST_NAIVE_H
#define MSP_TEST_NAIVE_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <msp/decision.h>

#include "libmsp/profile_priv.h"

#define NAIVE_PARTS 64
#define NAIVE_TEXT  512

/* ---- canonical form ---------------------------------------------------- */

struct naive_path {
	char part[NAIVE_PARTS][NAIVE_TEXT];
	size_t n;
};

struct naive_pair {
	char name[NAIVE_TEXT];
	char value[NAIVE_TEXT];
};

struct naive_request {
	enum msp_canon canon;
	struct naive_path path;
	struct naive_pair pair[NAIVE_PARTS];
	size_t n_pairs;
};

static inline bool naive_escape(const char *p)
{
	return p[0] == '%' && isxdigit((unsigned char)p[1]) &&
	       isxdigit((unsigned char)p[2]);
}

/* false if there is a NUL or a malformed escape in it */
static inline bool naive_decode(char *out, const char *in, bool plus)
{
	bool good = true;
	unsigned int c;

	while (*in) {
		c = (unsigned char)*in;
		if (naive_escape(in)) {
			sscanf(in + 1, "%2x", &c);
			in += 2;
		} else if (c == '%') {
			good = false;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		/* NUL is a control byte like any other */
		*out++ = c ? (char)c : '\1';
		in++;
	}
	*out = '\0';
	return good;
}

/* Code point by code point; encodes it again and compares. */
static inline bool naive_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned long cp;
	int more, i;

	while (*p) {
		more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
		if (*p >= 0xf8 || (*p >= 0x80 && *p < 0xc0))
			return false;
		cp = more == 0 ? *p : *p & (0x3fU >> more);
		for (i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			cp = cp << 6 | (p[i] & 0x3f);
		}
		if ((more == 1 && cp < 0x80) || (more == 2 && cp < 0x800) ||
		    (more == 3 && cp < 0x10000) || cp > 0x10ffff ||
		    (cp >= 0xd800 && cp <= 0xdfff))
			return false;
		p += more + 1;
	}
	return true;
}

static inline bool naive_any(const char *text, int (*test)(int))
{
	for (; *text; text++) {
		if (test((unsigned char)*text))
			return true;
	}
	return false;
}

static inline int naive_control(int c)
{
	return c < 0x20 || c == 0x7f;
}

static inline int naive_high(int c)
{
	return c >= 0x80;
}

static inline bool naive_ambiguous(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || naive_escape(text))
			return true;
	}
	return false;
}

static inline void naive_lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text += 'a' - 'A';
	}
}

static inline enum msp_canon naive_split(struct naive_path *out, char *text)
{
	char *next, *cut;

	out->n = 0;
	for (; text; text = next) {
		next = strchr(text, '/');
		if (next)
			*next++ = '\0';
		cut = strchr(text, ';');
		if (cut)
			*cut = '\0';
		if (!strcmp(text, "..")) {
			if (!out->n)
				return MSP_CANON_UNDERFLOW;
			out->n--;
		} else if (*text && strcmp(text, ".") != 0) {
			strcpy(out->part[out->n++], text);
		}
	}
	return MSP_CANON_OK;
}

static inline enum msp_canon naive_path(struct naive_path *out, const char *raw)
{
	char text[NAIVE_TEXT];

	if (!naive_decode(text, raw, false))
		return MSP_CANON_PCT;
	if (!naive_utf8(text))
		return MSP_CANON_UTF8;
	if (naive_any(text, naive_control))
		return MSP_CANON_CTRL;
	if (naive_any(text, naive_high))
		return MSP_CANON_NON_ASCII;
	if (strchr(text, '?'))
		return MSP_CANON_EMBQ;
	if (naive_ambiguous(text))
		return MSP_CANON_AMBIGUOUS;
	naive_lower(text);
	return naive_split(out, text);
}

static inline enum msp_canon naive_part(char *out, const char *raw)
{
	if (!naive_decode(out, raw, true))
		return MSP_CANON_PCT;
	if (!naive_utf8(out))
		return MSP_CANON_UTF8;
	if (naive_any(out, naive_control))
		return MSP_CANON_CTRL;
	naive_lower(out);
	return MSP_CANON_OK;
}

static inline enum msp_canon naive_query(struct naive_request *r, char *query)
{
	enum msp_canon code;
	char *next, *value;

	for (; query; query = next) {
		next = strchr(query, '&');
		if (next)
			*next++ = '\0';
		if (!*query)
			continue;
		value = strchr(query, '=');
		if (value)
			*value++ = '\0';
		code = naive_part(r->pair[r->n_pairs].name, query);
		if (code)
			return code;
		code = naive_part(r->pair[r->n_pairs].value,
				  value ? value : "");
		if (code)
			return code;
		if (r->pair[r->n_pairs].name[0])
			r->n_pairs++;
	}
	return MSP_CANON_OK;
}

/* GET and an origin form without raw bytes that no target may hold */
static inline void naive_request(struct naive_request *r, const char *target)
{
	char path[NAIVE_TEXT], decoded[NAIVE_TEXT], *query;

	memset(r, 0, sizeof(*r));
	strcpy(path, target);
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	naive_decode(decoded, path, false);
	if (strstr(path, "//"))
		r->canon = MSP_CANON_SLASHES;
	else if (strstr(decoded, ".."))
		r->canon = MSP_CANON_TRAVERSAL;
	else
		r->canon = naive_path(&r->path, path);
	if (!r->canon)
		r->canon = naive_query(r, query);
}

/* ---- decision ---------------------------------------------------------- */

static inline bool naive_covers(const struct msp_privilege *p,
				const struct naive_request *r)
{
	static struct naive_path rule;
	size_t i;

	if (naive_path(&rule, p->path.text) || rule.n > r->path.n)
		return false;
	for (i = 0; i < rule.n; i++) {
		if (strcmp(rule.part[i], r->path.part[i]) != 0)
			return false;
	}
	return true;
}

/* How many of the pairs have the parameter's name; *pair is the last. */
static inline size_t naive_named(const struct naive_request *r,
				 const struct msp_param *param,
				 const struct naive_pair **pair)
{
	size_t i, n = 0;

	for (i = 0; i < r->n_pairs; i++) {
		if (strcasecmp(r->pair[i].name, param->name.text) != 0)
			continue;
		*pair = &r->pair[i];
		n++;
	}
	return n;
}

static inline bool naive_duplicate(const struct msp_privilege *p,
				   const struct naive_request *r)
{
	const struct naive_pair *pair;
	size_t i;

	for (i = 0; i < p->n_params; i++) {
		if (naive_named(r, &p->params[i], &pair) > 1)
			return true;
	}
	return false;
}

static inline bool naive_fits(const struct msp_privilege *p,
			      const struct naive_request *r)
{
	const struct naive_pair *pair = NULL;
	size_t i;

	for (i = 0; i < p->n_params; i++) {
		if (!naive_named(r, &p->params[i], &pair) ||
		    strcasecmp(pair->value, p->params[i].value.text) != 0)
			return false;
	}
	return true;
}

static inline bool naive_odd_value(const struct msp_privilege *p,
				   const struct naive_request *r)
{
	const struct naive_pair *pair;
	size_t i;

	for (i = 0; i < p->n_params; i++) {
		if (naive_named(r, &p->params[i], &pair) &&
		    naive_ambiguous(pair->value))
			return true;
	}
	return false;
}

static inline bool naive_odd_name(const struct naive_request *r)
{
	size_t i;

	for (i = 0; i < r->n_pairs; i++) {
		if (naive_ambiguous(r->pair[i].name))
			return true;
	}
	return false;
}

/* A path without its "." and empty components, as text. */
static inline void naive_clean(char *out, const char *path)
{
	char copy[NAIVE_TEXT], *save = NULL, *part;

	strcpy(copy, path);
	strcpy(out, *path == '/' ? "/" : "");
	for (part = strtok_r(copy, "/", &save); part;
	     part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "."))
			continue;
		strcat(out, part);
		strcat(out, "/");
	}
}

static inline bool naive_exe(const struct msp_caller *c, const char *want)
{
	char a[NAIVE_TEXT], b[NAIVE_TEXT];

	naive_clean(a, c->exe_path);
	naive_clean(b, want);
	return *c->exe_path == '/' && !strcmp(a, b);
}

/* An empty selector matches nobody. */
static inline bool naive_called(const char *want, const char *name)
{
	return want[0] && name && !strcmp(want, name);
}

static inline bool naive_group(const struct msp_caller *c, const char *want)
{
	const char *const *list[] = { c->groups, c->process_groups };
	size_t n[] = { c->n_groups, c->n_process_groups };
	bool found = false;
	size_t i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < n[i]; k++)
			found = found || naive_called(want, list[i][k]);
	}
	/* has more groups than anybody counted: it could be in all of them */
	return found && (c->flags & MSP_CALLER_GROUPS_CUT) == 0;
}

static inline bool naive_is(const struct msp_identity *who,
			    const struct msp_caller *c)
{
	bool names = c->flags & MSP_CALLER_NAMES;
	bool exe = c->flags & MSP_CALLER_EXE_VERIFIED;
	const char *base = strrchr(c->exe_path, '/');

	if (who->user_name.text &&
	    !(names && naive_called(who->user_name.text, c->user_name)))
		return false;
	if (who->group_name.text &&
	    !(names && naive_group(c, who->group_name.text)))
		return false;
	if (who->exe_path.text && !(exe && naive_exe(c, who->exe_path.text)))
		return false;
	return !who->process_name.text ||
	       (exe && base && naive_called(who->process_name.text, base + 1));
}

static inline bool naive_holds(const struct msp_role *role, size_t privilege)
{
	size_t i;

	for (i = 0; i < role->n_privileges; i++) {
		if (role->privileges[i] == privilege)
			return true;
	}
	return false;
}

/* The first identity in the profile that this caller is, and that some
 * assignment gives this privilege; -1 if there is none. */
static inline int naive_grant(const struct msp_profile *p, size_t privilege,
			      const struct msp_caller *c)
{
	const struct msp_assignment *a;
	size_t i, j, k;

	for (k = 0; k < p->n_identities; k++) {
		if (!naive_is(&p->identities[k], c))
			continue;
		for (i = 0; i < p->n_assignments; i++) {
			a = &p->assignments[i];
			for (j = 0; j < a->n_identities; j++) {
				if (a->identities[j] == k &&
				    naive_holds(&p->roles[a->role], privilege))
					return (int)k;
			}
		}
	}
	return -1;
}

static inline void naive_set(struct msp_decision *d, enum msp_verdict verdict,
			     enum msp_reason reason)
{
	d->verdict = verdict;
	d->reason = reason;
}

static inline enum msp_canon naive_fault(const struct msp_profile *p,
					 const struct naive_request *r)
{
	enum msp_canon code = r->canon;
	const struct msp_privilege *one;
	size_t i;

	for (i = 0; !r->canon && i < p->n_privileges; i++) {
		one = &p->privileges[i];
		if (!naive_covers(one, r))
			continue;
		if (naive_duplicate(one, r))
			return MSP_CANON_DUPLICATE_PARAM;
		if ((one->n_params && naive_odd_name(r)) ||
		    naive_odd_value(one, r))
			code = MSP_CANON_AMBIGUOUS;
	}
	return code;
}

static inline void naive_rules(struct msp_decision *d,
			       const struct msp_profile *p,
			       const struct naive_request *r,
			       const struct msp_caller *c)
{
	size_t i;
	int by;

	naive_set(d, MSP_DENY, MSP_REASON_CANON);
	d->canon = naive_fault(p, r);
	if (d->canon)
		return;
	naive_set(d, p->access == MSP_ACCESS_ALLOW ? MSP_ALLOW : MSP_DENY,
		  p->access == MSP_ACCESS_ALLOW ? MSP_REASON_DEFAULT_ALLOW
						: MSP_REASON_DEFAULT_DENY);
	for (i = 0; i < p->n_privileges; i++) {
		if (!naive_covers(&p->privileges[i], r) ||
		    !naive_fits(&p->privileges[i], r))
			continue;
		by = naive_grant(p, i, c);
		if (by >= 0) {
			naive_set(d, MSP_ALLOW, MSP_REASON_GRANTED);
			d->privilege = p->privileges[i].name.text;
			d->identity = p->identities[by].name.text;
			return;
		}
		if (!d->privilege)
			d->privilege = p->privileges[i].name.text;
		naive_set(d, MSP_DENY, MSP_REASON_NO_IDENTITY);
	}
}

static inline void naive_decide(struct msp_decision *d,
				const struct msp_profile *p,
				enum msp_endpoint endpoint, const char *target,
				const struct msp_caller *c)
{
	static struct naive_request r;
	bool root = c->uid == 0 && c->euid == 0;

	memset(d, 0, sizeof(*d));
	naive_request(&r, target);
	if (!(c->flags & MSP_CALLER_KNOWN) || c->flags & MSP_CALLER_KERNEL) {
		naive_set(d, MSP_DENY, MSP_REASON_UNKNOWN_CALLER);
	} else if (c->flags & MSP_CALLER_DIRECT) {
		naive_set(d, MSP_DENY, MSP_REASON_DIRECT);
	} else if (r.canon == MSP_CANON_SLASHES ||
		   r.canon == MSP_CANON_TRAVERSAL) {
		naive_set(d, MSP_DENY, MSP_REASON_CANON);
		d->canon = r.canon;
	} else if (endpoint != MSP_ENDPOINT_IMDS && !root) {
		naive_set(d, MSP_DENY, MSP_REASON_NOT_ROOT);
	} else if (p->mode == MSP_MODE_DISABLED) {
		naive_set(d, MSP_ALLOW, MSP_REASON_DISABLED);
	} else {
		naive_rules(d, p, &r, c);
		if (p->mode == MSP_MODE_AUDIT && d->verdict == MSP_DENY)
			d->verdict = MSP_ALLOW_AUDITED;
	}
}

#endif
