/* SPDX-License-Identifier: MIT */
/*
 * In: a command line and a configuration. Out: the running agent. Wires the
 * rooms together and takes them down in order; decides nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

#include "mspd/cli.h"
#include "mspd/config.h"
#include "mspd/control.h"
#include "mspd/file.h"
#include "mspd/keeper.h"
#include "mspd/log.h"
#include "mspd/notify.h"
#include "mspd/privilege.h"
#include "mspd/process.h"
#include "mspd/proxy.h"
#include "mspd/quota.h"
#include "mspd/seccomp.h"
#include "mspd/telemetry.h"

#define DRAIN_CHECK_MS	20
#define WORKERS_WAIT_MS 500
/* For who was let in to say what he wants. */
#define SPARE_MS 500

struct mspd {
	struct mspd_config config;
	bool interactive; /* ends when Enter is pressed */
	struct mspd_loop *loop;
	struct mspd_policy_slot policies;
	struct mspd_status *status;
	struct mspd_summary *summary;
	struct mspd_audit *audit;
	struct mspd_connlog *connlog;
	struct mspd_console console;
	struct mspd_provision *provision;
	struct mspd_identities identities;
	struct mspd_upstreams *upstreams;
	struct mspd_rate *rate; /* NULL: no limit */
	struct mspd_meter meter;
	struct mspd_refused refused;
	struct mspd_sight sight;
	struct mspd_control *control;
	struct mspd_proxy *proxy;
	struct mspd_server *server;
	struct mspd_store *store;
	struct mspd_keeper *keeper;
	struct mspd_notify *notify;
	struct mspd_telemetry *telemetry;
	bool redirected; /* from the start, perhaps */
	atomic_bool up;	 /* the keeper's redirector may be used */
	struct mspd_watch stage;
	struct mspd_ending ending;
	struct mspd_timer drain;
	uint64_t drain_until; /* 0: not draining */
	uint64_t spare_until; /* those who have not asked for anything */
};

/* ---- events ------------------------------------------------------------ */

static int mark_own(void *arg, int fd)
{
	struct mspd *d = arg;

	return msp_redirect_mark(mspd_keeper_redirect(d->keeper), fd,
				 MSP_MARK_SKIP, NULL);
}

/* It does not wait for the redirector: before that is up, no connection comes
 * here that would have to be told apart. */
static int mark_telemetry(void *arg, int fd)
{
	struct mspd *d = arg;

	if (atomic_load(&d->up))
		return mark_own(d, fd);
	/* the programs of an agent before us would send it back here */
	return d->redirected ? -EAGAIN : 0;
}

static void take_clients(struct mspd *d)
{
	if (mspd_server_listen(d->server, mspd_keeper_listen_fd(d->keeper)) ==
	    0)
		return;
	mspd_log(MSPD_ERROR, "cannot watch the listener");
	mspd_loop_stop(d->loop);
}

/* The channel is proved: now it can be said who a client is. */
static void know_clients(struct mspd *d)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	const char *root = d->config.identity_root;
	int rc;

	d->identities.redirect = mspd_keeper_redirect(d->keeper);
	d->sight.keeper = d->keeper;
	d->sight.taken_over = msp_redirect_taken(d->identities.redirect) != 0;
	rc = msp_peer_open_root(d->identities.redirect, root, strlen(root),
				&d->identities.root_fd, &info);
	if (rc < 0)
		mspd_log(MSPD_WARN,
			 "rules that name a program will match nothing: %s",
			 info.text);
	mspd_keeper_root(d->keeper, rc < 0 ? info.text : NULL);
}

static void take_early(void *arg, int fd)
{
	struct mspd *d = arg;

	mspd_server_take(d->server, fd);
}

static void on_stage(void *arg, uint32_t events)
{
	struct mspd *d = arg;
	enum mspd_stage stage = mspd_stages_get(mspd_keeper_stages(d->keeper));

	(void)events;
	if (d->drain_until)
		return; /* nobody is taken in any more */
	switch (stage) {
	case MSPD_STAGE_DOWN:
		break;
	case MSPD_STAGE_LISTENING:
		take_clients(d);
		break;
	case MSPD_STAGE_PROVING:
		mspd_server_rest(d->server);
		mspd_stages_let_go(mspd_keeper_stages(d->keeper));
		break;
	case MSPD_STAGE_UP:
		mspd_loop_unwatch(d->loop, &d->stage);
		atomic_store(&d->up, true);
		know_clients(d);
		mspd_early_take(&mspd_keeper_heir(d->keeper)->early, take_early,
				d);
		take_clients(d);
		mspd_notify_ready(d->notify);
		mspd_process_settle();
		break;
	}
}

