/* SPDX-License-Identifier: MIT */
/*
 * redact_priv.h - what redact.c and redact_option.c share: a text and how far
 * it has been looked at. Offsets only grow, so that nothing is looked at more
 * often than a constant.
 */
#ifndef MSPD_REDACT_PRIV_H
#define MSPD_REDACT_PRIV_H

#include <string.h>

#include "mspd/redact.h"

/* Blobs that begin within reach of one word, at least 45 bytes apart; the
 * longest word counts, too. */
#define BLOBS	20
#define LETTERS 26

/* What ends a run of bytes. */
enum stop {
	STOP_SEMICOLON,
	STOP_AMPERSAND,
	STOP_COLON,
	STOP_LINE,
	STOP_BLANK,
	STOP_VALUE,	   /* what ends a value that is no password */
	STOP_QUOTE,	   /* " without a backslash before it */
	STOP_SINGLE_QUOTE, /* the same of ' */
	STOP_ANY_QUOTE,	   /* ", whatever is before it */
	STOP_JWT,	   /* no character of a part of a token */
	STOP_JWS,	   /* nor of a whole one */
	STOP_GITHUB,	   /* no character of a token of GitHub's */
	STOP_CAPITALS,	   /* neither capital nor blank */
	STOPS
};

/* The first stop at or behind @from. */
struct ahead {
	size_t from;
	size_t at;
	bool known;
};

/* Base64 with = behind it, in front of which no base64 is. */
struct blob {
	size_t before; /* offset of the character in front of it */
	size_t end;    /* behind the = */
};

/* Of an option, further on. */
struct value {
	size_t at;
	size_t end;
};

struct scan {
	const char *in;
	size_t len;
	bool cut; /* it went on behind that */
	struct ahead stops[STOPS];
	struct ahead pem_end; /* behind the nearest -----END PRIVATE KEY */
	struct blob blobs[BLOBS];
	size_t first_blob, n_blobs;
	size_t blobs_to;       /* where to look for the next one */
	struct value named;    /* --password VALUE */
	struct value lettered; /* -pVALUE */
	unsigned int programs; /* that were named so far, a bit for each */
	/* by letter: where the words with it begin; the next one's, their end
	 */
	uint8_t first_word[LETTERS + 1];
	const struct mspd_arguments *arguments; /* NULL: not known */
	size_t argument;			/* the one at hand */
	/* behind blanks they begin with; where the name of NAME=VALUE ends */
	size_t text_at[MSPD_REDACT_ARGUMENTS];
	size_t name_end[MSPD_REDACT_ARGUMENTS];
};

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static inline bool is_alnum(char c)
{
	return is_letter(c) || is_digit(c);
}

static inline bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

/* Of the name of an option, a variable or a program. */
static inline bool is_name(char c)
{
	return is_alnum(c) || is_one_of(c, "_.-");
}

/* Is @text at @at? */
bool mspd_scan_has(const struct scan *s, size_t at, const char *text);
/* Behind all that are such. */
size_t mspd_scan_skip(const struct scan *s, size_t at, bool (*is)(char c));
/* The first stop at or behind @from. */
size_t mspd_scan_stop(struct scan *s, enum stop stop, size_t from);
/* Ends the name in [@start, @end) in a word whose value is secret? Which does
 * not depend on what is behind it, unless @connection is set: there, what is
 * behind = is known as part of a connection string, and where it ends. */
bool mspd_scan_secret_name(const struct scan *s, size_t start, size_t end,
			   bool *connection);
/* The end of a value, @at if there is none: that of the argument if it begins
 * one, else of its quotes, else the first stop. */
size_t mspd_scan_value_end(struct scan *s, size_t at, enum stop stop);

/* ---- redact_option.c --------------------------------------------------- */

/* Before all others. */
void mspd_scan_arguments(struct scan *s,
			 const struct mspd_arguments *arguments);
/* Goes on to the argument that @i is in. */
void mspd_scan_advance(struct scan *s, size_t i);
/* The end of the argument that begins at @at, but for blanks; 0: none does. */
size_t mspd_scan_argument_end(const struct scan *s, size_t at);
/* The end of the argument at hand if it is NAME=VALUE and its name ends at
 * @behind, else 0. */
size_t mspd_scan_assigned(const struct scan *s, size_t behind);
/* Remembers a program whose options are known. */
void mspd_scan_program(struct scan *s, size_t i);
/* Remembers the value of an option; its name is no secret. */
void mspd_scan_option(struct scan *s, size_t i);

#endif
