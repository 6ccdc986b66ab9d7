/* SPDX-License-Identifier: MIT */
/*
 * In: the host's key status. Out: redirection, and snapshots of key and rules
 * for the loop. Must never redirect a connection that could not be served,
 * nor replace good rules by bad ones (design D4, D5).
 */
#include "mspd/keeper_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "mspd/keyfolder.h"
#include "mspd/log.h"
#include "mspd/process.h"
#include "mspd/seccomp.h"
#include "mspd/snapshot.h"

#define WAIT_MAX_MS 60000
/* What has failed is tried again so soon that all is well 10 seconds after what
 * was in the way is gone: with what a call of the key channel may take. */
#define RETRY_MS       3000
#define FOLDER_LAST_MS 8000
/* The first status, if nothing is to be told before: clients wait for the key,
 * and files for the disk. */
#define STATUS_FIRST_MS 100

#define NO_FOLDER      "Failed to open the key folder: "
#define KEEPER_STARTED "poll secure channel status task started."

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct msp_time mspd_keeper_clock(void)
{
	struct msp_time now;
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	now.boot_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &t);
	now.wall_s = t.tv_sec;
	return now;
}

/* Without the time that the machine is suspended for, like poll(2). */
static uint64_t steady_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- key and rules ----------------------------------------------------- */

static enum msp_redirect_state wanted_state(const struct mspd_keeper *k,
					    size_t endpoint)
{
	if (!k->latched_once)
		return MSP_REDIRECT_OFF;
	switch (k->rules.mode[endpoint]) {
	case MSP_MODE_ENFORCE:
		return MSP_REDIRECT_ENFORCE;
	case MSP_MODE_AUDIT:
		return MSP_REDIRECT_AUDIT;
	case MSP_MODE_DISABLED:
		break;
	}
	return MSP_REDIRECT_OFF;
}

static void report_switches(struct mspd_keeper *k)
{
	enum msp_endpoint endpoint;

	if (mspd_switches_failing(&k->switches, &endpoint))
		mspd_status_module(k->opts.status, MSPD_MODULE_REDIRECTOR,
				   MSPD_STATE_STOPPED,
				   "Failed to switch redirection of %s",
				   msp_endpoint_name(endpoint));
	else
		mspd_keeper_report_redirector(k);
}

/* First the switch, then the search: else one could slip in between. */
static void run_switches(struct mspd_keeper *k, uint64_t now_ms)
{
	size_t i;

	if (!mspd_switches_run(&k->switches, now_ms))
		return;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		mspd_sweeper_set(&k->sweeper, (enum msp_endpoint)i,
				 mspd_switches_is(&k->switches, i), now_ms);
	report_switches(k);
	k->status_at = now_ms;
}

static void set_redirection(struct mspd_keeper *k, uint64_t now_ms)
{
	size_t i;

	/* as it was left, until the host has said how it is to be */
	if (!msp_latch_status(k->latch))
		return;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		mspd_switches_want(&k->switches, (enum msp_endpoint)i,
				   wanted_state(k, i), now_ms);
	run_switches(k, now_ms);
}

static int publish(struct mspd_keeper *k)
{
	struct msp_key *key = msp_latch_key(k->latch);
	struct mspd_policy *policy = mspd_policy_new();
	size_t i;

	if (!policy)
		return -ENOMEM;
	if (key)
		policy->key = msp_key_ref(key);
	for (i = 0; i < MSP_ENDPOINTS; i++) {
		policy->mode[i] = k->rules.mode[i];
		if (k->rules.rules[i])
			policy->rules[i] = msp_rules_ref(k->rules.rules[i]);
		mspd_ruleset_describe(&k->rules, policy, (enum msp_endpoint)i);
	}
	mspd_policy_publish(k->opts.policies, policy);
	return 0;
}

