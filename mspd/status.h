/* SPDX-License-Identifier: MIT */
/*
 * status.h - the aggregate status document: status.json and the answer to
 * /gpa-aggregated-status (spec 4.1-4.3).
 *
 * Threads: any.
 */
#ifndef MSPD_STATUS_H
#define MSPD_STATUS_H

#include "mspd/summary.h"

enum mspd_module {
	MSPD_MODULE_KEY_KEEPER = 0, /* keyLatchStatus */
	MSPD_MODULE_REDIRECTOR = 1, /* ebpfProgramStatus */
	MSPD_MODULE_LISTENER = 2,   /* proxyListenerStatus */
	MSPD_MODULE_MONITOR = 3,    /* monitorStatus */
	MSPD_MODULE_TELEMETRY = 4   /* telemetryLoggerStatus */
};
#define MSPD_MODULES 5

enum mspd_state {
	MSPD_STATE_UNKNOWN = 0,
	MSPD_STATE_RUNNING = 1,
	MSPD_STATE_STOPPED = 2
};

/**
 * struct mspd_key_states - what the key keeper reports; all copied
 * @channel:         secure channel state (spec 5.4), NULL: `Unknown`
 * @key_guid:        NULL: no key is held
 * @rule_id:         by enum msp_endpoint, as received; NULL: ""
 * @has_incarnation: the key has one
 * @incarnation:     it
 */
struct mspd_key_states {
	const char *channel;
	const char *key_guid;
	const char *rule_id[MSP_ENDPOINTS];
	bool has_incarnation;
	uint32_t incarnation;
};

struct mspd_status;

/** Where a source writes; valid during its call. */
struct mspd_states;

/**
 * mspd_source - says what a module's `states` are at this moment
 *
 * Called while a document is made, with the status locked: it must not call
 * back into the status, and not wait. Threads: any.
 */
typedef void mspd_source(void *arg, struct mspd_states *out);
#define MSPD_SOURCES 4 /* of one module */

/* Every module UNKNOWN with `Status unknown.`; the time of this call is the
 * start of the process. Returns 0 or -errno. */
int mspd_status_new(struct mspd_status **out);

/* Free; NULL is fine. */
void mspd_status_free(struct mspd_status *status);

/**
 * mspd_status_module - new state and message of one module
 *
 * The message is cut at 1,024 bytes at a character boundary, then `...` is
 * added (fix Q13). A message that changed is also logged, and an event, as a
 * warning.
 */
void mspd_status_module(struct mspd_status *status, enum mspd_module module,
			enum mspd_state state, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* While this is set, whatever else a module reports, it is STOPPED with this
 * message; NULL: no longer. Cut like a message, at 256 bytes. */
void mspd_status_fault(struct mspd_status *status, enum mspd_module module,
		       const char *text);

/* State of a module. */
enum mspd_state mspd_status_state(struct mspd_status *status,
				  enum mspd_module module);

/* Message of a module; cut to @size at a character boundary. */
void mspd_status_message(struct mspd_status *status, enum mspd_module module,
			 char *out, size_t size);

/* The key keeper's states. Returns 0 or -ENOMEM: then the old ones stay. */
int mspd_status_states(struct mspd_status *status,
		       const struct mspd_key_states *states);

/**
 * mspd_status_source - what is to be shown of a module from now on
 * @arg: must outlive the status, or the last document
 *
 * The module gets an object `states`, string to string like the key keeper's,
 * with what its sources put; readers ignore names that they do not know.
 * Returns 0, -EINVAL for the key keeper, -ENOSPC.
 */
int mspd_status_source(struct mspd_status *status, enum mspd_module module,
		       mspd_source *call, void *arg);

/* For sources. The name is a constant of ours; the value is cut and cleaned
 * like a message. */
void mspd_states_put(struct mspd_states *out, const char *name,
		     const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One more HTTP request was seen by the listener. No lock. */
void mspd_status_count(struct mspd_status *status);

/* Milliseconds since the start, for messages that end in ` - <ms>`. */
uint64_t mspd_status_elapsed_ms(const struct mspd_status *status);

/* SUCCESS: key keeper, redirector and listener are all RUNNING? */
bool mspd_status_success(struct mspd_status *status);

/**
 * mspd_status_json - the document
 * @summary: borrowed; NULL: both summaries are empty
 * @pretty:  two blanks per level, else compact; no newline at the end
 * @text:    set to malloc'ed bytes with a NUL behind, NULL on error
 * @len:     set to their number, without the NUL
 * Returns 0 or -errno.
 */
int mspd_status_json(struct mspd_status *status, struct mspd_summary *summary,
		     bool pretty, char **text, size_t *len);

/* proxyAgentStatus alone, compact; otherwise the same. */
int mspd_status_agent_json(struct mspd_status *status, char **text,
			   size_t *len);

/**
 * mspd_status_write - replace @dir/status.json, mode 0640
 *
 * The monitor's message tells how it went. Blocks: not for the event loop.
 * Returns 0 or -errno.
 */
int mspd_status_write(struct mspd_status *status, struct mspd_summary *summary,
		      const char *dir);

#endif
