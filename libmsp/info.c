/* SPDX-License-Identifier: MIT */
/*
 * In: a cause in words. Out: struct msp_error_info filled up to the size the
 * caller knows. Must never be handed a secret, and never fails.
 */
#undef MSP_ANALYZED /* here they are functions */
#include "libmsp/info.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmsp/opts.h"

#define REASON(err, room) strerror_r(err, room, sizeof(room))

static size_t utf8_boundary(const char *text, size_t len, size_t room)
{
	size_t n = len < room ? len : room;

	if (n == len)
		return n;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Bytes of the character at the front that moves a cursor or ends a line: C0
 * and DEL, C1 (0x9b is CSI), the separators of lines and of paragraphs. */
static size_t control_at(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (len >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (len >= 3 && p[0] == 0xe2 && p[1] == 0x80 &&
	    (p[2] == 0xa8 || p[2] == 0xa9))
		return 3;
	return 0;
}

void msp_info_copy(char *out, size_t size, const char *text, size_t len)
{
	size_t n, i, bad = 0;

	if (size == 0)
		return;
	n = utf8_boundary(text, len, size - 1);
	for (i = 0; i < n; i++) {
		if (!bad)
			bad = control_at(text + i, n - i);
		out[i] = bad ? '?' : text[i];
		bad -= bad > 0;
	}
	out[n] = '\0';
}

static bool usable(const struct msp_error_info *info)
{
	return info && msp_out_ok(info->size, sizeof(*info));
}

static void clear(struct msp_error_info *info)
{
	info->offset = 0;
	info->line = 0;
	info->column = 0;
	info->sys_errno = 0;
	info->http_status = 0;
	info->endpoint = -1;
	info->pointer[0] = '\0';
	info->text[0] = '\0';
}

__attribute__((format(printf, 2, 0))) static void
set_text(struct msp_error_info *info, const char *format, va_list args)
{
	char text[sizeof(info->text) * 2];
	int n = vsnprintf(text, sizeof(text), format, args);

	if (n < 0)
		return;
	msp_info_copy(info->text, sizeof(info->text), text, strlen(text));
}

int msp_fail(struct msp_error_info *info, int rc, const char *format, ...)
{
	va_list args;

	if (!usable(info))
		return rc;
	clear(info);
	va_start(args, format);
	set_text(info, format, args);
	va_end(args);
	return rc;
}

int msp_fail_at(struct msp_error_info *info, int rc, const char *pointer,
		const char *format, ...)
{
	va_list args;

	if (!usable(info))
		return rc;
	clear(info);
	msp_info_copy(info->pointer, sizeof(info->pointer), pointer,
		      strlen(pointer));
	va_start(args, format);
	set_text(info, format, args);
	va_end(args);
	return rc;
}

int msp_fail_sys(struct msp_error_info *info, int err, const char *format, ...)
{
	char reason[96] = "";
	const char *why;
	va_list args;
	size_t n;

	if (!usable(info))
		return MSP_ERR_SYS;
	clear(info);
	va_start(args, format);
	set_text(info, format, args);
	va_end(args);
	info->sys_errno = err;

	/* GNU's may return a constant instead of filling reason, that of POSIX
	 * returns a number; in the user's language, so it too is cut between
	 * characters only */
	why = _Generic(REASON(err, reason), int
		       : ((void)REASON(err, reason), reason), default
		       : REASON(err, reason));
	n = strlen(info->text);
	msp_info_copy(info->text + n, sizeof(info->text) - n, ": ", 2);
	n = strlen(info->text);
	msp_info_copy(info->text + n, sizeof(info->text) - n, why, strlen(why));
	return MSP_ERR_SYS;
}

void msp_info_place(struct msp_error_info *info, const char *input, size_t len,
		    size_t offset)
{
	size_t i, start = 0;
	uint32_t line = 1;

	if (!usable(info))
		return;
	if (offset > len)
		offset = len;
	for (i = 0; i < offset; i++) {
		if (input[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	info->offset = offset;
	info->line = line;
	info->column = (uint32_t)(offset - start + 1);
}

void msp_info_take(struct msp_error_info *info,
		   const struct msp_error_info *from)
{
	size_t size;

	if (!usable(info))
		return;
	size = info->size;
	*info = *from;
	info->size = size;
}

void msp_info_endpoint(struct msp_error_info *info, enum msp_endpoint endpoint)
{
	if (usable(info))
		info->endpoint = (int32_t)endpoint;
}