/* Messages about an achievement carry the time it took (spec 4.3). */
static void report_message(struct mspd_keeper *k)
{
	enum msp_latch_state state = msp_latch_state(k->latch);
	const char *message = msp_latch_message(k->latch);
	size_t len = strlen(message);
	bool achieved =
		(state == MSP_LATCH_LATCHED || state == MSP_LATCH_DISABLED) &&
		len > 0 && message[len - 1] == '.' &&
		strncmp(message, "Failed", 6) != 0;
	char time[32] = "";

	if (!len && !k->rules.fault[0] && !k->rules.local_fault[0])
		return; /* nothing has happened yet that is worth a word */
	if (achieved)
		snprintf(time, sizeof(time), " - %llu",
			 (unsigned long long)mspd_status_elapsed_ms(
				 k->opts.status));
	mspd_status_module(k->opts.status, MSPD_MODULE_KEY_KEEPER,
			   MSPD_STATE_RUNNING, "%s%s%s%s%s%s", message, time,
			   k->rules.fault[0] ? " " : "", k->rules.fault,
			   k->rules.local_fault[0] ? " " : "",
			   k->rules.local_fault);
}

static void take_clock(struct mspd_keeper *k)
{
	int64_t offset;

	if (!msp_latch_clock(k->latch, &offset))
		return;
	atomic_store(&k->opts.policies->clock_offset, offset);
	atomic_store(&k->opts.policies->clock_known, true);
}

/* For who asks for the status. */
static void take_contact(struct mspd_keeper *k, unsigned int changes,
			 struct msp_time now)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	int rc = msp_latch_failure(k->latch, &info);
	const char *text = info.text[0] ? info.text : msp_error_text(rc);

	mspd_policy_set_failure(k->opts.policies, rc < 0 ? text : "");
	if (changes & MSP_LATCH_CHANGED_FAILURE)
		mspd_policy_count_failure(k->opts.policies);
	if (changes & MSP_LATCH_CHANGED_STATUS)
		mspd_policy_set_contact(k->opts.policies, now);
}

static void write_snapshot(struct mspd_keeper *k)
{
	const char *dir = k->opts.config->status_dir;
	struct timespec now;
	int err;

	if (!k->rules.replaced)
		return;
	k->rules.replaced = false;
	clock_gettime(CLOCK_REALTIME, &now);
	err = mspd_snapshot_write(dir, k->rules.profile, k->rules.rules, now);
	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot write the rules in %s: %s", dir,
			 strerror(-err));
}

/* With every status, and in between if a local file is to be looked at. */
static void take_rules(struct mspd_keeper *k, unsigned int changes,
		       struct msp_time now)
{
	const struct msp_keystatus *status = msp_latch_status(k->latch);

	if (!status || (!(changes & MSP_LATCH_CHANGED_STATUS) &&
			now.boot_ms < mspd_ruleset_deadline(&k->rules)))
		return;
	k->unpublished |= mspd_ruleset_update(&k->rules, status, now);
}

static void take_changes(struct mspd_keeper *k, struct msp_time now)
{
	unsigned int changes = msp_latch_changes(k->latch);
	bool news = changes & MSP_LATCH_CHANGED_STATE;

	take_contact(k, changes, now);
	changes &= ~(unsigned int)MSP_LATCH_CHANGED_FAILURE;
	if (changes & MSP_LATCH_CHANGED_STATUS)
		mspd_latched_answer(&k->latched);
	take_rules(k, changes, now);
	if (!changes && !k->unpublished)
		return;
	if (changes & MSP_LATCH_CHANGED_WARNING)
		mspd_log(MSPD_WARN, "%s", msp_latch_warning(k->latch));
	if (changes & MSP_LATCH_CHANGED_KEY)
		k->unpublished = true;
	if (msp_latch_state(k->latch) == MSP_LATCH_LATCHED)
		k->latched_once = true;
	take_clock(k);
	news |= k->unpublished;
	/* what requests will be judged by, before any is sent here */
	if (k->unpublished && publish(k) < 0) {
		mspd_log(MSPD_ERROR, "no memory for new rules: the old stay");
		return;
	}
	k->unpublished = false;
	/* said before it can be seen: a client that is redirected may ask for
	 * the status */
	mspd_latched_show(&k->latched);
	if (news) {
		report_message(k);
		k->status_at = now.boot_ms;
	}
	set_redirection(k, now.boot_ms);
	write_snapshot(k);
	mspd_latched_report(&k->latched, changes & MSP_LATCH_CHANGED_KEY,
			    now.boot_ms);
}

