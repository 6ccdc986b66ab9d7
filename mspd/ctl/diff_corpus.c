/* SPDX-License-Identifier: MIT */
/*
 * In: a file of requests, or an audit trail. Out: each of them tried once.
 * Must never count a line as tried that was not.
 */
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/audit_line.h"
#include "mspd/ctl/diff.h"
#include "mspd/ctl/names.h"
#include "mspd/ctl/request.h"

/* Lines that are remembered, so that what repeats is tried once. */
#define SEEN_MAX 1000000
/* METHOD ENDPOINT URL, and what is said of the caller. */
#define WORDS_MAX (3 + 2 + MSP_CALLER_GROUPS_MAX + 1)

struct corpus {
	struct ctl_diff *diff;
	struct ctl_names seen;
};

static bool is_new(struct corpus *c, const struct ctl_text *key)
{
	const size_t known = c->seen.n;

	if (known >= SEEN_MAX)
		return ctl_names_find(&c->seen, key->at, key->len) == CTL_NONE;
	return ctl_names_add(&c->seen, key->at, key->len) == known;
}

/* ---- lines of a trail -------------------------------------------------- */

static void put_field(struct ctl_text *out, const char *name, const char *text)
{
	ctl_put(out, out->len ? " " : "");
	ctl_put(out, name);
	ctl_put(out, text);
}

/* Groups as this machine has them, for a trail has no names of groups. */
static void find_names(struct ctl_caller *who, const struct ctl_audit *a)
{
	struct msp_caller *c = &who->facts;
	size_t i;

	if (a->user.given && !ctl_nss_user(who, a->user.text))
		ctl_caller_set_user(who, a->user.text);
	c->uid = a->uid;
	c->euid = a->euid;
	c->gid = c->egid = a->gid;
	ctl_nss_process_group(who, a->gid);
	for (i = 0; i < a->n_gids; i++)
		if (a->gids[i] != a->gid)
			ctl_nss_process_group(who, a->gids[i]);
}

static void find_program(struct ctl_caller *who, const struct ctl_audit *a)
{
	const char *state = a->exe_state.text;

	if (a->exe.given && ctl_caller_set_exe(who, a->exe.text) &&
	    strcmp(state, "verified") != 0 && strcmp(state, "replaced") != 0)
		who->facts.flags &= ~(uint32_t)MSP_CALLER_EXE_VERIFIED;
}

static void put_label(struct ctl_text *out, const struct ctl_audit *a)
{
	if (a->user.given) {
		put_field(out, "user=", a->user.text);
	} else {
		put_field(out, "uid=", "");
		ctl_put_number(out, a->uid);
	}
	if (!a->exe.given)
		return;
	put_field(out, "exe=", a->exe.text);
	if (strcmp(a->exe_state.text, "verified") != 0)
		put_field(out, "", a->exe_state.text);
}

/* All that a decision could depend on. */
static void put_key(struct ctl_text *out, const struct ctl_audit *a)
{
	size_t i;

	put_field(out, "", a->endpoint.text);
	put_field(out, "", a->method.text);
	put_field(out, "", a->path.text);
	put_label(out, a);
	ctl_put_bytes(out, (const char *)&a->uid, sizeof(a->uid));
	ctl_put_bytes(out, (const char *)&a->euid, sizeof(a->euid));
	ctl_put_bytes(out, (const char *)&a->gid, sizeof(a->gid));
	for (i = 0; i < a->n_gids; i++)
		ctl_put_bytes(out, (const char *)&a->gids[i],
			      sizeof(a->gids[i]));
}

static bool try_audit(struct corpus *c, const struct ctl_audit *a,
		      enum msp_endpoint endpoint)
{
	struct ctl_text label = { 0 };
	struct ctl_caller who;
	bool fine;

	ctl_caller_init(&who);
	find_names(&who, a);
	find_program(&who, a);
	put_label(&label, a);
	fine = ctl_diff_request(c->diff, endpoint, a->method.text,
				a->path.text) &&
	       ctl_diff_try(c->diff, a->path.text, &who, label.at);
	ctl_caller_free(&who);
	ctl_text_free(&label);
	return fine;
}

