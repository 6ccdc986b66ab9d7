/* SPDX-License-Identifier: MIT */
/*
 * In: an accepted connection. Out: what can be said for certain about who
 * made it. Must never wait in the loop, nor touch a connection that closed
 * while a worker was busy with it.
 */
#include "mspd/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "mspd/fair.h"
#include "mspd/log.h"

#define WARN_MS 1000
#define EXE_FLAGS                                                              \
	((uint32_t)(MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED |         \
		    MSP_CALLER_EXE_REPLACED))
/* Part of the kernel's interface. */
#define INITIAL_USER_NS 0xEFFFFFFDu
/* Tags of jobs: whose file, and where it is. */
#define TAG_OWNER  ((uint64_t)1 << 62)
#define TAG_DEVICE ((uint64_t)1 << 63)

/* Owned by the pool while it runs: the connection may close meanwhile. */
struct mspd_identity_job {
	struct mspd_identity *owner; /* NULL: nobody wants it any more */
	struct msp_redirect *redirect;
	int root_fd;
	unsigned int how;
	struct msp_caller caller;
	bool checked;
	struct msp_error_info info; /* why it was not */
};

/* The same, of a look at the arguments. */
struct mspd_command_job {
	struct mspd_identity *owner;
	struct mspd_workers *pool;
	uint32_t pid;
	uint64_t start_ns;
	char *text; /* NULL: none */
};

/* ---- whose it is ------------------------------------------------------- */

uint64_t mspd_identity_owner(const struct mspd_identity *identity)
{
	const struct msp_caller *c = &identity->caller;

	if (!identity->known)
		return mspd_fair_key(MSPD_FAIR_UNKNOWN, 0);
	if (c->user_ns == INITIAL_USER_NS)
		return mspd_fair_key(MSPD_FAIR_USER, c->uid);
	if (c->ns_owner != 0)
		return mspd_fair_key(MSPD_FAIR_USER, c->ns_owner);
	return mspd_fair_key(MSPD_FAIR_NESTED, c->uid);
}

/* Who pays for what threads do: whoever can choose among thousands of uids
 * must not have the threads of as many. */
static uint64_t account_of(const struct mspd_identity *id)
{
	uint64_t owner = mspd_identity_owner(id);

	if (mspd_fair_kind(owner) == MSPD_FAIR_NESTED)
		return mspd_fair_key(MSPD_FAIR_NESTED, 0);
	return owner;
}

static uint64_t now_ms(const struct mspd_identity *id)
{
	return mspd_loop_now(id->shared->loop).boot_ms;
}

/* ---- waiting ----------------------------------------------------------- */

static bool asking(const struct mspd_identity *id)
{
	return id->all.flight || id->user.flight;
}

/* Does what is still asked for only serve the record? */
static bool names_suffice(const struct mspd_identity *id)
{
	if (id->needs & MSP_NEED_GROUPS)
		return false;
	return !(id->needs & MSP_NEED_USER) || id->names;
}

/* Until when the request at hand waits; 0: it does not. One deadline for each
 * question, whenever the request came: once it has passed, what hangs is
 * waited for no more. */
static uint64_t wait_until(const struct mspd_identity *id)
{
	const uint64_t timeout = id->shared->timeout_ms;
	uint64_t names = timeout;
	uint64_t until = 0;

	if (names_suffice(id))
		names = MSPD_IDENTITY_GRACE_MS;
	if (id->all.flight)
		until = id->all.since_ms + names;
	if (id->user.flight && id->user.since_ms + names > until)
		until = id->user.since_ms + names;
	if (id->job && id->job_since + timeout > until)
		until = id->job_since + timeout;
	/* for the record only */
	if (id->reading && id->reading_since + MSPD_IDENTITY_GRACE_MS > until)
		until = id->reading_since + MSPD_IDENTITY_GRACE_MS;
	return until;
}

