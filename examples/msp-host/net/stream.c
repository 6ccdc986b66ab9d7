/* SPDX-License-Identifier: MIT */
/*
 * In:  bytes of one descriptor.
 * Out: the same bytes on another.
 * Never: reads on while the reader has not taken what was read before, keeps
 *        memory when nothing is under way, or leaves a byte of it unwiped: it
 *        may be a key.
 */
#include "net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool stream_wants(const struct stream *s)
{
	return !s->eof && !s->len;
}

ssize_t stream_read(struct stream *s, char *piece)
{
	ssize_t n = recv(s->from, piece, STREAM_BYTES, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		s->eof = true;
	return n;
}

void stream_clear(struct stream *s)
{
	if (s->rest)
		OPENSSL_cleanse(s->rest, s->start + s->len);
	free(s->rest);
	s->rest = NULL;
	s->start = s->len = 0;
}

/* In its edge-triggered mode the library takes a short read for an empty
 * socket and does not look again: an end that is already behind the last bytes
 * would go unnoticed until its timeout. */
static bool may_shut(const struct stream *s)
{
	int unread = 0;

	if (!s->eof || s->shut || s->more)
		return false;
	return !s->patient || s->broken ||
	       ioctl(s->to, SIOCOUTQ, &unread) < 0 || !unread;
}

static size_t push(struct stream *s, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len && !s->broken) {
		ssize_t n = send(s->to, data + done, len - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return done;
		if (n < 0 && errno != EINTR)
			s->broken = true;
		else if (n > 0)
			done += (size_t)n;
	}
	return len;
}

void stream_write(struct stream *s, const char *piece, size_t len)
{
	size_t done = push(s, piece, len);

	if (done == len)
		return;
	s->rest = malloc(len - done);
	if (!s->rest) {
		s->broken = true;
		return;
	}
	s->len = len - done;
	memcpy(s->rest, piece + done, s->len);
}

void stream_drain(struct stream *s)
{
	if (s->len) {
		size_t done = push(s, s->rest + s->start, s->len);

		s->start += done;
		s->len -= done;
	}
	if (s->len)
		return;
	stream_clear(s);
	if (may_shut(s)) {
		shutdown(s->to, SHUT_WR);
		s->shut = true;
	}
}
