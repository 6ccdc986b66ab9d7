/* SPDX-License-Identifier: MIT */
/*
 * In: what has happened. Out: batches of it at the host, or files (spec 9.1,
 * 9.2). Must never do anything if it is off, hold more than its queues, nor
 * make anybody wait for it.
 */
#include "mspd/telemetry.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mspd/telemetry_priv.h"
#include "mspd/worker.h"

#define TRIES 5
/* In intervals. */
#define FILES_EVERY   5
#define REPORTS_EVERY 15
#define RETRY_PART    4
#define WAIT_MAX_MS   60000

struct mspd_telemetry {
	struct mspd_telemetry_opts opts;
	pthread_t thread;
	bool joined;
	int wake_fd;
	atomic_bool stop;
	/* of the status */
	atomic_uint_fast64_t sent;
	atomic_uint_fast64_t dropped;

	/* the thread's own */
	struct mspd_host host;
	struct mspd_vm vm;
	bool vm_known;
	struct mspd_batch *batch;
	struct mspd_events queue;   /* to be sent */
	struct mspd_events sending; /* the batch that is on its way */
	uint64_t collect_at;	    /* boot_ms, like all times */
	uint64_t reports_at;	    /* kept reports are read */
	uint64_t files_at;	    /* kept events are read */
	uint64_t report_at;
	uint64_t reported_at;
};

static void drop(struct mspd_telemetry *t, uint64_t n)
{
	atomic_fetch_add(&t->dropped, n);
}

/* ---- what comes in ----------------------------------------------------- */

static void keep(struct mspd_telemetry *t, struct mspd_events *queue)
{
	const struct mspd_config *config = t->opts.config;

	drop(t, mspd_event_files_write(config->event_dir,
				       config->max_event_files, queue));
}

/* What there is no room for in the queue goes to a file. */
static void collect(struct mspd_telemetry *t)
{
	struct mspd_events rest = { NULL, NULL, 0 };

	drop(t, mspd_events_take(&t->queue));
	if (mspd_events_waiting()) {
		drop(t, mspd_events_take(&rest));
		keep(t, &rest);
	}
}

static struct mspd_event *new_report(struct mspd_telemetry *t, uint64_t now_ms)
{
	struct mspd_event *event = NULL;
	size_t len;
	char *text;

	if (mspd_status_agent_json(t->opts.status, &text, &len) < 0)
		return NULL;
	if (len <= MSPD_EVENT_REPORT)
		event = mspd_event_new(MSPD_EVENT_REPORTED, "loop_status",
				       "report_proxy_agent_status", text, len);
	free(text);
	if (!event)
		return NULL;
	snprintf(event->name, sizeof(event->name), "azure-proxy-agent");
	snprintf(event->type, sizeof(event->type), "Monitoring");
	event->internal = true;
	event->success = mspd_status_success(t->opts.status);
	event->duration = now_ms - t->reported_at;
	return event;
}

static void report(struct mspd_telemetry *t, uint64_t now_ms)
{
	struct mspd_events alone = { NULL, NULL, 0 };
	struct mspd_event *event = new_report(t, now_ms);

	t->reported_at = now_ms;
	t->report_at =
		now_ms + (uint64_t)t->opts.config->telemetry_ms * REPORTS_EVERY;
	if (!event) {
		drop(t, 1);
	} else if (!mspd_events_push(&t->queue, event)) {
		mspd_events_push(&alone, event);
		keep(t, &alone);
	}
}

/* ---- waiting ----------------------------------------------------------- */

/* Also while the host is being slow: else events would be lost meanwhile. */
static void collect_if_due(struct mspd_telemetry *t, uint64_t now_ms)
{
	if (now_ms < t->collect_at)
		return;
	t->collect_at = now_ms + t->opts.config->telemetry_ms;
	collect(t);
	if (now_ms >= t->report_at)
		report(t, now_ms);
}

/* Until the descriptor is ready or the time has come; false: stop. */
static bool wait_once(void *arg, int fd, short events, uint64_t until_ms)
{
	struct mspd_telemetry *t = arg;
	struct pollfd fds[2] = { { .fd = t->wake_fd, .events = POLLIN },
				 { .fd = fd, .events = events } };
	uint64_t now = mspd_host_time().boot_ms;
	uint64_t ms;

	if (until_ms > t->collect_at)
		until_ms = t->collect_at;
	ms = until_ms > now ? until_ms - now : 0;
	poll(fds, 2, (int)(ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS));
	if (atomic_load(&t->stop))
		return false;
	collect_if_due(t, mspd_host_time().boot_ms);
	return true;
}

static bool wait_until(struct mspd_telemetry *t, uint64_t until_ms)
{
	while (mspd_host_time().boot_ms < until_ms)
		if (!wait_once(t, -1, 0, until_ms))
			return false;
	return !atomic_load(&t->stop);
}

/* ---- what goes out ----------------------------------------------------- */

/* Take from the queue what fits in one batch. */
static void fill_batch(struct mspd_telemetry *t)
{
	struct mspd_event *event;

	mspd_batch_start(t->batch, &t->vm);
	while ((event = mspd_events_pop(&t->queue))) {
		switch (mspd_batch_add(t->batch, event)) {
		case MSPD_BATCH_ADDED:
			mspd_events_push(&t->sending, event);
			break;
		case MSPD_BATCH_TOO_LARGE:
			drop(t, 1);
			free(event);
			break;
		case MSPD_BATCH_FULL:
			/* at the end of the queue (spec 9.2) */
			mspd_events_push(&t->queue, event);
			return;
		}
	}
}

