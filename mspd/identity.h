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

#include "mspd/loop.h"
#include "mspd/names.h"
#include "mspd/worker.h"

/* What all identities share; borrowed, must outlive them. */
struct mspd_identities {
	struct mspd_loop *loop;
	struct msp_redirect *redirect;
	struct mspd_workers *workers;
	struct mspd_name_cache *cache;
	int root_fd; /* where executables are looked up; -1: nowhere */
	unsigned int timeout_s;
};

struct mspd_identity_job;

/* Belongs to one connection. */
struct mspd_identity {
	struct mspd_identities *shared;
	struct msp_caller caller;
	bool known;
	bool exe_checked;
	struct mspd_names *names; /* owned, may be NULL */
	struct mspd_identity_job *job;
	struct mspd_timer timer;
	void (*done)(void *arg);
	void *arg;
};

/* At once after accept: afterwards a client may be gone. */
void mspd_identity_open(struct mspd_identity *identity,
			struct mspd_identities *shared, int fd);
void mspd_identity_close(struct mspd_identity *identity);

/*
 * Complete the facts as far as needs (enum msp_need) asks. True: they are.
 * False: done(arg) is called later, exactly once unless the identity is
 * closed before.
 */
bool mspd_identity_complete(struct mspd_identity *identity, unsigned int needs,
			    void (*done)(void *arg), void *arg);

/* Name of the user for logs, NULL if unknown; borrowed. */
const char *mspd_identity_user(const struct mspd_identity *identity);

#endif
