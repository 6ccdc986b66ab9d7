/* SPDX-License-Identifier: MIT */
/*
 * screen.h - lines for a terminal: no longer than it is wide, in colours if it
 * has them, and without anything of what they quote that drives one.
 */
#ifndef MSPD_CTL_SCREEN_H
#define MSPD_CTL_SCREEN_H

#include "mspd/ctl/ctl.h"

enum ctl_ink {
	CTL_PLAIN,
	CTL_HEAD, /* what a line or a column is about */
	CTL_GOOD,
	CTL_DOUBTFUL,
	CTL_BAD
};

/**
 * struct ctl_screen - zeroed but for the first three
 * @out:     gets the lines; borrowed
 * @width:   columns of one
 * @colours: may escapes be written?
 * @lines:   so far
 * @line:    the one that is being written, fit for a terminal, without colours
 * @inks:    enum ctl_ink of each of its bytes
 */
struct ctl_screen {
	struct ctl_text *out;
	unsigned int width;
	bool colours;
	unsigned int lines;
	struct ctl_text line;
	struct ctl_text inks;
};

/* @words: of any origin, NULL: "-". */
void ctl_screen_put(struct ctl_screen *screen, enum ctl_ink ink,
		    const char *words);
void ctl_screen_say(struct ctl_screen *screen, enum ctl_ink ink,
		    const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* In a column of its own, cut to it, with a blank behind. */
void ctl_screen_cell(struct ctl_screen *screen, enum ctl_ink ink,
		     unsigned int columns, const char *words);
/* Of what does not fit on the line the end matters more than the beginning. */
void ctl_screen_path(struct ctl_screen *screen, enum ctl_ink ink,
		     const char *words);
/* Is there room for it on the line? */
bool ctl_screen_fits(const struct ctl_screen *screen, const char *words);
/* Blanks up to that column, from 0, if the line is shorter. */
void ctl_screen_to(struct ctl_screen *screen, unsigned int column);
/* The line is cut to the width, which can be seen, and written. */
void ctl_screen_end(struct ctl_screen *screen);
/* In lines of their own from that column on, at most so many of them. */
void ctl_screen_wrap(struct ctl_screen *screen, enum ctl_ink ink,
		     const char *words, unsigned int column,
		     unsigned int lines);
void ctl_screen_free(struct ctl_screen *screen);

#endif
