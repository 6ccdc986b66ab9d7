/* SPDX-License-Identifier: MIT */
/*
 * In: a request and what became of it. Out: lines for people, and events.
 * Must never take anything from a header, nor a secret from a target.
 */
#include "mspd/call_log.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/event.h"
#include "mspd/redact.h"

#define ENDED                                                                  \
	"------------------------ ConnectionLogger is dropped "                \
	"------------------------"
#define URL_READ       4096
#define URL_MAX	       1024
#define NAME_MAX_SHOWN 256
#define GROUPS_SHOWN   32
#define PATH_SHOWN     512
#define COMMAND_SHOWN  1024
#define DETAILS_MAX    4096
/* An escape is six bytes for one; the names of keys beside it. */
#define CLAIMS_MAX                                                             \
	(6 * (NAME_MAX_SHOWN * (1 + GROUPS_SHOWN) + 2 * PATH_SHOWN +           \
	      COMMAND_SHOWN) +                                                 \
	 1024)
#define LINE_MAX_BYTES (CLAIMS_MAX + 6 * (URL_MAX + DETAILS_MAX + 64) + 1024)

/* ---- values ------------------------------------------------------------ */

static void put_key(struct mspd_text *line, const char *before,
		    const char *name)
{
	mspd_text_put(line, before);
	mspd_text_put(line, "\"");
	mspd_text_put(line, name);
	mspd_text_put(line, "\":");
}

static void put_string(struct mspd_text *line, const char *name,
		       const char *value, size_t max)
{
	put_key(line, ",", name);
	mspd_text_json(line, value, max);
}

static void put_number(struct mspd_text *line, const char *name, uint64_t n)
{
	put_key(line, ",", name);
	mspd_text_number(line, n);
}

static void put_ip(struct mspd_text *line, const char *name, uint32_t ip)
{
	char text[INET_ADDRSTRLEN] = "None";

	if (ip)
		inet_ntop(AF_INET, &ip, text, sizeof(text));
	put_string(line, name, text, sizeof(text));
}

static void put_groups(struct mspd_text *line, const struct msp_caller *c)
{
	size_t n = 0;
	size_t i;

	put_key(line, ",", "userGroups");
	mspd_text_put(line, "[");
	for (i = 0; c && i < c->n_groups && n < GROUPS_SHOWN; i++) {
		if (!c->groups[i])
			continue;
		mspd_text_put(line, n++ ? "," : "");
		mspd_text_json(line, c->groups[i], NAME_MAX_SHOWN);
	}
	mspd_text_put(line, "]");
}

static const struct msp_caller *caller_of(const struct mspd_call *call)
{
	return call->identity.known ? &call->identity.caller : NULL;
}

/* As in the summaries: nobody is `empty`, what is not known `undefined`. */
static const char *or_word(const struct mspd_call *call, const char *text)
{
	if (!call->identity.known)
		return "empty";
	return text ? text : "undefined";
}

static void put_user(struct mspd_text *line, const struct mspd_call *call)
{
	const struct msp_caller *c = caller_of(call);

	put_string(line, "userName", or_word(call, c ? c->user_name : NULL),
		   NAME_MAX_SHOWN);
	put_groups(line, c);
}

static void put_process(struct mspd_text *line, const struct mspd_call *call)
{
	const struct msp_caller *c = caller_of(call);

	put_string(line, "processFullPath", c ? c->exe_path : "", PATH_SHOWN);
	put_string(line, "processCmdLine",
		   or_word(call, call->identity.command), COMMAND_SHOWN);
	put_key(line, ",", "runAsElevated");
	mspd_text_put(line, msp_caller_elevated(c) ? "true" : "false");
}

/* The target as received, without secrets: it may hold the signature that
 * storage accepts, or the token of a form that went wrong. */
