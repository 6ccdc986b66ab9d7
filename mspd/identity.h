/* SPDX-License-Identifier: MIT */
/*
 * identity.h - who is at the other end of a connection: kernel facts taken at
 * accept, completed by names and a verified executable when a request needs
 * them. What may block runs in a worker, with a deadline; what has not come
 * by then is missing, and what is missing matches no rule.
 */
#ifndef MSPD_IDENTITY_H
#define MSPD_IDENTITY_H

#include <msp/msp.h>

#include "mspd/cgroups.h"
#include "mspd/command.h"
#include "mspd/loop.h"
#include "mspd/programs.h"
#include "mspd/resolver.h"
#include "mspd/worker.h"

/** How long a request waits for names that only its record wants. */
#define MSPD_IDENTITY_GRACE_MS 200
/** Threads that look at executables, at most. */
#define MSPD_IDENTITY_THREADS 8
/** Of these, for the files of one device, or one owner but root. */
#define MSPD_IDENTITY_PER_TAG 2
/** Threads that read command lines of root's, and of all others: of these one
 * for each owner. */
#define MSPD_IDENTITY_ROOT_COMMANDS 4
#define MSPD_IDENTITY_COMMANDS	    16

/**
 * struct mspd_identities - what all identities share; must outlive them
 * @loop:      borrowed
 * @redirect:  borrowed; NULL until it is there: nobody is known before
 * @root_fd:   where executables are looked up; -1: nowhere
 * @timeout_ms: for names and for a look at an executable
 * @names_expiry_ms: how long names are kept
 * @accept_replaced: MSP_PEER_EXE_REPLACED
 *
 * The rest is set by mspd_identities_open().
 */
struct mspd_identities {
	struct mspd_loop *loop;
	struct msp_redirect *redirect;
	int root_fd;
	uint32_t timeout_ms;
	uint32_t names_expiry_ms;
	bool accept_replaced;

	struct mspd_resolver *resolver;
	struct mspd_cgroups *cgroups;
	struct mspd_workers *files;
	struct mspd_watch finished;
	struct mspd_workers *commands[2]; /* of others, of root */
	struct mspd_watch read[2];
	struct mspd_commands *known;
	struct mspd_programs *programs;
	uint64_t warned_ms;  /* when last; not for each request */
	uint64_t unknown_ms; /* the same, of callers that are not known */
	uint64_t unknown;    /* since then */
	uint64_t versions;   /* given out */
};

struct mspd_identity_job;
struct mspd_command_job;

/**
 * struct mspd_identity - belongs to one connection
 * @known:      caller holds the kernel's facts
 * @version:    another one whenever caller or names change, never one that
 *              another identity has had
 * @groups_cut: the kernel's own verdict, which names must not change
 * @exe_checked, @exe_epoch: the executable was looked at for these rules
 * @names:      owned, NULL: not known
 * @cgroup:     owned, may be NULL
 * @needs:      of the request at hand, enum msp_need
 * @all, @user: questions on their way
 * @job:        look at the executable on its way
 * @job_since:  since when
 * @command:    first arguments of the process, without secrets; owned, NULL:
 *              not known. Read once, when a request first comes
 * @reading:    look at them on its way
 * @reading_since: since when
 * @command_asked: it has been read, or cannot be
 */
struct mspd_identity {
	struct mspd_identities *shared;
	struct msp_caller caller;
	uint64_t version;
	bool known;
	bool groups_cut;
	bool exe_checked;
	uint64_t exe_epoch;
	struct mspd_names *names;
	struct mspd_cgroup *cgroup;
	unsigned int needs;
	struct mspd_ask all, user;
	struct mspd_identity_job *job;
	uint64_t job_since;
	char *command;
	struct mspd_command_job *reading;
	uint64_t reading_since;
	bool command_asked;
	struct mspd_timer timer;
	void (*done)(void *arg);
	void *arg;
};

/* 0 or -errno; close it in any case. */
int mspd_identities_open(struct mspd_identities *shared);

/* Waits so long for threads that are busy, and leaves behind what hangs. True:
 * that may still use the redirector, which must then stay until the end. */
bool mspd_identities_close(struct mspd_identities *shared,
			   unsigned int wait_ms);

/* At once after accept: afterwards a client may be gone. */
void mspd_identity_open(struct mspd_identity *identity,
			struct mspd_identities *shared, int fd);
void mspd_identity_close(struct mspd_identity *identity);

/**
 * mspd_identity_complete - find out what a request needs to know
 * @needs: enum msp_need of the rules; the executable is only looked at if it
 *         is needed, names that are not are given a short time
 * @epoch: of these rules
 *
 * True: all is known that will be. False: done(arg) is called later, exactly
 * once unless the identity is closed before, or its done set to NULL.
 */
bool mspd_identity_complete(struct mspd_identity *identity, unsigned int needs,
			    uint64_t epoch, void (*done)(void *arg), void *arg);

/* On whose account it is, mspd_fair_key(): in a user namespace that a user
 * made, on that user's. */
uint64_t mspd_identity_owner(const struct mspd_identity *identity);

/* Name of the user for logs, NULL if unknown; borrowed. */
const char *mspd_identity_user(const struct mspd_identity *identity);

#endif
