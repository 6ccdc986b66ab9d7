/* SPDX-License-Identifier: MIT */
/*
 * In: the agent's descriptors, as /proc shows them. Out: whether its programs
 * are attached, all of them, where they belong. Must never believe the agent's
 * word for it.
 */
#include <dirent.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mspd/ctl/doctor.h"
#include "mspd/ctl/links.h"

static const struct {
	int type;
	const char *name;
} hooks[] = {
	{ BPF_CGROUP_INET4_CONNECT, "connect4" },
	{ BPF_CGROUP_INET6_CONNECT, "connect6" },
	{ BPF_CGROUP_INET4_BIND, "bind4" },
	{ BPF_CGROUP_INET6_BIND, "bind6" },
	{ BPF_CGROUP_INET4_GETPEERNAME, "getpeername4" },
	{ BPF_CGROUP_INET6_GETPEERNAME, "getpeername6" },
};

/* Links of the agent that are told from those of others. */
#define OURS 64

#define HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/**
 * struct links - of the agent
 * @cgroup:   where each hook is attached, as the kernel numbers them; 0: it is
 *            not
 * @detached: links that are no longer attached to anything
 * @ids:      of all of them
 * @n:        how many
 */
struct links {
	uint64_t cgroup[HOOKS];
	size_t detached;
	uint32_t ids[OURS];
	size_t n;
};

static void take_link(struct links *links, const char *text)
{
	char type[16], number[16], cgroup[32], attach[16];
	uint64_t id;
	size_t i;

	if (!ctl_line_of(text, "link_type:", type, sizeof(type)) ||
	    strcmp(type, "cgroup") != 0 ||
	    !ctl_line_of(text, "cgroup_id:", cgroup, sizeof(cgroup)) ||
	    !ctl_line_of(text, "attach_type:", attach, sizeof(attach)))
		return;
	if (links->n < OURS &&
	    ctl_line_of(text, "link_id:", number, sizeof(number)))
		links->ids[links->n++] = (uint32_t)strtoul(number, NULL, 10);
	id = strtoull(cgroup, NULL, 10);
	if (!id)
		links->detached++;
	for (i = 0; id && i < HOOKS; i++)
		if (atoi(attach) == hooks[i].type)
			links->cgroup[i] = id;
}

static bool read_links(struct ctl_doctor *d, struct links *links)
{
	char folder[64], path[sizeof(folder) + NAME_MAX + 1];
	const struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/proc/%u/fdinfo", d->agent);
	dir = ctl_open_folder(d, folder);
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		struct ctl_text text = { 0 };

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		ctl_peek(d, &text, path);
		take_link(links, text.at);
		ctl_text_free(&text);
	}
	closedir(dir);
	return true;
}

static void put_missing(struct ctl_text *out, const struct links *links)
{
	size_t i;

	for (i = 0; i < HOOKS; i++) {
		if (links->cgroup[i])
			continue;
		ctl_put(out, out->len ? ", " : "");
		ctl_put(out, hooks[i].name);
	}
}

/* Is everything attached to this very directory? */
static bool are_at(const struct links *links, uint64_t id)
{
	size_t i;

	for (i = 0; i < HOOKS; i++)
		if (links->cgroup[i] != id)
			return false;
	return true;
}

static void tell_place(struct ctl_doctor *d, const struct links *links)
{
	const char *path = d->config.cgroup_path;
	struct stat st;

	if (d->live && path && stat(path, &st) == 0 &&
	    !are_at(links, (uint64_t)st.st_ino))
		ctl_find(d, CTL_ILL, "hooks", ctl_remedy_restart,
			 "all %zu are attached, but not at %s", HOOKS, path);
	else
		ctl_find(d, CTL_WELL, "hooks", NULL,
			 "all %zu are attached, at cgroup %llu", HOOKS,
			 (unsigned long long)links->cgroup[0]);
}

void ctl_check_hooks(struct ctl_doctor *d)
{
	struct ctl_text missing = { 0 };
	struct links links = { 0 };

	if (!d->agent)
		return;
	if (!read_links(d, &links)) {
		ctl_find(d, CTL_DOUBT, "hooks", ctl_remedy_root,
			 "those of process %u cannot be seen", d->agent);
		return;
	}
	put_missing(&missing, &links);
	if (!missing.len)
		tell_place(d, &links);
	else if (links.detached)
		ctl_find(d, CTL_ILL, "hooks", ctl_remedy_restart,
			 "somebody has detached %s", missing.at);
	else
		ctl_find(d, CTL_ILL, "hooks",
			 "see agent and status above for why; then restart it",
			 "not attached: %s", missing.at);
	ctl_text_free(&missing);
}

/* ---- those of others ---------------------------------------------------- */

struct others {
	struct ctl_doctor *d;
	struct links ours;
	bool found;
};

static bool is_ours(const struct links *ours, uint32_t id)
{
	size_t i;

	for (i = 0; i < ours->n; i++)
		if (ours->ids[i] == id)
			return true;
	return false;
}

/* Is it one of the cgroups that this process is in, from its own up to the
 * root? What is attached to others sees none of its connections. */
static bool is_above(const struct ctl_doctor *d, uint64_t cgroup)
{
	char path[PATH_MAX];
	struct stat st;
	char *slash;

	ctl_own_cgroup(d, path);
	while (strlen(path) >= strlen(d->mount)) {
		if (stat(path, &st) == 0 && (uint64_t)st.st_ino == cgroup)
			return true;
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	return false;
}

static void look_at_other(void *arg, const struct ctl_bpf_link *link)
{
	struct others *o = arg;

	if (link->type != BPF_LINK_TYPE_CGROUP || !link->cgroup ||
	    link->attach != BPF_CGROUP_INET4_CONNECT ||
	    is_ours(&o->ours, link->id) || !is_above(o->d, link->cgroup))
		return;
	o->found = true;
	ctl_find(o->d, CTL_DOUBT, "other hook",
		 "find out whose it is (bpftool link); end another agent that "
		 "protects the same endpoints",
		 "program '%s' at cgroup %llu also sees connections: link %u, "
		 "which is not this agent's",
		 link->program, (unsigned long long)link->cgroup, link->id);
}

bool ctl_find_links(struct ctl_doctor *d)
{
	struct others others = { .d = d };

	/* without knowing one's own all would be others' */
	if (!d->agent || !read_links(d, &others.ours))
		return false;
	ctl_links_walk(look_at_other, &others);
	return others.found;
}
