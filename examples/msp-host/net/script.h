/* SPDX-License-Identifier: MIT */
/*
 * script.h - an answer that the wire writes itself, byte by byte, because no
 * HTTP library would.
 */
#ifndef HOST_SCRIPT_H
#define HOST_SCRIPT_H

#include "base/text.h"

enum script_end {
	SCRIPT_CLOSE, /* orderly */
	SCRIPT_RESET, /* RST */
	SCRIPT_HOLD   /* stay silent until the client goes */
};

/**
 * struct script
 * @bytes:      sent first; owned
 * @fill:       then so many bytes of @filler, over and over; may be larger
 *              than memory
 * @filler:     constant bytes
 * @filler_len: how many; not 0 if @fill is not
 * @tail:       then this; owned
 * @wait_ms:    before the first byte
 * @piece:      bytes per write, 0: as many as fit
 * @piece_ms:   between two writes
 * @end:        what then
 * @sent:       bytes that are out
 */
struct script {
	struct buf bytes;
	uint64_t fill;
	const char *filler;
	size_t filler_len;
	struct buf tail;
	uint32_t wait_ms;
	uint32_t piece;
	uint32_t piece_ms;
	enum script_end end;
	uint64_t sent;
};

enum script_step {
	SCRIPT_DONE,	/* all is out */
	SCRIPT_BLOCKED, /* the socket is full, or others must have a turn */
	SCRIPT_PAUSED,	/* the next piece is due in @piece_ms */
	SCRIPT_BROKEN	/* nobody reads it any more */
};

/* Send what may go out now; never blocks. */
enum script_step script_send(struct script *script, int fd);
/* Bytes it has to send in all. */
uint64_t script_length(const struct script *script);
/* Send no more than so many of them. */
void script_cut(struct script *script, uint64_t length);
void script_free(struct script *script);

#endif
