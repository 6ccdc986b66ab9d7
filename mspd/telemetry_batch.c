/* SPDX-License-Identifier: MIT */
/*
 * In: events, with text from anywhere. Out: one document of telemetry (spec
 * 9.2), well formed and shorter than its limit. Must never hold a secret, nor
 * let a message end what it stands in.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/redact.h"
#include "mspd/telemetry_priv.h"
#include "mspd/text.h"

#define HEAD	      "<?xml version=\"1.0\"?><TelemetryData version=\"1.0\">"
#define TAIL	      "</TelemetryData>"
#define PROVIDER_TAIL "</Provider>"
/* Three bytes for each that was no UTF-8. */
#define REDACTED_MAX (3 * MSPD_EVENT_REPORT)

static const struct {
	const char *head; /* of the provider */
	const char *event;
} kinds[] = {
	[MSPD_EVENT_GENERIC] = {
		"<Provider id=\"FFF0196F-EE4C-4EAF-9AA5-776F622DEB4F\">",
		"<Event id=\"7\"><![CDATA[",
	},
	[MSPD_EVENT_REPORTED] = {
		"<Provider id=\"69B669B9-4AF8-4C50-BDC4-6006FA76E975\">",
		"<Event id=\"1\"><![CDATA[",
	},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A document, or a part of one; over: it did not fit. */
struct part {
	char at[MSPD_BATCH_MAX];
	size_t len;
	bool over;
};

struct mspd_batch {
	const struct mspd_vm *vm;
	struct part events[KINDS];
	struct part event; /* under construction */
	struct part whole;
	char redacted[REDACTED_MAX];
	enum mspd_event_kind first; /* which provider comes first */
	size_t len;		    /* of the document so far */
};

struct mspd_batch *mspd_batch_new(void)
{
	return calloc(1, sizeof(struct mspd_batch));
}

void mspd_batch_free(struct mspd_batch *batch)
{
	free(batch);
}

/* ---- text -------------------------------------------------------------- */

static void put_bytes(struct part *out, const char *in, size_t len)
{
	if (out->over || len > sizeof(out->at) - out->len) {
		out->over = true;
		return;
	}
	memcpy(out->at + out->len, in, len);
	out->len += len;
}

static void put(struct part *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

/* No document may hold it, as a character or as a reference (XML 1.0, 2.2). */
static bool forbidden(const char *c, size_t n)
{
	unsigned char first = (unsigned char)c[0];

	if (n == 1)
		return first < 0x20 && first != '\t' && first != '\n' &&
		       first != '\r';
	return n == 3 && first == 0xef && (unsigned char)c[1] == 0xbf &&
	       (unsigned char)c[2] >= 0xbe; /* U+FFFE, U+FFFF */
}

static void put_escaped(struct part *out, const char *in, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t i, n;

	for (i = 0; i < len && !out->over; i += n) {
		n = mspd_utf8_step(in + i, len - i);
		if (!n || forbidden(in + i, n)) {
			n = n ? n : 1;
			put(out, replacement);
		} else if (n == 1 && mspd_xml_entity(in[i])) {
			put(out, mspd_xml_entity(in[i]));
		} else {
			put_bytes(out, in + i, n);
		}
	}
}

static void put_param(struct part *out, const char *name, const char *value,
		      size_t len, const char *type)
{
	put(out, "<Param Name=\"");
	put(out, name);
	put(out, "\" Value=\"");
	put_escaped(out, value, len);
	put(out, "\" T=\"mt:");
	put(out, type);
	put(out, "\" />");
}

static void put_text(struct part *out, const char *name, const char *value)
{
	put_param(out, name, value, strlen(value), "wstr");
}

static void put_digits(struct part *out, const char *name, const char *digits)
{
	const char *number = digits[0] ? digits : "0";

	put_param(out, name, number, strlen(number), "uint64");
}

static void put_number(struct part *out, const char *name, uint64_t number)
{
	char digits[24];
	struct mspd_text text;

	mspd_text_init(&text, digits, sizeof(digits));
	mspd_text_number(&text, number);
	put_digits(out, name, digits);
}

static void put_bool(struct part *out, const char *name, bool value)
{
	put_param(out, name, value ? "True" : "False", value ? 4 : 5, "bool");
}

/* ---- events ------------------------------------------------------------ */

static void put_common(struct part *out, const struct mspd_vm *vm)
{
	char keyword[MSPD_VM_TEXT + 32];
	struct mspd_text text;

	mspd_text_init(&text, keyword, sizeof(keyword));
	mspd_text_put(&text, "{\"CpuArchitecture\":");
	mspd_text_json(&text, vm->arch, MSPD_VM_TEXT);
	mspd_text_put(&text, "}");
	put_text(out, "KeywordName", keyword);
	put_text(out, "TenantName", vm->tenant);
	put_text(out, "RoleName", vm->role);
	put_text(out, "RoleInstanceName", vm->instance);
	put_text(out, "ContainerId", vm->container);
	put_text(out, "ResourceGroupName", vm->group);
	put_text(out, "SubscriptionId", vm->subscription);
	put_text(out, "VMId", vm->vm_id);
	put_number(out, "ImageOrigin", vm->image ? 1 : 0);
	put_text(out, "OSVersion", vm->os);
	put_number(out, "RAM", vm->ram_mb);
	put_number(out, "Processors", vm->processors);
}

static void put_origin(struct part *out, const struct mspd_event *event)
{
	bool generic = event->kind == MSPD_EVENT_GENERIC;

	put_digits(out, "EventPid", event->pid);
	put_digits(out, "EventTid", event->tid);
	put_text(out, "GAVersion", generic ? event->version : msp_version());
	put_text(out, "ExecutionMode", "ProxyAgent");
	put_text(out, "TaskName", event->task);
	put_text(out, "OpcodeName", event->time);
}

static void put_message(struct mspd_batch *batch, const char *name,
			const struct mspd_event *event)
{
	struct mspd_text text;

	mspd_text_init(&text, batch->redacted, sizeof(batch->redacted));
	mspd_redact_to(&text, event->message, event->len, event->len);
	put_param(&batch->event, name, text.at, text.len, "wstr");
}

static void put_generic(struct mspd_batch *batch,
			const struct mspd_event *event)
{
	struct part *out = &batch->event;

	put_text(out, "EventName", "MicrosoftAzureGuestProxyAgent");
	put_text(out, "CapabilityUsed", event->level);
	put_message(batch, "Context1", event);
	put_text(out, "Context2", event->time);
	put_text(out, "Context3", event->operation);
}

static void put_report(struct mspd_batch *batch, const struct mspd_event *event)
{
	struct part *out = &batch->event;

	put_text(out, "ExtensionType", event->type);
	put_bool(out, "IsInternal", event->internal);
	put_text(out, "Name", event->name);
	put_text(out, "Version", event->version);
	put_text(out, "Operation", event->operation);
	put_bool(out, "OperationSuccess", event->success);
	put_message(batch, "Message", event);
	put_number(out, "Duration", event->duration);
}

void mspd_batch_start(struct mspd_batch *batch, const struct mspd_vm *vm)
{
	size_t i;

	batch->vm = vm;
	for (i = 0; i < KINDS; i++)
		batch->events[i].len = 0;
	batch->len = strlen(HEAD) + strlen(TAIL);
}

enum mspd_batch_result mspd_batch_add(struct mspd_batch *batch,
				      const struct mspd_event *event)
{
	struct part *events = &batch->events[event->kind];
	bool empty = batch->len == strlen(HEAD) + strlen(TAIL);
	size_t len;

	batch->event.len = 0;
	batch->event.over = false;
	put(&batch->event, kinds[event->kind].event);
	put_common(&batch->event, batch->vm);
	put_origin(&batch->event, event);
	if (event->kind == MSPD_EVENT_GENERIC)
		put_generic(batch, event);
	else
		put_report(batch, event);
	put(&batch->event, "]]></Event>");
	len = batch->event.len;
	if (!events->len)
		len += strlen(kinds[event->kind].head) + strlen(PROVIDER_TAIL);
	if (batch->event.over || batch->len + len >= MSPD_BATCH_MAX)
		return empty || batch->event.over ? MSPD_BATCH_TOO_LARGE
						  : MSPD_BATCH_FULL;
	if (empty)
		batch->first = event->kind;
	put_bytes(events, batch->event.at, batch->event.len);
	batch->len += len;
	return MSPD_BATCH_ADDED;
}

static void put_provider(struct mspd_batch *batch, size_t kind)
{
	const struct part *events = &batch->events[kind];

	if (!events->len)
		return;
	put(&batch->whole, kinds[kind].head);
	put_bytes(&batch->whole, events->at, events->len);
	put(&batch->whole, PROVIDER_TAIL);
}

const char *mspd_batch_finish(struct mspd_batch *batch, size_t *len)
{
	struct part *out = &batch->whole;
	size_t i;

	out->len = 0;
	out->over = false;
	put(out, HEAD);
	for (i = 0; i < KINDS; i++)
		put_provider(batch, (batch->first + i) % KINDS);
	put(out, TAIL);
	*len = out->len;
	return out->len > strlen(HEAD) + strlen(TAIL) && !out->over ? out->at
								    : NULL;
}
