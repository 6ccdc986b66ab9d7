/* SPDX-License-Identifier: MIT */
/*
 * text.h - bytes of unknown origin -> text that is safe to write down.
 *
 * A caller chooses its file names, user names and request targets, so none of
 * these may break a line, a JSON document or a reader's terminal.
 */
#ifndef MSPD_TEXT_H
#define MSPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/** Room for mspd_text_time() with its NUL. */
#define MSPD_TEXT_TIME 24

/**
 * struct mspd_text - a bounded text under construction
 * @at:   buffer; borrowed, NUL-terminated after every call
 * @size: its size, at least 1
 * @len:  bytes in it, without the NUL
 *
 * What does not fit is left out, never in the middle of a character or of an
 * escape.
 */
struct mspd_text {
	char *at;
	size_t size;
	size_t len;
};

/* Start an empty text in a buffer. */
void mspd_text_init(struct mspd_text *text, char *buffer, size_t size);

/* Append as it is, whole or not at all; for our own constants. */
void mspd_text_put(struct mspd_text *text, const char *constant);

/* The same of so many bytes. */
void mspd_text_bytes(struct mspd_text *text, const char *at, size_t len);

/* Append a decimal number. */
void mspd_text_number(struct mspd_text *text, uint64_t number);

/* Append @len bytes with every invalid byte replaced by U+FFFD. Returns
 * whether all of it was taken. */
bool mspd_text_clean(struct mspd_text *text, const char *in, size_t len);

/* The same, for one line of a log: control characters (C0, DEL, C1 and the
 * line separators of Unicode) become \n, \t, \x1b, \u009b. */
bool mspd_text_line(struct mspd_text *text, const char *in, size_t len);

/* The same, as a JSON string in its quotes with \u009b for any of these, at
 * most @max bytes of text before escaping; NULL becomes null. */
void mspd_text_json(struct mspd_text *text, const char *in, size_t max);

/* The same for @len bytes that need not end in a NUL. */
void mspd_text_json_bytes(struct mspd_text *text, const char *in, size_t len,
			  size_t max);

/* Is it UTF-8 without DEL, C1 and the line separators of Unicode? C0 may be in
 * it, which everybody escapes who writes JSON. */
bool mspd_text_is_tame(const char *in, size_t len);

/**
 * mspd_utf8_step - length of the UTF-8 character at @in
 *
 * 0 if there is none: a stray or missing continuation byte, an overlong form,
 * a surrogate, beyond U+10FFFF, or @len is 0 (RFC 3629).
 */
size_t mspd_utf8_step(const char *in, size_t len);

/* Longest part of @in, at most @max bytes, that ends between characters. */
size_t mspd_utf8_cut(const char *in, size_t len, size_t max);

/* UTC as YYYY-MM-DDTHH:MM:SS.mmm with @colon between hours, minutes and
 * seconds (':' in documents, '.' in file names, spec 3.3). */
void mspd_text_time(char out[MSPD_TEXT_TIME], struct timespec when, char colon);

/* Entity that stands for a character in XML, or NULL if it stands for itself.
 * '>' has one, too: it also keeps a CDATA section closed. */
const char *mspd_xml_entity(char c);

#endif
