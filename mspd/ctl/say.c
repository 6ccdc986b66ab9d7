/* SPDX-License-Identifier: MIT */
/*
 * In: answers, notes and errors. Out: answers on standard output, all else on
 * standard error. Must never let an answer that was not written look like one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/ctl.h"

static struct ctl_text first_error; /* without "mspctl: " */
static bool answered;

static void __attribute__((format(printf, 1, 0)))
say(const char *format, va_list args, struct ctl_text *shown)
{
	char *words = NULL;

	if (vasprintf(&words, format, args) < 0)
		ctl_no_memory();
	ctl_put_shown(shown, words);
	free(words);
	fprintf(stderr, "mspctl: %s\n", shown->at ? shown->at : "");
}

void ctl_note(const char *format, ...)
{
	struct ctl_text shown = { 0 };
	va_list args;

	va_start(args, format);
	say(format, args, &shown);
	va_end(args);
	ctl_text_free(&shown);
}

int ctl_fail(const char *format, ...)
{
	struct ctl_text shown = { 0 };
	va_list args;

	va_start(args, format);
	say(format, args, &shown);
	va_end(args);
	if (first_error.at)
		ctl_text_free(&shown);
	else
		first_error = shown;
	return CTL_ERROR;
}

void ctl_no_memory(void)
{
	fputs("mspctl: out of memory\n", stderr);
	exit(CTL_ERROR);
}

int ctl_answer(const struct ctl_text *text, int status)
{
	answered = true;
	if (text->len && fwrite(text->at, 1, text->len, stdout) != text->len)
		return ctl_fail("standard output: %s", strerror(errno));
	return status;
}

static void tell_error(void)
{
	struct ctl_text text = { 0 };

	ctl_put(&text, "{\"error\":");
	ctl_put_json(&text, first_error.at ? first_error.at : "no answer");
	ctl_put(&text, "}\n");
	ctl_answer(&text, CTL_ERROR);
	ctl_text_free(&text);
}

int ctl_say_end(int status, bool json)
{
	if (json && !answered && status > CTL_NO)
		tell_error();
	if (fflush(stdout) != 0 || ferror(stdout))
		status = ctl_fail("standard output: cannot be written");
	ctl_text_free(&first_error);
	return status;
}
