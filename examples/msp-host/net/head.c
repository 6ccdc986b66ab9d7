/* SPDX-License-Identifier: MIT */
/*
 * In:  an answer under construction.
 * Out: its header lines, for the library or as bytes.
 * Never: says how long the body is: that is for whoever sends it.
 */
#include "net/head.h"

#include <microhttpd.h>
#include <stdio.h>

static bool date_lines(const struct call *call, head_line *line, void *ctx)
{
	char date[TEXT_DATE_SIZE];

	text_http_date(date, sizeof(date), call->now);
	return line(ctx, "Date", date) &&
	       (!call->reply.dated || line(ctx, MSP_HEADER_DATE, date));
}

static bool retry_line(const struct call *call, head_line *line, void *ctx)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", call->reply.retry);
	return !call->reply.retry || line(ctx, "Retry-After", text);
}

bool head_lines(const struct call *call, bool close, head_line *line, void *ctx)
{
	const struct reply *reply = &call->reply;

	/* first, or the library says Date twice */
	if (close && !line(ctx, "Connection", "close"))
		return false;
	if (reply->type && !line(ctx, "Content-Type", reply->type))
		return false;
	if (reply->allow.len && !line(ctx, "Allow", reply->allow.data))
		return false;
	if (reply->etag.len && !line(ctx, "ETag", reply->etag.data))
		return false;
	if (reply->status == 401 && !line(ctx, "WWW-Authenticate", MSP_SCHEME))
		return false;
	return retry_line(call, line, ctx) && date_lines(call, line, ctx);
}

static bool write_line(void *ctx, const char *name, const char *value)
{
	buf_format(ctx, "%s: %s\r\n", name, value);
	return true;
}

void head_write(struct buf *out, const struct call *call, bool close)
{
	unsigned int status = call->reply.status;

	buf_format(out, "HTTP/1.1 %u %s\r\n", status,
		   MHD_get_reason_phrase_for(status));
	head_lines(call, close, write_line, out);
}