/* Until the last connection is gone, or patience is. */
static void check_drained(void *arg)
{
	struct mspd *d = arg;
	uint64_t now = mspd_loop_now(d->loop).boot_ms;

	if (now >= d->spare_until)
		mspd_server_drain(d->server, false);
	if (mspd_server_connections(d->server) == 0 || now >= d->drain_until)
		mspd_loop_stop(d->loop);
	else
		mspd_loop_timer(d->loop, &d->drain, now + DRAIN_CHECK_MS);
}

static void stop(void *arg)
{
	struct mspd *d = arg;

	if (d->drain_until) { /* asked twice: now */
		mspd_loop_stop(d->loop);
		return;
	}
	d->drain_until =
		mspd_loop_now(d->loop).boot_ms + d->config.stop_timeout_ms;
	mspd_log(MSPD_INFO,
		 "============== GuestProxyAgent is stopping, elapsed: %llu",
		 (unsigned long long)mspd_status_elapsed_ms(d->status));
	mspd_notify_stopping(d->notify);
	mspd_keeper_stop(d->keeper);
	d->spare_until = mspd_loop_now(d->loop).boot_ms + SPARE_MS;
	mspd_server_drain(d->server, true);
	check_drained(d);
}

/* ---- start and end ----------------------------------------------------- */

static int take_signals(struct mspd *d)
{
	d->ending.asked = stop;
	d->ending.arg = d;
	return mspd_ending_by_signals(&d->ending, d->loop);
}

/* The agent goes on without: what it protects matters more than its files,
 * and what must be recorded is refused while it cannot be. */
static void make_directory(const char *path)
{
	int err = path[0] ? mspd_dir_make(path, 0755) : 0;

	if (err < 0)
		fprintf(stderr, "mspd: cannot make directory %s: %s\n", path,
			strerror(-err));
}

static void open_log(const struct mspd_config *config, bool foreground)
{
	enum mspd_level level = config->system_log_level;
	int err;

	if (foreground && level < MSPD_INFO)
		level = MSPD_INFO;
	err = mspd_log_open(config->log_dir, config->file_log_level, level);
	if (err < 0)
		fprintf(stderr, "mspd: cannot write a log in %s: %s\n",
			config->log_dir, strerror(-err));
	if (config->log_dir[0])
		return;
	puts("The log folder is not set, skip write to GPA managed file log.");
	fflush(stdout);
}

/* Why requests wait, and are refused. */
static void on_audit_fault(void *arg, int err)
{
	char cause[128], text[256];
	struct mspd *d = arg;

	snprintf(text, sizeof(text),
		 "audit.jsonl cannot be written, so requests are refused: %s",
		 strerror_r(err, cause, sizeof(cause)));
	if (err)
		atomic_store(&d->sight.audit_error, err);
	mspd_status_fault(d->status, MSPD_MODULE_LISTENER, err ? text : NULL);
}

static int open_records(struct mspd *d)
{
	const char *dir =
		d->config.log_dir[0] ? d->config.log_dir : d->config.status_dir;
	struct mspd_audit_opts audit = {
		.records = d->config.audit_records,
		.per_second = d->config.audit_per_second,
		.merge_ms = d->config.audit_merge_ms,
		.on_fault = on_audit_fault,
		.arg = d,
	};
	int err;

	err = mspd_status_new(&d->status);
	if (err == 0)
		err = mspd_summary_new(&d->summary, 0);
	if (err < 0)
		return err;
	if (mspd_connlog_open(&d->connlog, d->config.log_dir,
			      d->config.file_log_level) < 0)
		mspd_log(MSPD_WARN, "cannot write a connection log in %s",
			 d->config.log_dir);
	/* "no log files" is a wish about logs: decisions are recorded */
	audit.dir = dir;
	err = mspd_audit_open(&d->audit, &audit);
	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot open the audit trail in %s", dir);
	return err;
}

static int open_provision(struct mspd *d)
{
	const struct mspd_provision_opts opts = {
		.tag_dir = d->config.key_dir,
		.timeout_ms = d->config.provisioning_ms,
		.hasten_ms = d->config.poll_ms,
		.status = d->status,
		.console = &d->console,
	};

	return mspd_provision_new(&d->provision, &opts,
				  mspd_loop_now(d->loop).boot_ms);
}

