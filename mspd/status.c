/* SPDX-License-Identifier: MIT */
/*
 * In: what each module reports. Out: the aggregate status (spec 4.1-4.3).
 * Must never show SUCCESS while one of the three that matter does not run.
 */
#include "mspd/status.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mspd/file.h"
#include "mspd/json_put.h"
#include "mspd/json_text.h"
#include "mspd/log.h"
#include "mspd/text.h"

#define MESSAGE_MAX 1024
#define RAW_MAX	    4096
#define FAULT_MAX   256
/* The host's own texts; a rule id may be a base64 string. */
#define STATE_MAX 4096

struct source {
	mspd_source *call;
	void *arg;
};

struct module {
	enum mspd_state state;
	char message[MESSAGE_MAX + sizeof("...")];
	char fault[FAULT_MAX]; /* "": none */
	struct source sources[MSPD_SOURCES];
	size_t n_sources;
};

struct mspd_states {
	yajl_gen gen;
};

/* All owned; NULL: absent. */
struct states {
	char *channel;
	char *key_guid;
	char *rule_id[MSP_ENDPOINTS];
	bool has_incarnation;
	uint32_t incarnation;
};

struct mspd_status {
	pthread_mutex_t lock;
	struct module modules[MSPD_MODULES];
	struct states states;
	atomic_uint_fast64_t requests;
	uint64_t started_ms; /* CLOCK_BOOTTIME */
};

static uint64_t boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In events. */
static const char *const module_names[MSPD_MODULES] = {
	[MSPD_MODULE_KEY_KEEPER] = "KeyKeeper",
	[MSPD_MODULE_REDIRECTOR] = "Redirector",
	[MSPD_MODULE_LISTENER] = "ProxyServer",
	[MSPD_MODULE_MONITOR] = "ProxyAgentStatus",
	[MSPD_MODULE_TELEMETRY] = "TelemetryLogger",
};

/* ---- modules ----------------------------------------------------------- */

static const char *state_name(enum mspd_state state)
{
	switch (state) {
	case MSPD_STATE_UNKNOWN:
		return "UNKNOWN";
	case MSPD_STATE_RUNNING:
		return "RUNNING";
	case MSPD_STATE_STOPPED:
		return "STOPPED";
	}
	return "UNKNOWN";
}

int mspd_status_new(struct mspd_status **out)
{
	struct mspd_status *status = calloc(1, sizeof(*status));
	size_t i;

	*out = NULL;
	if (!status)
		return -ENOMEM;
	pthread_mutex_init(&status->lock, NULL);
	for (i = 0; i < MSPD_MODULES; i++)
		snprintf(status->modules[i].message, MESSAGE_MAX,
			 "Status unknown.");
	status->started_ms = boot_ms();
	*out = status;
	return 0;
}

static void states_free(struct states *states)
{
	size_t i;

	free(states->channel);
	free(states->key_guid);
	for (i = 0; i < MSP_ENDPOINTS; i++)
		free(states->rule_id[i]);
	memset(states, 0, sizeof(*states));
}

void mspd_status_free(struct mspd_status *status)
{
	if (!status)
		return;
	states_free(&status->states);
	pthread_mutex_destroy(&status->lock);
	free(status);
}

/* Cut between characters: command lines of callers get in here (Q13). */
static void set_message(char out[MESSAGE_MAX + sizeof("...")], const char *raw)
{
	struct mspd_text text;
	bool whole;

	mspd_text_init(&text, out, MESSAGE_MAX + 1);
	whole = mspd_text_clean(&text, raw, strlen(raw));
	text.size = MESSAGE_MAX + sizeof("...");
	if (!whole)
		mspd_text_put(&text, "...");
}

void mspd_status_module(struct mspd_status *status, enum mspd_module module,
			enum mspd_state state, const char *format, ...)
{
	char message[MESSAGE_MAX + sizeof("...")];
	struct module *m;
	char raw[RAW_MAX];
	bool changed;
	va_list args;
	int n;

