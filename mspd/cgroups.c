/* SPDX-License-Identifier: MIT */
/*
 * In: numbers of cgroups. Out: their paths. Must never keep more than its
 * bound, however many cgroups a user makes.
 */
#include "mspd/cgroups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS	  4
#define SETS	  (MSPD_CGROUPS / WAYS)
#define PATH_ROOM 4096

struct mspd_cgroup {
	size_t owners;
	uint64_t id;
	char *path; /* NULL: none */
};

struct set {
	struct mspd_cgroup *ways[WAYS]; /* owned; NULL: free */
	size_t next;			/* given up next */
};

struct mspd_cgroups {
	mspd_cgroup_look *look;
	void *arg;
	struct set sets[SETS];
};

int mspd_cgroups_new(struct mspd_cgroups **out, mspd_cgroup_look *look,
		     void *arg)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->look = look;
	(*out)->arg = arg;
	return 0;
}

void mspd_cgroups_free(struct mspd_cgroups *cgroups)
{
	size_t i, k;

	if (!cgroups)
		return;
	for (i = 0; i < SETS; i++)
		for (k = 0; k < WAYS; k++)
			mspd_cgroup_free(cgroups->sets[i].ways[k]);
	free(cgroups);
}

void mspd_cgroup_free(struct mspd_cgroup *cgroup)
{
	if (!cgroup || --cgroup->owners > 0)
		return;
	free(cgroup->path);
	free(cgroup);
}

const char *mspd_cgroup_path(const struct mspd_cgroup *cgroup)
{
	return cgroup->path;
}

static void keep(struct set *set, struct mspd_cgroup *cgroup)
{
	mspd_cgroup_free(set->ways[set->next]);
	set->ways[set->next] = cgroup;
	set->next = (set->next + 1) % WAYS;
	cgroup->owners++;
}

struct mspd_cgroup *mspd_cgroups_get(struct mspd_cgroups *cgroups, uint64_t id)
{
	struct set *set = &cgroups->sets[id % SETS];
	struct mspd_cgroup *cgroup;
	char path[PATH_ROOM];
	size_t i;
	int rc;

	for (i = 0; i < WAYS; i++) {
		cgroup = set->ways[i];
		if (!cgroup || cgroup->id != id)
			continue;
		cgroup->owners++;
		return cgroup;
	}
	cgroup = calloc(1, sizeof(*cgroup));
	if (!cgroup)
		return NULL;
	cgroup->owners = 1;
	cgroup->id = id;
	rc = cgroups->look(cgroups->arg, id, path, sizeof(path));
	if (rc == 0)
		cgroup->path = strdup(path);
	/* a failure may pass; that it is gone will not */
	if (cgroup->path || rc == MSP_ERR_NOENT)
		keep(set, cgroup);
	return cgroup;
}
