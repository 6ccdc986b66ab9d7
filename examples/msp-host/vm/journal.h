/* SPDX-License-Identifier: MIT */
/*
 * journal.h - one JSON object per answered request, in a ring in memory and,
 * with --journal, in a file.
 *
 * {"seq":1,"time":"2026-11-21T11:05:23.108Z","vm":"msp-host-vm",
 *  "endpoint":"IMDS","client":"10.0.0.4:5123","connection":7,
 *  "method":"GET","target":"/metadata/instance?...","status":200,
 *  "verdict":"verified","reason":null,"guid":"...","body":0,"fault":null}
 *
 * guid: of the key the request names, or null. body: bytes received. fault:
 * name of the fault applied, or null. Bytes of the target that are not ASCII
 * are \u00XX.
 */
#ifndef HOST_JOURNAL_H
#define HOST_JOURNAL_H

#include "net/call.h"

#include <stdio.h>

/** Requests kept in memory. */
#define JOURNAL_KEPT 16384

struct journal;

/* file: borrowed, or NULL. */
struct journal *journal_new(FILE *file);
void journal_free(struct journal *journal);
/* Also sees calls of the control port, and leaves them out. */
void journal_add(struct journal *journal, const struct call *call,
		 unsigned int status);
/* {"first":N,"next":N,"requests":[...]} from sequence number since on, at most
 * limit of them; vm NULL: of all. first: the oldest still kept. */
void journal_read(const struct journal *journal, uint64_t since, uint64_t limit,
		  const char *vm, struct buf *out);
/* Forget what is in memory; numbers go on. */
void journal_clear(struct journal *journal);

#endif
