/* SPDX-License-Identifier: MIT */
/*
 * In: names and numbers of users and groups. Out: what the user database of
 * this machine has for them. Must never take a failure to ask for "no groups".
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "mspd/ctl/caller.h"

/* Bounds for what a database may ask for. */
#define ENTRY_BYTES_MAX (1024 * 1024)
#define GROUPS_MAX	65536

static bool again(int error, struct ctl_text *buffer)
{
	if (error == EINTR)
		return true;
	if (error != ERANGE || buffer->room >= ENTRY_BYTES_MAX)
		return false;
	buffer->at = ctl_grow(buffer->at, &buffer->room, 2 * buffer->room, 1);
	return true;
}

static void start(struct ctl_text *buffer)
{
	buffer->at = ctl_grow(NULL, &buffer->room, 1024, 1);
}

/* What getpwuid_r(3) says when there is no such entry. */
static bool is_failure(int error)
{
	return error && error != ENOENT && error != ESRCH;
}

static bool group_name(struct ctl_text *buffer, gid_t gid, const char **out)
{
	struct group *found = NULL;
	struct group entry;
	int error;

	do
		error = getgrgid_r(gid, &entry, buffer->at, buffer->room,
				   &found);
	while (again(error, buffer));
	if (is_failure(error))
		ctl_note("group %u: %s", (unsigned int)gid, strerror(error));
	*out = found ? found->gr_name : NULL;
	return found != NULL;
}

/* Numbers of the user's groups; NULL: failed. Free it. */
static gid_t *list_groups(const char *user, gid_t primary, int *n)
{
	gid_t *list = NULL;
	size_t room = 0;

	*n = MSP_CALLER_GROUPS_MAX + 1;
	while (*n > 0 && *n <= GROUPS_MAX) {
		list = ctl_grow(list, &room, (size_t)*n, sizeof(*list));
		*n = (int)room;
		if (getgrouplist(user, primary, list, n) >= 0)
			return list;
		/* an answer that does not say how many it wants */
		if (*n <= (int)room)
			break;
	}
	free(list);
	return NULL;
}

static void add_groups(struct ctl_caller *caller, gid_t primary)
{
	struct ctl_text buffer = { 0 };
	const char *name;
	gid_t *list;
	int i, n;

	list = list_groups(caller->user, primary, &n);
	if (!list || n > MSP_CALLER_GROUPS_MAX) {
		/* as the agent: then no group is believed */
		caller->facts.flags |= MSP_CALLER_GROUPS_CUT;
		ctl_note("user %s: %s", caller->user,
			 list ? "has more groups than are looked at"
			      : "groups cannot be found out");
	}
	start(&buffer);
	for (i = 0; list && i < n && i < MSP_CALLER_GROUPS_MAX; i++)
		if (group_name(&buffer, list[i], &name))
			ctl_caller_add_group(caller, name);
	ctl_text_free(&buffer);
	free(list);
}

static bool take_user(struct ctl_caller *caller, const struct passwd *found)
{
	struct msp_caller *c = &caller->facts;

	c->uid = c->euid = found->pw_uid;
	c->gid = c->egid = found->pw_gid;
	ctl_caller_set_user(caller, found->pw_name);
	add_groups(caller, found->pw_gid);
	return true;
}

bool ctl_nss_user(struct ctl_caller *caller, const char *name)
{
	struct ctl_text buffer = { 0 };
	struct passwd *found = NULL;
	struct passwd entry;
	int error;

	start(&buffer);
	do
		error = getpwnam_r(name, &entry, buffer.at, buffer.room,
				   &found);
	while (again(error, &buffer));
	if (found)
		take_user(caller, found);
	else if (is_failure(error))
		ctl_note("user %s: %s", name, strerror(error));
	ctl_text_free(&buffer);
	return found != NULL;
}

bool ctl_nss_uid(struct ctl_caller *caller, uid_t uid)
{
	struct ctl_text buffer = { 0 };
	struct passwd *found = NULL;
	struct passwd entry;
	int error;

	caller->facts.uid = caller->facts.euid = uid;
	start(&buffer);
	do
		error = getpwuid_r(uid, &entry, buffer.at, buffer.room, &found);
	while (again(error, &buffer));
	if (found)
		take_user(caller, found);
	else if (is_failure(error))
		ctl_note("user %u: %s", (unsigned int)uid, strerror(error));
	ctl_text_free(&buffer);
	return found != NULL;
}

void ctl_nss_process_group(struct ctl_caller *caller, gid_t gid)
{
	struct ctl_text buffer = { 0 };
	const char *name;

	start(&buffer);
	if (group_name(&buffer, gid, &name))
		ctl_caller_add_process_group(caller, name);
	ctl_text_free(&buffer);
}