static bool audit_line(struct corpus *c, const char *line, size_t len)
{
	struct ctl_text key = { 0 };
	enum msp_endpoint endpoint;
	struct ctl_audit a;
	bool fine = true;

	if (!ctl_audit_parse(&a, line, len)) {
		c->diff->unreadable++;
		return true;
	}
	if (a.torn || !a.known || !a.method.given || !a.method.text[0] ||
	    !a.path.given || !a.path.text[0] || !a.endpoint.given ||
	    !ctl_endpoint_named(a.endpoint.text, &endpoint)) {
		c->diff->skipped++;
		return true;
	}
	put_key(&key, &a);
	if (is_new(c, &key)) {
		c->diff->queries += strchr(a.path.text, '?') != NULL;
		fine = try_audit(c, &a, endpoint);
	}
	ctl_text_free(&key);
	return fine;
}

/* ---- lines that people write ------------------------------------------- */

/* The next word, cut out of the line; NULL: no more. A quote that is not
 * closed is not understood. */
static char *next_word(char **line, bool *fine)
{
	char *from = *line + strspn(*line, " \t\r");
	char *to = from, *word = from;
	bool quoted = false;

	if (!*from)
		return NULL;
	for (; *from && (quoted || !strchr(" \t\r", *from)); from++) {
		if (*from == '"')
			quoted = !quoted;
		else
			*to++ = *from;
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	*fine = *fine && !quoted;
	return word;
}

/* How many; 0: too many, or not understood. */
static size_t split(char *line, char *words[WORDS_MAX])
{
	bool fine = true;
	size_t n = 0;
	char *word;

	while ((word = next_word(&line, &fine))) {
		if (n == WORDS_MAX)
			return 0;
		words[n++] = word;
	}
	return fine ? n : 0;
}

/* The same on every machine: nothing is asked of the user database. */
static bool take_fact(struct ctl_caller *who, const char *word)
{
	if (!strncmp(word, "user=", 5) && word[5] && !who->user) {
		ctl_caller_set_user(who, word + 5);
		if (!strcmp(word + 5, "root"))
			who->facts.uid = who->facts.euid = 0;
		return true;
	}
	if (!strncmp(word, "exe=", 4) && word[4] == '/' &&
	    !who->facts.exe_path[0])
		return ctl_caller_set_exe(who, word + 4);
	if (!strncmp(word, "group=", 6) && word[6])
		return ctl_caller_add_process_group(who, word + 6);
	return false;
}

/* Has the request been taken as one? Errors of it are said already. */
static bool try_words(struct corpus *c, char *const *words, size_t n,
		      const char *label)
{
	enum msp_endpoint endpoint;
	struct ctl_caller who;
	bool fine;
	size_t i;

	fine = n >= 3 && ctl_endpoint_named(words[1], &endpoint);
	ctl_caller_init(&who);
	for (i = 3; fine && i < n; i++)
		fine = take_fact(&who, words[i]);
	fine = fine &&
	       ctl_diff_request(c->diff, endpoint, words[0], words[2]) &&
	       ctl_diff_try(c->diff, words[2], &who, label);
	ctl_caller_free(&who);
	return fine;
}

static bool text_line(struct corpus *c, const char *line, size_t len)
{
	char *copy = ctl_copy(line, len);
	struct ctl_text label = { 0 };
	char *words[WORDS_MAX];
	size_t i, n = 0;
	bool fine;

	if (strlen(copy) == len)
		n = split(copy, words);
	for (i = 3; i < n; i++)
		put_field(&label, "", words[i]);
	fine = try_words(c, words, n, label.at ? label.at : "nobody");
	ctl_text_free(&label);
	free(copy);
	return fine;
}

/* ---- files ------------------------------------------------------------- */

bool ctl_diff_corpus(struct ctl_diff *diff, const char *path)
{
	struct ctl_lines *lines = ctl_lines_open(path);
	struct corpus c = { .diff = diff };
	size_t first, len, number = 0;
	bool fine = true;
	const char *at;

	if (!lines)
		return false;
	while (fine && ctl_lines_next(lines, &at, &len)) {
		number++;
		first = at ? strspn(at, " \t\r") : 0;
		if (at && at[first] == '{') {
			fine = audit_line(&c, at, len);
		} else if (!at) {
			diff->unreadable++;
		} else if (first < len && at[first] != '#' &&
			   !text_line(&c, at, len)) {
			diff->unreadable++;
			ctl_fail("%s:%zu: is not understood",
				 ctl_file_name(path), number);
		}
	}
	ctl_names_free(&c.seen);
	return ctl_lines_close(lines) && fine;
}
