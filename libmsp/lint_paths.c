/* SPDX-License-Identifier: MIT */
/*
 * In: the privileges of a profile, and the names in it. Out: what no request
 * can match, what is written in another way than it is compared, and names
 * that are easily taken for one another. Must never call a privilege dead that
 * some request matches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libmsp/ascii.h"
#include "libmsp/canon.h"
#include "libmsp/info.h"
#include "libmsp/lint_priv.h"
#include "libmsp/mem.h"

/* ---- paths ------------------------------------------------------------- */

/* How a path is written. */
struct spelling {
	bool empty;
	bool relative;
	bool trailing;
	bool pieces; /* empty ones and dots */
	bool semicolon;
	bool upper;
	bool escapes;
};

static bool is_escape(const char *text, size_t left)
{
	return left >= 3 && text[0] == '%' &&
	       msp_ascii_hex((unsigned char)text[1]) >= 0 &&
	       msp_ascii_hex((unsigned char)text[2]) >= 0;
}

static void look_at_spelling(struct spelling *s, const struct msp_text *path)
{
	const char *text = path->text;
	size_t i, len = path->len;

	memset(s, 0, sizeof(*s));
	s->empty = len == 0;
	s->relative = len > 0 && text[0] != '/';
	s->trailing = len > 1 && text[len - 1] == '/';
	s->pieces = strstr(text, "//") || strstr(text, "./");
	s->pieces = s->pieces || (len > 1 && !strcmp(text + len - 2, "/."));
	s->semicolon = memchr(text, ';', len);
	for (i = 0; i < len; i++) {
		if (is_escape(text + i, len - i)) {
			/* there is no other way to write a '%' */
			s->escapes =
				s->escapes || memcmp(text + i, "%25", 3) != 0;
			i += 2;
		} else if (text[i] !=
			   (char)msp_ascii_lower((unsigned char)text[i])) {
			s->upper = true;
		}
	}
}

static void append(char *out, size_t size, bool truth, const char *what)
{
	size_t n = strlen(out);

	if (truth)
		snprintf(out + n, size - n, "%s%s", n ? ", " : "", what);
}

static void describe(char *out, size_t size, const struct msp_text *path)
{
	struct spelling s;

	look_at_spelling(&s, path);
	out[0] = '\0';
	append(out, size, s.empty, "it is empty");
	append(out, size, s.relative, "no slash in front");
	append(out, size, s.trailing, "trailing slash");
	append(out, size, s.pieces, "empty or dot segments");
	append(out, size, s.semicolon, "';' cuts a segment");
	append(out, size, s.upper, "upper case");
	append(out, size, s.escapes, "escapes");
	append(out, size, !out[0], "dot segments");
}

/* Is it written as its canonical form is? A '%' can only be written escaped. */
static bool is_plain(const struct msp_text *path, const struct msp_rule *rule)
{
	const char *at = path->text, *canonical = rule->path;

	if (rule->path_len == 0)
		return strcmp(at, "/") == 0;
	for (; *canonical; canonical++, at++) {
		if (*at != *canonical)
			return false;
		if (*at != '%')
			continue;
		if (strncmp(at, "%25", 3) != 0)
			return false;
		at += 2;
	}
	return !*at;
}

/* For people to write: the canonical path, a '%' escaped. */
static void show_path(char *out, size_t size, const struct msp_rule *rule)
{
	char raw[2 * MSP_LINT_PATH];
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < rule->path_len && n < sizeof(raw) - 4; i++) {
		raw[n++] = rule->path[i];
		if (rule->path[i] != '%')
			continue;
		raw[n++] = '2';
		raw[n++] = '5';
	}
	if (n == 0)
		raw[n++] = '/';
	msp_info_copy(out, size, raw, n);
}

static void check_spelling(struct msp_lint *l,
			   const struct msp_lint_about *about,
			   const struct msp_text *path,
			   const struct msp_rule *rule)
{
	char canonical[MSP_LINT_PATH], how[192];

	if (is_plain(path, rule))
		return;
	show_path(canonical, sizeof(canonical), rule);
	describe(how, sizeof(how), path);
	msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_SPELLING, about,
		     "is compared as '%s' (%s): write it so, others may "
		     "compare it as it stands",
		     canonical, how);
}

/* Bytes of the shortest target that matches: each byte of a canonical form
 * was one at least. */
static size_t shortest_target(const struct msp_rule *rule)
{
	size_t n = rule->path_len ? rule->path_len : 1;
	uint32_t i;

	for (i = 0; i < rule->n_params; i++) {
		n += 1 + rule->params[i].name_len;
		if (rule->params[i].value_len)
			n += 1 + rule->params[i].value_len;
	}
	return n;
}

