/* SPDX-License-Identifier: MIT */
/*
 * In:  an answer that is ready.
 * Out: a script that sends it as no HTTP library would, or a part of it, or
 *      something else.
 * Never: holds what can be repeated: huge is a number, not memory.
 */
#include "fault/kind.h"

#include "emulator.h"
#include "net/head.h"
#include "net/script.h"

#include <stdlib.h>
#include <string.h>

/* Same bytes as the library would make of a generated body. */
#define PATTERN 251
/* So much of a body is enough to show what is wrong with its chunks. */
#define SAMPLE 4096

#define INTERIM "HTTP/1.1 100 Continue\r\n\r\n"
#define LINE	"X-Filler: a\r\n"

static const char *pattern(void)
{
	static char bytes[PATTERN];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	return bytes;
}

/* The entity's length, sent or not. */
static uint64_t length(const struct call *call)
{
	const struct reply *reply = &call->reply;

	return reply->stream ? reply->count : reply->body.len;
}

static void set_fill(struct script *script, uint64_t fill, const char *filler,
		     size_t len)
{
	script->fill = fill;
	script->filler = filler;
	script->filler_len = len;
}

static struct script *begin(struct call *call)
{
	call->script = calloc(1, sizeof(*call->script));
	return call->script;
}

static void add_length(struct script *script, uint64_t n)
{
	buf_format(&script->bytes, "Content-Length: %llu\r\n",
		   (unsigned long long)n);
}

/* The empty line, and what follows it; bytes of the head. */
static uint64_t add_body(struct script *script, const struct call *call)
{
	const struct reply *reply = &call->reply;
	uint64_t head;

	buf_text(&script->bytes, "\r\n");
	head = script->bytes.len;
	if (call_method(call, "HEAD"))
		return head;
	if (reply->stream)
		set_fill(script, reply->count, pattern(), PATTERN);
	else if (reply->body.len)
		buf_add(&script->bytes, reply->body.data, reply->body.len);
	return head;
}

/* As the library would have sent it, announcing n bytes; with close it says
 * that the connection ends: an honest answer. */
static struct script *whole(struct call *call, uint64_t n, bool close,
			    uint64_t *head)
{
	struct script *script = begin(call);
	uint64_t len;

	if (!script)
		return NULL;
	head_write(&script->bytes, call, close);
	add_length(script, n);
	len = add_body(script, call);
	if (head)
		*head = len;
	return script;
}

bool spoil_delay(const struct fault *fault, struct call *call)
{
	struct script *script = whole(call, length(call), true, NULL);

	if (!script)
		return false;
	script->wait_ms = (uint32_t)fault->value[FIELD_MS];
	return true;
}

/* A part of the answer, and then that. */
static bool part(const struct fault *fault, struct call *call,
		 enum script_end end)
{
	struct script *script = whole(call, length(call), false, NULL);

	if (!script)
		return false;
	script_cut(script, (uint64_t)fault->value[FIELD_BYTES]);
	script->end = end;
	return true;
}

bool spoil_hang(const struct fault *fault, struct call *call)
{
	return part(fault, call, SCRIPT_HOLD);
}

bool spoil_close(const struct fault *fault, struct call *call)
{
	return part(fault, call, SCRIPT_CLOSE);
}

bool spoil_reset(const struct fault *fault, struct call *call)
{
	return part(fault, call, SCRIPT_RESET);
}

bool spoil_close_head(const struct fault *fault, struct call *call)
{
	uint64_t bytes = (uint64_t)fault->value[FIELD_BYTES], head;
	struct script *script = whole(call, length(call), false, &head);

	if (!script)
		return false;
	script_cut(script, bytes < head ? bytes : head - 1);
	return true;
}

/* At least one byte of what was announced is missing. */
bool spoil_close_body(const struct fault *fault, struct call *call)
{
	uint64_t bytes = (uint64_t)fault->value[FIELD_BYTES];
	uint64_t n = length(call), head;
	struct script *script;

	if (fault->value[FIELD_BYTES] < 0)
		bytes = n / 2;
	if (n && bytes >= n)
		bytes = n - 1;
	script = whole(call, n ? n : 1, false, &head);
	if (!script)
		return false;
	script_cut(script, head + bytes);
	return true;
}

