/* SPDX-License-Identifier: MIT */
/*
 * In: the log of the kernel's verifier, of any length. Out: its end, where
 * the reason is, on one line. Must never write past the room there is.
 */
#include "libmsp/verifier.h"

#include <string.h>

#include "libmsp/info.h"

#define STATISTICS    "\nprocessed "
#define BETWEEN_LINES " / "
#define CUT	      "..."

void msp_verifier_trim(char *log)
{
	char *end = strstr(log, STATISTICS);
	size_t len;

	if (end)
		*end = '\0';
	for (len = strlen(log); len > 0 && log[len - 1] == '\n';)
		log[--len] = '\0';
}

void msp_verifier_last(char *out, size_t size, const char *log)
{
	const char *last = strrchr(log, '\n');

	last = last ? last + 1 : log;
	msp_info_copy(out, size, last, strlen(last));
}

static size_t width(char c)
{
	return c == '\n' ? strlen(BETWEEN_LINES) : 1;
}

/* Where that begins whose width is room at most. */
static const char *last_of(const char *log, size_t room)
{
	const char *from = log + strlen(log);

	while (from > log && width(from[-1]) <= room)
		room -= width(*--from);
	return from;
}

void msp_verifier_tail(char *out, size_t size, const char *log)
{
	const char *from = last_of(log, size - 1);
	size_t n = 0;

	if (from > log && size > strlen(CUT)) {
		from = last_of(log, size - 1 - strlen(CUT));
		memcpy(out, CUT, strlen(CUT));
		n = strlen(CUT);
	}
	for (; *from; from++) {
		if (*from == '\n')
			memcpy(out + n, BETWEEN_LINES, strlen(BETWEEN_LINES));
		else
			out[n] = *from;
		n += width(*from);
	}
	out[n] = '\0';
	msp_info_copy(out, size, out, n);
}
