/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - bytes that arrive piece by piece, up to a bound, and may be
 * secret: what they leave behind is wiped.
 */
#ifndef MSP_BUFFER_H
#define MSP_BUFFER_H

#include <stddef.h>

struct msp_buffer {
	char *data; /* owned; NULL while empty */
	size_t len;
	size_t cap;
};

/* Make room for at least one byte more, and up to max + 1 in all: the last one
 * tells of too many. MSP_ERR_LIMIT, MSP_ERR_NOMEM; nothing has changed then. */
int msp_buffer_grow(struct msp_buffer *buffer, size_t max);
/* wipe, free, and start over */
void msp_buffer_drop(struct msp_buffer *buffer);

#endif
