/* SPDX-License-Identifier: MIT */
/*
 * In: a configuration, and what the agent before left. Out: a listener, and
 * programs that were proved to send clients there. Must never say that they
 * work before they do, nor give up trying.
 */
#include "mspd/keeper_priv.h"

#include <stdio.h>
#include <string.h>

#include "mspd/log.h"

#define NOT_STARTED "Failed to start redirector: "
/* What a message of the status has room for beside that (spec 4.2). */
#define DETAIL_MAX (1024 + 1 - (sizeof(NOT_STARTED) - 1))
/* The loop does not wait for anything, so it is quick to let go. */
#define LET_GO_MS 2000

static void show(struct mspd_keeper *k, enum mspd_module module,
		 mspd_source *source)
{
	if (mspd_status_source(k->opts.status, module, source, &k->health) < 0)
		mspd_log(MSPD_ERROR, "the status does not show everything");
}

static void announce_listener(struct mspd_keeper *k)
{
	static const char started[] =
		"Started proxy listener, ready to accept request";
	unsigned long long ms = mspd_status_elapsed_ms(k->opts.status);
	int err;

	mspd_status_module(k->opts.status, MSPD_MODULE_LISTENER,
			   MSPD_STATE_RUNNING, "%s - %llu", started, ms);
	mspd_console_event(k->opts.console, started, ms);
	err = mspd_listener_tell(&k->listener.address, k->opts.config->run_dir);
	if (err < 0)
		mspd_log(MSPD_ERROR, "cannot write listener in %s: %s",
			 k->opts.config->run_dir, strerror(-err));
	/* who is redirected already waits for the channel to be proved */
	if (!k->heir.inherits)
		mspd_stages_enter(&k->stages, MSPD_STAGE_LISTENING);
	mspd_provision_ready(k->opts.provision, MSPD_PROVISION_LISTENER);
}

/* Once it is there it stays: what had the port when we came may have let it
 * go since, but the programs send clients to this one. */
static int bring_up_listener(struct mspd_keeper *k)
{
	char error[256];

	if (k->listener.fd >= 0)
		return 0;
	if (mspd_heir_listener(&k->heir, &k->listener,
			       &k->opts.config->listener, error,
			       sizeof(error)) < 0) {
		mspd_status_module(k->opts.status, MSPD_MODULE_LISTENER,
				   MSPD_STATE_STOPPED, "%s", error);
		return -1;
	}
	show(k, MSPD_MODULE_LISTENER, mspd_health_listener);
	announce_listener(k);
	k->retry_ms =
		MSPD_KEEPER_RETRY_MS; /* the programs have not failed yet */
	return 0;
}

static void redirect_options(const struct mspd_keeper *k,
			     struct msp_redirect_opts *opts)
{
	const struct mspd_config *config = k->opts.config;
	size_t i;

	memset(opts, 0, sizeof(*opts));
	opts->size = sizeof(*opts);
	opts->listener = k->listener.address;
	opts->foreign = config->foreign;
	if (config->executable_paths == MSPD_EXECUTABLE_PATHS_OFF)
		opts->flags |= MSP_REDIRECT_NO_PATH;
	for (i = 0; i < MSP_ENDPOINTS; i++)
		opts->endpoints[i] = config->endpoints[i];
	if (config->cgroup_path) {
		opts->cgroup = config->cgroup_path;
		opts->cgroup_len = strlen(config->cgroup_path);
	}
}

static int open_redirect(struct mspd_keeper *k, char detail[DETAIL_MAX],
			 struct msp_error_info *info)
{
	const struct mspd_config *config = k->opts.config;
	struct msp_redirect_opts opts;
	int rc;

	redirect_options(k, &opts);
	opts.n_parts = mspd_store_parts(k->opts.store, &opts.parts);
	opts.detail = detail;
	opts.detail_size = DETAIL_MAX;
	rc = msp_redirect_open(&k->redirect, &opts, info);
	if (rc == MSP_ERR_NOENT && !opts.cgroup && config->cgroup_root) {
		/* no cgroup2 mount was found: the configured one (spec 7.6) */
		opts.cgroup = config->cgroup_root;
		opts.cgroup_len = strlen(config->cgroup_root);
		rc = msp_redirect_open(&k->redirect, &opts, info);
	}
	return rc;
}

