/* SPDX-License-Identifier: MIT */
/*
 * In: text of callers. Out: the same text without its secrets (spec 9.7).
 * Must never look at a byte more often than a constant: the text is chosen by
 * whoever wants the agent to be busy.
 */
#include "mspd/redact_priv.h"

#include <stdlib.h>
#include <string.h>

#define MARK	     "[REDACTED]"
#define HEX_DIGITS   64
#define BASE32_CHARS 52
#define BLOB_REACH   200 /* characters */
#define CHARACTER    4	 /* bytes, at most */
#define AWS_REACH    10	 /* characters */
#define AWS_CHARS    40
#define GITHUB_CHARS 20 /* at least */
#define TOLD_CHARS   6	/* likewise */

/* What a word may be the beginning of; several may be true. */
enum what {
	IS_SEMICOLON = 1, /* WORD=... up to ; */
	IS_AMPERSAND = 2, /* WORD=... up to & */
	IS_BLOB = 4,	  /* 43 or 86 characters of base64 near it */
	IS_AWS = 8,	  /* 40 of them */
	IS_BASE32 = 16,	  /* and one character between */
	IS_PASSWORD = 32, /* WORD: value */
	IS_VALUE = 64,	  /* the same of what is no password */
	IS_LINE = 128,	  /* the same, to the end of the line */
	IS_START = 256,	  /* only where a word begins */
	IS_OPTION = 512,  /* ends the name of an option with a value */
	IS_BEARER = 1024, /* WORD value */
	IS_TOLD = 2048	  /* the same if it looks like a password */
};

/* `?`: a blank, - or _, or nothing. Lower case, in alphabetical order. */
static const struct word {
	char text[20];
	unsigned int what;
} words[] = {
	{ "access", IS_BLOB },
	{ "access?key", IS_AWS | IS_VALUE | IS_OPTION },
	{ "access?token", IS_AWS },
	{ "account?key", IS_VALUE | IS_OPTION },
	{ "accountkey", IS_SEMICOLON },
	{ "ado", IS_BASE32 },
	{ "api?key", IS_VALUE | IS_OPTION },
	{ "api?secret", IS_VALUE },
	{ "app?key", IS_VALUE },
	{ "app?secret", IS_VALUE },
	{ "application?key", IS_VALUE },
	{ "application?secret", IS_VALUE },
	{ "authorization", IS_LINE },
	{ "azuredevops", IS_BASE32 },
	{ "bearer", IS_BEARER | IS_VALUE | IS_OPTION },
	{ "client?key", IS_VALUE },
	{ "client?secret", IS_VALUE },
	{ "cookie", IS_LINE },
	{ "credential", IS_BLOB },
	{ "custom?data", IS_VALUE },
	{ "dev.azure.com", IS_BASE32 },
	{ "key", IS_BLOB },
	{ "pass", IS_PASSWORD | IS_START },
	{ "passphrase", IS_PASSWORD | IS_OPTION | IS_TOLD },
	{ "passwd", IS_PASSWORD | IS_OPTION },
	{ "password",
	  IS_SEMICOLON | IS_BLOB | IS_PASSWORD | IS_OPTION | IS_TOLD },
	{ "pat", IS_BASE32 },
	{ "primarykey", IS_SEMICOLON },
	{ "pswd", IS_BLOB | IS_PASSWORD | IS_OPTION },
	{ "pwd", IS_SEMICOLON | IS_BLOB | IS_PASSWORD | IS_OPTION },
	{ "refresh?sid", IS_VALUE },
	{ "refresh?token", IS_VALUE },
	{ "sas", IS_BLOB | IS_OPTION },
	{ "secondarykey", IS_SEMICOLON },
	{ "secret", IS_BLOB | IS_AWS | IS_VALUE | IS_OPTION },
	{ "shared", IS_BLOB },
	{ "sig", IS_AMPERSAND },
	{ "subscription?key", IS_VALUE | IS_OPTION },
	{ "token", IS_BASE32 | IS_VALUE | IS_OPTION },
	{ "twilio?sid", IS_VALUE },
	{ "twilio?token", IS_VALUE },
	{ "user?data", IS_VALUE },
	{ "visualstudio.com", IS_BASE32 },
	{ "vsts", IS_BASE32 },
};
#define WORDS (sizeof(words) / sizeof(words[0]))
_Static_assert(WORDS <= UINT8_MAX, "struct scan counts them in a byte");

/* ---- bytes ------------------------------------------------------------- */