	if ((unsigned int)module >= MSPD_MODULES)
		return;
	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (n < 0)
		return;
	set_message(message, raw);
	m = &status->modules[module];
	pthread_mutex_lock(&status->lock);
	changed = strcmp(m->message, message) != 0;
	m->state = state;
	memcpy(m->message, message, sizeof(message));
	pthread_mutex_unlock(&status->lock);
	if (changed)
		mspd_log_event(MSPD_WARN, "set_module_status_message",
			       module_names[module], "%s", message);
}

void mspd_status_fault(struct mspd_status *status, enum mspd_module module,
		       const char *text)
{
	struct mspd_text fault;

	if ((unsigned int)module >= MSPD_MODULES)
		return;
	pthread_mutex_lock(&status->lock);
	mspd_text_init(&fault, status->modules[module].fault, FAULT_MAX);
	if (text)
		mspd_text_clean(&fault, text, strlen(text));
	pthread_mutex_unlock(&status->lock);
}

static enum mspd_state state_of(const struct module *m)
{
	return *m->fault ? MSPD_STATE_STOPPED : m->state;
}

static const char *message_of(const struct module *m)
{
	return *m->fault ? m->fault : m->message;
}

enum mspd_state mspd_status_state(struct mspd_status *status,
				  enum mspd_module module)
{
	enum mspd_state state = MSPD_STATE_UNKNOWN;

	pthread_mutex_lock(&status->lock);
	if ((unsigned int)module < MSPD_MODULES)
		state = state_of(&status->modules[module]);
	pthread_mutex_unlock(&status->lock);
	return state;
}

void mspd_status_message(struct mspd_status *status, enum mspd_module module,
			 char *out, size_t size)
{
	const char *message;
	struct mspd_text text;

	mspd_text_init(&text, out, size);
	if ((unsigned int)module >= MSPD_MODULES)
		return;
	pthread_mutex_lock(&status->lock);
	message = message_of(&status->modules[module]);
	mspd_text_clean(&text, message, strlen(message));
	pthread_mutex_unlock(&status->lock);
}

static bool success(const struct mspd_status *status)
{
	const struct module *m = status->modules;

	return state_of(&m[MSPD_MODULE_KEY_KEEPER]) == MSPD_STATE_RUNNING &&
	       state_of(&m[MSPD_MODULE_REDIRECTOR]) == MSPD_STATE_RUNNING &&
	       state_of(&m[MSPD_MODULE_LISTENER]) == MSPD_STATE_RUNNING;
}

bool mspd_status_success(struct mspd_status *status)
{
	bool yes;

	pthread_mutex_lock(&status->lock);
	yes = success(status);
	pthread_mutex_unlock(&status->lock);
	return yes;
}

void mspd_status_count(struct mspd_status *status)
{
	atomic_fetch_add(&status->requests, 1);
}

uint64_t mspd_status_elapsed_ms(const struct mspd_status *status)
{
	return boot_ms() - status->started_ms;
}

/* ---- states of the key keeper ------------------------------------------ */

static int copy_state(char **out, const char *in)
{
	struct mspd_text text;

	if (!in)
		return 0;
	*out = malloc(STATE_MAX);
	if (!*out)
		return -ENOMEM;
	mspd_text_init(&text, *out, STATE_MAX);
	mspd_text_clean(&text, in, strlen(in));
	return 0;
}

int mspd_status_states(struct mspd_status *status,
		       const struct mspd_key_states *states)
{
	struct states next = { .has_incarnation = states->has_incarnation,
			       .incarnation = states->incarnation };
	struct states old;
	size_t i;
	int rc = copy_state(&next.channel, states->channel);

	if (rc == 0)
		rc = copy_state(&next.key_guid, states->key_guid);
	for (i = 0; rc == 0 && i < MSP_ENDPOINTS; i++)
		rc = copy_state(&next.rule_id[i], states->rule_id[i]);
	if (rc < 0) {
		states_free(&next);
		return rc;
	}
	pthread_mutex_lock(&status->lock);
	old = status->states;
	status->states = next;
	pthread_mutex_unlock(&status->lock);
	states_free(&old);
	return 0;
}