/* False: it was stopped, and the events are still there. */
static bool send_batch(struct mspd_telemetry *t)
{
	uint64_t retry_ms = t->opts.config->telemetry_ms / RETRY_PART;
	size_t len, n = t->sending.n;
	const char *body = mspd_batch_finish(t->batch, &len);
	unsigned int i;

	for (i = 0; body && i < TRIES; i++) {
		if (i && !wait_until(t, mspd_host_time().boot_ms + retry_ms))
			return false;
		if (mspd_host_post(&t->host, body, len)) {
			atomic_fetch_add(&t->sent, n);
			mspd_events_clear(&t->sending);
			return true;
		}
		if (atomic_load(&t->stop))
			return false;
	}
	drop(t, n);
	mspd_events_clear(&t->sending);
	return true;
}

/* What a machine is, is asked anew each time: it may have become another. */
static void send_queue(struct mspd_telemetry *t)
{
	if (!t->queue.n)
		return;
	if (mspd_host_metadata(&t->host, &t->vm))
		t->vm_known = true;
	while (t->vm_known && t->queue.n && !atomic_load(&t->stop)) {
		fill_batch(t);
		if (!send_batch(t))
			return;
	}
}

/* Only while nothing else waits: what is read has no other place then. */
static void send_files(struct mspd_telemetry *t, enum mspd_event_kind kind)
{
	size_t dropped, left = MSPD_REPORT_FILES;

	while (left-- && !t->queue.n && !atomic_load(&t->stop) &&
	       mspd_event_files_read(t->opts.config->event_dir, kind, &t->queue,
				     &dropped)) {
		drop(t, dropped);
		send_queue(t);
	}
}

/* ---- the thread -------------------------------------------------------- */

static void turn(struct mspd_telemetry *t)
{
	uint64_t interval = t->opts.config->telemetry_ms;
	uint64_t now = mspd_host_time().boot_ms;

	send_queue(t);
	if (now >= t->reports_at) {
		t->reports_at = now + interval;
		send_files(t, MSPD_EVENT_REPORTED);
	}
	if (now >= t->files_at) {
		t->files_at = now + interval * FILES_EVERY;
		send_files(t, MSPD_EVENT_GENERIC);
	}
}

static void *run(void *arg)
{
	struct mspd_telemetry *t = arg;
	uint64_t interval = t->opts.config->telemetry_ms;
	uint64_t now = mspd_host_time().boot_ms;

	t->collect_at = t->reports_at = t->files_at = now + interval;
	t->reported_at = now;
	t->report_at = now + interval * REPORTS_EVERY;
	mspd_status_module(t->opts.status, MSPD_MODULE_TELEMETRY,
			   MSPD_STATE_RUNNING,
			   "Telemetry event logger thread started.");
	while (wait_until(t, t->collect_at))
		turn(t);
	mspd_status_module(t->opts.status, MSPD_MODULE_TELEMETRY,
			   MSPD_STATE_STOPPED,
			   "Stop signal received, exiting the event logger "
			   "thread.");
	/* what has not been sent is sent after the next start */
	collect(t);
	keep(t, &t->sending);
	keep(t, &t->queue);
	return NULL;
}

/* ---- from outside ------------------------------------------------------ */

static void put_counts(void *arg, struct mspd_states *out)
{
	struct mspd_telemetry *t = arg;

	mspd_states_put(out, "eventsSent", "%llu",
			(unsigned long long)atomic_load(&t->sent));
	mspd_states_put(out, "eventsDropped", "%llu",
			(unsigned long long)atomic_load(&t->dropped));
}

static int open_all(struct mspd_telemetry *t)
{
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd < 0)
		return -errno;
	t->batch = mspd_batch_new();
	if (!t->batch)
		return -ENOMEM;
	return mspd_status_source(t->opts.status, MSPD_MODULE_TELEMETRY,
				  put_counts, t);
}

int mspd_telemetry_start(struct mspd_telemetry **out,
			 const struct mspd_telemetry_opts *opts)
{
	struct mspd_telemetry *t;
	int err;

	*out = NULL;
	if (!opts->config->telemetry) {
		mspd_status_module(opts->status, MSPD_MODULE_TELEMETRY,
				   MSPD_STATE_UNKNOWN,
				   "Telemetry is off, as configured: nothing "
				   "is collected or sent.");
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->opts = *opts;
	t->host.opts = *opts;
	t->host.wait = wait_once;
	t->host.arg = t;
	t->joined = true;
	mspd_events_open();
	mspd_log_events(opts->config->event_log_level);
	err = open_all(t);
	if (err == 0)
		err = mspd_thread_start(&t->thread, run, t);
	/* also after an error it belongs to the status, which reads of it */
	*out = t;
	t->joined = err < 0;
	return err;
}

void mspd_telemetry_stop(struct mspd_telemetry *telemetry)
{
	uint64_t one = 1;

	if (!telemetry || telemetry->joined)
		return;
	atomic_store(&telemetry->stop, true);
	if (write(telemetry->wake_fd, &one, sizeof(one)) !=
	    (ssize_t)sizeof(one))
		mspd_log(MSPD_ERROR, "cannot wake telemetry");
	pthread_join(telemetry->thread, NULL);
	telemetry->joined = true;
	mspd_log_events(MSPD_NO_LEVEL);
	mspd_events_close();
}

void mspd_telemetry_free(struct mspd_telemetry *telemetry)
{
	if (!telemetry)
		return;
	mspd_telemetry_stop(telemetry);
	mspd_events_close();
	mspd_events_clear(&telemetry->queue);
	mspd_events_clear(&telemetry->sending);
	mspd_host_close(&telemetry->host);
	mspd_batch_free(telemetry->batch);
	if (telemetry->wake_fd >= 0)
		close(telemetry->wake_fd);
	free(telemetry);
}