/* Even if nothing can be done for them yet, they have been taken. */
static void take_notices(struct mspd_keeper *k, uint64_t now_ms)
{
	if (mspd_latched_notices(&k->latched, now_ms)) {
		mspd_latched_show(&k->latched);
		k->folder_at = now_ms;
	}
}

/* ---- the key folder ---------------------------------------------------- */

static int open_latch(struct mspd_keeper *k, char error[MSPD_KEYFOLDER_ERROR])
{
	const struct mspd_config *config = k->opts.config;
	struct msp_latch_opts latch = { .size = sizeof(latch) };
	int err = 0;

	if (!k->store)
		err = mspd_keyfolder_open(&k->store, config->key_dir, error);
	if (err < 0)
		return err;
	latch.poll_ms = config->poll_ms;
	latch.retry_ms = (uint32_t)earliest(config->poll_ms, RETRY_MS);
	latch.eager_ms = config->eager_poll_ms;
	latch.eager_for_ms = config->eager_for_ms;
	latch.clock_ms = config->host_time_ms;
	if (msp_latch_new(&k->latch, k->channel, k->store, &latch) < 0) {
		snprintf(error, MSPD_KEYFOLDER_ERROR, "out of memory");
		return -ENOMEM;
	}
	k->latched.latch = k->latch;
	return 0;
}

/* Who looks at the console sees each cause once, not each attempt. */
static void tell_no_folder(struct mspd_keeper *k, const char *error)
{
	char before[MSPD_KEYFOLDER_ERROR + 64], after[sizeof(before)];

	mspd_status_message(k->opts.status, MSPD_MODULE_KEY_KEEPER, before,
			    sizeof(before));
	mspd_status_module(k->opts.status, MSPD_MODULE_KEY_KEEPER,
			   MSPD_STATE_STOPPED, NO_FOLDER "%s", error);
	mspd_status_message(k->opts.status, MSPD_MODULE_KEY_KEEPER, after,
			    sizeof(after));
	if (strcmp(before, after) != 0)
		mspd_console_say(k->opts.console, after);
}

/* An agent that ended here would only be started again: it listens, tells
 * whoever asks what is wrong, and goes on once that has been put right. */
static void find_folder(struct mspd_keeper *k, uint64_t now_ms)
{
	char error[MSPD_KEYFOLDER_ERROR];

	if (now_ms < k->folder_at)
		return;
	if (open_latch(k, error) == 0) {
		mspd_status_module(k->opts.status, MSPD_MODULE_KEY_KEEPER,
				   MSPD_STATE_RUNNING, KEEPER_STARTED);
		return;
	}
	tell_no_folder(k, error);
	k->folder_at = now_ms + k->folder_ms;
	k->folder_ms = earliest(2 * k->folder_ms, FOLDER_LAST_MS);
	k->status_at = now_ms;
}

/* Clients that wait are to find a key, and rules. */
static void let_in(struct mspd_keeper *k, uint64_t now_ms)
{
	enum msp_latch_state state =
		k->latch ? msp_latch_state(k->latch) : MSP_LATCH_UNKNOWN;
	bool served = !k->unpublished && (state == MSP_LATCH_LATCHED ||
					  state == MSP_LATCH_DISABLED);

	if (mspd_heir_lets_in(&k->heir, served, now_ms))
		mspd_stages_enter(&k->stages, MSPD_STAGE_UP);
}

/* ---- the thread -------------------------------------------------------- */

static void write_status(struct mspd_keeper *k, uint64_t now_ms)
{
	int err;

	if (now_ms < k->status_at)
		return;
	/* once a round, however often it is written in between */
	if (now_ms >= k->memory_at) {
		k->memory_at = now_ms + k->opts.config->status_ms;
		mspd_process_log_memory();
	}
	k->status_at = now_ms + k->opts.config->status_ms;
	err = mspd_status_write(k->opts.status, k->opts.summary,
				k->opts.config->status_dir);
	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot write status.json in %s: %s",
			 k->opts.config->status_dir, strerror(-err));
}

