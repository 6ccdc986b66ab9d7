/* SPDX-License-Identifier: MIT */
/*
 * In:  the status file of the VM's extension, as its guest puts it (spec
 *      10.5).
 * Out: the same, for those who ask on the control port.
 * Never: keeps what is not a status report, or more than one of a VM.
 */
#include "data/report.h"

#include "base/json.h"
#include "net/route.h"
#include "vm/vm.h"

#include <stdio.h>
#include <string.h>

#define WHERE_SIZE 64

/**
 * struct complaint - what is wrong with a report
 * @where: path of the field
 * @want:  what it must be; NULL: nothing is wrong
 */
struct complaint {
	char where[WHERE_SIZE];
	const char *want;
};

static bool complain(struct complaint *c, const char *where, const char *name,
		     const char *want)
{
	if (snprintf(c->where, sizeof(c->where), "%s%s", where, name) < 0)
		c->where[0] = '\0';
	c->want = want;
	return false;
}

/* The member that the last part of the name says. */
static bool is_text(struct complaint *c, yajl_val node, const char *where,
		    const char *name)
{
	return json_string(json_member(node, strrchr(name, '.') + 1)) ||
	       complain(c, where, name, "a text is required");
}

/* What a status and each of its sub-statuses have. */
static bool is_state(struct complaint *c, yajl_val node, const char *where)
{
	static const char *const words[] = { "transitioning", "error",
					     "success", "warning" };
	yajl_val message = json_member(node, "formattedMessage");
	const char *status;
	size_t i;

	if (!YAJL_IS_OBJECT(node))
		return complain(c, where, "", "an object is required");
	if (!is_text(c, node, where, ".name") ||
	    !is_text(c, node, where, ".status"))
		return false;
	status = json_string(json_member(node, "status"));
	for (i = 0; i < 4 && strcmp(status, words[i]); i++)
		;
	if (i == 4)
		return complain(c, where, ".status",
				"transitioning, error, success or warning is "
				"required");
	if (!YAJL_IS_INTEGER(json_member(node, "code")))
		return complain(c, where, ".code", "a number is required");
	if (!YAJL_IS_OBJECT(message))
		return complain(c, where, ".formattedMessage",
				"an object is required");
	return is_text(c, message, where, ".formattedMessage.lang") &&
	       is_text(c, message, where, ".formattedMessage.message");
}

static bool are_substatuses(struct complaint *c, yajl_val list)
{
	char where[WHERE_SIZE];
	size_t i;

	if (!list)
		return true;
	if (!YAJL_IS_ARRAY(list))
		return complain(c, "[0].status.substatus", "",
				"a list is required");
	for (i = 0; i < list->u.array.len; i++) {
		snprintf(where, sizeof(where), "[0].status.substatus[%zu]", i);
		if (!is_state(c, list->u.array.values[i], where))
			return false;
	}
	return true;
}

static bool is_report(struct complaint *c, yajl_val tree)
{
	yajl_val first, status;

	if (!YAJL_IS_ARRAY(tree) || tree->u.array.len != 1)
		return complain(c, "$", "", "a list of one is required");
	first = tree->u.array.values[0];
	if (!YAJL_IS_OBJECT(first))
		return complain(c, "[0]", "", "an object is required");
	status = json_member(first, "status");
	return is_text(c, first, "[0]", ".version") &&
	       is_text(c, first, "[0]", ".timestampUTC") &&
	       is_state(c, status, "[0].status") &&
	       is_text(c, status, "[0].status", ".operation") &&
	       are_substatuses(c, json_member(status, "substatus"));
}

static void keep(struct call *call)
{
	struct vm *vm = call->vm;

	buf_clear(&vm->report);
	vm->report = call->body;
	memset(&call->body, 0, sizeof(call->body));
	vm->report_s = call->now;
	call_text(call, 200, "application/json; charset=utf-8", "");
}

void status_call(struct call *call)
{
	struct complaint c = { .want = NULL };
	struct buf text = { 0 };
	yajl_val tree = NULL;

	if (call->body.len > VM_REPORT_MAX)
		buf_text(&text, "it is too long");
	else
		tree = json_tree(call->body.data, call->body.len, &text);
	if (tree && !is_report(&c, tree))
		buf_format(&text, "%s: %s", c.where, c.want);
	if (tree && !c.want)
		keep(call);
	else
		call_error(call, 400, "status",
			   text.failed ? "out of memory" : text.data);
	yajl_tree_free(tree);
	buf_clear(&text);
}

void report_call(struct call *call)
{
	const struct buf *report = &call->vm->report;

	if (!report->len) {
		call_error(call, 404, "not-found",
			   "the guest has not reported");
		return;
	}
	call->reply.status = 200;
	call->reply.type = "application/json; charset=utf-8";
	buf_add(&call->reply.body, report->data, report->len);
}