static int prove(struct mspd_keeper *k, struct msp_error_info *info)
{
	int rc;

	if (k->heir.inherits) /* the loop does not accept yet */
		return mspd_heir_prove(&k->heir, k->redirect, k->listener.fd,
				       info);
	if (!mspd_stages_prove(&k->stages, LET_GO_MS)) {
		snprintf(info->text, sizeof(info->text),
			 "the listener is busy");
		return MSP_ERR_TIMEOUT;
	}
	rc = msp_redirect_prove(k->redirect, k->listener.fd, 0, info);
	if (rc < 0)
		mspd_stages_enter(&k->stages, MSPD_STAGE_LISTENING);
	return rc;
}

static int bring_up_redirect(struct mspd_keeper *k)
{
	struct msp_error_info info = MSP_ERROR_INFO_INIT;
	char detail[DETAIL_MAX] = "";
	int rc;

	rc = open_redirect(k, detail, &info);
	if (rc == 0)
		rc = prove(k, &info);
	if (rc == 0)
		return 0;
	if (k->heir.inherits) { /* from here on as if it were the first agent */
		mspd_heir_give_up(&k->heir, k->redirect);
		mspd_stages_enter(&k->stages, MSPD_STAGE_LISTENING);
	}
	msp_redirect_free(k->redirect);
	k->redirect = NULL;
	mspd_status_module(k->opts.status, MSPD_MODULE_REDIRECTOR,
			   MSPD_STATE_STOPPED, "%s%s", NOT_STARTED,
			   detail[0] ? detail : info.text);
	return -1;
}

void mspd_keeper_report_redirector(struct mspd_keeper *k)
{
	const char *fault = mspd_health_no_paths(&k->health);
	uint64_t mended = atomic_load(&k->health.mended);
	char text[128] = "";

	if (mended)
		snprintf(text, sizeof(text),
			 "; programs that somebody had detached, and that are "
			 "attached again: %llu",
			 (unsigned long long)mended);
	mspd_status_module(
		k->opts.status, MSPD_MODULE_REDIRECTOR, MSPD_STATE_RUNNING,
		"Started Redirector with eBPF maps - %llu%s%s%s", k->up_ms,
		fault ? "; rules that name a program match nothing: " : "",
		fault ? fault : "", text);
}

static void announce(struct mspd_keeper *k)
{
	unsigned long long ms = mspd_status_elapsed_ms(k->opts.status);

	k->up = true;
	k->up_ms = ms;
	mspd_switches_init(&k->switches, NULL, k->redirect,
			   k->opts.config->redirect_retry_ms);
	mspd_sweeper_init(&k->sweeper, NULL, k->redirect,
			  k->opts.config->bypass_check_ms);
	k->health.redirect = k->redirect;
	mspd_keeper_report_redirector(k);
	show(k, MSPD_MODULE_REDIRECTOR, mspd_health_redirector);
	mspd_console_event(k->opts.console, "Started Redirector with eBPF maps",
			   ms);
	if (mspd_heir_settle(&k->heir, k->redirect, k->listener.fd,
			     &k->switches, &k->sweeper,
			     mspd_keeper_clock().boot_ms))
		k->latched_once = true; /* by the agent before */
	else
		mspd_stages_enter(&k->stages, MSPD_STAGE_UP);
	mspd_provision_ready(k->opts.provision, MSPD_PROVISION_REDIRECTOR);
}

void mspd_keeper_bring_up(struct mspd_keeper *k, uint64_t now_ms)
{
	if (now_ms < k->retry_at)
		return;
	if (bring_up_listener(k) == 0 && bring_up_redirect(k) == 0) {
		announce(k);
		return;
	}
	if (k->retry_ms > k->opts.config->redirect_retry_ms)
		k->retry_ms = k->opts.config->redirect_retry_ms;
	k->retry_at = now_ms + k->retry_ms;
	k->retry_ms *= 2;
	k->status_at = now_ms;
}
