/* SPDX-License-Identifier: MIT */
/*
 * verifier.h - what the kernel's verifier said of a program, short enough for
 * an error text.
 */
#ifndef MSP_VERIFIER_H
#define MSP_VERIFIER_H

#include <stddef.h>

/* Leave out the statistics and the line ends that come last. */
void msp_verifier_trim(char *log);

/* The last line of a trimmed log. out as msp_info_copy() makes it. */
void msp_verifier_last(char *out, size_t size, const char *log);

/* The end of a trimmed log, all of it if there is room, else after "...";
 * lines are divided by " / ". No control characters, size > 0,
 * NUL-terminated. */
void msp_verifier_tail(char *out, size_t size, const char *log);

#endif
