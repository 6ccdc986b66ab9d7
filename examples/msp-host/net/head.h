/* SPDX-License-Identifier: MIT */
/*
 * head.h - the head of an answer, whoever sends it.
 */
#ifndef HOST_HEAD_H
#define HOST_HEAD_H

#include "net/call.h"

/* Gets one line; false: stop. */
typedef bool head_line(void *ctx, const char *name, const char *value);

/* Every line but those of the framing, in order; with close it says that the
 * connection ends. False if one was not taken. */
bool head_lines(const struct call *call, bool close, head_line *line,
		void *ctx);
/* The head as bytes, up to and without the lines of the framing. */
void head_write(struct buf *out, const struct call *call, bool close);

#endif
