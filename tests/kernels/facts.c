/* SPDX-License-Identifier: MIT */
/*
 * In: what the kernel says of a client, and what it says of itself. Out: in
 * which of them the two differ. Must never leave out a fact silently.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/kernels/guest.h"

#define NS_PER_TICK 10000000u /* USER_HZ is 100 everywhere */
/* The clock that eBPF reads may lag behind by part of a timer tick. */
#define CLOCK_SLACK_NS 10000000u

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* More groups than are looked at: only that must be said. */
static bool same_groups(const struct msp_caller *k, const struct claim *c)
{
	uint32_t kernel[MSP_CALLER_GROUPS_MAX], claimed[MAX_GROUPS];
	bool cut = k->flags & MSP_CALLER_GROUPS_CUT;

	if (c->n_gids > MSP_CALLER_GROUPS_MAX)
		return cut && k->n_gids == MSP_CALLER_GROUPS_MAX;
	if (cut || k->n_gids != c->n_gids)
		return false;
	memcpy(kernel, k->gids, k->n_gids * sizeof(kernel[0]));
	memcpy(claimed, c->gids, c->n_gids * sizeof(claimed[0]));
	qsort(kernel, k->n_gids, sizeof(kernel[0]), compare_ids);
	qsort(claimed, c->n_gids, sizeof(claimed[0]), compare_ids);
	return memcmp(kernel, claimed, c->n_gids * sizeof(claimed[0])) == 0;
}

static bool same_parents(const struct msp_caller *k, const struct claim *c,
			 bool names)
{
	size_t i;

	for (i = 0; i < MSP_CALLER_PARENTS; i++) {
		const struct msp_caller_parent *a = &k->parents[i];
		const struct ancestor *b = &c->parents[i];

		if (a->pid != b->pid || a->start_ns / NS_PER_TICK != b->ticks)
			return false;
		if (strcmp(a->comm, names ? b->comm : "") != 0)
			return false;
	}
	return true;
}

static bool same_file(const struct msp_file_id *k, const struct claim *c)
{
	return k->inode == c->inode && k->device == c->device &&
	       k->ctime_s == c->ctime_s && k->ctime_ns == c->ctime_ns &&
	       k->mode == c->mode && k->uid == c->owner && k->nlink == c->links;
}

/* Without paths a namespace below the first cannot be named. */
static bool same_pid_ns(const struct msp_caller *k, const struct claim *c,
			bool paths)
{
	return k->pid_ns == c->pid_ns || (!paths && k->pid_ns == 0);
}

static bool same_path(const struct msp_caller *k, const struct claim *c,
		      bool paths)
{
	bool hidden = k->flags & MSP_CALLER_NO_PATH;

	return hidden != paths && strcmp(k->exe_path, paths ? c->exe : "") == 0;
}

uint32_t facts_differ(const struct msp_caller *k, const char *cgroup,
		      const struct claim *c, bool paths)
{
	const bool same[FACTS] = {
		[FACT_UID] = k->uid == c->uid,
		[FACT_GID] = k->gid == c->gid,
		[FACT_EUID] = k->euid == c->euid,
		[FACT_EGID] = k->egid == c->egid,
		[FACT_GROUPS] = same_groups(k, c),
		[FACT_PID] = k->pid == c->pid,
		[FACT_TID] = k->tid == c->tid,
		[FACT_START] = k->start_ns / NS_PER_TICK == c->start_ticks,
		[FACT_COMM] = strcmp(k->comm, c->comm) == 0,
		[FACT_PARENTS] = same_parents(k, c, paths),
		[FACT_LOGINUID] = k->loginuid == c->loginuid,
		[FACT_NET_NS] = k->net_ns == c->net_ns,
		[FACT_MNT_NS] = k->mnt_ns == c->mnt_ns,
		[FACT_PID_NS] = same_pid_ns(k, c, paths),
		[FACT_USER_NS] = k->user_ns == c->user_ns,
		[FACT_NS_OWNER] = k->ns_owner == c->ns_owner,
		[FACT_CGROUP] = strcmp(cgroup, c->cgroup) == 0,
		[FACT_EXE_PATH] = same_path(k, c, paths),
		[FACT_EXE_FILE] = same_file(&k->exe, c),
		[FACT_DESTINATION] = k->destination.ip == c->to.ip &&
				     k->destination.port == c->to.port,
		[FACT_FAMILY] = !(k->flags & MSP_CALLER_V6_MAPPED) ==
				(c->family == AF_INET),
		[FACT_COOKIE] = k->socket_cookie == c->cookie,
		[FACT_NET_COOKIE] = k->net_cookie == c->net_cookie,
		[FACT_TIME] = k->connect_ns + CLOCK_SLACK_NS >= c->before_ns &&
			      k->connect_ns <= c->after_ns + CLOCK_SLACK_NS,
	};
	uint32_t differ = 0;
	unsigned int i;

	for (i = 0; i < FACTS; i++)
		if (!same[i])
			differ |= 1u << i;
	return differ;
}

const char *fact_name(unsigned int fact)
{
	static const char *const names[FACTS] = {
		"uid",
		"gid",
		"euid",
		"egid",
		"groups",
		"pid",
		"tid",
		"start time",
		"comm",
		"parents",
		"login uid",
		"net namespace",
		"mnt namespace",
		"pid namespace",
		"user namespace",
		"namespace owner",
		"cgroup",
		"exe path",
		"exe file",
		"destination",
		"family",
		"socket cookie",
		"net cookie",
		"time",
	};

	return fact < FACTS ? names[fact] : "?";
}