/* Is it over? Otherwise sets the timer. */
static bool settle(struct mspd_identity *id)
{
	uint64_t until = wait_until(id);

	if (until <= now_ms(id)) {
		mspd_loop_timer(id->shared->loop, &id->timer, MSP_NEVER);
		return true;
	}
	mspd_loop_timer(id->shared->loop, &id->timer, until);
	return false;
}

/* A local user can make requests that are late, not a log of them. */
static void warn(struct mspd_identity *id, const char *text)
{
	uint64_t now = now_ms(id);

	if (id->shared->warned_ms && now - id->shared->warned_ms < WARN_MS)
		return;
	id->shared->warned_ms = now;
	mspd_log(MSPD_WARN, "identity of uid %u (pid %u): %s", id->caller.uid,
		 id->caller.pid, text);
}

/* Whoever sends a byte and leaves is one. */
static void warn_unknown(struct mspd_identities *shared, const char *text)
{
	uint64_t now = mspd_loop_now(shared->loop).boot_ms;

	shared->unknown++;
	if (shared->unknown_ms && now - shared->unknown_ms < WARN_MS)
		return;
	mspd_log(MSPD_WARN,
		 "callers not known, to be refused: %llu of late, the last: %s",
		 (unsigned long long)shared->unknown, text);
	shared->unknown_ms = now;
	shared->unknown = 0;
}

static void drop_job(struct mspd_identity *id)
{
	struct mspd_identity_job *job = id->job;

	id->job = NULL;
	if (!job)
		return;
	job->owner = NULL;
	if (mspd_workers_cancel(id->shared->files, job))
		free(job);
}

static void drop_reading(struct mspd_identity *id)
{
	struct mspd_command_job *job = id->reading;

	id->reading = NULL;
	if (!job)
		return;
	job->owner = NULL;
	if (mspd_workers_cancel(job->pool, job))
		free(job);
}

/* What has not come is missing now. */
static void stop_waiting(struct mspd_identity *id)
{
	mspd_resolver_leave(id->shared->resolver, &id->all);
	mspd_resolver_leave(id->shared->resolver, &id->user);
	drop_job(id);
	drop_reading(id);
	mspd_loop_timer(id->shared->loop, &id->timer, MSP_NEVER);
}

static void give_up(struct mspd_identity *id)
{
	if (id->job || (asking(id) && !names_suffice(id)))
		warn(id, "not complete in time");
	stop_waiting(id);
}

/* After something has come, or the time is over. */
static void go_on(struct mspd_identity *id)
{
	void (*done)(void *arg) = id->done;

	if (!settle(id))
		return;
	give_up(id);
	id->done = NULL;
	if (done)
		done(id->arg);
}

static void on_time(void *arg)
{
	go_on(arg);
}

static void changed(struct mspd_identity *id)
{
	id->version = ++id->shared->versions;
}

/* ---- names ------------------------------------------------------------- */

/* Takes the reference. */
static void take_names(struct mspd_identity *id, struct mspd_names *names)
{
	mspd_names_free(id->names);
	id->names = names;
	mspd_names_apply(names, &id->caller, id->groups_cut);
	changed(id);
}

static void on_all(void *arg, struct mspd_names *names)
{
	struct mspd_identity *id = arg;

	if (names) {
		/* it says all that the other question asks */
		mspd_resolver_leave(id->shared->resolver, &id->user);
		take_names(id, mspd_names_ref(names));
	}
	go_on(id);
}

static void on_user(void *arg, struct mspd_names *names)
{
	struct mspd_identity *id = arg;

	if (names && names->complete)
		take_names(id, mspd_names_ref(names));
	go_on(id);
}

static void ask(struct mspd_identity *id, const struct mspd_names_key *key,
		struct mspd_ask *question)
{
	struct mspd_names_key asked = *key;

	asked.account = account_of(id);
	if (mspd_resolver_ask(id->shared->resolver, &asked, question) < 0)
		warn(id, "too many names are being looked up");
}

