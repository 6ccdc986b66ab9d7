/* SPDX-License-Identifier: MIT */
/*
 * audit.h - one JSON line per decision in audit.jsonl (0640, 10 MiB, 5 files).
 *
 * Nothing is dropped. A line waits in memory until it is on file; what repeats
 * beyond a user's budget, and what finds no room in memory, is counted in a
 * line of its own: lines, and what is merged in them, are all there was.
 *
 * The loop writes into one half of the memory, which takes no system call; a
 * thread writes the other half to the file, with one. Lines are in the
 * kernel's hands MSPD_AUDIT_GATHER_MS later, and a bit.
 */
#ifndef MSPD_AUDIT_H
#define MSPD_AUDIT_H

#include <time.h>

#include <msp/msp.h>

/** Most bytes of each text in a line; more is cut. */
#define MSPD_AUDIT_TEXT 512
/** Bytes of lines kept in memory: of these one half is being written. */
#define MSPD_AUDIT_MEMORY (1024 * 1024)
/** Milliseconds that lines are gathered before they are written. */
#define MSPD_AUDIT_GATHER_MS 20
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
 * @version:     another number whenever @caller or @user is, or says, anything
 *               else; 0: not to be relied on
 * @owner:       on whose budget it is, mspd_fair_key()
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
	uint64_t version;
	uint64_t owner;
};

/**
 * struct mspd_audit_opts - of a trail
 * @dir:       created if missing; must not be ""
 * @records:   a user's budget: so many KiB of lines at once
 * @per_second: and so many more each second; root has four times as much
 * @merge_ms:  how long what repeats is counted before a line tells of it
 * @on_fault:  NULL, or told when the file cannot be written, with an errno,
 *             and when it can be again, with 0. In the writer's thread
 * @arg:       of on_fault
 */
struct mspd_audit_opts {
	const char *dir;
	uint32_t records;
	uint32_t per_second;
	uint32_t merge_ms;
	void (*on_fault)(void *arg, int err);
	void *arg;
};

struct mspd_audit;

/**
 * mspd_audit_open - start the trail and its writer thread
 * @out: the trail, or NULL on error; end with mspd_audit_close()
 *
 * A disk that is full or read-only is no error: the trail has failed until that
 * is over, as if it had become so later. Returns 0 or -errno.
 */
int mspd_audit_open(struct mspd_audit **out,
		    const struct mspd_audit_opts *opts);

/**
 * mspd_audit_write - add one line, or count one more in another
 *
 * Never waits. A user beyond its budget has what is identical counted: the
 * same uid, program, endpoint, method, path, decision and status; if there is
 * more of that than can be kept apart, without method and path; and if even
 * that is too much, all with the same verdict. So is done with everybody's
 * when there is no room in memory, so ask mspd_audit_ready() first.
 *
 * Keys, in this order: time (RFC 3339, microseconds, Z), id; who it was: uid,
 * user, pid, exe, comm, exe_state, gid, groups (supplementary, numbers), euid,
 * loginuid (null: unset), parents ("comm[pid]", nearest first), cgroup, unit,
 * container, netns, mntns, pidns, userns (null: not known), flags (names);
 * endpoint, method, path, verdict, reason, canon (only if the decision has a
 * code), rule, privilege, identity, epoch, status, us, mode, port. Without a
 * decision: verdict deny, reason refused, the rest null. A line that stands
 * for more than one request ends with merged, how many more, and last, the
 * time of the last of them. Each line ends with chain, see audit_chain.h. A
 * line with time, torn and chain alone tells of the one before it, of which a
 * crash left so many bytes.
 *
 * exe_state: "verified": the file at exe is the one that ran; "replaced": it
 * is the one an upgrade put there, which the configuration accepts;
 * "deleted": the one that ran had no name left at connect(); "not-at-path":
 * at exe there is another, or none; "unchecked": no rule asked, or it could
 * not be looked at in time; "unknown": there is no path to look at.
 */
void mspd_audit_write(struct mspd_audit *audit,
		      const struct mspd_audit_record *record);

/* May one more request be taken in: does the file take what is written, and
 * is there room? Threads: any. */
bool mspd_audit_ready(struct mspd_audit *audit);

/* A descriptor that is readable when mspd_audit_ready() would no longer say no;
 * read 8 bytes of it. Borrowed. */
int mspd_audit_room_fd(const struct mspd_audit *audit);

/* Did the last attempt to write the file fail? It is repeated all the time.
 * Threads: any; no lock. */
bool mspd_audit_failed(const struct mspd_audit *audit);

/* Bytes of lines that are not on file yet. Threads: any. */
size_t mspd_audit_queue(struct mspd_audit *audit);

/* Wait until every line added so far is on file, at most @ms; what is counted
 * need not be. Returns 0 or -ETIMEDOUT. */
int mspd_audit_flush(struct mspd_audit *audit, unsigned int ms);

/**
 * mspd_audit_close - write what waits or is counted, stop and free; NULL is
 * fine
 *
 * Returns 0, or -errno if lines are lost because the file cannot be written.
 */
int mspd_audit_close(struct mspd_audit *audit);

#endif
