/* SPDX-License-Identifier: MIT */
/*
 * In:  a VM as its owner wants it.
 * Out: the numbers and names its goal state is made of.
 * Never: an incarnation that goes down, or stays while the rest changes.
 */
#include "data/goal.h"

#include "data/names.h"

#include <openssl/evp.h>
#include <string.h>

/* NULs keep the texts apart. */
static bool digest(const struct vm *vm, unsigned char out[32])
{
	const struct vm_name *who = &vm->who;
	struct buf all = { 0 };
	unsigned int len = 0;
	bool ok;

	buf_format(&all, "%s%c%s%c%s%c%s%c%s%c%s%c%d%c", who->subscription, 0,
		   who->group, 0, who->name, 0, who->location, 0, who->os, 0,
		   who->id, 0, vm->extension, 0);
	buf_add(&all, vm->model.data, vm->model.len);
	ok = !all.failed &&
	     EVP_Digest(all.data, all.len, out, &len, EVP_sha256(), NULL);
	buf_clear(&all);
	return ok && len == 32;
}

/* Nobody has to tell: what is different now is seen by whoever asks. */
static bool notice(struct vm *vm)
{
	unsigned char now[sizeof(vm->goal)];

	if (!digest(vm, now))
		return false;
	if (vm->goal_n && !memcmp(now, vm->goal, sizeof(now)))
		return true;
	memcpy(vm->goal, now, sizeof(now));
	vm->goal_n++;
	return true;
}

bool goal_of(struct vm *vm, struct goal *out)
{
	memset(out, 0, sizeof(*out));
	if (!notice(vm) || !names_guid(vm, "container", 0, out->container) ||
	    !names_guid(vm, "deployment", 0, out->deployment) ||
	    !names_guid(vm, "service", 0, out->service) ||
	    !names_guid(vm, "role", 0, out->role))
		return false;
	out->incarnation = vm->goal_n;
	text_hex(out->tag, vm->goal, (sizeof(out->tag) - 1) / 2, false);
	buf_format(&out->instance, "%s._%s", out->deployment, vm->who.name);
	if (!out->instance.failed)
		return true;
	goal_clear(out);
	return false;
}

void goal_clear(struct goal *goal)
{
	buf_clear(&goal->instance);
}

void goal_xml(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr("&<>\"'", c))
			buf_format(out, "&#%d;", c);
		else if (c < ' ' || c == 0x7f)
			buf_text(out, "?"); /* none may be in XML */
		else
			buf_add(out, text, 1);
	}
}