static void wait_for_work(struct mspd_keeper *k, uint64_t now_ms)
{
	struct pollfd fds[3] = { { .fd = k->wake_fd, .events = POLLIN },
				 { .fd = mspd_provision_fd(k->opts.provision),
				   .events = POLLIN },
				 { .fd = -1 } };
	uint64_t until = earliest(k->status_at,
				  mspd_provision_deadline(k->opts.provision));
	uint64_t woken;
	int ms;

	if (!k->latch)
		until = earliest(until, k->folder_at);
	if (k->up) {
		until = earliest(until, mspd_heir_deadline(&k->heir));
		until = earliest(until, msp_latch_deadline(k->latch));
		until = earliest(until, mspd_switches_deadline(&k->switches));
		until = earliest(until, mspd_sweeper_deadline(&k->sweeper));
		until = earliest(until, mspd_ruleset_deadline(&k->rules));
		until = earliest(until, k->mend_at);
		fds[2].fd = msp_latch_fd(k->latch);
		fds[2].events = msp_latch_events(k->latch);
	} else {
		until = earliest(until, k->retry_at);
	}
	ms = until <= now_ms ? 0 : (int)earliest(until - now_ms, WAIT_MAX_MS);
	atomic_store(&k->due_ms, steady_ms() + (uint64_t)ms);
	if (poll(fds, 3, ms) > 0 && fds[0].revents &&
	    read(k->wake_fd, &woken, sizeof(woken)) < 0)
		mspd_log(MSPD_ERROR, "the key keeper was woken by nobody");
	atomic_store(&k->due_ms, steady_ms());
}

static void *keep(void *arg)
{
	struct mspd_keeper *k = arg;
	struct msp_time now = mspd_keeper_clock();

	k->status_at = now.boot_ms + STATUS_FIRST_MS;
	mspd_status_module(k->opts.status, MSPD_MODULE_KEY_KEEPER,
			   MSPD_STATE_RUNNING, KEEPER_STARTED);
	mspd_status_module(k->opts.status, MSPD_MODULE_REDIRECTOR,
			   MSPD_STATE_UNKNOWN, "eBPF redirector is starting");
	mspd_status_module(k->opts.status, MSPD_MODULE_MONITOR,
			   MSPD_STATE_RUNNING,
			   "Proxy agent status is running.");
	while (!atomic_load(&k->stop)) {
		now = mspd_keeper_clock();
		if (!k->up)
			mspd_keeper_bring_up(k, now.boot_ms);
		take_notices(k, now.boot_ms);
		if (!k->latch)
			find_folder(k, now.boot_ms);
		/* no key before it can be used: the host enforces from the
		 * moment it is attested */
		if (k->up) {
			if (k->latch && msp_latch_run(k->latch, now) < 0)
				mspd_log(MSPD_ERROR, "the key keeper is out "
						     "of memory");
			take_changes(k, now);
			run_switches(k, now.boot_ms);
			mspd_keeper_mend(k, now.boot_ms);
			mspd_heir_keep(&k->heir, k->redirect, k->listener.fd,
				       now.boot_ms);
			if (mspd_sweeper_run(&k->sweeper, now.boot_ms))
				k->status_at = now.boot_ms;
			let_in(k, now.boot_ms);
		}
		mspd_provision_run(k->opts.provision, now.boot_ms);
		mspd_seccomp_report();
		write_status(k, now.boot_ms);
		wait_for_work(k, now.boot_ms);
	}
	mspd_status_module(k->opts.status, MSPD_MODULE_KEY_KEEPER,
			   MSPD_STATE_STOPPED,
			   "poll_secure_channel_status task exited.");
	return NULL;
}

/* ---- from outside ------------------------------------------------------ */

static int mark_own(void *arg, int fd)
{
	struct mspd_keeper *k = arg;

	return msp_redirect_mark(k->redirect, fd, MSP_MARK_SKIP, NULL);
}

static int open_channel(struct mspd_keeper *k)
{
	const struct mspd_config *config = k->opts.config;
	struct msp_channel_opts channel = { .size = sizeof(channel) };

	channel.client.size = sizeof(channel.client);
	channel.client.address = config->endpoints[MSP_ENDPOINT_WIRESERVER];
	channel.client.on_socket = mark_own;
	channel.client.on_socket_arg = k;
	channel.client.connect_ms = config->connect_timeout_ms;
	channel.call_ms = config->channel_timeout_ms;
	k->latched = (struct mspd_latched){ .provision = k->opts.provision,
					    .status = k->opts.status,
					    .console = k->opts.console };
	return msp_channel_new(&k->channel, &channel) < 0 ? -ENOMEM : 0;
}