static void url(const struct mspd_call *call, char out[URL_MAX])
{
	size_t len = call->head.target_len;
	struct mspd_text text;

	if (len > URL_READ)
		len = URL_READ;
	mspd_text_init(&text, out, URL_MAX);
	mspd_redact_to(&text, call->head.target, len,
		       len < URL_READ ? len : len - URL_MAX);
}

/* ---- claims ------------------------------------------------------------ */

/* Spec 6.2. */
static void put_claims(struct mspd_text *line, const struct mspd_call *call)
{
	const struct msp_caller *c = caller_of(call);

	put_key(line, "{", "userId");
	mspd_text_number(line, c ? c->uid : 0);
	put_user(line, call);
	put_number(line, "processId", c ? c->pid : 0);
	put_string(line, "processName", c ? msp_caller_process_name(c) : "",
		   PATH_SHOWN);
	put_process(line, call);
	put_ip(line, "clientIp", call->client_ip);
	put_number(line, "clientPort", call->client_port);
	mspd_text_put(line, "}");
}

/* ---- lines ------------------------------------------------------------- */

static void say(struct mspd_call *call, enum mspd_level level, const char *text)
{
	mspd_connlog_add(call->proxy->opts.connlog, level, call->id,
			 call->connection, text);
	call->logged = true;
	if (mspd_log_is_event(level))
		mspd_event_add(level, "ConnectionLogger", "ProxyAgent", text,
			       strlen(text));
}

static bool wanted(const struct mspd_call *call, enum mspd_level level)
{
	return mspd_connlog_wants(call->proxy->opts.connlog, level) ||
	       mspd_log_is_event(level);
}

static void say_request(struct mspd_call *call)
{
	char line[URL_MAX + 128];
	char from[INET_ADDRSTRLEN] = "";
	char target[URL_MAX];

	inet_ntop(AF_INET, &call->client_ip, from, sizeof(from));
	url(call, target);
	snprintf(line, sizeof(line), "Got request from %s:%u for %.32s %s",
		 from, call->client_port, call->head.method, target);
	say(call, MSPD_TRACE, line);
}

static void say_claims(struct mspd_call *call)
{
	static const char before[] = "Use claims: ";
	char buffer[CLAIMS_MAX + sizeof(before)];
	struct mspd_text line;

	mspd_text_init(&line, buffer, sizeof(buffer));
	mspd_text_put(&line, before);
	put_claims(&line, call);
	say(call, MSPD_TRACE, line.at);
}

/* Not earlier: who it is had to be found out. */
void mspd_call_log_begin(struct mspd_call *call)
{
	call->logged = false;
	if (!wanted(call, MSPD_TRACE))
		return;
	say_request(call);
	say_claims(call);
}

void mspd_call_log_end(struct mspd_call *call, unsigned int status, uint64_t us)
{
	char line[64];

	if (wanted(call, MSPD_DEBUG)) {
		snprintf(line, sizeof(line), "%u after %" PRIu64 ".%03u ms",
			 status, us / 1000, (unsigned int)(us % 1000));
		say(call, MSPD_DEBUG, line);
	}
	if (call->logged)
		mspd_connlog_add(call->proxy->opts.connlog, MSPD_INFO, call->id,
				 call->connection, ENDED);
}

/* ---- the summary ------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3)))
format(struct mspd_text *out, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	mspd_text_clean(out, text, strlen(text));
}

/* What was turned away before the rules. */
static void early_details(struct mspd_text *out, const struct mspd_call *call,
			  unsigned int status)
{
	if (status == 405)
		format(out, "Rejected unsupported HTTP method '%.64s'",
		       call->head.method);
	else if (status == 403)
		format(out, "Traversal characters found in the request, "
			    "return FORBIDDEN!");
	else if (status == 421)
		format(out, "No remote destination_ip found in the request, "
			    "return!");
}

