/* SPDX-License-Identifier: MIT */
/*
 * stream.h - one direction of a connection: bytes read here are written there.
 */
#ifndef HOST_STREAM_H
#define HOST_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** Bytes under way per direction at most. */
#define STREAM_BYTES 16384

/**
 * struct stream
 * @from:    descriptor read from; borrowed
 * @to:      descriptor written to; borrowed
 * @rest:    what the reader would not take yet, NULL: nothing; owned
 * @start:   first byte of it not yet written
 * @len:     bytes of it not yet written
 * @eof:     nothing more will come
 * @broken:  the reader is gone; what comes is thrown away
 * @patient: tell the reader of the end only when it has read all before
 * @more:    the end is not told: something else will be written after it
 * @shut:    the reader has been told that this is the end
 */
struct stream {
	int from;
	int to;
	char *rest;
	size_t start;
	size_t len;
	bool eof;
	bool broken;
	bool patient;
	bool more;
	bool shut;
};

/* Ready for another piece? */
bool stream_wants(const struct stream *s);
/* Read into piece, which has STREAM_BYTES; as recv(). An orderly or forced end
 * is eof. */
ssize_t stream_read(struct stream *s, char *piece);
/* Write a piece; what is not taken is kept. Only if stream_wants(). */
void stream_write(struct stream *s, const char *piece, size_t len);
/* Write what was kept, and tell the end if this is it. */
void stream_drain(struct stream *s);
/* Wipe and free. */
void stream_clear(struct stream *s);

#endif