static int open_identities(struct mspd *d)
{
	d->identities.loop = d->loop;
	d->identities.root_fd = -1;
	d->identities.timeout_ms = d->config.identity_timeout_ms;
	d->identities.names_expiry_ms = d->config.names_expiry_ms;
	d->identities.accept_replaced = d->config.accept_replaced;
	return mspd_identities_open(&d->identities);
}

static int open_upstreams(struct mspd *d)
{
	struct mspd_upstreams_opts opts = {
		.connect_ms = d->config.connect_timeout_ms,
		.timeout_ms = d->config.upstream_timeout_ms,
		.max = mspd_process_places(d->config.max_connections),
		.on_socket = mark_own,
		.on_socket_arg = d,
	};

	memcpy(opts.endpoints, d->config.endpoints, sizeof(opts.endpoints));
	return mspd_upstreams_new(&d->upstreams, d->loop, &opts);
}

static int open_rate(struct mspd *d)
{
	const struct mspd_rate_opts opts = {
		.per_second = d->config.requests_per_second,
		.burst = d->config.request_burst,
		.exempt = d->config.rate_exempt.uid,
		.n_exempt = d->config.rate_exempt.n,
	};

	return mspd_rate_new(&d->rate, &opts);
}

/* Of the listener, in the status: who was not let in. */
static void put_door(void *arg, struct mspd_states *out)
{
	const struct mspd *d = arg;
	struct mspd_door_counts n;

	if (!d->server) /* the last document is written after its end */
		return;
	mspd_server_counts(d->server, &n);
	mspd_states_put(out, "refusedOverShare", "%llu",
			(unsigned long long)n.refused_share);
	mspd_states_put(out, "refusedFull", "%llu",
			(unsigned long long)n.refused_full);
	mspd_states_put(out, "evicted", "%llu", (unsigned long long)n.evicted);
}

static int open_proxy(struct mspd *d)
{
	struct mspd_proxy_opts proxy = {
		.loop = d->loop,
		.identities = &d->identities,
		.upstreams = d->upstreams,
		.policies = &d->policies,
		.status = d->status,
		.summary = d->summary,
		.audit = d->audit,
		.connlog = d->connlog,
		.trace = d->config.trace,
		.provision = d->provision,
		.rate = d->rate,
		.meter = &d->meter,
		.refused = &d->refused,
	};
	struct mspd_server_opts server = {
		.max_connections =
			mspd_process_places(d->config.max_connections),
		.max_user_connections = d->config.max_user_connections,
		.max_line_bytes = d->config.max_line_bytes,
		.max_headers = d->config.max_headers,
		.min_body_rate = d->config.min_body_rate,
		.body_timeout_ms = d->config.body_timeout_ms,
		.total_timeout_ms = d->config.total_timeout_ms,
		.header_timeout_ms = d->config.header_timeout_ms,
		.idle_timeout_ms = d->config.idle_timeout_ms,
		.head_bytes = d->config.max_head_bytes,
	};
	int err;

	memcpy(proxy.endpoints, d->config.endpoints, sizeof(proxy.endpoints));
	err = mspd_proxy_new(&d->proxy, &proxy);
	if (err == 0)
		err = mspd_server_new(&d->server, d->loop, &mspd_proxy_ops,
				      d->proxy, &server);
	if (err == 0)
		err = mspd_status_source(d->status, MSPD_MODULE_LISTENER,
					 put_door, d);
	return err;
}

/* Before the keeper, whose messages it is to have. The agent goes on without
 * it. */
static int open_telemetry(struct mspd *d)
{
	struct mspd_telemetry_opts opts = {
		.config = &d->config,
		.policies = &d->policies,
		.status = d->status,
		.on_socket = mark_telemetry,
		.on_socket_arg = d,
	};
	int err = mspd_telemetry_start(&d->telemetry, &opts);

	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot start telemetry: %s",
			 strerror(-err));
	return 0;
}

static int open_keeper(struct mspd *d)
{
	struct mspd_keeper_opts opts = {
		.config = &d->config,
		.policies = &d->policies,
		.status = d->status,
		.summary = d->summary,
		.provision = d->provision,
		.console = &d->console,
		.store = d->store,
	};
	int err = mspd_keeper_start(&d->keeper, &opts);

	if (err < 0)
		return err;
	d->stage.fd = mspd_keeper_stages(d->keeper)->fd;
	d->stage.call = on_stage;
	d->stage.arg = d;
	return mspd_loop_watch(d->loop, &d->stage, EPOLLIN);
}

static bool is_alive(void *arg, uint64_t slack_ms)
{
	const struct mspd *d = arg;

	return mspd_keeper_alive(d->keeper, slack_ms);
}