static int open_wake(struct mspd_keeper *k)
{
	k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return k->wake_fd < 0 ? -errno : 0;
}

int mspd_keeper_start(struct mspd_keeper **out,
		      const struct mspd_keeper_opts *opts)
{
	struct mspd_keeper *k = calloc(1, sizeof(*k));
	int err;

	*out = NULL;
	if (!k)
		return -ENOMEM;
	k->opts = *opts;
	k->heir.store = opts->store;
	k->wake_fd = -1;
	k->listener.fd = -1;
	k->health.config = k->opts.config;
	k->health.listener = &k->listener;
	k->health.sweeper = &k->sweeper;
	k->joined = true;
	k->retry_ms = MSPD_KEEPER_RETRY_MS;
	k->mend_at = MSP_NEVER;
	k->folder_ms = MSPD_KEEPER_RETRY_MS;
	k->due_ms = steady_ms();
	err = mspd_stages_open(&k->stages);
	if (err == 0)
		err = open_wake(k);
	if (err == 0)
		err = open_channel(k);
	if (err == 0)
		err = mspd_localrules_open(&k->rules.local,
					   k->opts.config->key_dir,
					   k->opts.config->poll_ms);
	/* a first snapshot: no key, everything closed */
	if (err == 0)
		err = publish(k);
	if (err == 0)
		err = -pthread_create(&k->thread, NULL, keep, k);
	if (err < 0) {
		mspd_keeper_free(k);
		return err;
	}
	/* for who looks at the process with top(1), and wonders */
	pthread_setname_np(k->thread, "key keeper");
	k->joined = false;
	*out = k;
	return 0;
}

struct mspd_stages *mspd_keeper_stages(struct mspd_keeper *keeper)
{
	return &keeper->stages;
}

struct msp_redirect *mspd_keeper_redirect(const struct mspd_keeper *keeper)
{
	return keeper->redirect;
}

int mspd_keeper_listen_fd(const struct mspd_keeper *keeper)
{
	return keeper->listener.fd;
}

struct mspd_heir *mspd_keeper_heir(struct mspd_keeper *keeper)
{
	return &keeper->heir;
}

uint64_t mspd_keeper_mended(const struct mspd_keeper *keeper)
{
	return atomic_load(&keeper->health.mended);
}

void mspd_keeper_root(struct mspd_keeper *keeper, const char *fault)
{
	mspd_health_root(&keeper->health, fault);
}

bool mspd_keeper_alive(const struct mspd_keeper *keeper, uint64_t slack_ms)
{
	return keeper->joined ||
	       steady_ms() <= atomic_load(&keeper->due_ms) + slack_ms;
}

void mspd_keeper_stop(struct mspd_keeper *keeper)
{
	uint64_t one = 1;

	if (keeper->joined)
		return;
	atomic_store(&keeper->stop, true);
	mspd_stages_stop(&keeper->stages);
	if (write(keeper->wake_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		mspd_log(MSPD_ERROR, "cannot wake the key keeper");
	pthread_join(keeper->thread, NULL);
	keeper->joined = true;
	/* whoever reads it would ask nobody, or somebody else by then */
	if (keeper->listener.fd >= 0 &&
	    mspd_listener_untell(keeper->opts.config->run_dir) < 0)
		mspd_log(MSPD_ERROR, "cannot remove listener");
	if (!mspd_store_keeps(keeper->opts.store))
		mspd_heir_switch_off(keeper->redirect);
}

void mspd_keeper_free(struct mspd_keeper *keeper)
{
	if (!keeper)
		return;
	mspd_keeper_stop(keeper);
	msp_latch_free(keeper->latch);
	msp_channel_free(keeper->channel);
	msp_keystore_free(keeper->store);
	mspd_ruleset_close(&keeper->rules);
	msp_redirect_free(keeper->redirect);
	mspd_early_close(&keeper->heir.early);
	if (keeper->listener.fd >= 0)
		close(keeper->listener.fd);
	if (keeper->wake_fd >= 0)
		close(keeper->wake_fd);
	mspd_stages_close(&keeper->stages);
	free(keeper);
}