bool spoil_long_length(const struct fault *fault, struct call *call)
{
	uint64_t by = (uint64_t)fault->value[FIELD_BY];

	return whole(call, length(call) + by, false, NULL);
}

/* What is too much looks like the next answer: the client decides whether it
 * uses the connection again. */
bool spoil_short_length(const struct fault *fault, struct call *call)
{
	uint64_t by = (uint64_t)fault->value[FIELD_BY], n = length(call);
	struct script *script;

	script = whole(call, n > by ? n - by : 0, false, NULL);
	if (!script)
		return false;
	if (by > n)
		set_fill(script, by - n, "x", 1);
	script->end = SCRIPT_HOLD;
	return true;
}

bool spoil_two_lengths(const struct fault *fault, struct call *call)
{
	uint64_t by = (uint64_t)fault->value[FIELD_BY];
	struct script *script = begin(call);

	if (!script)
		return false;
	head_write(&script->bytes, call, false);
	add_length(script, length(call));
	add_length(script, length(call) + by);
	add_body(script, call);
	script->end = SCRIPT_HOLD;
	return true;
}

enum chunks { CUT, UNFINISHED, OVERLONG, MISMATCH, NONSENSE };

static void add_size(struct buf *out, enum chunks style, size_t len)
{
	if (style == OVERLONG) /* as 64 bits it would be right */
		buf_format(out, "f%016zx\r\n", len);
	else if (style == NONSENSE)
		buf_text(out, "many\r\n");
	else
		buf_format(out, "%zx\r\n", style == CUT ? len + 1 : len);
}

static void add_chunks(struct buf *out, enum chunks style, const char *data,
		       size_t len)
{
	add_size(out, style, len);
	buf_add(out, data, len);
	if (style == CUT)
		return;
	/* more than announced, where its end should be */
	buf_text(out, style == MISMATCH ? "abcdef\r\n" : "\r\n");
	if (style != UNFINISHED)
		buf_text(out, "0\r\n\r\n");
}

bool spoil_chunks(const struct fault *fault, struct call *call)
{
	enum chunks style = (enum chunks)fault->value[FIELD_STYLE];
	const struct buf *body = &call->reply.body;
	struct script *script = begin(call);
	const char *data = "payload";
	size_t len = strlen(data);

	if (!script)
		return false;
	if (!call->reply.stream && body->len) {
		data = body->data;
		len = body->len < SAMPLE ? body->len : SAMPLE;
	}
	head_write(&script->bytes, call, false);
	buf_text(&script->bytes, "Transfer-Encoding: chunked\r\n\r\n");
	if (!call_method(call, "HEAD"))
		add_chunks(&script->bytes, style, data, len);
	return true;
}

bool spoil_garbage(const struct fault *fault, struct call *call)
{
	size_t len = (size_t)fault->value[FIELD_BYTES];
	struct script *script = begin(call);
	unsigned char *bytes = malloc(len);
	bool ok;

	ok = script && bytes &&
	     random_draw(&call->emu->names, "fault", "garbage", fault->hits,
			 bytes, len);
	if (ok) {
		bytes[0] |= 0x80; /* no text, above all no "HTTP/" */
		buf_add(&script->bytes, bytes, len);
	}
	free(bytes);
	if (!ok) {
		script_free(script);
		call->script = NULL;
	}
	return ok;
}

bool spoil_no_http(const struct fault *fault, struct call *call)
{
	struct script *script = begin(call);

	(void)fault;
	if (!script)
		return false;
	buf_text(&script->bytes, "220 smtp.example ready\r\n");
	return true;
}