/* The message that matters: of what does not work, else of the key. */
static void describe(void *arg, char *out, size_t size)
{
	static const enum mspd_module needed[] = { MSPD_MODULE_LISTENER,
						   MSPD_MODULE_REDIRECTOR };
	struct mspd *d = arg;
	enum mspd_module module = MSPD_MODULE_KEY_KEEPER;
	size_t i;

	if (d->drain_until) {
		snprintf(out, size, "stopping, after %u connections",
			 mspd_server_connections(d->server));
		return;
	}
	for (i = sizeof(needed) / sizeof(needed[0]); i-- > 0;)
		if (mspd_status_state(d->status, needed[i]) !=
		    MSPD_STATE_RUNNING)
			module = needed[i];
	mspd_status_message(d->status, module, out, size);
}

/* Before anybody is told that the agent is ready. */
static int open_control(struct mspd *d)
{
	struct mspd_sight *s = &d->sight;

	s->config = &d->config;
	s->loop = d->loop;
	s->status = d->status;
	s->policies = &d->policies;
	s->identities = &d->identities;
	s->meter = &d->meter;
	s->refused = &d->refused;
	s->server = d->server;
	s->audit = d->audit;
	s->describe = describe;
	s->describe_arg = d;
	mspd_sight_begin(s);
	mspd_control_start(d->control, s);
	return 0;
}

/* With what is to be done every few seconds anyway: an agent that nobody asks
 * is not woken up for it. Without a service manager there is no such thing, and
 * the keeper looks as often as it asks the host. */
static void look_after(void *arg)
{
	struct mspd *d = arg;

	if (atomic_load(&d->up) && !d->drain_until)
		mspd_keeper_look(d->keeper);
}

/* An agent that nobody looks after is better than none. */
static int open_notify(struct mspd *d)
{
	struct mspd_notify_opts opts = {
		.alive = is_alive,
		.describe = describe,
		.tick = look_after,
		.arg = d,
	};

	if (mspd_notify_new(&d->notify, d->loop, &opts) < 0)
		mspd_log(MSPD_WARN, "cannot tell the service manager anything");
	return 0;
}

static int open_enter(struct mspd *d)
{
	if (!d->interactive)
		return 0;
	puts("Press Enter to end it.");
	fflush(stdout);
	return mspd_ending_by_enter(&d->ending);
}

