/* SPDX-License-Identifier: MIT */
/*
 * In:  a script, and a socket.
 * Out: its bytes on the socket, in the pieces it asks for.
 * Never: holds a filler of more than one piece in memory, sends without end in
 *        one turn, or leaves bytes that may be a key in memory.
 */
#include "net/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FILL_BYTES 16384
/* So much per turn of the loop: a fast reader must not have it for itself. */
#define TURN_BYTES (256 * 1024)

uint64_t script_length(const struct script *script)
{
	return script->bytes.len + script->fill + script->tail.len;
}

void script_cut(struct script *script, uint64_t length)
{
	uint64_t left = length;

	if (left < script->bytes.len)
		script->bytes.len = (size_t)left;
	left -= script->bytes.len;
	if (left < script->fill)
		script->fill = left;
	left -= script->fill;
	if (left < script->tail.len)
		script->tail.len = (size_t)left;
}

static size_t repeat(const struct script *script, uint64_t at, char *out)
{
	size_t phase = (size_t)(at % script->filler_len);
	size_t i, n = FILL_BYTES;

	if (n > script->fill - at)
		n = (size_t)(script->fill - at);
	for (i = 0; i < n; i++) {
		out[i] = script->filler[phase++];
		if (phase == script->filler_len)
			phase = 0;
	}
	return n;
}

/* The next bytes, in room or in the script itself; 0: all is out. */
static size_t next(const struct script *script, char *room, const char **data)
{
	uint64_t at = script->sent;

	if (at < script->bytes.len) {
		*data = script->bytes.data + at;
		return script->bytes.len - (size_t)at;
	}
	at -= script->bytes.len;
	if (at < script->fill) {
		*data = room;
		return repeat(script, at, room);
	}
	at -= script->fill;
	*data = script->tail.data + at;
	return script->tail.len - (size_t)at;
}

enum script_step script_send(struct script *script, int fd)
{
	uint64_t stop = script->sent + TURN_BYTES;
	char room[FILL_BYTES];
	const char *data;
	size_t len;

	while (script->sent < script_length(script)) {
		ssize_t n;

		if (script->sent >= stop)
			return SCRIPT_BLOCKED;
		len = next(script, room, &data);
		if (script->piece && len > script->piece)
			len = script->piece;
		n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return SCRIPT_BLOCKED;
		if (n < 0 && errno != EINTR)
			return SCRIPT_BROKEN;
		if (n > 0)
			script->sent += (uint64_t)n;
		if (n > 0 && script->piece &&
		    script->sent < script_length(script))
			return SCRIPT_PAUSED;
	}
	return SCRIPT_DONE;
}

void script_free(struct script *script)
{
	if (!script)
		return;
	buf_clear(&script->bytes);
	buf_clear(&script->tail);
	free(script);
}
