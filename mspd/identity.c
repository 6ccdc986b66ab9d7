/* SPDX-License-Identifier: MIT */
/*
 * In: an accepted connection. Out: what can be said for certain about who
 * made it. Must never wait in the loop, nor touch a connection that closed
 * while a worker was busy with it.
 */
#include "mspd/identity.h"

#include <stdlib.h>
#include <string.h>

#include "mspd/log.h"

/* Owned by the pool while it runs: the connection may close meanwhile. */
struct mspd_identity_job {
	struct mspd_identity *owner; /* NULL: nobody wants it any more */
	struct msp_redirect *redirect;
	int root_fd;
	bool want_exe;
	bool want_names;
	struct msp_caller caller;
	struct mspd_names *names; /* result, owned */
	bool exe_done;
};

static void work(void *arg)
{
	struct mspd_identity_job *job = arg;

	if (job->want_names)
		job->names = mspd_names_resolve(job->caller.uid);
	if (job->want_exe)
		job->exe_done = msp_peer_verify_exe(job->redirect, job->root_fd,
						    &job->caller, 0) == 0;
}

static void take_names(struct mspd_identity *id, struct mspd_names *names)
{
	mspd_names_free(id->names);
	id->names = names;
	mspd_names_apply(names, &id->caller);
}

/* What has expired is not known any more: should the new answer not come in
 * time, it matches no rule. */
static void drop_names(struct mspd_identity *id)
{
	mspd_names_free(id->names);
	id->names = NULL;
	id->caller.flags &= ~(uint32_t)MSP_CALLER_NAMES;
	id->caller.user_name = NULL;
	id->caller.groups = NULL;
	id->caller.n_groups = 0;
}

static void disown(struct mspd_identity *id)
{
	if (id->job)
		id->job->owner = NULL;
	id->job = NULL;
}

static void finish(struct mspd_identity *id)
{
	void (*done)(void *arg) = id->done;

	mspd_loop_timer(id->shared->loop, &id->timer, MSP_NEVER);
	id->done = NULL;
	if (done)
		done(id->arg);
}

static void take_result(struct mspd_identity *id, struct mspd_identity_job *job)
{
	struct mspd_identities *shared = id->shared;
	uint64_t now = mspd_loop_now(shared->loop).boot_ms;

	id->job = NULL;
	if (job->exe_done) {
		id->exe_checked = true;
		id->caller.flags &= ~(uint32_t)MSP_CALLER_EXE_VERIFIED;
		id->caller.flags |= job->caller.flags & MSP_CALLER_EXE_VERIFIED;
	}
	if (job->names) {
		mspd_names_put(shared->cache, job->names, now);
		take_names(id, mspd_names_ref(job->names));
	}
	finish(id);
}

static void done(void *arg)
{
	struct mspd_identity_job *job = arg;

	if (job->owner)
		take_result(job->owner, job);
	mspd_names_free(job->names);
	free(job);
}

static void on_late(void *arg)
{
	struct mspd_identity *id = arg;

	mspd_log(MSPD_WARN,
		 "identity of uid %u (pid %u) is not complete in time",
		 id->caller.uid, id->caller.pid);
	disown(id);
	finish(id);
}

void mspd_identity_open(struct mspd_identity *identity,
			struct mspd_identities *shared, int fd)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	memset(identity, 0, sizeof(*identity));
	identity->shared = shared;
	identity->timer.call = on_late;
	identity->timer.arg = identity;
	if (msp_peer_identify(shared->redirect, fd, &identity->caller, &info) ==
	    0) {
		identity->known = true;
		return;
	}
	mspd_log(MSPD_WARN, "a caller is not known and will be refused: %s",
		 info.text);
}

void mspd_identity_close(struct mspd_identity *identity)
{
	disown(identity);
	mspd_loop_timer(identity->shared->loop, &identity->timer, MSP_NEVER);
	mspd_names_free(identity->names);
	identity->names = NULL;
}

static bool refresh_names(struct mspd_identity *id)
{
	struct mspd_names *names =
		mspd_names_get(id->shared->cache, id->caller.uid,
			       mspd_loop_now(id->shared->loop).boot_ms);

	if (!names)
		return false;
	if (names == id->names)
		mspd_names_free(names);
	else
		take_names(id, names);
	return true;
}

static struct mspd_identity_job *job_new(struct mspd_identity *id,
					 bool want_names, bool want_exe)
{
	struct mspd_identity_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->owner = id;
	job->redirect = id->shared->redirect;
	job->root_fd = id->shared->root_fd;
	job->want_names = want_names;
	job->want_exe = want_exe;
	job->caller = id->caller;
	return job;
}

bool mspd_identity_complete(struct mspd_identity *identity, unsigned int needs,
			    void (*call)(void *arg), void *arg)
{
	struct mspd_identities *shared = identity->shared;
	struct mspd_identity_job *job;
	bool want_names, want_exe;

	if (!identity->known || identity->caller.flags & MSP_CALLER_KERNEL)
		return true;
	disown(identity); /* of an earlier request that is over */
	want_names = !refresh_names(identity);
	if (want_names)
		drop_names(identity);
	want_exe = (needs & MSP_NEED_EXE) && !identity->exe_checked &&
		   shared->root_fd >= 0;
	if (!want_names && !want_exe)
		return true;
	job = job_new(identity, want_names, want_exe);
	if (!job)
		return true;
	if (mspd_workers_submit(shared->workers, work, done, job) < 0) {
		mspd_log(MSPD_WARN, "too many identities are being looked up");
		free(job);
		return true;
	}
	identity->job = job;
	identity->done = call;
	identity->arg = arg;
	mspd_loop_timer(shared->loop, &identity->timer,
			mspd_loop_now(shared->loop).boot_ms +
				(uint64_t)shared->timeout_s * 1000);
	return false;
}

const char *mspd_identity_user(const struct mspd_identity *identity)
{
	return identity->names ? identity->names->user_name : NULL;
}
