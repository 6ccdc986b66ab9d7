/* SPDX-License-Identifier: MIT */
/*
 * audit.h - one JSON line per decision in audit.jsonl (0640, 10 MiB, 5 files).
 *
 * Nothing is dropped: a line waits in memory until it is on file, and a writer
 * waits while the memory is full.
 */
#ifndef MSPD_AUDIT_H
#define MSPD_AUDIT_H

#include <time.h>

#include <msp/msp.h>

/** Most bytes of each text in a line; more is cut. */
#define MSPD_AUDIT_TEXT 512
/** Bytes of lines kept in memory. */
#define MSPD_AUDIT_RING (1024 * 1024)
/** Most bytes one line can have, LF included. */
#define MSPD_AUDIT_LINE 32768

/**
 * struct mspd_audit_record - everything borrowed for the call
 * @time:        wall clock of the decision
 * @id:          number of the request
 * @caller:      NULL, or not MSP_CALLER_KNOWN: all that tells who it was, uid
 *               to flags, is null
 * @user:        name of the user, NULL if there is none
 * @endpoint:    enum msp_endpoint, or -1 if there was no destination
 * @method:      as received; NULL if it could not be parsed
 * @path:        text of msp_request_path_text(), never query values; or NULL
 * @decision:    NULL: refused before the rules were asked
 * @status:      what the client was answered, 0 if nothing
 * @us:          microseconds from the request's head to the end
 * @client_port: port the client connected from, 0 if unknown
 */
struct mspd_audit_record {
	struct timespec time;
	uint64_t id;
	const struct msp_caller *caller;
	const char *user;
	int endpoint;
	const char *method;
	const char *path;
	const struct msp_decision *decision;
	unsigned int status;
	uint64_t us;
	uint16_t client_port;
};

struct mspd_audit;

/**
 * mspd_audit_open - start the trail and its writer thread
 * @out: the trail, or NULL on error; end with mspd_audit_close()
 * @dir: created if missing; must not be ""
 * Returns 0 or -errno.
 */
int mspd_audit_open(struct mspd_audit **out, const char *dir);

/**
 * mspd_audit_write - add one line
 *
 * Waits while there is no room, so ask mspd_audit_ready() first where waiting
 * is not wanted. Threads: any.
 *
 * Keys, in this order: time (RFC 3339, microseconds, Z), id; who it was: uid,
 * user, pid, exe, comm, exe_state, gid, groups (supplementary, numbers), euid,
 * loginuid (null: unset), parents ("comm[pid]", nearest first), cgroup, unit,
 * container, netns, mntns, pidns, userns (null: not known), flags (names);
 * endpoint, method, path, verdict, reason, canon (only if the decision has a
 * code), rule, privilege, identity, epoch, status, us, mode, port. Without a
 * decision: verdict deny, reason refused, the rest null.
 *
 * exe_state: "verified": the file at exe is the one that ran; "replaced": it
 * is the one an upgrade put there, which the configuration accepts;
 * "deleted": the one that ran had no name left at connect(); "not-at-path":
 * at exe there is another, or none; "unchecked": no rule asked, or it could
 * not be looked at in time; "unknown": there is no path to look at.
 */
void mspd_audit_write(struct mspd_audit *audit,
		      const struct mspd_audit_record *record);

/* Is there room for one more line, whatever is in it? Threads: any. */
bool mspd_audit_ready(struct mspd_audit *audit);

/* Did the last attempt to write the file fail? It is repeated every second.
 * Threads: any; no lock. */
bool mspd_audit_failed(const struct mspd_audit *audit);

/* Wait until everything added so far is on file, at most @ms. Returns 0 or
 * -ETIMEDOUT. */
int mspd_audit_flush(struct mspd_audit *audit, unsigned int ms);

/**
 * mspd_audit_close - write what waits, stop and free; NULL is fine
 *
 * Returns 0, or -errno if lines are lost because the file cannot be written.
 */
int mspd_audit_close(struct mspd_audit *audit);

#endif