static int open_all(struct mspd *d)
{
	int (*const steps[])(struct mspd *) = {
		take_signals,	open_records, open_provision, open_identities,
		open_upstreams, open_rate,    open_proxy,     open_control,
		open_telemetry, open_keeper,  open_notify,    open_enter,
	};
	size_t i;
	int err;

	err = mspd_loop_new(&d->loop);
	for (i = 0; err == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		err = steps[i](d);
	d->drain.call = check_drained;
	d->drain.arg = d;
	return err;
}

/* The first signature is slow, since libcrypto starts with it. One of a key
 * that is nobody's, while the keeper is busy with the kernel, so that no client
 * waits for that. */
static void warm_up(void)
{
	static const char guid[] = "00000000-0000-0000-0000-000000000000";
	struct msp_signer *signer = NULL;
	struct msp_key *key = NULL;
	char hex[64];

	memset(hex, '0', sizeof(hex));
	if (msp_key_new(&key, guid, strlen(guid), hex, sizeof(hex)) < 0 ||
	    msp_signer_new(&signer, key) < 0)
		mspd_log(MSPD_ERROR, "libcrypto does not start");
	msp_signer_free(signer);
	msp_key_free(key);
}

/* The other way round: clients first, then what served them. What hangs while
 * it looks at an executable keeps what it uses, until the process ends. */
static void close_all(struct mspd *d)
{
	bool hangs;

	mspd_notify_free(d->notify);
	mspd_control_close(d->control);
	if (d->keeper)
		mspd_keeper_stop(d->keeper);
	mspd_telemetry_stop(d->telemetry);
	mspd_server_free(d->server);
	d->server = NULL;
	mspd_proxy_free(d->proxy);
	mspd_upstreams_free(d->upstreams);
	mspd_rate_free(d->rate);
	mspd_refused_close(&d->refused);
	hangs = mspd_identities_close(&d->identities, WORKERS_WAIT_MS);
	mspd_connlog_close(d->connlog);
	if (d->audit && mspd_audit_close(d->audit) < 0)
		mspd_log(MSPD_ERROR, "audit records are lost");
	if (d->keeper)
		mspd_status_write(d->status, d->summary, d->config.status_dir);
	if (!hangs)
		mspd_keeper_free(d->keeper);
	mspd_telemetry_free(d->telemetry);
	mspd_policy_slot_close(&d->policies);
	mspd_provision_free(d->provision);
	mspd_console_close(&d->console);
	mspd_summary_free(d->summary);
	mspd_status_free(d->status);
	if (d->identities.root_fd >= 0 && !hangs)
		close(d->identities.root_fd);
	mspd_ending_close(&d->ending);
	mspd_loop_free(d->loop);
	if (!hangs)
		mspd_store_free(d->store);
}

/* Before there are threads, and before any descriptor is opened that stays. */
static void open_store(struct mspd *d)
{
	const struct msp_redirect_part *parts;
	int err = mspd_store_open(&d->store);

	if (err < 0)
		mspd_log(MSPD_WARN, "nothing is kept over a restart: %s",
			 strerror(-err));
	d->redirected = mspd_store_parts(d->store, &parts) > 0;
}

static int serve(struct mspd *d)
{
	int err;

	mspd_policy_slot_init(&d->policies);
	d->identities.root_fd = -1;
	err = open_all(d);
	if (err < 0) {
		mspd_log(MSPD_ERROR, "cannot start: %s", strerror(-err));
	} else {
		warm_up();
		err = mspd_loop_run(d->loop);
	}
	close_all(d);
	mspd_log(MSPD_INFO, "stopped");
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void log_warnings(const struct mspd_config *config)
{
	size_t i;

	for (i = 0; i < config->n_warnings; i++)
		mspd_log(MSPD_WARN, "%s", config->warnings[i]);
}

/* Before there is a thread. What the kernel does not take back is the
 * operator's to know, and no reason to leave the endpoints unprotected. */
static void unconfined(char cause[MSPD_SIGHT_CAUSE], const char *what, int err)
{
	mspd_log(MSPD_ERROR, "cannot %s: %s", what, strerror(-err));
	if (!*cause)
		snprintf(cause, MSPD_SIGHT_CAUSE, "cannot %s: %s", what,
			 strerror(-err));
}

/* It goes on with what could not be: without an agent nobody is served. */
static void confine(const struct mspd_config *config,
		    char cause[MSPD_SIGHT_CAUSE])
{
	int err = mspd_privilege_drop(&config->listener);

	if (err < 0)
		unconfined(cause, "give privileges away", err);
	err = mspd_seccomp_enter(config->seccomp);
	if (err < 0)
		unconfined(cause, "filter system calls", err);
	else if (config->seccomp == MSPD_SECCOMP_OFF && !*cause)
		snprintf(cause, MSPD_SIGHT_CAUSE,
			 "the filter of system calls is switched off");
}

static int run(const struct mspd_cli *cli)
{
	struct mspd d = { .interactive = cli->command == MSPD_COMMAND_CONSOLE };
	char beside[PATH_MAX];
	const char *path = cli->config;
	char error[512];
	int status;

	if (!path)
		path = mspd_config_find(beside);
	if (mspd_config_load(&d.config, path, error, sizeof(error)) < 0) {
		fprintf(stderr, "%s: %s\n", cli->name, error);
		return EX_CONFIG;
	}
	open_store(&d);
	mspd_process_harden(d.config.max_connections);
	make_directory(d.config.status_dir);
	make_directory(d.config.log_dir);
	open_log(&d.config, cli->foreground);
	if (mspd_control_open(&d.control, &d.config) < 0)
		mspd_log(MSPD_ERROR, "no memory for the control socket");
	confine(&d.config, d.sight.unconfined);
	mspd_console_init(&d.console, d.config.console_path);
	mspd_console_start(&d.console);
	mspd_log(MSPD_INFO, "mspd %s is starting with %s", msp_version(), path);
	log_warnings(&d.config);
	mspd_quota_warn();
	status = serve(&d);
	mspd_log_close();
	mspd_config_free(&d.config);
	return status;
}

int main(int argc, char **argv)
{
	struct mspd_cli cli;

	mspd_process_fill_descriptors();
	mspd_cli_parse(&cli, argc, argv);
	switch (cli.command) {
	case MSPD_COMMAND_RUN:
	case MSPD_COMMAND_CONSOLE:
		return run(&cli);
	case MSPD_COMMAND_STATUS:
		return mspd_cli_status(&cli);
	case MSPD_COMMAND_VERSION:
	case MSPD_COMMAND_HELP:
	case MSPD_COMMAND_HELP_CONSOLE:
	case MSPD_COMMAND_USAGE:
		break;
	}
	return mspd_cli_say(&cli);
}