bool spoil_huge_headers(const struct fault *fault, struct call *call)
{
	uint64_t lines = (uint64_t)fault->value[FIELD_LINES];
	uint64_t bytes = (uint64_t)fault->value[FIELD_BYTES];
	const struct buf *body = &call->reply.body;
	struct script *script;

	if (call->reply.stream)
		return false;
	script = begin(call);
	if (!script)
		return false;
	head_write(&script->bytes, call, true);
	add_length(script, body->len);
	if (lines) {
		set_fill(script, lines * strlen(LINE), LINE, strlen(LINE));
	} else {
		buf_text(&script->bytes, "X-Filler: ");
		set_fill(script, bytes, "a", 1);
		buf_text(&script->tail, "\r\n");
	}
	buf_text(&script->tail, "\r\n");
	if (body->len && !call_method(call, "HEAD"))
		buf_add(&script->tail, body->data, body->len);
	return true;
}

enum huge { BY_LENGTH, BY_CHUNKS, BY_END };

/* 4 KiB of blanks with their size in front */
#define BLANKS	    4096
#define CHUNK_BEGIN "1000\r\n"
#define CHUNK_BYTES (sizeof(CHUNK_BEGIN) - 1 + BLANKS + 2)

static const char *blank_chunk(void)
{
	static char bytes[CHUNK_BYTES];

	memset(bytes, ' ', sizeof(bytes));
	memcpy(bytes, CHUNK_BEGIN, sizeof(CHUNK_BEGIN) - 1);
	memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
	return bytes;
}

static void add_huge_chunks(struct script *script, const struct buf *body,
			    uint64_t bytes)
{
	uint64_t n = (bytes + BLANKS - 1) / BLANKS;

	if (body->len) {
		buf_format(&script->bytes, "%zx\r\n", body->len);
		buf_add(&script->bytes, body->data, body->len);
		buf_text(&script->bytes, "\r\n");
	}
	set_fill(script, n * CHUNK_BYTES, blank_chunk(), CHUNK_BYTES);
	buf_text(&script->tail, "0\r\n\r\n");
}

/* The answer with so many blanks behind it: still the same document. */
bool spoil_huge_body(const struct fault *fault, struct call *call)
{
	enum huge style = (enum huge)fault->value[FIELD_STYLE];
	uint64_t bytes = (uint64_t)fault->value[FIELD_BYTES];
	const struct buf *body = &call->reply.body;
	struct script *script;

	if (call->reply.stream)
		return false;
	script = begin(call);
	if (!script)
		return false;
	head_write(&script->bytes, call, true);
	if (style == BY_LENGTH)
		add_length(script, body->len + bytes);
	else if (style == BY_CHUNKS)
		buf_text(&script->bytes, "Transfer-Encoding: chunked\r\n");
	buf_text(&script->bytes, "\r\n");
	if (call_method(call, "HEAD"))
		return true;
	if (style == BY_CHUNKS) {
		add_huge_chunks(script, body, bytes);
		return true;
	}
	if (body->len)
		buf_add(&script->bytes, body->data, body->len);
	set_fill(script, bytes, " ", 1);
	return true;
}

bool spoil_drip(const struct fault *fault, struct call *call)
{
	struct script *script = whole(call, length(call), true, NULL);

	if (!script)
		return false;
	script->piece = (uint32_t)fault->value[FIELD_PIECE];
	script->piece_ms = (uint32_t)fault->value[FIELD_MS];
	return true;
}

bool spoil_interim(const struct fault *fault, struct call *call)
{
	uint64_t n = (uint64_t)fault->value[FIELD_REPEAT] * strlen(INTERIM);
	struct script *script;

	if (call->reply.stream)
		return false;
	script = whole(call, length(call), true, NULL);
	if (!script)
		return false;
	script->tail = script->bytes;
	memset(&script->bytes, 0, sizeof(script->bytes));
	set_fill(script, n, INTERIM, strlen(INTERIM));
	return true;
}

bool spoil_upgrade(const struct fault *fault, struct call *call)
{
	struct script *script = begin(call);

	(void)fault;
	if (!script)
		return false;
	buf_text(&script->bytes,
		 "HTTP/1.1 101 Switching Protocols\r\n"
		 "Connection: Upgrade\r\nUpgrade: other\r\n\r\nother");
	script->end = SCRIPT_HOLD;
	return true;
}
