/* SPDX-License-Identifier: MIT */
/*
 * borders.h - a command line as text, \x01 between its arguments. All static:
 * a fuzzer and a filter include it.
 */
#ifndef MSPD_TEST_BORDERS_H
#define MSPD_TEST_BORDERS_H

#include <stddef.h>

#include "mspd/redact.h"

#define BORDER '\x01'

/* Borders become blanks. NULL: there are none. */
static inline const struct mspd_arguments *
split_borders(char *text, size_t len, struct mspd_arguments *arguments)
{
	size_t i;

	arguments->n = 0;
	for (i = 0; i < len; i++) {
		if (text[i] != BORDER)
			continue;
		text[i] = ' ';
		if (arguments->n < MSPD_REDACT_ARGUMENTS - 1)
			arguments->end[arguments->n++] = i;
	}
	if (!arguments->n)
		return NULL;
	arguments->end[arguments->n++] = len;
	return arguments;
}

#endif
