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
 * @bytes:    sent first; owned
 * @fill:     then so many bytes of @filler, over and over; may be larger than
 *            memory
 * @filler:   a constant text, not empty if @fill is not 0
 * @tail:     then this; owned
 * @wait_ms:  before the first byte
 * @piece:    bytes per write, 0: as many as fit
 * @piece_ms: between two writes
 * @end:      what then
 */
struct script {
	struct buf bytes;
	uint64_t fill;
	const char *filler;
	struct buf tail;
	uint32_t wait_ms;
	uint32_t piece;
	uint32_t piece_ms;
	enum script_end end;
};

void script_free(struct script *script);

#endif