/* What has expired is not known any more: should the new answer not come in
 * time, it matches no rule. */
static void refresh_names(struct mspd_identity *id)
{
	struct mspd_resolver *resolver = id->shared->resolver;
	struct mspd_names_key user = { .uid = id->caller.uid,
				       .user_only = true };
	struct mspd_names_key key;
	struct mspd_names *names;

	if (id->names && !id->names->key.user_only &&
	    mspd_resolver_fresh(resolver, id->names))
		return;
	mspd_names_key(&key, &id->caller);
	names = mspd_resolver_get(resolver, &key);
	take_names(id, names);
	if (names)
		return;
	ask(id, &key, &id->all);
	names = mspd_resolver_get(resolver, &user);
	if (names && names->complete)
		take_names(id, names);
	else
		mspd_names_free(names);
	if (!id->names)
		ask(id, &user, &id->user);
}

/* ---- executable -------------------------------------------------------- */

static void check_exe(void *arg)
{
	struct mspd_identity_job *job = arg;

	job->checked =
		msp_peer_verify_exe(job->redirect, job->root_fd, &job->caller,
				    job->how, &job->info) == 0;
}

static void on_exe(void *arg)
{
	struct mspd_identity_job *job = arg;
	struct mspd_identity *id = job->owner;

	if (id) {
		id->job = NULL;
		id->exe_checked = job->checked;
		id->caller.flags &= ~EXE_FLAGS;
		if (job->checked)
			id->caller.flags |= job->caller.flags & EXE_FLAGS;
		else
			warn(id, job->info.text);
		changed(id);
	}
	free(job);
	if (id)
		go_on(id);
}

/* In a worker, a bounded number for each device and owner: a mount that hangs
 * is often some user's own. */
static void submit_exe(struct mspd_identity *id, unsigned int how)
{
	const uint64_t root = mspd_fair_key(MSPD_FAIR_USER, 0);
	struct mspd_work work = { .work = check_exe, .done = on_exe };
	struct mspd_identity_job *job = calloc(1, sizeof(*job));

	if (!job)
		return;
	job->owner = id;
	job->redirect = id->shared->redirect;
	job->root_fd = id->shared->root_fd;
	job->how = how;
	job->info = (struct msp_error_info)MSP_ERROR_INFO_INIT;
	job->caller = id->caller;
	work.arg = job;
	work.tags[0] = TAG_DEVICE | id->caller.exe.device;
	if (account_of(id) != root)
		work.tags[1] = TAG_OWNER | account_of(id);
	if (mspd_workers_submit(id->shared->files, &work) < 0) {
		warn(id, "too many programs are being looked at");
		free(job);
		return;
	}
	id->job = job;
	id->job_since = now_ms(id);
}

/* What was verified a moment ago is not looked up again. */
static bool was_verified(struct mspd_identity *id, unsigned int how)
{
	if (!mspd_programs_verified(id->shared->programs, &id->caller, how,
				    id->exe_epoch,
				    mspd_loop_now(id->shared->loop)))
		return false;
	id->caller.flags |= MSP_CALLER_EXE_CHECKED | MSP_CALLER_EXE_VERIFIED;
	id->exe_checked = true;
	return true;
}

static void refresh_exe(struct mspd_identity *id, uint64_t epoch)
{
	unsigned int how =
		id->shared->accept_replaced ? MSP_PEER_EXE_REPLACED : 0;

	if (id->exe_epoch != epoch) {
		id->exe_epoch = epoch;
		id->exe_checked = false;
		id->caller.flags &= ~EXE_FLAGS;
		changed(id);
	}
	if (!(id->needs & MSP_NEED_EXE) || id->exe_checked ||
	    id->shared->root_fd < 0)
		return;
	changed(id);
	if (was_verified(id, how))
		return;
	/* nearly always in memory, and then this takes some microseconds */
	id->exe_checked =
		msp_peer_verify_exe(id->shared->redirect, id->shared->root_fd,
				    &id->caller, how | MSP_PEER_EXE_CACHED,
				    NULL) == 0;
	if (!id->exe_checked)
		submit_exe(id, how);
	else
		mspd_programs_put(id->shared->programs, &id->caller, how, epoch,
				  mspd_loop_now(id->shared->loop));
}