/* ---- states of the others ----------------------------------------------- */

int mspd_status_source(struct mspd_status *status, enum mspd_module module,
		       mspd_source *call, void *arg)
{
	struct module *m;
	int rc = -ENOSPC;

	if ((unsigned int)module >= MSPD_MODULES ||
	    module == MSPD_MODULE_KEY_KEEPER || !call)
		return -EINVAL;
	m = &status->modules[module];
	pthread_mutex_lock(&status->lock);
	if (m->n_sources < MSPD_SOURCES) {
		m->sources[m->n_sources].call = call;
		m->sources[m->n_sources].arg = arg;
		m->n_sources++;
		rc = 0;
	}
	pthread_mutex_unlock(&status->lock);
	return rc;
}

/* ---- the document ------------------------------------------------------ */

static void put_pair(yajl_gen gen, const char *name, const char *value)
{
	mspd_json_put(gen, name);
	mspd_json_put(gen, value);
}

static void put_number(yajl_gen gen, uint64_t number, bool quoted)
{
	char digits[24];
	struct mspd_text text;

	mspd_text_init(&text, digits, sizeof(digits));
	mspd_text_number(&text, number);
	if (quoted)
		mspd_json_put(gen, text.at);
	else
		yajl_gen_number(gen, text.at, text.len);
}

static void put_key_states(yajl_gen gen, const struct states *states)
{
	static const struct {
		enum msp_endpoint endpoint;
		const char *name;
	} rules[] = {
		{ MSP_ENDPOINT_WIRESERVER, "wireServerRuleId" },
		{ MSP_ENDPOINT_IMDS, "imdsRuleId" },
		{ MSP_ENDPOINT_HOSTGA, "hostGARuleId" },
	};
	size_t i;

	mspd_json_put(gen, "states");
	yajl_gen_map_open(gen);
	put_pair(gen, "secureChannelState",
		 states->channel ? states->channel : "Unknown");
	if (states->key_guid)
		put_pair(gen, "keyGuid", states->key_guid);
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const char *id = states->rule_id[rules[i].endpoint];

		put_pair(gen, rules[i].name, id ? id : "");
	}
	if (states->has_incarnation) {
		mspd_json_put(gen, "keyIncarnationId");
		put_number(gen, states->incarnation, true);
	}
	yajl_gen_map_close(gen);
}