static void put_details(struct mspd_text *out, const struct mspd_call *call,
			unsigned int status)
{
	if (call->details)
		format(out, "Failed to send request to host: %s",
		       call->details);
	else if (!call->identity.known)
		format(out, "No claims found in the request, return!");
	else if (call->decided && !call->judged)
		early_details(out, call, status);
	else if (call->judged && call->decision.verdict == MSP_DENY) {
		char buffer[CLAIMS_MAX];
		struct mspd_text claims;

		mspd_text_init(&claims, buffer, sizeof(buffer));
		put_claims(&claims, call);
		mspd_text_put(out, "Block unauthorized request: ");
		mspd_text_clean(out, claims.at, claims.len);
	}
}

static void put_summary(struct mspd_text *line, const struct mspd_call *call,
			unsigned int status, const char *details, uint64_t us)
{
	const struct msp_caller *c = caller_of(call);
	const uint32_t ip = c ? c->destination.ip : 0;
	const char *words = mspd_summary_status(status);
	char target[URL_MAX];

	url(call, target);
	put_key(line, "{", "id");
	mspd_text_number(line, call->id);
	put_string(line, "method", call->head.method, 64);
	put_string(line, "url", target, sizeof(target));
	put_ip(line, "clientIp", call->client_ip);
	put_number(line, "clientPort", call->client_port);
	put_ip(line, "ip", ip);
	put_number(line, "port", ip ? c->destination.port : 0);
	put_number(line, "userId", c ? c->uid : 0);
	put_user(line, call);
	put_process(line, call);
	put_key(line, ",", "responseStatus");
	mspd_text_put(line, "\"");
	mspd_text_number(line, status);
	mspd_text_put(line, " ");
	mspd_text_put(line, words);
	mspd_text_put(line, "\"");
	put_number(line, "elapsedTime", us / 1000);
	put_string(line, "errorDetails", details, DETAILS_MAX);
	mspd_text_put(line, "}");
}

void mspd_call_log_summary(struct mspd_call *call, unsigned int status,
			   const char *details, uint64_t us)
{
	char buffer[LINE_MAX_BYTES];
	char why[DETAILS_MAX + 1];
	struct mspd_text line;

	if (!details) {
		mspd_text_init(&line, why, sizeof(why));
		put_details(&line, call, status);
		details = why;
	}
	mspd_text_init(&line, buffer, sizeof(buffer));
	put_summary(&line, call, status, details, us);
	mspd_connlog_add(call->proxy->opts.connlog, MSPD_INFO, call->id,
			 call->connection, line.at);
	call->logged = true;
	mspd_event_add(MSPD_INFO, "log_connection_summary", "proxy_server",
		       line.at, line.len);
}

/* ---- stages ------------------------------------------------------------ */

void mspd_call_stage(struct mspd_call *call, const char *text)
{
	struct mspd_stage_of_call *stage;

	if (!call->proxy->opts.trace || call->n_stages == MSPD_CALL_STAGES)
		return;
	if (!call->stages)
		call->stages = calloc(MSPD_CALL_STAGES, sizeof(*call->stages));
	if (!call->stages)
		return;
	stage = &call->stages[call->n_stages++];
	stage->text = text;
	stage->us = mspd_call_us(call);
	clock_gettime(CLOCK_REALTIME, &stage->time);
}

void mspd_call_stages_say(struct mspd_call *call)
{
	char buffer[MSPD_CALL_STAGES * 128];
	char stamp[MSPD_TEXT_TIME];
	char line[128];
	struct mspd_text text;
	size_t i;

	mspd_text_init(&text, buffer, sizeof(buffer));
	for (i = 0; i < call->n_stages; i++) {
		const struct mspd_stage_of_call *stage = &call->stages[i];

		mspd_text_time(stamp, stage->time, ':');
		snprintf(line, sizeof(line),
			 "%s[%" PRIu64 "] - %" PRIu64 " - %s - %s",
			 i ? "\n" : "", call->id, stage->us / 1000, stamp,
			 stage->text);
		mspd_text_put(&text, line);
	}
	if (call->n_stages)
		mspd_log_system(MSPD_WARN, text.at, text.len);
	call->n_stages = 0;
}
