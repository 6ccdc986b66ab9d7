/* SPDX-License-Identifier: MIT */
/*
 * record.h - the two files the host writes: one line per request, and on
 * wish the raw bytes it was sent.
 */
#ifndef HOST_RECORD_H
#define HOST_RECORD_H

#include "net/call.h"

#include <stdio.h>

/** Room for "2026-11-21T11:05:23.108Z" */
#define RECORD_TIME_SIZE 32

/* The machine's time, UTC with milliseconds. */
void record_time(char out[RECORD_TIME_SIZE]);

/* "<time> <endpoint> <client> "<METHOD target>" <status> <verdict>" */
void record_request(FILE *log, const struct call *call, unsigned int status);

/* {"connection":N,"endpoint":"IMDS","bytes":"<base64>"} */
void record_bytes(FILE *record, uint64_t connection, enum port port,
		  const void *data, size_t len);

#endif
