/* SPDX-License-Identifier: MIT */
/*
 * In: a text that may be a command line. Out: which values of options are
 * secret, and where the arguments end that they are. Must never look at a byte
 * more often than a constant.
 */
#include "mspd/redact_priv.h"

/* A password that only the program's own letter tells. */
struct program {
	char name[12]; /* beginning of it */
	char letters[3];
	bool attached;	/* never an argument of its own */
	bool user;	/* behind a user's name and a colon */
	char flags[32]; /* letters without a value, which may come before */
};

static const struct program programs[] = {
	{ "curl", "uU", false, true, "#012346aBfgGiIjJklLMnNOpqRsSvVZ" },
	{ "ldap", "w", false, false, "" },
	{ "mariadb", "p", true, false, "" },
	{ "mysql", "p", true, false, "" },
	{ "redis-cli", "a", false, false, "" },
	{ "sqlcmd", "P", false, false, "" },
	{ "sshpass", "p", false, false, "v" },
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))
#define CURL	 1u /* bit of the first */

/* ---- arguments --------------------------------------------------------- */

void mspd_scan_arguments(struct scan *s, const struct mspd_arguments *arguments)
{
	size_t start = 0;
	size_t k;

	s->arguments = arguments;
	for (k = 0; arguments && k < arguments->n; k++) {
		s->text_at[k] = mspd_scan_skip(s, start, is_blank);
		s->name_end[k] = mspd_scan_skip(s, s->text_at[k], is_name);
		start = arguments->end[k] + 1;
	}
}

void mspd_scan_advance(struct scan *s, size_t i)
{
	const struct mspd_arguments *a = s->arguments;

	if (a && s->argument + 1 < a->n && i > a->end[s->argument])
		s->argument++;
}

size_t mspd_scan_argument_end(const struct scan *s, size_t at)
{
	const struct mspd_arguments *a = s->arguments;
	size_t start = 0;
	size_t k;

	for (k = 0; a && k < a->n && start <= at; k++) {
		if (at < a->end[k])
			return at <= s->text_at[k] ? a->end[k] : 0;
		start = a->end[k] + 1;
	}
	return 0;
}

size_t mspd_scan_assigned(const struct scan *s, size_t behind)
{
	if (!s->arguments || behind != s->name_end[s->argument])
		return 0;
	return s->arguments->end[s->argument];
}

/* ---- programs ---------------------------------------------------------- */

/* They may come anywhere, behind sudo(8) or in the text of a shell. */
void mspd_scan_program(struct scan *s, size_t i)
{
	size_t end, k;

	if (i && is_name(s->in[i - 1]))
		return;
	end = mspd_scan_skip(s, i, is_name);
	if (end < s->len && !is_blank(s->in[end]) &&
	    !is_one_of(s->in[end], "\"'"))
		return;
	for (k = 0; k < PROGRAMS; k++)
		if (mspd_scan_has(s, i, programs[k].name))
			s->programs |= 1u << k;
}

/* ---- options ----------------------------------------------------------- */

/* Of the option at @i, at @at: part of its word, or behind blanks. */
static struct value value_of(struct scan *s, size_t i, size_t at, bool part)
{
	struct value v = { at, 0 };

	if (part)
		v.end = mspd_scan_argument_end(s, i);
	else
		v.at = mspd_scan_skip(s, at, is_blank);
	if (!v.end)
		v.end = mspd_scan_value_end(s, v.at, STOP_BLANK);
	return v;
}

/* A name without a password is no secret. */
static bool has_password(struct scan *s, const struct value *v)
{
	return mspd_scan_stop(s, STOP_COLON, v->at) < v->end ||
	       (s->cut && v->end == s->len);
}

static bool is_option(const struct scan *s, size_t i, size_t end,
		      const char *option)
{
	return end - i == strlen(option) && mspd_scan_has(s, i, option);
}

/* --password VALUE, --password=VALUE */
static void named(struct scan *s, size_t i)
{
	bool connection = false;
	size_t end = mspd_scan_skip(s, i, is_name);
	bool user = is_option(s, i, end, "--proxy-user");
	bool curl = is_option(s, i, end, "--pass") ||
		    is_option(s, i, end, "--proxy-pass");
	bool known = mspd_scan_secret_name(s, i, end, &connection);
	bool equals = end < s->len && s->in[end] == '=';
	struct value v;

	if (s->programs & CURL) {
		user = user || is_option(s, i, end, "--user");
		known = known || curl;
	}
	if (end >= s->len || (!known && !user) || (equals && connection) ||
	    (!equals && !is_blank(s->in[end])))
		return;
	v = value_of(s, i, end + equals, equals);
	if (known || has_password(s, &v))
		s->named = v;
}

/* -pVALUE, -p VALUE */
static void lettered(struct scan *s, size_t i, const struct program *p)
{
	size_t at = i + 1;
	struct value v;
	bool part;

	while (at < s->len && is_one_of(s->in[at], p->flags))
		at++;
	if (at >= s->len || !is_one_of(s->in[at], p->letters))
		return;
	at++;
	part = at < s->len && !is_blank(s->in[at]);
	if (p->attached && !part)
		return;
	v = value_of(s, i, at, part);
	if (p->user && !has_password(s, &v))
		return;
	/* another program may understand it in another way */
	if (s->lettered.at > i && s->lettered.at < v.at)
		v.at = s->lettered.at;
	if (s->lettered.end > v.end)
		v.end = s->lettered.end;
	s->lettered = v;
}

void mspd_scan_option(struct scan *s, size_t i)
{
	size_t k;

	if (i && !is_blank(s->in[i - 1]))
		return;
	named(s, i);
	for (k = 0; s->programs && k < PROGRAMS; k++)
		if (s->programs & 1u << k)
			lettered(s, i, &programs[k]);
}