void mspd_states_put(struct mspd_states *out, const char *name,
		     const char *format, ...)
{
	char value[MESSAGE_MAX + sizeof("...")];
	char raw[RAW_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (n < 0)
		return;
	set_message(value, raw);
	put_pair(out->gen, name, value);
}

static void put_sources(yajl_gen gen, const struct module *m)
{
	struct mspd_states out = { gen };
	size_t i;

	mspd_json_put(gen, "states");
	yajl_gen_map_open(gen);
	for (i = 0; i < m->n_sources; i++)
		m->sources[i].call(m->sources[i].arg, &out);
	yajl_gen_map_close(gen);
}

static void put_module(yajl_gen gen, const struct mspd_status *status,
		       const char *name, enum mspd_module module)
{
	const struct module *m = &status->modules[module];

	mspd_json_put(gen, name);
	yajl_gen_map_open(gen);
	put_pair(gen, "status", state_name(state_of(m)));
	put_pair(gen, "message", message_of(m));
	if (module == MSPD_MODULE_KEY_KEEPER)
		put_key_states(gen, &status->states);
	else if (m->n_sources)
		put_sources(gen, m);
	yajl_gen_map_close(gen);
}

static void put_agent(yajl_gen gen, struct mspd_status *status)
{
	pthread_mutex_lock(&status->lock);
	yajl_gen_map_open(gen);
	put_pair(gen, "version", msp_version());
	put_pair(gen, "status", success(status) ? "SUCCESS" : "ERROR");
	put_module(gen, status, "monitorStatus", MSPD_MODULE_MONITOR);
	put_module(gen, status, "keyLatchStatus", MSPD_MODULE_KEY_KEEPER);
	put_module(gen, status, "ebpfProgramStatus", MSPD_MODULE_REDIRECTOR);
	put_module(gen, status, "proxyListenerStatus", MSPD_MODULE_LISTENER);
	put_module(gen, status, "telemetryLoggerStatus", MSPD_MODULE_TELEMETRY);
	mspd_json_put(gen, "proxyConnectionsCount");
	put_number(gen, atomic_load(&status->requests), false);
	yajl_gen_map_close(gen);
	pthread_mutex_unlock(&status->lock);
}

static void put_summary(yajl_gen gen, struct mspd_summary *summary,
			const char *name, enum mspd_summary_which which)
{
	mspd_json_put(gen, name);
	if (summary)
		mspd_summary_write_json(summary, which, boot_ms() / 1000, gen);
	else
		yajl_gen_number(gen, "[]", 2);
}

static void put_document(yajl_gen gen, struct mspd_status *status,
			 struct mspd_summary *summary)
{
	char stamp[MSPD_TEXT_TIME];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	mspd_text_time(stamp, now, ':');
	yajl_gen_map_open(gen);
	put_pair(gen, "timestamp", stamp);
	mspd_json_put(gen, "proxyAgentStatus");
	put_agent(gen, status);
	put_summary(gen, summary, "proxyConnectionSummary",
		    MSPD_SUMMARY_CONNECTIONS);
	put_summary(gen, summary, "failedAuthenticateSummary",
		    MSPD_SUMMARY_FAILED);
	yajl_gen_map_close(gen);
}

int mspd_status_json(struct mspd_status *status, struct mspd_summary *summary,
		     bool pretty, char **text, size_t *len)
{
	struct mspd_json_text json;
	int rc = mspd_json_text_open(&json);

	*text = NULL;
	*len = 0;
	if (rc == 0) {
		yajl_gen_config(json.gen, yajl_gen_beautify, pretty ? 1 : 0);
		yajl_gen_config(json.gen, yajl_gen_indent_string, "  ");
		put_document(json.gen, status, summary);
		rc = mspd_json_text_take(&json, "", text, len);
	}
	mspd_json_text_close(&json);
	return rc;
}

int mspd_status_agent_json(struct mspd_status *status, char **text, size_t *len)
{
	struct mspd_json_text json;
	int rc = mspd_json_text_open(&json);

	*text = NULL;
	*len = 0;
	if (rc == 0) {
		put_agent(json.gen, status);
		rc = mspd_json_text_take(&json, "", text, len);
	}
	mspd_json_text_close(&json);
	return rc;
}

int mspd_status_write(struct mspd_status *status, struct mspd_summary *summary,
		      const char *dir)
{
	char buffer[128];
	char *text;
	size_t len;
	int rc = mspd_status_json(status, summary, true, &text, &len);

	if (rc == 0)
		rc = mspd_file_write(dir, "status.json", 0640, text, len);
	free(text);
	if (rc == 0)
		mspd_status_module(status, MSPD_MODULE_MONITOR,
				   MSPD_STATE_RUNNING,
				   "Aggregate status written to status file: "
				   "%s/status.json",
				   dir);
	else
		mspd_status_module(status, MSPD_MODULE_MONITOR,
				   MSPD_STATE_RUNNING,
				   "Error writing aggregate status to status "
				   "file: %s",
				   strerror_r(-rc, buffer, sizeof(buffer)));
	return rc;
}
