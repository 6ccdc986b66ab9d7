/* SPDX-License-Identifier: MIT */
/*
 * In: words of any origin. Out: lines for a terminal. Must never write a line
 * that is longer than the terminal is wide, nor pass on what drives it.
 */
#include "mspd/ctl/screen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MORE "..."

static const char *const escapes[] = {
	[CTL_PLAIN] = "\x1b[0m", [CTL_HEAD] = "\x1b[1m",
	[CTL_GOOD] = "\x1b[32m", [CTL_DOUBTFUL] = "\x1b[33m",
	[CTL_BAD] = "\x1b[31m",
};

/* ---- columns ----------------------------------------------------------- */

/* Bytes of the character at the front of what was made fit to be shown, and
 * how many columns it takes at most: which ones are wide is another table of
 * every version of Unicode, but none before U+1100 is. */
static size_t step(const char *at, unsigned int *columns)
{
	const unsigned char *p = (const unsigned char *)at;

	*columns = 1;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xe0)
		return 2;
	if (p[0] > 0xe1 || p[1] >= 0x84)
		*columns = 2;
	return p[0] < 0xf0 ? 3 : 4;
}

/* Bytes of as much as fits; and how wide that is. */
static size_t fitting(const char *at, size_t len, unsigned int room,
		      unsigned int *width)
{
	unsigned int columns;
	size_t i = 0, n;

	*width = 0;
	while (i < len) {
		n = step(at + i, &columns);
		if (*width + columns > room)
			break;
		*width += columns;
		i += n;
	}
	return i;
}

static unsigned int width_of(const struct ctl_text *shown)
{
	unsigned int width;

	fitting(shown->at, shown->len, UINT32_MAX, &width);
	return width;
}

/* ---- a line ------------------------------------------------------------ */

/* What may be shown. */
static void add(struct ctl_screen *s, enum ctl_ink ink, const char *at,
		size_t len)
{
	const char mark = (char)ink;
	size_t i;

	if (!len)
		return;
	ctl_put_bytes(&s->line, at, len);
	for (i = 0; i < len; i++)
		ctl_put_bytes(&s->inks, &mark, 1);
}

void ctl_screen_put(struct ctl_screen *s, enum ctl_ink ink, const char *words)
{
	struct ctl_text shown = { 0 };

	ctl_put_shown(&shown, words ? words : "-");
	add(s, ink, shown.at, shown.len);
	ctl_text_free(&shown);
}

void ctl_screen_say(struct ctl_screen *s, enum ctl_ink ink, const char *format,
		    ...)
{
	char *words = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&words, format, args) < 0)
		ctl_no_memory();
	va_end(args);
	ctl_screen_put(s, ink, words);
	free(words);
}

bool ctl_screen_fits(const struct ctl_screen *s, const char *words)
{
	struct ctl_text shown = { 0 };
	unsigned int width;

	ctl_put_shown(&shown, words ? words : "-");
	width = width_of(&shown);
	ctl_text_free(&shown);
	return width_of(&s->line) + width <= s->width;
}

void ctl_screen_path(struct ctl_screen *s, enum ctl_ink ink, const char *words)
{
	const unsigned int used =
		width_of(&s->line) + (unsigned int)strlen(MORE);
	struct ctl_text shown = { 0 };
	unsigned int width, columns;
	size_t at = 0;

	ctl_put_shown(&shown, words ? words : "-");
	width = width_of(&shown);
	if (!ctl_screen_fits(s, words)) {
		add(s, ink, MORE, strlen(MORE));
		while (at < shown.len && used + width > s->width) {
			at += step(shown.at + at, &columns);
			width -= columns;
		}
	}
	if (at < shown.len)
		add(s, ink, shown.at + at, shown.len - at);
	ctl_text_free(&shown);
}

void ctl_screen_to(struct ctl_screen *s, unsigned int column)
{
	unsigned int at = width_of(&s->line);

	for (; at < column; at++)
		add(s, CTL_PLAIN, " ", 1);
}

void ctl_screen_cell(struct ctl_screen *s, enum ctl_ink ink,
		     unsigned int columns, const char *words)
{
	const unsigned int begin = width_of(&s->line);
	struct ctl_text shown = { 0 };
	unsigned int width;
	size_t n;

	ctl_put_shown(&shown, words && *words ? words : "-");
	n = fitting(shown.at, shown.len, columns, &width);
	if (n == shown.len) {
		add(s, ink, shown.at, n);
	} else {
		n = fitting(shown.at, shown.len,
			    columns - (unsigned int)strlen(MORE), &width);
		add(s, ink, shown.at, n);
		add(s, ink, MORE, strlen(MORE));
	}
	ctl_screen_to(s, begin + columns + 1);
	ctl_text_free(&shown);
}

/* ---- its end ----------------------------------------------------------- */

static void write_out(struct ctl_screen *s, size_t len)
{
	enum ctl_ink now = CTL_PLAIN;
	size_t i;

	for (i = 0; i < len; i++) {
		const enum ctl_ink ink = (enum ctl_ink)s->inks.at[i];

		if (s->colours && ink != now) {
			ctl_put(s->out, escapes[CTL_PLAIN]);
			if (ink != CTL_PLAIN)
				ctl_put(s->out, escapes[ink]);
			now = ink;
		}
		ctl_put_bytes(s->out, s->line.at + i, 1);
	}
	if (now != CTL_PLAIN)
		ctl_put(s->out, escapes[CTL_PLAIN]);
}

static void cut(struct ctl_screen *s)
{
	const size_t more = strlen(MORE);
	const char ink = s->inks.at[s->inks.len - 1];
	unsigned int width;

	s->line.len = fitting(s->line.at, s->line.len,
			      s->width - (unsigned int)more, &width);
	s->inks.len = s->line.len;
	add(s, (enum ctl_ink)ink, MORE, more);
}

void ctl_screen_end(struct ctl_screen *s)
{
	while (s->line.len && s->line.at[s->line.len - 1] == ' ')
		s->line.len--;
	s->inks.len = s->line.len;
	if (s->line.len && width_of(&s->line) > s->width)
		cut(s);
	write_out(s, s->line.len);
	ctl_put(s->out, "\n");
	s->line.len = s->inks.len = 0;
	s->lines++;
}

void ctl_screen_wrap(struct ctl_screen *s, enum ctl_ink ink, const char *words,
		     unsigned int column, unsigned int lines)
{
	const unsigned int room =
		s->width > column + 20 ? s->width - column : 20;
	struct ctl_text shown = { 0 };
	unsigned int width;
	size_t at = 0, n, blank;

	ctl_put_shown(&shown, words ? words : "-");
	while (at < shown.len && lines--) {
		ctl_screen_to(s, column);
		n = fitting(shown.at + at, shown.len - at, room, &width);
		for (blank = n; blank && shown.at[at + blank] != ' '; blank--)
			;
		if (at + n < shown.len && blank)
			n = blank;
		/* the last one goes on and is cut at its end */
		add(s, ink, shown.at + at, lines ? n : shown.len - at);
		ctl_screen_end(s);
		at += n;
		while (at < shown.len && shown.at[at] == ' ')
			at++;
	}
	ctl_text_free(&shown);
}

void ctl_screen_free(struct ctl_screen *s)
{
	ctl_text_free(&s->line);
	ctl_text_free(&s->inks);
}