static void check_path(struct msp_lint *l, const struct msp_privilege *p,
		       const struct msp_rule *rule)
{
	struct msp_lint_about path = { "privileges", &p->place, "path" };
	struct msp_lint_about whole = { "privileges", &p->place, NULL };

	/* spec 6.3 step 2: in every mode */
	if (strstr(rule->path, ".."))
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &path,
			     "has two dots in a row, which no request may "
			     "have: no request matches, take them out");
	else if (shortest_target(rule) > MSP_TARGET_MAX)
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &whole,
			     "is longer than any request target (%d bytes): no "
			     "request matches, shorten it",
			     MSP_TARGET_MAX);
	check_spelling(l, &path, &p->path, rule);
}

/* ---- parameters -------------------------------------------------------- */

static bool has_control(const struct msp_text *text)
{
	size_t i;

	for (i = 0; i < text->len; i++)
		if ((unsigned char)text->text[i] < 0x20 ||
		    text->text[i] == 0x7f)
			return true;
	return false;
}

static bool is_ambiguous(const struct msp_text *text)
{
	return msp_canon_ambiguous(text->text, text->len);
}

static bool has_plus(const struct msp_text *text)
{
	return memchr(text->text, '+', text->len);
}

static void check_param(struct msp_lint *l, const struct msp_privilege *p,
			const struct msp_param *param)
{
	struct msp_lint_about about = { "privileges", &p->place,
					"queryParameters" };
	char name[MSP_LINT_NAME];

	msp_info_copy(name, sizeof(name), param->name.text, param->name.len);
	if (has_control(&param->name) || has_control(&param->value))
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &about,
			     "'%s' asks for a control character, which no "
			     "request may have: no request matches, take it "
			     "out",
			     name);
	else if (is_ambiguous(&param->name) || is_ambiguous(&param->value))
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_NEVER, &about,
			     "'%s' asks for a backslash or an escape that is "
			     "left after decoding, which is refused: no "
			     "request matches, write the text decoded",
			     name);
	else if (has_plus(&param->name) || has_plus(&param->value))
		msp_lint_say(l, MSP_SEVERITY_NOTE, MSP_FINDING_SPELLING, &about,
			     "'%s' asks for a plus sign, not for a blank: "
			     "write a blank if that is meant",
			     name);
}

void msp_lint_paths(struct msp_lint *l)
{
	const struct msp_privilege *p;
	uint32_t i;
	size_t k;

	for (i = 0; i < l->rules->n_rules; i++) {
		p = &l->profile->privileges[l->rules->rules[i].index];
		check_path(l, p, &l->rules->rules[i]);
		for (k = 0; k < p->n_params; k++)
			check_param(l, p, &p->params[k]);
	}
}

/* ---- names ------------------------------------------------------------- */

struct named {
	const struct msp_text *name;
	const struct msp_place *place;
};

static int compare_named(const void *one, const void *two)
{
	const struct named *a = one, *b = two;
	size_t n = a->name->len < b->name->len ? a->name->len : b->name->len;
	size_t i;
	int c, d;

	for (i = 0; i < n; i++) {
		c = msp_ascii_lower((unsigned char)a->name->text[i]);
		d = msp_ascii_lower((unsigned char)b->name->text[i]);
		if (c != d)
			return c - d;
	}
	if (a->name->len != b->name->len)
		return a->name->len < b->name->len ? -1 : 1;
	return a->place->index < b->place->index ? -1 : 1;
}

/* Entries of an array: structs of size bytes that begin with their name. */
static void check_names(struct msp_lint *l, const char *array,
			const void *entries, size_t n, size_t size,
			size_t place)
{
	struct msp_lint_about about = { array, NULL, "name" };
	struct named *named = msp_mem_array(n, sizeof(*named));
	const char *entry = entries;
	char other[MSP_LINT_NAME];
	size_t i;

	if (!named) {
		msp_lint_no_memory(l);
		return;
	}
	for (i = 0; i < n; i++, entry += size) {
		named[i].name = (const void *)entry;
		named[i].place = (const void *)(entry + place);
	}
	qsort(named, n, sizeof(*named), compare_named);
	for (i = 1; i < n; i++) {
		const struct msp_text *a = named[i - 1].name;
		const struct msp_text *b = named[i].name;

		if (!msp_ascii_equal(a->text, a->len, b->text, b->len))
			continue;
		about.place = named[i].place;
		msp_info_copy(other, sizeof(other), a->text, a->len);
		msp_lint_say(l, MSP_SEVERITY_WARNING, MSP_FINDING_CASE, &about,
			     "differs from '%s' in letter case only, and "
			     "references to one do not mean the other: rename "
			     "one",
			     other);
	}
	msp_mem_free(named);
}

void msp_lint_names(struct msp_lint *l)
{
	const struct msp_profile *p = l->profile;

	check_names(l, "privileges", p->privileges, p->n_privileges,
		    sizeof(*p->privileges),
		    offsetof(struct msp_privilege, place));
	check_names(l, "roles", p->roles, p->n_roles, sizeof(*p->roles),
		    offsetof(struct msp_role, place));
	check_names(l, "identities", p->identities, p->n_identities,
		    sizeof(*p->identities),
		    offsetof(struct msp_identity, place));
}
