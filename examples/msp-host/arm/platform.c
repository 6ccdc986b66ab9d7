/* SPDX-License-Identifier: MIT */
/*
 * In:  where the feature is not, and who may not use it.
 * Out: the same, kept and told.
 * Never: half of a list.
 */
#include "arm/store.h"

#include "base/json.h"
#include "emulator.h"
#include "vm/state.h"

static void show(struct call *call)
{
	const struct arm *arm = call->emu->arm;
	struct buf *out = &call->reply.body;

	call->reply.status = 200;
	call->reply.type = "application/json; charset=utf-8";
	buf_text(out, "{\"regionsWithout\":");
	names_write(out, &arm->regions);
	buf_text(out, ",\"subscriptionsWithout\":");
	names_write(out, &arm->subscriptions);
	buf_text(out, "}");
}

/* What is left out is nobody. */
static bool read_both(struct names *regions, struct names *subscriptions,
		      yajl_val tree)
{
	return YAJL_IS_OBJECT(tree) &&
	       names_read(regions, json_member(tree, "regionsWithout"), true) &&
	       names_read(subscriptions,
			  json_member(tree, "subscriptionsWithout"), false);
}

static void put(struct call *call)
{
	struct arm *arm = call->emu->arm;
	struct names regions = { 0 }, subscriptions = { 0 };
	struct names old[2] = { arm->regions, arm->subscriptions };
	yajl_val tree;

	tree = json_tree(call->body.data ? call->body.data : "", call->body.len,
			 NULL);
	if (!read_both(&regions, &subscriptions, tree)) {
		call_error(call, 400, "platform",
			   "regionsWithout and subscriptionsWithout must be "
			   "arrays of at most 256 names");
		goto out;
	}
	arm->regions = regions;
	arm->subscriptions = subscriptions;
	if (state_save(call->emu)) {
		regions = old[0];
		subscriptions = old[1];
		show(call);
	} else {
		arm->regions = old[0];
		arm->subscriptions = old[1];
		call_error(call, 500, "state", "it cannot be stored");
	}
out:
	yajl_tree_free(tree);
	names_clear(&regions);
	names_clear(&subscriptions);
}

void arm_platform(struct call *call)
{
	if (call_method(call, "PUT"))
		put(call);
	else
		show(call);
}