/* ---- command line ------------------------------------------------------ */

static void read_command(void *arg)
{
	struct mspd_command_job *job = arg;
	char text[MSPD_COMMAND_TEXT];

	if (mspd_command_read(job->pid, job->start_ns, text, sizeof(text)) == 0)
		job->text = strdup(text);
}

static void on_command(void *arg)
{
	struct mspd_command_job *job = arg;
	struct mspd_identity *id = job->owner;

	if (id) {
		id->reading = NULL;
		id->command = job->text;
		job->text = NULL;
		changed(id);
	}
	if (id && id->command)
		mspd_commands_put(id->shared->known, &id->caller, id->command,
				  now_ms(id));
	free(job->text);
	free(job);
	if (id)
		go_on(id);
}

/* What root runs is not kept waiting by what hangs of others. */
static void submit_command(struct mspd_identity *id)
{
	const bool root = account_of(id) == mspd_fair_key(MSPD_FAIR_USER, 0);
	struct mspd_work work = { .work = read_command, .done = on_command };
	struct mspd_command_job *job = calloc(1, sizeof(*job));

	if (!job)
		return;
	job->owner = id;
	job->pool = id->shared->commands[root];
	job->pid = id->caller.pid;
	job->start_ns = id->caller.start_ns;
	work.arg = job;
	if (!root)
		work.tags[0] = TAG_OWNER | account_of(id);
	if (mspd_workers_submit(job->pool, &work) < 0) {
		free(job);
		return;
	}
	id->reading = job;
	id->reading_since = now_ms(id);
}

static void refresh_command(struct mspd_identity *id)
{
	const char *known;

	/* 0: in no PID namespace of ours */
	if (id->command_asked || !id->caller.pid)
		return;
	id->command_asked = true;
	known = mspd_commands_get(id->shared->known, &id->caller, now_ms(id));
	if (!known) {
		submit_command(id);
		return;
	}
	id->command = strdup(known);
	changed(id);
}

/* ---- public ------------------------------------------------------------ */

void mspd_identity_open(struct mspd_identity *identity,
			struct mspd_identities *shared, int fd)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;

	memset(identity, 0, sizeof(*identity));
	identity->shared = shared;
	identity->timer.call = on_time;
	identity->timer.arg = identity;
	identity->all = (struct mspd_ask){ .done = on_all, .arg = identity };
	identity->user = (struct mspd_ask){ .done = on_user, .arg = identity };
	if (!shared->redirect)
		return; /* not yet: then only the agent itself can be asked */
	identity->caller.size = sizeof(identity->caller);
	if (msp_peer_identify(shared->redirect, fd, &identity->caller, &info) <
	    0) {
		warn_unknown(shared, info.text);
		return;
	}
	identity->known = true;
	changed(identity);
	identity->groups_cut = identity->caller.flags & MSP_CALLER_GROUPS_CUT;
	identity->cgroup =
		mspd_cgroups_get(shared->cgroups, identity->caller.cgroup_id);
	if (identity->cgroup)
		identity->caller.cgroup_path =
			mspd_cgroup_path(identity->cgroup);
}

void mspd_identity_close(struct mspd_identity *identity)
{
	stop_waiting(identity);
	mspd_names_free(identity->names);
	identity->names = NULL;
	mspd_cgroup_free(identity->cgroup);
	identity->cgroup = NULL;
	free(identity->command);
	identity->command = NULL;
}