static bool is_base64(char c)
{
	return is_alnum(c) || c == '+' || c == '/';
}

static bool is_base32(char c)
{
	return is_letter(c) || (c >= '2' && c <= '7');
}

static bool is_hex(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

static bool is_backslash(char c)
{
	return c == '\\';
}

/* Of the name of a scheme. */
static bool is_scheme(char c)
{
	return is_alnum(c) || is_one_of(c, "+.-");
}

static size_t max(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Does @in begin with so many of these? */
static bool all(const struct scan *s, size_t at, size_t n, bool (*is)(char c))
{
	size_t i;

	if (at > s->len || n > s->len - at)
		return false;
	for (i = 0; i < n; i++)
		if (!is(s->in[at + i]))
			return false;
	return true;
}

bool mspd_scan_has(const struct scan *s, size_t at, const char *text)
{
	size_t n = strlen(text);

	return at <= s->len && n <= s->len - at &&
	       memcmp(s->in + at, text, n) == 0;
}

/* Bytes of the character there; a byte that is none counts as one. */
static size_t character(const struct scan *s, size_t at)
{
	size_t n = mspd_utf8_step(s->in + at, s->len - at);

	return n ? n : 1;
}

size_t mspd_scan_skip(const struct scan *s, size_t at, bool (*is)(char c))
{
	while (at < s->len && is(s->in[at]))
		at++;
	return at;
}

/* ---- what comes next --------------------------------------------------- */

static bool stops(enum stop stop, const char *c, bool first)
{
	switch (stop) {
	case STOP_SEMICOLON:
		return *c == ';';
	case STOP_AMPERSAND:
		return *c == '&';
	case STOP_COLON:
		return *c == ':';
	case STOP_LINE:
		return *c == '\n' || *c == '\r';
	case STOP_BLANK:
		return is_blank(*c);
	case STOP_VALUE:
		return is_blank(*c) || is_one_of(*c, "&;,\"'");
	case STOP_QUOTE:
		return *c == '"' && (first || c[-1] != '\\');
	case STOP_SINGLE_QUOTE:
		return *c == '\'' && (first || c[-1] != '\\');
	case STOP_ANY_QUOTE:
		return *c == '"';
	case STOP_JWT:
		return !is_alnum(*c) && !is_one_of(*c, "_%-");
	case STOP_JWS:
		return !is_alnum(*c) && !is_one_of(*c, "_%-.=");
	case STOP_GITHUB:
		return !is_alnum(*c) && *c != '_';
	case STOP_CAPITALS:
		return *c != ' ' && (*c < 'A' || *c > 'Z');
	case STOPS:
		break;
	}
	return true;
}

/* Kept until it is passed: words one behind the other ask for the same. */
size_t mspd_scan_stop(struct scan *s, enum stop stop, size_t from)
{
	struct ahead *a = &s->stops[stop];
	size_t at;

	if (a->known && a->from <= from && from <= a->at)
		return a->at;
	at = from;
	while (at < s->len && !stops(stop, s->in + at, at == 0))
		at++;
	*a = (struct ahead){ from, at, true };
	return at;
}

/* ---- private keys ------------------------------------------------------ */

/* Behind "<capitals and blanks>PRIVATE KEY" at @at, 0 if it is not there. */
static size_t private_key(struct scan *s, size_t at)
{
	static const char name[] = "PRIVATE KEY";
	size_t n = sizeof(name) - 1;
	size_t end = mspd_scan_stop(s, STOP_CAPITALS, at);

	return end - at >= n && mspd_scan_has(s, end - n, name) ? end : 0;
}

static size_t next_pem_end(struct scan *s, size_t from)
{
	static const char mark[] = "-----END ";
	struct ahead *a = &s->pem_end;
	const char *found;
	size_t at = from;
	size_t end;

	if (a->known && a->from <= from && from <= a->at)
		return a->at;
	*a = (struct ahead){ from, s->len, true };
	while ((found = memmem(s->in + at, s->len - at, mark,
			       sizeof(mark) - 1)) != NULL) {
		at = (size_t)(found - s->in) + sizeof(mark) - 1;
		end = private_key(s, at);
		if (end) {
			a->at = end;
			break;
		}
	}
	return a->at;
}

/* One that has no end was cut short: all of it is secret. */
static size_t pem(struct scan *s, size_t i)
{
	static const char mark[] = "BEGIN ";
	size_t end;

	if (!mspd_scan_has(s, i, mark))
		return 0;
	end = private_key(s, i + sizeof(mark) - 1);
	if (!end || !mspd_scan_has(s, end, "-----"))
		return 0;
	return next_pem_end(s, end);
}

/* ---- by their look ----------------------------------------------------- */

static size_t azure_key(const struct scan *s, size_t i)
{
	if (mspd_scan_has(s, i + 33, "AzCa") && all(s, i, 33, is_alnum) &&
	    all(s, i + 38, 5, is_alnum) && mspd_scan_has(s, i + 43, "=") &&
	    s->in[i + 37] >= 'A' && s->in[i + 37] <= 'P')
		return i + 44;
	if (mspd_scan_has(s, i + 44, "AzCa") && all(s, i, 44, is_alnum) &&
	    all(s, i + 48, 5, is_alnum) && i + 53 < s->len &&
	    is_one_of(s->in[i + 53], "AQgw"))
		return i + 54;
	return 0;
}

static size_t json_web_token(struct scan *s, size_t i)
{
	size_t end;

	if (!mspd_scan_has(s, i, "eyJ"))
		return 0;
	end = mspd_scan_stop(s, STOP_JWT, i + 3);
	if (s->cut && end == s->len)
		return end; /* what would tell was cut off */
	if (end == i + 3 || !mspd_scan_has(s, end, ".eyJ"))
		return 0;
	return mspd_scan_stop(s, STOP_JWS, end + 4);
}

static size_t hex_key(const struct scan *s, size_t i)
{
	size_t end;

	if (i && is_hex(s->in[i - 1]))
		return 0;
	end = mspd_scan_skip(s, i, is_hex);
	return end - i >= HEX_DIGITS ? end : 0;
}

static size_t github_token(struct scan *s, size_t i)
{
	size_t at = i + sizeof("ghp_") - 1;
	size_t end;

	if (mspd_scan_has(s, i, "github_pat_"))
		at = i + sizeof("github_pat_") - 1;
	else if (!mspd_scan_has(s, i, "gh") || !mspd_scan_has(s, i + 3, "_") ||
		 !is_one_of(s->in[i + 2], "opsur"))
		return 0;
	end = mspd_scan_stop(s, STOP_GITHUB, at);
	if (s->cut && end == s->len)
		return end; /* what would tell was cut off */
	return end - at >= GITHUB_CHARS ? end : 0;
}

/* ---- addresses --------------------------------------------------------- */

/* Behind the character with these digits, percent-encoded however often; @at
 * if it is not there. */
static size_t escape(const struct scan *s, size_t at, const char *digits)
{
	size_t n = at + 1;

	if (at >= s->len || s->in[at] != '%')
		return at;
	while (mspd_scan_has(s, n, "25"))
		n += 2;
	if (s->len < 2 || n > s->len - 2 || s->in[n] != digits[0] ||
	    lower(s->in[n + 1]) != digits[1])
		return at;
	return n + 2;
}

static bool is_escape(const struct scan *s, size_t at, const char *digits)
{
	return escape(s, at, digits) != at;
}

/* Behind "://" at @at, 0 if it is not there. */
static size_t slashes(const struct scan *s, size_t at, bool *encoded)
{
	size_t colon = escape(s, at, "3a");
	size_t slash = escape(s, colon, "2f");
	size_t end = escape(s, slash, "2f");

	*encoded = !mspd_scan_has(s, at, "://");
	if (!*encoded)
		return at + 3;
	return colon > at && slash > colon && end > slash ? end : 0;
}

static bool ends_host(const struct scan *s, size_t at, bool encoded)
{
	char c = s->in[at];

	if (is_blank(c) || is_one_of(c, "/?#\"'<>"))
		return true;
	return encoded && (c == '&' || is_escape(s, at, "2f") ||
			   is_escape(s, at, "3f") || is_escape(s, at, "23"));
}

/* A scheme may begin there: behind what is no part of one, or an escape. */
static bool begins_scheme(const struct scan *s, size_t i)
{
	if (!is_letter(s->in[i]))
		return false;
	return !i || !is_scheme(s->in[i - 1]) ||
	       (i >= 3 && s->in[i - 3] == '%' && all(s, i - 2, 2, is_hex));
}

static size_t url(const struct scan *s, size_t i)
{
	size_t password = 0;
	size_t at = 0;
	bool encoded;
	size_t n;

	if (!begins_scheme(s, i))
		return 0;
	n = slashes(s, mspd_scan_skip(s, i, is_scheme), &encoded);
	if (!n)
		return 0;
	for (; n < s->len && !ends_host(s, n, encoded); n++) {
		bool colon = s->in[n] == ':';

		if (!password && (colon || (encoded && is_escape(s, n, "3a"))))
			password = colon ? n + 1 : escape(s, n, "3a");
		else if (s->in[n] == '@' || (encoded && is_escape(s, n, "40")))
			at = n;
	}
	if (!password)
		return 0;
	/* what would tell was cut off */
	return at > password || (s->cut && n == s->len) ? n : 0;
}

/* ---- words ------------------------------------------------------------- */

/* Behind the word, 0 if it is not there. */
static size_t word_end(const struct scan *s, size_t i, const char *word)
{
	for (; *word; word++) {
		if (*word == '?') {
			if (i < s->len && is_one_of(s->in[i], " _-"))
				i++;
			continue;
		}
		if (i >= s->len || lower(s->in[i]) != *word)
			return 0;
		i++;
	}
	return i;
}

static void push_blob(struct scan *s, size_t before, size_t end)
{
	size_t slot = (s->first_blob + s->n_blobs) % BLOBS;

	s->blobs[slot] = (struct blob){ before, end };
	s->n_blobs++;
}

/* All blobs with what is before them in [i, last]; i never goes back. */
static void find_blobs(struct scan *s, size_t i, size_t last)
{
	while (s->n_blobs && s->blobs[s->first_blob].before < i) {
		s->first_blob = (s->first_blob + 1) % BLOBS;
		s->n_blobs--;
	}
	if (s->blobs_to < i)
		s->blobs_to = i;
	while (s->blobs_to <= last && s->blobs_to < s->len &&
	       s->n_blobs < BLOBS) {
		size_t before = mspd_scan_skip(s, s->blobs_to, is_base64);
		size_t end = mspd_scan_skip(s, before + 1, is_base64);
		size_t n = end - before - 1;

		if (before < s->len && (n == 43 || n == 86) &&
		    mspd_scan_has(s, end, "="))
			push_blob(s, before, end + 1);
		s->blobs_to = end;
	}
}

/* Offset behind so many characters, or the end. */
static size_t reach(const struct scan *s, size_t at, size_t characters)
{
	while (characters-- && at < s->len)
		at += character(s, at);
	return at;
}

/* The last one that is near enough. */
static size_t blob(struct scan *s, size_t i, size_t behind)
{
	size_t end = 0;
	size_t last, k;

	find_blobs(s, i, behind + BLOB_REACH * CHARACTER);
	if (!s->n_blobs)
		return 0;
	/* of the character in front, it knows the last byte */
	last = reach(s, behind, BLOB_REACH + 1) - 1;
	for (k = 0; k < s->n_blobs; k++) {
		const struct blob *b = &s->blobs[(s->first_blob + k) % BLOBS];

		if (b->before >= behind && b->before <= last)
			end = b->end;
	}
	return end;
}

/* The end if q is in front of it, else 0. */
static size_t aws_secret(const struct scan *s, size_t q)
{
	size_t n = q + character(s, q);

	if (is_base64(s->in[q]) || !all(s, n, AWS_CHARS, is_base64))
		return 0;
	n += AWS_CHARS;
	if (n == s->len)
		return n;
	if (is_alnum(s->in[n]) || s->in[n] == '_')
		return 0;
	return n + character(s, n);
}

static size_t aws(const struct scan *s, size_t behind)
{
	size_t end = 0;
	size_t q = behind;
	int i;

	for (i = 0; i <= AWS_REACH && q < s->len; i++) {
		end = max(end, aws_secret(s, q));
		q += character(s, q);
	}
	return end;
}

static size_t base32(const struct scan *s, size_t behind)
{
	if (behind >= s->len)
		return 0;
	behind += character(s, behind);
	return all(s, behind, BASE32_CHARS, is_base32) ? behind + BASE32_CHARS
						       : 0;
}

/* A quote without an end was cut. */
size_t mspd_scan_value_end(struct scan *s, size_t at, enum stop stop)
{
	size_t end = mspd_scan_argument_end(s, at);
	size_t open = mspd_scan_skip(s, at, is_backslash);

	if (end)
		return end;
	if (open >= s->len || !is_one_of(s->in[open], "\"'") ||
	    (open > at && s->in[open] == '\''))
		return mspd_scan_stop(s, stop, at);
	if (open > at)
		stop = STOP_ANY_QUOTE;
	else
		stop = s->in[at] == '"' ? STOP_QUOTE : STOP_SINGLE_QUOTE;
	end = mspd_scan_stop(s, stop, open + 1);
	return end > open + 1 ? end : at;
}

/* Behind an = or a :, percent-encoded or not; @at if there is none. */
static size_t sign(const struct scan *s, size_t at)
{
	if (at < s->len && is_one_of(s->in[at], "=:"))
		return at + 1;
	return max(escape(s, at, "3d"), escape(s, at, "3a"));
}

/* Behind an assignment at @at, 0 if it is none: = : := => == and the like,
 * with blanks, and the quote that ends a name in JSON. */
static size_t assignment(const struct scan *s, size_t at)
{
	size_t quote = mspd_scan_skip(s, at, is_backslash);
	size_t n;

	if (quote < s->len && is_one_of(s->in[quote], "\"'"))
		at = quote + 1;
	at = mspd_scan_skip(s, at, is_blank);
	if (sign(s, at) == at)
		return 0;
	while ((n = sign(s, at)) != at) {
		if (n < s->len && s->in[n] == '>')
			n++;
		at = mspd_scan_skip(s, n, is_blank);
	}
	return at;
}

static size_t assigned(struct scan *s, size_t behind, enum stop stop)
{
	size_t at = assignment(s, behind);
	size_t end;

	if (!at)
		return 0;
	end = stop == STOP_LINE ? mspd_scan_stop(s, stop, at)
				: mspd_scan_value_end(s, at, stop);
	end = max(end, mspd_scan_assigned(s, behind));
	return end > at ? end : 0;
}

/* What it means in a connection string: the next part is no secret. One in
 * quotes is part of the value. */
static size_t to_semicolon(struct scan *s, size_t behind)
{
	size_t end = mspd_scan_stop(s, STOP_SEMICOLON, behind + 1);

	end = max(end, mspd_scan_value_end(s, behind + 1, STOP_SEMICOLON));
	return max(end, mspd_scan_assigned(s, behind));
}

/* The signature of an address within another one. */
static size_t encoded(struct scan *s, size_t behind)
{
	size_t at = escape(s, behind, "3d");
	size_t end = mspd_scan_stop(s, STOP_VALUE, at);

	return at > behind && end > at ? end : 0;
}

/* "Bearer VALUE", as in the header that it is for. */
static size_t bearer(struct scan *s, size_t behind)
{
	size_t at = behind;
	size_t n = behind;
	size_t end;

	do {
		at = n;
		n = escape(s, mspd_scan_skip(s, at, is_blank), "20");
	} while (n > at);
	/* an option is none */
	if (at == behind || mspd_scan_has(s, at, "--"))
		return 0;
	end = mspd_scan_value_end(s, at, STOP_VALUE);
	return end > at ? end : 0;
}

/* "password VALUE" of what people write. A word of theirs has no digit, and
 * where it is the name of an option its value is known anyway. */
static size_t told(struct scan *s, size_t i, size_t behind)
{
	size_t at = mspd_scan_skip(s, behind, is_blank);
	bool digit = false, letter = false;
	size_t end, n;

	if (at == behind || (i && s->in[i - 1] == '-'))
		return 0;
	if (at < s->len && is_one_of(s->in[at], "\"'"))
		at++;
	end = mspd_scan_stop(s, STOP_VALUE, at);
	if (s->cut && end == s->len)
		return end; /* what would tell was cut off */
	for (n = at; n < end && !(digit && letter); n++) {
		digit |= is_digit(s->in[n]);
		letter |= is_letter(s->in[n]);
	}
	return digit && letter && end - at >= TOLD_CHARS ? end : 0;
}

static size_t after_word(struct scan *s, size_t i, size_t behind,
			 unsigned int what)
{
	bool equals = mspd_scan_has(s, behind, "=");
	size_t end = 0;

	if (what & IS_START && i && is_alnum(s->in[i - 1]))
		return 0;
	if (what & IS_SEMICOLON && equals)
		end = max(end, to_semicolon(s, behind));
	else if (what & (IS_SEMICOLON | IS_PASSWORD))
		end = max(end, assigned(s, behind, STOP_BLANK));
	if (what & IS_AMPERSAND && equals)
		end = max(end, mspd_scan_stop(s, STOP_AMPERSAND, behind + 1));
	else if (what & IS_AMPERSAND)
		end = max(end, encoded(s, behind));
	if (what & IS_BLOB)
		end = max(end, blob(s, i, behind));
	if (what & IS_AWS)
		end = max(end, aws(s, behind));
	if (what & IS_BASE32)
		end = max(end, base32(s, behind));
	if (what & IS_VALUE)
		end = max(end, assigned(s, behind, STOP_VALUE));
	if (what & IS_BEARER)
		end = max(end, bearer(s, behind));
	if (what & IS_TOLD)
		end = max(end, told(s, i, behind));
	if (what & IS_LINE)
		end = max(end, assigned(s, behind, STOP_LINE));
	return end;
}

static size_t word(struct scan *s, size_t i)
{
	const uint8_t *first = s->first_word + (lower(s->in[i]) - 'a');
	size_t end = 0;
	size_t k;

	for (k = first[0]; k < first[1]; k++) {
		size_t behind = word_end(s, i, words[k].text);

		if (behind)
			end = max(end, after_word(s, i, behind, words[k].what));
	}
	return end;
}

static void index_words(struct scan *s)
{
	size_t letter;
	size_t k = 0;

	for (letter = 0; letter <= LETTERS; letter++) {
		while (k < WORDS && words[k].text[0] < (char)('a' + letter))
			k++;
		s->first_word[letter] = (uint8_t)k;
	}
}

/* ---- names of options -------------------------------------------------- */

bool mspd_scan_secret_name(const struct scan *s, size_t start, size_t end,
			   bool *connection)
{
	size_t k;

	for (k = 0; k < WORDS; k++) {
		size_t n = strlen(words[k].text);

		if (!(words[k].what & IS_OPTION) || end - start < n - 1)
			continue;
		*connection = words[k].what & IS_SEMICOLON;
		/* with the optional character, and without it */
		if ((end - start >= n &&
		     word_end(s, end - n, words[k].text) == end) ||
		    word_end(s, end - n + 1, words[k].text) == end)
			return true;
	}
	return false;
}

/* ---- public ------------------------------------------------------------ */

/* Behind the longest secret that begins here, 0 if none does. */
static size_t secret_at(struct scan *s, size_t i)
{
	char c = s->in[i];
	size_t end = i == s->named.at ? s->named.end : 0;

	if (i == s->lettered.at)
		end = max(end, s->lettered.end);
	mspd_scan_advance(s, i);
	if (c == '-')
		mspd_scan_option(s, i);
	if (is_letter(c)) {
		mspd_scan_program(s, i);
		end = max(end, word(s, i));
		end = max(end, url(s, i));
		end = max(end, pem(s, i));
		end = max(end, json_web_token(s, i));
		end = max(end, github_token(s, i));
	}
	if (is_alnum(c)) {
		end = max(end, azure_key(s, i));
		end = max(end, hex_key(s, i));
	}
	return end;
}

bool mspd_redact_arguments(struct mspd_text *out, const char *in, size_t len,
			   size_t shown, const struct mspd_arguments *arguments)
{
	struct scan s = {
		.in = in,
		.len = len,
		.cut = shown < len,
		.named.at = SIZE_MAX,
		.lettered.at = SIZE_MAX,
	};
	size_t plain = 0; /* from here on nothing is written yet */
	size_t until = 0; /* end of the secret at hand */
	size_t i, end;

	index_words(&s);
	mspd_scan_arguments(&s, arguments);
	for (i = 0; i < shown; i++) {
		end = secret_at(&s, i);
		if (end <= until || end <= i)
			continue;
		if (i > until || !until) {
			if (!mspd_text_clean(out, in + plain, i - plain))
				return false;
			if (out->size - out->len < sizeof(MARK))
				return false;
			mspd_text_put(out, MARK);
		}
		until = end;
		plain = end;
	}
	return plain >= shown ||
	       mspd_text_clean(out, in + plain, shown - plain);
}

bool mspd_redact_to(struct mspd_text *out, const char *in, size_t len,
		    size_t shown)
{
	return mspd_redact_arguments(out, in, len, shown, NULL);
}

size_t mspd_redact(char *text, size_t len)
{
	char *copy = malloc(len + 1);
	struct mspd_text out;

	if (!copy)
		return 0;
	/* the text may have no room for a NUL */
	mspd_text_init(&out, copy, len + 1);
	mspd_redact_to(&out, text, len, len);
	memcpy(text, out.at, out.len);
	len = out.len;
	free(copy);
	return len;
}
