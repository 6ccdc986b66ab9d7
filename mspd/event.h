/* SPDX-License-Identifier: MIT */
/*
 * event.h - what has happened, kept until telemetry takes it (spec 9.1).
 *
 * One queue per process, like the log, and like it fed from anywhere; closed
 * at first, when nothing is kept. Threads: any, if not said otherwise.
 */
#ifndef MSPD_EVENT_H
#define MSPD_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mspd/log.h"

/** Events of a queue; further ones are dropped and counted. */
#define MSPD_EVENTS_MAX 1000
/** Bytes of a message; the rest is cut, between characters. */
#define MSPD_EVENT_MESSAGE 4096
/** The same of a status report: a part of a document is of no use. */
#define MSPD_EVENT_REPORT 32768

enum mspd_event_kind {
	MSPD_EVENT_GENERIC = 0,
	MSPD_EVENT_REPORTED = 1 /* status of an extension */
};

/**
 * struct mspd_event - one event; whoever has it owns it, free() ends it
 * @next:      in a queue
 * @kind:      enum mspd_event_kind
 * @level:     name of its level; "" in a report
 * @version:   of the agent, or of what is reported
 * @task:      what was done
 * @operation: by which module; in a report what was operated
 * @pid:       of the process, in digits
 * @tid:       of the thread, in at least 8 digits
 * @time:      as mspd_text_time() has it
 * @name:      of a report: what it is about
 * @type:      of a report: its kind of extension
 * @internal:  of a report
 * @success:   of a report
 * @duration:  of a report: ms since the last one
 * @len:       of the message
 * @message:   not redacted, any bytes; NUL-terminated
 */
struct mspd_event {
	struct mspd_event *next;
	enum mspd_event_kind kind;
	char level[8];
	char version[32];
	char task[64];
	char operation[64];
	char pid[16];
	char tid[24];
	char time[24];
	char name[64];
	char type[32];
	bool internal;
	bool success;
	uint64_t duration;
	size_t len;
	char message[];
};

/** A queue, zeroed at first. Threads: one at a time. */
struct mspd_events {
	struct mspd_event *first;
	struct mspd_event *last;
	size_t n;
};

/* A new event of this process, at this time, by this thread, with a message;
 * NULL without memory. */
struct mspd_event *mspd_event_new(enum mspd_event_kind kind, const char *task,
				  const char *operation, const char *message,
				  size_t len);

/* Append; the queue becomes the owner. False if it is full. */
bool mspd_events_push(struct mspd_events *queue, struct mspd_event *event);
/* The first one, or NULL. */
struct mspd_event *mspd_events_pop(struct mspd_events *queue);
/* Free all. */
void mspd_events_clear(struct mspd_events *queue);

/* ---- of the process ---------------------------------------------------- */

/* From now on events are kept. */
void mspd_events_open(void);
/* No longer; those that are left are freed. */
void mspd_events_close(void);
/* Are they? */
bool mspd_events_wanted(void);

/**
 * mspd_event_add - something has happened
 * @message: copied, cut at MSPD_EVENT_MESSAGE between characters
 *
 * Never waits for anything but the queue's lock.
 */
void mspd_event_add(enum mspd_level level, const char *task,
		    const char *operation, const char *message, size_t len);

/* Move events to @out, as many as it has room for. Returns how many were
 * dropped since the last call. */
uint64_t mspd_events_take(struct mspd_events *out);
/* How many there are. */
size_t mspd_events_waiting(void);

#endif