bool mspd_identity_complete(struct mspd_identity *identity, unsigned int needs,
			    uint64_t epoch, void (*done)(void *arg), void *arg)
{
	if (!identity->known || identity->caller.flags & MSP_CALLER_KERNEL)
		return true;
	stop_waiting(identity); /* for an earlier request that is over */
	identity->needs = needs;
	refresh_names(identity);
	refresh_exe(identity, epoch);
	refresh_command(identity);
	if (settle(identity)) {
		give_up(identity);
		return true;
	}
	identity->done = done;
	identity->arg = arg;
	return false;
}

const char *mspd_identity_user(const struct mspd_identity *identity)
{
	return identity->names ? identity->names->user_name : NULL;
}

/* ---- what all share ---------------------------------------------------- */

static void on_finished(void *arg, uint32_t events)
{
	(void)events;
	mspd_workers_reap(arg);
}

static int look_up_cgroup(void *arg, uint64_t id, char *text, size_t room)
{
	const struct mspd_identities *shared = arg;

	return msp_peer_cgroup_path(shared->redirect, id, text, room, NULL);
}

static int open_pool(struct mspd_identities *shared, struct mspd_workers **pool,
		     struct mspd_watch *watch, size_t threads, size_t per_tag)
{
	const struct mspd_workers_opts opts = {
		.threads = threads,
		.per_tag = per_tag,
	};
	int err = mspd_workers_new(pool, &opts);

	if (err < 0)
		return err;
	watch->fd = mspd_workers_fd(*pool);
	watch->call = on_finished;
	watch->arg = *pool;
	return mspd_loop_watch(shared->loop, watch, EPOLLIN);
}

int mspd_identities_open(struct mspd_identities *shared)
{
	const struct mspd_resolver_opts names = {
		.loop = shared->loop,
		.expiry_ms = shared->names_expiry_ms,
	};
	int err;

	err = mspd_resolver_new(&shared->resolver, &names);
	if (err == 0)
		err = mspd_cgroups_new(&shared->cgroups, look_up_cgroup,
				       shared);
	if (err == 0)
		err = mspd_commands_new(&shared->known);
	if (err == 0)
		err = mspd_programs_new(&shared->programs);
	if (err == 0)
		err = open_pool(shared, &shared->files, &shared->finished,
				MSPD_IDENTITY_THREADS, MSPD_IDENTITY_PER_TAG);
	if (err == 0)
		err = open_pool(shared, &shared->commands[0], &shared->read[0],
				MSPD_IDENTITY_COMMANDS, 1);
	if (err == 0)
		err = open_pool(shared, &shared->commands[1], &shared->read[1],
				MSPD_IDENTITY_ROOT_COMMANDS, 0);
	return err;
}

/* What hangs, if it was waited for so long. */
static size_t close_pool(struct mspd_identities *shared,
			 struct mspd_workers **pool, struct mspd_watch *watch,
			 unsigned int wait_ms)
{
	size_t hangs = 0;

	if (!*pool)
		return 0;
	mspd_loop_unwatch(shared->loop, watch);
	hangs = mspd_workers_free(*pool, wait_ms);
	*pool = NULL;
	return hangs;
}

bool mspd_identities_close(struct mspd_identities *shared, unsigned int wait_ms)
{
	bool hangs = close_pool(shared, &shared->files, &shared->finished,
				wait_ms) > 0;
	int i;

	if (hangs)
		wait_ms = 0;
	/* one that hangs uses nothing but its own */
	for (i = 0; i < 2; i++)
		if (close_pool(shared, &shared->commands[i], &shared->read[i],
			       wait_ms) > 0)
			wait_ms = 0;
	mspd_resolver_free(shared->resolver, wait_ms);
	mspd_cgroups_free(shared->cgroups);
	mspd_commands_free(shared->known);
	shared->known = NULL;
	mspd_programs_free(shared->programs);
	shared->programs = NULL;
	shared->resolver = NULL;
	shared->cgroups = NULL;
	return hangs;
}
