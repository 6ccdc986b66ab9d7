/* SPDX-License-Identifier: MIT */
/*
 * In:  answered requests and received bytes.
 * Out: lines, flushed one by one, since tests wait for them.
 * Never: writes a control byte of a request into the log, or holds a line back.
 */
#include "vm/record.h"

#include <time.h>

void record_time(char out[RECORD_TIME_SIZE])
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(out, RECORD_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, RECORD_TIME_SIZE - n, ".%03ldZ",
		 ts.tv_nsec / 1000000);
}

/* A client must not be able to forge a line. */
static void add_escaped(struct buf *line, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p; p++) {
		if (*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
			buf_format(line, "\\x%02x", *p);
		else
			buf_add(line, p, 1);
	}
}

static void write_line(FILE *file, struct buf *line)
{
	buf_text(line, "\n");
	if (!line->failed) {
		fwrite(line->data, 1, line->len, file);
		fflush(file);
	}
	buf_clear(line);
}

void record_request(FILE *log, const struct call *call, unsigned int status)
{
	char time[RECORD_TIME_SIZE];
	struct buf line = { 0 };

	record_time(time);
	buf_format(&line, "%s %s %s \"", time, port_name(call->peer->port),
		   call->peer->client);
	add_escaped(&line, call->method);
	buf_text(&line, " ");
	add_escaped(&line, call->target);
	buf_format(&line, "\" %u %s", status, verdict_name(&call->verdict));
	if (call->verdict.reason)
		buf_format(&line, ":%s", reason_name(call->verdict.reason));
	write_line(log, &line);
}

void record_bytes(FILE *record, uint64_t connection, enum port port,
		  const void *data, size_t len)
{
	struct buf line = { 0 };

	buf_format(&line,
		   "{\"connection\":%llu,\"endpoint\":\"%s\",\"bytes\":\"",
		   (unsigned long long)connection, port_name(port));
	buf_base64(&line, data, len);
	buf_text(&line, "\"}");
	write_line(record, &line);
}
