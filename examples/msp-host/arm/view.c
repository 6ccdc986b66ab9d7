/* SPDX-License-Identifier: MIT */
/*
 * In:  a VM, the status report its guest posted.
 * Out: the instance view.
 * Never: believes the report: it is the guest's word, copied as text, and what
 *        does not have the expected shape is left out.
 */
#include "arm/view.h"

#include "arm/tree.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define AGENT_STATUS "ProxyAgentStatus"

/**
 * struct word - how a status of the guest is shown
 * @status: in the report
 * @code:   end of the code
 * @level:  Info, Warning or Error
 * @text:   displayStatus
 */
struct word {
	const char *status;
	const char *code;
	const char *level;
	const char *text;
};

static const struct word words[] = {
	{ "success", "succeeded", "Info", "Provisioning succeeded" },
	{ "transitioning", "transitioning", "Info", "Transitioning" },
	{ "warning", "warning", "Warning", "Warning" },
	{ "error", "failed", "Error", "Provisioning failed" },
};
#define WORDS (sizeof(words) / sizeof(words[0]))

void view_time(struct buf *out, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	buf_format(out, "\"%04d-%02d-%02dT%02d:%02d:%02d+00:00\"",
		   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		   tm.tm_min, tm.tm_sec);
}

static const struct word *word_for(const char *status)
{
	size_t i;

	for (i = 0; status && i < WORDS; i++)
		if (!strcasecmp(status, words[i].status))
			return &words[i];
	return &words[1];
}

/* {"code":"PREFIX/succeeded",...}; message may be NULL. */
static void write_status(struct buf *out, const char *prefix, yajl_val status,
			 int64_t time_s)
{
	const struct word *word =
		word_for(json_string(json_member(status, "status")));
	yajl_val formatted = json_member(status, "formattedMessage");
	const char *message = json_string(json_member(formatted, "message"));
	yajl_val code = json_member(status, "code");
	struct buf text = { 0 };

	buf_format(&text, "%s/%s", prefix, word->code);
	if (!strcmp(word->code, "failed") && YAJL_IS_INTEGER(code))
		buf_format(&text, "/%lld", YAJL_GET_INTEGER(code));
	buf_text(out, "{\"code\":");
	buf_json_utf8(out, text.failed ? "" : text.data);
	buf_format(out, ",\"level\":\"%s\",\"displayStatus\":\"%s\"",
		   word->level, word->text);
	if (message) {
		buf_text(out, ",\"message\":");
		buf_json_utf8(out, message);
	}
	if (time_s >= 0) {
		buf_text(out, ",\"time\":");
		view_time(out, time_s);
	}
	buf_text(out, "}");
	out->failed |= text.failed;
	buf_clear(&text);
}

static void write_substatuses(struct buf *out, yajl_val status)
{
	yajl_val list = json_member(status, "substatus");
	const char *comma = "";
	size_t i;

	buf_text(out, "[");
	for (i = 0; YAJL_IS_ARRAY(list) && i < list->u.array.len; i++) {
		yajl_val sub = list->u.array.values[i];
		const char *name = json_string(json_member(sub, "name"));
		struct buf prefix = { 0 };

		if (!name)
			continue;
		buf_format(&prefix, "ComponentStatus/%s", name);
		buf_text(out, comma);
		write_status(out, prefix.failed ? "" : prefix.data, sub, -1);
		buf_clear(&prefix);
		comma = ",";
	}
	buf_text(out, "]");
}

/* Text of the sub-status that has the agent's own. */
static const char *agent_text(yajl_val status)
{
	yajl_val list = json_member(status, "substatus");
	size_t i;

	for (i = 0; YAJL_IS_ARRAY(list) && i < list->u.array.len; i++) {
		yajl_val sub = list->u.array.values[i];
		const char *name = json_string(json_member(sub, "name"));

		if (name && !strcasecmp(name, AGENT_STATUS))
			return json_string(json_member(
				json_member(sub, "formattedMessage"),
				"message"));
	}
	return NULL;
}

/* The agent's status as an object; its text if it is none, which is how the
 * extension reports what went wrong. */
static void write_agent(struct buf *out, const struct vm *vm, const char *text,
			yajl_val agent)
{
	if (!vm->enabled || !text)
		buf_text(out, "\"Disabled\"");
	else if (YAJL_IS_OBJECT(agent))
		json_write(out, agent);
	else
		buf_json_utf8(out, text);
}

static void write_extension(struct buf *out, const struct vm *vm,
			    yajl_val status, yajl_val agent)
{
	const char *version = json_string(json_member(agent, "version"));

	buf_format(out,
		   "{\"name\":\"ProxyAgent%s\",\"type\":\"Microsoft.CPlat."
		   "ProxyAgent.ProxyAgent%s\",\"typeHandlerVersion\":",
		   vm->who.os, vm->who.os);
	buf_json_utf8(out, version ? version : "");
	buf_text(out, ",\"substatuses\":");
	write_substatuses(out, status);
	buf_text(out, ",\"statuses\":[");
	write_status(out, "ProvisioningState", status,
		     status ? vm->report_s : -1);
	buf_text(out, "]}");
}

static void write_vm_agent(struct buf *out, const struct vm *vm, bool reported,
			   int64_t now)
{
	buf_format(out,
		   "{\"vmAgentVersion\":\"Unknown\",\"statuses\":[{\"code\":"
		   "\"ProvisioningState/%s\",\"level\":\"%s\","
		   "\"displayStatus\":\"%s\",\"message\":\"%s\",\"time\":",
		   reported ? "succeeded" : "Unavailable",
		   reported ? "Info" : "Warning",
		   reported ? "Ready" : "Not Ready",
		   reported ? "Guest Agent is running"
			    : "VM status blob is found but not yet "
			      "populated.");
	view_time(out, reported ? vm->report_s : now);
	buf_text(out, "}]}");
}

static void write_all(struct buf *out, const struct vm *vm, yajl_val status,
		      int64_t now)
{
	const char *text = agent_text(status);
	yajl_val agent = text ? json_tree(text, strlen(text), NULL) : NULL;

	/* it is shown inside other objects, which are read again */
	if (!tree_is_shallow(agent)) {
		yajl_tree_free(agent);
		agent = NULL;
	}

	buf_text(out, "{\"computerName\":");
	buf_json_utf8(out, vm->who.name);
	buf_text(out, ",\"vmAgent\":");
	write_vm_agent(out, vm, status, now);
	buf_text(out, ",\"extensions\":[");
	if (status || vm->extension)
		write_extension(out, vm, status, agent);
	buf_text(out, "],\"guestProxyAgent\":");
	write_agent(out, vm, text, agent);
	buf_text(out, ",\"statuses\":[{\"code\":"
		      "\"ProvisioningState/succeeded\",\"level\":\"Info\","
		      "\"displayStatus\":\"Provisioning succeeded\","
		      "\"time\":");
	view_time(out, now);
	buf_text(out, "},{\"code\":\"PowerState/running\",\"level\":\"Info\","
		      "\"displayStatus\":\"VM running\"}]}");
	yajl_tree_free(agent);
}

void view_write(struct buf *out, const struct vm *vm, int64_t now)
{
	yajl_val report = NULL, first = NULL, status;

	if (vm->report.len)
		report = json_tree(vm->report.data, vm->report.len, NULL);
	if (YAJL_IS_ARRAY(report) && report->u.array.len)
		first = report->u.array.values[0];
	status = json_member(first, "status");
	write_all(out, vm, YAJL_IS_OBJECT(status) ? status : NULL, now);
	yajl_tree_free(report);
}
