/* SPDX-License-Identifier: MIT */
/*
 * journal.h - one JSON object per answered request, in a ring in memory and,
 * with --journal, in a file.
 *
 * {"seq":1,"time":"2026-11-21T11:05:23.108Z","vm":"msp-host-vm",
 *  "endpoint":"IMDS","client":"10.0.0.4:5123","connection":7,
 *  "method":"GET","target":"/metadata/instance?...","cut":0,"status":200,
 *  "verdict":"verified","reason":null,"guid":"...","body":0,"fault":null}
 *
 * cut: bytes of the target left out at its end. status: as the host meant it;
 * a fault may have let nothing of it through. guid: of the key the request
 * names, if that has the form of one, or null. body: bytes received. fault:
 * name of the fault applied, or null. Bytes of method and target that are not
 * visible ASCII are \u00XX.
 */
#ifndef HOST_JOURNAL_H
#define HOST_JOURNAL_H

#include "net/call.h"

#include <stdio.h>

/** Requests kept in memory. */
#define JOURNAL_KEPT 16384
/** Bytes of a request's target kept. */
#define JOURNAL_TARGET_MAX 1024
/** Bytes of a request's method kept. */
#define JOURNAL_METHOD_MAX 64
/** Bytes after which journal_read() stops. */
#define JOURNAL_READ_MAX (16 * 1024 * 1024)

struct journal;

/* file: borrowed, or NULL. */
struct journal *journal_new(FILE *file);
void journal_free(struct journal *journal);
/* Also sees calls of the control port, and leaves them out. */
void journal_add(struct journal *journal, const struct call *call,
		 unsigned int status);
/* {"first":N,"next":N,"requests":[...]} from sequence number since on, at most
 * limit of them and JOURNAL_READ_MAX bytes; vm NULL: of all. first: the oldest
 * still kept. next: since of a call that goes on from here. */
void journal_read(const struct journal *journal, uint64_t since, uint64_t limit,
		  const char *vm, struct buf *out);
/* Forget what is in memory; numbers go on. */
void journal_clear(struct journal *journal);

/* GET /journal?since=N&limit=N&vm=NAME, DELETE /journal of the control port */
void journal_call(struct call *call);

#endif
