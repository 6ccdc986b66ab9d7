/* SPDX-License-Identifier: MIT */
/*
 * In:  events its owner schedules for a VM, and the guest's consent.
 * Out: the document of scheduled events; each change has its number.
 * Never: goes back from Started to Scheduled, or keeps events without bound.
 *
 * They are kept as a JSON array in vm->events, each event with all its
 * members, so that whoever saves a VM needs to know nothing about them.
 */
#include "base/json.h"
#include "control.h"
#include "data/imds.h"
#include "data/names.h"
#include "net/route.h"
#include "vm/state.h"

#include <string.h>

/** Events of one VM at most. */
#define EVENTS_MAX 32
/** Bytes of a description, an id or the list of resources, at most. */
#define TEXT_MAX 1024

/* newest first; a list of its own */
static const char *const versions[] = {
	"2020-07-01", "2019-08-01", "2019-04-01", "2019-01-01",
	"2017-11-01", "2017-08-01", "2017-03-01", NULL,
};

/* What can happen to a VM, and how many seconds of notice it gets. */
static const struct {
	const char *name;
	int64_t notice;
} types[] = {
	{ "Freeze", 900 }, { "Reboot", 900 },	 { "Redeploy", 600 },
	{ "Preempt", 30 }, { "Terminate", 300 },
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

/**
 * struct event - one event; texts borrowed
 * @id:          EventId, a guid unless its owner chose another text
 * @type:        EventType
 * @resources:   JSON array of names
 * @started:     EventStatus: Started, else Scheduled
 * @not_before:  HTTP date; "" once it has started
 * @description: what the owner said
 * @source:      "Platform" or "User"
 * @duration:    seconds of interruption, -1: not known
 */
struct event {
	const char *id;
	const char *type;
	const char *resources;
	bool started;
	const char *not_before;
	const char *description;
	const char *source;
	long long duration;
};

/* As that version has it; NULL: with all. */
static void write_event(struct buf *out, const struct event *e,
			const char *version)
{
	buf_text(out, "{\"EventId\":");
	buf_json_utf8(out, e->id);
	buf_format(out, ",\"EventStatus\":\"%s\",\"EventType\":",
		   e->started ? "Started" : "Scheduled");
	buf_json_utf8(out, e->type);
	buf_format(out,
		   ",\"ResourceType\":\"VirtualMachine\",\"Resources\":%s,"
		   "\"NotBefore\":",
		   e->resources);
	buf_json_utf8(out, e->started ? "" : e->not_before);
	if (!version || strcmp(version, "2019-04-01") >= 0) {
		buf_text(out, ",\"Description\":");
		buf_json_utf8(out, e->description);
	}
	if (!version || strcmp(version, "2019-08-01") >= 0) {
		buf_text(out, ",\"EventSource\":");
		buf_json_utf8(out, e->source);
	}
	if (!version || strcmp(version, "2020-07-01") >= 0)
		buf_format(out, ",\"DurationInSeconds\":%lld", e->duration);
	buf_text(out, "}");
}

static const char *text_of(yajl_val node, const char *name)
{
	const char *text = json_string(json_member(node, name));

	return text ? text : "";
}

/* One of ours, from the kept array. resources gets their text. */
static void read_event(struct event *e, yajl_val node, struct buf *resources)
{
	yajl_val duration = json_member(node, "DurationInSeconds");

	json_write(resources, json_member(node, "Resources"));
	e->id = text_of(node, "EventId");
	e->type = text_of(node, "EventType");
	e->resources = resources->failed ? "[]" : resources->data;
	e->started = !strcmp(text_of(node, "EventStatus"), "Started");
	e->not_before = text_of(node, "NotBefore");
	e->description = text_of(node, "Description");
	e->source = text_of(node, "EventSource");
	e->duration =
		YAJL_IS_INTEGER(duration) ? YAJL_GET_INTEGER(duration) : -1;
}

/**
 * struct change - one pass over a VM's events
 * @now:     events whose time has come start
 * @start:   these start; ends with NULL, or NULL
 * @remove:  this one goes; NULL: none
 * @found:   how many ids of @start, or whether @remove, were there
 * @changed: so the document gets a new number
 */
struct change {
	int64_t now;
	const char *const *start;
	const char *remove;
	size_t found;
	bool changed;
};

static bool is_due(const struct event *e, int64_t now)
{
	int64_t when;

	return text_parse_http_date(e->not_before, strlen(e->not_before),
				    &when) &&
	       when <= now;
}

/* False: it is to go. */
static bool change_event(struct change *c, struct event *e)
{
	size_t i;
	bool start = is_due(e, c->now);

	for (i = 0; c->start && c->start[i]; i++) {
		if (!text_equal_nocase(e->id, strlen(e->id), c->start[i]))
			continue;
		c->found++;
		start = true;
	}
	if (start && !e->started) {
		e->started = true;
		c->changed = true;
	}
	if (!c->remove || !text_equal_nocase(e->id, strlen(e->id), c->remove))
		return true;
	c->found++;
	c->changed = true;
	return false;
}

static size_t write_all(struct buf *out, yajl_val kept, struct change *c,
			const char *version)
{
	size_t i, n = 0;

	buf_text(out, "[");
	for (i = 0; YAJL_IS_ARRAY(kept) && i < kept->u.array.len; i++) {
		struct buf resources = { 0 };
		struct event e;

		read_event(&e, kept->u.array.values[i], &resources);
		if (change_event(c, &e)) {
			buf_text(out, n++ ? "," : "");
			write_event(out, &e, version);
		}
		buf_clear(&resources);
	}
	buf_text(out, "]");
	return n;
}

static void keep(struct vm *vm, struct buf *events)
{
	buf_clear(&vm->events);
	vm->events = *events;
	memset(events, 0, sizeof(*events));
	vm->events_n++;
}

/* Apply what is to change; more, if given, is added. The number of events, or
 * -1: memory is short and nothing has changed. */
static int apply(struct vm *vm, struct change *c, const struct event *more)
{
	yajl_val kept = NULL;
	struct buf all = { 0 };
	int n = -1;

	if (!vm->events_n)
		vm->events_n = 1; /* of the document without any */
	if (vm->events.len) {
		kept = json_tree(vm->events.data, vm->events.len, NULL);
		if (!kept)
			return -1;
	}
	n = (int)write_all(&all, kept, c, NULL);
	if (more && n < EVENTS_MAX && !all.failed) {
		all.len--; /* the bracket */
		buf_text(&all, n ? "," : "");
		write_event(&all, more, NULL);
		buf_text(&all, "]");
		c->changed = true;
		n++;
	}
	if (all.failed)
		n = -1;
	else if (c->changed)
		keep(vm, &all);
	buf_clear(&all);
	yajl_tree_free(kept);
	return n;
}

/* The document, as a version has it. */
static void answer(struct call *call, const char *version)
{
	struct change c = { .now = call->now };
	struct vm *vm = call->vm;
	yajl_val kept = NULL;

	if (apply(vm, &c, NULL) < 0) {
		imds_error(call, 500, "Internal server error");
		return;
	}
	call->reply.status = 200;
	call->reply.type = JSON_TYPE;
	buf_format(&call->reply.body,
		   "{\"DocumentIncarnation\":%llu,\"Events\":",
		   (unsigned long long)vm->events_n);
	if (vm->events.len)
		kept = json_tree(vm->events.data, vm->events.len, NULL);
	write_all(&call->reply.body, kept, &c, version);
	buf_text(&call->reply.body, "}");
	yajl_tree_free(kept);
}

void scheduledevents_call(struct call *call)
{
	char version[IMDS_VERSION_SIZE];

	if (imds_version_of(call, versions, "", version))
		answer(call, version);
}

/* {"StartRequests":[{"EventId":"..."}]}: the ids, borrowed from the tree, and
 * NULL behind them. */
static bool read_requests(yajl_val tree, const char *ids[EVENTS_MAX + 1],
			  size_t *n)
{
	yajl_val list = json_member(tree, "StartRequests");
	size_t i;

	if (!YAJL_IS_ARRAY(list) || !list->u.array.len ||
	    list->u.array.len > EVENTS_MAX)
		return false;
	for (i = 0; i < list->u.array.len; i++) {
		ids[i] = json_string(
			json_member(list->u.array.values[i], "EventId"));
		if (!ids[i])
			return false;
	}
	*n = i;
	return true;
}

static size_t count_known(const struct vm *vm, const char *const *ids)
{
	yajl_val kept = NULL;
	size_t i, j, n = 0;

	if (vm->events.len)
		kept = json_tree(vm->events.data, vm->events.len, NULL);
	for (i = 0; ids[i]; i++) {
		for (j = 0; YAJL_IS_ARRAY(kept) && j < kept->u.array.len; j++) {
			const char *id =
				text_of(kept->u.array.values[j], "EventId");

			if (text_equal_nocase(id, strlen(id), ids[i]))
				break;
		}
		n += YAJL_IS_ARRAY(kept) && j < kept->u.array.len;
	}
	yajl_tree_free(kept);
	return n;
}

/* All or none: an id that is not there spoils the request. */
void acknowledge_call(struct call *call)
{
	const char *ids[EVENTS_MAX + 1] = { NULL };
	struct change c = { .now = call->now, .start = ids };
	char version[IMDS_VERSION_SIZE];
	yajl_val tree;
	size_t n = 0;

	if (!imds_version_of(call, versions, "", version))
		return;
	tree = json_tree(call->body.data, call->body.len, NULL);
	if (!tree || !read_requests(tree, ids, &n))
		imds_error(call, 400,
			   "StartRequests, a list of EventId, is "
			   "required");
	else if (count_known(call->vm, ids) != n)
		imds_error(call, 400, "No such EventId");
	else if (apply(call->vm, &c, NULL) < 0)
		imds_error(call, 500, "Internal server error");
	else
		call_text(call, 200, JSON_TYPE, "");
	yajl_tree_free(tree);
}

/**
 * struct given - what an event of its owner needs besides the request
 * @id:         made, if none was given
 * @not_before: made, if none was given
 * @resources:  JSON array
 */
struct given {
	char id[RANDOM_GUID_SIZE];
	char not_before[TEXT_DATE_SIZE];
	struct buf resources;
};

static bool one_of(const char *text, const char *a, const char *b)
{
	return text && (!strcmp(text, a) || !strcmp(text, b));
}

static const char *read_type(struct event *e, yajl_val tree, int64_t *notice)
{
	const char *type = text_of(tree, "EventType");
	size_t i;

	for (i = 0; i < N_TYPES; i++) {
		if (strcmp(type, types[i].name))
			continue;
		e->type = types[i].name;
		*notice = types[i].notice;
		return NULL;
	}
	return "EventType: want Freeze, Reboot, Redeploy, Preempt or "
	       "Terminate";
}

static const char *read_resources(struct event *e, yajl_val tree,
				  const struct vm *vm, struct given *given)
{
	yajl_val list = json_member(tree, "Resources");
	size_t i;

	if (!list) {
		buf_text(&given->resources, "[");
		buf_json_utf8(&given->resources, vm->who.name);
		buf_text(&given->resources, "]");
	} else {
		if (!YAJL_IS_ARRAY(list))
			return "Resources: want a list of names";
		for (i = 0; i < list->u.array.len; i++) {
			if (!YAJL_IS_STRING(list->u.array.values[i]))
				return "Resources: want a list of names";
		}
		json_write(&given->resources, list);
	}
	if (given->resources.failed || given->resources.len > TEXT_MAX)
		return "Resources: too long";
	e->resources = given->resources.data;
	return NULL;
}

static const char *read_texts(struct event *e, yajl_val tree)
{
	yajl_val node = json_member(tree, "Description");
	const char *status;

	e->description = node ? json_string(node)
			      : "Host server is undergoing maintenance.";
	if (!e->description || strlen(e->description) > TEXT_MAX)
		return "Description: want a text of at most 1024 bytes";
	node = json_member(tree, "EventSource");
	e->source = node ? json_string(node) : "Platform";
	if (!one_of(e->source, "Platform", "User"))
		return "EventSource: want Platform or User";
	node = json_member(tree, "EventStatus");
	status = node ? json_string(node) : "Scheduled";
	if (!one_of(status, "Scheduled", "Started"))
		return "EventStatus: want Scheduled or Started";
	e->started = !strcmp(status, "Started");
	return NULL;
}

static const char *read_times(struct event *e, yajl_val tree, int64_t now,
			      int64_t notice, struct given *given)
{
	yajl_val node = json_member(tree, "DurationInSeconds");
	int64_t when;

	e->duration =
		node && YAJL_IS_INTEGER(node) ? YAJL_GET_INTEGER(node) : -1;
	if ((node && !YAJL_IS_INTEGER(node)) || e->duration < -1)
		return "DurationInSeconds: want a number from -1";
	node = json_member(tree, "NotBefore");
	text_http_date(given->not_before, sizeof(given->not_before),
		       now + notice);
	e->not_before = node ? json_string(node) : given->not_before;
	if (!e->not_before ||
	    !text_parse_http_date(e->not_before, strlen(e->not_before), &when))
		return "NotBefore: want a date like Mon, 19 Sep 2016 18:29:47 "
		       "GMT";
	return NULL;
}

static const char *read_id(struct event *e, yajl_val tree, const struct vm *vm,
			   struct given *given)
{
	const char *ids[] = { NULL, NULL };
	yajl_val node = json_member(tree, "EventId");

	if (!names_guid(vm, "event", vm->events_n, given->id))
		return "EventId: none could be made";
	e->id = node ? json_string(node) : given->id;
	if (!e->id || !*e->id || strlen(e->id) > TEXT_MAX)
		return "EventId: want a text";
	ids[0] = e->id;
	return count_known(vm, ids) ? "EventId: it is there already" : NULL;
}

/* NULL, or which field of the owner's event is wrong, and why. */
static const char *read_given(struct call *call, yajl_val tree, struct event *e,
			      struct given *given)
{
	int64_t notice = 0;
	const char *why;

	if (!YAJL_IS_OBJECT(tree))
		return "an event, a JSON object, is required";
	why = read_type(e, tree, &notice);
	if (!why)
		why = read_resources(e, tree, call->vm, given);
	if (!why)
		why = read_texts(e, tree);
	if (!why)
		why = read_times(e, tree, call->now, notice, given);
	if (!why)
		why = read_id(e, tree, call->vm, given);
	return why;
}

static void schedule(struct call *call)
{
	struct change c = { .now = call->now };
	struct given given = { 0 };
	struct event e = { 0 };
	const char *why;
	yajl_val tree;

	tree = json_tree(call->body.data, call->body.len, NULL);
	why = read_given(call, tree, &e, &given);
	if (why)
		call_error(call, 400, "event", why);
	else if (apply(call->vm, &c, &e) < 0)
		call_error(call, 500, "memory", "out of memory");
	else if (!c.changed)
		call_error(call, 400, "event", "there are too many events");
	else
		answer(call, versions[0]);
	yajl_tree_free(tree);
	buf_clear(&given.resources);
}

/* One, ?id=..., or all: they are over. */
static void end(struct call *call)
{
	struct change c = { .now = call->now };
	struct vm *vm = call->vm;
	struct buf id = { 0 }, none = { 0 };

	if (text_query(call->query, "id", &id)) {
		c.remove = id.data;
		if (apply(vm, &c, NULL) < 0)
			call_error(call, 500, "memory", "out of memory");
		else if (!c.found)
			call_error(call, 404, "not-found", "no such event");
		else
			answer(call, versions[0]);
	} else {
		if (vm->events.len > 2) /* "[]" */
			keep(vm, &none);
		answer(call, versions[0]);
	}
	buf_clear(&id);
}

static void change(struct call *call)
{
	if (call_method(call, "POST"))
		schedule(call);
	else
		end(call);
}

/* Stored before the owner is told, or not changed. What a guest does with its
 * events is stored with the next change of an owner's: a guest must not make
 * the host write. */
void events_call(struct call *call)
{
	struct vm *vm = call->vm;
	const uint64_t n_before = vm->events_n;
	struct buf before = { 0 };

	if (call_method(call, "GET")) {
		answer(call, versions[0]);
		return;
	}
	buf_add(&before, vm->events.data, vm->events.len);
	if (before.failed)
		call_error(call, 500, "memory", "out of memory");
	else
		change(call);
	if (call->reply.status == 200 && !state_save(call->emu)) {
		buf_clear(&vm->events);
		vm->events = before;
		memset(&before, 0, sizeof(before));
		vm->events_n = n_before;
		control_not_stored(call);
	}
	buf_clear(&before);
}
